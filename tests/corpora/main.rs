//! Manifests of public projects, translated: nothing panics, and every document is converted or refused
//! with a reason.
//!
//! They are data of their authors and no part of this project. The folder is named by
//! `KUBECTL_AMBIENT_CORPORA`, or is the one called `shared/corpora` beside this project; where there is
//! none, the tests say so and pass.

mod made_up;
mod manifests;

use std::collections::{BTreeMap, BTreeSet};

use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::{Kind, Name, ObjectRef};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::translate::{Options, Topic, Translation, Weight, translate};
use manifests::{files, folder, virtual_services};
use serde_json::Value;

/// What was counted.
#[derive(Default)]
struct Count {
    fidelity: BTreeMap<&'static str, usize>,
    refused: BTreeMap<String, usize>,
    lossy: BTreeMap<String, usize>,
    kept: BTreeMap<String, usize>,
    classes: usize,
    differing: usize,
    unforeseen: Vec<String>,
}

impl Count {
    fn add(&mut self, translation: &Translation, of: impl Fn(&ObjectRef) -> bool) {
        for treatment in translation.treatments.iter().filter(|t| of(&t.object)) {
            *self
                .fidelity
                .entry(treatment.fidelity().name())
                .or_default() += 1;
            let heaviest = treatment.remarks.iter().map(|remark| remark.weight).max();
            let topics: BTreeSet<String> = treatment
                .remarks
                .iter()
                .filter(|remark| Some(remark.weight) == heaviest)
                .map(|remark| remark.topic.to_string())
                .collect();
            let counted = match heaviest {
                Some(Weight::Refused) => &mut self.refused,
                Some(Weight::Lossy) => &mut self.lossy,
                Some(Weight::Kept) => &mut self.kept,
                _ => continue,
            };
            for topic in topics {
                *counted.entry(topic).or_default() += 1;
            }
        }
        self.classes += translation.proofs.classes();
        self.differing += translation.proofs.differing();
        // What only the comparison saw is a mistake of the translation.
        for treatment in &translation.treatments {
            let unforeseen = treatment.remarks.iter().filter(|remark| {
                remark.topic == Topic::VirtualService && remark.weight == Weight::Lossy
            });
            let unforeseen =
                unforeseen.map(|remark| format!("{}: {}", treatment.object, remark.says));
            self.unforeseen.extend(unforeseen);
        }
    }

    #[expect(
        clippy::print_stdout,
        reason = "what was counted is part of the result"
    )]
    fn print(&self, what: &str) {
        println!("{what}: {:?}", self.fidelity);
        println!("  refused by {:?}", by_number(&self.refused));
        println!("  lossy by {:?}", by_number(&self.lossy));
        println!("  kept by {:?}", by_number(&self.kept));
        println!(
            "  {} request classes compared, {} differ",
            self.classes, self.differing
        );
    }
}

fn by_number(counted: &BTreeMap<String, usize>) -> Vec<(usize, &str)> {
    let mut list: Vec<(usize, &str)> = counted.iter().map(|(topic, n)| (*n, &**topic)).collect();
    list.sort_by(|a, b| b.cmp(a));
    list
}

fn translated(builder: InventoryBuilder) -> Translation {
    let mesh = Mesh::new(builder.finish());
    let namespaces: BTreeSet<Name> = mesh.namespaces().map(|n| n.name.clone()).collect();
    translate(&mesh, &namespaces, &Options::default())
}

#[test]
fn folders_are_translated_as_they_are() {
    let Some(folder) = folder() else { return };
    let mut count = Count::default();
    let mut documents = 0;
    for files in files(&folder).values() {
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        for file in files {
            let Ok(text) = std::fs::read_to_string(file) else {
                continue;
            };
            documents += builder.file(&file.to_string_lossy(), text).objects;
        }
        count.add(&translated(builder), |_| true);
    }
    count.print(&format!("{documents} objects as they are"));
    assert!(count.unforeseen.is_empty(), "{:#?}", count.unforeseen);
}

#[test]
fn every_virtual_service_is_translated_or_refused_with_a_reason() {
    let Some(folder) = folder() else { return };
    let (mut own, mut stripped) = (Count::default(), Count::default());
    for object in virtual_services(&folder) {
        let Some(made_up) = made_up::mesh(&object, None) else {
            continue;
        };
        let mut builder = InventoryBuilder::new(Input::Manifests, "shop");
        let documents: Vec<String> = made_up.objects.iter().map(Value::to_string).collect();
        builder.file("made-up", documents.join("\n---\n"));
        let count = if made_up.own_host {
            &mut own
        } else {
            &mut stripped
        };
        count.add(&translated(builder), |object| {
            object.kind == Kind::VirtualService
        });
    }
    own.print("hosts as they are");
    stripped.print("hosts made up");
    for count in [&own, &stripped] {
        assert!(count.unforeseen.is_empty(), "{:#?}", count.unforeseen);
    }
}
