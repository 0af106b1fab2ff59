//! Keeps the layers of the program apart: dependencies follow one ordered list of modules.
//!
//! The sources are split into tokens, which is enough to see every path that starts at the crate.
//! A module may use those before it in [`ORDER`]. The network and the terminal have their places.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate; each may use those before it. `main` is `src/main.rs`.
const ORDER: &[&str] = &[
    "soak",
    "event",
    "exit",
    "error",
    "kinds",
    "inventory",
    "mesh",
    "semantics",
    "waypoint",
    "translate",
    "checks",
    "plan",
    "journal",
    "report",
    "render",
    "client",
    "source",
    "execute",
    "ui",
    "cli",
    "main",
];

/// The crate's own name, as `main.rs` writes it.
const OWN_NAME: &str = "kubectl_ambient";

/// Crates that do network I/O or are about it, and the module paths that may name them.
const NETWORK: &[&str] = &["kube", "http", "hyper", "tokio"];
const NETWORK_PLACES: &[&[&str]] = &[&["client"], &["execute"], &["source", "live"], &["main"]];

/// Macros that write to the terminal, and the module paths that may call them.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];
const PRINTING_PLACES: &[&[&str]] = &[&["ui"]];

#[test]
fn dependencies_follow_the_list() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(!files.is_empty(), "no sources under {}", src.display());

    let mut complaints = Vec::new();
    for file in files {
        let path = file
            .strip_prefix(&src)
            .expect("it was found there")
            .to_string_lossy()
            .replace('\\', "/");
        let text = fs::read_to_string(&file).expect("a source file is readable UTF-8");
        complaints.extend(judge(&path, &text));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("the entry is readable").path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, into);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            into.push(entry);
        }
    }
}

/// What is wrong with one source file, `path` being relative to `src`.
fn judge(path: &str, text: &str) -> Vec<String> {
    let home = module_path(path);
    let Some(own) = home.first() else {
        return Vec::new(); // lib.rs declares the modules and may name any of them
    };
    let Some(rank) = ORDER.iter().position(|m| m == own) else {
        return vec![format!("{path}: module `{own}` is not in the list")];
    };
    let tokens = tokens(text);
    let mut complaints = Vec::new();
    let mut say = |line: usize, what: String| complaints.push(format!("{path}:{line}: {what}"));
    let mut inline = InlineModules::default();

    for (i, token) in tokens.iter().enumerate() {
        inline.step(&tokens, i);
        let rest = &tokens[i + 1..];
        match token.text.as_str() {
            "crate" | OWN_NAME if starts_path(&tokens, i) && follows(rest, "::") => {
                for (line, target) in heads(&rest[1..]) {
                    match ORDER.iter().position(|m| *m == target) {
                        None => say(line, format!("`{target}` is not in the list of modules")),
                        Some(to) if to > rank => {
                            say(line, format!("`{own}` may not use `{target}`"));
                        }
                        Some(_) => {}
                    }
                }
            }
            "super" if starts_path(&tokens, i) => {
                let ups = supers(&tokens[i..]);
                if ups >= home.len() + inline.depth() {
                    say(token.line, "write `crate::`, not `super::`".to_owned());
                }
            }
            name if NETWORK.contains(&name)
                && starts_path(&tokens, i)
                && (follows(rest, "::") || is_plain_use(&tokens, i))
                && !NETWORK_PLACES.iter().any(|place| home.starts_with(place)) =>
            {
                say(token.line, format!("`{own}` may not name `{name}`"));
            }
            name if PRINTING.contains(&name)
                && follows(rest, "!")
                && !PRINTING_PLACES.iter().any(|place| home.starts_with(place)) =>
            {
                say(token.line, format!("only `ui` may call `{name}!`"));
            }
            _ => {}
        }
    }
    complaints
}

/// `source/live/pods.rs` is module `source::live::pods`; `lib.rs` is none.
fn module_path(path: &str) -> Vec<&str> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<&str> = stem.split('/').collect();
    if parts.last() == Some(&"mod") || stem == "lib" {
        parts.pop();
    }
    parts
}

/// Whether the token begins a path rather than going on with one or naming a field.
fn starts_path(tokens: &[Token], i: usize) -> bool {
    i == 0 || !matches!(tokens[i - 1].text.as_str(), "::" | ".")
}

fn follows(rest: &[Token], what: &str) -> bool {
    rest.first().is_some_and(|t| t.text == what)
}

