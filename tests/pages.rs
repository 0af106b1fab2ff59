//! Every check's page is its test. `UPDATE_PAGES=1 cargo test --test pages` writes what the checks
//! report into the `finding` blocks; read the difference before committing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use kubectl_ambient::checks::page::{self, Example, HEADINGS, Page, Shows};
use kubectl_ambient::checks::{Check, Scope, all, by_id, judge};
use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::{KindSet, Name};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::translate::{self, Topic};

fn file(check: &dyn Check) -> PathBuf {
    let meta = check.meta();
    let name = format!(
        "{}_{}.md",
        meta.id.0.to_lowercase(),
        meta.slug.replace('-', "_")
    );
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/checks");
    folder.join(meta.area.name()).join(name)
}

fn judged(check: &'static dyn Check, example: &Example<'_>) -> (String, KindSet) {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("example.yaml", example.input.to_owned());
    let inventory = builder.finish();
    let id = check.meta().id;
    assert!(
        inventory.unread.is_empty(),
        "{id} `{}`: {:?}",
        example.title,
        inventory.unread
    );
    let mesh = Mesh::new(inventory);
    let scope = match page::judged(example.input) {
        Some(names) => Scope::of(names.into_iter().map(Name::from)),
        None => Scope::injected(&mesh),
    };
    mesh.touched();
    let judgement = judge(&mesh, &scope, &[check], false);
    for finding in &judgement.findings {
        assert!(
            finding.severity <= check.meta().highest,
            "{id} `{}`: {finding:?}",
            example.title
        );
        assert!(
            !finding.message.ends_with('.'),
            "{id}: `{}` ends in a stop",
            finding.message
        );
    }
    let text = if judgement.run.is_empty() {
        format!("not run: {:?}\n", judgement.not_run[0].reason)
    } else {
        judgement.findings.iter().map(page::shown).collect()
    };
    (text, mesh.touched())
}

#[test]
fn examples_report_exactly_what_their_page_says() {
    let mut wrong = Vec::new();
    for check in all() {
        let meta = check.meta();
        let page = Page::parse(meta.page).unwrap_or_else(|why| panic!("{}: {why}", meta.id));
        let mut text = meta.page.to_owned();
        for example in &page.examples {
            let (reported, _) = judged(check, example);
            if reported != example.expected {
                wrong.push(format!(
                    "{} `{}`\n--- the page says\n{}--- the check reports\n{reported}",
                    meta.id, example.title, example.expected
                ));
                let block = |expected: &str| {
                    format!("```yaml\n{}```\n```finding\n{expected}```", example.input)
                };
                text = text.replacen(&block(example.expected), &block(&reported), 1);
            }
        }
        if std::env::var_os("UPDATE_PAGES").is_some() && text != meta.page {
            std::fs::write(file(check), text).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_show_what_is_found_what_is_not_and_a_near_miss() {
    for check in all() {
        let meta = check.meta();
        let page = Page::parse(meta.page).unwrap();
        assert!(
            meta.page.starts_with(&format!("# {}: ", meta.id)),
            "{}: first line",
            meta.id
        );
        assert_eq!(page.headings, HEADINGS, "{}", meta.id);
        for shows in [Shows::Positive, Shows::Negative, Shows::NearMiss] {
            let examples: Vec<_> = page.examples.iter().filter(|e| e.shows == shows).collect();
            assert!(!examples.is_empty(), "{} has no {shows:?} example", meta.id);
            for example in examples {
                let finds = shows == Shows::Positive;
                assert_eq!(
                    !example.expected.is_empty(),
                    finds,
                    "{} {}",
                    meta.id,
                    example.title
                );
            }
        }
    }
}

#[test]
fn checks_read_what_they_declare_and_nothing_else() {
    // What a translation reads is read by some of the checks that report what it says.
    let mut by_translation = KindSet::EMPTY;
    for check in all() {
        let meta = check.meta();
        let page = Page::parse(meta.page).unwrap();
        let mut touched = KindSet::EMPTY;
        for example in &page.examples {
            touched = touched.and(judged(check, example).1);
        }
        let undeclared = touched.without(meta.reads);
        assert!(
            undeclared.is_empty(),
            "{} reads {undeclared:?} undeclared",
            meta.id
        );
        let unused = meta.reads.without(touched);
        if meta.reads == translate::READS {
            by_translation = by_translation.and(touched);
            continue;
        }
        assert!(
            unused.is_empty(),
            "{} declares {unused:?} and never reads it",
            meta.id
        );
    }
    let unused = translate::READS.without(by_translation);
    assert!(
        unused.is_empty(),
        "a translation declares {unused:?} and never reads it"
    );
}

#[test]
fn the_registry_is_sorted_and_names_agree() {
    let ids: Vec<_> = all().map(|check| check.meta().id).collect();
    let sorted: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(
        ids,
        sorted.into_iter().collect::<Vec<_>>(),
        "sorted, each id once"
    );
    for check in all() {
        let meta = check.meta();
        assert_eq!(meta.id.0.len(), 6, "{}", meta.id);
        assert_eq!(
            meta.id.0.chars().nth(3),
            Some(meta.area.digit()),
            "{}",
            meta.id
        );
        assert!(file(check).exists(), "{} has no file of its name", meta.id);
        assert!(file(check).with_extension("rs").exists());
    }
}

#[test]
fn every_topic_of_a_translation_has_a_check_that_explains_it() {
    let missing: Vec<&str> = Topic::ALL
        .iter()
        .map(|topic| topic.id())
        .filter(|id| by_id(id).is_none())
        .collect();
    assert_eq!(missing, [""; 0], "topics without a check");
}

/// The index of the published pages.
fn index() -> String {
    let mut text = String::from(
        "# Checks\n\nMade from the pages beside the code. The same on a terminal: `kubectl ambient explain AMB301`.\n\n\
         | id | area | at most | found |\n|---|---|---|---|\n",
    );
    for check in all() {
        let meta = check.meta();
        let title = Page::parse(meta.page).map_or("", |page| page.title);
        let link = meta.id.0.to_lowercase();
        let _cannot_fail = writeln!(
            text,
            "| [{}]({link}.md) | {} | {} | {title} |",
            meta.id,
            meta.area.name(),
            meta.highest
        );
    }
    text
}

#[test]
fn published_pages_are_those_beside_the_code() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/checks");
    let mut wanted = vec![("README.md".to_owned(), index())];
    for check in all() {
        let meta = check.meta();
        wanted.push((
            format!("{}.md", meta.id.0.to_lowercase()),
            meta.page.to_owned(),
        ));
    }
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &wanted {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let mut found: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    assert_eq!(found, names, "run UPDATE_PAGES=1 cargo test --test pages");
    for (name, text) in wanted {
        let written = std::fs::read_to_string(folder.join(&name)).unwrap();
        assert_eq!(
            written, text,
            "docs/checks/{name}: run UPDATE_PAGES=1 cargo test --test pages"
        );
    }
}
