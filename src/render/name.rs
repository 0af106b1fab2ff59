//! `kind/name`, a line each, for pipes.

use super::Document;

pub(super) fn render(document: &impl Document) -> String {
    document
        .names()
        .into_iter()
        .map(|name| name + "\n")
        .collect()
}
