//! The loop around the machine: it asks what comes next, does it, and notes what became of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Mutex;

use super::cluster::{Cluster, Wait, WriteError};
use super::lease::{Lock, Loss};
use super::newcomers::newcomers;
use super::store::{Store, StoreError};
use super::waypoint;
use crate::event::{Event, Listener};
use crate::journal::machine::{self, Next, Until};
use crate::journal::{Journal, Place, Progress, Record};
use crate::kinds::{Kind, ObjectRef};
use crate::plan::{Direction, Drift, Standing, StepId, Write};

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many steps of a wave are under way at once.
    pub parallel: usize,
    /// How long a stage may take until what it waits for holds.
    pub timeout: Duration,
    /// The step after which it stops.
    pub pause_after: Option<StepId>,
    /// How far it goes.
    pub until: Until,
    /// Whether a rollback overwrites what somebody changed since.
    pub overwrite_drift: bool,
}

/// Why a run has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// All is done but `finish`; these still have sidecars.
    Done(Vec<ObjectRef>),
    /// All is done.
    Finished,
    /// It stopped after a step, as it was told.
    Paused(StepId),
    /// It stopped in a step.
    Halted(StepId, String),
    /// Somebody asked it to stop.
    Stopped(Stop),
}

/// Why a run cannot go on, beyond what its journal says.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The journal cannot be kept, so nothing more is changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock is lost, so nothing more is changed.
    #[error(transparent)]
    Lock(#[from] Loss),
}

/// A run under way.
#[derive(Debug)]
pub struct Run<'r, 'c> {
    cluster: &'r Cluster<'c>,
    settings: &'r Settings,
    lock: &'r Lock,
    stop: tokio::sync::watch::Receiver<Option<Stop>>,
    kept: Mutex<(Journal, Store<'c>)>,
    halt: RefCell<Option<Halt>>,
    /// Whether it was looked what has come since the plan was made.
    looked: Cell<bool>,
}

/// What ends a run before its end.
#[derive(Debug, Clone)]
enum Halt {
    Step(StepId, String),
    Error(RunError),
    Stop(Stop),
}

impl<'r, 'c> Run<'r, 'c> {
    /// A run of a journal that is kept.
    pub fn new(
        cluster: &'r Cluster<'c>,
        settings: &'r Settings,
        lock: &'r Lock,
        stop: tokio::sync::watch::Receiver<Option<Stop>>,
        journal: Journal,
        store: Store<'c>,
    ) -> Self {
        Self {
            cluster,
            settings,
            lock,
            stop,
            kept: Mutex::new((journal, store)),
            halt: RefCell::default(),
            looked: Cell::default(),
        }
    }

    /// The journal, when the run is over, and where it is kept.
    pub fn into_journal(self) -> (Journal, Store<'c>) {
        self.kept.into_inner()
    }

    /// Carries it out, as far as it goes.
    ///
    /// # Errors
    /// When the journal can no longer be kept or the lock is lost. Nothing was changed after that.
    pub async fn carry_out(&self, listener: &dyn Listener) -> Result<RunEnd, RunError> {
        loop {
            let (steps, of) = {
                let kept = self.kept.lock().await;
                (
                    machine::ready(&kept.0, self.settings.until),
                    kept.0.plan.steps.len(),
                )
            };
            if steps.is_empty() {
                return self.ended().await;
            }
            let ids = self.ids(&steps).await;
            if let Err(why) = self.nothing_came(&ids).await {
                let step = ids.first().cloned().unwrap_or(StepId::Verify);
                let record = Record::Halted {
                    step: step.clone(),
                    why: why.clone(),
                };
                self.note(record).await?;
                return Ok(RunEnd::Halted(step, why));
            }
            stream::iter(steps.iter().zip(&ids))
                .map(|(step, id)| self.step(*step, id, of, listener))
                .buffer_unordered(self.settings.parallel.max(1))
                .collect::<Vec<()>>()
                .await;
            let halt = self.halt.borrow_mut().take();
            match halt {
                None => {}
                Some(Halt::Step(step, why)) => {
                    let record = Record::Halted {
                        step: step.clone(),
                        why: why.clone(),
                    };
                    self.note(record).await?;
                    return Ok(RunEnd::Halted(step, why));
                }
                Some(Halt::Error(error)) => return Err(error),
                Some(Halt::Stop(stop)) => {
                    let record = Record::Halted {
                        step: ids.first().cloned().unwrap_or(StepId::Verify),
                        why: "somebody asked it to stop".to_owned(),
                    };
                    self.note(record).await?;
                    return Ok(RunEnd::Stopped(stop));
                }
            }
            if let Some(after) = &self.settings.pause_after
                && ids.contains(after)
            {
                let record = Record::Paused {
                    after: after.clone(),
                };
                self.note(record).await?;
                return Ok(RunEnd::Paused(after.clone()));
            }
        }
    }

