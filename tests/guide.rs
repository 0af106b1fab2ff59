//! Every command that a page tells somebody to type is one that the program takes.
//!
//! Screens are run and compared by `tests/transcripts.rs`, the rehearsal by `tests/e2e`.

use std::fs;

const PAGES: [&str; 8] = [
    "README.md",
    "SECURITY.md",
    "docs/guide/README.md",
    "docs/guide/convert.md",
    "docs/guide/install.md",
    "docs/guide/move.md",
    "docs/guide/rehearsal.md",
    "docs/guide/waypoints.md",
];

/// The commands of a page: in blocks, and between backticks.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in page.lines() {
        for (at, start) in line.match_indices("kubectl ambient ") {
            let rest = &line[at + start.len()..];
            let quoted = line[..at].ends_with('`');
            let first = line[..at].trim().is_empty() || line[..at].ends_with("| ");
            let typed = match quoted {
                true => rest.split('`').next(),
                // Of a line, what stands before a pipe, a file, a comment, or words about it.
                false if first => rest.split("  ").next(),
                false => continue,
            };
            let typed = typed.unwrap_or_default();
            let end = typed.find(['|', '>', '#']).unwrap_or(typed.len());
            // What is left out, is left out.
            if !typed.contains('…') {
                found.push(typed[..end].trim().to_owned());
            }
        }
    }
    found
}

#[test]
fn what_pages_say_can_be_typed() {
    let mut count = 0;
    for page in PAGES {
        let text = fs::read_to_string(page).unwrap();
        for typed in commands(&text) {
            // A placeholder stands for a step's name.
            let words = typed.replace("ID=REASON", "AMB311=why");
            let words = ["kubectl-ambient"]
                .into_iter()
                .chain(words.split_whitespace());
            let taken = kubectl_ambient::cli::command().try_get_matches_from(words);
            if let Err(error) = taken {
                let help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(help, "{page}: `{typed}`: {error}");
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
