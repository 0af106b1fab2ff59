//! Expressions of RE2, in which Envoy writes its matches, read with Rust's parser.
//!
//! The two syntaxes agree on nearly everything. Where the same text means something else in Rust
//! (`[a&&b]`, `[[a]`, `\<`, `a{,2}`), it is rewritten first; what only Rust knows (`(?x)`, `\u`)
//! and what only RE2 knows (`\C`, classes of Unicode) is undecided. Values are ASCII here, so that
//! Unicode is off on both sides.

use regex_syntax::hir::Hir;

use super::Undecided;

/// Reads an expression.
pub(super) fn parse(expression: &str) -> Result<Hir, Undecided> {
    let translated = translate(expression)?;
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(&translated)
        .map_err(|_| Undecided::Unreadable)
}

/// The same expression as Rust writes it.
pub(super) fn translate(expression: &str) -> Result<String, Undecided> {
    let mut rest = expression;
    let mut out = String::with_capacity(expression.len() + 8);
    while let Some(next) = rest.chars().next() {
        rest = match next {
            '\\' => escape(rest, &mut out)?,
            '[' => class(rest, &mut out)?,
            '(' => group(rest, &mut out)?,
            '{' if !is_counted(rest) => {
                out.push_str("\\{");
                &rest[1..]
            }
            _ => {
                out.push(next);
                &rest[next.len_utf8()..]
            }
        };
    }
    Ok(out)
}

/// An escape outside a class; `text` starts at its backslash.
fn escape<'t>(text: &'t str, out: &mut String) -> Result<&'t str, Undecided> {
    let Some(letter) = text[1..].chars().next() else {
        return Err(Undecided::Unreadable);
    };
    let rest = &text[1 + letter.len_utf8()..];
    match letter {
        'Q' => {
            let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex_syntax::escape(quoted));
            return Ok(rest);
        }
        '<' | '>' => out.push(letter),
        // `\b{` begins another assertion in Rust.
        'b' | 'B' if rest.starts_with('{') => return Err(Undecided::Unreadable),
        'u' | 'U' | 'C' | 'p' | 'P' | '0'..='9' => return Err(Undecided::Unreadable),
        _ => {
            out.push('\\');
            out.push(letter);
        }
    }
    Ok(rest)
}

/// A class; `text` starts at its bracket.
fn class<'t>(text: &'t str, out: &mut String) -> Result<&'t str, Undecided> {
    out.push('[');
    let mut rest = &text[1..];
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    let mut dash = false;
    loop {
        let Some(next) = rest.chars().next() else {
            return Err(Undecided::Unreadable);
        };
        let after = &rest[next.len_utf8()..];
        let was_dash = std::mem::replace(&mut dash, next == '-');
        match next {
            ']' if !first => {
                out.push(']');
                return Ok(after);
            }
            '[' if after.starts_with(':') => {
                let end = after.find(":]").ok_or(Undecided::Unreadable)? + 2;
                out.push('[');
                out.push_str(&after[..end]);
                rest = &after[end..];
                first = false;
                continue;
            }
            '\\' => {
                let letter = after.chars().next().ok_or(Undecided::Unreadable)?;
                match letter {
                    '<' | '>' => out.push(letter),
                    'u' | 'U' | 'C' | 'p' | 'P' | 'Q' | 'b' | 'B' | 'A' | 'z' | '0'..='9' => {
                        return Err(Undecided::Unreadable);
                    }
                    _ => {
                        out.push('\\');
                        out.push(letter);
                    }
                }
                rest = &after[letter.len_utf8()..];
                first = false;
                continue;
            }
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(next);
            }
            '-' if was_dash => out.push_str("\\-"),
            _ => out.push(next),
        }
        rest = after;
        first = false;
    }
}

/// The beginning of a group; `text` starts at its parenthesis.
fn group<'t>(text: &'t str, out: &mut String) -> Result<&'t str, Undecided> {
    out.push('(');
    let Some(flags) = text.strip_prefix("(?") else {
        return Ok(&text[1..]);
    };
    out.push('?');
    if flags.starts_with(['P', '<']) {
        return Ok(flags);
    }
    let end = flags.find([':', ')']).ok_or(Undecided::Unreadable)?;
    if !flags[..end].chars().all(|flag| "imsU-".contains(flag)) {
        return Err(Undecided::Unreadable);
    }
    out.push_str(&flags[..end]);
    Ok(&flags[end..])
}

/// Whether a brace begins a repetition; RE2 takes any other as itself.
fn is_counted(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (min, max) = inside.split_once(',').unwrap_or((inside, ""));
    !min.is_empty() && digits(min) && digits(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_else_in_rust_is_rewritten() {
        for (re2, rust) in [
            ("/api/v[12]", "/api/v[12]"),
            ("[a&&b]", r"[a\&\&b]"),
            ("[[a]b]", r"[\[a]b]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            ("[]a]", r"[\]a]"),
            ("[^]a]", r"[^\]a]"),
            ("[+--]", r"[+-\-]"),
            (r"\<a\>", "<a>"),
            ("a{,2}", r"a\{,2}"),
            ("a{2}b{3,}c{4,5}d{", r"a{2}b{3,}c{4,5}d\{"),
            (r"\Qa.b\Ec", r"a\.bc"),
            ("(?i)a(?P<n>b)(?:c)", "(?i)a(?P<n>b)(?:c)"),
        ] {
            assert_eq!(translate(re2).as_deref(), Ok(rust), "{re2}");
        }
        for unreadable in [
            r"\pL", r"\C", "(?x)a b", r"\u0041", r"\1", "[a", "(?=a)", "*", "a(",
        ] {
            assert!(parse(unreadable).is_err(), "{unreadable}");
        }
    }
}
