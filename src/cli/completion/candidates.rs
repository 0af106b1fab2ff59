//! What a line can go on with: commands and flags, and the names that the kubeconfig, the cluster and
//! the list of checks hold.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use super::super::Cli;
use super::super::connection::KubeArgs;
use crate::checks;
use crate::client::{ConnectOptions, Environment, KubeconfigNames, RequestTimeout};
use crate::source::live::{Wanted, names};

/// How long a person waits for names of a cluster.
const BUDGET: Duration = Duration::from_secs(1);

/// kubectl's answers end with what its shell scripts do next (Cobra's directives).
const NO_FILES: u8 = 4;
const NO_SPACE: u8 = 2;

/// The program's commands and flags, with what completes the values of those that name something.
///
/// `words` is the line so far: its flags say which cluster is asked.
pub(super) fn command(words: &[OsString]) -> Command {
    let options = Arc::new(options(words));
    with_values(Cli::command(), &options)
}

/// The answer to kubectl: a candidate a line, with what it is after a tab, and a directive.
pub(super) fn for_kubectl(words: Vec<OsString>, here: Option<&Path>) -> String {
    let last = words.len().saturating_sub(1);
    let mut command = command(&words);
    // A line that cannot be completed has no candidates; kubectl shows no errors here.
    let found = complete(&mut command, words, last, here).unwrap_or_default();
    let mut out = String::new();
    for candidate in &found {
        out.push_str(&candidate.get_value().to_string_lossy());
        if let Some(help) = candidate.get_help() {
            let help = help.to_string();
            out.push('\t');
            out.push_str(help.lines().next().unwrap_or_default());
        }
        out.push('\n');
    }
    let goes_on = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().to_string_lossy();
        value.ends_with('/') || value.ends_with('=')
    };
    let mut directive = NO_FILES;
    if !found.is_empty() && found.iter().all(goes_on) {
        directive |= NO_SPACE;
    }
    out.push(':');
    out.push_str(&directive.to_string());
    out.push('\n');
    out
}

fn with_values(command: Command, options: &Arc<ConnectOptions>) -> Command {
    let named: Vec<String> = command
        .get_arguments()
        .map(|arg| arg.get_id().to_string())
        .collect();
    let subcommands: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let is_check = |id: &str| matches!(id, "checks" | "id");
    let mut command = command;
    for id in named {
        let values: fn(&ConnectOptions) -> Vec<String> = match id.as_str() {
            "context" => |options| KubeconfigNames::read(options, &Environment::read()).contexts,
            "cluster" => |options| KubeconfigNames::read(options, &Environment::read()).clusters,
            "user" => |options| KubeconfigNames::read(options, &Environment::read()).users,
            "namespace" => |options| names(options, Wanted::Namespaces, BUDGET),
            "run" => |options| names(options, Wanted::Runs, BUDGET),
            id if is_check(id) => |_| {
                checks::all()
                    .map(|check| check.meta().id.to_string())
                    .collect()
            },
            _ => continue,
        };
        let told = is_check(&id);
        let options = options.clone();
        let completer =
            ArgValueCompleter::new(move |word: &OsStr| beginning(word, values(&options), told));
        command = command.mut_arg(&id, |arg| arg.add(completer));
    }
    for name in subcommands {
        command = command.mut_subcommand(&name, |sub| with_values(sub, options));
    }
    command
}

/// The values that begin with the word; those of checks with what they find.
fn beginning(word: &OsStr, values: Vec<String>, checks: bool) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    values
        .into_iter()
        .filter(|value| value.starts_with(&*word))
        .map(|value| {
            let help = checks.then(|| checks::by_id(&value)).flatten();
            let help = help.map(|check| check.meta().slug.into());
            CompletionCandidate::new(value).help(help)
        })
        .collect()
}

/// The connection that a line names so far. What is wrong with it is left out.
fn options(words: &[OsString]) -> ConnectOptions {
    let parsed = Cli::command()
        .ignore_errors(true)
        .try_get_matches_from(words);
    let Ok(matches) = parsed else {
        return ConnectOptions::default();
    };
    let connection = KubeArgs::from_arg_matches(&matches).unwrap_or_default();
    let mut options = ConnectOptions::from(&connection);
    options.namespace = namespace(&matches);
    options.request_timeout = RequestTimeout::of(BUDGET);
    options
}

/// The namespace that the innermost command was given.
fn namespace(matches: &ArgMatches) -> Option<String> {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    let named = innermost.try_get_many::<String>("namespace").ok().flatten();
    named.and_then(|mut names| names.next().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> Vec<String> {
        let words = format!("kubectl-ambient {line}");
        let words = words.split(' ').map(OsString::from).collect();
        let text = for_kubectl(words, None);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn commands_are_told_with_what_they_do() {
        assert_eq!(
            answer("che"),
            [
                "check\tJudge whether namespaces can move to ambient mode, and what stands in the way",
                ":4"
            ]
        );
        assert!(
            answer("waypoint ")
                .iter()
                .any(|line| line.starts_with("apply\t"))
        );
        assert_eq!(answer("explain nothing-like-it"), [":4"]);
    }

    #[test]
    fn values_are_those_that_the_flag_takes() {
        let formats = answer("check -o ");
        assert!(formats.iter().any(|line| line.starts_with("sarif\t")));
        assert_eq!(answer("check --fail-on ch"), ["change", ":4"]);
        assert_eq!(
            answer("explain AMB301"),
            ["AMB301\tallow-with-l7-fields", ":4"]
        );
        assert!(
            answer("check --checks AMB101,AMB3")
                .iter()
                .any(|line| line.starts_with("AMB101,AMB301"))
        );
    }

    #[test]
    fn contexts_are_those_of_the_kubeconfig_that_the_line_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "contexts: [{name: prod-eu, context: {cluster: a, user: b}}, {name: test, context: {cluster: a, user: b}}]",
        )
        .unwrap();
        let line = format!("check --kubeconfig {} --context p", file.path().display());
        assert_eq!(answer(&line), ["prod-eu", ":4"]);
    }
}
