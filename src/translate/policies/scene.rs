//! Who is judged by which policies now, and through which waypoints their callers will come.

use std::collections::{BTreeSet, HashMap};

use super::ways::{self, Ways};
use crate::kinds::authorization::{AuthorizationPolicy, RequestAuthentication};
use crate::kinds::selector::contains;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::{Labels, Name, ObjectRef, Resource};
use crate::mesh::injection::Injection;
use crate::mesh::services::Service;
use crate::mesh::waypoints::{Binding, USE_WAYPOINT};
use crate::mesh::workloads::{DataPlane, Mode, Role, TLS_MODE_LABEL, Workload, asked_of_template};
use crate::semantics::identity::Identity;
use crate::semantics::verdict::{Pod, Point, Policies, Settings};
use crate::translate::Ground;
use crate::translate::waypoints::Waypoints;

/// A Service in front of a workload.
#[derive(Clone, Copy)]
pub(in crate::translate) struct Front<'g> {
    /// The Service.
    pub(in crate::translate) service: &'g Service,
    /// The waypoint through which its callers will come.
    pub(in crate::translate) waypoint: &'g ObjectRef,
}

/// Why callers of a Service do not come through a waypoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) enum Past {
    /// It says that it wants none.
    OptedOut,
    /// Its callers address pods.
    Headless,
    /// It is bound to none.
    Unbound,
}

/// A workload whose pods have sidecars now.
pub(in crate::translate) struct Member<'g> {
    /// The workload.
    pub(in crate::translate) workload: &'g Workload,
    /// The Services in front of it that have a waypoint.
    pub(in crate::translate) behind: Vec<Front<'g>>,
    /// The Services in front of it whose callers go past waypoints.
    pub(in crate::translate) past: Vec<(&'g Service, Past)>,
    /// The ServiceEntries that select it, with the waypoint through which their callers will come.
    pub(in crate::translate) entries: Vec<(ObjectRef, Option<ObjectRef>)>,
    /// The Services whose callers reach it through a waypoint: those in front of it, unless their
    /// routes lead elsewhere, and those whose routes lead here.
    pub(in crate::translate) judged_for: Vec<Front<'g>>,
    /// The labels of its pods with sidecars.
    pub(in crate::translate) labels: Labels,
    /// Whether it keeps its sidecars.
    pub(in crate::translate) deferred: bool,
}

impl Member<'_> {
    /// The waypoints through which its callers will come.
    pub(in crate::translate) fn waypoints(&self) -> BTreeSet<&ObjectRef> {
        let fronts = self.behind.iter().chain(&self.judged_for);
        fronts.map(|front| front.waypoint).collect()
    }

    /// Its pods, as policies see them.
    pub(in crate::translate) fn pod(&self) -> Pod<'_> {
        Pod {
            namespace: &self.workload.object.namespace,
            labels: &self.labels,
        }
    }
}

/// Who is judged by which policies now, and through which waypoints their callers will come.
pub(in crate::translate) struct Scene<'g> {
    /// What it stands on.
    pub(in crate::translate) ground: &'g Ground<'g>,
    /// What the mesh's configuration says.
    pub(in crate::translate) settings: &'g Settings,
    /// The policies of the mesh as it is.
    pub(in crate::translate) policies: Policies<'g>,
    /// The workloads with sidecars in the namespaces that are translated, sorted.
    pub(in crate::translate) members: Vec<Member<'g>>,
    /// Where routes lead callers.
    pub(in crate::translate) ways: &'g Ways,
    by_object: HashMap<&'g ObjectRef, usize>,
    staying: Vec<&'g Workload>,
}

