//! `completion`: of `kubectl ambient …` by kubectl, and of the program itself by a shell.
//!
//! kubectl completes a plugin by asking `kubectl_complete-PLUGIN` on the PATH. krew links one file of a
//! plugin only, so `completion install` puts that file beside our link.

mod candidates;
mod install;

use std::ffi::OsString;

use clap::{Args, Subcommand};
use clap_complete::CompleteEnv;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::{Settings, Ui};

/// The word by which kubectl's file asks for candidates; `kubectl` itself uses it.
const ASK: &str = "__complete";
/// The variable by which a shell's script does.
const VARIABLE: &str = "KUBECTL_AMBIENT_COMPLETE";

/// Complete commands, flags and names in a shell
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CompletionArgs {
    #[command(subcommand)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  kubectl ambient completion install             for kubectl's own completion
  source <(kubectl-ambient completion bash)      in ~/.bashrc, for `kubectl-ambient`
  source <(kubectl-ambient completion zsh)       in ~/.zshrc
  kubectl-ambient completion fish | source       in ~/.config/fish/config.fish";

#[derive(Debug, Subcommand)]
enum Target {
    /// Print a script for bash
    Bash,
    /// Print a script for zsh
    Zsh,
    /// Print a script for fish
    Fish,
    Install(install::InstallArgs),
}

pub(super) fn run(args: &CompletionArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let text = match &args.target {
        Target::Bash => script(&Bash, context)?,
        Target::Zsh => script(&Zsh, context)?,
        Target::Fish => script(&Fish, context)?,
        Target::Install(args) => install::run(args, context)?,
    };
    context.ui.answer(&text)?;
    Ok(Exit::Ok)
}

/// A script that completes the program under the name it was called by.
fn script(shell: &dyn EnvCompleter, context: &Context<'_>) -> Result<String, Error> {
    let program = install::file_name(context.called);
    let mut text = Vec::new();
    shell
        .write_registration(VARIABLE, &program, &program, &program, &mut text)
        .map_err(|error| Error::new(Exit::Internal, format!("cannot make the script: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Answers a question for candidates, if the program was started for that.
pub(super) fn answered(arguments: &[OsString]) -> Option<Exit> {
    if arguments.get(1).is_some_and(|word| word == ASK) {
        let mut words = arguments.to_vec();
        words.remove(1);
        if words.len() == 1 {
            words.push(OsString::new());
        }
        let here = std::env::current_dir().ok();
        let text = candidates::for_kubectl(words, here.as_deref());
        let _gone = Ui::new(Settings::default()).answer(&text);
        return Some(Exit::Ok);
    }
    std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let words: Vec<OsString> = arguments
        .iter()
        .skip_while(|word| *word != "--")
        .skip(1)
        .cloned()
        .collect();
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| candidates::command(&words))
        .var(VARIABLE)
        .try_complete(arguments.to_vec(), here.as_deref());
    match asked {
        Ok(true) => Some(Exit::Ok),
        Ok(false) => None,
        Err(error) => {
            let _gone = error.print();
            Some(Exit::Usage)
        }
    }
}
