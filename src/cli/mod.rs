//! The command line: flags, one file a command, and what joins them.

mod check;
mod cluster;
mod completion;
mod config;
pub mod connection;
mod convert;
mod explain;
mod fail_on;
mod history;
mod input;
mod output;
mod rbac;
mod rollback;
mod scope;
mod status;
mod version;
mod waypoint;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::Error;
use crate::exit::Exit;
use crate::render::Format;
use crate::ui::Ui;

pub use config::config_schema;
use connection::KubeArgs;
use output::OutputArgs;

/// Take namespaces from Istio's sidecar mode to ambient mode
///
/// Commands that change a cluster say what they will do, and ask before they do it.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-ambient",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: KubeArgs,
}

const AFTER_HELP: &str = "\
Flags stand after the command: kubectl ambient check -n shop

Exit codes: 0 ok, 1 a truthful no, 2 usage, 3 unreachable, 4 forbidden, 5 unreadable input,
6 changed meanwhile, 7 halted and resumable, 8 undecided, 70 a bug; the same for every -o";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Convert(Box<convert::ConvertArgs>),
    Waypoint(waypoint::WaypointArgs),
    History(history::HistoryArgs),
    Rollback(rollback::RollbackArgs),
    Status(status::StatusArgs),
    Explain(explain::ExplainArgs),
    Rbac(rbac::RbacArgs),
    Completion(completion::CompletionArgs),
    Version(version::VersionArgs),
}

impl Command {
    /// The command's name, and the formats it answers in beside those of every command.
    const fn formats(&self) -> (&'static str, &'static [Format]) {
        match self {
            Self::Check(_) => (
                "check",
                &[
                    Format::Markdown,
                    Format::Sarif,
                    Format::Junit,
                    Format::Github,
                ],
            ),
            Self::Convert(_) => ("convert", &[Format::Diff, Format::Markdown]),
            Self::Waypoint(_) => ("waypoint", &[]),
            Self::History(_) => ("history", &[]),
            Self::Rollback(_) => ("rollback", &[]),
            Self::Status(_) => ("status", &[]),
            Self::Explain(_) => ("explain", &[]),
            Self::Rbac(_) => ("rbac", &[]),
            Self::Completion(_) => ("completion", &[]),
            Self::Version(_) => ("version", &[]),
        }
    }

    /// Refuses a format that the command has not.
    fn has(&self, format: Format) -> Result<(), Error> {
        let (name, special) = self.formats();
        let general = match self {
            // A script is no document.
            Self::Completion(_) => &[Format::Table],
            _ => Format::GENERAL,
        };
        if general.contains(&format) || special.contains(&format) {
            return Ok(());
        }
        let known = general.iter().chain(special);
        let known: Vec<String> = known.map(|format| format.name()).collect();
        Err(Error::new(
            Exit::Usage,
            format!("`{name}` has no format `{}`", format.name()),
        )
        .hint(format!("`-o` takes {}", known.join(", "))))
    }
}

impl Cli {
    fn run(&self, context: &Context<'_>) -> Result<Exit, Error> {
        match &self.command {
            Command::Check(args) => check::run(args, context),
            Command::Convert(args) => convert::run(args, context),
            Command::Waypoint(args) => waypoint::run(args, context),
            Command::History(args) => history::run(args, context),
            Command::Rollback(args) => rollback::run(args, context),
            Command::Status(args) => status::run(args, context),
            Command::Explain(args) => explain::run(args, context),
            Command::Rbac(args) => rbac::run(args, context),
            Command::Completion(args) => completion::run(args, context),
            Command::Version(args) => version::run(args, context),
        }
    }
}

/// The commands and their flags, for the reference and the man pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments name and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(exit) = completion::answered(&arguments) {
        return exit;
    }
    let called = arguments.first().cloned().unwrap_or_default();
    let program = program(arguments.first());
    let parsed = Cli::command()
        .bin_name(program.clone())
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout with 0, wrong usage to stderr with 2.
            return if error.use_stderr() {
                crate::ui::usage(&error.render());
                Exit::Usage
            } else {
                let _gone = error.print();
                Exit::Ok
            };
        }
    };
    let ui = std::sync::Arc::new(Ui::new(cli.output.settings(&program)));
    let context = Context {
        ui: &ui,
        output: &cli.output,
        connection: &cli.connection,
        called: &called,
    };
    let format = cli.output.format();
    let ended = cli.command.has(format).and_then(|()| cli.run(&context));
    ended.unwrap_or_else(|error| {
        ui.error(&error);
        error.exit
    })
}

/// What the user types to call this program, told from its file's name as kubectl tells a plugin's: a
/// dash separates words, an underscore stands for a dash. krew may install us under another name.
fn program(name: Option<&OsString>) -> String {
    let stem = name
        .and_then(|name| Path::new(name).file_stem())
        .and_then(OsStr::to_str);
    let stem = stem.unwrap_or("kubectl-ambient");
    match stem.strip_prefix("kubectl-") {
        Some(plugin) => format!("kubectl {}", plugin.replace('-', " ").replace('_', "-")),
        None => stem.to_owned(),
    }
}

/// What every command has at hand.
struct Context<'a> {
    ui: &'a std::sync::Arc<Ui>,
    output: &'a OutputArgs,
    connection: &'a KubeArgs,
    /// The name that the program was started by.
    called: &'a OsStr,
}

impl Context<'_> {
    /// Writes a document in the format asked for.
    fn answer(&self, document: &impl crate::render::Document) -> Result<(), Error> {
        let text = crate::render::render(document, self.output.format(), &self.ui.style());
        self.ui.answer(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_called_as_its_file_is_named() {
        for (file, expected) in [
            ("/usr/local/bin/kubectl-ambient", "kubectl ambient"),
            ("kubectl-ambient.exe", "kubectl ambient"),
            ("kubectl-istio_ambient", "kubectl istio-ambient"),
            ("ambient", "ambient"),
        ] {
            assert_eq!(program(Some(&OsString::from(file))), expected);
        }
        assert_eq!(program(None), "kubectl ambient");
    }

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
