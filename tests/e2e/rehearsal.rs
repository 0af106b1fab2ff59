//! The rehearsal of the guide, command by command, as it stands on its page.

use harness::Result;

use crate::journey::{self, Journey};

const PAGE: &str = include_str!("../../docs/guide/rehearsal.md");

/// The commands of the page in their order, without the namespace, and the exit code that each is to have.
fn commands() -> Vec<(Vec<String>, i32)> {
    let lines = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("kubectl ambient "));
    lines
        .map(|line| {
            let (typed, note) = line.split_once('#').unwrap_or((line, ""));
            let exit = note.trim().strip_prefix("exits with ").unwrap_or("0");
            let words = typed.split_whitespace().map(str::to_owned).collect();
            (words, exit.parse().expect("an exit code"))
        })
        .collect()
}

#[test]
fn the_rehearsal_goes_as_its_page_says() -> Result {
    let journey = Journey::shop(journey::plane()?)?;
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("shop.yaml");
    let bundle = bundle.to_str().expect("a name in plain text");
    let start = journey.snapshot()?;
    let mut taken_back = 0;
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for (words, exit) in commands {
        // The namespace has a name of its own here, and the file a folder.
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| !matches!(*word, "-n" | "shop"))
            .map(|word| if word == "shop.yaml" { bundle } else { word })
            .collect();
        journey.command(&words)?.run()?.exited(exit)?;
        if words == ["rollback", "--yes"] {
            taken_back += 1;
            journey.wait_ready(2, "2/2")?;
            journey.is_as(&start, "back, as the page says")?;
        }
    }
    assert_eq!(taken_back, 2);
    Ok(())
}
