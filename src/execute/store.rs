//! Where journals are kept: in ConfigMaps of the namespace, and as files of the machine that runs.
//!
//! The cluster's is the truth, so that anybody can go on or go back from anywhere. An entry is written to
//! the file and synced, then to the cluster, and only then acted upon. The file serves when somebody has
//! deleted ConfigMaps, and where it has entries that never came to the cluster. It is added to and never cut;
//! one that says something else is put aside.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::{Client, ClientError, Preconditions, Target, WriteOptions};
use crate::event::Event;
use crate::journal::{
    CONTINUED, Damage, Entry, Journal, PAGE_NUMBER, Pages, RUN_LABEL, RunId, page_name, pages_of,
    read_pages,
};
use crate::kinds::Name;
use crate::source::live::journals;

/// How many runs are kept.
const KEPT: usize = 10;

/// Why a journal could not be kept or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The cluster did not take it.
    #[error("the journal cannot be kept in the cluster: {0}")]
    Cluster(#[from] ClientError),
    /// It does not fit, or cannot be understood.
    #[error("the journal of run {run} is damaged: {damage}")]
    Damaged {
        /// The run.
        run: RunId,
        /// How.
        damage: Damage,
    },
    /// Somebody else wrote it.
    #[error("the journal of run {run} was changed by somebody else while the run was under way")]
    Taken {
        /// The run.
        run: RunId,
    },
}

/// A journal that was found.
#[derive(Debug)]
pub struct Found {
    /// The run.
    pub run: RunId,
    /// Its journal, or why it cannot be read.
    pub journal: Result<Journal, Damage>,
    /// Whether only the file of this machine is left of it.
    pub local_only: bool,
    /// Whether the file of this machine completes what the cluster has.
    restored: bool,
    pages: Pages,
    versions: Vec<Option<String>>,
}

impl Found {
    /// Goes by the file of this machine where it has more than the cluster, and says what it went by.
    fn completed_by(&mut self, text: &str) -> Option<String> {
        let run = &self.run;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let known = self.pages.0.concat();
        if known.starts_with(whole) {
            return None;
        }
        let differs = || {
            format!(
                "this machine's copy of the journal of run {run} says something else than the cluster's, which counts"
            )
        };
        let (Ok(journal), Ok(pages)) = (read_pages(&[whole.to_owned()]), Pages::of(whole)) else {
            return Some(differs());
        };
        let says = match &self.journal {
            Ok(_) if whole.starts_with(&known) => format!(
                "the journal of run {run} in the cluster lacks what this machine's copy has: the copy counts, and is restored when the run is gone on with"
            ),
            Ok(_) => return Some(differs()),
            // All that the cluster has left, and what is missing there.
            Err(_)
                if self
                    .pages
                    .0
                    .iter()
                    .all(|page| whole.contains(page.as_str()))
                    && pages.0.len() > self.pages.0.len() =>
            {
                format!(
                    "a page of the journal of run {run} is gone from the cluster; this machine's copy has it, and counts"
                )
            }
            Err(_) => return None,
        };
        self.journal = Ok(journal);
        self.pages = pages;
        self.restored = true;
        Some(says)
    }
}

/// Where the journals of a namespace are.
#[derive(Debug, Clone)]
pub struct Shelf {
    namespace: Name,
    /// The namespace's `uid`, if it may be read.
    home: Option<String>,
    folder: Option<PathBuf>,
}

impl Shelf {
    /// The journals of a namespace of a cluster, which is told apart by a name that only it has.
    pub fn new(namespace: &Name, home: Option<&str>, cluster: &str) -> Self {
        let state = dirs::state_dir().or_else(dirs::data_local_dir);
        Self::below(state, namespace, home, cluster)
    }

