//! Flags that say how the answer looks.

use clap::Args;

use crate::render::Format;
use crate::report::Header;
use crate::ui::{ColorWhen, Settings};

/// Flags that say how the answer looks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct OutputArgs {
    /// Format of the answer
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    output: Format,

    /// Leave the headers of tables out
    #[arg(long, global = true)]
    no_headers: bool,

    /// Leave out of documents what differs from run to run: time, context, version
    #[arg(long, global = true)]
    no_metadata: bool,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: ColorWhen,

    /// Use plain ASCII glyphs
    #[arg(long, global = true)]
    ascii: bool,

    /// Say nothing but the answer and errors
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Say more; from 6 on, each request
    #[arg(short, long, global = true, value_name = "LEVEL", default_value_t = 0)]
    v: u8,
}

impl OutputArgs {
    pub(super) fn format(&self) -> Format {
        self.output
    }

    pub(super) fn settings(&self, program: &str) -> Settings {
        Settings {
            color: self.color,
            ascii: self.ascii,
            quiet: self.quiet,
            verbosity: self.v,
            headers: !self.no_headers,
            program: program.to_owned(),
        }
    }

    /// What stands at the head of a document, unless it is to be left out.
    pub(super) fn header(&self, context: Option<String>) -> Option<Header> {
        (!self.no_metadata).then(|| Header {
            generated_at: jiff::Timestamp::now()
                .round(jiff::Unit::Second)
                .unwrap_or_else(|_| jiff::Timestamp::now())
                .to_string(),
            client_version: env!("CARGO_PKG_VERSION"),
            context,
        })
    }
}
