//! A check's page: Markdown that is its explanation, its documentation and its test.
//!
//! Under *Examples*, each `yaml` block is an input and the `finding` block after it is exactly what
//! the check must report; an empty one means silence. A `yaml` block that begins with a comment
//! `# judge: NAME, NAME` says which namespaces are judged; without it they are those of
//! [`super::Scope::injected`].

use super::{Finding, Remedy};

/// The headings that every page has, in this order.
pub const HEADINGS: [&str; 5] = [
    "What it means",
    "Why it matters",
    "What kubectl-ambient does",
    "What you can do",
    "Examples",
];

/// What an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The check finds something.
    Positive,
    /// It stays silent.
    Negative,
    /// It stays silent although the same field is there, where it does not matter.
    NearMiss,
}

/// An example of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example<'p> {
    /// What it shows.
    pub shows: Shows,
    /// Its heading after the word.
    pub title: &'p str,
    /// The manifests.
    pub input: &'p str,
    /// What the check must report.
    pub expected: &'p str,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<'p> {
    /// The first heading, after the id.
    pub title: &'p str,
    /// The second-level headings.
    pub headings: Vec<&'p str>,
    /// The examples.
    pub examples: Vec<Example<'p>>,
}

impl<'p> Page<'p> {
    /// Reads a page.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn parse(text: &'p str) -> Result<Self, String> {
        let first = text.lines().next().unwrap_or_default();
        let title = first
            .strip_prefix("# ")
            .and_then(|heading| heading.split_once(": "))
            .map(|(_, title)| title)
            .ok_or("the first line is not `# AMBnxx: title`")?;
        let headings = text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        let examples = text
            .split("\n### ")
            .skip(1)
            .map(example)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            title,
            headings,
            examples,
        })
    }
}

fn example(section: &str) -> Result<Example<'_>, String> {
    let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
    let (word, title) = heading
        .split_once(": ")
        .ok_or("an example is `### Positive: title`")?;
    let shows = match word {
        "Positive" => Shows::Positive,
        "Negative" => Shows::Negative,
        "Near miss" => Shows::NearMiss,
        other => {
            return Err(format!(
                "an example is Positive, Negative or Near miss, not {other}"
            ));
        }
    };
    let input = block(body, "yaml").ok_or_else(|| format!("`{title}` has no yaml block"))?;
    let expected =
        block(body, "finding").ok_or_else(|| format!("`{title}` has no finding block"))?;
    Ok(Example {
        shows,
        title,
        input,
        expected,
    })
}

fn block<'b>(body: &'b str, language: &str) -> Option<&'b str> {
    let opening = format!("```{language}\n");
    let start = body.find(&opening)? + opening.len();
    let rest = &body[start..];
    let end = if rest.starts_with("```") {
        0
    } else {
        rest.find("\n```")? + 1
    };
    Some(&rest[..end])
}

/// The namespaces that an example's first comment names.
pub fn judged(input: &str) -> Option<Vec<&str>> {
    let names = input.lines().next()?.strip_prefix("# judge: ")?;
    Some(names.split(',').map(str::trim).collect())
}

/// A finding as pages show it.
pub fn shown(finding: &Finding) -> String {
    let field = finding.field.to_string();
    let mut text = format!("{} {}", finding.severity, finding.object);
    if !field.is_empty() {
        text.push(' ');
        text.push_str(&field);
    }
    text.push_str("\n  ");
    text.push_str(&finding.message);
    match &finding.remedy {
        Remedy::Move(what) => {
            text.push_str("\n  move: ");
            text.push_str(what);
        }
        Remedy::Person {
            text: what,
            command,
        } => {
            text.push_str("\n  fix: ");
            text.push_str(what);
            if let Some(command) = command {
                text.push_str("\n  $ ");
                text.push_str(command);
            }
        }
        Remedy::Nothing => {}
    }
    text.push('\n');
    text
}