    fn below(state: Option<PathBuf>, namespace: &Name, home: Option<&str>, cluster: &str) -> Self {
        let part = |text: &str| -> String {
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            };
            text.chars().map(plain).collect()
        };
        let folder = state.map(|state| {
            state
                .join("kubectl-ambient")
                .join(part(cluster))
                .join(part(namespace))
        });
        Self {
            namespace: namespace.clone(),
            home: home.map(str::to_owned),
            folder,
        }
    }

    /// All journals of the namespace, oldest first. Whoever listens to the client is told where a file of this
    /// machine counts, and where it does not.
    ///
    /// # Errors
    /// When the cluster does not list them.
    pub async fn journals(&self, client: &Client) -> Result<Vec<Found>, StoreError> {
        let kept = journals(client, Some(&self.namespace)).await?;
        let mut found: Vec<Found> = kept
            .into_iter()
            .map(|kept| Found {
                run: kept.run,
                journal: kept.journal,
                local_only: false,
                restored: false,
                pages: kept.pages,
                versions: kept.versions,
            })
            .collect();
        for (run, text) in self.files() {
            if let Some(known) = found.iter_mut().find(|known| known.run == run) {
                if let Some(says) = known.completed_by(&text) {
                    client.notice(Event::Warning(says));
                }
                continue;
            }
            let journal = read_pages(std::slice::from_ref(&text));
            if journal
                .as_ref()
                .is_ok_and(|journal| self.is_of_another(journal))
            {
                client.notice(Event::Warning(format!(
                    "run {run} is left out: it was in an earlier namespace {}, which is gone",
                    self.namespace
                )));
                continue;
            }
            client.notice(Event::Warning(format!(
                "the journal of run {run} is gone from the cluster: this machine's copy counts"
            )));
            found.push(Found {
                run,
                journal,
                local_only: true,
                restored: false,
                pages: Pages::default(),
                versions: Vec::new(),
            });
        }
        found.sort_by(|a, b| a.run.cmp(&b.run));
        Ok(found)
    }

    /// Whether a journal is of a namespace that had the same name.
    fn is_of_another(&self, journal: &Journal) -> bool {
        let theirs = journal.header.home.as_ref();
        theirs.zip(self.home.as_ref()).is_some_and(|(a, b)| a != b)
    }

    fn files(&self) -> Vec<(RunId, String)> {
        let Some(entries) = self
            .folder
            .as_deref()
            .and_then(|folder| std::fs::read_dir(folder).ok())
        else {
            return Vec::new();
        };
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.ok()?.path();
            let run = path
                .file_name()?
                .to_str()?
                .strip_suffix(".jsonl")?
                .to_owned();
            Some((RunId::typed(&run), std::fs::read_to_string(&path).ok()?))
        };
        let mut files: Vec<_> = entries.filter_map(read).collect();
        files.sort();
        files
    }

    /// Why this machine keeps no copy, and where it would have been.
    fn unwritable(&self, error: &std::io::Error) -> String {
        let why = crate::error::why(error);
        match &self.folder {
            Some(folder) => format!("cannot write in {}: {why}", folder.display()),
            None => "this system has no folder for it".to_owned(),
        }
    }

    /// The local file of a run, ready to be written on.
    fn file(&self, run: &RunId, text: &str) -> std::io::Result<File> {
        let folder = self.folder.as_deref().ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::NotFound, "there is no folder for state")
        })?;
        create_private(folder)?;
        let path = folder.join(format!("{run}.jsonl"));
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        // A line that was cut by a crash was never acted upon.
        let cut = there
            .strip_prefix(text)
            .is_some_and(|more| !more.contains('\n'));
        if !cut && !text.starts_with(&there) {
            put_aside(&path)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        if cut {
            file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        }
        let known = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        file.write_all(text.as_bytes().get(known..).unwrap_or_default())?;
        file.sync_data()?;
        Ok(file)
    }
}