impl<'g> Scene<'g> {
    /// Looks at the namespaces that are translated.
    pub(in crate::translate) fn new(ground: &'g Ground<'g>, settings: &'g Settings) -> Self {
        let mesh = ground.mesh;
        let mut members = Vec::new();
        for namespace in ground.namespaces {
            let entries = selecting(ground, namespace);
            let workloads = mesh.workloads_in(namespace).iter();
            for workload in workloads.filter(|workload| has_sidecars(workload)) {
                members.push(member(ground, workload, &entries));
            }
        }
        let by_object = members.iter().enumerate();
        let by_object =
            by_object.map(|(i, member): (usize, &Member<'g>)| (&member.workload.object, i));
        let ways = ground.ways();
        let by_object: HashMap<&ObjectRef, usize> = by_object.collect();
        lead(ground, ways, &by_object, &mut members);
        let staying = mesh.workloads().iter().filter(|workload| {
            let namespace = &workload.object.namespace;
            let name = (namespace.clone(), workload.object.name.clone());
            let stays = !ground.translates(namespace) || ground.options.deferred.contains(&name);
            stays && workload.has_sidecar() && workload.role == Role::Application
        });
        Self {
            staying: staying.collect(),
            ways,
            by_object,
            ground,
            settings,
            policies: Policies::of(settings, mesh),
            members,
        }
    }

    /// The members of a namespace that labels select.
    pub(in crate::translate) fn selected(&self, namespace: &Name, labels: &Labels) -> Vec<usize> {
        let (tls, labels) = without_tls_mode(labels);
        let workloads = self.ground.mesh.selected(namespace, &labels);
        let members = workloads
            .iter()
            .filter_map(|workload| self.member_of(workload));
        members
            .filter(|member| {
                tls.is_none() || self.members[*member].labels.get(TLS_MODE_LABEL) == tls
            })
            .collect()
    }

    /// The members that callers of a Service reach.
    pub(super) fn reached(&self, service: &'g Service) -> Vec<usize> {
        let workloads = self.ways.reached(self.ground.mesh, service);
        workloads
            .iter()
            .filter_map(|workload| self.member_of(workload))
            .collect()
    }

    /// The position of a workload among the members.
    pub(in crate::translate) fn member_of(&self, workload: &Workload) -> Option<usize> {
        self.by_object.get(&workload.object).copied()
    }

    /// The workloads that labels select whose proxies stay: gateways, and what is injected otherwise
    /// than as a sidecar.
    pub(in crate::translate) fn bystanders(
        &self,
        namespace: &Name,
        labels: &Labels,
    ) -> Vec<&'g Workload> {
        let mut workloads = self.ground.mesh.selected(namespace, labels);
        workloads.retain(|workload| match workload.role {
            Role::Gateway => true,
            Role::Application => is_injected_otherwise(workload),
            Role::Waypoint | Role::Istio => false,
        });
        workloads
    }

    /// The policies that a member's sidecar has.
    pub(in crate::translate) fn authorization(
        &self,
        member: usize,
    ) -> Vec<&'g AuthorizationPolicy> {
        let pod = self.members[member].pod();
        self.policies.authorization_at(&Point::Sidecar(pod))
    }

    /// The RequestAuthentications that a member's sidecar has.
    pub(in crate::translate) fn tokens(&self, member: usize) -> Vec<&'g RequestAuthentication> {
        let pod = self.members[member].pod();
        self.policies.tokens_at(&Point::Sidecar(pod))
    }

    /// Workloads of the mesh that keep their sidecars.
    pub(super) fn staying(&self) -> &[&'g Workload] {
        &self.staying
    }

    /// Who a waypoint is to those behind it.
    pub(in crate::translate) fn identity(&self, waypoint: &ObjectRef) -> Identity {
        identity(self.ground, self.settings, waypoint)
    }
}

/// Who a waypoint is to those behind it.
pub(in crate::translate) fn identity(
    ground: &Ground<'_>,
    settings: &Settings,
    waypoint: &ObjectRef,
) -> Identity {
    let (namespace, service_account) = Waypoints::account(ground.mesh, waypoint);
    Identity {
        trust_domain: settings.trust_domain.clone(),
        namespace,
        service_account,
    }
}

/// Labels without the one that only pods with sidecars carry, and what is wanted of that.
pub(super) fn without_tls_mode(labels: &Labels) -> (Option<&str>, Labels) {
    (labels.get(TLS_MODE_LABEL), asked_of_template(labels))
}

/// Whether a workload's pods have sidecars, or would get them as far as the input tells.
fn has_sidecars(workload: &Workload) -> bool {
    workload.role == Role::Application
        && !workload.host_network
        && !is_injected_otherwise(workload)
        && match workload.mode() {
            Mode::All(plane) => plane == DataPlane::Sidecar,
            Mode::Mixed => true,
            Mode::Unknown => workload.injection != Injection::NotInjected,
        }
}

