//! The runs of a namespace: those there were, and those that are carried out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cluster::Cluster;
use super::holder::Holder;
use super::lease::{Lock, LockError, LockTimes};
use super::newcomers::newcomers;
use super::run::{Run, RunEnd, RunError, Settings, Stop, decides_about_pods, now};
use super::session::Session;
use super::signals::Signals;
use super::store::{Found, Shelf, Store, StoreError};
use super::waypoint;
use crate::client::{Client, ConnectOptions, Target, WriteOptions};
use crate::error::Error;
use crate::event::Listener;
use crate::exit::Exit;
use crate::journal::{Ended, Journal, Place, Purpose, Record, RunId, undo};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::plan::{Direction, Plan, Planned, Standing, Write};

/// The runs of a namespace, over a connection.
pub struct Runs {
    session: Session,
    namespace: Name,
    shelf: Shelf,
    cluster: Option<String>,
    home: Option<String>,
    holder: Holder,
    options: WriteOptions,
}

/// A run that was carried out, as far as it went.
#[derive(Debug)]
pub struct Carried {
    /// How it ended.
    pub end: RunEnd,
    /// Its journal.
    pub journal: Journal,
    /// Why this machine keeps no copy of the journal, if it does not.
    pub unwritable: Option<String>,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs")
            .field("namespace", &self.namespace)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Runs {
    /// Connects. Where no namespace is named, the connection's own is meant.
    ///
    /// # Errors
    /// When there is no way to connect, or the namespace is not there.
    pub fn connect(
        options: &ConnectOptions,
        namespace: Option<&str>,
        writes: WriteOptions,
        listener: Arc<dyn Listener + Send>,
    ) -> Result<Self, Error> {
        let session = Session::connect(options, listener)?;
        let cluster = session.run(async |client| uid(client, "kube-system").await);
        let client = Arc::clone(session.client());
        let namespace = Name::from(namespace.unwrap_or(client.namespace()));
        let home = session.run(async |client| uid(client, &namespace).await);
        let told_apart = cluster
            .clone()
            .unwrap_or_else(|| client.server().to_owned());
        Ok(Self {
            shelf: Shelf::new(&namespace, home.as_deref(), &told_apart),
            namespace,
            cluster,
            home,
            holder: Holder::this_process(),
            options: writes,
            session,
        })
    }

    /// The namespace.
    pub fn namespace(&self) -> &Name {
        &self.namespace
    }

    /// The `uid` of the cluster's `kube-system`, if it may be read.
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The `uid` of the namespace, if it may be read.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// Who this is, for the journal.
    pub fn who(&self) -> String {
        self.holder.to_string()
    }

    /// The kubeconfig's context.
    pub fn context(&self) -> Option<&str> {
        self.session.client().context()
    }

    /// The journals of the namespace, oldest first.
    ///
    /// # Errors
    /// When they may not be read.
    pub fn journals(&self) -> Result<Vec<Found>, Error> {
        let found = self
            .session
            .run(async |client| self.shelf.journals(client).await);
        found.map_err(|error| stored(&error))
    }

    /// Asks for all rights that a plan needs.
    ///
    /// # Errors
    /// When one is missing, or the server does not answer.
    pub fn review(&self, plan: &Plan) -> Result<(), Error> {
        self.session.run(async |client| {
            let cluster = Cluster::new(client, self.options).await?;
            cluster.review(&self.namespace, plan.writes()).await
        })
    }

    /// Refuses to go on with a run where something has come since that its plan knows nothing of: nobody
    /// would have looked at it.
    ///
    /// # Errors
    /// When there is something, or what is there cannot be read.
    pub fn nothing_new(&self, journal: &Journal) -> Result<(), Error> {
        let look = async |client: &Arc<Client>| newcomers(client, journal).await;
        let new = self.session.run(look)?;
        if new.is_empty() {
            return Ok(());
        }
        let (run, namespace) = (&journal.header.run, &self.namespace);
        Err(Error::new(
            Exit::Stale,
            format!(
                "namespace {namespace} is no longer what run {run} was planned for: {}",
                new.join(", ")
            ),
        )
        .hint(format!(
            "take it back and plan anew: kubectl ambient rollback -n {namespace}"
        )))
    }

    /// The waypoints that a plan back would remove and that stay, since others are bound to them or may be:
    /// each with the reason. What the plan itself unbinds does not count.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn kept_waypoints(&self, plan: &Plan) -> Result<Vec<(ObjectRef, String)>, Error> {
        if plan.direction != Direction::Back {
            return Ok(Vec::new());
        }
        let written = plan.written();
        let removed = plan.writes().filter_map(|planned| match planned {
            Planned::Write(Write::Remove { object, .. }) if object.kind == Kind::Gateway => {
                Some(object)
            }
            _ => None,
        });
        self.session.run(async |client| {
            let mut kept = Vec::new();
            for gateway in removed {
                let users = waypoint::users(client, gateway, &written).await?;
                kept.extend(users.map(|why| (gateway.clone(), why)));
            }
            Ok(kept)
        })
    }

