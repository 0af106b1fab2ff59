//! The labels of pods before a move and after it.
//!
//! The injector gives labels to pods together with the sidecar (`pkg/kube/inject/template.go`,
//! `pkg/model/proxy.go`, `CanonicalSeries`; `files/injection-template.yaml`), and a move writes its own
//! choice into the pod template. Who selects pods by one of these finds others afterwards.

use crate::kinds::{LabelSelector, Labels, Name};
use crate::mesh::injection::{INJECT_LABEL, REVISION_LABEL};
use crate::mesh::workloads::{TLS_MODE_LABEL, Workload};

/// The label by which callers see that a sidecar accepts HBONE.
const TUNNEL_LABEL: &str = "networking.istio.io/tunnel";

/// The labels that a pod gets with a sidecar unless its template has them, each with the labels that it
/// takes the value from.
const CANONICAL: [(&str, [&str; 2]); 2] = [
    (
        "service.istio.io/canonical-name",
        ["app.kubernetes.io/name", "app"],
    ),
    (
        "service.istio.io/canonical-revision",
        ["app.kubernetes.io/version", "version"],
    ),
];

/// The labels in question, each with what becomes of it.
const CHANGING: [(&str, &str); 6] = [
    (CANONICAL[0].0, WITH_SIDECAR),
    (CANONICAL[1].0, WITH_SIDECAR),
    (
        INJECT_LABEL,
        "which the move sets to false in pod templates",
    ),
    (REVISION_LABEL, "which the move takes out of pod templates"),
    (TLS_MODE_LABEL, WITH_SIDECAR),
    (TUNNEL_LABEL, WITH_SIDECAR),
];

const WITH_SIDECAR: &str = "which pods get together with a sidecar";

/// A label that the pods of a workload lose, or that gets another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changing {
    /// Its key.
    pub(super) key: &'static str,
    /// What becomes of it, after the key: `which …`.
    pub(super) why: &'static str,
}

impl Changing {
    /// The first of these labels that a selector asks about.
    pub(super) fn in_selector(selector: &LabelSelector) -> Option<Self> {
        let expressions = &selector.match_expressions;
        Self::among(|key| {
            selector.match_labels.get(key).is_some() || expressions.iter().any(|it| it.key == key)
        })
    }

    /// The first of these labels that must be there, but the one that means sidecars on purpose.
    pub(super) fn in_policy(wanted: &Labels) -> Option<Self> {
        Self::among(|key| key != TLS_MODE_LABEL && wanted.get(key).is_some())
    }

    /// Whether pods get it together with a sidecar.
    pub(super) fn is_injected(self) -> bool {
        self.why == WITH_SIDECAR
    }

    fn among(asked: impl Fn(&str) -> bool) -> Option<Self> {
        let found = CHANGING.iter().find(|(key, _)| asked(key));
        found.map(|(key, why)| Self { key, why })
    }
}

/// What the labels of a workload's pods are before a move and after it.
#[derive(Debug)]
pub(super) struct Relabelled<'a> {
    /// The workload.
    pub(super) workload: &'a Workload,
    /// With a sidecar.
    pub(super) before: Labels,
    /// Without one.
    pub(super) after: Labels,
}

impl<'a> Relabelled<'a> {
    /// The labels of the pods of a workload with sidecars.
    pub(super) fn of(workload: &'a Workload) -> Self {
        let mut before = workload.labels.pairs().to_vec();
        for (key, sources) in CANONICAL {
            let mut given = sources.iter().filter_map(|key| workload.labels.get(key));
            let default = if key.ends_with("name") {
                &*workload.object.name
            } else {
                "latest"
            };
            before.push((key.into(), given.next().unwrap_or(default).into()));
        }
        before.push((TLS_MODE_LABEL.into(), "istio".into()));
        before.push((TUNNEL_LABEL.into(), "http".into()));
        // What the template says itself goes before what is added.
        before.retain(|(key, value)| workload.labels.get(key).is_none_or(|own| own == &**value));
        Self {
            workload,
            before: Labels::from_pairs(before),
            after: Self::template(&workload.labels),
        }
    }

    /// The labels of a pod template after a move.
    pub(super) fn template(labels: &Labels) -> Labels {
        let kept = labels.pairs().iter();
        let kept = kept.filter(|(key, _)| ![INJECT_LABEL, REVISION_LABEL].contains(&&**key));
        let mut pairs: Vec<(Name, Name)> = kept.cloned().collect();
        pairs.push((INJECT_LABEL.into(), "false".into()));
        Labels::from_pairs(pairs)
    }

    /// The same labels for what goes on meaning sidecars.
    pub(super) fn marked(&self) -> Labels {
        let mut pairs = self.after.pairs().to_vec();
        pairs.push((TLS_MODE_LABEL.into(), "istio".into()));
        Labels::from_pairs(pairs)
    }
}
