//! Matches in the forms that an HTTPRoute has, each with the language it accepts.

use crate::kinds::complete::{
    HeaderMatch, PathMatch, PathMatchType, QueryMatch, RouteMatch, StringMatch, ValueMatchType,
};
use crate::semantics::language::{Pattern, Predicate, Shape};

/// The longest value of a path (`HTTPPathMatch.value`).
pub(super) const LONGEST_PATH: usize = 1024;

/// A path as an HTTPRoute writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    Exact(String),
    /// Path elements; `/` is every path.
    Prefix(String),
    Regex(String),
}

impl Path {
    pub(super) fn all() -> Self {
        Self::Prefix("/".to_owned())
    }

    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::Prefix(text) if text == "/")
    }

    pub(super) fn is_regex(&self) -> bool {
        matches!(self, Self::Regex(_))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Regex(text) => text,
        }
    }

    /// What Istio sorts by first: exact paths, then prefixes, then expressions, the longer first
    /// (`pilot/pkg/config/kube/gateway/conversion.go`, `sortHTTPRoutes`).
    pub(super) fn rank(&self) -> (i8, usize) {
        let rank = match self {
            Self::Exact(_) => 3,
            Self::Prefix(_) => 2,
            Self::Regex(_) => 1,
        };
        (rank, self.text().len())
    }

    /// The same paths as an expression.
    pub(super) fn as_regex(&self) -> Self {
        Self::Regex(match self {
            Self::Exact(text) => escape(text),
            Self::Prefix(text) if text == "/" => ".*".to_owned(),
            Self::Prefix(text) => format!("{}(/.*)?", escape(text)),
            Self::Regex(text) => text.clone(),
        })
    }

    fn written(&self) -> PathMatch {
        PathMatch {
            kind: Some(match self {
                Self::Exact(_) => PathMatchType::Exact,
                Self::Prefix(_) => PathMatchType::PathPrefix,
                Self::Regex(_) => PathMatchType::RegularExpression,
            }),
            value: Some(self.text().to_owned()),
        }
    }
}

/// An expression of RE2 for a text, without needless backslashes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether a text may stand in an `Exact` or `PathPrefix` match: the rules of the schema
/// (`HTTPPathMatch`).
pub(super) fn is_plain_path(text: &str) -> bool {
    let bytes = text.as_bytes();
    let allowed = |position: usize| match bytes[position] {
        b'%' => bytes
            .get(position + 1..position + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@".contains(&byte),
    };
    text.starts_with('/')
        && text.len() <= LONGEST_PATH
        && !["//", "/./", "/../", "%2f", "%2F"]
            .iter()
            .any(|bad| text.contains(bad))
        && !text.ends_with("/..")
        && !text.ends_with("/.")
        && (0..bytes.len()).all(allowed)
}

/// A header or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) is_regex: bool,
    pub(super) value: String,
    pub(super) pattern: Pattern,
}

impl Field {
    /// How Istio's comparison of a value is written; `*` as an expression means presence.
    pub(super) fn of(name: &str, wanted: &StringMatch) -> Self {
        let (is_regex, value, pattern) = match wanted {
            StringMatch::Exact(text) if text.is_empty() => {
                (true, "^$".to_owned(), Pattern::exact(""))
            }
            StringMatch::Exact(text) => (false, text.clone(), Pattern::exact(text)),
            StringMatch::Prefix(text) if text.is_empty() => (true, ".*".to_owned(), Pattern::any()),
            StringMatch::Prefix(text) => {
                (true, format!("{}.*", escape(text)), Pattern::prefix(text))
            }
            StringMatch::Present => (true, ".*".to_owned(), Pattern::any()),
            StringMatch::Regex(text) if text == "*" => (true, ".*".to_owned(), Pattern::any()),
            StringMatch::Regex(text) => (true, text.clone(), Pattern::regex(text)),
        };
        Self {
            name: name.to_owned(),
            is_regex,
            value,
            pattern,
        }
    }

    fn kind(&self) -> Option<ValueMatchType> {
        self.is_regex.then_some(ValueMatchType::RegularExpression)
    }
}

/// What a match demands beside the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Demands {
    pub(super) method: Option<String>,
    pub(super) headers: Vec<Field>,
    pub(super) params: Vec<Field>,
}

impl Demands {
    /// What Istio sorts by after the path.
    pub(super) fn rank(&self) -> (bool, usize, usize) {
        (self.method.is_some(), self.headers.len(), self.params.len())
    }

    /// Whether all that this demands is demanded there too.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let among = |own: &[Field], theirs: &[Field]| own.iter().all(|f| theirs.contains(f));
        (self.method.is_none() || self.method == other.method)
            && among(&self.headers, &other.headers)
            && among(&self.params, &other.params)
    }

    /// Whether one request may meet both. What is undecided counts as yes.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        let methods = match (&self.method, &other.method) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        methods
            && fields_meet(&self.headers, &other.headers)
            && fields_meet(&self.params, &other.params)
    }

    /// What both demand together; `None` where that cannot be written.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        Some(Self {
            method: self.method.clone().or_else(|| other.method.clone()),
            headers: fields_joined(&self.headers, &other.headers)?,
            params: fields_joined(&self.params, &other.params)?,
        })
    }
}