    /// The pods of the namespace that have sidecars, by name.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn sidecars(&self) -> Result<Vec<String>, Error> {
        self.session.run(async |client| {
            let cluster = Cluster::new(client, self.options).await?;
            let pods = cluster.pods(&self.namespace).await?;
            let with = pods
                .iter()
                .filter(|pod| crate::plan::condition::has_sidecar(pod));
            let names = with.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned));
            Ok(names.collect())
        })
    }

    /// Sends every write of a plan for the server to judge, without any being made, and gives its
    /// verdicts: the object, and why it is refused.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn dry_run(&self, plan: &Plan) -> Result<Vec<(String, Option<String>)>, Error> {
        self.session.run(async |client| {
            let options = WriteOptions {
                dry_run: true,
                ..self.options
            };
            let cluster = Cluster::new(client, options).await?;
            let mut verdicts = Vec::new();
            let mut made = BTreeSet::new();
            for planned in plan.writes() {
                let object = planned.object();
                let current = match cluster.read(object).await {
                    Ok(current) => current,
                    Err(error) => {
                        verdicts.push((object.to_string(), Some(error.to_string())));
                        continue;
                    }
                };
                // What an earlier write of this plan makes or changes is not there to be judged.
                if current.is_none() && made.contains(object) || !made.insert(object.clone()) {
                    continue;
                }
                if current.is_none() && matches!(planned, Planned::Set { .. } | Planned::Restart(_))
                {
                    continue;
                }
                let write = planned.resolve(current.as_ref(), &now());
                let refused = cluster
                    .make(&write, || Ok(()))
                    .await
                    .err()
                    .map(|error| error.to_string());
                verdicts.push((object.to_string(), refused));
            }
            Ok(verdicts)
        })
    }

    /// Begins a run, or goes on with one that was found, and carries it out as far as it goes. `look` is asked
    /// once the lock is held, before anything is changed.
    ///
    /// # Errors
    /// When somebody else holds the lock, `look` says no, or the journal cannot be kept: then nothing is
    /// changed.
    pub fn carry_out(
        &self,
        journal: Journal,
        going_on: Option<&Found>,
        settings: &Settings,
        listener: &dyn Listener,
        look: &dyn Fn() -> Result<(), Error>,
    ) -> Result<Carried, Error> {
        let lock = self.session.run(async |client| self.lock(client).await)?;
        let looked = self.session.beside(look);
        self.session.run(async |client| {
            let carried = if let Err(error) = looked {
                Err(error)
            } else {
                let locked = self.locked(client, &lock, journal, going_on, settings, listener);
                // It holds all that is read of a mesh on the way.
                Box::pin(locked).await
            };
            // A write may be under way still: the Lease is left to expire.
            let at_once = matches!(&carried, Err(error) if matches!(error.exit, Exit::Interrupted | Exit::Terminated));
            if !at_once {
                lock.release().await;
            }
            carried
        })
    }

    async fn lock(&self, client: &Arc<Client>) -> Result<Lock, Error> {
        let times = LockTimes::read();
        Lock::acquire(client, &self.namespace, &self.holder, times)
            .await
            .map_err(LockError::into)
    }

    async fn locked(
        &self,
        client: &Arc<Client>,
        lock: &Lock,
        mut journal: Journal,
        going_on: Option<&Found>,
        settings: &Settings,
        listener: &dyn Listener,
    ) -> Result<Carried, Error> {
        // Under the lock nobody else begins a run; somebody may have until now.
        let known = self.shelf.journals(client).await.map_err(|e| stored(&e))?;
        let mut store = match going_on {
            None => {
                let undone = match &journal.header.purpose {
                    Purpose::Rollback { of } => of.as_ref(),
                    Purpose::Move => None,
                };
                if let Some(open) = open_run(&known)
                    && Some(&open.run) != undone
                {
                    return Err(already_open(&self.namespace, &open.run));
                }
                let undone = undone.and_then(|run| known.iter().find(|found| found.run == *run));
                self.undoing(client, undone, &journal, settings).await?;
                Store::begin(client, &self.shelf, &journal, &known).await
            }
            Some(found) => {
                let latest = known
                    .iter()
                    .find(|one| one.run == found.run)
                    .unwrap_or(found);
                if let Ok(now) = &latest.journal {
                    journal = now.clone();
                }
                if let Ended::RolledBack(by, _) = journal.state().ended {
                    return Err(Error::new(
                        Exit::Stale,
                        format!("run {} was taken back by {by} meanwhile", found.run),
                    ));
                }
                Store::resume(client, &self.shelf, latest).await
            }
        }
        .map_err(|error| stored(&error))?;
        if going_on.is_some() {
            let record = Record::Resumed { who: self.who() };
            let entry = journal.note(&now(), record).clone();
            store.append(&entry).await.map_err(|error| stored(&error))?;
            let state = journal.state();
            let places: Vec<Place> = state.kept().map(|(place, _)| place).collect();
            if settings.overwrite_drift && !places.is_empty() {
                let entry = journal.note(&now(), Record::Reopened { places }).clone();
                store.append(&entry).await.map_err(|error| stored(&error))?;
            }
        }
        let unwritable = store.unwritable().map(str::to_owned);
        let cluster = Cluster::new(client, self.options).await?;
        let Signals { stop, again } = Signals::heard(client);
        let resume = going_on_by(&journal);
        let run = Run::new(&cluster, settings, lock, stop, journal, store);
        let end = tokio::select! {
            biased;
            end = run.carry_out(listener) => end,
            stop = again => return Err(ended_at_once(&stop, &self.namespace, &resume)),
        };
        let (journal, _) = run.into_journal();
        match end {
            Ok(end) => Ok(Carried {
                end,
                journal,
                unwritable,
            }),
            Err(error) => Err(broken(&error, &self.namespace)),
        }
    }

    /// What a rollback has to see to before it begins: that the run it undoes is still what it was made
    /// from, that nobody has changed what decides about pods, and that nobody goes on with that run.
    async fn undoing(
        &self,
        client: &Arc<Client>,
        undone: Option<&Found>,
        journal: &Journal,
        settings: &Settings,
    ) -> Result<(), Error> {
        if !matches!(journal.header.purpose, Purpose::Rollback { .. }) {
            return Ok(());
        }
        if !settings.overwrite_drift {
            let cluster = Cluster::new(client, self.options).await?;
            self.undrifted(&cluster, &journal.plan).await?;
        }
        let Some((found, of)) =
            undone.and_then(|found| Some((found, found.journal.as_ref().ok()?)))
        else {
            return Ok(());
        };
        let planned = undo(of, journal.header.to.as_ref()).map(|undo| undo.plan);
        if planned.as_ref() != Some(&journal.plan) {
            return Err(Error::new(
                Exit::Stale,
                format!("run {} went on while it was asked about", found.run),
            )
            .hint("look at it again: kubectl ambient rollback --dry-run"));
        }
        let mut of = of.clone();
        let mut store = Store::resume(client, &self.shelf, found)
            .await
            .map_err(|error| stored(&error))?;
        let record = Record::RolledBack {
            by: journal.header.run.clone(),
            to: journal.header.to.clone(),
        };
        let entry = of.note(&now(), record).clone();
        store.append(&entry).await.map_err(|error| stored(&error))
    }

    /// Refuses a rollback of what somebody else has changed since, where that decides about pods.
    async fn undrifted(&self, cluster: &Cluster<'_>, plan: &Plan) -> Result<(), Error> {
        let mut drifted = Vec::new();
        let mut seen = BTreeSet::new();
        for planned in plan.writes() {
            let object = planned.object();
            if !decides_about_pods(object) || !seen.insert(object.clone()) {
                continue;
            }
            let current = cluster
                .read(object)
                .await
                .map_err(|error| Error::new(Exit::Unreachable, error.to_string()))?;
            let write = planned.resolve(current.as_ref(), &now());
            if let (Some(_), Standing::Drifted(drifts)) =
                (&current, write.standing(current.as_ref()))
            {
                let fields = drifts
                    .iter()
                    .map(|drift| format!("{} {}", drift.field, drift.says));
                let fields: Vec<String> = fields.collect();
                drifted.push(format!("{object}: {}", fields.join("; ")));
            }
        }
        if drifted.is_empty() {
            return Ok(());
        }
        let mut error = Error::new(
            Exit::Stale,
            format!(
                "somebody has changed what decides about the pods of {} since; nothing was changed",
                self.namespace
            ),
        );
        for one in drifted {
            error = error.hint(one);
        }
        Err(error.hint("`--overwrite-drift` gives them the values that they had before the run"))
    }

    /// Notes in the journal of a run that another has undone it.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub fn note_rolled_back(&self, found: &Found, by: &RunId) -> Result<(), Error> {
        let Ok(journal) = &found.journal else {
            return Ok(());
        };
        let mut journal = journal.clone();
        self.session.run(async |client| {
            let mut store = Store::resume(client, &self.shelf, found)
                .await
                .map_err(|error| stored(&error))?;
            let record = Record::RolledBack {
                by: by.clone(),
                to: None,
            };
            let entry = journal.note(&now(), record).clone();
            store.append(&entry).await.map_err(|error| stored(&error))
        })
    }

    /// The time, for what begins now.
    pub fn now() -> String {
        now()
    }
}

