//! Switches as Istio reads them.

/// Whether Go's `strconv.ParseBool`, by which Istio reads its switches and annotations, takes a text
/// as true.
pub fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}