/// Whether it is injected by a template that makes no sidecar.
fn is_injected_otherwise(workload: &Workload) -> bool {
    let templates = workload.annotations.get("inject.istio.io/templates");
    workload.has_sidecar()
        && templates.is_some_and(|names| !names.split(',').any(|name| name.trim() == "sidecar"))
}

/// A ServiceEntry whose endpoints are pods.
struct Selecting<'g> {
    object: ObjectRef,
    labels: &'g Labels,
    waypoint: Option<ObjectRef>,
}

/// The ServiceEntries of a namespace that select pods of it
/// (`pilot/pkg/serviceregistry/ambient/services.go`).
fn selecting<'g>(ground: &'g Ground<'g>, namespace: &Name) -> Vec<Selecting<'g>> {
    let entries = ground.mesh.within::<ServiceEntry>(namespace).iter();
    let selecting = entries.filter_map(|entry| {
        let selector = entry.spec.workload_selector.as_ref()?;
        Some(Selecting {
            object: entry.reference(),
            labels: &selector.labels,
            waypoint: ground.mesh.entry_binding(entry).usable().cloned(),
        })
    });
    selecting.collect()
}

fn member<'g>(
    ground: &'g Ground<'g>,
    workload: &'g Workload,
    entries: &[Selecting<'g>],
) -> Member<'g> {
    let mesh = ground.mesh;
    let (mut behind, mut past) = (Vec::new(), Vec::new());
    for service in mesh.services_of(workload) {
        match ground.waypoints.serving(&service.object) {
            _ if mesh.spec(service).is_headless() => past.push((service, Past::Headless)),
            Some(bound) => behind.push(Front {
                service,
                waypoint: &bound.waypoint,
            }),
            None if mesh.binding(service) == Binding::OptedOut => {
                past.push((service, Past::OptedOut));
            }
            None => past.push((service, Past::Unbound)),
        }
    }
    let mut labels = workload.labels.pairs().to_vec();
    if workload.labels.get(TLS_MODE_LABEL).is_none() {
        labels.push((TLS_MODE_LABEL.into(), "istio".into()));
    }
    let name = (
        workload.object.namespace.clone(),
        workload.object.name.clone(),
    );
    let selects = |entry: &&Selecting<'_>| contains(&workload.labels, entry.labels);
    let entries = entries.iter().filter(selects);
    Member {
        workload,
        entries: entries
            .map(|entry| (entry.object.clone(), entry.waypoint.clone()))
            .collect(),
        judged_for: behind.clone(),
        behind,
        past,
        labels: Labels::from_pairs(labels),
        deferred: ground.options.deferred.contains(&name),
    }
}

/// Notes whom the routes of Services lead to.
fn lead<'g>(
    ground: &'g Ground<'g>,
    ways: &Ways,
    by_object: &HashMap<&ObjectRef, usize>,
    members: &mut [Member<'g>],
) {
    let mesh = ground.mesh;
    for name in ways.routed() {
        let (Some(service), Some(bound)) =
            (ways::named(mesh, name), ground.waypoints.serving(name))
        else {
            continue;
        };
        let reached = ways.reached(mesh, service);
        let reached: BTreeSet<usize> = reached
            .iter()
            .filter_map(|workload| by_object.get(&workload.object).copied())
            .collect();
        let behind = mesh.backing(service);
        let behind = behind.filter_map(|workload| by_object.get(&workload.object).copied());
        let concerned: BTreeSet<usize> = behind.chain(reached.iter().copied()).collect();
        for position in concerned {
            let member = &mut members[position];
            let known = member
                .judged_for
                .iter()
                .position(|front| front.service.object == *name);
            match (known, reached.contains(&position)) {
                (Some(known), false) => {
                    member.judged_for.remove(known);
                }
                (None, true) => member.judged_for.push(Front {
                    service,
                    waypoint: &bound.waypoint,
                }),
                _ => {}
            }
        }
    }
}

impl Past {
    /// Why, as people say it.
    pub(super) fn why(self) -> String {
        match self {
            Self::OptedOut => format!("says {USE_WAYPOINT}: none"),
            Self::Headless => "is headless, so that its callers address pods".to_owned(),
            Self::Unbound => "is bound to no waypoint".to_owned(),
        }
    }
}