/// `use kube;`, `use kube as k;`, `extern crate kube;`
fn is_plain_use(tokens: &[Token], i: usize) -> bool {
    i > 0
        && matches!(tokens[i - 1].text.as_str(), "use" | "crate")
        && (follows(&tokens[i + 1..], ";") || follows(&tokens[i + 1..], "as"))
}

/// The first names after `crate::`: one, or those of a group.
fn heads(after: &[Token]) -> Vec<(usize, String)> {
    let Some(first) = after.first() else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![(first.line, first.text.clone())];
    }
    let (mut depth, mut at_head, mut found) = (0_usize, false, Vec::new());
    for token in after {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                at_head = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," => at_head = depth == 1,
            name if at_head => {
                found.push((token.line, name.to_owned()));
                at_head = false;
            }
            _ => {}
        }
    }
    found
}

/// How many `super` stand in a row.
fn supers(tokens: &[Token]) -> usize {
    let mut n = 0;
    while tokens.get(2 * n).is_some_and(|t| t.text == "super") {
        n += 1;
        if !follows(&tokens[2 * n - 1..], "::") {
            break;
        }
    }
    n
}

/// The `mod name { … }` around the current token: each is one more level below the crate.
#[derive(Default)]
struct InlineModules {
    braces: usize,
    opened_at: Vec<usize>,
}

