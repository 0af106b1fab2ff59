//! The plan made once more, under the lock: nobody else moves the namespace then, and somebody may have changed
//! it until then.

use std::collections::BTreeSet;

use super::moving::{absent, blocked};
use super::{ConvertArgs, are_there, asked, plans};
use crate::cli::Context;
use crate::cli::input::{Unnamed, load_whole};
use crate::error::Error;
use crate::exit::Exit;
use crate::kinds::ObjectRef;
use crate::plan::{self, Accepted, Obstacle, Plan, seen};
use crate::report::convert::Reasons;
use crate::translate::{self, Decision, Translated};

/// A plan that is made once more, with what is there now.
#[derive(Debug)]
pub(super) struct Anew {
    plan: Plan,
    obstacles: Vec<Obstacle>,
    seen: BTreeSet<ObjectRef>,
}

/// Makes a plan once more.
pub(super) type Again<'a> = dyn Fn() -> Result<Anew, Error> + 'a;

/// Reads the cluster and makes the plan once more.
pub(super) fn again(
    args: &ConvertArgs,
    reasons: &Reasons,
    accepted: &Accepted,
    context: &Context<'_>,
) -> Result<Anew, Error> {
    let loaded = load_whole(
        &args.scope,
        plan::reads(),
        translate::WRITES,
        Unnamed::Injected,
        context,
    )?;
    are_there(&loaded.mesh, &loaded.scope)?;
    let namespaces = loaded.scope.iter().cloned().collect();
    let platform = asked::Platform::parse(args)?;
    let options = asked::options(args, reasons, &platform, &loaded.mesh, &namespaces)?;
    let Translated {
        mesh, translation, ..
    } = translate::translate_on(loaded.mesh, &namespaces, &options);
    let decision = Decision::new(&translation, &options, &mesh);
    let mut planned = plans(args, &mesh, &loaded.scope, &decision, &options, accepted).into_iter();
    let first = loaded.scope.iter().next().zip(planned.next());
    let Some((namespace, (plan, obstacles))) = first else {
        return Err(absent(
            &args
                .scope
                .namespace
                .first()
                .map_or("", String::as_str)
                .into(),
        ));
    };
    Ok(Anew {
        plan,
        obstacles,
        seen: seen::seen(&mesh, namespace),
    })
}

impl Anew {
    /// Refuses to begin where the namespace is no longer what the plan saw, or something stands in the way by
    /// now.
    pub(super) fn is_still(&self, plan: &Plan, was: &BTreeSet<ObjectRef>) -> Result<(), Error> {
        let namespace = &plan.namespace;
        let new = self.seen.iter().find(|object| !was.contains(*object));
        let difference = match new {
            Some(new) => Some(format!("{new} is new")),
            None => plan.first_difference(&self.plan),
        };
        if let Some(difference) = difference {
            let message = format!(
                "namespace {namespace} has changed since its plan was made: {difference}; nothing was changed"
            );
            return Err(Error::new(Exit::Stale, message).hint(format!(
                "look at it again: kubectl ambient convert -n {namespace}"
            )));
        }
        let open = self.obstacles.iter().filter(|one| one.accepted.is_none());
        match open.collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            open => Err(blocked(namespace, open)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;
    use crate::plan::{Direction, Manner, Step, StepId};

    fn plan(steps: &[StepId]) -> Plan {
        let step = |id: &StepId| Step {
            id: id.clone(),
            wave: 0,
            stages: Vec::new(),
            rollouts: Vec::new(),
            risks: Vec::new(),
        };
        Plan {
            namespace: "shop".into(),
            direction: Direction::Forward,
            manner: Manner::Namespace,
            steps: steps.iter().map(step).collect(),
            remainder: Vec::new(),
            rest: Vec::new(),
            bypasses: Vec::new(),
        }
    }

    #[test]
    fn what_changed_until_the_lock_is_held_ends_it() {
        let obstacle = Obstacle {
            id: None,
            object: None,
            says: "a pod is not up".to_owned(),
            remedy: None,
            accepted: None,
        };
        let object = |kind, name: &str| ObjectRef::new(kind, &"shop".into(), &name.into());
        let was = BTreeSet::from([object(Kind::Service, "pay")]);
        let more = BTreeSet::from([object(Kind::Deployment, "new")]);
        let shown = plan(&[StepId::Bind]);
        for (now, obstacles, seen, says) in [
            (plan(&[StepId::Bind]), vec![], &was, None),
            (plan(&[StepId::Hbone]), vec![], &was, Some("step hbone")),
            (
                plan(&[StepId::Bind]),
                vec![],
                &more,
                Some("Deployment/new -n shop is new"),
            ),
            (
                plan(&[StepId::Bind]),
                vec![obstacle],
                &was,
                Some("stands in the way"),
            ),
        ] {
            let now = Anew {
                plan: now,
                obstacles,
                seen: seen.clone(),
            };
            match (now.is_still(&shown, &was), says) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => assert!(error.message.contains(words), "{error}"),
                (outcome, _) => panic!("{says:?}: {outcome:?}"),
            }
        }
    }
}
