//! Where journals are kept: in ConfigMaps of the namespace, and as files of the machine that runs.
//!
//! The cluster's is the truth, so that anybody can go on or go back from anywhere. An entry is written to
//! the file and synced, then to the cluster, and only then acted upon. The file serves when somebody has
//! deleted the ConfigMaps.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::{Client, ClientError, Preconditions, Target, WriteOptions};
use crate::journal::{
    Damage, Entry, Journal, PAGE_NUMBER, Pages, RUN_LABEL, RunId, page_name, pages_of, read_pages,
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
    pages: Pages,
    versions: Vec<Option<String>>,
}

/// Where the journals of a namespace are.
#[derive(Debug, Clone)]
pub struct Shelf {
    namespace: Name,
    folder: Option<PathBuf>,
}

impl Shelf {
    /// The journals of a namespace of a cluster, which is told apart by a name that only it has.
    pub fn new(namespace: &Name, cluster: &str) -> Self {
        let state = dirs::state_dir().or_else(dirs::data_local_dir);
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
            folder,
        }
    }

    /// All journals of the namespace, oldest first.
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
                pages: kept.pages,
                versions: kept.versions,
            })
            .collect();
        for (run, text) in self.files() {
            if found.iter().all(|known| known.run != run) {
                found.push(Found {
                    run,
                    journal: read_pages(std::slice::from_ref(&text)),
                    local_only: true,
                    pages: Pages::default(),
                    versions: Vec::new(),
                });
            }
        }
        found.sort_by(|a, b| a.run.cmp(&b.run));
        Ok(found)
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
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        Ok(file)
    }
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
        let mut store = Self::opened(client, shelf, found.run.clone(), pages, versions);
        if new {
            for page in 0..store.pages.0.len() {
                store.put(page).await?;
            }
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
        let page = self
            .pages
            .add(&line)
            .map_err(|damage| StoreError::Damaged {
                run: self.run.clone(),
                damage,
            })?;
        self.put(page).await
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
        let known = self.versions.get(page).cloned().flatten();
        let options = WriteOptions::default();
        let sent = match &known {
            None => self.client.create(&target, &map, options).await,
            Some(version) => {
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
                Some(there) if there["data"] == map["data"] => there,
                Some(there)
                    if there["metadata"]["resourceVersion"].as_str() == known.as_deref() =>
                {
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
        let version = kept["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned);
        if self.versions.len() <= page {
            self.versions.resize(page + 1, None);
        }
        self.versions[page] = version;
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
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let taken = tempfile::NamedTempFile::new().unwrap();
        let shelf = |folder| Shelf {
            namespace: "shop".into(),
            folder,
        };
        let run = RunId::typed("20261123-100000");
        let inside = shelf(Some(taken.path().join("state")));
        let error = inside.file(&run, "").unwrap_err();
        let told = inside.unwritable(&error);
        let name = taken.path().display().to_string();
        assert!(
            told.starts_with("cannot write in ") && told.contains(&name),
            "{told}"
        );
        let nowhere = shelf(None);
        let error = nowhere.file(&run, "").unwrap_err();
        assert_eq!(
            nowhere.unwritable(&error),
            "this system has no folder for it"
        );
    }
}
