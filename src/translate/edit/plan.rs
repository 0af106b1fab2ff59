//! What has to change in an object's text, from what it says to what it is to say.

use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::flow::{Form, is_leaf};
use super::tree::{Content, Entry, Node};
use super::{Obstacle, Splice, lines, scalar, tree};

/// The changes of an object's text.
pub(super) fn update(
    text: &str,
    range: Range<usize>,
    before: &Value,
    after: &Value,
) -> Result<Vec<Splice>, Obstacle> {
    let root = tree::read(text, &range)?;
    let form = Form {
        json: serde_json::from_str::<serde::de::IgnoredAny>(&text[range]).is_ok(),
        compact: is_compact(text, &root).unwrap_or(true),
    };
    let mut plan = Plan {
        text,
        newline: lines::newline(text),
        form,
        splices: Vec::new(),
    };
    let place = Place {
        separator: root.range.start,
        indent: lines::column(text, root.range.start),
        flow: false,
    };
    plan.value(&root, before, after, place)?;
    Ok(plan.splices)
}

/// Whether the dashes of a text's lists stand below their keys; `None` when it has none.
fn is_compact(text: &str, node: &Node) -> Option<bool> {
    match &node.content {
        Content::Scalar(_) => None,
        Content::List { items, .. } => items.iter().find_map(|item| is_compact(text, item)),
        Content::Map { entries, .. } => entries.iter().find_map(|entry| match &entry.value {
            value @ Node {
                content: Content::List { flow: false, .. },
                ..
            } => Some(
                lines::column(text, value.range.start)
                    == lines::column(text, entry.key_range.start),
            ),
            value => is_compact(text, value),
        }),
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place {
    /// The byte after the `:` or the `-` before it.
    separator: usize,
    /// How far the key or the dash is indented.
    indent: usize,
    /// Whether it is inside brackets.
    flow: bool,
}

struct Plan<'t> {
    text: &'t str,
    newline: &'static str,
    form: Form,
    splices: Vec<Splice>,
}

impl Plan<'_> {
    fn splice(&mut self, range: Range<usize>, text: impl Into<String>) {
        let text = text.into();
        self.splices.push(Splice { range, text });
    }

    fn value(
        &mut self,
        node: &Node,
        before: &Value,
        after: &Value,
        place: Place,
    ) -> Result<(), Obstacle> {
        if before == after {
            return Ok(());
        }
        match (&node.content, before, after) {
            (Content::Map { flow, entries }, Value::Object(old), Value::Object(new))
                if old.keys().any(|key| new.contains_key(key)) =>
            {
                self.map(entries, *flow, old, new)
            }
            (Content::List { flow, items }, Value::Array(old), Value::Array(new))
                if !old.is_empty() && !new.is_empty() && old.len() == items.len() =>
            {
                self.list(node, items, *flow, old, new)
            }
            _ => {
                self.replace(node, after, place);
                Ok(())
            }
        }
    }

    /// Writes a value anew.
    fn replace(&mut self, node: &Node, after: &Value, place: Place) {
        let style = match node.content {
            Content::Scalar(style) => style,
            _ => ScalarStyle::Plain,
        };
        let inline = place.flow
            || is_leaf(after)
            || (!node.is_block()
                && !node.range.is_empty()
                && !matches!(node.content, Content::Scalar(_)));
        if inline {
            let text = match after {
                Value::Object(_) | Value::Array(_) => self.form.flow(after),
                leaf => scalar::written(leaf, style, self.form.json),
            };
            if node.range.is_empty() || node.is_block() {
                let end = node.range.end.max(place.separator);
                self.splice(place.separator..end, format!(" {text}"));
            } else {
                self.splice(node.range.clone(), text);
            }
            return;
        }
        let indent = self.form.below(after, place.indent);
        let lines = self.form.block(after, indent);
        let end = node.range.end.max(place.separator);
        let text = lines.join(self.newline);
        // In an item the first line goes on after the dash.
        if self.text[..place.separator].ends_with('-') {
            let text = self.form.block(after, place.indent + 2).join(self.newline);
            self.splice(place.separator..end, format!(" {}", text.trim_start()));
        } else {
            self.splice(place.separator..end, format!("{}{text}", self.newline));
        }
    }

    /// Some keys go, some change, some are new; at least one stays.
    fn map(
        &mut self,
        entries: &[Entry],
        flow: bool,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<(), Obstacle> {
        if entries.len() != old.len() || entries.iter().any(|e| !old.contains_key(&e.key)) {
            return Err(Obstacle::Unclear);
        }
        let goes = |entry: &Entry| !new.contains_key(&entry.key);
        for entry in entries.iter().filter(|entry| !goes(entry)) {
            let place = self.place_of(entry, flow)?;
            let (before, after) = (&old[&entry.key], &new[&entry.key]);
            self.value(&entry.value, before, after, place)?;
        }
        let spans: Vec<(Range<usize>, bool)> = entries
            .iter()
            .map(|entry| (entry.key_range.start..entry.end(), goes(entry)))
            .collect();
        self.cut(&spans, flow)?;
        let Some(last) = entries.iter().rfind(|entry| !goes(entry)) else {
            return Err(Obstacle::Unclear);
        };
        let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
        let indent = lines::column(self.text, entries[0].key_range.start);
        for (key, value) in added {
            if flow {
                let text = format!(", {}", self.form.flow_entry(key, value));
                self.splice(last.end()..last.end(), text);
            } else {
                let lines = self.form.entry(key, value, indent);
                self.insert_after(last.end(), &lines);
            }
        }
        Ok(())
    }

    fn place_of(&self, entry: &Entry, flow: bool) -> Result<Place, Obstacle> {
        let after_key = &self.text[entry.key_range.end..];
        let colon = after_key.find(':').ok_or(Obstacle::Unclear)?;
        if !after_key[..colon].trim().is_empty() {
            return Err(Obstacle::Unclear);
        }
        Ok(Place {
            separator: entry.key_range.end + colon + 1,
            indent: lines::column(self.text, entry.key_range.start),
            flow,
        })
    }

    /// Items go, change and come; what both lists begin and end with stays.
    fn list(
        &mut self,
        node: &Node,
        items: &[Node],
        flow: bool,
        old: &[Value],
        new: &[Value],
    ) -> Result<(), Obstacle> {
        let both = old.len().min(new.len());
        let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let tail = old.iter().rev().zip(new.iter().rev());
        let tail = tail.take(both - head).take_while(|(a, b)| a == b).count();
        let changed = both - head - tail;
        for at in head..head + changed {
            let place = self.place_of_item(node, &items[at], flow)?;
            self.value(&items[at], &old[at], &new[at], place)?;
        }
        let (gone, added) = (
            head + changed..old.len() - tail,
            head + changed..new.len() - tail,
        );
        let spans: Vec<(Range<usize>, bool)> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let start = if flow {
                    item.range.start
                } else {
                    self.dash(item)?
                };
                Ok((start..item.range.end.max(start + 1), gone.contains(&at)))
            })
            .collect::<Result<_, Obstacle>>()?;
        self.cut(&spans, flow)?;
        if added.is_empty() {
            return Ok(());
        }
        let added = &new[added];
        // Where items are added, none goes.
        let (at, after) = match (head + changed).checked_sub(1) {
            Some(before) => (spans[before].0.end, true),
            None => (spans[0].0.start, false),
        };
        if flow {
            let texts: Vec<String> = added.iter().map(|item| self.form.flow(item)).collect();
            let text = texts.join(", ");
            let text = if after {
                format!(", {text}")
            } else {
                format!("{text}, ")
            };
            self.splice(at..at, text);
            return Ok(());
        }
        let indent = lines::column(self.text, spans[0].0.start);
        let items = added.iter().flat_map(|item| self.form.item(item, indent));
        let items: Vec<String> = items.collect();
        if after {
            self.insert_after(at, &items);
        } else if lines::is_first(self.text, at) {
            let line = lines::start(self.text, at);
            let text = items.join(self.newline) + self.newline;
            self.splice(line..line, text);
        } else {
            return Err(Obstacle::Unclear);
        }
        Ok(())
    }

    fn place_of_item(&self, list: &Node, item: &Node, flow: bool) -> Result<Place, Obstacle> {
        if flow {
            return Ok(Place {
                separator: item.range.start,
                indent: lines::column(self.text, list.range.start),
                flow,
            });
        }
        let dash = self.dash(item)?;
        Ok(Place {
            separator: dash + 1,
            indent: lines::column(self.text, dash),
            flow,
        })
    }

    /// Where the dash of an item stands.
    fn dash(&self, item: &Node) -> Result<usize, Obstacle> {
        let before = self.text[..item.range.start].trim_end_matches([' ', '\t']);
        if before.ends_with('-') {
            return Ok(before.len() - 1);
        }
        Err(Obstacle::Unclear)
    }

    /// Cuts out the entries or items that go; at least one stays.
    fn cut(&mut self, spans: &[(Range<usize>, bool)], flow: bool) -> Result<(), Obstacle> {
        let mut at = 0;
        while at < spans.len() {
            if !spans[at].1 {
                at += 1;
                continue;
            }
            let run = spans[at..].iter().take_while(|(_, goes)| *goes).count();
            let (first, last) = (&spans[at].0, &spans[at + run - 1].0);
            let next = spans.get(at + run).map(|(span, _)| span.start);
            let range = if flow {
                self.flow_gap(spans, at, last.end, next)?
            } else {
                self.line_gap(first.start, last.end, next)?
            };
            self.splice(range, "");
            at += run;
        }
        Ok(())
    }

    /// What goes with entries in brackets: a comma, too.
    fn flow_gap(
        &self,
        spans: &[(Range<usize>, bool)],
        at: usize,
        end: usize,
        next: Option<usize>,
    ) -> Result<Range<usize>, Obstacle> {
        let range = match (next, at.checked_sub(1)) {
            (Some(next), _) => spans[at].0.start..next,
            (None, Some(before)) => spans[before].0.end..end,
            (None, None) => return Err(Obstacle::Unclear),
        };
        // A `#` may be part of a value; whether it is does not matter, for nothing is lost then.
        if self.text[range.clone()].contains('#') {
            return Err(Obstacle::Comment);
        }
        Ok(range)
    }

    /// What goes with entries on lines of their own.
    fn line_gap(
        &self,
        start: usize,
        end: usize,
        next: Option<usize>,
    ) -> Result<Range<usize>, Obstacle> {
        let text = self.text;
        if lines::is_first(text, start) {
            return Ok(lines::start(text, start)..lines::next(text, end));
        }
        // It stands behind a dash, or a `---`: what follows takes its place.
        let next = next.ok_or(Obstacle::Unclear)?;
        if text[end..next].trim_ascii().is_empty() {
            Ok(start..next)
        } else {
            Err(Obstacle::Comment)
        }
    }

    /// Adds lines below the line in which a byte stands.
    fn insert_after(&mut self, at: usize, new: &[String]) {
        let end = lines::end(self.text, at);
        let text: String = new.iter().flat_map(|line| [self.newline, line]).collect();
        self.splice(end..end, text);
    }
}
