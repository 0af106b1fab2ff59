//! AMB205: pods without a sidecar in a namespace that is to move. The CNI plugin enrols a running pod
//! as soon as the namespace is labelled, if it has no `sidecar.istio.io/status`, is not on the node's
//! network and is not labelled `istio.io/dataplane-mode: none`
//! (`cni/pkg/util/enablement_selector.go`, `cni/pkg/nodeagent/informers.go`).

use std::collections::{BTreeSet, HashMap};

use super::naming::Named;
use super::strict::Strictness;
use super::{in_words, resource_argument, template_path};
use crate::checks::policy::is_attached;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::{Kind, KindSet, Name, ObjectRef, Resource};
use crate::mesh::injection::Injection;
use crate::mesh::namespaces::DATA_PLANE_LABEL;
use crate::mesh::workloads::{DataPlane, Mode, Role, Workload, data_plane_in};
use crate::mesh::{self, Mesh, namespaces::Namespace};

/// The check.
pub static CHECK: PodsWithoutSidecarCaptured = PodsWithoutSidecarCaptured;

/// The check's type.
#[derive(Debug)]
pub struct PodsWithoutSidecarCaptured;

static META: Meta = Meta {
    id: Id("AMB205"),
    slug: "pods-without-sidecar-captured",
    area: Area::Workload,
    highest: Severity::Blocking,
    reads: mesh::WORKLOADS.and(mesh::MESH_CONFIG).and(KindSet::of(&[
        Kind::AuthorizationPolicy,
        Kind::PeerAuthentication,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb205_pods_without_sidecar_captured.md"),
};

impl Check for PodsWithoutSidecarCaptured {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let named = Named::by_policies(mesh);
        for namespace in view.namespaces() {
            let captured: Vec<Captured<'_>> = mesh
                .workloads_in(&namespace.name)
                .iter()
                .filter_map(|workload| captured(mesh, namespace, workload))
                .collect();
            if captured.is_empty() {
                continue;
            }
            let selecting = Selecting::of(mesh, &namespace.name);
            let strict = Strictness::of(mesh, &namespace.name);
            let mut harmless = Vec::new();
            for captured in captured {
                let effects = effects(mesh, &captured, &selecting, &strict, &named);
                if effects.is_empty() {
                    harmless.push(captured);
                } else {
                    block(namespace, &captured, &effects, out);
                }
            }
            warn(namespace, &harmless, out);
        }
    }
}

/// A workload of which pods would be captured as they run.
struct Captured<'a> {
    workload: &'a Workload,
    /// How many run now.
    pods: usize,
}

impl Captured<'_> {
    fn in_words(&self) -> String {
        let name = self.workload.object.short();
        match (self.workload.object.kind, self.pods) {
            (Kind::Pod, _) => name,
            (_, 0) => format!("the pods of {name}"),
            (_, 1) => format!("1 pod of {name}"),
            (_, pods) => format!("{pods} pods of {name}"),
        }
    }
}

fn captured<'a>(
    mesh: &Mesh,
    namespace: &Namespace,
    workload: &'a Workload,
) -> Option<Captured<'a>> {
    let moves = match workload.role {
        Role::Application | Role::Gateway => true,
        Role::Waypoint | Role::Istio => false,
    };
    if !moves
        || workload.host_network
        || namespace.ambient() == Some(true)
        || matches!(
            workload.labels.get(DATA_PLANE_LABEL),
            Some("none" | "ambient")
        )
    {
        return None;
    }
    let bare = |pod: &&crate::inventory::Object<crate::kinds::pod::Pod>| {
        data_plane_in(workload, pod) == DataPlane::None
            && !pod.metadata.labels.has(DATA_PLANE_LABEL, "none")
    };
    let pods = mesh.pods(workload).filter(bare).count();
    let later = workload.pod_count() == 0
        && workload.replicas != Some(0)
        && (workload.mode() == Mode::All(DataPlane::None)
            || workload.injection == Injection::NotInjected);
    (pods > 0 || later).then_some(Captured { workload, pods })
}

/// The AuthorizationPolicies that ztunnel would enforce for the workloads of a namespace.
struct Selecting {
    wide: Vec<ObjectRef>,
    by_labels: HashMap<ObjectRef, Vec<ObjectRef>>,
}

impl Selecting {
    fn of(mesh: &Mesh, namespace: &Name) -> Self {
        let root = mesh.root_namespace();
        let homes: &[&Name] = if namespace == root {
            &[namespace]
        } else {
            &[namespace, root]
        };
        let mut selecting = Self {
            wide: Vec::new(),
            by_labels: HashMap::new(),
        };
        for policy in homes
            .iter()
            .flat_map(|home| mesh.within::<AuthorizationPolicy>(home))
        {
            let spec = &policy.spec;
            // ztunnel enforces neither CUSTOM nor AUDIT.
            if is_attached(spec.target_ref.as_ref(), &spec.target_refs)
                || matches!(spec.action, Action::Custom | Action::Audit)
            {
                continue;
            }
            match spec
                .selector
                .as_ref()
                .map(|selector| &selector.match_labels)
            {
                Some(labels) if !labels.is_empty() => {
                    for workload in mesh.selected(namespace, labels) {
                        let policies = selecting.by_labels.entry(workload.object.clone());
                        policies.or_default().push(policy.reference());
                    }
                }
                _ => selecting.wide.push(policy.reference()),
            }
        }
        selecting
    }

    fn on(&self, workload: &Workload) -> Vec<&ObjectRef> {
        let named = self.by_labels.get(&workload.object);
        named.into_iter().flatten().chain(&self.wide).collect()
    }
}

