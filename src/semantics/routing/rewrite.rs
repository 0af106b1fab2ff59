//! What becomes of a path, in the forms that Istio gives Envoy.

use std::fmt;

use crate::semantics::language::{Pattern, Replacement};

/// How a path is changed before it is sent on. The query stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathRewrite {
    /// Not at all.
    #[default]
    Keep,
    /// The prefix that was matched is replaced as text (`prefix_rewrite`): `/a` by `/` makes `//x`
    /// of `/a/x`.
    Prefix {
        /// What was matched.
        matched: String,
        /// By what it is replaced.
        by: String,
        /// Whether the match disregarded case, so that only the length of the prefix is known.
        fold: bool,
    },
    /// The prefix is taken away with one slash after it, and a slash put in its place: what an
    /// HTTPRoute does for `replacePrefixMatch: /`.
    Strip(String),
    /// All of it is replaced.
    Whole(String),
    /// All that an expression matches is replaced.
    Regex {
        /// The expression.
        expression: String,
        /// By what, with `\1` for the first group.
        substitution: String,
    },
}

/// What of the path a match matched: Envoy replaces that part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Matched {
    /// Its beginning.
    Prefix {
        /// The beginning.
        text: String,
        /// Whether case was disregarded.
        fold: bool,
    },
    /// All of it.
    Whole,
}

impl PathRewrite {
    /// The replacement of what was matched (`prefix_rewrite`).
    pub(super) fn of_match(matched: &Matched, by: &str) -> Self {
        match matched {
            Matched::Prefix { text, fold } if text != by || *fold => Self::Prefix {
                matched: text.clone(),
                by: by.to_owned(),
                fold: *fold,
            },
            Matched::Prefix { .. } => Self::Keep,
            Matched::Whole => Self::Whole(by.to_owned()),
        }
    }

    /// The replacement of all that an expression matches.
    pub(super) fn of_expression(expression: &str, substitution: &str) -> Self {
        if expression == "/.*" && !substitution.contains('\\') {
            return Self::Whole(substitution.to_owned());
        }
        Self::Regex {
            expression: expression.to_owned(),
            substitution: substitution.to_owned(),
        }
    }

    /// The path that goes on; `None` when an expression cannot be decided.
    pub fn apply(&self, path: &str) -> Option<String> {
        Some(match self {
            Self::Keep => path.to_owned(),
            Self::Prefix { matched, by, .. } => {
                format!("{by}{}", path.get(matched.len()..).unwrap_or_default())
            }
            Self::Strip(prefix) => {
                let rest = path.strip_prefix(prefix.as_str()).unwrap_or(path);
                format!("/{}", rest.strip_prefix('/').unwrap_or(rest))
            }
            Self::Whole(path) => path.clone(),
            Self::Regex {
                expression,
                substitution,
            } => Replacement::new(expression, substitution).ok()?.apply(path),
        })
    }

    /// Patterns that separate the paths between which its way to change them varies.
    pub fn splits(&self) -> Vec<Pattern> {
        match self {
            Self::Strip(prefix)
            | Self::Prefix {
                matched: prefix, ..
            } => {
                let own = prefix.strip_suffix('/').unwrap_or(prefix);
                vec![
                    Pattern::exact(own),
                    Pattern::exact(format!("{own}/")),
                    Pattern::prefix(format!("{own}/")),
                ]
            }
            Self::Keep | Self::Whole(_) | Self::Regex { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for PathRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("path kept"),
            Self::Prefix { matched, by, .. } => write!(f, "prefix {matched} replaced by {by}"),
            Self::Strip(prefix) => write!(f, "prefix {prefix} taken away"),
            Self::Whole(path) => write!(f, "path replaced by {path}"),
            Self::Regex {
                expression,
                substitution,
            } => write!(f, "{expression} replaced by {substitution}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_where_envoy_leaves_them() {
        let prefix = |matched: &str, by: &str| {
            PathRewrite::of_match(
                &Matched::Prefix {
                    text: matched.to_owned(),
                    fold: false,
                },
                by,
            )
        };
        for (rewrite, path, expected) in [
            // A VirtualService replaces text.
            (prefix("/foo", "/"), "/foo/bar", "//bar"),
            (prefix("/foo", "/"), "/foobar", "/bar"),
            (prefix("/a/", "/"), "/a/x", "/x"),
            (prefix("/a", "/b/"), "/a/x", "/b//x"),
            (prefix("/", "/x"), "/y", "/xy"),
            (prefix("/", "/z/"), "/y", "/z/y"),
            (
                PathRewrite::of_match(&Matched::Whole, "/new"),
                "/a/b",
                "/new",
            ),
            // An HTTPRoute takes a slash with the prefix.
            (PathRewrite::Strip("/foo".to_owned()), "/foo/bar", "/bar"),
            (PathRewrite::Strip("/foo".to_owned()), "/foo", "/"),
            (PathRewrite::Strip("/foo".to_owned()), "/foo//bar", "//bar"),
            (PathRewrite::Strip(String::new()), "/y", "/y"),
            (PathRewrite::of_expression("/.*", "/new"), "/a/b", "/new"),
            (
                PathRewrite::of_expression(r"/v(\d)", r"/\1"),
                "/v1/x",
                "/1/x",
            ),
        ] {
            assert_eq!(
                rewrite.apply(path).as_deref(),
                Some(expected),
                "{rewrite} of {path}"
            );
        }
        assert_eq!(prefix("/", "/"), PathRewrite::Keep);
        let unreadable = PathRewrite::of_expression("/.*", r"\1");
        assert_eq!(unreadable.apply("/a"), None);
    }
}