/// Gives a file a name under which it is no journal any more.
fn put_aside(path: &Path) -> std::io::Result<()> {
    let names = (1_u32..).map(|n| path.with_extension(format!("aside-{n}")));
    for name in names {
        if !name.try_exists()? {
            return std::fs::rename(path, name);
        }
    }
    Ok(())
}

fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The journal of a run, where it is kept.
#[derive(Debug)]
pub struct Store<'c> {
    client: &'c Client,
    namespace: Name,
    run: RunId,
    pages: Pages,
    versions: Vec<Option<String>>,
    file: Option<File>,
    /// Why there is no file.
    unwritable: Option<String>,
}

impl<'c> Store<'c> {
    /// Keeps the journal of a run that begins. The oldest runs that are over make room for it.
    ///
    /// # Errors
    /// When the cluster does not take it: then nothing may be changed.
    pub async fn begin(
        client: &'c Client,
        shelf: &Shelf,
        journal: &Journal,
        known: &[Found],
    ) -> Result<Self, StoreError> {
        let run = journal.header.run.clone();
        let pages = pages_of(journal).map_err(|damage| StoreError::Damaged {
            run: run.clone(),
            damage,
        })?;
        let mut store = Self::opened(client, shelf, run, pages, Vec::new());
        for page in 0..store.pages.0.len() {
            store.put(page).await?;
        }
        store.prune(known).await;
        Ok(store)
    }

