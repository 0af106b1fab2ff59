//! AMB104: the CNI agent does not capture pods for ztunnel, or not those of a namespace.
//!
//! Sources: istio/istio `cni/pkg/plugin/plugin.go`, `cni/pkg/util/enablement_selector.go`,
//! `manifests/charts/istio-cni/templates/configmap-cni.yaml`.

use super::{chart_version, could_move};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Input;
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, Labels, Name, ObjectRef};
use crate::mesh;
use crate::mesh::cni::Selectors;
use crate::mesh::cni::{AMBIENT_ENABLED, CONFIG_MAP, CniConfig, EnablementSelector, SELECTORS};
use crate::mesh::injection::INJECT_LABEL;
use crate::mesh::namespaces::{DATA_PLANE_LABEL, Namespace};
use crate::mesh::workloads::{Role, Workload};

/// The check.
pub static CHECK: CniWithoutAmbient = CniWithoutAmbient;

/// The check's type.
#[derive(Debug)]
pub struct CniWithoutAmbient;

static META: Meta = Meta {
    id: Id("AMB104"),
    slug: "cni-without-ambient",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: mesh::INSTALLATION.and(mesh::WORKLOADS),
    needs: &[mesh::Part::Installation],
    since: "0.1.0",
    page: include_str!("amb104_cni_without_ambient.md"),
};

impl Check for CniWithoutAmbient {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let installation = view.mesh.installation();
        let Some(agent) = installation.cni.first() else {
            absent(view, out);
            return;
        };
        let Some(config) = &installation.cni_config else {
            out.find_for_all(
                Severity::Warning,
                (
                    ObjectRef::new(
                        Kind::ConfigMap,
                        &agent.object.namespace,
                        &Name::from(CONFIG_MAP),
                    ),
                    FieldPath::root(),
                ),
                "the CNI agent's configuration was not found: whether it captures pods for ztunnel, and which, was not checked",
                Remedy::command(
                    "see what the agent was told",
                    format!(
                        "kubectl get configmap {CONFIG_MAP} -n {} -o yaml",
                        agent.object.namespace
                    ),
                ),
            );
            return;
        };
        if !config.ambient {
            out.find_for_all(
                Severity::Blocking,
                (config.object.clone(), field!["data", AMBIENT_ENABLED]),
                format!(
                    "{AMBIENT_ENABLED} is not true: the CNI agent would redirect no pod to ztunnel"
                ),
                Remedy::command(
                    "upgrade the CNI agent with the profile, at the release that runs",
                    format!(
                        "helm upgrade istio-cni istio/cni{} -n {} --reset-then-reuse-values --set profile=ambient",
                        chart_version(agent.version),
                        agent.object.namespace
                    ),
                ),
            );
            return;
        }
        excluded(view, config, out);
        selectors(view, config, out);
    }
}

fn absent(view: &View<'_>, out: &mut Sink<'_>) {
    let at = (
        ObjectRef::new(
            Kind::DaemonSet,
            &Name::from("istio-system"),
            &Name::from("istio-cni-node"),
        ),
        FieldPath::root(),
    );
    if view.mesh.inventory().input == Input::Manifests {
        out.find_for_all(
            Severity::Info,
            at,
            "these manifests hold istiod and no CNI agent: what the agent does was not checked",
            Remedy::Nothing,
        );
    } else {
        out.find_for_all(
            Severity::Blocking,
            at,
            "there is no CNI agent (a DaemonSet labelled k8s-app=istio-cni-node): nothing would redirect a pod to ztunnel",
            Remedy::command(
                "install the CNI agent of istiod's release",
                format!(
                    "helm install istio-cni istio/cni{} -n istio-system --set profile=ambient",
                    chart_version(view.mesh.installation().oldest_version())
                ),
            ),
        );
    }
}

/// Namespaces that the plugin passes over before it asks anything else: a pod that starts there is
/// never redirected.
fn excluded(view: &View<'_>, config: &CniConfig, out: &mut Sink<'_>) {
    let Some((key, names)) = &config.excluded else {
        return;
    };
    for namespace in view.namespaces() {
        let listed = names.iter().any(|name| **name == *namespace.name);
        if listed && could_move(view.mesh, &namespace.name) {
            out.find(
                &namespace.name,
                Severity::Blocking,
                (config.object.clone(), field!["data", *key]),
                format!(
                    "the CNI agent leaves out {}: a pod that starts there without a sidecar would be in no mesh",
                    namespace.name
                ),
                Remedy::person("take the namespace out of the chart's excludeNamespaces, and let the agent roll out"),
            );
        }
    }
}

/// Pods that a configured selector would not choose once their namespace is labelled.
fn selectors(view: &View<'_>, config: &CniConfig, out: &mut Sink<'_>) {
    let at = || (config.object.clone(), field!["data", SELECTORS]);
    let given = match &config.selectors {
        Selectors::Default => return,
        Selectors::Given(given) => given,
        Selectors::Unreadable => {
            out.find_for_all(
                Severity::Warning,
                at(),
                format!("{SELECTORS} could not be read as a list of selectors: which pods the CNI agent captures was not checked"),
                Remedy::person("compare the chart's ambient.enablementSelectors with its default"),
            );
            return;
        }
    };
    for namespace in view.namespaces() {
        let labels = labelled(namespace);
        let workloads = view.mesh.workloads_in(&namespace.name);
        let concerned = workloads.iter().filter(|workload| {
            workload.role == Role::Application
                && !workload.host_network
                && !workload.labels.has(DATA_PLANE_LABEL, "none")
        });
        let missed: Vec<&Workload> = concerned
            .filter(|workload| !captured(given, workload, &labels))
            .collect();
        let Some(first) = missed.first() else {
            continue;
        };
        let who = match missed.len() {
            1 => first.object.short(),
            n => format!("{} and {} more", first.object.short(), n - 1),
        };
        out.find(
            &namespace.name,
            Severity::Blocking,
            at(),
            format!(
                "no selector here would choose the pods of {who} after {} is labelled {DATA_PLANE_LABEL}=ambient: without their sidecar they would be in no mesh",
                namespace.name
            ),
            Remedy::person(
                "add the default entries to the chart's ambient.enablementSelectors, or give the namespace the labels that the selectors ask for",
            ),
        );
    }
}

fn with(labels: &Labels, more: &[(&str, &str)]) -> Labels {
    let mut pairs = labels.pairs().to_vec();
    pairs.extend(
        more.iter()
            .map(|(key, value)| (Name::from(*key), Name::from(*value))),
    );
    Labels::from_pairs(pairs)
}

/// A namespace's labels as they would be after the move.
fn labelled(namespace: &Namespace) -> Labels {
    with(
        &namespace.labels.clone().unwrap_or_default(),
        &[
            ("kubernetes.io/metadata.name", &namespace.name),
            (DATA_PLANE_LABEL, "ambient"),
        ],
    )
}

fn captured(given: &[EnablementSelector], workload: &Workload, namespace: &Labels) -> bool {
    // The move takes the sidecar off by this label.
    let pod = with(&workload.labels, &[(INJECT_LABEL, "false")]);
    given
        .iter()
        .any(|selector| selector.matches(&pod, namespace))
}
