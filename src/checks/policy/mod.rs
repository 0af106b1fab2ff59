//! Security policies, and what several checks ask about them: which apply to the pods of a
//! namespace that is judged.

use super::registry::checks;
use crate::checks::View;
use crate::inventory::Object;
use crate::kinds::authorization::{AuthorizationPolicy, PolicySelector, TargetRef};
use crate::kinds::{Labels, Name};
use crate::mesh::Mesh;
use crate::mesh::workloads::{Role, Workload};

checks! {
    amb301_allow_with_l7_fields,
}

/// An AuthorizationPolicy without targetRefs that reaches pods of a namespace that is judged.
#[derive(Debug)]
pub struct Enforced<'a> {
    /// The policy, in that namespace or in the root namespace.
    pub policy: &'a Object<AuthorizationPolicy>,
    /// The namespace that is judged.
    pub namespace: &'a Name,
    /// The applications of that namespace that it selects, and whether it names them.
    pub workloads: Reach<'a>,
}

/// What a policy reaches in one namespace. Gateways and waypoints are not in it: they stay Envoys.
#[derive(Debug)]
pub struct Reach<'a> {
    /// The workloads.
    pub workloads: Vec<&'a Workload>,
    /// Whether a selector chose them; otherwise the policy is for the whole namespace, or mesh.
    pub by_selector: bool,
}

impl Reach<'_> {
    /// The workloads in words: `Deployment/cart`, `Deployment/cart and 3 more`, `all of namespace`.
    pub fn describe(&self) -> String {
        let mut names = self
            .workloads
            .iter()
            .map(|workload| workload.object.short());
        match (names.next(), names.count()) {
            (None, _) => "no workload".to_owned(),
            (Some(first), 0) => first,
            (Some(first), more) => format!("{first} and {more} more"),
        }
    }
}

/// What a selector (with a policy's own namespace) reaches in `namespace`.
pub fn reach<'a>(
    mesh: &'a Mesh,
    policy_namespace: &Name,
    selector: Option<&PolicySelector>,
    namespace: &Name,
) -> Option<Reach<'a>> {
    if policy_namespace != namespace && policy_namespace != mesh.root_namespace() {
        return None;
    }
    let everything = Labels::default();
    let labels = selector.map_or(&everything, |selector| &selector.match_labels);
    let workloads: Vec<&Workload> = mesh
        .selected(namespace, labels)
        .into_iter()
        .filter(|workload| workload.role == Role::Application)
        .collect();
    Some(Reach {
        workloads,
        by_selector: !labels.is_empty(),
    })
}

/// Whether a policy is attached to something by name rather than to pods by their labels.
pub fn is_attached(target_ref: Option<&TargetRef>, target_refs: &[TargetRef]) -> bool {
    target_ref.is_some() || !target_refs.is_empty()
}

/// The AuthorizationPolicies that reach pods of the namespaces that are judged, with what they
/// reach; those that reach nothing are left out.
pub fn enforced_in<'a>(view: &View<'a>) -> Vec<Enforced<'a>> {
    let mesh = view.mesh;
    let root = mesh.root_namespace();
    let mut found = Vec::new();
    for namespace in view.namespaces() {
        let own = mesh.within::<AuthorizationPolicy>(&namespace.name);
        let wide: &[Object<AuthorizationPolicy>] = if namespace.name == *root {
            &[]
        } else {
            mesh.within::<AuthorizationPolicy>(root)
        };
        for policy in own.iter().chain(wide) {
            let spec = &policy.spec;
            if is_attached(spec.target_ref.as_ref(), &spec.target_refs) {
                continue;
            }
            let home = &policy.metadata.namespace;
            let Some(workloads) = reach(mesh, home, spec.selector.as_ref(), &namespace.name) else {
                continue;
            };
            if !workloads.workloads.is_empty() {
                found.push(Enforced {
                    policy,
                    namespace: &namespace.name,
                    workloads,
                });
            }
        }
    }
    found
}
