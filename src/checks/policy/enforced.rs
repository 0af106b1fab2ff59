//! Which policies reach which pods of the namespaces that are judged.

use crate::checks::{View, wording};
use crate::inventory::{Input, Object};
use crate::kinds::authorization::{AuthorizationPolicy, PolicySelector, TargetRef};
use crate::kinds::{Kind, KindSet, Labels, Name};
use crate::mesh::workloads::{DataPlane, Mode, Role, Workload};
use crate::mesh::{self, Mesh};
use crate::semantics::authorization::is_dry_run;

/// The kinds from which [`enforced_in`] is known.
pub const ENFORCED: KindSet = mesh::BACKING
    .and(mesh::MESH_CONFIG)
    .and(KindSet::of(&[Kind::AuthorizationPolicy]));

/// An AuthorizationPolicy without targetRefs that is enforced at pods of a namespace that is judged.
#[derive(Debug)]
pub struct Enforced<'a> {
    /// The policy, in that namespace or in the root namespace.
    pub policy: &'a Object<AuthorizationPolicy>,
    /// The namespace that is judged.
    pub namespace: &'a Name,
    /// Whether the policy stands in the root namespace: the move of a namespace never touches it.
    pub from_root: bool,
    /// The applications of that namespace that it selects, and whether it names them.
    pub reach: Reach<'a>,
}

/// What a policy reaches in one namespace: applications that have, or may have, a sidecar, and those
/// that are ambient. Gateways and waypoints are not in it: they stay Envoys. Nor are pods outside
/// the mesh: what happens to them when the namespace is labelled is another check's.
#[derive(Debug, Default)]
pub struct Reach<'a> {
    /// Workloads that are to move, with a Service in front at which a waypoint can stand.
    pub moving: Vec<&'a Workload>,
    /// Workloads that are to move and that no such Service selects.
    pub alone: Vec<&'a Workload>,
    /// Workloads that are ambient already.
    pub ambient: Vec<&'a Workload>,
    /// Whether a selector chose them; otherwise the policy is for the whole namespace, or mesh.
    pub by_selector: bool,
}

impl<'a> Reach<'a> {
    /// All workloads that are to move, behind a Service or not.
    pub fn all_moving(&self) -> Vec<&'a Workload> {
        self.moving.iter().chain(&self.alone).copied().collect()
    }

    /// Whether it reaches nothing.
    pub fn is_empty(&self) -> bool {
        self.moving.is_empty() && self.alone.is_empty() && self.ambient.is_empty()
    }
}

/// Workloads in words: `Deployment/cart`, `Deployment/cart and 3 more`.
pub fn names(workloads: &[&Workload]) -> String {
    wording::first_and_more(workloads.iter().map(|workload| &workload.object))
}

/// What a selector (with a policy's own namespace) reaches in `namespace`.
pub fn reach<'a>(
    mesh: &'a Mesh,
    policy_namespace: &Name,
    selector: Option<&PolicySelector>,
    namespace: &Name,
) -> Reach<'a> {
    let everything = Labels::default();
    let labels = selector.map_or(&everything, |selector| &selector.match_labels);
    let mut reach = Reach {
        by_selector: !labels.is_empty(),
        ..Reach::default()
    };
    if policy_namespace != namespace && policy_namespace != mesh.root_namespace() {
        return reach;
    }
    // A folder of manifests without any Service may leave them to another folder.
    let services_unknown =
        mesh.inventory().input == Input::Manifests && mesh.services_in(namespace).is_empty();
    for workload in mesh.selected(namespace, labels) {
        if workload.role != Role::Application {
            continue;
        }
        match workload.mode() {
            Mode::All(DataPlane::None) => {}
            Mode::All(DataPlane::Ambient) => reach.ambient.push(workload),
            Mode::All(DataPlane::Sidecar) | Mode::Mixed | Mode::Unknown => {
                if services_unknown || is_served(mesh, workload) {
                    reach.moving.push(workload);
                } else {
                    reach.alone.push(workload);
                }
            }
        }
    }
    reach
}

/// Whether callers reach a workload at the address of a Service, where a waypoint takes them.
fn is_served(mesh: &Mesh, workload: &Workload) -> bool {
    mesh.services_of(workload)
        .any(|service| !mesh.spec(service).is_headless())
}

/// Whether a policy is attached to something by name rather than to pods by their labels.
pub fn is_attached(target_ref: Option<&TargetRef>, target_refs: &[TargetRef]) -> bool {
    target_ref.is_some() || !target_refs.is_empty()
}

/// The AuthorizationPolicies that are enforced at pods of the namespaces that are judged, with what
/// they reach. Those that reach nothing are left out, and those that are only tried (`dry-run`).
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
            if is_attached(spec.target_ref.as_ref(), &spec.target_refs)
                || is_dry_run(&policy.metadata)
            {
                continue;
            }
            let home = &policy.metadata.namespace;
            let reach = reach(mesh, home, spec.selector.as_ref(), &namespace.name);
            if !reach.is_empty() {
                found.push(Enforced {
                    policy,
                    namespace: &namespace.name,
                    from_root: home == root,
                    reach,
                });
            }
        }
    }
    found
}
