//! The reference of all commands and flags, and the man pages, as the program declares them.
//!
//! `UPDATE_REFERENCE=1 cargo test --test reference` writes them anew; read the difference before
//! committing it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Command;

const WIDTH: usize = 100;

/// The program as people call it, with all commands built.
fn program() -> Command {
    let mut program = kubectl_ambient::cli::command()
        .bin_name("kubectl ambient")
        .term_width(WIDTH);
    program.build();
    program
}

#[test]
fn the_reference_is_what_the_commands_say() {
    let mut text = String::from(
        "# Reference\n\nEvery command and every flag, as `--help` tells them. A test keeps this page true. The flags of the\n\
         sections *Output* and *Connection* are those of every command; they stand here once.\n",
    );
    let mut program = program();
    section(&mut text, &mut program, "kubectl ambient", 0);
    let files = BTreeMap::from([("reference.md".to_owned(), text)]);
    hold(Path::new("docs"), "md", &files, |name| {
        name == "reference.md"
    });
}

#[test]
fn the_man_pages_are_what_the_commands_say() {
    let mut files = BTreeMap::new();
    pages(&mut files, &program(), "kubectl-ambient");
    hold(Path::new("docs/man"), "1", &files, |_| true);
}

fn section(text: &mut String, command: &mut Command, name: &str, depth: usize) {
    if command.is_hide_set() {
        return;
    }
    let shown = command.clone().bin_name(name);
    let mut shown = if depth == 0 {
        shown
    } else {
        shown.mut_args(|arg| {
            let global = arg.is_global_set();
            arg.hide(global)
        })
    };
    let help = shown.render_long_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    text.push_str("\n## `");
    text.push_str(name);
    text.push_str("`\n\n```text\n");
    text.push_str(&help.join("\n"));
    text.push_str("\n```\n");
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for sub in names {
        if let Some(command) = command.find_subcommand_mut(&sub) {
            section(text, command, &format!("{name} {sub}"), depth + 1);
        }
    }
}

fn pages(files: &mut BTreeMap<String, String>, command: &Command, name: &str) {
    if command.is_hide_set() {
        return;
    }
    let mut page = Vec::new();
    let titled = command.clone().name(name.to_owned()).version("");
    clap_mangen::Man::new(titled)
        .source("kubectl-ambient")
        .render(&mut page)
        .expect("a vector takes everything");
    let page = String::from_utf8(page).expect("a page is text");
    files.insert(format!("{name}.1"), page);
    for sub in command.get_subcommands() {
        pages(files, sub, &format!("{name}-{}", sub.get_name()));
    }
}

/// Compares the files of a folder with what they must be, or writes them.
fn hold(folder: &Path, ending: &str, files: &BTreeMap<String, String>, ours: fn(&str) -> bool) {
    let update = std::env::var_os("UPDATE_REFERENCE").is_some();
    if update {
        fs::create_dir_all(folder).expect("the folder can be made");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("the file can be written");
        }
    }
    let mut stale = Vec::new();
    for (name, text) in files {
        let present = fs::read_to_string(folder.join(name)).unwrap_or_default();
        if present.replace("\r\n", "\n") != *text {
            stale.push(name.clone());
        }
    }
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry is readable").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let kind = path.extension().is_some_and(|found| found == ending);
        if kind && ours(&name) && !files.contains_key(&name) {
            if update {
                fs::remove_file(&path).expect("the file can be removed");
            } else {
                stale.push(name);
            }
        }
    }
    assert!(
        stale.is_empty(),
        "stale in {}: {}; UPDATE_REFERENCE=1 writes them",
        folder.display(),
        stale.join(", ")
    );
}
