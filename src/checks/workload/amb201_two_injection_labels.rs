//! AMB201: a namespace with both injection labels. `istio-injection` wins whatever its value: the
//! webhooks for `istio.io/rev` ask that it be absent
//! (`manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`; `istioctl
//! analyze` calls it IST0123).

use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::FieldPath;
use crate::mesh;
use crate::mesh::injection::{INJECTION_LABEL, REVISION_LABEL};

/// The check.
pub static CHECK: TwoInjectionLabels = TwoInjectionLabels;

/// The check's type.
#[derive(Debug)]
pub struct TwoInjectionLabels;

static META: Meta = Meta {
    id: Id("AMB201"),
    slug: "two-injection-labels",
    area: Area::Workload,
    highest: Severity::Warning,
    reads: mesh::NAMESPACES,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb201_two_injection_labels.md"),
};

impl Check for TwoInjectionLabels {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for namespace in view.namespaces() {
            let (Some(injection), Some(revision)) = (
                namespace.label(INJECTION_LABEL),
                namespace.label(REVISION_LABEL),
            ) else {
                continue;
            };
            let (severity, effect) = match (injection, revision) {
                (_, "") => continue,
                ("enabled", "default") => (
                    Severity::Info,
                    "both name the default revision, and taking one away leaves the other in force"
                        .to_owned(),
                ),
                ("enabled", _) => (
                    Severity::Warning,
                    format!(
                        "new pods get sidecars of the default revision, and of {revision} once \
                         {INJECTION_LABEL} is taken away"
                    ),
                ),
                _ => (
                    Severity::Warning,
                    format!(
                        "no new pod gets a sidecar, and every one gets one of {revision} once \
                         {INJECTION_LABEL} is taken away"
                    ),
                ),
            };
            out.find(
                &namespace.name,
                severity,
                (namespace.reference(), FieldPath::label(REVISION_LABEL)),
                format!(
                    "{INJECTION_LABEL}={injection} wins over {REVISION_LABEL}={revision}: {effect}"
                ),
                Remedy::command(
                    "remove the label without effect, which changes nothing for any pod",
                    format!(
                        "kubectl label namespace {} {REVISION_LABEL}-",
                        namespace.name
                    ),
                ),
            );
        }
    }
}
