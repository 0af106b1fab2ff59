//! `check`: is this namespace ready, and what would break?

use clap::Args;

use super::Context;
use super::fail_on::FailOn;
use super::input::{Loaded, Unnamed, load};
use super::scope::ScopeArgs;
use crate::checks::{self, Check, Ignore, Judgement, Verdict};
use crate::error::Error;
use crate::exit::Exit;
use crate::report::CheckReport;

/// Judge whether namespaces can move to ambient mode, and what stands in the way
///
/// Reads a live cluster or, with -f, manifests. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    scope: ScopeArgs,

    /// Run only these checks (comma-separated ids or beginnings of ids, e.g. AMB3)
    #[arg(long, help_heading = JUDGEMENT, value_name = "ID", value_delimiter = ',')]
    checks: Vec<String>,

    /// Leave a check's findings out of the report, with the reason (can be repeated)
    #[arg(long, help_heading = JUDGEMENT, value_name = "ID=REASON")]
    ignore: Vec<String>,

    /// File that says which findings are left out; by default .ambient.yaml in the folders given with -f
    #[arg(long, help_heading = JUDGEMENT, value_name = "FILE")]
    config: Option<std::path::PathBuf>,

    /// Exit with 1 from findings of this severity on
    #[arg(long, help_heading = JUDGEMENT, value_enum, default_value_t, value_name = "SEVERITY")]
    fail_on: FailOn,

    /// Count checks whose input is absent as not looked at
    #[arg(long, help_heading = JUDGEMENT)]
    strict: bool,
}

/// The heading of the flags that say how findings count.
const JUDGEMENT: &str = "Judgement";

const EXAMPLES: &str = "\
Examples:
  kubectl ambient check -n shop                  judge a namespace of the cluster
  kubectl ambient check -A --fail-on change      judge every namespace with sidecars
  kubectl ambient check -f manifests/ -R         judge a tree of manifests, without a cluster
  helm template shop | kubectl ambient check -f -
  kubectl ambient check -f manifests/ -R -o sarif > ambient.sarif
  kubectl ambient check -f manifests/ -R -o markdown >> \"$GITHUB_STEP_SUMMARY\"";

pub(super) fn run(args: &CheckArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let checks = selected(&args.checks)?;
    let mut ignore = args
        .ignore
        .iter()
        .map(|text| ignore(text))
        .collect::<Result<Vec<_>, _>>()?;
    ignore.extend(super::config::read(
        args.config.as_deref(),
        &args.scope.filename,
    )?);
    let reads = checks.iter().fold(crate::waypoint::READS, |all, check| {
        all.and(check.meta().reads)
    });
    let Loaded {
        mesh,
        scope,
        context: named,
        open_runs,
    } = load(&args.scope, reads, Unnamed::Injected, context)?;
    let mut judgement = checks::judge(&mesh, &scope, &checks, args.strict);
    judgement.ignore(&ignore);
    let mut report = CheckReport::new(&mesh, &scope, &judgement, context.output.header(named));
    report.fail_on = args.fail_on.severity();
    report.open_runs = open_runs;
    context.answer(&report)?;
    Ok(exit(&judgement, &scope, args.fail_on))
}

fn exit(judgement: &Judgement, scope: &checks::Scope, fail_on: FailOn) -> Exit {
    let failed = fail_on
        .severity()
        .is_some_and(|threshold| judgement.findings.iter().any(|f| f.severity >= threshold));
    let undecided = scope.is_empty()
        || scope
            .iter()
            .any(|namespace| judgement.verdict(namespace) == Verdict::Undecided);
    if failed {
        Exit::Negative
    } else if undecided {
        Exit::Undecided
    } else {
        Exit::Ok
    }
}

fn selected(wanted: &[String]) -> Result<Vec<&'static dyn Check>, Error> {
    if wanted.is_empty() {
        return Ok(checks::all().collect());
    }
    let mut chosen = vec![false; checks::all().count()];
    for text in wanted {
        let beginning = text.to_ascii_uppercase();
        let mut any = false;
        for (position, check) in checks::all().enumerate() {
            if check.meta().id.0.starts_with(&beginning) {
                chosen[position] = true;
                any = true;
            }
        }
        if !any || beginning.is_empty() {
            return Err(unknown(text));
        }
    }
    Ok(checks::all()
        .zip(chosen)
        .filter(|(_, chosen)| *chosen)
        .map(|(check, _)| check)
        .collect())
}

pub(super) fn unknown(id: &str) -> Error {
    Error::new(Exit::Usage, format!("there is no check `{id}`"))
        .hint("`kubectl ambient explain --list` prints all of them")
}

fn ignore(text: &str) -> Result<Ignore, Error> {
    let Some((id, reason)) = text
        .split_once('=')
        .and_then(|(id, reason)| Some((id, super::config::reason(reason)?)))
    else {
        return Err(Error::new(
            Exit::Usage,
            format!("`--ignore {text}` gives no reason; it is written ID=REASON"),
        ));
    };
    match checks::by_id(id) {
        Some(check) => Ok(Ignore {
            check: check.meta().id,
            object: None,
            namespace: None,
            reason,
        }),
        None => Err(unknown(id)),
    }
}