/// The run of a namespace that is not over; a rollback before the move that it undoes.
pub fn open_run(found: &[Found]) -> Option<&Found> {
    found.iter().rev().find(|found| {
        let journal = found.journal.as_ref().ok();
        journal.is_some_and(|journal| journal.state().is_open())
    })
}

fn already_open(namespace: &Name, run: &RunId) -> Error {
    Error::new(
        Exit::Stale,
        format!("run {run} of namespace {namespace} is not over"),
    )
    .hint(format!(
        "go on with it: kubectl ambient convert -n {namespace} --resume"
    ))
    .hint(format!(
        "or take it back: kubectl ambient rollback -n {namespace}"
    ))
}

fn stored(error: &StoreError) -> Error {
    match error {
        StoreError::Cluster(error) => {
            let mut told = Error::from(error.clone());
            told.message = format!(
                "the journal cannot be kept in the cluster: {}",
                told.message
            );
            told
        }
        StoreError::Damaged { .. } => Error::new(Exit::Data, error.to_string()),
        StoreError::Taken { .. } => Error::new(Exit::Stale, error.to_string()),
    }
}

fn broken(error: &RunError, namespace: &Name) -> Error {
    let told = match error {
        RunError::Store(error) => {
            let mut told = stored(error);
            told.exit = Exit::Halted;
            told
        }
        RunError::Lock(loss) => Error::new(Exit::Halted, loss.to_string()),
    };
    told.hint("nothing was changed after that; the run can be gone on with or taken back")
        .hint(format!("kubectl ambient convert -n {namespace} --resume"))
        .hint(format!("kubectl ambient rollback -n {namespace}"))
}