fn same_name(a: &Field, b: &Field) -> bool {
    a.name.eq_ignore_ascii_case(&b.name)
}

fn fields_meet(own: &[Field], other: &[Field]) -> bool {
    own.iter().all(|a| {
        let mut others = other.iter().filter(|b| same_name(a, b));
        others.all(|b| may_overlap(&a.pattern, &b.pattern))
    })
}

fn fields_joined(own: &[Field], other: &[Field]) -> Option<Vec<Field>> {
    let mut all = own.to_vec();
    for b in other {
        match all.iter_mut().find(|a| same_name(a, b)) {
            None => all.push(b.clone()),
            Some(a) if a.pattern == b.pattern => {}
            // A value that the other expression accepts says more than the expression.
            Some(a) if !b.is_regex && contains(&a.pattern, &b.value) == Some(true) => {
                *a = b.clone();
            }
            Some(a) if !a.is_regex && contains(&b.pattern, &a.value) == Some(true) => {}
            Some(_) => return None,
        }
    }
    Some(all)
}

/// A match, as an HTTPRoute writes it.
pub(super) fn written(path: &Path, demands: &Demands) -> RouteMatch {
    RouteMatch {
        path: Some(path.written()),
        headers: demands
            .headers
            .iter()
            .map(|field| HeaderMatch {
                kind: field.kind(),
                name: field.name.clone(),
                value: field.value.clone(),
            })
            .collect(),
        query_params: demands
            .params
            .iter()
            .map(|field| QueryMatch {
                kind: field.kind(),
                name: field.name.clone(),
                value: field.value.clone(),
            })
            .collect(),
        method: demands.method.clone(),
    }
}

/// Whether a text is in a pattern; `None` where an expression cannot be decided.
pub(super) fn contains(pattern: &Pattern, text: &str) -> Option<bool> {
    Predicate::new(pattern.clone()).contains(text)
}

/// Whether two patterns may have a text in common. What is undecided counts as yes: an order that was
/// not needed does no harm.
pub(super) fn may_overlap(a: &Pattern, b: &Pattern) -> bool {
    let folds = a.ignores_case() || b.ignores_case();
    match (a.shape(), b.shape()) {
        (Shape::Any, _) | (_, Shape::Any) => true,
        (Shape::Exact(text), _) if !folds => contains(b, text).unwrap_or(true),
        (_, Shape::Exact(text)) if !folds => contains(a, text).unwrap_or(true),
        _ => {
            let (a, b) = (head(a), head(b));
            let shorter = a.len().min(b.len());
            let (a, b) = (&a.as_bytes()[..shorter], &b.as_bytes()[..shorter]);
            if folds {
                a.eq_ignore_ascii_case(b)
            } else {
                a == b
            }
        }
    }
}

/// A text with which everything in a pattern begins.
fn head(pattern: &Pattern) -> &str {
    match pattern.shape() {
        Shape::Any => "",
        Shape::Exact(text) | Shape::Prefix(text) | Shape::Element(text) => text,
        Shape::Regex(expression) => literal_head(expression),
    }
}

/// The letters with which all that an expression matches begins; none where that takes more than a
/// look.
fn literal_head(expression: &str) -> &str {
    if expression.contains('|') {
        return "";
    }
    let plain = |c: char| !r"\.+*?()|[]{}^$".contains(c);
    let end = expression.find(|c| !plain(c)).unwrap_or(expression.len());
    let head = &expression[..end];
    match expression[end..].chars().next() {
        // The last letter may be missing.
        Some('*' | '?' | '{') => {
            let last = head.chars().next_back().map_or(0, char::len_utf8);
            &head[..head.len() - last]
        }
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_plain_where_the_schema_takes_them() {
        for (text, plain) in [
            ("/", true),
            ("/a.b/c~d", true),
            ("/a%20b", true),
            ("", false),
            ("a", false),
            ("/a//b", false),
            ("/a/./b", false),
            ("/a/..", false),
            ("/a%2Fb", false),
            ("/a%2", false),
            ("/a#b", false),
            ("/a?b", false),
            ("/{a}", false),
        ] {
            assert_eq!(is_plain_path(text), plain, "{text}");
        }
    }

    #[test]
    fn what_cannot_overlap_is_told_by_its_beginning() {
        let regex = |text: &str| Pattern::regex(text);
        for (a, b, expected) in [
            (Pattern::prefix("/a"), Pattern::prefix("/ab"), true),
            (Pattern::prefix("/a"), Pattern::prefix("/b"), false),
            (Pattern::exact("/a"), Pattern::element("/a"), true),
            (Pattern::exact("/ab"), Pattern::element("/a"), false),
            (regex("/a[0-9]+"), Pattern::exact("/a1"), true),
            (regex("/a[0-9]+"), Pattern::exact("/ax"), false),
            (regex("/ab*c"), Pattern::prefix("/x"), false),
            (regex("/ab*c"), Pattern::prefix("/ac"), true),
            (regex("/a|/b"), Pattern::prefix("/b"), true),
            (Pattern::any(), regex("x"), true),
            (
                Pattern::exact("/A").ignoring_case(),
                Pattern::exact("/a"),
                true,
            ),
        ] {
            assert_eq!(may_overlap(&a, &b), expected, "{a} and {b}");
            assert_eq!(may_overlap(&b, &a), expected, "{b} and {a}");
        }
    }
}
