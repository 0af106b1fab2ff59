//! AMB103: ztunnel is missing, or ztunnel or the CNI agent is not ready on every node.
//!
//! Source: `https://istio.io/latest/docs/ambient/migrate/install-ambient-components/` (verify ztunnel
//! on all nodes before anything is moved).

use super::chart_version;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::installation::Node;
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef};
use crate::mesh;
use crate::mesh::installation::NodeAgent;

/// The check.
pub static CHECK: NodeAgentNotReady = NodeAgentNotReady;

/// The check's type.
#[derive(Debug)]
pub struct NodeAgentNotReady;

static META: Meta = Meta {
    id: Id("AMB103"),
    slug: "node-agent-not-ready",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: mesh::INSTALLATION.and(KindSet::of(&[Kind::Node])),
    needs: &[mesh::Part::Installation, mesh::Part::Nodes],
    since: "0.1.0",
    page: include_str!("amb103_node_agent_not_ready.md"),
};

/// The nodes on which pods of the mesh can run.
#[derive(Debug, Clone, Copy)]
struct Nodes {
    /// Linux nodes that are not cordoned.
    open: u32,
    /// Linux nodes that are.
    cordoned: u32,
}

impl Check for NodeAgentNotReady {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let nodes = nodes(view.mesh.all::<Node>());
        let installation = view.mesh.installation();
        if installation.ztunnels.is_empty() {
            missing(view, out);
        } else {
            agents("ztunnel", "app=ztunnel", &installation.ztunnels, nodes, out);
        }
        if !installation.cni.is_empty() {
            agents(
                "the CNI agent",
                "k8s-app=istio-cni-node",
                &installation.cni,
                nodes,
                out,
            );
        }
    }
}

/// Neither agent is made for Windows.
fn nodes(list: &[crate::inventory::Object<Node>]) -> Nodes {
    let linux = list
        .iter()
        .filter(|node| !node.metadata.labels.has("kubernetes.io/os", "windows"));
    let mut nodes = Nodes {
        open: 0,
        cordoned: 0,
    };
    for node in linux {
        if node.spec.unschedulable {
            nodes.cordoned += 1;
        } else {
            nodes.open += 1;
        }
    }
    nodes
}

fn missing(view: &View<'_>, out: &mut Sink<'_>) {
    let planes = &view.mesh.installation().control_planes;
    let namespace = planes.first().map_or_else(
        || Name::from("istio-system"),
        |plane| plane.object.namespace.clone(),
    );
    let version = chart_version(planes.iter().find_map(|plane| plane.version));
    let command = format!("helm install ztunnel istio/ztunnel{version} -n {namespace}");
    out.find_for_all(
        Severity::Blocking,
        (
            ObjectRef::new(Kind::DaemonSet, &namespace, &Name::from("ztunnel")),
            FieldPath::root(),
        ),
        "there is no ztunnel (a DaemonSet labelled app=ztunnel): a pod that loses its sidecar would have no proxy at all",
        Remedy::command("install ztunnel of istiod's release", command),
    );
}

/// What stands of an agent, over all its DaemonSets (one a kind of node, say).
fn agents(name: &str, label: &str, sets: &[NodeAgent], nodes: Nodes, out: &mut Sink<'_>) {
    let Some(first) = sets.first() else { return };
    let look = |text: &str| {
        Remedy::command(
            text,
            format!(
                "kubectl get pods -n {} -l {label} -o wide",
                first.object.namespace
            ),
        )
    };
    let desired: u32 = sets.iter().map(|set| set.desired).sum();
    if desired < nodes.open {
        out.find_for_all(
            Severity::Blocking,
            (first.object.clone(), field!["status", "desiredNumberScheduled"]),
            format!(
                "{name} is meant to run on {desired} of {}: pods that are moved on the others would have no mesh, or would not start",
                counted(nodes.open, "schedulable node")
            ),
            look("find the nodes without it; its nodeSelector, affinity or tolerations leave them out"),
        );
    }
    for set in sets.iter().filter(|set| set.ready < set.desired) {
        let down = set.desired - set.ready;
        // Nothing tells which nodes these are; as many cordoned nodes explain it.
        let (severity, excuse) = if down <= nodes.cordoned {
            let cordoned = match nodes.cordoned {
                1 => "1 node is cordoned".to_owned(),
                n => format!("{n} nodes are cordoned"),
            };
            (Severity::Warning, format!("; {cordoned}, which may be why"))
        } else {
            (Severity::Blocking, String::new())
        };
        out.find_for_all(
            severity,
            (set.object.clone(), field!["status", "numberReady"]),
            format!(
                "{name} is ready on {} of {}: on the others, pods that are moved would get no traffic, or would not start{excuse}",
                set.ready,
                counted(set.desired, "node")
            ),
            look("see on which nodes it is not ready, and why"),
        );
    }
}

fn counted(n: u32, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}
