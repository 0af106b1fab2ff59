//! Journals over a server that keeps objects, and a folder.

use std::sync::Arc;

use super::*;
use crate::execute::server::Server;
use crate::journal::{Header, Purpose, Record, VERSION};
use crate::plan::{Direction, Manner, Plan, StepId};

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

fn journal(home: Option<&str>) -> Journal {
    let began = "2026-11-23T10:00:00Z";
    let header = Header {
        version: VERSION,
        run: RunId::new(began, &[]),
        purpose: Purpose::Move,
        namespace: Name::from("shop"),
        cluster: None,
        home: home.map(str::to_owned),
        began: began.to_owned(),
        who: "ann".to_owned(),
        client: "0.1.0".to_owned(),
        accepted: std::collections::BTreeMap::new(),
        revision: None,
        to: None,
        seen: std::collections::BTreeSet::new(),
        around: std::collections::BTreeMap::new(),
        asked: None,
        parallel: 2,
        timeout: 600,
    };
    let plan = Plan {
        namespace: Name::from("shop"),
        direction: Direction::Forward,
        manner: Manner::Templates,
        steps: Vec::new(),
        remainder: Vec::new(),
        rest: Vec::new(),
        bypasses: Vec::new(),
    };
    Journal::new(header, plan)
}

/// A machine: a folder for state.
fn machine() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn shelf(machine: &tempfile::TempDir, home: &str) -> Shelf {
    let state = Some(machine.path().to_owned());
    Shelf::below(state, &Name::from("shop"), Some(home), "cluster")
}

fn path(page: usize) -> String {
    format!("{MAPS}/kubectl-ambient-20261123-100000-{page}")
}

/// Notes something long.
async fn note(journal: &mut Journal, store: &mut Store<'_>, mark: &str) {
    let record = Record::Halted {
        step: StepId::Verify,
        why: format!("{mark}{}", "x".repeat(20 * 1024)),
    };
    let entry = journal.note("now", record).clone();
    store.append(&entry).await.unwrap();
}

/// A run of several pages, kept by a machine.
async fn kept(server: &Server, shelf: &Shelf) -> Journal {
    let script = server.script();
    let client = script.client();
    let mut journal = journal(Some("u"));
    let mut store = Store::begin(&client, shelf, &journal, &[]).await.unwrap();
    for n in 0..8 {
        note(&mut journal, &mut store, &n.to_string()).await;
    }
    assert!(server.get(&path(2)).is_some() && server.get(&path(3)).is_none());
    journal
}

async fn only(client: &Client, shelf: &Shelf) -> Found {
    let mut found = shelf.journals(client).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_any_page_is_noticed() {
    let server = Server::default();
    let there = machine();
    let journal = kept(&server, &shelf(&there, "u")).await;
    let script = server.script();
    let client = script.client();
    // Another machine has no copy.
    let elsewhere = machine();
    let elsewhere = shelf(&elsewhere, "u");
    assert_eq!(only(&client, &elsewhere).await.journal, Ok(journal));
    for page in 0..3 {
        let map = server.get(&path(page)).unwrap();
        server.remove(&path(page));
        let found = only(&client, &elsewhere).await;
        assert!(
            matches!(found.journal, Err(Damage::Broken(_))),
            "page {page}"
        );
        server.put(&path(page), map);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_lost_comes_back_from_the_machine_that_has_it() {
    for lost in [vec![2], vec![1], vec![1, 2], vec![0]] {
        let server = Server::default();
        let machine = machine();
        let shelf = shelf(&machine, "u");
        let journal = kept(&server, &shelf).await;
        for page in &lost {
            server.remove(&path(*page));
        }
        let script = server.script();
        let client = script.client();
        let found = only(&client, &shelf).await;
        assert_eq!(found.journal.as_ref(), Ok(&journal), "{lost:?}");
        let mut journal = journal;
        let mut store = Store::resume(&client, &shelf, &found).await.unwrap();
        note(&mut journal, &mut store, "more").await;
        let elsewhere = self::machine();
        let elsewhere = self::shelf(&elsewhere, "u");
        let found = only(&client, &elsewhere).await;
        assert_eq!(found.journal, Ok(journal), "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_has_more_than_the_cluster_counts_and_is_not_cut() {
    let server = Server::default();
    let machine = machine();
    let shelf = shelf(&machine, "u");
    let before = {
        let script = server.script();
        let client = script.client();
        let mut journal = journal(Some("u"));
        let mut store = Store::begin(&client, &shelf, &journal, &[]).await.unwrap();
        note(&mut journal, &mut store, "first").await;
        let map = server.get(&path(0)).unwrap();
        note(&mut journal, &mut store, "second").await;
        // What came last never came to the cluster.
        server.put(&path(0), map);
        journal
    };
    let script = server.script();
    let client = script.client();
    let found = only(&client, &shelf).await;
    assert_eq!(found.journal.as_ref(), Ok(&before));
    let file = machine
        .path()
        .join("kubectl-ambient/cluster/shop/20261123-100000.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    drop(Store::resume(&client, &shelf, &found).await.unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let restored = server.get(&path(0)).unwrap();
    assert_eq!(restored["data"]["journal"], text);

    // A last line that a crash has cut goes.
    std::fs::write(&file, format!("{text}{{\"n\":")).unwrap();
    let found = only(&client, &shelf).await;
    drop(Store::resume(&client, &shelf, &found).await.unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    // One that says something else is put aside.
    let other = text.replace("first", "other");
    std::fs::write(&file, &other).unwrap();
    let found = only(&client, &shelf).await;
    assert_eq!(found.journal.as_ref(), Ok(&before));
    drop(Store::resume(&client, &shelf, &found).await.unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let aside = file.with_extension("aside-1");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), other);
}

#[tokio::test(start_paused = true)]
async fn files_of_a_namespace_that_was_made_anew_are_left_out() {
    let server = Server::default();
    let machine = machine();
    kept(&server, &shelf(&machine, "u")).await;
    for page in 0..3 {
        server.remove(&path(page));
    }
    let script = server.script();
    let client = Arc::new(script.client());
    let same = only(&client, &shelf(&machine, "u")).await;
    assert!(same.local_only && same.journal.is_ok());
    let anew = shelf(&machine, "another").journals(&client).await.unwrap();
    assert!(anew.is_empty(), "{anew:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let taken = tempfile::NamedTempFile::new().unwrap();
    let shelf = |folder| Shelf {
        namespace: "shop".into(),
        home: None,
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
