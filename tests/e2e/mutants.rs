//! For `make mutants`: a program that takes the steps of one kind for verified without looking is found
//! out by the tests, for each kind of step, and so is one that does not wait for something on the way back.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::{Invocation, Result};

use crate::evidence::{BY_STEP, Test};
use crate::way_back::BY_WAIT;

thread_local! {
    /// The kind of step, or what is waited for in one on the way back, that the commands of this thread do not verify.
    static SPARED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// A command as the mutant that this thread tests.
pub(crate) fn of(command: Invocation<'_>) -> Invocation<'_> {
    match SPARED.get() {
        Some(step) => command.env("KUBECTL_AMBIENT_MUTANT", step),
        None => command,
    }
}

/// Whether a test fails. What it says stands in the output, for whoever asks whether it fails for the right reason.
#[expect(clippy::print_stdout, reason = "it is what is asked for")]
fn fails(test: Test) -> bool {
    match catch_unwind(AssertUnwindSafe(test)) {
        Ok(Ok(())) => false,
        Ok(Err(error)) => {
            println!("{error}");
            true
        }
        Err(_) => true,
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "it is what is asked for")]
fn no_verification_can_be_left_out() -> Result {
    let mut survive = Vec::new();
    for (step, tests) in BY_STEP.into_iter().chain(BY_WAIT) {
        SPARED.set(Some(step));
        let found = tests.iter().filter(|test| fails(**test)).count();
        println!("{step}: {found} of {} tests fail", tests.len());
        if found == 0 {
            survive.push(step);
        }
    }
    SPARED.set(None);
    assert!(survive.is_empty(), "no test fails without: {survive:?}");
    Ok(())
}
