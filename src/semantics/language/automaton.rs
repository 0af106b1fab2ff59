//! Deterministic automata over ASCII: what a regular expression or a value's grammar becomes.

use std::collections::HashMap;

use regex_automata::dfa::Automaton as _;
use regex_automata::dfa::dense;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;

use super::Undecided;

/// How many values a byte of ASCII has. Bytes beyond are in no language here.
pub(super) const ASCII: usize = 128;

/// The state from which nothing is accepted any more.
pub(super) const DEAD: u32 = 0;

/// How much memory one expression may take, in bytes. A readable expression takes a few KiB.
const DENSE_LIMIT: usize = 1 << 20;

/// A complete deterministic automaton. Bytes that no transition tells apart share a class.
#[derive(Debug, Clone)]
pub(super) struct Automaton {
    classes: [u8; ASCII],
    width: usize,
    next: Vec<u32>,
    accepts: Vec<bool>,
    /// States after which every value is accepted, however it goes on.
    always: Vec<bool>,
    start: u32,
}

impl Automaton {
    /// The automaton of an explicit table: for each state from 1, whether it accepts and where
    /// each byte leads. State 1 is the start.
    pub(super) fn from_fn(
        states: u32,
        accepts: impl Fn(u32) -> bool,
        step: impl Fn(u32, u8) -> u32,
    ) -> Self {
        let mut columns: HashMap<Vec<u32>, u8> = HashMap::new();
        let mut classes = [0_u8; ASCII];
        let mut table: Vec<Vec<u32>> = Vec::new();
        for (byte, class) in (0_u8..).zip(classes.iter_mut()) {
            let column: Vec<u32> = (0..=states)
                .map(|state| {
                    if state == DEAD {
                        DEAD
                    } else {
                        step(state, byte)
                    }
                })
                .collect();
            *class = *columns.entry(column).or_insert_with_key(|column| {
                table.push(column.clone());
                u8::try_from(table.len() - 1).expect("there are at most 128 columns")
            });
        }
        let width = table.len();
        let next = (0..=states as usize)
            .flat_map(|state| table.iter().map(move |column| column[state]))
            .collect();
        let accepts = (0..=states).map(|s| s != DEAD && accepts(s)).collect();
        Self::of(classes, width, next, accepts)
    }

    /// The automaton of an expression that must match from the first byte to the last.
    pub(super) fn from_hir(hir: &Hir) -> Result<Self, Undecided> {
        let too_large = |_| Undecided::TooLarge;
        let nfa = regex_automata::nfa::thompson::Compiler::new()
            .configure(
                regex_automata::nfa::thompson::Config::new()
                    .utf8(false)
                    .which_captures(regex_automata::nfa::thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(DENSE_LIMIT)),
            )
            .build_from_hir(hir)
            .map_err(|_| Undecided::TooLarge)?;
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(regex_automata::dfa::StartKind::Anchored)
                    .accelerate(false)
                    .dfa_size_limit(Some(DENSE_LIMIT))
                    .determinize_size_limit(Some(DENSE_LIMIT)),
            )
            .build_from_nfa(&nfa)
            .map_err(too_large)?;
        Self::from_dense(&dfa)
    }

    fn from_dense(dfa: &dense::DFA<Vec<u32>>) -> Result<Self, Undecided> {
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|_| Undecided::TooLarge)?;
        let mut classes = [0_u8; ASCII];
        let mut representatives: Vec<u8> = Vec::new();
        let mut known: HashMap<u8, u8> = HashMap::new();
        for (byte, class) in (0_u8..).zip(classes.iter_mut()) {
            *class = *known
                .entry(dfa.byte_classes().get(byte))
                .or_insert_with(|| {
                    representatives.push(byte);
                    u8::try_from(representatives.len() - 1).expect("there are at most 128 classes")
                });
        }
        let width = representatives.len();
        let mut numbers: HashMap<StateID, u32> = HashMap::from([(start, 1)]);
        let mut order = vec![start];
        let mut next = vec![DEAD; width];
        let mut accepts = vec![false];
        let mut at = 0;
        while let Some(&state) = order.get(at) {
            at += 1;
            accepts.push(dfa.is_match_state(dfa.next_eoi_state(state)));
            for byte in &representatives {
                let target = dfa.next_state(state, *byte);
                let number = if dfa.is_dead_state(target) {
                    DEAD
                } else {
                    let fresh = u32::try_from(order.len() + 1).map_err(|_| Undecided::TooLarge)?;
                    *numbers.entry(target).or_insert_with(|| {
                        order.push(target);
                        fresh
                    })
                };
                next.push(number);
            }
        }
        Ok(Self::of(classes, width, next, accepts))
    }

    fn of(classes: [u8; ASCII], width: usize, next: Vec<u32>, accepts: Vec<bool>) -> Self {
        let mut automaton = Self {
            classes,
            width,
            next,
            always: accepts.clone(),
            accepts,
            start: 1,
        };
        // What leads to a state that is not one is none itself. No value has a control byte.
        let mut again = true;
        while again {
            again = false;
            for state in 0..automaton.states() {
                let number = u32::try_from(state).unwrap_or(DEAD);
                if automaton.always[state]
                    && (0x20..0x7f).any(|b| !automaton.always[automaton.step(number, b) as usize])
                {
                    automaton.always[state] = false;
                    again = true;
                }
            }
        }
        automaton
    }

    /// Where one begins.
    pub(super) fn start(&self) -> u32 {
        self.start
    }

    /// Where a byte leads.
    pub(super) fn step(&self, state: u32, byte: u8) -> u32 {
        match self.classes.get(usize::from(byte)) {
            Some(class) => self.next[state as usize * self.width + usize::from(*class)],
            None => DEAD,
        }
    }

    /// Whether what led here is in the language.
    pub(super) fn accepts(&self, state: u32) -> bool {
        self.accepts[state as usize]
    }

    /// Whether whatever goes on from here is in the language.
    pub(super) fn is_always(&self, state: u32) -> bool {
        self.always[state as usize]
    }

    /// Whether there is a way to such a state.
    pub(super) fn may_settle(&self) -> bool {
        self.always.contains(&true)
    }

    /// How many states there are, the dead one included.
    pub(super) fn states(&self) -> usize {
        self.accepts.len()
    }

    /// The class of a byte below 128.
    pub(super) fn class(&self, byte: u8) -> u8 {
        self.classes[usize::from(byte)]
    }

    /// Whether a text is in the language.
    pub(super) fn contains(&self, text: &[u8]) -> bool {
        let mut state = self.start;
        for byte in text {
            state = self.step(state, *byte);
            if state == DEAD {
                return false;
            }
        }
        self.accepts(state)
    }
}
