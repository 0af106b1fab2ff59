//! AMB314: tokens that nothing verifies in ambient mode. ztunnel reads no tokens, and a waypoint takes
//! only a RequestAuthentication that is attached to it or to a Service. A policy there that asks for
//! claims then sees none.
//!
//! Source: istio.io, ambient/usage/l7-features; `pilot/pkg/model/policyattachment.go`,
//! `ShouldAttachPolicy`.

use super::{Reach, is_attached, names, reach};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::authorization::{AuthorizationPolicy, RequestAuthentication, TargetRef};
use crate::kinds::path::field;
use crate::kinds::{Kind, KindSet, Name, ObjectRef, Resource};
use crate::mesh::services::Service;
use crate::mesh::workloads::{DataPlane, Mode, Role, Workload};
use crate::mesh::{self, Mesh, waypoints};
use crate::semantics::authorization::{Beyond, is_dry_run, policy_beyond_ztunnel};

/// The check.
pub static CHECK: TokensNotVerified = TokensNotVerified;

/// The check's type.
#[derive(Debug)]
pub struct TokensNotVerified;

static META: Meta = Meta {
    id: Id("AMB314"),
    slug: "tokens-not-verified",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::BINDING)
        .and(mesh::MESH_CONFIG)
        .and(KindSet::of(&[
            Kind::AuthorizationPolicy,
            Kind::RequestAuthentication,
        ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb314_tokens_not_verified.md"),
};

impl Check for TokensNotVerified {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let root = mesh.root_namespace();
        for namespace in view.namespaces() {
            let name = &namespace.name;
            let own = mesh.within::<RequestAuthentication>(name);
            let wide: &[Object<RequestAuthentication>] = if name == root {
                &[]
            } else {
                mesh.within::<RequestAuthentication>(root)
            };
            let all: Vec<&Object<RequestAuthentication>> = own.iter().chain(wide).collect();
            for policy in &all {
                let spec = &policy.spec;
                if !is_attached(spec.target_ref.as_ref(), &spec.target_refs) {
                    let home = &policy.metadata.namespace;
                    let mut reach = reach(mesh, home, spec.selector.as_ref(), name);
                    reach
                        .ambient
                        .retain(|workload| !has_copies(policy, workload, &all, mesh));
                    by_labels(policy, name, home == root, &reach, out);
                }
            }
            for policy in mesh.within::<AuthorizationPolicy>(name) {
                claims_without_tokens(policy, name, &all, mesh, out);
            }
        }
    }
}

/// Reports a RequestAuthentication that applies to pods by their labels.
fn by_labels(
    policy: &Object<RequestAuthentication>,
    namespace: &Name,
    from_root: bool,
    reach: &Reach<'_>,
    out: &mut Sink<'_>,
) {
    let at = || {
        let field = if reach.by_selector {
            field!["spec", "selector"]
        } else {
            field!["spec"]
        };
        (policy.reference(), field)
    };
    let fact =
        "ztunnel verifies no tokens, and a waypoint only by what is attached with targetRefs";
    if !reach.moving.is_empty() {
        let who = names(&reach.moving);
        let what = if from_root {
            format!(
                "a copy in {namespace} with targetRefs verifies them at its waypoint; this one is not touched"
            )
        } else {
            "a copy with targetRefs verifies them at the waypoint; this one serves pods with a sidecar".to_owned()
        };
        out.find(
            namespace,
            Severity::Change,
            at(),
            format!("{fact}; a forged or expired token would be let through at {who}, and no claim of it would be known"),
            Remedy::moved(what),
        );
    }
    let alone: Vec<&Workload> = reach
        .alone
        .iter()
        .copied()
        .filter(|workload| reach.by_selector && !workload.runs_to_completion())
        .collect();
    if !alone.is_empty() {
        let who = names(&alone);
        out.find(
            namespace,
            Severity::Warning,
            at(),
            format!("{fact}; a forged or expired token would be let through at {who}, and no Service leads to it at which a waypoint could verify it"),
            Remedy::person("give it a Service that its callers use, or leave it in sidecar mode"),
        );
    }
    if !reach.ambient.is_empty() {
        let who = names(&reach.ambient);
        out.find(
            namespace,
            Severity::Warning,
            at(),
            format!(
                "{fact}; a forged or expired token is let through today at {who}, ambient already"
            ),
            Remedy::person(
                "attach a copy to the Service with targetRefs, and bind the Service to a waypoint",
            ),
        );
    }
}

/// Whether the same tokens are verified at the waypoint of each Service of a workload: a move that is not
/// finished has both.
fn has_copies(
    policy: &Object<RequestAuthentication>,
    workload: &Workload,
    all: &[&Object<RequestAuthentication>],
    mesh: &Mesh,
) -> bool {
    let mut copies = all.to_vec();
    copies.retain(|other| {
        let spec = &other.spec;
        is_attached(spec.target_ref.as_ref(), &spec.target_refs)
            && spec.jwt_rules == policy.spec.jwt_rules
    });
    let mut services = mesh.services_of(workload).peekable();
    services.peek().is_some()
        && services.all(|service| {
            mesh.binding(service).effective().is_some() && verified_at(service, &copies, mesh)
        })
}

/// Reports a policy that is enforced at a waypoint and asks for what only a verified token tells,
/// where nothing verifies tokens, now or as a copy that the move makes.
fn claims_without_tokens(
    policy: &Object<AuthorizationPolicy>,
    namespace: &Name,
    authentications: &[&Object<RequestAuthentication>],
    mesh: &Mesh,
    out: &mut Sink<'_>,
) {
    let spec = &policy.spec;
    let targets = || spec.target_ref.iter().chain(&spec.target_refs);
    if targets().next().is_none() || is_dry_run(&policy.metadata) {
        return;
    }
    let Some(claim) = policy_beyond_ztunnel(spec).into_iter().find(is_of_token) else {
        return;
    };
    for target in targets() {
        let missing = match target.kind.as_str() {
            "Service" => service(mesh, namespace, &target.name)
                .filter(|service| takes_part(mesh, service))
                .is_some_and(|service| !verified_at(service, authentications, mesh)),
            "Gateway" => {
                let gateway = ObjectRef::new(Kind::Gateway, namespace, &Name::from(&*target.name));
                mesh.waypoint(&gateway).is_some() && authentications.is_empty()
            }
            _ => false,
        };
        if missing {
            let TargetRef { kind, name, .. } = target;
            out.find(
                namespace,
                Severity::Blocking,
                (policy.reference(), claim.path.clone()),
                format!(
                    "{} by {} at {kind}/{name}, and no RequestAuthentication verifies tokens there: the waypoint would take every request as one without a token",
                    spec.action.written(),
                    claim.name,
                ),
                Remedy::command(
                    format!("create a RequestAuthentication with targetRefs to {kind}/{name}"),
                    format!("kubectl get requestauthentications -n {namespace}"),
                ),
            );
        }
    }
}

/// The Service of a name.
fn service<'a>(mesh: &'a Mesh, namespace: &Name, name: &str) -> Option<&'a Service> {
    let services = mesh.services_in(namespace);
    let found = services.binary_search_by(|service| (*service.object.name).cmp(name));
    found.ok().map(|position| &services[position])
}

