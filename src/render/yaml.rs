//! YAML of the same document.

use serde::Serialize;

pub(super) fn render(document: &impl Serialize) -> String {
    serde_saphyr::to_string(document).unwrap_or_default()
}
