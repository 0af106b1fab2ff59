//! `--save-plan` and `--plan`: a plan in a file, for the cluster that it was made for.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::moving::RunArgs;
use crate::cli::Context;
use crate::client::ConnectOptions;
use crate::error::{Error, why};
use crate::execute::{Runs, cluster_of};
use crate::exit::Exit;
use crate::plan::{Obstacle, Plan};

/// A plan as a file holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The `uid` of the cluster's namespace `kube-system`; nothing where it may not be read.
    cluster: Option<String>,
    /// The plan.
    plan: Plan,
}

/// Writes the plan to the file that was asked for, and does nothing else.
pub(super) fn save_only(
    args: &RunArgs,
    planned: &[(Plan, Vec<Obstacle>)],
    runs: Option<&Runs>,
    context: &Context<'_>,
) -> Result<(), Error> {
    match (&args.save_plan, planned) {
        (None, _) => Ok(()),
        (Some(path), [(plan, _)]) => {
            let cluster = match runs {
                Some(runs) => runs.cluster().map(str::to_owned),
                None => cluster_of(
                    &ConnectOptions::from(context.connection),
                    context.ui.clone(),
                )?,
            };
            if cluster.is_none() {
                context.ui.note("the plan names no cluster: Namespace/kube-system, by which clusters are told apart, may not be read");
            }
            save(
                &Saved {
                    cluster,
                    plan: plan.clone(),
                },
                path,
            )
        }
        (Some(_), _) => {
            let message = "`--save-plan` keeps the plan of one namespace";
            Err(Error::new(Exit::Usage, message).hint("give -n once"))
        }
    }
}

/// Writes a plan to a file.
fn save(saved: &Saved, path: &Path) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(saved)
        .map_err(|error| Error::new(Exit::Internal, format!("cannot write the plan: {error}")))?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| {
        let message = format!(
            "cannot write the plan to {}: {}",
            path.display(),
            why(&error)
        );
        Error::new(Exit::Data, message)
    })
}

impl Saved {
    /// The plan that is to be gone by, if one was named.
    pub(super) fn read(args: &RunArgs) -> Result<Option<Self>, Error> {
        let Some(path) = &args.plan else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read the plan {}: {}", path.display(), why(&error));
            Error::new(Exit::Data, message)
        })?;
        let saved = serde_json::from_str(&text).map_err(|error| {
            Error::new(
                Exit::Data,
                format!("{} is not a plan: {error}", path.display()),
            )
            .hint("`kubectl ambient convert -n NAMESPACE --save-plan FILE` writes one")
        })?;
        Ok(Some(saved))
    }

    /// Refuses a plan that was made for another cluster or namespace. What does not tell its cluster is still
    /// compared field by field.
    pub(super) fn is_for(
        &self,
        cluster: Option<&str>,
        namespace: &str,
        path: &Path,
    ) -> Result<(), Error> {
        let path = path.display();
        if let (Some(theirs), Some(ours)) = (self.cluster.as_deref(), cluster)
            && theirs != ours
        {
            let message = format!("{path} is the plan of another cluster; nothing was changed");
            return Err(Error::new(Exit::Stale, message)
                .hint(format!("it was made where Namespace/kube-system has the uid {theirs}; here it is {ours}"))
                .hint("`--context` chooses another cluster"));
        }
        if *self.plan.namespace != *namespace {
            let message = format!(
                "{path} is the plan of namespace {}, not of {namespace}; nothing was changed",
                self.plan.namespace
            );
            return Err(Error::new(Exit::Stale, message));
        }
        Ok(())
    }

    /// Refuses a plan that is not what the cluster asks for today.
    pub(super) fn is_as(&self, plan: &Plan, path: &Path) -> Result<(), Error> {
        let Some(difference) = self.plan.first_difference(plan) else {
            return Ok(());
        };
        let message = format!(
            "namespace {} is no longer what {} saw: {difference}",
            plan.namespace,
            path.display()
        );
        Err(Error::new(Exit::Stale, message)
            .hint("look at the plan of today: kubectl ambient convert, and save that one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Direction, Manner};

    #[test]
    fn a_plan_is_for_its_own_cluster_and_namespace() {
        let plan = Plan {
            namespace: "shop".into(),
            direction: Direction::Forward,
            manner: Manner::Namespace,
            steps: Vec::new(),
            remainder: Vec::new(),
            rest: Vec::new(),
            bypasses: Vec::new(),
        };
        let saved = |cluster: Option<&str>| Saved {
            cluster: cluster.map(str::to_owned),
            plan: plan.clone(),
        };
        let path = Path::new("plan.json");
        for (theirs, ours, namespace, refused) in [
            (Some("a"), Some("a"), "shop", None),
            (Some("a"), Some("b"), "shop", Some("another cluster")),
            (Some("a"), Some("a"), "bank", Some("not of bank")),
            (None, Some("a"), "shop", None),
            (Some("a"), None, "shop", None),
        ] {
            let said = saved(theirs).is_for(ours, namespace, path).err();
            match (said, refused) {
                (None, None) => {}
                (Some(error), Some(words)) => {
                    assert!(error.message.contains(words), "{error}");
                    assert_eq!(error.exit, Exit::Stale);
                }
                (said, _) => panic!("{theirs:?} {ours:?} {namespace}: {said:?}"),
            }
        }
        let text = serde_json::to_string(&saved(Some("a"))).unwrap();
        let read: Saved = serde_json::from_str(&text).unwrap();
        assert_eq!((read.cluster.as_deref(), read.plan), (Some("a"), plan));
    }
}
