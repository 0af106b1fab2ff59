//! The values that a request can have: which texts are paths, methods, header values.
//!
//! A predicate is only ever asked about values of its domain. What Envoy changes before it looks
//! for a route cannot reach a predicate and is left out: `.` and `..` in paths, percent-encodings
//! of letters that need none (Istio's default normalization), space around header values. All
//! domains are ASCII without control bytes.

use std::sync::LazyLock;

use super::automaton::{Automaton, DEAD};

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// A path without its query, as Envoy has it after normalization.
    Path,
    /// The value of a header, or of a claim.
    HeaderValue,
    /// A method: a token of RFC 9110.
    Method,
    /// The value of a query parameter, as it stands in the URL.
    QueryValue,
    /// A host, with or without a port.
    Authority,
    /// The URI of a workload's identity: `spiffe://domain/ns/namespace/sa/account`.
    Identity,
}

impl Domain {
    /// Whether a text is a value of this kind.
    pub fn contains(self, text: &str) -> bool {
        self.grammar().automaton.contains(text.as_bytes())
    }

    /// Values that read well, tried before any is made up.
    pub(super) fn seeds(self) -> &'static [&'static str] {
        match self {
            Self::Path => &["/"],
            Self::HeaderValue | Self::QueryValue => &["x", "1"],
            Self::Method => &["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"],
            Self::Authority => &["example.com"],
            Self::Identity => &[],
        }
    }

    pub(super) fn grammar(self) -> &'static Grammar {
        static PATH: LazyLock<Grammar> = LazyLock::new(|| Grammar::new(path()));
        static HEADER: LazyLock<Grammar> = LazyLock::new(|| Grammar::new(header_value()));
        static METHOD: LazyLock<Grammar> = LazyLock::new(|| Grammar::new(repeated(is_token)));
        static QUERY: LazyLock<Grammar> = LazyLock::new(|| {
            Grammar::new(any(|b| (0x21..0x7f).contains(&b) && !b"&#".contains(&b)))
        });
        static AUTHORITY: LazyLock<Grammar> = LazyLock::new(|| {
            Grammar::new(repeated(|b| {
                b.is_ascii_alphanumeric() || b".-_:[]".contains(&b)
            }))
        });
        static IDENTITY: LazyLock<Grammar> = LazyLock::new(|| Grammar::new(identity()));
        match self {
            Self::Path => &PATH,
            Self::HeaderValue => &HEADER,
            Self::Method => &METHOD,
            Self::QueryValue => &QUERY,
            Self::Authority => &AUTHORITY,
            Self::Identity => &IDENTITY,
        }
    }
}

/// The grammar of a domain.
#[derive(Debug)]
pub(super) struct Grammar {
    /// What decides it.
    pub(super) automaton: Automaton,
    /// Bytes that occur, those that read best first.
    pub(super) bytes: Vec<u8>,
    /// For each state the shortest text that leads to a value; `None` where there is none.
    completions: Vec<Option<Vec<u8>>>,
}

impl Grammar {
    fn new(automaton: Automaton) -> Self {
        let mut bytes: Vec<u8> = b"xabcdefghijklmnopqrstuvwyz0123456789-_./~"
            .iter()
            .copied()
            .chain(b'A'..=b'Z')
            .chain(0x20..0x7f)
            .collect();
        let mut seen = [false; 128];
        bytes.retain(|byte| !std::mem::replace(&mut seen[usize::from(*byte)], true));
        let states = u32::try_from(automaton.states()).expect("a grammar is small");
        bytes.retain(|byte| (1..states).any(|state| automaton.step(state, *byte) != DEAD));

        // From the accepting states backwards, one byte a round.
        let mut completions: Vec<Option<Vec<u8>>> = (0..states)
            .map(|state| automaton.accepts(state).then(Vec::new))
            .collect();
        loop {
            let mut found = Vec::new();
            for state in 1..states {
                if completions[state as usize].is_some() {
                    continue;
                }
                let rest = bytes.iter().find_map(|byte| {
                    let target = automaton.step(state, *byte) as usize;
                    completions[target].as_ref().map(|rest| (byte, rest))
                });
                if let Some((byte, rest)) = rest {
                    let text = std::iter::once(*byte).chain(rest.iter().copied()).collect();
                    found.push((state as usize, text));
                }
            }
            if found.is_empty() {
                break;
            }
            for (state, text) in found {
                completions[state] = Some(text);
            }
        }
        Self {
            automaton,
            bytes,
            completions,
        }
    }