    /// Before the first workload is switched, and before all of it is verified: that nothing has come since
    /// the plan was made which nobody has looked at.
    async fn nothing_came(&self, ids: &[StepId]) -> Result<(), String> {
        let switches = ids.iter().any(|id| matches!(id, StepId::Switch(_)));
        let first = switches && !self.looked.replace(true);
        if !first && !ids.contains(&StepId::Verify) {
            return Ok(());
        }
        let journal = self.kept.lock().await.0.clone();
        let new = newcomers(self.cluster.client(), &journal).await;
        match new.map_err(|error| error.message)?.as_slice() {
            [] => Ok(()),
            new => Err(format!(
                "the plan would be another by now: {}; take the run back and plan anew",
                new.join(", ")
            )),
        }
    }

    async fn ids(&self, steps: &[usize]) -> Vec<StepId> {
        let kept = self.kept.lock().await;
        steps
            .iter()
            .map(|step| kept.0.plan.steps[*step].id.clone())
            .collect()
    }

    async fn ended(&self) -> Result<RunEnd, RunError> {
        let (direction, remainder, has_finish) = {
            let kept = self.kept.lock().await;
            let plan = &kept.0.plan;
            let finish = plan.position(&StepId::Finish).is_some();
            (plan.direction, plan.remainder.clone(), finish)
        };
        let finished = self.settings.until == Until::Finished
            || direction == Direction::Back
            || (!has_finish && remainder.is_empty());
        if finished {
            self.note(Record::Finished).await?;
            return Ok(RunEnd::Finished);
        }
        let record = Record::Done {
            remainder: remainder.clone(),
        };
        self.note(record).await?;
        Ok(RunEnd::Done(remainder))
    }

    async fn note(&self, record: Record) -> Result<(), RunError> {
        let mut kept = self.kept.lock().await;
        let (journal, store) = &mut *kept;
        let entry = journal.note(&now(), record).clone();
        Ok(store.append(&entry).await?)
    }

    /// The first reason counts; what others meet after it follows from it.
    fn halted(&self, halt: Halt) {
        self.halt.borrow_mut().get_or_insert(halt);
    }

    fn has_to_stop(&self) -> bool {
        if self.halt.borrow().is_some() {
            return true;
        }
        if let Err(loss) = self.lock.still_held() {
            self.halted(Halt::Error(loss.into()));
            return true;
        }
        let stop = self.stop.borrow().clone();
        if let Some(stop) = stop {
            self.halted(Halt::Stop(stop));
            return true;
        }
        false
    }

    /// Does all of a step, or as much as can be done.
    async fn step(&self, step: usize, id: &StepId, of: usize, listener: &dyn Listener) {
        listener.notice(Event::StepBegan {
            step: id.to_string(),
            at: step + 1,
            of,
        });
        loop {
            if self.has_to_stop() {
                return;
            }
            let next = {
                let kept = self.kept.lock().await;
                machine::next(&kept.0, step)
            };
            let done = match next {
                None => {
                    listener.notice(Event::StepDone {
                        step: id.to_string(),
                    });
                    return;
                }
                Some(Next::Begin(place, planned)) => {
                    self.begin(place, &planned, id, listener).await
                }
                Some(Next::Resume(place, write)) => self.make(place, &write, id, listener).await,
                Some(Next::Pass(step, stage, conditions)) => {
                    self.pass((step, stage), &conditions, id, listener).await
                }
            };
            if let Err(halt) = done {
                self.halted(halt);
                return;
            }
        }
    }

    async fn begin(
        &self,
        place: Place,
        planned: &crate::plan::Planned,
        id: &StepId,
        listener: &dyn Listener,
    ) -> Result<(), Halt> {
        let halted = |error: WriteError| Halt::Step(id.clone(), error.to_string());
        let current = self.cluster.read(planned.object()).await.map_err(halted)?;
        let mut write = planned.resolve(current.as_ref(), &now());
        if let Standing::Drifted(drifts) = write.standing(current.as_ref()) {
            let back = self.kept.lock().await.0.plan.direction == Direction::Back;
            match write.overwriting(current.as_ref()) {
                Some(over) if self.settings.overwrite_drift => write = over,
                // Pods would come back as something else than what the rest goes by.
                _ if back && decides_about_pods(write.object()) && current.is_some() => {
                    let object = write.object().clone();
                    return Err(halted(WriteError::Drift { object, drifts }));
                }
                _ if back => {
                    return self.keep(place, write.object(), drifts, listener).await;
                }
                _ => {
                    let object = write.object().clone();
                    return Err(halted(WriteError::Drift { object, drifts }));
                }
            }
        }
        let intent = Record::Intent {
            place,
            write: write.clone(),
        };
        self.note(intent).await.map_err(Halt::Error)?;
        self.make(place, &write, id, listener).await
    }

