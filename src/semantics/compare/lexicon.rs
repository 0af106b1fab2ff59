//! The conditions of two tables, each once, and the cells that they make.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::semantics::language::{Bounds, Predicate, Truth, cells, cells_that_matter};
use crate::semantics::routing::{Condition, Dimension, Table};

/// A condition without its sign.
#[derive(Debug)]
pub(super) struct Atom {
    pub(super) dimension: Dimension,
    pub(super) predicate: Predicate,
    /// What it says of a request without the property; `None` when that is undecided.
    absent: Option<bool>,
}

impl Atom {
    /// Whether its answers are known.
    fn is_decided(&self) -> bool {
        self.predicate.undecided().is_none() && self.dimension != Dimension::Target
    }

    /// In words, for the reason that something is undecided.
    pub(super) fn undecided(&self) -> String {
        match self.predicate.undecided() {
            Some(why) => format!("{} cannot be decided: {why}", self.predicate.pattern()),
            None => format!(
                "{} of path and query together is not decided",
                self.predicate.pattern()
            ),
        }
    }
}

/// A condition, by its atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) atom: usize,
    pub(super) negated: bool,
}

/// The values of a property about which a list of atoms says the same.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// One of them; `None` when the property is absent.
    pub(super) value: Option<String>,
    /// What the atoms say, in the order of the list.
    pub(super) answers: Vec<bool>,
    /// Atoms of which the answer is assumed.
    pub(super) assumed: Vec<usize>,
}

/// The cells of a property.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) all: Vec<Choice>,
    pub(super) complete: bool,
}

/// More undecided atoms than these are not combined with each other.
const COMBINED: usize = 6;

/// Atoms, each once.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    pub(super) atoms: Vec<Atom>,
    numbers: FxHashMap<Condition, usize>,
    /// The hosts with which clients reach the tables; any when empty.
    pub(super) authorities: Vec<String>,
    known: FxHashMap<Vec<usize>, Rc<Choices>>,
}

/// The conditions that an entry is open about: those on one property, by their positions in a list
/// of atoms, and whether there are others.
pub(super) struct Open {
    pub(super) own: Vec<(usize, bool)>,
    pub(super) others: bool,
}

/// Which atoms of a list still matter, once some surely hold: those of the entries before the first
/// that then acts, and its own.
fn matter(sides: &[Vec<Open>; 2], sure: &Truth, atoms: usize) -> Truth {
    let mut matter = Truth::none(atoms);
    for entries in sides {
        for entry in entries {
            for (position, _) in &entry.own {
                matter.insert(*position);
            }
            let acts = |(position, negated): &(usize, bool)| !negated && sure.get(*position);
            if !entry.others && entry.own.iter().all(acts) {
                break;
            }
        }
    }
    matter
}

impl Lexicon {
    /// The conditions of each entry of a table.
    pub(super) fn read(&mut self, table: &Table) -> Vec<Vec<Literal>> {
        if self.authorities.is_empty() {
            self.authorities.clone_from(&table.authorities);
        }
        let literals = |conditions: &Vec<Condition>| {
            let literals = conditions.iter().map(|condition| self.literal(condition));
            literals.collect()
        };
        table
            .entries
            .iter()
            .map(|e| &e.conditions)
            .map(literals)
            .collect()
    }

    fn literal(&mut self, condition: &Condition) -> Literal {
        let bare = Condition {
            negated: false,
            ..condition.clone()
        };
        let atoms = &mut self.atoms;
        let atom = *self.numbers.entry(bare).or_insert_with(|| {
            let predicate = Predicate::new(condition.pattern.clone());
            atoms.push(Atom {
                absent: if condition.absent_is_empty {
                    predicate.contains("")
                } else {
                    Some(false)
                },
                dimension: condition.dimension.clone(),
                predicate,
            });
            atoms.len() - 1
        });
        Literal {
            atom,
            negated: condition.negated,
        }
    }

    /// The cells that atoms of one property make, as far as they matter for the open entries. The
    /// list is sorted.
    pub(super) fn choices(
        &mut self,
        list: &[usize],
        open: &[Vec<Open>; 2],
        bounds: Bounds,
    ) -> Rc<Choices> {
        // Literal atoms make few cells, which are shared by branches. Others depend on the branch.
        let plain = list
            .iter()
            .all(|atom| self.atoms[*atom].predicate.is_plain());
        if !plain {
            return Rc::new(self.split(list, Some(open), bounds));
        }
        if let Some(known) = self.known.get(list) {
            return Rc::clone(known);
        }
        let choices = Rc::new(self.split(list, None, bounds));
        self.known.insert(list.to_vec(), Rc::clone(&choices));
        choices
    }

    fn split(&self, list: &[usize], entries: Option<&[Vec<Open>; 2]>, bounds: Bounds) -> Choices {
        let Some(first) = list.first() else {
            return Choices {
                all: Vec::new(),
                complete: true,
            };
        };
        let dimension = &self.atoms[*first].dimension;
        let decided: Vec<usize> = (0..list.len())
            .filter(|position| self.atoms[list[*position]].is_decided())
            .collect();
        let open: Vec<usize> = (0..list.len()).filter(|p| !decided.contains(p)).collect();
        let mut complete = open.len() <= COMBINED;
        let mut bases: Vec<(Option<String>, Vec<Option<bool>>)> = Vec::new();
        let mut add = |value: Option<String>, answer: &dyn Fn(usize) -> Option<bool>| {
            let answers: Vec<Option<bool>> = (0..list.len()).map(answer).collect();
            if !bases.iter().any(|(_, known)| *known == answers) {
                bases.push((value, answers));
            }
        };
        if dimension.is_optional() {
            add(None, &|position| self.atoms[list[position]].absent);
        }
        let listed: Option<Vec<String>> = match dimension {
            Dimension::Scheme => Some(vec!["http".to_owned(), "https".to_owned()]),
            Dimension::Authority if !self.authorities.is_empty() => Some(self.authorities.clone()),
            _ => None,
        };
        if let Some(values) = listed {
            for value in values {
                add(Some(value.clone()), &|position| {
                    self.atoms[list[position]].predicate.contains(&value)
                });
            }
        } else {
            let predicates: Vec<&Predicate> = decided
                .iter()
                .map(|position| &self.atoms[list[*position]].predicate)
                .collect();
            let found = match entries {
                Some(entries) if decided.len() == list.len() => {
                    let relevance = |sure: &Truth| matter(entries, sure, list.len());
                    cells_that_matter(dimension.domain(), &predicates, bounds, &relevance)
                }
                _ => cells(dimension.domain(), &predicates, bounds),
            };
            complete &= found.complete;
            for cell in found.found {
                add(Some(cell.witness), &|position| {
                    let at = decided.iter().position(|d| *d == position);
                    at.map(|at| cell.truth.get(at))
                });
            }
        }
        let mut all = Vec::new();
        for (value, answers) in bases {
            let unknown: Vec<usize> = (0..list.len()).filter(|p| answers[*p].is_none()).collect();
            let combined = unknown.len().min(COMBINED);
            for assumption in 0..1_usize << combined {
                let answer = |position: usize| {
                    answers[position].unwrap_or_else(|| {
                        let at = unknown.iter().position(|p| *p == position);
                        at.is_some_and(|at| at < combined && assumption >> at & 1 == 1)
                    })
                };
                all.push(Choice {
                    value: value.clone(),
                    answers: (0..list.len()).map(answer).collect(),
                    assumed: unknown.iter().map(|position| list[*position]).collect(),
                });
            }
        }
        Choices { all, complete }
    }
}
