//! Names of a cluster for completing a line: quickly or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::journals;
use crate::client::{Client, ConnectOptions, Environment, ListRequest, PageSink};
use crate::event::Silent;

/// Which names are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those of the namespaces.
    Namespaces,
    /// Those of the runs of the connection's namespace.
    Runs,
}

/// The names, sorted; none where the cluster does not give them within the time.
///
/// Nobody is told why there are none: a person who completes a line is looking at that line.
pub fn names(options: &ConnectOptions, wanted: Wanted, within: Duration) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let names = runtime.block_on(async {
        let asked = tokio::time::timeout(within, ask(options, wanted)).await;
        asked.ok().flatten().unwrap_or_default()
    });
    // A credential plugin may still be under way.
    runtime.shutdown_background();
    names
}

async fn ask(options: &ConnectOptions, wanted: Wanted) -> Option<Vec<String>> {
    let client = Client::connect(options, &Environment::read(), Arc::new(Silent))
        .await
        .ok()?;
    match wanted {
        Wanted::Namespaces => {
            let request = ListRequest {
                version: "v1".to_owned(),
                plural: "namespaces".to_owned(),
                metadata_only: true,
                ..ListRequest::default()
            };
            let mut names = Names::default();
            client.list(&request, &mut names).await.ok()?;
            names.0.sort();
            Some(names.0)
        }
        Wanted::Runs => {
            let kept = journals(&client, Some(client.namespace())).await.ok()?;
            Some(
                kept.iter()
                    .map(|kept| kept.run.as_str().to_owned())
                    .collect(),
            )
        }
    }
}

#[derive(Default)]
struct Names(Vec<String>);

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

impl PageSink for Names {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let count = list.items.len();
        self.0
            .extend(list.items.into_iter().map(|item| item.metadata.name));
        Ok(count)
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}
