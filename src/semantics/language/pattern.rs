//! Predicates on a text as routes write them, in one form for equal languages where that is cheap.

use std::cell::RefCell;
use std::fmt;

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use rustc_hash::FxHashMap;

use super::automaton::{Automaton, DEAD};
use super::{Undecided, re2};

/// A language of texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    shape: Shape,
    /// Whether upper and lower case are the same; then the text is in lower case.
    fold: bool,
}

/// The form of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Every text.
    Any,
    /// One text.
    Exact(String),
    /// The texts that begin so.
    Prefix(String),
    /// The text itself, and those that go on with a slash (Envoy's `path_separated_prefix`).
    Element(String),
    /// The texts that an expression of RE2 matches from beginning to end.
    Regex(String),
}

impl Pattern {
    /// Every text.
    pub fn any() -> Self {
        Self::of(Shape::Any, false)
    }

    /// One text.
    pub fn exact(text: impl Into<String>) -> Self {
        Self::of(Shape::Exact(text.into()), false)
    }

    /// The texts that begin so.
    pub fn prefix(text: impl Into<String>) -> Self {
        Self::of(Shape::Prefix(text.into()), false)
    }

    /// The text itself, and those that go on with a slash.
    pub fn element(text: impl Into<String>) -> Self {
        Self::of(Shape::Element(text.into()), false)
    }

    /// The texts that end so.
    pub fn suffix(text: &str) -> Self {
        Self::regex(format!(".*{}", regex_syntax::escape(text)))
    }

    /// What an expression of RE2 matches from beginning to end. Expressions that only spell one of
    /// the other forms become that form.
    pub fn regex(expression: impl Into<String>) -> Self {
        thread_local! {
            static KNOWN: RefCell<FxHashMap<String, Pattern>> = RefCell::default();
        }
        let expression = expression.into();
        KNOWN.with_borrow_mut(|known| {
            if let Some(pattern) = known.get(&expression) {
                return pattern.clone();
            }
            if known.len() == super::KEPT {
                known.clear();
            }
            let simple = re2::parse(&expression).ok().and_then(|hir| simple(&hir));
            let pattern =
                simple.unwrap_or_else(|| Self::of(Shape::Regex(expression.clone()), false));
            known.insert(expression, pattern.clone());
            pattern
        })
    }

    /// The texts that end so, in any case.
    pub fn suffix_ignoring_case(text: &str) -> Self {
        Self::regex(format!("(?i).*{}", regex_syntax::escape(text)))
    }

    /// The same without regard to case. Expressions say for themselves what they disregard.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        match self.shape {
            Shape::Regex(_) => self,
            shape => Self::of(shape, true),
        }
    }

    fn of(shape: Shape, fold: bool) -> Self {
        match shape {
            Shape::Prefix(text) if text.is_empty() => Self::any(),
            Shape::Exact(text) => Self::literal(Shape::Exact, text, fold),
            Shape::Prefix(text) => Self::literal(Shape::Prefix, text, fold),
            Shape::Element(text) => Self::literal(Shape::Element, text, fold),
            Shape::Any | Shape::Regex(_) => Self { shape, fold: false },
        }
    }

    fn literal(shape: fn(String) -> Shape, text: String, fold: bool) -> Self {
        let fold = fold && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        let text = if fold {
            text.to_ascii_lowercase()
        } else {
            text
        };
        Self {
            shape: shape(text),
            fold,
        }
    }

    /// Its form.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether upper and lower case are the same to it.
    pub fn ignores_case(&self) -> bool {
        self.fold
    }

    /// Whether every text is in it, by its form alone.
    pub fn is_any(&self) -> bool {
        self.shape == Shape::Any
    }

    /// Whether a text is in it; `None` for an expression, which has to be compiled for that.
    pub(super) fn contains_literally(&self, text: &str) -> Option<bool> {
        let begins = |start: &str| {
            text.get(..start.len()).is_some_and(|head| {
                if self.fold {
                    head.eq_ignore_ascii_case(start)
                } else {
                    head == start
                }
            })
        };
        Some(match &self.shape {
            Shape::Any => true,
            Shape::Exact(own) => own.len() == text.len() && begins(own),
            Shape::Prefix(own) => begins(own),
            Shape::Element(own) => {
                begins(own) && matches!(text.as_bytes().get(own.len()), None | Some(b'/'))
            }
            Shape::Regex(_) => return None,
        })
    }

    /// Its automaton, whatever its form.
    pub(super) fn automaton(&self) -> Result<Automaton, Undecided> {
        let (text, longer) = match &self.shape {
            Shape::Any => ("", Longer::Any),
            Shape::Exact(text) => (text.as_str(), Longer::None),
            Shape::Prefix(text) => (text.as_str(), Longer::Any),
            Shape::Element(text) => (text.as_str(), Longer::AfterSlash),
            Shape::Regex(expression) => return Automaton::from_hir(&re2::parse(expression)?),
        };
        let bytes = text.as_bytes();
        // State n + 1 has read n bytes of the text; the one after the last takes whatever follows.
        let end = u32::try_from(bytes.len() + 1).map_err(|_| Undecided::TooLarge)?;
        let on = end + 1;
        Ok(Automaton::from_fn(
            on,
            |state| state >= end,
            |state, byte| {
                if state == on {
                    return on;
                }
                if state == end {
                    return match longer {
                        Longer::Any => on,
                        Longer::AfterSlash if byte == b'/' => on,
                        Longer::AfterSlash | Longer::None => DEAD,
                    };
                }
                let own = bytes[state as usize - 1];
                if own == byte || (self.fold && own == byte.to_ascii_lowercase()) {
                    state + 1
                } else {
                    DEAD
                }
            },
        ))
    }
}

