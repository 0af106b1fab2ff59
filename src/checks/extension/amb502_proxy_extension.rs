//! AMB502: an EnvoyFilter, WasmPlugin, TrafficExtension, Telemetry or ProxyConfig changes sidecars. ztunnel takes none of
//! them; a waypoint takes some.
//!
//! Source: `pilot/pkg/model/policyattachment.go`, `ShouldAttachPolicy`; `pilot/pkg/model/telemetry.go`;
//! istio/istio.io#16477.

use crate::checks::extension::with_sidecar;
use crate::checks::policy::is_attached;
use crate::checks::wording::first_and_more;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::{Listed, Object};
use crate::kinds::authorization::AttachedSpec;
use crate::kinds::envoy_extension::{
    EnvoyFilter, Plugin, ProxyConfig, Telemetry, TrafficExtension, WasmPlugin,
};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, KindSet, Labels, Name, Resource};
use crate::mesh::waypoints::WAYPOINT_CLASS;
use crate::mesh::workloads::Workload;
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: ProxyExtension = ProxyExtension;

/// The check's type.
#[derive(Debug)]
pub struct ProxyExtension;

static META: Meta = Meta {
    id: Id("AMB502"),
    slug: "proxy-extension",
    area: Area::Extension,
    highest: Severity::Blocking,
    reads: mesh::BACKING.and(mesh::MESH_CONFIG).and(KindSet::of(&[
        Kind::EnvoyFilter,
        Kind::WasmPlugin,
        Kind::TrafficExtension,
        Kind::Telemetry,
        Kind::ProxyConfig,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb502_proxy_extension.md"),
};

impl Check for ProxyExtension {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            for filter in own_and_root::<EnvoyFilter>(mesh, name) {
                envoy_filter(view, name, filter, out);
            }
            for found in own_and_root::<WasmPlugin>(mesh, name) {
                plugin(view, name, found, out);
            }
            for found in own_and_root::<TrafficExtension>(mesh, name) {
                plugin(view, name, found, out);
            }
            for telemetry in own_and_root::<Telemetry>(mesh, name) {
                report(view, name, telemetry, out);
            }
            for config in own_and_root::<ProxyConfig>(mesh, name) {
                proxy_config(view, name, config, out);
            }
        }
    }
}

/// Objects of a namespace and of the root namespace.
fn own_and_root<'a, T: Listed + 'a>(
    mesh: &'a Mesh,
    namespace: &Name,
) -> impl Iterator<Item = &'a Object<T>> + use<'a, T> {
    let root = mesh.root_namespace();
    let wide: &[Object<T>] = if root == namespace {
        &[]
    } else {
        mesh.within::<T>(root)
    };
    mesh.within::<T>(namespace).iter().chain(wide)
}

fn names(workloads: &[&Workload]) -> String {
    first_and_more(workloads.iter().map(|workload| &workload.object))
}

fn envoy_filter(
    view: &View<'_>,
    namespace: &Name,
    filter: &Object<EnvoyFilter>,
    out: &mut Sink<'_>,
) {
    let spec = &filter.spec;
    if !spec.target_refs.is_empty() || !spec.patches_sidecars() {
        return;
    }
    let labels = spec.workload_selector.as_ref().map(|s| s.labels.clone());
    let workloads = with_sidecar(view, namespace, &labels.unwrap_or_default());
    if workloads.is_empty() {
        return;
    }
    let field = match spec.workload_selector {
        Some(_) => field!["spec", "workloadSelector"],
        None => field!["spec"],
    };
    let object = filter.reference();
    out.find(
        namespace,
        Severity::Blocking,
        (object.clone(), field),
        format!(
            "it patches the sidecars of {}; ztunnel takes no patches and waypoints do not support them, so what it does ends with those sidecars",
            names(&workloads)
        ),
        Remedy::command(
            "say what it does by other means (a TrafficExtension, WasmPlugin or Telemetry with targetRefs, an HTTPRoute), delete it if it is not needed, or keep these workloads in sidecar mode",
            format!("kubectl get envoyfilter {} -n {} -o yaml", object.name, object.namespace),
        ),
    );
}

/// What a policy that is not attached by name reaches here, and the field that says so. A selector
/// of the root namespace counts elsewhere only for some kinds.
fn reached<'a>(
    view: &View<'a>,
    namespace: &Name,
    home: &Name,
    spec: &AttachedSpec,
    selects_everywhere: bool,
) -> Option<(Vec<&'a Workload>, FieldPath, bool)> {
    if is_attached(spec.target_ref.as_ref(), &spec.target_refs) {
        return None;
    }
    let nothing = Labels::default();
    let labels = spec.selector.as_ref().map_or(&nothing, |s| &s.match_labels);
    let selects = !labels.is_empty();
    if selects && !selects_everywhere && home != namespace {
        return None;
    }
    let workloads = with_sidecar(view, namespace, labels);
    let field = match spec.selector {
        Some(_) => field!["spec", "selector"],
        None => field!["spec"],
    };
    (!workloads.is_empty()).then_some((workloads, field, selects))
}

