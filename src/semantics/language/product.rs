//! Cells of predicates of which some are expressions: the product of their automata is searched
//! breadth first, so that the first value found for a cell is a shortest one.

use std::collections::HashMap;

use super::automaton::{Automaton, DEAD};
use super::cells::{Collector, Relevance, Truth};
use super::domain::Grammar;
use super::trie::Trie;
use super::{Compiled, Predicate};

/// A state of the product: of the grammar, the trie, the prefix passed in the trie, the automata.
type State = Box<[u32]>;

const GRAMMAR: usize = 0;
const NODE: usize = 1;
const PASSED: usize = 2;
const FIRST: usize = 3;
/// The node of a text that has left the trie.
const OUTSIDE: u32 = u32::MAX;

/// Collects the cells; says whether all states were looked at.
pub(super) fn split(
    grammar: &Grammar,
    predicates: &[&Predicate],
    most: usize,
    relevance: Option<&Relevance<'_>>,
    into: &mut Collector,
) -> bool {
    let mut search = Search::new(grammar, predicates);
    let mut matter: HashMap<Truth, Truth> = HashMap::new();
    let bytes = search.representatives();
    let mut at = 0;
    while at < search.order.len() {
        let (state, _) = &search.order[at];
        let state = state.clone();
        if grammar.automaton.accepts(state[GRAMMAR]) {
            let truth = search.truth(&state);
            into.add(truth, || search.text(at));
        }
        for byte in &bytes {
            let Some(mut next) = search.step(&state, *byte) else {
                continue;
            };
            if let Some(relevance) = relevance {
                let sure = search.sure(&next);
                if !sure.is_none() {
                    let matter = matter
                        .entry(sure)
                        .or_insert_with_key(|sure| relevance(sure));
                    search.forget(&mut next, matter);
                }
            }
            if search.known.contains_key(&next) {
                continue;
            }
            if search.order.len() >= most {
                return false;
            }
            search.known.insert(next.clone(), search.order.len());
            search.order.push((next, (at, *byte)));
        }
        at += 1;
    }
    true
}

struct Search<'s> {
    grammar: &'s Grammar,
    trie: Trie,
    /// For each node of the trie, the predicates that hold for whatever came there, as the nearest
    /// node that added one, and that node's list.
    passed: Vec<(u32, Truth)>,
    automata: Vec<(usize, Automata<'s>)>,
    predicates: usize,
    order: Vec<(State, (usize, u8))>,
    known: HashMap<State, usize>,
}

enum Automata<'s> {
    Shared(&'s Automaton),
    Own(Box<Automaton>),
}

impl Automata<'_> {
    fn get(&self) -> &Automaton {
        match self {
            Self::Shared(automaton) => automaton,
            Self::Own(automaton) => automaton,
        }
    }
}

