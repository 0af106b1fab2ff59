//! What has come to a namespace while it is being moved.

use crate::client::Client;
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::journal::Journal;
use crate::mesh::Mesh;
use crate::plan::{self, Direction, Since, seen};
use crate::source::live::{LiveRequest, Namespaces, read};
use crate::translate;

/// What a plan knows nothing of and that would make another of it, in words.
///
/// # Errors
/// When something cannot be looked at.
pub(super) async fn newcomers(client: &Client, journal: &Journal) -> Result<Vec<String>, Error> {
    let header = &journal.header;
    // Journals of namespaces that were moved by hand do not say what was there.
    if journal.plan.direction == Direction::Back || header.seen.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = &header.namespace;
    let request = LiveRequest {
        namespaces: Namespaces::Named(vec![namespace.clone()]),
        kinds: plan::reads(),
        whole: translate::WRITES,
        chunk_size: 500,
        journals: false,
    };
    let unreadable = |exit: Exit, why: &str| {
        Error::new(
            exit,
            format!("what is in {namespace} by now cannot be read: {why}"),
        )
    };
    let read = read(client, &request)
        .await
        .map_err(|error| unreadable(error.exit, &error.message))?;
    if let Some(unread) = read.inventory.unread.first() {
        let why = format!("{}: {}", unread.what(), unread.reason);
        return Err(unreadable(Exit::Undecided, &why));
    }
    // Planning takes a while, and the lock is renewed meanwhile.
    let journal = journal.clone();
    let judged = tokio::task::spawn_blocking(move || judged(&journal, read.inventory));
    judged
        .await
        .map_err(|error| unreadable(Exit::Internal, &error.to_string()))
}

fn judged(journal: &Journal, inventory: Inventory) -> Vec<String> {
    let header = &journal.header;
    let mesh = Mesh::new(inventory);
    let now = seen::seen(&mesh, &header.namespace);
    let new = seen::newcomers(&journal.plan, &header.seen, &now);
    let mut says: Vec<String> = new
        .iter()
        .map(|object| format!("{object} is new"))
        .collect();
    if let Some(asked) = &header.asked {
        let since = Since {
            plan: &journal.plan,
            around: &header.around,
            asked,
            accepted: &header.accepted,
        };
        says.extend(since.differs(mesh.into_inventory()));
    }
    says
}
