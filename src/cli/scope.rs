//! Flags that say what is looked at.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::error::Error;
use crate::exit::Exit;

/// Flags that say what is looked at.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scope")]
pub(super) struct ScopeArgs {
    /// Namespace to look at (can be repeated); by default the context's, with -f all in the files but those known not to inject
    #[arg(short, long, value_name = "NAMESPACE", value_delimiter = ',', value_parser = namespace)]
    pub namespace: Vec<String>,

    /// Look at every namespace
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// Look at the namespaces with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["namespace", "all_namespaces", "filename"])]
    pub selector: Option<String>,

    /// File, folder or - for standard input, instead of a cluster (can be repeated)
    #[arg(short, long = "filename", value_name = "FILE", visible_alias = "file")]
    pub filename: Vec<PathBuf>,

    /// Read folders with all their folders
    #[arg(short = 'R', long, requires = "filename")]
    pub recursive: bool,

    /// Judge the files on top of what the cluster holds
    #[arg(long, requires = "filename")]
    pub overlay: bool,

    /// Write what was read to a new file, for a bug report: a mesh that -f judges again, without what may be secret
    #[arg(long, value_name = "FILE")]
    pub debug_bundle: Option<PathBuf>,
}

impl ScopeArgs {
    /// One namespace of a cluster.
    pub(super) fn of(namespace: &str) -> Self {
        Self {
            namespace: vec![namespace.to_owned()],
            all_namespaces: false,
            selector: None,
            filename: Vec::new(),
            recursive: false,
            overlay: false,
            debug_bundle: None,
        }
    }
}

/// A name that a namespace can have. Another would stand for something else in an address.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    const LONGEST: usize = 63;
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if text.len() > LONGEST
        || !text.chars().all(inner)
        || text.starts_with('-')
        || text.ends_with('-')
    {
        return Err(
            "not a namespace's name: lower-case letters, digits and hyphens between them, 63 at most"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Namespaces of the cluster and of Istio itself.
const RESERVED: &[&str] = &[
    "istio-system",
    "kube-system",
    "kube-public",
    "kube-node-lease",
];

/// Refuses the namespaces of the cluster and of Istio itself.
pub(super) fn holds_applications(namespace: &str) -> Result<(), Error> {
    if !RESERVED.contains(&namespace) {
        return Ok(());
    }
    Err(Error::new(
        Exit::Usage,
        format!("{namespace} holds no applications: it is not moved"),
    )
    .hint("`-n NAMESPACE` names one that does"))
}
