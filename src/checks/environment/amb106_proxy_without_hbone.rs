//! AMB106: sidecars and gateways that do not speak HBONE.
//!
//! Sources: `https://istio.io/latest/docs/ambient/migrate/install-ambient-components/` (every sidecar
//! of the mesh is restarted first); istio/istio `files/injection-template.yaml` (label
//! `networking.istio.io/tunnel` from `proxyMetadata.ISTIO_META_ENABLE_HBONE`),
//! `pilot/pkg/serviceregistry/ambient/workloads.go` (`setTunnelProtocol`: without the label ztunnel
//! sends plain text), `pilot/pkg/xds/endpoints/endpoint_builder.go` (what sidecars and gateways send).

mod gateways;

use std::collections::BTreeMap;

use super::{Revisions, could_move};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef};
use crate::mesh::injection::Injection;
use crate::mesh::workloads::{DataPlane, Role, TUNNEL_LABEL, Workload, data_plane};
use crate::mesh::{self, Mesh, Part};

const SETTING: &str = "meshConfig.defaultConfig.proxyMetadata.ISTIO_META_ENABLE_HBONE";

/// The check.
pub static CHECK: ProxyWithoutHbone = ProxyWithoutHbone;

/// The check's type.
#[derive(Debug)]
pub struct ProxyWithoutHbone;

static META: Meta = Meta {
    id: Id("AMB106"),
    slug: "proxy-without-hbone",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::INSTALLATION)
        .and(mesh::ROUTES)
        .and(KindSet::of(&[Kind::VirtualService, Kind::IstioGateway])),
    needs: &[Part::Pods],
    since: "0.1.0",
    page: include_str!("amb106_proxy_without_hbone.md"),
};

/// A workload with sidecars that do not speak HBONE.
struct Mute<'m> {
    workload: &'m Workload,
    /// How many of its pods.
    pods: usize,
    /// Whether a new pod would speak it.
    curable: bool,
}

/// What one namespace has of them.
#[derive(Default)]
struct Sum {
    pods: usize,
    workloads: usize,
    curable: bool,
}

impl Check for ProxyWithoutHbone {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let revisions = Revisions::of(view.mesh);
        let mute = mute(view.mesh, &revisions);
        for sidecars in mute
            .iter()
            .filter(|mute| view.judges(&mute.workload.object.namespace))
        {
            own(sidecars, out);
        }
        let mut sums: BTreeMap<&Name, Sum> = BTreeMap::new();
        for sidecars in &mute {
            let sum = sums
                .entry(&sidecars.workload.object.namespace)
                .or_insert_with(|| Sum {
                    curable: true,
                    ..Sum::default()
                });
            sum.pods += sidecars.pods;
            sum.workloads += 1;
            sum.curable &= sidecars.curable;
        }
        let (judged, others): (Vec<_>, Vec<_>) =
            sums.iter().partition(|(name, _)| view.judges(name));
        for (namespace, sum) in others {
            elsewhere(namespace, sum, out);
        }
        let moving = view
            .namespaces()
            .filter(|namespace| could_move(view.mesh, &namespace.name));
        for namespace in moving {
            beside(&namespace.name, &judged, out);
        }
        gateways::report(view, out);
    }
}

/// Workloads with sidecars that lack the label. Proxies without Envoy (`grpc-agent`) never have it.
fn mute<'m>(mesh: &'m Mesh, revisions: &Revisions<'m>) -> Vec<Mute<'m>> {
    let mut found = Vec::new();
    for workload in mesh.workloads() {
        if workload.role != Role::Application {
            continue;
        }
        let pods = mesh
            .pods(workload)
            .filter(|pod| {
                let templates = pod.metadata.annotations.get("inject.istio.io/templates");
                data_plane(pod) == DataPlane::Sidecar
                    && !pod.metadata.labels.has(TUNNEL_LABEL, "http")
                    && !templates.is_some_and(|templates| templates.contains("grpc"))
            })
            .count();
        if pods == 0 {
            continue;
        }
        let plane = match &workload.injection {
            Injection::Injected(revision) => revisions.control_plane(revision),
            Injection::NotInjected | Injection::Unknown => None,
        };
        found.push(Mute {
            workload,
            pods,
            curable: plane.is_none_or(|plane| plane.gives_hbone != Some(false)),
        });
    }
    found
}

