//! Random policies: what is not refused lets nobody through who was refused.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::mesh::workloads::DataPlane;
use crate::semantics::verdict::tests::random::policies;
use crate::soak::cases;
use crate::translate::proof::calls::State;

const SELECTORS: &[&str] = &[
    "",
    "selector: {matchLabels: {app: pay}}",
    "selector: {matchLabels: {app: cart}}",
];

/// The objects of lines as the generator of verdicts writes them, each for some of the pods.
fn objects(lines: &[String], selectors: &[usize]) -> Vec<String> {
    let mut parts = vec![SHOP.to_owned()];
    for (line, selector) in lines.iter().zip(selectors) {
        let mut words = line.splitn(3, ' ');
        let [action, name, spec] = [words.next(), words.next(), words.next()].map(Option::unwrap);
        let name = name.strip_prefix("shop/").unwrap();
        let (kind, action) = match action {
            "RA" => ("RequestAuthentication", String::new()),
            action => ("AuthorizationPolicy", format!("action: {action}, ")),
        };
        let mut selector = SELECTORS[*selector].to_owned();
        if !selector.is_empty() {
            selector.push_str(", ");
        }
        let inner = spec.strip_prefix('{').unwrap();
        let line = format!("{name} {{{selector}{action}{inner}");
        parts.push(object(kind, "security.istio.io/v1", &line));
    }
    parts
}

/// The remarks of these weights, by object.
fn heavy(translation: &Translation, weight: Weight) -> Vec<String> {
    let treatments = translation.treatments.iter();
    let remarks = treatments.flat_map(|treatment| {
        let heavy = treatment
            .remarks
            .iter()
            .filter(move |remark| remark.weight >= weight);
        heavy.map(|remark| format!("{}: {} {}", treatment.object, remark.topic, remark.says))
    });
    remarks.collect()
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn what_is_not_refused_opens_nothing(
        lines in policies(),
        selectors in proptest::collection::vec(0..SELECTORS.len(), 8),
        routed in any::<bool>(),
        guard in select(&[None, Some(crate::translate::options::Guard::Closed)][..]),
    ) {
        let mut parts = objects(&lines, &selectors);
        if routed {
            parts.push(ROUTED.to_owned());
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mesh = mesh(&parts);
        let options = Options { guard, ..Options::default() };
        let sound = outline(&mesh, &shop(), &options);
        let refused = heavy(&sound, Weight::Refused);
        if refused.is_empty() {
            for (phase, plane) in [(Phase::Enrol, DataPlane::Sidecar), (Phase::Switch, DataPlane::Ambient)] {
                let opened = super::states::opened(&mesh, &options, &sound, State { phase, plane });
                prop_assert_eq!(opened, Vec::<String>::new());
            }
        }
        let judged = compared(&mesh, &shop(), &options, sound);
        for proof in &judged.proofs.calls {
            let found = &proof.comparison;
            for difference in found.differences.iter().chain(&found.undecided) {
                if difference.opens() {
                    prop_assert!(!refused.is_empty(), "{} by {:?}: {}", proof.workload, proof.service, difference);
                }
            }
        }
        let lost = heavy(&judged, Weight::Lossy);
        if refused.is_empty() {
            prop_assert!(lost.is_empty(), "{lost:?}");
        }
        let again = heavy(&judged, Weight::Refused);
        prop_assert!(refused.is_empty() || !again.is_empty());
    }
}
