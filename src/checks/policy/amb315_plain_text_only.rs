//! AMB315: PeerAuthentication DISABLE, for all ports or for one. ztunnel has no such mode: istiod
//! treats it as not STRICT, except for a port under a STRICT that is inherited, which stays STRICT.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go`
//! (`convertedSelectorPeerAuthentications`, `convertPeerAuthentication`); istio.io, ambient/migrate.

use std::collections::BTreeMap;

use super::{names, reach};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::authorization::{MtlsMode, PeerAuthentication};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef, Resource};
use crate::mesh::workloads::{DataPlane, Mode, Workload};
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: PlainTextOnly = PlainTextOnly;

/// The check's type.
#[derive(Debug)]
pub struct PlainTextOnly;

static META: Meta = Meta {
    id: Id("AMB315"),
    slug: "plain-text-only",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::MESH_CONFIG)
        .and(KindSet::of(&[Kind::PeerAuthentication])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb315_plain_text_only.md"),
};

impl Check for PlainTextOnly {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            look_at(mesh, &namespace.name, out);
        }
    }
}

type Policy = Object<PeerAuthentication>;

/// The oldest policy without a selector: of several the oldest counts.
fn wide<'a>(mesh: &'a Mesh, namespace: &str) -> Option<&'a Policy> {
    mesh.within::<PeerAuthentication>(namespace)
        .iter()
        .filter(|policy| !has_selector(policy))
        .min_by_key(|policy| age(policy))
}

fn has_selector(policy: &Policy) -> bool {
    let selector = policy.spec.selector.as_ref();
    selector.is_some_and(|selector| !selector.match_labels.is_empty())
}

fn age(policy: &Policy) -> (Option<&Name>, &Name) {
    let meta = &policy.metadata;
    (meta.creation_timestamp.as_ref(), &meta.name)
}

/// Workloads by the policy that says DISABLE for them, and the port if it is for one.
type Found<'a> = BTreeMap<(ObjectRef, Option<&'a str>), (&'a Policy, Vec<&'a Workload>)>;

fn look_at<'a>(mesh: &'a Mesh, namespace: &'a Name, out: &mut Sink<'_>) {
    let root = mesh.root_namespace();
    let mesh_wide = wide(mesh, root);
    let own = (namespace != root).then(|| wide(mesh, namespace)).flatten();
    let inherited = [own, mesh_wide]
        .into_iter()
        .flatten()
        .find(|policy| policy.spec.mtls.mode != MtlsMode::Unset);
    let strict = inherited.is_some_and(|policy| policy.spec.mtls.mode == MtlsMode::Strict);
    let everything = reach(mesh, namespace, None, namespace);
    let mut single: BTreeMap<&ObjectRef, &'a Policy> = BTreeMap::new();
    for policy in mesh
        .within::<PeerAuthentication>(namespace)
        .iter()
        .filter(|policy| namespace != root && has_selector(policy))
    {
        let reach = reach(mesh, namespace, policy.spec.selector.as_ref(), namespace);
        for workload in reach.all_moving().into_iter().chain(reach.ambient) {
            let known = single.entry(&workload.object).or_insert(policy);
            if age(policy) < age(known) {
                *known = policy;
            }
        }
    }
    let mut found = Found::new();
    for workload in everything.all_moving().iter().chain(&everything.ambient) {
        let own = single.get(&workload.object).copied();
        let decides = own
            .filter(|policy| policy.spec.mtls.mode != MtlsMode::Unset)
            .or(inherited);
        let mut note = |policy: &'a Policy, port: Option<&'a str>| {
            let entry = found.entry((policy.reference(), port));
            entry.or_insert((policy, Vec::new())).1.push(*workload);
        };
        if let Some(policy) = decides.filter(|p| p.spec.mtls.mode == MtlsMode::Disable) {
            note(policy, None);
        }
        for (port, mtls) in own.iter().flat_map(|own| &own.spec.port_level_mtls) {
            if mtls.mode == MtlsMode::Disable
                && let Some(policy) = own
            {
                note(policy, Some(port));
            }
        }
    }
    for ((_, port), (policy, workloads)) in found {
        let report = Report {
            namespace,
            policy,
            from_root: policy.metadata.namespace == *root,
            workloads,
        };
        match port {
            None => report.all_ports(out),
            Some(port) => report.port(port, strict, out),
        }
    }
}

