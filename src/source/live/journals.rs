//! The journals of runs that a cluster keeps, in ConfigMaps of the namespaces that were moved.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::client::{Client, ClientError, ListRequest, PageSink};
use crate::journal::{
    CONTINUED, Damage, Journal, PAGE_NUMBER, Pages, RUN_LABEL, RunId, read_pages,
};
use crate::kinds::Name;

/// A journal as the cluster keeps it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The namespace that holds it.
    pub namespace: Name,
    /// The run.
    pub run: RunId,
    /// What it says, or why it cannot be read.
    pub journal: Result<Journal, Damage>,
    /// Its pages, as they are.
    pub pages: Pages,
    /// The `resourceVersion` of each page's ConfigMap.
    pub versions: Vec<Option<String>>,
}

/// The right to read them: group, resource, verbs.
pub const JOURNALS: (&str, &str, &[&str]) = ("", "configmaps", &["list"]);

/// Lists the journals of a namespace, or of all, by namespace and age.
///
/// # Errors
/// When ConfigMaps may not be listed, or the server does not answer.
pub async fn journals(client: &Client, namespace: Option<&str>) -> Result<Vec<Kept>, ClientError> {
    let request = ListRequest {
        version: "v1".to_owned(),
        plural: "configmaps".to_owned(),
        namespace: namespace.map(str::to_owned),
        label_selector: Some(RUN_LABEL.to_owned()),
        chunk_size: 100,
        ..ListRequest::default()
    };
    let mut maps = ConfigMaps::default();
    client.list(&request, &mut maps).await?;
    let mut runs: BTreeMap<(Name, RunId), BTreeMap<usize, Page>> = BTreeMap::new();
    for map in maps.0 {
        let run = map.metadata.labels.get(RUN_LABEL);
        let page = map.metadata.annotations.get(PAGE_NUMBER);
        let (Some(run), Some(page)) = (run, page.and_then(|page| page.parse().ok())) else {
            continue;
        };
        let key = (
            Name::from(map.metadata.namespace.as_str()),
            RunId::typed(run),
        );
        let text = map.data.get("journal").cloned().unwrap_or_default();
        let page_found = Page {
            text,
            version: map.metadata.resource_version,
            continued: map.metadata.annotations.contains_key(CONTINUED),
        };
        runs.entry(key).or_default().insert(page, page_found);
    }
    let kept = runs.into_iter().map(|((namespace, run), pages)| {
        let gap = pages.keys().enumerate().any(|(at, page)| at != *page);
        let goes_on = pages.values().last().is_some_and(|page| page.continued);
        let each = pages.into_values().map(|page| (page.text, page.version));
        let (texts, versions): (Vec<String>, Vec<Option<String>>) = each.unzip();
        let journal = if gap {
            Err(Damage::Broken("a page of it is missing".to_owned()))
        } else if goes_on {
            Err(Damage::Broken("its last page is missing".to_owned()))
        } else {
            read_pages(&texts)
        };
        Kept {
            namespace,
            run,
            journal,
            pages: Pages(texts),
            versions,
        }
    });
    Ok(kept.collect())
}

/// A page as its ConfigMap has it.
struct Page {
    text: String,
    version: Option<String>,
    /// Whether another one follows.
    continued: bool,
}

#[derive(Default)]
struct ConfigMaps(Vec<ConfigMap>);

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<ConfigMap>,
}

#[derive(Deserialize)]
struct ConfigMap {
    metadata: Meta,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    resource_version: Option<String>,
}

impl PageSink for ConfigMaps {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let count = list.items.len();
        self.0.extend(list.items);
        Ok(count)
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}