    async fn keep(
        &self,
        place: Place,
        object: &ObjectRef,
        drift: Vec<Drift>,
        listener: &dyn Listener,
    ) -> Result<(), Halt> {
        for one in &drift {
            listener.notice(Event::Kept {
                object: object.to_string(),
                field: one.field.clone(),
                says: one.says.clone(),
            });
        }
        self.note(Record::Kept { place, drift })
            .await
            .map_err(Halt::Error)
    }

    async fn make(
        &self,
        place: Place,
        write: &Write,
        id: &StepId,
        listener: &dyn Listener,
    ) -> Result<(), Halt> {
        // The lock may have been lost while the intent was noted.
        if self.has_to_stop() {
            return Ok(());
        }
        if let Some(drift) = self.needed_by_others(place, write, id).await? {
            return self.keep(place, write.object(), drift, listener).await;
        }
        let made = match self.cluster.make(write, || self.lock.still_held()).await {
            Ok(made) => made,
            Err(WriteError::Lock(loss)) => return Err(Halt::Error(loss.into())),
            Err(WriteError::Drift { object, drifts })
                if self.kept.lock().await.0.plan.direction == Direction::Back =>
            {
                return self.keep(place, &object, drifts, listener).await;
            }
            Err(error) => return Err(Halt::Step(id.clone(), error.to_string())),
        };
        listener.notice(Event::Wrote {
            verb: match write {
                Write::Create { .. } => "created",
                Write::Change { .. } => "changed",
                Write::Remove { .. } | Write::Delete { .. } => "removed",
            }
            .to_owned(),
            object: write.object().to_string(),
            sent: made.sent,
        });
        let record = Record::Made {
            place,
            generation: made.generation,
        };
        self.note(record).await.map_err(Halt::Error)
    }

    /// Why a rollback leaves a waypoint, or what belongs to one, where it is: somebody else is bound to it
    /// by now.
    async fn needed_by_others(
        &self,
        place: Place,
        write: &Write,
        id: &StepId,
    ) -> Result<Option<Vec<Drift>>, Halt> {
        if !matches!(write, Write::Remove { .. }) {
            return Ok(None);
        }
        let gateway = {
            let kept = self.kept.lock().await;
            if kept.0.plan.direction != Direction::Back {
                return Ok(None);
            }
            kept_gateway(&kept.0, place)
        };
        let says = if let Some(gateway) = gateway {
            Some(format!("belongs to {}, which is kept", gateway.short()))
        } else if write.object().kind == Kind::Gateway {
            let nobody = BTreeSet::new();
            let users = waypoint::users(self.cluster.client(), write.object(), &nobody).await;
            users.map_err(|error| Halt::Step(id.clone(), error.to_string()))?
        } else {
            None
        };
        Ok(says.map(|says| {
            vec![Drift {
                field: String::new(),
                says,
            }]
        }))
    }

    async fn pass(
        &self,
        (step, stage): (usize, usize),
        conditions: &[crate::plan::Condition],
        id: &StepId,
        listener: &dyn Listener,
    ) -> Result<(), Halt> {
        let told = |words: &str| {
            listener.notice(Event::Waits {
                step: id.to_string(),
                what: words.to_owned(),
            });
        };
        let stopped = || self.has_to_stop();
        #[cfg(mutant)]
        let conditions = {
            let direction = self.kept.lock().await.0.plan.direction;
            &super::mutant::spared(direction, id, conditions)
        };
        let waited = self
            .cluster
            .wait(conditions, self.settings.timeout, stopped, told)
            .await
            .map_err(|error| Halt::Step(id.clone(), error.to_string()))?;
        match waited {
            Wait::Over(unconfirmed) => {
                let passed = Record::Passed {
                    step,
                    stage,
                    unconfirmed,
                };
                self.note(passed).await.map_err(Halt::Error)
            }
            Wait::Failed(why) => Err(Halt::Step(id.clone(), why)),
            // Why stands in the run already.
            Wait::Stopped => Ok(()),
        }
    }
}

/// The Gateway that the stage of a write was to remove before it, and that is kept: what else is in the stage
/// belongs to it.
fn kept_gateway(journal: &Journal, place: Place) -> Option<ObjectRef> {
    let state = journal.state();
    let stage = journal
        .plan
        .steps
        .get(place.step)?
        .stages
        .get(place.stage)?;
    let earlier = stage.writes.iter().enumerate().take(place.write);
    let mut gateways = earlier.filter(|(at, planned)| {
        let kept = Place {
            write: *at,
            ..place
        };
        planned.object().kind == Kind::Gateway
            && matches!(state.writes.get(&kept), Some(Progress::Kept(_)))
    });
    gateways.next().map(|(_, planned)| planned.object().clone())
}

/// Whether an object decides what pods are, or what protects them: a rollback does not go past what
/// somebody changed of it.
pub(super) fn decides_about_pods(object: &ObjectRef) -> bool {
    matches!(
        object.kind,
        Kind::Namespace
            | Kind::Service
            | Kind::Deployment
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::Rollout
            | Kind::CronJob
    )
}

/// The time, to the second.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