/// `1 pod of cart has`, `3 pods of cart have`: a number of pods with what they do.
fn pods(n: usize, of: &str, does: [&str; 2]) -> String {
    match n {
        1 => format!("1 pod{of} {}", does[0]),
        n => format!("{n} pods{of} {}", does[1]),
    }
}

/// What pods without the label have.
const HAVE: [&str; 2] = ["has a sidecar", "have sidecars"];

/// Sidecars of a namespace that is judged: its move restarts them first.
fn own(mute: &Mute<'_>, out: &mut Sink<'_>) {
    let object = &mute.workload.object;
    let evidence = format!(
        "{} without HBONE (no label {TUNNEL_LABEL}=http): while the namespace is in two modes, traffic between it and moved pods would go in plain text and without an identity",
        pods(mute.pods, "", HAVE),
    );
    let (severity, remedy) = if !mute.curable {
        (
            Severity::Blocking,
            Remedy::person(format!(
                "a restart alone does not help: set {SETTING} to \"true\" (profile=ambient does), then restart"
            )),
        )
    } else if matches!(object.kind, Kind::Job | Kind::CronJob) {
        (
            Severity::Warning,
            Remedy::person("wait until the Job has ended; its next pod comes up with HBONE"),
        )
    } else if matches!(object.kind, Kind::Pod | Kind::ReplicaSet) {
        (
            Severity::Blocking,
            Remedy::person(
                "create it again: no controller restarts it, and its sidecar gets HBONE only when it starts",
            ),
        )
    } else {
        (
            Severity::Change,
            Remedy::moved("its pods are restarted before anything else, and come up with HBONE"),
        )
    };
    out.find(
        &object.namespace,
        severity,
        (object.clone(), FieldPath::label(TUNNEL_LABEL)),
        evidence,
        remedy,
    );
}

fn namespace_object(name: &Name) -> ObjectRef {
    ObjectRef::new(Kind::Namespace, &Name::from(""), name)
}

fn restart(namespace: &Name, curable: bool) -> Remedy {
    let command =
        format!("kubectl rollout restart deployment,statefulset,daemonset -n {namespace}");
    if curable {
        Remedy::command("have its owner restart what has a sidecar", command)
    } else {
        Remedy::command(
            format!(
                "set {SETTING} to \"true\" (profile=ambient does), then have its owner restart what has a sidecar"
            ),
            command,
        )
    }
}

const EFFECT: &str = "traffic with moved pods would go in plain text and without an identity, and is refused where STRICT or a rule on identities applies";

/// Sidecars of a namespace that is not judged: possible callers of all that are, and callees.
fn elsewhere(namespace: &Name, sum: &Sum, out: &mut Sink<'_>) {
    let workloads = match sum.workloads {
        1 => "1 workload".to_owned(),
        n => format!("{n} workloads"),
    };
    out.find_for_all(
        Severity::Blocking,
        (namespace_object(namespace), FieldPath::root()),
        format!(
            "{} without HBONE (no label {TUNNEL_LABEL}=http): {EFFECT}",
            pods(sum.pods, &format!(" of {workloads} in {namespace}"), HAVE)
        ),
        restart(namespace, sum.curable),
    );
}

/// Sidecars of the other namespaces that are judged as well: one finding for all of them.
fn beside(namespace: &Name, judged: &[(&&Name, &Sum)], out: &mut Sink<'_>) {
    let mut others = judged.iter().filter(|(name, _)| **name != namespace);
    let Some((first, sum)) = others.next() else {
        return;
    };
    let (more, total, curable) = others.fold((0, sum.pods, sum.curable), |acc, (_, sum)| {
        (acc.0 + 1, acc.1 + sum.pods, acc.2 && sum.curable)
    });
    let namespaces = match more {
        0 => format!("{first}"),
        1 => format!("{first} and 1 more namespace"),
        n => format!("{first} and {n} more namespaces"),
    };
    out.find(
        namespace,
        Severity::Blocking,
        (namespace_object(first), FieldPath::root()),
        format!(
            "{} without HBONE (no label {TUNNEL_LABEL}=http): {EFFECT}",
            pods(total, &format!(" in {namespaces}"), HAVE)
        ),
        restart(first, curable),
    );
}