struct Report<'a> {
    namespace: &'a Name,
    policy: &'a Policy,
    from_root: bool,
    workloads: Vec<&'a Workload>,
}

impl Report<'_> {
    /// DISABLE for all ports: what ztunnel does instead is PERMISSIVE.
    fn all_ports(&self, out: &mut Sink<'_>) {
        let (_, moving) = self.parted();
        if moving.is_empty() {
            return;
        }
        let meta = &self.policy.metadata;
        let (severity, remedy) = if self.from_root {
            let command = format!(
                r#"kubectl patch peerauthentication {} -n {} --type merge -p '{{"spec":{{"mtls":{{"mode":"PERMISSIVE"}}}}}}'"#,
                meta.name, meta.namespace
            );
            let what = "say PERMISSIVE, which admits plain text too, or give the namespace a PeerAuthentication of its own";
            (Severity::Blocking, Remedy::command(what, command))
        } else {
            let what = "nothing has to be done: callers in plain text are admitted as before, and identities are seen; a policy \
                        that says PERMISSIVE shows the effect before the move";
            (Severity::Warning, Remedy::person(what))
        };
        out.find(
            self.namespace,
            severity,
            self.at(field!["spec", "mtls", "mode"]),
            format!(
                "ztunnel knows no DISABLE and takes it as PERMISSIVE: callers in the mesh would reach {} by mutual TLS, and rules on their identities would begin to match",
                names(&moving)
            ),
            remedy,
        );
    }

    /// DISABLE for one port.
    fn port(&self, port: &str, inherits_strict: bool, out: &mut Sink<'_>) {
        let spec = &self.policy.spec;
        let at = || self.at(field!["spec", "portLevelMtls", port, "mode"]);
        let move_ = || {
            Remedy::moved(
                "the policy says PERMISSIVE for the port, which admits the same callers in plain text",
            )
        };
        let (ambient, moving) = self.parted();
        // istiod looks for a port that says PERMISSIVE; one that says DISABLE does not count.
        let overlooked = spec.mtls.mode == MtlsMode::Unset
            && inherits_strict
            && !spec
                .port_level_mtls
                .values()
                .any(|mtls| mtls.mode == MtlsMode::Permissive);
        if !overlooked {
            if !moving.is_empty() {
                let message = format!(
                    "ztunnel knows no DISABLE and takes it as PERMISSIVE for port {port}: callers in the mesh would reach {} there by mutual TLS",
                    names(&moving)
                );
                out.find(self.namespace, Severity::Change, at(), message, move_());
            }
            return;
        }
        let fact = format!(
            "the namespace's or the mesh's STRICT is inherited, and DISABLE does not except port {port} from it at ztunnel"
        );
        if !moving.is_empty() {
            let who = names(&moving);
            let message = format!("{fact}: callers in plain text would be refused there at {who}");
            out.find(self.namespace, Severity::Change, at(), message, move_());
        }
        if !ambient.is_empty() {
            let who = names(&ambient);
            let message = format!("{fact}: callers in plain text are refused there today at {who}");
            let meta = &self.policy.metadata;
            let remedy = Remedy::command(
                "say PERMISSIVE for the port",
                format!(
                    r#"kubectl patch peerauthentication {} -n {} --type merge -p '{{"spec":{{"portLevelMtls":{{"{port}":{{"mode":"PERMISSIVE"}}}}}}}}'"#,
                    meta.name, meta.namespace
                ),
            );
            out.find(self.namespace, Severity::Warning, at(), message, remedy);
        }
    }

    fn at(&self, field: FieldPath) -> (ObjectRef, FieldPath) {
        (self.policy.reference(), field)
    }

    /// The workloads that are ambient already, and those that are to move.
    fn parted(&self) -> (Vec<&Workload>, Vec<&Workload>) {
        self.workloads
            .iter()
            .partition(|workload| workload.mode() == Mode::All(DataPlane::Ambient))
    }
}
