//! Runs that are known of a namespace: whether they can be read, and are about this place.

use crate::error::Error;
use crate::execute::{Found, Runs};
use crate::exit::Exit;
use crate::journal::Journal;
use crate::kinds::Name;

/// Refuses to begin anything beside a run that cannot be read: it may be half-way.
pub(super) fn all_readable(known: &[Found]) -> Result<(), Error> {
    known.iter().try_for_each(|found| match readable(found) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.hint(
            "it may be half-way: nothing is begun beside it; delete its ConfigMaps only when you know that it is not",
        )),
    })
}

/// That no run is open.
pub(super) fn no_run(namespace: &Name, known: &[Found]) -> Error {
    let unreadable = known
        .iter()
        .find_map(|found| Some((found, found.journal.as_ref().err()?)));
    match unreadable {
        Some((found, damage)) => Error::new(
            Exit::Data,
            format!(
                "the journal of run {} of {namespace} cannot be read: {damage}",
                found.run
            ),
        ),
        None => Error::new(
            Exit::Negative,
            format!("namespace {namespace} has no open run"),
        )
        .hint(format!(
            "`kubectl ambient history -n {namespace}` shows those there were"
        )),
    }
}

/// The journal of a run, if it can be read.
pub(crate) fn readable(found: &Found) -> Result<&Journal, Error> {
    found.journal.as_ref().map_err(|damage| {
        Error::new(
            Exit::Data,
            format!("the journal of run {} cannot be read: {damage}", found.run),
        )
    })
}

/// A journal of another cluster, or of a namespace that is gone, says nothing about this one.
pub(crate) fn same_place(runs: &Runs, journal: &Journal) -> Result<(), Error> {
    if let (Some(theirs), Some(ours)) = (&journal.header.home, runs.home())
        && theirs != ours
    {
        let (run, namespace) = (&journal.header.run, runs.namespace());
        return Err(Error::new(
            Exit::Stale,
            format!("run {run} was carried out in an earlier namespace {namespace}, which is gone"),
        )
        .hint(format!(
            "what it says is about objects that are gone: `kubectl delete configmap -n {namespace} -l kubectl-ambient/run={run}` removes it"
        )));
    }
    match (&journal.header.cluster, runs.cluster()) {
        (Some(theirs), Some(ours)) if theirs != ours => Err(Error::new(
            Exit::Stale,
            format!(
                "run {} was carried out in another cluster",
                journal.header.run
            ),
        )
        .hint("`--context` chooses another cluster")),
        _ => Ok(()),
    }
}
