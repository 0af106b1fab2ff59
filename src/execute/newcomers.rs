//! What has come to a namespace while it is being moved.

use crate::client::Client;
use crate::journal::Journal;
use crate::kinds::KindSet;
use crate::mesh::Mesh;
use crate::plan::{Direction, seen};
use crate::source::live::{LiveRequest, Namespaces, read};
use crate::translate;

/// Fails with what a plan knows nothing of, or with what cannot be looked at.
pub(super) async fn newcomers(client: &Client, journal: &Journal) -> Result<(), String> {
    let known = &journal.header.seen;
    // Journals of namespaces that were moved by hand do not say what was there.
    if journal.plan.direction == Direction::Back || known.is_empty() {
        return Ok(());
    }
    let namespace = &journal.header.namespace;
    let request = LiveRequest {
        namespaces: Namespaces::Named(vec![namespace.clone()]),
        kinds: translate::READS,
        whole: KindSet::EMPTY,
        chunk_size: 500,
        journals: false,
    };
    let read = read(client, &request)
        .await
        .map_err(|error| format!("what is in {namespace} by now cannot be read: {error}"))?;
    if let Some(unread) = read.inventory.unread.first() {
        return Err(format!(
            "what is in {namespace} by now cannot be read: {}: {}",
            unread.what(),
            unread.reason
        ));
    }
    let mesh = Mesh::new(read.inventory);
    let new = seen::newcomers(&journal.plan, known, &seen::seen(&mesh, namespace));
    if new.is_empty() {
        return Ok(());
    }
    Err(format!(
        "what the plan knows nothing of has come since it was made: {}; take the run back and plan anew",
        new.join(", ")
    ))
}