    /// The shortest text that makes a value of what led to this state.
    pub(super) fn completion(&self, state: u32) -> Option<&[u8]> {
        self.completions[state as usize].as_deref()
    }
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// One or more of some bytes.
fn repeated(of: impl Fn(u8) -> bool) -> Automaton {
    Automaton::from_fn(2, |s| s == 2, |_, b| if of(b) { 2 } else { DEAD })
}

/// Any number of some bytes.
fn any(of: impl Fn(u8) -> bool) -> Automaton {
    Automaton::from_fn(1, |_| true, |_, b| if of(b) { 1 } else { DEAD })
}

/// Printable, without space at its ends; it may be empty.
fn header_value() -> Automaton {
    Automaton::from_fn(
        3,
        |s| s != 3,
        |s, b| match b {
            b' ' if s == 1 => DEAD,
            b' ' => 3,
            0x21..0x7f => 2,
            _ => DEAD,
        },
    )
}

/// Names of Kubernetes between the fixed parts; a trust domain is written as they are.
fn identity() -> Automaton {
    const FIXED: [&[u8]; 3] = [b"spiffe://", b"/ns/", b"/sa/"];
    // Of each part a state for every byte of the fixed text, one before the name and one in it.
    let mut starts = [1_u32; 4];
    for (part, text) in FIXED.iter().enumerate() {
        starts[part + 1] = starts[part] + u32::try_from(text.len()).unwrap_or(u32::MAX) + 2;
    }
    let part = move |s: u32| (0..3).rfind(|part| starts[*part] <= s).unwrap_or(0);
    Automaton::from_fn(
        starts[3] - 1,
        move |s| s == starts[3] - 1,
        move |s, b| {
            let part = part(s);
            let (text, start) = (FIXED[part], starts[part]);
            let read = (s - start) as usize;
            let name = b.is_ascii_lowercase() || b.is_ascii_digit();
            match text.get(read) {
                Some(expected) if *expected == b => s + 1,
                // The first byte of the name, and those after it.
                None if read == text.len() && name => s + 1,
                None if read > text.len() && (name || b == b'-' || (b == b'.' && part != 1)) => s,
                None if read > text.len() && b == b'/' && part < 2 => starts[part + 1] + 1,
                _ => DEAD,
            }
        },
    )
}

/// A path from its first slash, without the segments `.` and `..`, without encoded letters, and
/// without the bytes that Envoy encodes (seen in the real one, alike in sidecars and waypoints).
fn path() -> Automaton {
    const START: u32 = 1;
    const SEGMENT: u32 = 2; // after a slash
    const DOT: u32 = 3; // the segment is `.` so far
    const DOTS: u32 = 4; // the segment is `..` so far
    const BODY: u32 = 5;
    const PERCENT: u32 = 6;
    const HEX_2: u32 = 7;
    const HEX_3: u32 = 8;
    const HEX_4_6: u32 = 9;
    const HEX_5: u32 = 10;
    const HEX_7: u32 = 11;
    const HEX_0: u32 = 12;
    const HEX_OTHER: u32 = 13;
    Automaton::from_fn(
        13,
        |s| s == SEGMENT || s == BODY,
        |s, b| {
            if s == START {
                return if b == b'/' { SEGMENT } else { DEAD };
            }
            if s == PERCENT {
                return match b {
                    b'0' => HEX_0,
                    b'2' => HEX_2,
                    b'3' => HEX_3,
                    b'4' | b'6' => HEX_4_6,
                    b'5' => HEX_5,
                    b'7' => HEX_7,
                    _ if b.is_ascii_hexdigit() => HEX_OTHER,
                    _ => DEAD,
                };
            }
            if s > PERCENT {
                let digit = char::from(b).to_digit(16);
                // Letters, digits, `-`, `.`, `_` and `~` are decoded before routes are looked at, and
                // `%00` is refused.
                let needless = match (s, digit) {
                    (_, None) | (HEX_0, Some(0)) => true,
                    (HEX_2, Some(d)) => d == 0xd || d == 0xe,
                    (HEX_3, Some(d)) => d <= 9,
                    (HEX_4_6, Some(d)) => d >= 1,
                    (HEX_5, Some(d)) => d <= 0xa || d == 0xf,
                    (HEX_7, Some(d)) => d <= 0xa || d == 0xe,
                    _ => false,
                };
                return if needless { DEAD } else { BODY };
            }
            match b {
                b'/' if s == DOT || s == DOTS => DEAD,
                b'/' => SEGMENT,
                b'.' if s == SEGMENT => DOT,
                b'.' if s == DOT => DOTS,
                b'%' => PERCENT,
                b'?' | b'#' | b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => DEAD,
                0x21..0x7f => BODY,
                _ => DEAD,
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_a_request_can_have() {
        for (domain, text, expected) in [
            (Domain::Path, "/", true),
            (Domain::Path, "/a//b", true),
            (Domain::Path, "/a/.well-known/...", true),
            (Domain::Path, "/a/../b", false),
            (Domain::Path, "/a/.", false),
            (Domain::Path, "/%2F%20", true),
            (Domain::Path, "/%61", false),
            (
                Domain::Identity,
                "spiffe://cluster.local/ns/a-b/sa/x.y",
                true,
            ),
            (Domain::Identity, "spiffe://c/ns/a.b/sa/x", false),
            (Domain::Identity, "spiffe://c/ns/a/sa/", false),
            (Domain::Identity, "spiffe://c/ns/a/sa/x/y", false),
            (Domain::Identity, "spiffe:///ns/a/sa/x", false),
            (Domain::Identity, "c/ns/a/sa/x", false),
            (Domain::Path, "/%7e", false),
            (Domain::Path, "/%zz", false),
            (Domain::Path, "/a%2", false),
            (Domain::Path, "", false),
            (Domain::Path, "a", false),
            (Domain::Path, "/a?b", false),
            (Domain::Path, "/a b", false),
            (Domain::Path, "/é", false),
            (Domain::Path, "/<a>", false),
            (Domain::Path, "/{a}", false),
            (Domain::Path, "/%3Ca%3E", true),
            (Domain::Path, "/%00", false),
            (Domain::Path, "/%0a", true),
            (Domain::Path, "/a;b=c,d!$&'()*+:@[]", true),
            (Domain::HeaderValue, "", true),
            (Domain::HeaderValue, "a b", true),
            (Domain::HeaderValue, " a", false),
            (Domain::HeaderValue, "a ", false),
            (Domain::Method, "PURGE", true),
            (Domain::Method, "", false),
            (Domain::Method, "G T", false),
            (Domain::QueryValue, "a=b", true),
            (Domain::QueryValue, "a&b", false),
            (Domain::Authority, "cart.shop:8080", true),
            (Domain::Authority, "", false),
        ] {
            assert_eq!(domain.contains(text), expected, "{domain:?} {text:?}");
        }
    }

    #[test]
    fn what_leads_somewhere_can_be_completed() {
        let grammar = Domain::Path.grammar();
        let mut state = grammar.automaton.start();
        for byte in b"/a/..%4" {
            state = grammar.automaton.step(state, *byte);
        }
        assert_eq!(grammar.completion(state), Some(b"0".as_slice()));
        assert_eq!(grammar.completion(DEAD), None);
    }
}
