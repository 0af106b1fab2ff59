//! AMB102: an istiod that does not run ambient mode, or no istiod at all.
//!
//! Sources: istio/istio `pilot/pkg/features/ambient.go` (`PILOT_ENABLE_AMBIENT`, off by default) and
//! `manifests/helm-profiles/ambient.yaml`, which sets it.

use super::{Concerned, Revisions, chart_version, concerned, variable};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Input;
use crate::kinds::installation::MutatingWebhookConfiguration;
use crate::kinds::workload::Deployment;
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef};
use crate::mesh;
use crate::mesh::installation::{ControlPlane, Switch};
use crate::mesh::ownership::{Keeper, keeper};

const FLAG: &str = "PILOT_ENABLE_AMBIENT";

/// The check.
pub static CHECK: IstiodWithoutAmbient = IstiodWithoutAmbient;

/// The check's type.
#[derive(Debug)]
pub struct IstiodWithoutAmbient;

static META: Meta = Meta {
    id: Id("AMB102"),
    slug: "istiod-without-ambient",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: mesh::INSTALLATION
        .and(mesh::NAMESPACES)
        .and(KindSet::of(&[Kind::MutatingWebhookConfiguration])),
    needs: &[mesh::Part::Installation],
    since: "0.1.0",
    page: include_str!("amb102_istiod_without_ambient.md"),
};

impl Check for IstiodWithoutAmbient {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let revisions = Revisions::of(view.mesh);
        let planes = &view.mesh.installation().control_planes;
        if planes.is_empty() {
            absent(view, out);
        }
        let somewhere = planes.iter().any(|plane| {
            plane.switch(FLAG) != Switch::Literal(false) && plane.switch(FLAG) != Switch::Unset
        });
        for plane in planes {
            match plane.switch(FLAG) {
                Switch::Literal(true) => {}
                Switch::Elsewhere => out.find_for_all(
                    Severity::Warning,
                    (plane.object.clone(), variable(view.mesh, plane, FLAG)),
                    format!("{FLAG} comes from another object: whether ambient mode is on was not checked"),
                    Remedy::command(
                        "see where it comes from",
                        format!(
                            "kubectl get deployment {} -n {} -o yaml",
                            plane.object.name, plane.object.namespace
                        ),
                    ),
                ),
                Switch::Literal(false) | Switch::Unset => {
                    off(view, &revisions, plane, somewhere, out);
                }
            }
        }
    }
}

/// A cluster without an istiod. Manifests that hold none are not judged.
fn absent(view: &View<'_>, out: &mut Sink<'_>) {
    if view.mesh.inventory().input == Input::Manifests {
        return;
    }
    let remote = view
        .mesh
        .all::<MutatingWebhookConfiguration>()
        .iter()
        .any(|configuration| {
            configuration
                .webhooks
                .iter()
                .any(|w| w.client_config.is_outside())
        });
    let message = if remote {
        "no istiod runs in this cluster, and its injection webhook leads outside: its control plane is that of another cluster, from where ambient mode is not served"
    } else {
        "no istiod was found (a Deployment labelled app=istiod with a container `discovery`): nothing here can serve ztunnel and waypoints"
    };
    out.find_for_all(
        Severity::Blocking,
        (
            ObjectRef::new(
                Kind::Deployment,
                &Name::from("istio-system"),
                &Name::from("istiod"),
            ),
            FieldPath::root(),
        ),
        message,
        Remedy::command(
            "install Istio with profile=ambient, or have it shown to this account",
            "kubectl get deployments -A -l app=istiod",
        ),
    );
}

fn off(
    view: &View<'_>,
    revisions: &Revisions<'_>,
    plane: &ControlPlane,
    somewhere: bool,
    out: &mut Sink<'_>,
) {
    let at = (plane.object.clone(), variable(view.mesh, plane, FLAG));
    let state = match plane.env(FLAG) {
        Some(value) => format!("is \"{value}\""),
        None => "is not set".to_owned(),
    };
    let evidence = format!(
        "{FLAG} {state}: this istiod serves no ztunnel and no waypoint, and its sidecars cannot open tunnels to ambient pods"
    );
    let remedy = || turn_on(view, plane);
    if !somewhere {
        out.find_for_all(Severity::Blocking, at, evidence, remedy());
        return;
    }
    match concerned(revisions, view, plane) {
        Concerned::Namespaces(namespaces) => {
            for namespace in namespaces {
                let message = format!("{evidence}; it injects {namespace}");
                out.find(namespace, Severity::Blocking, at.clone(), message, remedy());
            }
        }
        Concerned::Everyone | Concerned::NoneJudged => {
            let message = format!("{evidence}; it injects none of the namespaces that are judged");
            out.find_for_all(Severity::Warning, at, message, remedy());
        }
    }
}

/// How ambient mode is turned on, by the tool that installed this istiod.
fn turn_on(view: &View<'_>, plane: &ControlPlane) -> Remedy {
    let meta = view
        .mesh
        .named::<Deployment>(&plane.object.namespace, &plane.object.name)
        .map(|deployment| &deployment.metadata);
    let installer = meta.and_then(keeper);
    let release = meta.and_then(|meta| meta.annotations.get("meta.helm.sh/release-name"));
    match (installer, release) {
        (Some((by @ (Keeper::ArgoCd | Keeper::Flux), _)), _) => Remedy::person(format!(
            "set profile=ambient where {} has istiod from, and let it roll out",
            by.name()
        )),
        (_, Some(release)) => {
            let version = chart_version(plane.version);
            Remedy::command(
                "turn ambient mode on with the chart's profile, at the release that runs",
                format!(
                    "helm upgrade {release} istio/istiod{version} -n {} --reset-then-reuse-values --set profile=ambient",
                    plane.object.namespace
                ),
            )
        }
        _ => {
            let revision = match plane.revision.as_str() {
                "default" => String::new(),
                revision => format!(" --revision {revision}"),
            };
            Remedy::command(
                "turn ambient mode on with the profile, keeping your other settings (-f with your own file)",
                format!("istioctl upgrade --set profile=ambient{revision}"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::{Scope, Severity, judge};
    use crate::inventory::{Input, InventoryBuilder};
    use crate::kinds::Name;
    use crate::mesh::Mesh;

    #[test]
    fn a_cluster_without_istiod_is_blocked_and_manifests_without_one_are_not_judged() {
        let found = |input| {
            let mesh = Mesh::new(InventoryBuilder::new(input, "default").finish());
            judge(&mesh, &Scope::of([Name::from("shop")]), &[&CHECK], false)
        };
        let cluster = found(Input::Cluster);
        assert_eq!(cluster.findings.len(), 1);
        assert_eq!(cluster.findings[0].severity, Severity::Blocking);
        let manifests = found(Input::Manifests);
        assert!(manifests.findings.is_empty());
        assert_eq!(manifests.not_run.len(), 1);
    }
}