impl<'s> Search<'s> {
    fn new(grammar: &'s Grammar, predicates: &[&'s Predicate]) -> Self {
        let mut automata = Vec::new();
        let mut literals = Vec::new();
        for (number, predicate) in predicates.iter().enumerate() {
            match &predicate.compiled {
                Compiled::Automaton(automaton) => {
                    automata.push((number, Automata::Shared(automaton)));
                }
                Compiled::Literal if predicate.is_plain() => {
                    literals.push((number, predicate.pattern()));
                }
                Compiled::Literal => {
                    if let Ok(automaton) = predicate.pattern().automaton() {
                        automata.push((number, Automata::Own(Box::new(automaton))));
                    }
                }
                // Not to be asked; it answers no.
                Compiled::Undecided(_) => {}
            }
        }
        let trie = Trie::new(literals.into_iter());
        let mut search = Self {
            grammar,
            passed: Vec::new(),
            trie,
            automata,
            predicates: predicates.len(),
            order: Vec::new(),
            known: HashMap::new(),
        };
        search.pass();
        let mut start = vec![grammar.automaton.start(), 0, search.passed[0].0];
        start.extend(search.automata.iter().map(|(_, a)| a.get().start()));
        let start: State = start.into();
        search.known.insert(start.clone(), 0);
        search.order.push((start, (0, 0)));
        search
    }

    /// Works out what holds for whatever comes to each node. Children have higher numbers.
    fn pass(&mut self) {
        let nodes = self.trie.len();
        let mut passed = vec![(0, Truth::none(self.predicates)); nodes];
        for node in 0..nodes {
            let (mut anchor, mut truth) = passed[node].clone();
            if !self.trie.passes(node).is_empty() {
                anchor = u32::try_from(node).expect("texts are short");
                truth.set_all(self.trie.passes(node));
            }
            for byte in 0..128 {
                if let Some(child) = self.trie.child(node, byte) {
                    passed[child] = (anchor, truth.clone());
                }
            }
            passed[node] = (anchor, truth);
        }
        self.passed = passed;
    }

    /// One byte for each set of bytes that nothing tells apart, the best to read first.
    fn representatives(&self) -> Vec<u8> {
        let mut literal = [0_u8; 128];
        for byte in self.trie.bytes().filter(u8::is_ascii) {
            literal[usize::from(byte)] = byte;
        }
        let mut seen = std::collections::HashSet::new();
        self.grammar
            .bytes
            .iter()
            .copied()
            .filter(|byte| {
                let mut key = vec![
                    self.grammar.automaton.class(*byte),
                    literal[usize::from(*byte)],
                ];
                key.extend(self.automata.iter().map(|(_, a)| a.get().class(*byte)));
                seen.insert(key)
            })
            .collect()
    }

    fn step(&self, state: &State, byte: u8) -> Option<State> {
        let grammar = self.grammar.automaton.step(state[GRAMMAR], byte);
        self.grammar.completion(grammar)?;
        let mut next = state.clone();
        next[GRAMMAR] = grammar;
        if next[NODE] != OUTSIDE {
            match self.trie.child(next[NODE] as usize, byte) {
                Some(child) => {
                    next[NODE] = u32::try_from(child).unwrap_or(OUTSIDE);
                    next[PASSED] = self.passed[child].0;
                }
                None => next[NODE] = OUTSIDE,
            }
        }
        for (position, (_, automaton)) in self.automata.iter().enumerate() {
            let at = &mut next[FIRST + position];
            if *at != DEAD {
                *at = automaton.get().step(*at, byte);
            }
        }
        Some(next)
    }

    /// The predicates that hold however a value goes on.
    fn sure(&self, state: &State) -> Truth {
        let mut truth = self.passed[state[PASSED] as usize].1.clone();
        for (position, (number, automaton)) in self.automata.iter().enumerate() {
            if automaton.get().is_always(state[FIRST + position]) {
                truth.set_all(&[*number]);
            }
        }
        truth
    }

    /// Gives up the automata that do not matter any more.
    fn forget(&self, state: &mut State, matter: &Truth) {
        for (position, (number, _)) in self.automata.iter().enumerate() {
            if !matter.get(*number) {
                state[FIRST + position] = DEAD;
            }
        }
    }

    fn truth(&self, state: &State) -> Truth {
        let mut truth = self.passed[state[PASSED] as usize].1.clone();
        if state[NODE] != OUTSIDE {
            truth.set_all(self.trie.ends(state[NODE] as usize));
        }
        for (position, (number, automaton)) in self.automata.iter().enumerate() {
            if automaton.get().accepts(state[FIRST + position]) {
                truth.set_all(&[*number]);
            }
        }
        truth
    }

    /// The text that led to a state.
    fn text(&self, mut at: usize) -> String {
        let mut bytes = Vec::new();
        while at != 0 {
            let (from, byte) = self.order[at].1;
            bytes.push(char::from(byte));
            at = from;
        }
        bytes.iter().rev().collect()
    }
}
