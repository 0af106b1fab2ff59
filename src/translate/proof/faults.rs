//! What a comparison of verdicts finds fault with, told of the policies on whose account it is.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Arrival, Prover};
use crate::kinds::ObjectRef;
use crate::kinds::path::field;
use crate::semantics::verdict::{Cause, Comparison, Judge, Verdict};
use crate::translate::{Remark, Topic, Translation, Weight};

/// What the comparisons found fault with, by policy.
#[derive(Default)]
pub(in crate::translate) struct Faults {
    opened: BTreeMap<(ObjectRef, Arrival), Fault>,
    refused: BTreeMap<(ObjectRef, Arrival), Fault>,
}

struct Fault {
    count: usize,
    topic: Topic,
    says: String,
}

impl Faults {
    /// Notes what one comparison found.
    pub(super) fn note(
        &mut self,
        prover: &Prover<'_, '_>,
        (arrival, reads): (Arrival, bool),
        concerns: &[ObjectRef],
        found: &Comparison,
    ) {
        for difference in found.differences.iter().chain(&found.undecided) {
            let arrival = match &difference.call.identity {
                Some(_) => arrival,
                None => Arrival::Past,
            };
            let opens = difference.opens();
            let arrival = if prover.is_needless(reads, difference) {
                Arrival::Service
            } else {
                arrival
            };
            let (list, verdict) = if opens {
                (&mut self.opened, &difference.before)
            } else {
                (&mut self.refused, &difference.after)
            };
            let topic = topic_of(verdict);
            for policy in prover.blamed(difference, concerns, opens) {
                let fault = list.entry((policy, arrival)).or_insert_with(|| Fault {
                    count: 0,
                    topic,
                    says: difference.to_string(),
                });
                fault.count += 1;
            }
        }
    }

    /// Adds to the treatments what nothing that is said there covers.
    pub(super) fn tell(self, translation: &mut Translation) {
        let mut positions = BTreeMap::new();
        let mut sources: BTreeMap<ObjectRef, Vec<usize>> = BTreeMap::new();
        for (position, treatment) in translation.treatments.iter().enumerate() {
            positions.insert(treatment.object.clone(), position);
            for made in &treatment.becomes {
                sources.entry(made.clone()).or_default().push(position);
            }
        }
        let opened = self
            .opened
            .into_iter()
            .map(|fault| (Weight::Refused, fault));
        let refused = self.refused.into_iter().map(|fault| (Weight::Lossy, fault));
        for (weight, ((policy, arrival), fault)) in opened.chain(refused) {
            let own = positions.get(&policy).copied().into_iter();
            let made_of = sources.get(&policy).into_iter().flatten().copied();
            let objects: BTreeSet<usize> = own.chain(made_of).collect();
            for position in objects {
                let treatment = &mut translation.treatments[position];
                if covers(&treatment.remarks, weight, arrival) {
                    continue;
                }
                let what = match weight {
                    Weight::Refused => "would be let through",
                    _ => "would be treated otherwise",
                };
                let more = match fault.count {
                    1 => String::new(),
                    count => format!(" (and {} more)", count - 1),
                };
                let says = format!(
                    "the comparison finds calls that {what}: {}{more}",
                    fault.says
                );
                let remark = Remark::new(fault.topic, weight, field!["spec"], says);
                treatment.remarks.push(remark);
            }
        }
    }
}

/// Whether what is said of a policy already tells of a difference.
fn covers(remarks: &[Remark], weight: Weight, arrival: Arrival) -> bool {
    remarks.iter().any(|remark| match (weight, remark.weight) {
        (_, Weight::Refused) | (Weight::Lossy, Weight::Lossy) => true,
        (Weight::Refused, Weight::Lossy) => {
            remark.topic == Topic::Guard && arrival == Arrival::Past
        }
        (Weight::Lossy, Weight::Stated) => match remark.topic {
            Topic::Guard => arrival == Arrival::Past,
            Topic::PlainText => true,
            _ => false,
        },
        _ => false,
    })
}

/// What a difference is about.
fn topic_of(verdict: &Verdict) -> Topic {
    match verdict {
        Verdict::Denied(reason) => match (&reason.cause, reason.judge) {
            (Cause::Rule(_), Judge::Ztunnel) => Topic::Guard,
            (Cause::Rule(_), _) => Topic::DenyWithL7,
            (Cause::NoneAdmits | Cause::NotHttp, _) => Topic::AllowWithL7,
            (Cause::PlainText(_), _) => Topic::PlainText,
            (Cause::TrustDomain, _) => Topic::TrustDomain,
            (Cause::Token, _) => Topic::Tokens,
            (Cause::NoProvider(_), _) => Topic::CustomOrAudit,
            (Cause::Network(_), _) => Topic::NetworkPolicy,
        },
        Verdict::Asks(..) => Topic::CustomOrAudit,
        Verdict::Allowed(_) | Verdict::Undecided(_) => Topic::AllowWithL7,
    }
}