/// What may follow a literal text.
#[derive(Clone, Copy)]
enum Longer {
    None,
    Any,
    AfterSlash,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Any => f.write_str("anything")?,
            Shape::Exact(text) => write!(f, "{text:?}")?,
            Shape::Prefix(text) => write!(f, "prefix {text:?}")?,
            Shape::Element(text) => write!(f, "path prefix {text:?}")?,
            Shape::Regex(text) => write!(f, "regex {text:?}")?,
        }
        if self.fold {
            f.write_str(" in any case")?;
        }
        Ok(())
    }
}

/// The form that an expression only spells.
fn simple(hir: &Hir) -> Option<Pattern> {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        HirKind::Capture(group) => return simple(&group.sub),
        _ => std::slice::from_ref(hir),
    };
    // A match is full anyway.
    let parts = match parts {
        [first, rest @ ..] if *first.kind() == HirKind::Look(Look::Start) => rest,
        _ => parts,
    };
    let parts = match parts {
        [rest @ .., last] if *last.kind() == HirKind::Look(Look::End) => rest,
        _ => parts,
    };
    let (shape, literal): (fn(String) -> Shape, _) = match parts {
        [rest @ .., last] if is_anything(last) => (Shape::Prefix, rest),
        [rest @ .., last] if is_optional_tail(last) => (Shape::Element, rest),
        _ => (Shape::Exact, parts),
    };
    let mut text = Vec::new();
    let (mut folded, mut strict) = (false, false);
    for part in literal {
        match part.kind() {
            HirKind::Empty => {}
            HirKind::Literal(bytes) => {
                strict |= bytes.0.iter().any(u8::is_ascii_alphabetic);
                text.extend_from_slice(&bytes.0);
            }
            HirKind::Class(class) => {
                folded = true;
                text.push(letter(class)?);
            }
            _ => return None,
        }
    }
    if folded && strict {
        return None;
    }
    let text = String::from_utf8(text).ok()?;
    Some(Pattern::of(shape(text), folded))
}

/// The letter, in lower case, of which a class holds both cases and nothing else.
fn letter(class: &Class) -> Option<u8> {
    let Class::Bytes(class) = class else {
        return None;
    };
    match class.ranges() {
        [upper, lower]
            if upper.start() == upper.end()
                && lower.start() == lower.end()
                && lower.start().is_ascii_lowercase()
                && upper.start() == lower.start().to_ascii_uppercase() =>
        {
            Some(lower.start())
        }
        _ => None,
    }
}

/// Whether it is `.*`; no value has a line break.
fn is_anything(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(group) => is_anything(&group.sub),
        HirKind::Repetition(repetition) if repetition.min == 0 && repetition.max.is_none() => {
            matches!(repetition.sub.kind(), HirKind::Class(Class::Bytes(class))
                if class.ranges().iter().any(|r| r.start() <= 0x20 && r.end() >= 0x7e))
        }
        _ => false,
    }
}

/// Whether it is `(/.*)?`.
fn is_optional_tail(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else {
        return false;
    };
    let mut sub = &*repetition.sub;
    while let HirKind::Capture(group) = sub.kind() {
        sub = &group.sub;
    }
    repetition.min == 0
        && repetition.max == Some(1)
        && matches!(sub.kind(), HirKind::Concat(parts)
            if matches!(parts.as_slice(), [slash, rest]
                if matches!(slash.kind(), HirKind::Literal(bytes) if *bytes.0 == *b"/")
                    && is_anything(rest)))
}
