//! Cells of literal predicates: no automaton is needed, a trie of the texts has them all.
//!
//! Which predicates hold for a value depends on how far it follows the trie and whether it ends
//! there: at each node there is the value that ends, and those that leave it by another byte.

use super::automaton::DEAD;
use super::cells::{Collector, Truth};
use super::domain::Grammar;
use super::pattern::Shape;
use super::{Pattern, Predicate};

/// A trie of the texts of predicates.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: Vec<(u8, u32)>,
    /// Predicates that hold for the text that ends here.
    ends: Vec<usize>,
    /// Predicates that hold for whatever comes here.
    passes: Vec<usize>,
}

impl Trie {
    /// The trie of some patterns, each with its number.
    pub(super) fn new<'p>(patterns: impl Iterator<Item = (usize, &'p Pattern)>) -> Self {
        let mut trie = Self {
            nodes: vec![Node::default()],
        };
        for (number, pattern) in patterns {
            match pattern.shape() {
                Shape::Any => trie.nodes[0].passes.push(number),
                Shape::Exact(text) => {
                    let node = trie.insert(text);
                    trie.nodes[node].ends.push(number);
                }
                Shape::Prefix(text) => {
                    let node = trie.insert(text);
                    trie.nodes[node].passes.push(number);
                }
                Shape::Element(text) => {
                    let node = trie.insert(text);
                    trie.nodes[node].ends.push(number);
                    let node = trie.insert(&format!("{text}/"));
                    trie.nodes[node].passes.push(number);
                }
                Shape::Regex(_) => unreachable!("expressions have automata"),
            }
        }
        trie
    }

    fn insert(&mut self, text: &str) -> usize {
        let mut at = 0;
        for byte in text.bytes() {
            at = if let Some(child) = self.child(at, byte) {
                child
            } else {
                let fresh = u32::try_from(self.nodes.len()).expect("texts are short");
                self.nodes.push(Node::default());
                self.nodes[at].children.push((byte, fresh));
                fresh as usize
            };
        }
        at
    }

    /// The node that a byte leads to.
    pub(super) fn child(&self, node: usize, byte: u8) -> Option<usize> {
        self.nodes[node]
            .children
            .iter()
            .find(|(own, _)| *own == byte)
            .map(|(_, child)| *child as usize)
    }

    /// The nodes that follow on a node.
    pub(super) fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let children = self.nodes[node].children.iter();
        children.map(|(_, child)| *child as usize)
    }

    /// Predicates that hold for the text that ends at a node.
    pub(super) fn ends(&self, node: usize) -> &[usize] {
        &self.nodes[node].ends
    }

    /// Predicates that hold for whatever comes to a node.
    pub(super) fn passes(&self, node: usize) -> &[usize] {
        &self.nodes[node].passes
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The bytes that occur in texts.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.nodes
            .iter()
            .flat_map(|node| node.children.iter().map(|(byte, _)| *byte))
    }
}

/// Collects the cells of literal predicates.
pub(super) fn split(grammar: &Grammar, predicates: &[&Predicate], into: &mut Collector) {
    let trie = Trie::new(predicates.iter().map(|p| p.pattern()).enumerate());
    let mut walk = Walk {
        grammar,
        trie: &trie,
        into,
        text: Vec::new(),
    };
    let nothing = Truth::none(predicates.len());
    walk.node(0, grammar.automaton.start(), &nothing, false);
}

struct Walk<'w> {
    grammar: &'w Grammar,
    trie: &'w Trie,
    into: &'w mut Collector,
    text: Vec<u8>,
}

impl Walk<'_> {
    /// Looks at a node, and then at those below. `passed` holds for whatever comes here; `seen`
    /// says that its cell has a value already.
    fn node(&mut self, node: usize, state: u32, passed: &Truth, mut seen: bool) {
        if self.grammar.completion(state).is_none() {
            return;
        }
        let own = &self.trie.nodes[node];
        let mut changed = None;
        if !own.passes.is_empty() {
            let mut truth = passed.clone();
            truth.set_all(&own.passes);
            seen = seen && truth == *passed;
            changed = Some(truth);
        }
        let passed = changed.as_ref().unwrap_or(passed);
        if self.grammar.automaton.accepts(state) && !(own.ends.is_empty() && seen) {
            let mut truth = passed.clone();
            truth.set_all(&own.ends);
            seen |= truth == *passed;
            self.add(&truth, &[]);
        }
        if !seen && let Some(tail) = self.leave(node, state) {
            seen = true;
            self.add(passed, &tail);
        }
        let mut children = own.children.clone();
        children.sort_unstable();
        for (byte, child) in children {
            let state = self.grammar.automaton.step(state, byte);
            if state != DEAD {
                self.text.push(byte);
                self.node(child as usize, state, passed, seen);
                self.text.pop();
            }
        }
    }

    /// The best way to go on that no text of the trie goes.
    fn leave(&self, node: usize, state: u32) -> Option<Vec<u8>> {
        let mut best: Option<Vec<u8>> = None;
        for byte in &self.grammar.bytes {
            if self.trie.child(node, *byte).is_some() {
                continue;
            }
            let state = self.grammar.automaton.step(state, *byte);
            if let Some(rest) = self.grammar.completion(state)
                && best.as_ref().is_none_or(|best| rest.len() + 1 < best.len())
            {
                best = Some([&[*byte], rest].concat());
                if rest.is_empty() {
                    break;
                }
            }
        }
        best
    }

    fn add(&mut self, truth: &Truth, tail: &[u8]) {
        let text = &self.text;
        self.into.add(truth, || {
            text.iter().chain(tail).copied().map(char::from).collect()
        });
    }
}
