//! JSON, indented, with a final newline.

use serde::Serialize;

pub(super) fn render(document: &impl Serialize) -> String {
    // Documents hold strings, numbers and lists only: there is nothing that JSON cannot say.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}