impl InlineModules {
    fn step(&mut self, tokens: &[Token], i: usize) {
        match tokens[i].text.as_str() {
            "{" => {
                self.braces += 1;
                if i >= 2 && tokens[i - 2].text == "mod" {
                    self.opened_at.push(self.braces);
                }
            }
            "}" => {
                if self.opened_at.last() == Some(&self.braces) {
                    self.opened_at.pop();
                }
                self.braces = self.braces.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        self.opened_at.len()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

/// Words and punctuation. Comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut found) = (0, 1, Vec::new());
    while at < chars.len() {
        let (end, word) = one(&chars, at);
        if let Some(text) = word {
            found.push(Token { line, text });
        }
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    found
}

/// The token at `at`, if it is one that counts, and where the next begins.
fn one(chars: &[char], at: usize) -> (usize, Option<String>) {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => (until(chars, at, |c| c == '\n'), None),
        '/' if next == Some('*') => (block_comment(chars, at), None),
        '"' => (string(chars, at + 1), None),
        '\'' => (quote(chars, at), None),
        ':' if next == Some(':') => (at + 2, Some("::".to_owned())),
        c if c.is_alphanumeric() || c == '_' => {
            let end = until(chars, at, |c| !(c.is_alphanumeric() || c == '_'));
            let word: String = chars[at..end].iter().collect();
            match (word.as_str(), chars.get(end)) {
                ("r" | "br" | "cr", Some('"' | '#')) => raw(chars, end),
                ("b" | "c", Some('"')) => (string(chars, end + 1), None),
                ("b", Some('\'')) => (quote(chars, end), None),
                _ => (end, Some(word)),
            }
        }
        c if c.is_whitespace() => (at + 1, None),
        c => (at + 1, Some(c.to_string())),
    }
}

fn until(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len())
        .find(|&i| stop(chars[i]))
        .unwrap_or(chars.len())
}

fn block_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0_usize, from);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// The end of a string whose first character is at `from`.
fn string(chars: &[char], from: usize) -> usize {
    let mut i = from;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// A raw string or a raw identifier, `from` being at the first `#` or `"`.
fn raw(chars: &[char], from: usize) -> (usize, Option<String>) {
    let open = until(chars, from, |c| c != '#');
    let hashes = open - from;
    if chars.get(open) != Some(&'"') {
        let end = until(chars, open, |c| !(c.is_alphanumeric() || c == '_'));
        return (end, Some(chars[open..end].iter().collect()));
    }
    let closes = |i: usize| {
        chars[i] == '"'
            && chars
                .get(i + 1..=i + hashes)
                .is_some_and(|s| s.iter().all(|c| *c == '#'))
    };
    let end = (open + 1..chars.len()).find(|&i| closes(i));
    (end.map_or(chars.len(), |i| i + 1 + hashes), None)
}

/// A character or a lifetime, `from` being at the quote.
fn quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => until(chars, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1, // a lifetime: its name is an ordinary word
    }
}

/// A file, what it says, and the complaints to come (without the path).
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    // Forward and backward arrows.
    ("mesh/mod.rs", "use crate::kinds::Pod;", &[]),
    ("mesh/mod.rs", "use crate::mesh::waypoints::X;", &[]),
    (
        "mesh/mod.rs",
        "use crate::plan::Step;",
        &["1: `mesh` may not use `plan`"],
    ),
    (
        "kinds/pod.rs",
        "fn f() {\n    crate::client::list()\n}",
        &["2: `kinds` may not use `client`"],
    ),
    ("render/table.rs", "use crate::report::Report;", &[]),
    (
        "report/mod.rs",
        "use crate::render::X;",
        &["1: `report` may not use `render`"],
    ),
    // Groups, nested and over several lines.
    (
        "plan/mod.rs",
        "use crate::{\n    kinds::{Pod, execute},\n    ui as out,\n    mesh,\n    cli,\n};",
        &["3: `plan` may not use `ui`", "5: `plan` may not use `cli`"],
    ),
    (
        "plan/mod.rs",
        "use crate::*;",
        &["1: `*` is not in the list of modules"],
    ),
    (
        "plan/mod.rs",
        "use crate::shortcuts::X;",
        &["1: `shortcuts` is not in the list of modules"],
    ),
    // The whole program is one layer above its own library.
    ("main.rs", "use kubectl_ambient::{cli, ui};", &[]),
    ("lib.rs", "pub mod kinds;\npub mod main;", &[]),
    ("helpers.rs", "", &[" module `helpers` is not in the list"]),
    (
        "mesh/mod.rs",
        "macro_rules! m { () => { $crate::ui::say() } }",
        &["1: `mesh` may not use `ui`"],
    ),
    (
        "mesh/mod.rs",
        "pub(crate) fn f() {}\npub(in crate::mesh) fn g() {}",
        &[],
    ),
    // No way around by `super`.
    ("checks/policy/a.rs", "use super::super::Registry;", &[]),
    (
        "checks/policy/a.rs",
        "use super::super::super::ui;",
        &["1: write `crate::`, not `super::`"],
    ),
    (
        "checks/mod.rs",
        "use super::ui;",
        &["1: write `crate::`, not `super::`"],
    ),
    ("exit.rs", "mod tests {\n    use super::*;\n}", &[]),
    (
        "exit.rs",
        "mod tests {\n    use super::super::ui;\n}\nuse super::ui;",
        &[
            "2: write `crate::`, not `super::`",
            "4: write `crate::`, not `super::`",
        ],
    ),
    // Network crates.
    ("client/mod.rs", "use kube::Client; use http::Uri;", &[]),
    ("source/live.rs", "use tokio::time;", &[]),
    ("source/live/pods.rs", "use tokio::time;", &[]),
    (
        "source/manifests.rs",
        "use tokio::fs;",
        &["1: `source` may not name `tokio`"],
    ),
    (
        "checks/mod.rs",
        "use kube;\nfn f(u: http::Uri) {}",
        &[
            "1: `checks` may not name `kube`",
            "2: `checks` may not name `http`",
        ],
    ),
    (
        "kinds/route.rs",
        "struct S { http: u8 }\nfn f(s: &S) -> u8 { s.http + self::http::N }",
        &[],
    ),
    // The terminal.
    ("ui.rs", "fn f() { println!(); eprintln!(); }", &[]),
    (
        "cli/check.rs",
        "fn f() { println!(\"{}\", 1) }",
        &["1: only `ui` may call `println!`"],
    ),
    // Text is not code.
    (
        "kinds/pod.rs",
        "//! See [`crate::ui`].\n/* crate::ui /* tokio::x */ kube::y */\nconst A: &str = \"crate::ui \\\" kube::z\";\nconst B: &str = r#\"crate::cli \" tokio::x\"#;\nconst C: char = '\"';\nfn f<'a>(x: &'a str) -> char { '\\'' }\nconst D: &[u8] = b\"kube::x\";",
        &[],
    ),
    (
        "kinds/pod.rs",
        "const Q: char = '\"'; use crate::ui; const R: char = '\"';",
        &["1: `kinds` may not use `ui`"],
    ),
    (
        "kinds/pod.rs",
        "fn f<'a>(r#type: &'a str) {}\nuse crate::ui::A;",
        &["2: `kinds` may not use `ui`"],
    ),
];

#[test]
fn the_judge_itself_is_right() {
    for (path, text, expected) in CASES {
        let expected: Vec<String> = expected.iter().map(|e| format!("{path}:{e}")).collect();
        assert_eq!(judge(path, text), expected, "{path}:\n{text}");
    }
}
