//! Cells of predicates of which some are expressions: the product of their automata is searched
//! breadth first, so that the first value found for a cell is a shortest one.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::automaton::{Automaton, DEAD};
use super::cells::{Collector, Relevance, Truth};
use super::domain::Grammar;
use super::trie::Trie;
use super::{Compiled, Predicate};

/// A state of the product: of the grammar, the trie, what was passed in the trie, the automata.
type State = Rc<[u32]>;

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
    let mut matter: FxHashMap<Truth, Truth> = FxHashMap::default();
    let bytes = search.representatives();
    // Nearly every step leads to a state that is known: what is looked up is kept in one place.
    let mut next = vec![DEAD; FIRST + search.automata.len()];
    let mut truth = Truth::none(predicates.len());
    let mut tried = vec![false; bytes.len()];
    let mut at = 0;
    while at < search.order.len() {
        let state = Rc::clone(&search.order[at].0);
        if grammar.automaton.accepts(state[GRAMMAR]) {
            search.truth(&state, &mut truth);
            into.add(&truth, || search.text(at));
        }
        tried.fill(false);
        for (byte, class) in &bytes {
            // Bytes that leave the trie lead to one state, where nothing else tells them apart.
            if !search.follows(&state, *byte) && std::mem::replace(&mut tried[*class], true) {
                continue;
            }
            if !search.step(&state, *byte, &mut next) {
                continue;
            }
            // What was sure of a state is sure after it, and was given up there, but for the first.
            let news = search.settles || next[PASSED] != state[PASSED] || at == 0;
            if let Some(relevance) = relevance.filter(|_| news) {
                search.sure(&next, &mut truth);
                if !truth.is_none() {
                    if !matter.contains_key(&truth) {
                        matter.insert(truth.clone(), relevance(&truth));
                    }
                    search.forget(&mut next, &matter[&truth]);
                }
            }
            if search.known.contains(next.as_slice()) {
                continue;
            }
            if search.order.len() >= most {
                return false;
            }
            let next: State = next.as_slice().into();
            search.known.insert(Rc::clone(&next));
            search.order.push((next, (at, *byte)));
        }
        at += 1;
    }
    true
}

struct Search<'s> {
    grammar: &'s Grammar,
    trie: Trie,
    /// For each node of the trie, the number of what holds for whatever came there.
    passed: Vec<u32>,
    /// What holds there: that of the root, and one for each node that adds something.
    truths: Vec<Truth>,
    automata: Vec<(usize, Automata<'s>)>,
    /// Whether an automaton may come to hold however a value goes on; else only the trie may.
    settles: bool,
    order: Vec<(State, (usize, u8))>,
    known: FxHashSet<State>,
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
        let (passed, truths) = passed(&trie, predicates.len());
        let mut start = vec![grammar.automaton.start(), 0, passed[0]];
        start.extend(
            automata
                .iter()
                .map(|(_, a): &(_, Automata<'_>)| a.get().start()),
        );
        let start: State = start.into();
        Self {
            grammar,
            trie,
            passed,
            truths,
            settles: automata.iter().any(|(_, a)| a.get().may_settle()),
            automata,
            known: FxHashSet::from_iter([Rc::clone(&start)]),
            order: vec![(start, (0, 0))],
        }
    }

    /// One byte for each set of bytes that nothing tells apart, the best to read first; and the number of
    /// the set that it is in where the trie is left out.
    fn representatives(&self) -> Vec<(u8, usize)> {
        let mut literal = [false; 128];
        for byte in self.trie.bytes().filter(u8::is_ascii) {
            literal[usize::from(byte)] = true;
        }
        let mut classes: FxHashMap<Vec<u8>, usize> = FxHashMap::default();
        let mut plain: FxHashSet<usize> = FxHashSet::default();
        let mut found = Vec::new();
        let mut key = Vec::new();
        for byte in &self.grammar.bytes {
            key.clear();
            key.push(self.grammar.automaton.class(*byte));
            key.extend(self.automata.iter().map(|(_, a)| a.get().class(*byte)));
            let fresh = classes.len();
            let class = *classes.entry(key.clone()).or_insert(fresh);
            if literal[usize::from(*byte)] || plain.insert(class) {
                found.push((*byte, class));
            }
        }
        found
    }

    /// Whether the trie goes on with a byte.
    fn follows(&self, state: &[u32], byte: u8) -> bool {
        let node = state[NODE];
        node != OUTSIDE && self.trie.child(node as usize, byte).is_some()
    }

    /// Writes the state that a byte leads to; says whether there is one.
    fn step(&self, state: &[u32], byte: u8, next: &mut [u32]) -> bool {
        let grammar = self.grammar.automaton.step(state[GRAMMAR], byte);
        if self.grammar.completion(grammar).is_none() {
            return false;
        }
        next.copy_from_slice(state);
        next[GRAMMAR] = grammar;
        if next[NODE] != OUTSIDE {
            match self.trie.child(next[NODE] as usize, byte) {
                Some(child) => {
                    next[NODE] = u32::try_from(child).unwrap_or(OUTSIDE);
                    next[PASSED] = self.passed[child];
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
        true
    }

    /// Writes the predicates that hold however a value goes on.
    fn sure(&self, state: &[u32], truth: &mut Truth) {
        truth.copy_from(&self.truths[state[PASSED] as usize]);
        for (position, (number, automaton)) in self.automata.iter().enumerate() {
            if automaton.get().is_always(state[FIRST + position]) {
                truth.insert(*number);
            }
        }
    }

    /// Gives up the automata that do not matter any more.
    fn forget(&self, state: &mut [u32], matter: &Truth) {
        for (position, (number, _)) in self.automata.iter().enumerate() {
            if !matter.get(*number) {
                state[FIRST + position] = DEAD;
            }
        }
    }

    /// Writes the predicates that hold for the value that ends here.
    fn truth(&self, state: &[u32], truth: &mut Truth) {
        truth.copy_from(&self.truths[state[PASSED] as usize]);
        if state[NODE] != OUTSIDE {
            truth.set_all(self.trie.ends(state[NODE] as usize));
        }
        for (position, (number, automaton)) in self.automata.iter().enumerate() {
            if automaton.get().accepts(state[FIRST + position]) {
                truth.insert(*number);
            }
        }
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

/// What holds for whatever comes to each node of a trie: for each node a number, and what it stands
/// for. Children have higher numbers than their parents.
fn passed(trie: &Trie, predicates: usize) -> (Vec<u32>, Vec<Truth>) {
    let mut root = Truth::none(predicates);
    root.set_all(trie.passes(0));
    let mut truths = vec![root];
    let mut passed = vec![0_u32; trie.len()];
    for node in 0..trie.len() {
        let own = passed[node];
        for child in trie.children(node) {
            passed[child] = own;
            if !trie.passes(child).is_empty() {
                let mut truth = truths[own as usize].clone();
                truth.set_all(trie.passes(child));
                passed[child] = u32::try_from(truths.len()).expect("texts are short");
                truths.push(truth);
            }
        }
    }
    (passed, truths)
}
