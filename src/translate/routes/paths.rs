//! What becomes of paths: what a rule asks for, and what an HTTPRoute can be told.
//!
//! A VirtualService replaces the text that its prefix matched. `ReplacePrefixMatch` replaces path
//! elements, and istiod gives it to Envoy as text without its last slash, so that the two agree for
//! some values only (`pilot/pkg/config/kube/gateway/conversion.go`, `createRewriteFilter`).

use super::form::{Path, is_plain_path};
use super::obstacle::{Findings, Gravity, Spot};
use crate::kinds::complete::PathModifier;
use crate::semantics::language::Pattern;
use crate::translate::Topic;

/// The longest path that a filter writes.
const LONGEST: usize = 1024;

/// What a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// The path stays.
    Nothing,
    /// What was matched is replaced: a prefix, or all of the path.
    Matched {
        /// By what.
        by: String,
        /// Whether for a redirect, in which istiod leaves slashes as they are.
        redirects: bool,
    },
    /// All of the path is replaced.
    Whole(String),
}

/// What an HTTPRoute is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Change {
    None,
    Full(String),
    Prefix(String),
}

impl Change {
    pub(super) fn modifier(&self) -> Option<PathModifier> {
        match self {
            Self::None => None,
            Self::Full(path) => Some(PathModifier::ReplaceFullPath(path.clone())),
            Self::Prefix(prefix) => Some(PathModifier::ReplacePrefixMatch(prefix.clone())),
        }
    }

    /// The same change for one path alone, which a prefix has matched.
    pub(super) fn at(&self, prefix: &str, path: &str) -> Self {
        let Self::Prefix(by) = self else {
            return self.clone();
        };
        let matched = if prefix == "/" { "/" } else { prefix };
        let rest = path.get(matched.len()..).unwrap_or_default();
        Self::Full(match by.as_str() {
            // An empty replacement leaves one slash.
            "/" => format!("/{}", rest.strip_prefix('/').unwrap_or(rest)),
            by => format!("{by}{rest}"),
        })
    }
}

/// A path as it is written, and what becomes of it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) path: Path,
    /// The paths that are meant. What is written may take [`Written::loose`] besides.
    pub(super) pattern: Pattern,
    pub(super) change: Change,
    /// A path that is written takes, though it is not meant.
    pub(super) loose: Option<String>,
    /// Where a prefix ends with a slash: itself without it. If that is taken by an earlier rule, a
    /// `PathPrefix` says the same.
    pub(super) bare: Option<String>,
}

impl Written {
    pub(super) fn plain(path: Path, pattern: Pattern) -> Self {
        Self {
            path,
            pattern,
            change: Change::None,
            loose: None,
            bare: None,
        }
    }
}

impl Wish {
    /// Whether a match on this prefix has its prefix replaced by something else.
    pub(super) fn replaces_prefix(&self, prefix: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Matched { by, .. } => by != prefix,
            Self::Whole(_) => true,
        }
    }

    /// On a path of which all was matched.
    pub(super) fn on_whole(
        &self,
        mut written: Written,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Written {
        if let Self::Matched { by, .. } | Self::Whole(by) = self {
            written.change = full(by, spot, findings);
        }
        written
    }

    /// On every path, of which the first slash was matched.
    pub(super) fn on_all(&self, spot: &Spot, findings: &mut Findings) -> Written {
        let mut written = Written::plain(Path::all(), Pattern::any());
        match self {
            Self::Nothing => {}
            Self::Whole(by) => written.change = full(by, spot, findings),
            Self::Matched { by, .. } if by == "/" => {}
            Self::Matched { by, redirects } if by.ends_with('/') && !redirects => {
                findings.meet(spot.obstacle(
                    Gravity::NoForm,
                    Topic::Rewrites,
                    format!("an HTTPRoute that puts {by} before every path loses its last slash"),
                ));
            }
            Self::Matched { by, .. } => written.change = prefix(by, spot, findings),
        }
        written
    }

    /// On a prefix in any case, or an empty one: nothing of the path can be replaced.
    pub(super) fn on_nothing(
        &self,
        mut written: Written,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Written {
        match self {
            Self::Nothing => {}
            Self::Whole(by) => written.change = full(by, spot, findings),
            Self::Matched { .. } => findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Rewrites,
                "an HTTPRoute replaces prefixes only as they are written, and no empty ones",
            )),
        }
        written
    }

    /// On a prefix other than `/`.
    pub(super) fn on_prefix(
        &self,
        text: &str,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<Written> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        let (by, redirects) = match self {
            Self::Matched { by, redirects } => (by.as_str(), *redirects),
            Self::Whole(by) => {
                let path = Path::Regex(format!("{}.*", super::form::escape(text)));
                let mut written = Written::plain(path, Pattern::prefix(text));
                written.change = full(by, spot, findings);
                return Some(written);
            }
            Self::Nothing => return None,
        };
        if !is_plain_path(bare) || bare == "/" || (redirects && by == "/" && text.ends_with('/')) {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Rewrites,
                format!("an HTTPRoute has no way to put {by} for {text}"),
            ));
            return None;
        }
        let mut written = Written::plain(Path::Prefix(bare.to_owned()), Pattern::element(bare));
        let cut = by.strip_suffix('/').filter(|cut| !cut.is_empty());
        let cut = cut.filter(|_| !redirects || text.ends_with('/'));
        written.change = prefix(cut.unwrap_or(by), spot, findings);
        if text.ends_with('/') && by.ends_with('/') {
            written.pattern = Pattern::prefix(text);
            written.loose = Some(bare.to_owned());
            return Some(written);
        }
        let becomes = if text.ends_with('/') {
            format!(
                "{text}x becomes {}/x and not {by}x",
                by.trim_end_matches('/')
            )
        } else if by.ends_with('/') && !redirects {
            format!("{text}x is not taken any more, and {text}/x gets no double slash")
        } else {
            format!("{text}x is not taken any more")
        };
        let says = format!("an HTTPRoute replaces path elements, not text: {becomes}");
        let obstacle = spot.obstacle(Gravity::Differs, Topic::Rewrites, says);
        findings.meet(obstacle.remedy(
            "if elements are meant, end both the prefix and what stands for it with a slash",
        ));
        Some(written)
    }
}

/// All of the path is replaced. Envoy is given an expression, in which a backslash means something.
fn full(by: &str, spot: &Spot, findings: &mut Findings) -> Change {
    if by.contains('\\') {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Rewrites,
            "a backslash in what replaces the path means a group in an HTTPRoute",
        ));
    }
    check(by, spot, findings);
    Change::Full(by.to_owned())
}

fn prefix(by: &str, spot: &Spot, findings: &mut Findings) -> Change {
    check(by, spot, findings);
    Change::Prefix(by.to_owned())
}

fn check(by: &str, spot: &Spot, findings: &mut Findings) {
    if by.len() > LONGEST {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Limits,
            format!("an HTTPRoute writes paths of {LONGEST} characters at most"),
        ));
    }
}