    /// Goes on keeping a journal that was found.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub async fn resume(
        client: &'c Client,
        shelf: &Shelf,
        found: &Found,
    ) -> Result<Self, StoreError> {
        let (pages, versions) = match &found.journal {
            // The cluster's is gone: it is written again from the file.
            Ok(journal) if found.local_only => {
                let pages = pages_of(journal).map_err(|damage| StoreError::Damaged {
                    run: found.run.clone(),
                    damage,
                })?;
                (pages, Vec::new())
            }
            _ => (found.pages.clone(), found.versions.clone()),
        };
        let new = versions.is_empty();
        let versions = if found.restored { Vec::new() } else { versions };
        let mut store = Self::opened(client, shelf, found.run.clone(), pages, versions);
        let count = store.pages.0.len();
        let due = match (new || found.restored, count) {
            (true, _) => 0..count,
            // Whether it says that another follows is not known.
            (false, 2..) => count - 2..count - 1,
            (false, _) => 0..0,
        };
        for page in due {
            if found.restored {
                store.look(page).await?;
            }
            store.put(page).await?;
        }
        Ok(store)
    }

    fn opened(
        client: &'c Client,
        shelf: &Shelf,
        run: RunId,
        pages: Pages,
        versions: Vec<Option<String>>,
    ) -> Self {
        let (file, unwritable) = match shelf.file(&run, &pages.0.concat()) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(shelf.unwritable(&error))),
        };
        Self {
            client,
            namespace: shelf.namespace.clone(),
            run,
            pages,
            versions,
            file,
            unwritable,
        }
    }

    /// Why there is no copy on this machine, if there is none.
    pub fn unwritable(&self) -> Option<&str> {
        self.unwritable.as_deref()
    }

    /// Keeps an entry: on this machine, then in the cluster.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub async fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let damaged = |damage| StoreError::Damaged {
            run: self.run.clone(),
            damage,
        };
        let line = entry.line().map_err(damaged)?;
        if let Some(file) = &mut self.file {
            let kept = file
                .write_all(line.as_bytes())
                .and_then(|()| file.write_all(b"\n"));
            if let Err(error) = kept.and_then(|()| file.sync_data()) {
                self.unwritable = Some(crate::error::why(&error));
                self.file = None;
            }
        }
        let before = self.pages.0.len();
        let page = self
            .pages
            .add(&line)
            .map_err(|damage| StoreError::Damaged {
                run: self.run.clone(),
                damage,
            })?;
        self.put(page).await?;
        // The one before says that another follows, before the entry is acted upon.
        if page == before && page > 0 {
            self.put(page - 1).await?;
        }
        Ok(())
    }

    /// Notes the version of a page as the cluster has it.
    async fn look(&mut self, page: usize) -> Result<(), StoreError> {
        let there = self.client.read_object(&self.target(page)).await?;
        let version = there.and_then(|there| {
            let version = there["metadata"]["resourceVersion"].as_str();
            version.map(str::to_owned)
        });
        self.note(page, version);
        Ok(())
    }

    fn note(&mut self, page: usize, version: Option<String>) {
        if self.versions.len() <= page {
            self.versions.resize(page + 1, None);
        }
        self.versions[page] = version;
    }

    fn target(&self, page: usize) -> Target {
        Target {
            group: String::new(),
            version: "v1".to_owned(),
            plural: "configmaps".to_owned(),
            namespace: Some(self.namespace.to_string()),
            name: page_name(&self.run, page),
        }
    }

    async fn put(&mut self, page: usize) -> Result<(), StoreError> {
        let target = self.target(page);
        let mut map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": target.name,
                "namespace": &*self.namespace,
                "labels": {RUN_LABEL: self.run.as_str(), "app.kubernetes.io/managed-by": "kubectl-ambient"},
                "annotations": {PAGE_NUMBER: page.to_string()},
            },
            "data": {"journal": self.pages.0[page]},
        });
        if page + 1 < self.pages.0.len() {
            map["metadata"]["annotations"][CONTINUED] = "true".into();
        }
        let meant = map.clone();
        let is_meant = |there: &Value| {
            let continued = |map: &Value| map["metadata"]["annotations"][CONTINUED].is_string();
            there["data"] == meant["data"] && continued(there) == continued(&meant)
        };
        let known = self.versions.get(page).cloned().flatten();
        let options = WriteOptions::default();
        let sent = match &known {
            None => self.client.create(&target, &map, options).await,
            Some(version) => {
                let mut map = map.clone();
                map["metadata"]["resourceVersion"] = version.as_str().into();
                self.client.replace(&target, &map, options).await
            }
        };
        let kept = match sent {
            Ok(kept) => kept,
            // What is there is what was meant, or somebody else's.
            Err(
                error @ (ClientError::Unknown { .. }
                | ClientError::Exists { .. }
                | ClientError::Changed { .. }
                | ClientError::Timeout { .. }),
            ) => match self.client.read_object(&target).await? {
                Some(there) if is_meant(&there) => there,
                Some(there)
                    if there["metadata"]["resourceVersion"].as_str() == known.as_deref() =>
                {
                    map["metadata"]["resourceVersion"] =
                        there["metadata"]["resourceVersion"].clone();
                    self.client.replace(&target, &map, options).await?
                }
                None if matches!(
                    error,
                    ClientError::Unknown { .. } | ClientError::Timeout { .. }
                ) =>
                {
                    self.client.create(&target, &map, options).await?
                }
                _ => {
                    return Err(StoreError::Taken {
                        run: self.run.clone(),
                    });
                }
            },
            Err(error) => return Err(error.into()),
        };
        let version = kept["metadata"]["resourceVersion"].as_str();
        self.note(page, version.map(str::to_owned));
        Ok(())
    }

    /// Deletes the oldest runs that are over. What cannot be deleted stays; it does no harm.
    async fn prune(&self, known: &[Found]) {
        let over = known.iter().filter(|found| match &found.journal {
            Ok(journal) => !journal.state().is_open(),
            Err(_) => false,
        });
        let over: Vec<&Found> = over.collect();
        let spare = (known.len() + 1).saturating_sub(KEPT);
        for found in over.into_iter().take(spare) {
            for page in 0..found.pages.0.len() {
                let target = Target {
                    name: page_name(&found.run, page),
                    ..self.target(page)
                };
                let preconditions = Preconditions::default();
                let options = WriteOptions::default();
                let _kept = self.client.delete(&target, &preconditions, options).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
