//! What a way through enforcement points comes down to: stages, one after the other.

use std::collections::BTreeSet;

use super::formula::{Formula, Id};
use super::question::{Question, Questions};
use super::verdict::{Cause, Judge, Reason, RuleName, Verdict};

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// The first that holds refuses.
    Refuse(Judge, Vec<(Formula, Cause)>),
    /// One must hold.
    Require(Judge, Vec<(Formula, RuleName)>),
    /// Whoever is asked if one holds.
    Ask(String, Formula),
}

/// Stages, and what comes of a call that passes them all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Program {
    /// Those asked for sure.
    asked: BTreeSet<String>,
    stages: Vec<Stage>,
    /// The rule that admitted it last.
    admitted: Option<RuleName>,
    /// Set once it is refused for sure; no stage is left then.
    refused: Option<Reason>,
}

impl Program {
    pub(super) fn new(stages: Vec<Stage>) -> Self {
        let whole = Self {
            stages,
            ..Self::default()
        };
        whole.given(&|_| None)
    }

    /// What is left of it when some questions are answered.
    pub(super) fn given(&self, answer: &impl Fn(Id) -> Option<bool>) -> Self {
        let mut left = Self {
            asked: self.asked.clone(),
            stages: Vec::with_capacity(self.stages.len()),
            admitted: self.admitted.clone(),
            refused: self.refused.clone(),
        };
        for stage in &self.stages {
            match stage {
                Stage::Ask(provider, formula) => match formula.given(answer) {
                    Formula::False => {}
                    Formula::True => {
                        left.asked.insert(provider.clone());
                    }
                    open => left.stages.push(Stage::Ask(provider.clone(), open)),
                },
                Stage::Refuse(judge, rules) => {
                    let mut open = Vec::new();
                    for (formula, cause) in rules {
                        match formula.given(answer) {
                            Formula::False => {}
                            Formula::True => {
                                left.stop(Reason {
                                    judge: *judge,
                                    cause: cause.clone(),
                                });
                                return left;
                            }
                            formula => open.push((formula, cause.clone())),
                        }
                    }
                    if !open.is_empty() {
                        left.stages.push(Stage::Refuse(*judge, open));
                    }
                }
                Stage::Require(judge, rules) => {
                    let mut open = Vec::new();
                    let mut admitted = None;
                    for (formula, rule) in rules {
                        match formula.given(answer) {
                            Formula::False => {}
                            Formula::True => {
                                admitted = Some(rule.clone());
                                break;
                            }
                            formula => open.push((formula, rule.clone())),
                        }
                    }
                    if admitted.is_some() {
                        left.admitted = admitted;
                    } else if open.is_empty() {
                        left.stop(Reason {
                            judge: *judge,
                            cause: Cause::NoneAdmits,
                        });
                        return left;
                    } else {
                        left.stages.push(Stage::Require(*judge, open));
                    }
                }
            }
        }
        left
    }

    /// It is refused, whatever else is answered.
    fn stop(&mut self, reason: Reason) {
        *self = Self {
            refused: Some(reason),
            ..Self::default()
        };
    }

    /// Calls `each` with every question that is left.
    pub(super) fn questions(&self, each: &mut impl FnMut(Id)) {
        for stage in &self.stages {
            match stage {
                Stage::Ask(_, formula) => formula.questions(each),
                Stage::Refuse(_, rules) => rules.iter().for_each(|(f, _)| f.questions(each)),
                Stage::Require(_, rules) => rules.iter().for_each(|(f, _)| f.questions(each)),
            }
        }
    }

    /// What comes of the call, once nothing is left to ask.
    pub(super) fn outcome(&self) -> Verdict {
        match &self.refused {
            Some(reason) => Verdict::Denied(reason.clone()),
            None if self.asked.is_empty() => Verdict::Allowed(self.admitted.clone()),
            None => Verdict::Asks(self.asked.clone(), self.admitted.clone()),
        }
    }

    /// Whether two programs do the same with every call for no other reason than that they are the
    /// same, whoever's rules these are.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.asked == other.asked
            && self.refused.is_some() == other.refused.is_some()
            && self.stages.len() == other.stages.len()
            && self
                .stages
                .iter()
                .zip(&other.stages)
                .all(|pair| match pair {
                    (Stage::Ask(a, f), Stage::Ask(b, g)) => a == b && f == g,
                    (Stage::Refuse(_, a), Stage::Refuse(_, b)) => same(a, b),
                    (Stage::Require(_, a), Stage::Require(_, b)) => same(a, b),
                    _ => false,
                })
    }

    /// The verdict, where the answers that are left are not known.
    pub(super) fn verdict(&self, questions: &Questions) -> Verdict {
        let mut budget = 4_096;
        self.common(&mut budget).unwrap_or_else(|| {
            let mut why = BTreeSet::new();
            self.questions(&mut |id| {
                why.insert(unknown(questions.get(id)));
            });
            Verdict::Undecided(why)
        })
    }

    /// The outcome that all answers lead to; of several reasons, the first.
    fn common(&self, budget: &mut usize) -> Option<Verdict> {
        *budget = budget.checked_sub(1)?;
        let mut first = None;
        self.questions(&mut |id| {
            first.get_or_insert(id);
        });
        let Some(first) = first else {
            return Some(self.outcome());
        };
        let [no, yes] = [false, true].map(|is| self.given(&|id| (id == first).then_some(is)));
        let no = no.common(budget)?;
        let yes = yes.common(budget)?;
        no.agrees(&yes).then_some(no)
    }
}

fn same<A, B>(a: &[(Formula, A)], b: &[(Formula, B)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((f, _), (g, _))| f == g)
}

/// What a question that has no answer is about.
pub(super) fn unknown(question: &Question) -> String {
    match question {
        Question::Open(what) => what.clone(),
        Question::SourceIp(_) => "the caller's address".to_owned(),
        Question::RemoteIp(_) => "the client's address".to_owned(),
        Question::Who(_) => "who calls".to_owned(),
        Question::Token(_) => "the token".to_owned(),
        Question::Text(..) => "a text of the request".to_owned(),
    }
}
