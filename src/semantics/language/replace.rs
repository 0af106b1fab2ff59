//! Replacements by expression, as RE2's `GlobalReplace` does them for Envoy.

use regex_automata::nfa::thompson::NFA;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::util::syntax;

use super::{Undecided, re2};

/// An expression, and what stands in the place of all that it matches.
#[derive(Debug, Clone)]
pub struct Replacement {
    machine: PikeVM,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Compiles an expression and its substitution, in which `\1` stands for the first group, `\0`
    /// for all that was matched and `\\` for a backslash.
    ///
    /// # Errors
    /// When either cannot be read, or is too large.
    pub fn new(expression: &str, substitution: &str) -> Result<Self, Undecided> {
        let expression = re2::translate(expression)?;
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let nfa = NFA::compiler()
            .syntax(syntax)
            .configure(NFA::config().utf8(false).nfa_size_limit(Some(1 << 20)))
            .build(&expression)
            .map_err(|error| match error.size_limit() {
                Some(_) => Undecided::TooLarge,
                None => Undecided::Unreadable,
            })?;
        let groups = nfa.group_info().group_len(regex_automata::PatternID::ZERO);
        let parts = parts(substitution)?;
        let known = |part: &Part| !matches!(part, Part::Group(group) if *group >= groups);
        if !parts.iter().all(known) {
            return Err(Undecided::Unreadable);
        }
        let machine = PikeVM::new_from_nfa(nfa).map_err(|_| Undecided::TooLarge)?;
        Ok(Self { machine, parts })
    }

    /// Replaces all that the expression matches.
    pub fn apply(&self, text: &str) -> String {
        let mut cache = self.machine.create_cache();
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for captures in self.machine.captures_iter(&mut cache, text.as_bytes()) {
            let Some(whole) = captures.get_match() else {
                continue;
            };
            out.push_str(text.get(end..whole.start()).unwrap_or_default());
            for part in &self.parts {
                match part {
                    Part::Text(own) => out.push_str(own),
                    Part::Group(group) => {
                        let span = captures.get_group(*group);
                        out.push_str(span.and_then(|s| text.get(s.range())).unwrap_or_default());
                    }
                }
            }
            end = whole.end();
        }
        out.push_str(text.get(end..).unwrap_or_default());
        out
    }
}

/// The parts of a substitution.
fn parts(substitution: &str) -> Result<Vec<Part>, Undecided> {
    let mut parts = Vec::new();
    let mut own = String::new();
    let mut chars = substitution.chars();
    while let Some(next) = chars.next() {
        if next != '\\' {
            own.push(next);
            continue;
        }
        match chars.next() {
            Some('\\') => own.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                if !own.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut own)));
                }
                parts.push(Part::Group(digit as usize - '0' as usize));
            }
            _ => return Err(Undecided::Unreadable),
        }
    }
    if !own.is_empty() {
        parts.push(Part::Text(own));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_matches_are_replaced_with_groups() {
        for (expression, substitution, text, expected) in [
            (r"^/api(/?)(.*)", r"/\2", "/api/x", "/x"),
            (r"^/api(/?)(.*)", r"/\2", "/api", "/"),
            ("/.*", "/new", "/a/b", "/new"),
            ("/v([0-9])", r"/\1", "/v1/v2/x", "/1/2/x"),
            ("a", r"\\\0", "/a", r"/\a"),
            ("x", "y", "/a", "/a"),
        ] {
            let replacement = Replacement::new(expression, substitution).unwrap();
            assert_eq!(replacement.apply(text), expected, "{expression} {text}");
        }
        assert_eq!(
            Replacement::new("/.*", r"\1").unwrap_err(),
            Undecided::Unreadable
        );
    }
}