/// What the move does for workloads by copying a policy to their Services; without a Service in front
/// of any of them it can do nothing. Of that AMB353 tells, where the policy selects them in its own
/// namespace.
fn copied(
    mesh: &Mesh,
    workloads: &[&Workload],
    selected_here: bool,
    how: &str,
) -> Option<(Severity, Remedy)> {
    let served = |workload: &&Workload| mesh.services_of(workload).next().is_some();
    if workloads.iter().any(served) {
        return Some((Severity::Change, Remedy::moved(how)));
    }
    (!selected_here).then(|| {
        (
            Severity::Warning,
            Remedy::person("no Service selects these pods, so no waypoint is in front of them: keep them in sidecar mode, or do without"),
        )
    })
}

/// Why no waypoint runs a copy of a plugin, and where that stands.
fn not_copied<T: Plugin>(
    mesh: &Mesh,
    plugin: &Object<T>,
    workloads: &[&Workload],
    selects: bool,
) -> Option<(FieldPath, &'static str)> {
    let spec = plugin.value.attached();
    let home = &plugin.value.meta().namespace;
    if let Some((position, field)) = spec.beyond_waypoints() {
        let why = "a waypoint runs none that is for calls which pods make, or for certain ports";
        return Some((field!["spec", "match", position, field], why));
    }
    let from_root = workloads
        .iter()
        .any(|workload| workload.object.namespace != *home);
    if let Some(at) = spec.pull_secret()
        && from_root
    {
        let why = "no copy in another namespace can name the Secret with which its image is pulled";
        return Some((at, why));
    }
    let served = |workload: &&Workload| mesh.services_of(workload).next().is_some();
    let why = "one of them has no Service, so that no waypoint is in front of it";
    (from_root && selects && !workloads.iter().all(served))
        .then(|| (field!["spec", "selector"], why))
}

fn plugin<T: Plugin>(view: &View<'_>, namespace: &Name, plugin: &Object<T>, out: &mut Sink<'_>) {
    let home = &plugin.value.meta().namespace;
    let found = reached(view, namespace, home, plugin.value.attached(), true);
    let Some((workloads, field, selects)) = found else {
        return;
    };
    if let Some((at, why)) = not_copied(view.mesh, plugin, &workloads, selects) {
        // AMB353 tells of those of the namespace itself.
        if home != namespace {
            let remedy = Remedy::person(format!(
                "its owner attaches what is meant for waypoints to GatewayClass/{WAYPOINT_CLASS}; else keep these workloads in \
                 sidecar mode"
            ));
            let says = format!(
                "it runs in the sidecars of {}, and {why}",
                names(&workloads)
            );
            out.find(
                namespace,
                Severity::Blocking,
                (plugin.value.reference(), at),
                says,
                remedy,
            );
        }
        return;
    }
    let Some((severity, remedy)) = copied(
        view.mesh,
        &workloads,
        selects && home == namespace,
        "a copy with targetRefs runs at the waypoint of their Services; this plugin stays for pods that have a sidecar",
    ) else {
        return;
    };
    out.find(
        namespace,
        severity,
        (plugin.value.reference(), field),
        format!(
            "it runs in the sidecars of {}; a waypoint runs only plugins attached to it or to its Services by targetRefs",
            names(&workloads)
        ),
        remedy,
    );
}

fn report(view: &View<'_>, namespace: &Name, telemetry: &Object<Telemetry>, out: &mut Sink<'_>) {
    let home = &telemetry.metadata.namespace;
    let found = reached(view, namespace, home, &telemetry.spec, false);
    let Some((workloads, field, selects)) = found else {
        return;
    };
    let at = (telemetry.reference(), field);
    if selects {
        let Some((severity, remedy)) = copied(
            view.mesh,
            &workloads,
            home == namespace,
            "a copy with targetRefs is taken by the waypoint of their Services",
        ) else {
            return;
        };
        out.find(
            namespace,
            severity,
            at,
            format!(
                "it sets what the sidecars of {} report; a waypoint takes only what has no selector or is attached by targetRefs, and ztunnel takes none",
                names(&workloads)
            ),
            remedy,
        );
        return;
    }
    let message = "it goes on holding at waypoints; ztunnel takes none of it, so traffic that passes no waypoint is reported as ztunnel does, by connection";
    if home == namespace {
        out.find(namespace, Severity::Info, at, message, Remedy::Nothing);
    } else {
        out.find_for_all(Severity::Info, at, message, Remedy::Nothing);
    }
}

fn proxy_config(
    view: &View<'_>,
    namespace: &Name,
    config: &Object<ProxyConfig>,
    out: &mut Sink<'_>,
) {
    let home = &config.metadata.namespace;
    let Some((workloads, field, _)) = reached(view, namespace, home, &config.spec, false) else {
        return;
    };
    let remedy = Remedy::person(
        "what a waypoint needs of it (concurrency, variables, an image) goes to its Gateway, by spec.infrastructure.parametersRef",
    );
    let at = (config.reference(), field);
    if home == namespace {
        let message = format!(
            "what it sets in the sidecars of {} ends with them; ztunnel takes none of it",
            names(&workloads)
        );
        out.find(namespace, Severity::Warning, at, message, remedy);
    } else {
        let message =
            "what it sets in the sidecars of the mesh ends with them; ztunnel takes none of it";
        out.find_for_all(Severity::Warning, at, message, remedy);
    }
}