/// The `uid` of a cluster's `kube-system`, if it may be read.
///
/// # Errors
/// When there is no way to connect.
pub fn cluster_of(
    options: &ConnectOptions,
    listener: Arc<dyn Listener + Send>,
) -> Result<Option<String>, Error> {
    let session = Session::connect(options, listener)?;
    Ok(session.run(async |client| uid(client, "kube-system").await))
}

/// The command that goes on with a run.
fn going_on_by(journal: &Journal) -> String {
    let namespace = &journal.header.namespace;
    match journal.plan.direction {
        Direction::Forward => format!("kubectl ambient convert -n {namespace} --resume"),
        Direction::Back => format!("kubectl ambient rollback -n {namespace}"),
    }
}

/// A run that was ended in the middle of something, since it was asked to stop twice.
fn ended_at_once(stop: &Stop, namespace: &Name, resume: &str) -> Error {
    let exit = match stop {
        Stop::Interrupted => Exit::Interrupted,
        Stop::Terminated => Exit::Terminated,
    };
    let message = format!(
        "the run was ended at once; its journal tells where it stands, and its lock is free {} s from now",
        LockTimes::read().seconds()
    );
    let back = format!("kubectl ambient rollback -n {namespace}");
    let error = Error::new(exit, message).hint(format!("go on with it: {resume}"));
    if resume == back {
        return error.hint(format!(
            "what it did: kubectl ambient history -n {namespace}"
        ));
    }
    error.hint(format!("or take it back: {back}"))
}

async fn uid(client: &Client, namespace: &str) -> Option<String> {
    let target = Target {
        version: "v1".to_owned(),
        plural: "namespaces".to_owned(),
        name: namespace.to_owned(),
        ..Target::default()
    };
    let object = client.read_object(&target).await.ok()??;
    object["metadata"]["uid"].as_str().map(str::to_owned)
}
