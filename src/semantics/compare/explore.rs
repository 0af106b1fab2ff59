//! The decision tree over the requests that two tables tell apart.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::lexicon::{Lexicon, Literal, Open};
use super::paths::{self, Paths};
use super::{Comparison, Difference, How, Limits, Side};
use crate::semantics::language::Predicate;
use crate::semantics::routing::{Dimension, Outcome, PathRewrite, Reply, Request};

/// What an entry does, with equal replies sharing a number.
struct Conclusion {
    reply: usize,
    path: PathRewrite,
}

pub(super) struct Exploration<'e> {
    sides: [Side<'e>; 2],
    limits: Limits,
    lexicon: Lexicon,
    /// For each side, the conditions of its entries.
    entries: [Vec<Vec<Literal>>; 2],
    /// For each side, what its entries do; the last is what happens when none matches.
    conclusions: [Vec<Conclusion>; 2],
    replies: Vec<Reply>,
    /// What is known of each atom on this branch.
    answers: Vec<Option<bool>>,
    /// Atoms of the path that were asked on this branch, and for which entries.
    path_atoms: Vec<usize>,
    path_entries: [Vec<usize>; 2],
    /// Atoms whose answers are assumed on this branch.
    assumed: Vec<usize>,
    request: Request,
    comparison: Comparison,
    why: BTreeSet<String>,
    full: bool,
    /// The request of each leaf, where they are asked for.
    witnesses: Option<Vec<Request>>,
}