/// Whether an attribute is known from a verified token only.
fn is_of_token(beyond: &Beyond) -> bool {
    matches!(
        beyond.name.as_str(),
        "requestPrincipals" | "notRequestPrincipals"
    ) || beyond.name.starts_with("request.auth.")
}

/// Whether pods of the mesh, or pods that are not in the input, stand behind a Service.
fn takes_part(mesh: &Mesh, service: &Service) -> bool {
    let mut backing = mesh.backing(service).peekable();
    backing.peek().is_none()
        || backing.any(|w| w.role == Role::Application && w.mode() != Mode::All(DataPlane::None))
}

/// Whether tokens are verified at the waypoint of a Service, or will be by a copy of what verifies
/// them at its pods.
fn verified_at(
    service: &Service,
    authentications: &[&Object<RequestAuthentication>],
    mesh: &Mesh,
) -> bool {
    let bound = mesh.binding(service);
    let namespace = &service.object.namespace;
    authentications.iter().any(|authentication| {
        let spec = &authentication.spec;
        let home = &authentication.metadata.namespace;
        if !is_attached(spec.target_ref.as_ref(), &spec.target_refs) {
            let labels = spec
                .selector
                .as_ref()
                .map(|selector| &selector.match_labels);
            return mesh.backing(service).next().is_none()
                || mesh.backing(service).any(|workload| {
                    labels.is_none_or(|wanted| {
                        crate::kinds::selector::contains(&workload.labels, wanted)
                    })
                });
        }
        let mut targets = spec.target_ref.iter().chain(&spec.target_refs);
        targets.any(|target| match target.kind.as_str() {
            "Service" => home == namespace && *target.name == *service.object.name,
            "Gateway" => bound
                .effective()
                .is_some_and(|w| w.namespace == *home && *w.name == *target.name),
            "GatewayClass" => target.name == waypoints::WAYPOINT_CLASS,
            _ => false,
        })
    })
}
