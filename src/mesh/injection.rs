//! Who gets a sidecar: the precedence of Istio's injection labels.
//!
//! Source: the injector's webhook template
//! (`manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`) and
//! `pkg/kube/inject/inject.go`, `injectRequired`.

use std::collections::BTreeSet;

use crate::inventory::Object;
use crate::kinds::Labels;
use crate::kinds::installation::MutatingWebhookConfiguration;

/// The label of a namespace that switches injection for the default revision.
pub const INJECTION_LABEL: &str = "istio-injection";
/// The label of a namespace or pod that names a revision or a tag.
pub const REVISION_LABEL: &str = "istio.io/rev";
/// The label (or annotation) of a pod that opts in or out.
pub const INJECT_LABEL: &str = "sidecar.istio.io/inject";

/// Namespaces in which nothing is ever injected.
const IGNORED: [&str; 4] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "local-path-storage",
];

/// What a namespace's labels say about injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceInjection {
    /// Its pods are injected by this revision or tag.
    Revision(String),
    /// `istio-injection` is there and is not `enabled`: no pod is, whatever its own labels say.
    Off,
    /// No label: a pod's own labels decide.
    Unlabelled,
    /// The namespace was not read.
    Unknown,
}

impl NamespaceInjection {
    /// What these labels of a namespace say.
    pub fn of(labels: &Labels) -> Self {
        match (labels.get(INJECTION_LABEL), labels.get(REVISION_LABEL)) {
            (Some("enabled"), _) => Self::Revision("default".to_owned()),
            (Some(_), _) => Self::Off,
            (None, Some(revision)) if !revision.is_empty() => Self::Revision(revision.to_owned()),
            (None, _) => Self::Unlabelled,
        }
    }
}

/// What happens to a pod that is made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injection {
    /// It gets a sidecar of this revision or tag.
    Injected(String),
    /// It gets none.
    NotInjected,
    /// The namespace's labels are unknown, and the pod's own do not decide.
    Unknown,
}

/// The injectors of a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injectors {
    /// Revisions and tags with a webhook; `None` when no webhook was read.
    pub revisions: Option<BTreeSet<String>>,
    /// Whether unlabelled namespaces are injected (`enableNamespacesByDefault`).
    pub by_default: bool,
}

impl Injectors {
    /// The injectors that these webhooks make.
    pub(super) fn of(webhooks: &[Object<MutatingWebhookConfiguration>]) -> Self {
        let mut revisions = BTreeSet::new();
        let mut by_default = false;
        for configuration in webhooks {
            let injects = configuration
                .webhooks
                .iter()
                .any(|webhook| webhook.name.ends_with("sidecar-injector.istio.io"));
            if !injects {
                continue;
            }
            let labels = &configuration.metadata.labels;
            for key in ["istio.io/tag", REVISION_LABEL] {
                revisions.extend(labels.get(key).map(str::to_owned));
            }
            by_default |= configuration
                .webhooks
                .iter()
                .any(|w| w.name.starts_with("auto.") && !is_never(&w.namespace_selector));
            // The default revision's webhooks also serve `istio-injection=enabled`.
            if configuration
                .webhooks
                .iter()
                .any(|w| serves_legacy_label(&w.namespace_selector))
            {
                revisions.insert("default".to_owned());
            }
        }
        Self {
            revisions: (!revisions.is_empty()).then_some(revisions),
            by_default,
        }
    }

    /// What happens to a pod with these labels that is made now.
    pub fn decide(
        &self,
        namespace: &str,
        setting: &NamespaceInjection,
        labels: &Labels,
        annotations: &Labels,
        host_network: bool,
    ) -> Injection {
        if host_network || IGNORED.contains(&namespace) || refuses(labels, annotations) {
            return Injection::NotInjected;
        }
        let revision = match setting {
            NamespaceInjection::Off => return Injection::NotInjected,
            NamespaceInjection::Unknown => return Injection::Unknown,
            NamespaceInjection::Revision(revision) => revision.clone(),
            NamespaceInjection::Unlabelled => {
                match (labels.get(REVISION_LABEL), labels.get(INJECT_LABEL)) {
                    (Some(revision), _) if !revision.is_empty() => revision.to_owned(),
                    (_, Some("true")) => "default".to_owned(),
                    _ if self.by_default => "default".to_owned(),
                    _ => return Injection::NotInjected,
                }
            }
        };
        match &self.revisions {
            Some(known) if !known.contains(&revision) => Injection::NotInjected,
            _ => Injection::Injected(revision),
        }
    }
}