impl<'e> Exploration<'e> {
    pub(super) fn new(sides: [Side<'e>; 2], limits: Limits) -> Self {
        let mut lexicon = Lexicon::default();
        let entries = sides.map(|side| lexicon.read(side.table));
        let mut numbers: FxHashMap<Reply, usize> = FxHashMap::default();
        let mut replies: Vec<Reply> = Vec::new();
        let mut number = |reply: Reply| {
            *numbers.entry(reply).or_insert_with_key(|reply| {
                replies.push(reply.clone());
                replies.len() - 1
            })
        };
        let conclusions = sides.map(|side| {
            let mut conclusions: Vec<Conclusion> = Vec::new();
            for entry in &side.table.entries {
                let (reply, path) = entry.action.conclude(side.resolver);
                let reply = number(reply);
                conclusions.push(Conclusion { reply, path });
            }
            conclusions.push(Conclusion {
                reply: number(Reply::NotFound),
                path: PathRewrite::Keep,
            });
            conclusions
        });
        Self {
            answers: vec![None; lexicon.atoms.len()],
            sides,
            limits,
            lexicon,
            entries,
            conclusions,
            replies,
            path_atoms: Vec::new(),
            path_entries: [Vec::new(), Vec::new()],
            assumed: Vec::new(),
            request: Request::default(),
            comparison: Comparison {
                classes: 0,
                differing: 0,
                differences: Vec::new(),
                how: How::Complete,
            },
            why: BTreeSet::new(),
            full: false,
            witnesses: None,
        }
    }

    /// The requests of all leaves. Those that rest on an assumption are left out.
    pub(super) fn witnesses(mut self) -> Vec<Request> {
        self.witnesses = Some(Vec::new());
        self.start();
        self.witnesses.unwrap_or_default()
    }

    fn start(&mut self) {
        let all = |side: usize| (0..self.entries[side].len()).collect::<Vec<usize>>();
        let live = [all(0), all(1)];
        self.branch(&live);
    }

    pub(super) fn run(mut self) -> Comparison {
        self.start();
        if !self.why.is_empty() {
            self.comparison.how = How::Sampled {
                why: self.why.into_iter().collect(),
            };
        }
        self.comparison
    }

    /// What is known of the conditions of an entry: whether they hold, `None` while some are open.
    fn holds(&self, side: usize, entry: usize) -> Option<bool> {
        let mut open = false;
        for literal in &self.entries[side][entry] {
            match self.answers[literal.atom] {
                Some(answer) if answer == literal.negated => return Some(false),
                Some(_) => {}
                None => open = true,
            }
        }
        (!open).then_some(true)
    }

    /// The entries that may act on this branch: those before the first that surely does, and it.
    fn live(&self, side: usize, list: &[usize]) -> (Vec<usize>, bool) {
        let mut live = Vec::new();
        for entry in list {
            match self.holds(side, *entry) {
                Some(false) => {}
                Some(true) => {
                    live.push(*entry);
                    return (live, true);
                }
                None => live.push(*entry),
            }
        }
        (live, false)
    }

    /// Explores what is left of the requests on this branch.
    fn branch(&mut self, lists: &[Vec<usize>; 2]) {
        if self.full {
            return;
        }
        let (before, before_ends) = self.live(0, &lists[0]);
        let (after, after_ends) = self.live(1, &lists[1]);
        let decided = |live: &[usize], ends: bool| live.is_empty() || (ends && live.len() == 1);
        if decided(&before, before_ends) && decided(&after, after_ends) {
            self.leaf([before.first().copied(), after.first().copied()]);
            return;
        }
        let live = [before, after];
        if before_ends && after_ends && self.witnesses.is_none() && self.is_one(&live) {
            self.comparison.classes += 1;
            return;
        }
        let Some(dimension) = self.next_dimension(&live) else {
            return;
        };
        let list = self.open_atoms(&live, &dimension);
        let open = [0, 1].map(|side| self.open_entries(side, &live[side], &list));
        let choices = self.lexicon.choices(&list, &open, self.limits.bounds);
        if !choices.complete {
            self.why
                .insert(format!("the {dimension} has too many kinds of values"));
        }
        let is_path = dimension == Dimension::Path;
        if is_path {
            self.path_atoms.clone_from(&list);
            self.path_entries.clone_from(&live);
        }
        for choice in &choices.all {
            for (atom, answer) in list.iter().zip(&choice.answers) {
                self.answers[*atom] = Some(*answer);
            }
            let assumed = self.assumed.len();
            self.assumed.extend(&choice.assumed);
            self.request.set(&dimension, choice.value.clone());
            self.branch(&live);
            self.assumed.truncate(assumed);
        }
        self.request.set(&dimension, None);
        if is_path {
            self.path_atoms.clear();
        }
        for atom in list {
            self.answers[atom] = None;
        }
    }

    /// Whether whatever acts on this branch does the same, so that nothing has to be looked at.
    fn is_one(&self, live: &[Vec<usize>; 2]) -> bool {
        let mut all = (0..2)
            .flat_map(|side| live[side].iter().map(move |entry| (side, *entry)))
            .map(|(side, entry)| &self.conclusions[side][entry]);
        let first = all.next();
        all.all(|other| first.is_some_and(|f| f.reply == other.reply && f.path == other.path))
    }

    /// The property to look at: the first in order that an entry in front is open about.
    fn next_dimension(&self, live: &[Vec<usize>; 2]) -> Option<Dimension> {
        (0..2)
            .filter_map(|side| live[side].first().map(|entry| &self.entries[side][*entry]))
            .flatten()
            .filter(|literal| self.answers[literal.atom].is_none())
            .map(|literal| &self.lexicon.atoms[literal.atom].dimension)
            .min()
            .cloned()
    }

    /// The atoms of a property about which live entries are open, sorted.
    fn open_atoms(&self, live: &[Vec<usize>; 2], dimension: &Dimension) -> Vec<usize> {
        let atoms: BTreeSet<usize> = (0..2)
            .flat_map(|side| live[side].iter().map(move |entry| (side, *entry)))
            .flat_map(|(side, entry)| &self.entries[side][entry])
            .map(|literal| literal.atom)
            .filter(|atom| self.answers[*atom].is_none())
            .filter(|atom| self.lexicon.atoms[*atom].dimension == *dimension)
            .collect();
        atoms.into_iter().collect()
    }

    /// What live entries are open about, in terms of a list of atoms.
    fn open_entries(&self, side: usize, live: &[usize], list: &[usize]) -> Vec<Open> {
        let entry = |entry: &usize| {
            let mut open = Open {
                own: Vec::new(),
                others: false,
            };
            for literal in &self.entries[side][*entry] {
                if self.answers[literal.atom].is_none() {
                    match list.binary_search(&literal.atom) {
                        Ok(position) => open.own.push((position, literal.negated)),
                        Err(_) => open.others = true,
                    }
                }
            }
            open
        };
        live.iter().map(entry).collect()
    }

    /// Compares what the two tables do at the end of a branch.
    fn leaf(&mut self, entries: [Option<usize>; 2]) {
        if self.comparison.classes >= self.limits.classes {
            self.full = true;
            let most = self.limits.classes;
            self.why
                .insert(format!("there are more than {most} classes of requests"));
            return;
        }
        self.comparison.classes += 1;
        if let Some(witnesses) = self.witnesses.as_mut().filter(|_| self.assumed.is_empty()) {
            witnesses.push(self.request.clone());
        }
        let [before, after] = [0, 1].map(|side| {
            let none = self.conclusions[side].len() - 1;
            &self.conclusions[side][entries[side].unwrap_or(none)]
        });
        if before.reply != after.reply {
            self.differ(entries, self.request.clone());
            return;
        }
        if before.path == after.path {
            return;
        }
        let atoms = self.path_atoms_before(entries);
        let predicates: Vec<&Predicate> = atoms
            .iter()
            .map(|atom| &self.lexicon.atoms[*atom].predicate)
            .collect();
        let answers = atoms.iter().map(|atom| self.answers[*atom] == Some(true));
        let paths = Paths {
            predicates,
            answers: answers.collect(),
        };
        let verdict = paths::compare([&before.path, &after.path], &paths, self.limits.bounds);
        self.comparison.classes += verdict.classes.saturating_sub(1);
        self.why.extend(verdict.why);
        for path in verdict.differing {
            let mut request = self.request.clone();
            request.path = Some(path);
            self.differ(entries, request);
        }
    }

    /// The atoms of the path that led to these entries: what was said of others may not be so,
    /// because they did not matter. Assumed ones are left out.
    fn path_atoms_before(&self, entries: [Option<usize>; 2]) -> Vec<usize> {
        let mut atoms = BTreeSet::new();
        for (side, last) in entries.into_iter().enumerate() {
            let before = |entry: &&usize| last.is_none_or(|last| **entry <= last);
            for entry in self.path_entries[side].iter().filter(before) {
                atoms.extend(
                    self.entries[side][*entry]
                        .iter()
                        .map(|literal| literal.atom),
                );
            }
        }
        let asked = |atom: &usize| self.path_atoms.contains(atom) && !self.assumed.contains(atom);
        atoms.into_iter().filter(asked).collect()
    }

    /// Keeps a difference; where it rests on an assumption it only becomes a reason to doubt.
    fn differ(&mut self, entries: [Option<usize>; 2], request: Request) {
        if !self.assumed.is_empty() {
            let doubts = self
                .assumed
                .iter()
                .map(|atom| self.lexicon.atoms[*atom].undecided());
            self.why.extend(doubts);
            return;
        }
        self.comparison.differing += 1;
        if self.comparison.differences.len() >= self.limits.differences {
            return;
        }
        let [before, after] = [0, 1].map(|side| self.outcome(side, entries[side], &request));
        self.comparison.differences.push(Difference {
            request,
            before,
            after,
        });
    }

    fn outcome(&self, side: usize, entry: Option<usize>, request: &Request) -> Outcome {
        let none = self.conclusions[side].len() - 1;
        let conclusion = &self.conclusions[side][entry.unwrap_or(none)];
        let path = conclusion.path.apply(request.path());
        Outcome {
            reply: self.replies[conclusion.reply].clone(),
            path: path.filter(|path| path != request.path()),
            origin: entry.and_then(|entry| self.sides[side].table.entries[entry].origin.clone()),
        }
    }
}
