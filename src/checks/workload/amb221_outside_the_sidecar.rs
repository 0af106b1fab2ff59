//! AMB221: what a pod's annotations kept out of its sidecar, or gave it. ztunnel takes every port of a
//! pod, and reads none of these annotations.
//!
//! Sources: istio.io, Resource Annotations; `tools/istio-iptables` (which ports are redirected);
//! `pkg/kube/inject/inject.go` (metrics are served on 15020 unless `prometheus.istio.io/merge-metrics`
//! says otherwise); `cni/pkg/iptables/iptables.go` (ambient: all ports of the pod).

use std::collections::BTreeSet;

use super::{in_words, may_have_sidecar, template_path};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication};
use crate::kinds::{FieldPath, Kind, KindSet, ObjectRef};
use crate::mesh::workloads::{DataPlane, Role, Workload};
use crate::mesh::{self, Mesh};
use crate::semantics::verdict::{
    Call, Callee, Cause, Payload, Pod, Policies, Port, Settings, Situation, Verdict, judge,
};

const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const MERGED: &str = "prometheus.istio.io/merge-metrics";

/// Annotations that give the sidecar something, and what.
const GIVEN: [(&str, &str); 4] = [
    (
        "inject.istio.io/templates",
        "what those templates add to the pod",
    ),
    (
        "sidecar.istio.io/bootstrapOverride",
        "the proxy's own configuration",
    ),
    (
        "sidecar.istio.io/userVolume",
        "files for the proxy, such as certificates for TLS to others",
    ),
    (
        "sidecar.istio.io/userVolumeMount",
        "files for the proxy, such as certificates for TLS to others",
    ),
];

/// The check.
pub static CHECK: OutsideTheSidecar = OutsideTheSidecar;

/// The check's type.
#[derive(Debug)]
pub struct OutsideTheSidecar;