/// What begins to hold for its pods at the moment of capture, each as half a sentence.
fn effects(
    mesh: &Mesh,
    captured: &Captured<'_>,
    selecting: &Selecting,
    strict: &Strictness<'_>,
    named: &Named,
) -> Vec<String> {
    let workload = captured.workload;
    let mut effects = Vec::new();
    if is_istio_gateway(workload) {
        effects.push(
            "it is a gateway, and ztunnel would take its traffic for an application's".to_owned(),
        );
        return effects;
    }
    // Nobody calls the pods of a Job; what matters there is what they may call.
    if !matches!(workload.object.kind, Kind::Job | Kind::CronJob) {
        if let Some(policy) = strict.on(workload) {
            effects.push(format!(
                "{} begins to refuse its callers without mutual TLS",
                at(&policy)
            ));
        }
        let policies = selecting.on(workload);
        if let Some(first) = policies.first() {
            effects.push(format!(
                "{} begin{} to be enforced for its callers",
                and_more(first, policies.len()),
                if policies.len() == 1 { "s" } else { "" }
            ));
        }
    }
    let account = account(mesh, workload);
    let naming: BTreeSet<&ObjectRef> = named.naming(&workload.object.namespace, account.as_ref());
    if let Some(first) = naming.first() {
        let who = account.map_or_else(
            || format!("identities of {}", workload.object.namespace),
            |account| format!("the identity {}/{account}", workload.object.namespace),
        );
        effects.push(format!(
            "{} match{} {who}, which its traffic has from then on",
            and_more(first, naming.len()),
            if naming.len() == 1 { "es" } else { "" }
        ));
    }
    effects
}

/// Its service account, where it is known: of a pod whose controller is not, only metadata is read.
fn account(mesh: &Mesh, workload: &Workload) -> Option<Name> {
    let known = workload.has_template
        || mesh
            .pods(workload)
            .next()
            .is_some_and(|pod| pod.detail.is_some());
    known.then(|| workload.service_account.clone())
}

/// Whether it is an Envoy that Istio's own charts made without injection.
fn is_istio_gateway(workload: &Workload) -> bool {
    workload.role == Role::Gateway
        && workload
            .labels
            .get("istio")
            .is_some_and(|name| name.ends_with("gateway"))
}

fn at(policy: &ObjectRef) -> String {
    policy.to_string()
}

fn and_more(first: &ObjectRef, count: usize) -> String {
    match count - 1 {
        0 => at(first),
        more => format!("{} and {more} more", at(first)),
    }
}

fn block(namespace: &Namespace, captured: &Captured<'_>, effects: &[String], out: &mut Sink<'_>) {
    let workload = captured.workload;
    let text = if is_istio_gateway(workload) {
        "keep its pods out of ambient mode by a label"
    } else {
        "keep its pods out of ambient mode by a label (their traffic stays plain text), or see that these policies are \
         meant for them"
    };
    out.find(
        &namespace.name,
        Severity::Blocking,
        (workload.object.clone(), template_path(workload.object.kind)),
        format!(
            "{} ha{} no sidecar and would be captured the moment the namespace is labelled for ambient mode: {}",
            captured.in_words(),
            if captured.pods == 1 || workload.object.kind == Kind::Pod { "s" } else { "ve" },
            effects.join("; ")
        ),
        Remedy::command(text, keep_out(workload)),
    );
}

/// One finding for all of which nothing but the capture itself is to be said.
fn warn(namespace: &Namespace, captured: &[Captured<'_>], out: &mut Sink<'_>) {
    let Some(first) = captured.first() else {
        return;
    };
    let objects: Vec<&ObjectRef> = captured.iter().map(|one| &one.workload.object).collect();
    let (who, remedy) = match captured {
        [one] => (
            format!(
                "{} ha{} no sidecar",
                one.in_words(),
                if one.pods == 1 || one.workload.object.kind == Kind::Pod {
                    "s"
                } else {
                    "ve"
                }
            ),
            Remedy::command(
                "nothing, if ambient mode is meant for its pods; otherwise keep them out by a label",
                keep_out(one.workload),
            ),
        ),
        _ => (
            format!("{} have pods without a sidecar", in_words(&objects)),
            Remedy::person(format!(
                "nothing, if ambient mode is meant for their pods; otherwise label their templates `{DATA_PLANE_LABEL}: none`"
            )),
        ),
    };
    out.find(
        &namespace.name,
        Severity::Warning,
        (first.workload.object.clone(), template_path(first.workload.object.kind)),
        format!(
            "{who} and would be captured the moment the namespace is labelled for ambient mode, without a restart: \
             connections open then may break"
        ),
        remedy,
    );
}

/// The command that keeps a workload's pods out of ambient mode.
fn keep_out(workload: &Workload) -> String {
    let ObjectRef {
        kind,
        namespace,
        name,
    } = &workload.object;
    match kind {
        Kind::Pod => format!("kubectl label pod {name} -n {namespace} {DATA_PLANE_LABEL}=none"),
        Kind::Job => {
            format!("kubectl label pods -n {namespace} -l job-name={name} {DATA_PLANE_LABEL}=none")
        }
        _ => {
            let template = format!(
                r#"{{"template":{{"metadata":{{"labels":{{"{DATA_PLANE_LABEL}":"none"}}}}}}}}"#
            );
            let spec = if *kind == Kind::CronJob {
                format!(r#"{{"jobTemplate":{{"spec":{template}}}}}"#)
            } else {
                template
            };
            format!(
                r#"kubectl patch {} {name} -n {namespace} --type=merge -p '{{"spec":{spec}}}'"#,
                resource_argument(*kind)
            )
        }
    }
}