/// Whether a pod says no itself. The label of the same name beats the annotation; whatever is not a
/// yes (as YAML once wrote it) or nothing is a no.
fn refuses(labels: &Labels, annotations: &Labels) -> bool {
    let said = labels.get(INJECT_LABEL).or(annotations.get(INJECT_LABEL));
    said.is_some_and(|said| {
        let yes = ["", "y", "yes", "true", "on"];
        !yes.iter().any(|yes| said.eq_ignore_ascii_case(yes))
    })
}

/// Istio renders a webhook that must match nothing with this requirement.
fn is_never(selector: &crate::kinds::LabelSelector) -> bool {
    selector
        .match_labels
        .iter()
        .any(|(key, _)| key == "istio.io/deactivated")
}

fn serves_legacy_label(selector: &crate::kinds::LabelSelector) -> bool {
    selector.match_expressions.iter().any(|requirement| {
        requirement.key == INJECTION_LABEL && requirement.values.iter().any(|v| v == "enabled")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(
            pairs
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        )
    }

    #[test]
    fn precedence_is_that_of_the_webhooks() {
        let injected = |revision: &str| Injection::Injected(revision.to_owned());
        let no = || Injection::NotInjected;
        let enabled = [("istio-injection", "enabled")];
        let both = [("istio-injection", "enabled"), ("istio.io/rev", "canary")];
        let off = [("istio-injection", "disabled")];
        let canary = [("istio.io/rev", "canary")];
        for (namespace, pod, expected) in [
            (&enabled[..], &[][..], injected("default")),
            (&both, &[], injected("default")),
            (&both, &[("istio.io/rev", "other")], injected("default")),
            (&enabled, &[("sidecar.istio.io/inject", "false")], no()),
            (&off, &[("sidecar.istio.io/inject", "true")], no()),
            (&off, &[("istio.io/rev", "canary")], no()),
            (&canary, &[], injected("canary")),
            (&canary, &[("sidecar.istio.io/inject", "false")], no()),
            (&[], &[], no()),
            (
                &[],
                &[("sidecar.istio.io/inject", "true")],
                injected("default"),
            ),
            (&[], &[("istio.io/rev", "canary")], injected("canary")),
            (
                &[],
                &[
                    ("istio.io/rev", "canary"),
                    ("sidecar.istio.io/inject", "false"),
                ],
                no(),
            ),
        ] {
            let setting = NamespaceInjection::of(&labels(namespace));
            let decided = Injectors::default().decide(
                "shop",
                &setting,
                &labels(pod),
                &Labels::default(),
                false,
            );
            assert_eq!(decided, expected, "namespace {namespace:?}, pod {pod:?}");
        }
    }

    #[test]
    fn the_host_network_ignored_namespaces_and_the_annotation_opt_out() {
        let injectors = Injectors::default();
        let enabled = NamespaceInjection::Revision("default".to_owned());
        let none = Labels::default();
        let out = labels(&[(INJECT_LABEL, "false")]);
        let wants = labels(&[(INJECT_LABEL, "true")]);
        assert_eq!(
            injectors.decide("a", &enabled, &none, &none, true),
            Injection::NotInjected
        );
        assert_eq!(
            injectors.decide("kube-system", &enabled, &none, &none, false),
            Injection::NotInjected
        );
        assert_eq!(
            injectors.decide("a", &enabled, &none, &out, false),
            Injection::NotInjected
        );
        assert_eq!(
            injectors.decide("a", &enabled, &wants, &out, false),
            Injection::Injected("default".to_owned()),
            "the label beats the annotation"
        );
        for (said, injected) in [("no", false), ("False", false), ("Yes", true), ("", true)] {
            let annotation = labels(&[(INJECT_LABEL, said)]);
            let decided = injectors.decide("a", &enabled, &none, &annotation, false);
            assert_eq!(
                matches!(decided, Injection::Injected(_)),
                injected,
                "{said}"
            );
        }
    }

    #[test]
    fn a_revision_without_a_webhook_injects_nothing() {
        let injectors = Injectors {
            revisions: Some(["stable".to_owned()].into()),
            by_default: false,
        };
        let setting = NamespaceInjection::Revision("gone".to_owned());
        let none = Labels::default();
        assert_eq!(
            injectors.decide("a", &setting, &none, &none, false),
            Injection::NotInjected
        );
    }

    #[test]
    fn unknown_namespaces_are_unknown_unless_the_pod_decides() {
        let injectors = Injectors::default();
        let none = Labels::default();
        let unknown = NamespaceInjection::Unknown;
        assert_eq!(
            injectors.decide("a", &unknown, &none, &none, false),
            Injection::Unknown
        );
        let out = labels(&[(INJECT_LABEL, "false")]);
        assert_eq!(
            injectors.decide("a", &unknown, &out, &none, false),
            Injection::NotInjected
        );
    }
}