static META: Meta = Meta {
    id: Id("AMB221"),
    slug: "outside-the-sidecar",
    area: Area::Workload,
    highest: Severity::Blocking,
    reads: mesh::WORKLOADS.and(mesh::MESH_CONFIG).and(KindSet::of(&[
        Kind::AuthorizationPolicy,
        Kind::PeerAuthentication,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb221_outside_the_sidecar.md"),
};

impl Check for OutsideTheSidecar {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let config = &mesh.installation().config;
        let settings = Settings::of(config);
        let ambient = Ambient::of(mesh, &settings);
        for namespace in view.namespaces() {
            let mut unscraped = Vec::new();
            for workload in mesh.workloads_in(&namespace.name) {
                if workload.role != Role::Application
                    || workload.host_network
                    || !may_have_sidecar(workload)
                {
                    continue;
                }
                excluded(workload, &ambient, out);
                given(workload, out);
                let scraped = scraped_port(workload).filter(|_| config.merges_metrics);
                if scraped.is_some_and(|port| ambient.refuses(workload, port).is_some()) {
                    unscraped.push(&workload.object);
                }
            }
            metrics(&unscraped, out);
        }
    }
}

/// The policies that ztunnel has.
struct Ambient<'m> {
    policies: Policies<'m>,
}

impl<'m> Ambient<'m> {
    fn of(mesh: &'m Mesh, settings: &'m Settings) -> Self {
        let authorization = mesh.all::<AuthorizationPolicy>().iter();
        let peers = mesh.all::<PeerAuthentication>().iter();
        Self {
            policies: Policies::new(
                settings,
                authorization.map(|policy| &policy.value),
                [],
                peers.map(|policy| &policy.value),
            ),
        }
    }

    /// Why a caller in plain text is refused at a port of an ambient pod, if he is.
    fn refuses(&self, workload: &Workload, port: u16) -> Option<Cause> {
        let callee = Callee {
            pod: Pod {
                namespace: &workload.object.namespace,
                labels: &workload.labels,
            },
            mode: DataPlane::Ambient,
            takes_hbone: true,
            policies: &self.policies,
        };
        let call = Call {
            identity: None,
            source_ip: None,
            remote_ip: None,
            port: Port::undeclared(port),
            server_name: None,
            payload: Payload::Bytes,
        };
        match judge(&Situation::of(callee, DataPlane::None, None), &call) {
            Verdict::Denied(reason) => Some(reason.cause),
            Verdict::Allowed(_) | Verdict::Asks(..) | Verdict::Undecided(_) => None,
        }
    }
}

/// Ports that are kept out of the sidecar: by name, or since others are named.
fn kept_out(workload: &Workload) -> Option<(&'static str, BTreeSet<u16>)> {
    let listed = |text: &str| -> BTreeSet<u16> {
        let ports = text.split(',');
        ports.filter_map(|port| port.trim().parse().ok()).collect()
    };
    if let Some(text) = workload.annotations.get(EXCLUDED) {
        return Some((EXCLUDED, listed(text)));
    }
    let included = workload.annotations.get(INCLUDED)?;
    if included.trim() == "*" {
        return None;
    }
    let included = listed(included);
    let declared = workload.containers.iter().flat_map(|one| &one.ports);
    let others = declared
        .map(|port| port.container_port)
        .filter(|port| !included.contains(port));
    Some((INCLUDED, others.collect()))
}

fn annotation(workload: &Workload, key: &str) -> FieldPath {
    template_path(workload.object.kind)
        .then("metadata")
        .then("annotations")
        .then(key)
}

/// Ports that anybody reaches past the sidecar, and not past ztunnel.
fn excluded(workload: &Workload, ambient: &Ambient<'_>, out: &mut Sink<'_>) {
    let Some((key, ports)) = kept_out(workload) else {
        return;
    };
    let refused: Vec<(u16, Cause)> = ports
        .into_iter()
        .filter_map(|port| ambient.refuses(workload, port).map(|cause| (port, cause)))
        .collect();
    let Some((_, cause)) = refused.first() else {
        return;
    };
    let numbers: Vec<String> = refused.iter().map(|(port, _)| port.to_string()).collect();
    let (why, remedy) = match cause {
        Cause::PlainText(Some(policy)) => (
            format!("{} refuses them there", policy.short()),
            "a PeerAuthentication for these pods with portLevelMtls PERMISSIVE for these ports lets them in",
        ),
        Cause::Rule(rule) => (
            format!("{} refuses them there", rule.policy.short()),
            "leave these ports out of that rule, or give the callers an identity in the mesh",
        ),
        _ => (
            "no ALLOW policy admits them there".to_owned(),
            "an ALLOW policy for these pods with these ports lets them in",
        ),
    };
    out.find(
        &workload.object.namespace,
        Severity::Blocking,
        (workload.object.clone(), annotation(workload, key)),
        format!(
            "callers in plain text reach port{} {} of {} past the sidecar; ztunnel takes every port, and {why}",
            if numbers.len() == 1 { "" } else { "s" },
            numbers.join(", "),
            workload.object.short(),
        ),
        Remedy::person(remedy),
    );
}

/// What only a sidecar gets.
fn given(workload: &Workload, out: &mut Sink<'_>) {
    let annotations = &workload.annotations;
    for (key, what) in GIVEN {
        let Some(value) = annotations.get(key) else {
            continue;
        };
        let usual = key == "inject.istio.io/templates" && value.trim() == "sidecar";
        // The two belong together, and one finding is enough.
        let twice = key == "sidecar.istio.io/userVolumeMount"
            && annotations.get("sidecar.istio.io/userVolume").is_some();
        if usual || twice {
            continue;
        }
        out.find(
            &workload.object.namespace,
            Severity::Warning,
            (workload.object.clone(), annotation(workload, key)),
            format!(
                "the annotation gives the sidecar of {} {what}: in ambient mode nobody reads it",
                workload.object.short()
            ),
            Remedy::person(
                "find out who counts on it, and give that to the application, or to a waypoint or an egress gateway",
            ),
        );
    }
}

/// The port of the application's metrics, where its sidecar serves them.
fn scraped_port(workload: &Workload) -> Option<u16> {
    let annotations = &workload.annotations;
    if !annotations.has("prometheus.io/scrape", "true") || annotations.has(MERGED, "false") {
        return None;
    }
    let port: u16 = annotations.get("prometheus.io/port")?.parse().ok()?;
    let kept_out = kept_out(workload).is_some_and(|(_, ports)| ports.contains(&port));
    (!kept_out).then_some(port)
}

/// Metrics that a sidecar serves on a port of its own, to everybody.
fn metrics(unscraped: &[&ObjectRef], out: &mut Sink<'_>) {
    let Some(first) = unscraped.first() else {
        return;
    };
    let path = template_path(first.kind)
        .then("metadata")
        .then("annotations")
        .then("prometheus.io/scrape");
    out.find(
        &first.namespace,
        Severity::Warning,
        ((*first).clone(), path),
        format!(
            "the sidecar serves the metrics of {} on port 15020, in plain text to everybody; in ambient mode they are scraped at the application's own port, where callers in plain text are refused",
            in_words(unscraped)
        ),
        Remedy::person(
            "have Prometheus in the mesh, or let plain text in on that port with a PeerAuthentication and an ALLOW policy",
        ),
    );
}
