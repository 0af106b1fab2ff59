//! AMB417: what a DestinationRule says beyond TLS is done by a waypoint, or by nobody. ztunnel reads no
//! DestinationRule.
//!
//! Source: `pilot/pkg/networking/core/cluster_waypoint.go`, `buildWaypointInboundVIPCluster`;
//! `pilot/pkg/model/push_context.go`, `destinationRule`.

use crate::checks::traffic::{
    Standing, has_moved, is_applied_at_waypoint, is_of_applications, rules, standing,
};
use crate::checks::wording::{first_and_more, words};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::path::field;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::traffic::{ClientTlsMode, DestinationRule};
use crate::kinds::{FieldPath, Kind, KindSet, Name, Resource};
use crate::mesh::hosts::{self, Host};
use crate::mesh::services::Service;
use crate::mesh::waypoints::USE_WAYPOINT;
use crate::mesh::{self, Mesh};
use crate::waypoint::traffic_policy;

/// The check.
pub static CHECK: DestinationRulePolicy = DestinationRulePolicy;

/// The check's type.
#[derive(Debug)]
pub struct DestinationRulePolicy;

static META: Meta = Meta {
    id: Id("AMB417"),
    slug: "destination-rule-policy",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::BINDING)
        .and(mesh::MESH_CONFIG)
        .and(KindSet::of(&[Kind::DestinationRule, Kind::ServiceEntry])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb417_destination_rule_policy.md"),
};

impl Check for DestinationRulePolicy {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let outside = Outside::of(mesh);
        for namespace in view.namespaces() {
            let name = &namespace.name;
            for rule in mesh.within::<DestinationRule>(name) {
                let found = mesh.services_of_host(&rule.spec.host, name);
                if found.is_empty() {
                    no_service(mesh, name, rule, &outside, out);
                    continue;
                }
                let own: Vec<&Service> = found
                    .iter()
                    .filter(|service| service.object.namespace == *name)
                    .filter(|service| is_of_applications(mesh, service))
                    .collect();
                if own.is_empty() {
                    consumer(mesh, name, rule, found, out);
                } else {
                    policy(mesh, name, rule, &own, out);
                }
            }
            from_root(mesh, name, out);
        }
        shared(view, &outside, out);
    }
}

/// A rule that a waypoint of the namespace reads, for Services of it.
fn policy(
    mesh: &Mesh,
    namespace: &Name,
    rule: &Object<DestinationRule>,
    services: &[&Service],
    out: &mut Sink<'_>,
) {
    let Some(evidence) = traffic_policy(rule) else {
        return;
    };
    let at = (rule.reference(), evidence.field.clone());
    let what = &in_a_row(&evidence.what);
    if rule.spec.workload_selector.is_some() {
        out.find(
            namespace,
            Severity::Warning,
            (rule.reference(), field!["spec", "workloadSelector"]),
            format!("only the selected pods of this namespace apply its {what}, and a waypoint skips rules with a workloadSelector: nobody does when they lose their sidecars"),
            Remedy::person("say it for all callers, in a rule without workloadSelector, or do without"),
        );
        return;
    }
    let of = |wanted: &[Standing]| -> Vec<&Service> {
        let services = services.iter().copied();
        services
            .filter(|s| wanted.contains(&standing(mesh, s)))
            .collect()
    };
    let (open, bound) = (of(&[Standing::Open]), of(&[Standing::Bound]));
    let never = of(&[Standing::OptedOut, Standing::Headless, Standing::Alias]);
    if !open.is_empty() {
        let message = format!(
            "sidecars of callers apply {what} to {}; callers in ambient mode do not, and without a waypoint nobody does",
            names(&open)
        );
        if has_moved(mesh, namespace) {
            let object = &open[0].object;
            let remedy = Remedy::command(
                format!(
                    "bind it to a waypoint (`istioctl waypoint apply -n {namespace}` makes one)"
                ),
                format!(
                    "kubectl label service {} istio.io/use-waypoint=waypoint -n {namespace}",
                    object.name
                ),
            );
            out.find(namespace, Severity::Warning, at.clone(), message, remedy);
        } else {
            let remedy = Remedy::moved(
                "each of these Services is bound to a waypoint, which applies the rule as it stands",
            );
            out.find(namespace, Severity::Change, at.clone(), message, remedy);
        }
    }
    if !bound.is_empty() {
        let message = format!(
            "{} is bound to a waypoint, which applies {what} for callers in ambient mode",
            names(&bound)
        );
        out.find(
            namespace,
            Severity::Info,
            at.clone(),
            message,
            Remedy::Nothing,
        );
    }
    if !never.is_empty() {
        out.find(
            namespace,
            Severity::Warning,
            at,
            format!(
                "callers in ambient mode apply no {what} to {}, and no waypoint does: it is headless, an alias, or refuses one",
                names(&never)
            ),
            Remedy::person("route by a Service with a cluster IP that may have a waypoint, or do without"),
        );
    }
    zone_aware(namespace, rule, out);
}

/// Balancing by zone, which waypoints do not know.
fn zone_aware(namespace: &Name, rule: &Object<DestinationRule>, out: &mut Sink<'_>) {
    let policy = &rule.spec.traffic_policy;
    if policy
        .load_balancer
        .is_some_and(|balancer| balancer.zone_aware)
    {
        out.find(
            namespace,
            Severity::Warning,
            (
                rule.reference(),
                field!["spec", "trafficPolicy", "loadBalancer", "zoneAwareLbSetting"],
            ),
            "a waypoint does not know zoneAwareLbSetting",
            Remedy::person("use localityLbSetting, or trafficDistribution of the Service, which ztunnel follows too"),
        );
    }
}

/// Rules of the root namespace, for Services of a namespace that has none of its own for them.
fn from_root(mesh: &Mesh, namespace: &Name, out: &mut Sink<'_>) {
    let root = mesh.root_namespace();
    if root == namespace {
        return;
    }
    let mut by_rule: std::collections::BTreeMap<_, (_, Vec<&Service>)> =
        std::collections::BTreeMap::new();
    for service in mesh.services_in(namespace) {
        let rules = rules::followed(mesh, service);
        let hidden = rules
            .iter()
            .any(|rule| rule.metadata.namespace == *namespace);
        if hidden || !is_of_applications(mesh, service) {
            continue;
        }
        for rule in rules {
            if rule.metadata.namespace == *root {
                let entry = by_rule
                    .entry(rule.reference())
                    .or_insert_with(|| (rule, Vec::new()));
                entry.1.push(service);
            }
        }
    }
    for (rule, services) in by_rule.values() {
        policy(mesh, namespace, rule, services, out);
    }
}

/// A rule for Services of other namespaces: only callers here follow it.
fn consumer(
    mesh: &Mesh,
    namespace: &Name,
    rule: &Object<DestinationRule>,
    services: &[Service],
    out: &mut Sink<'_>,
) {
    let Some(evidence) = traffic_policy(rule) else {
        return;
    };
    let lost: Vec<&Service> = services
        .iter()
        .filter(|service| {
            is_of_applications(mesh, service) && !is_applied_at_waypoint(mesh, service, namespace)
        })
        .collect();
    let Some(first) = lost.first() else { return };
    out.find(
        namespace,
        Severity::Warning,
        (rule.reference(), evidence.field),
        format!(
            "in ambient mode callers here no longer apply {} to {} -n {}: its waypoint reads rules of its own and the Service's namespace only",
            in_a_row(&evidence.what),
            names(&lost),
            first.object.namespace
        ),
        Remedy::person(format!("the owner of {} says it in a rule there, for all callers", first.object.namespace)),
    );
}

/// Hosts that ServiceEntries add to the mesh.
struct Outside<'a> {
    by_host: std::collections::BTreeMap<&'a str, &'a Object<ServiceEntry>>,
}

impl<'a> Outside<'a> {
    fn of(mesh: &'a Mesh) -> Self {
        let mut by_host = std::collections::BTreeMap::new();
        for entry in mesh.all::<ServiceEntry>() {
            for host in &entry.spec.hosts {
                by_host.entry(host.as_str()).or_insert(entry);
            }
        }
        Self { by_host }
    }

    /// The ServiceEntry of a host, which either of them may write as a wildcard.
    fn entry(&self, host: &str) -> Option<&'a Object<ServiceEntry>> {
        if let Some(entry) = self.by_host.get(host) {
            return Some(entry);
        }
        if let Some(suffix) = host.strip_prefix('*') {
            let mut covered = self.by_host.iter();
            return covered
                .find(|(name, _)| name.ends_with(suffix))
                .map(|(_, entry)| *entry);
        }
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(entry) = self.by_host.get(format!("*.{parent}").as_str()) {
                return Some(entry);
            }
            rest = parent;
        }
        None
    }
}

/// A rule whose host is no Service: one outside the cluster, or none at all.
fn no_service(
    mesh: &Mesh,
    namespace: &Name,
    rule: &Object<DestinationRule>,
    outside: &Outside<'_>,
    out: &mut Sink<'_>,
) {
    let host = &rule.spec.host;
    if let Some(entry) = outside.entry(host) {
        external(mesh, namespace, rule, entry, out);
        return;
    }
    let message = match hosts::resolve(host, namespace) {
        Host::Service {
            namespace: home,
            name,
        } => {
            format!(
                "host {host} means Service/{name} -n {home}, and none was found: without it the rule has no effect"
            )
        }
        Host::Namespace(home) => {
            format!(
                "host {host} means the Services of namespace {home}, and none was found: without them the rule has no effect"
            )
        }
        Host::Elsewhere if short_with_namespace(mesh, host) => {
            format!(
                "host {host} means no Service: only a name without a dot is completed, so the rule has no effect"
            )
        }
        _ => format!("host {host} is no Service and no ServiceEntry, so the rule has no effect"),
    };
    out.find(
        namespace,
        Severity::Info,
        (rule.reference(), field!["spec", "host"]),
        message,
        Remedy::Nothing,
    );
}

/// Whether a host is `service.namespace` or `service.namespace.svc` of a Service that exists.
fn short_with_namespace(mesh: &Mesh, host: &str) -> bool {
    let host = host.strip_suffix(".svc").unwrap_or(host);
    host.split_once('.').is_some_and(|(name, home)| {
        let full = format!("{name}.{home}.svc.cluster.local");
        !mesh.services_of_host(&full, home).is_empty()
    })
}

/// A rule of the namespace for a host outside the cluster that a ServiceEntry knows.
fn external(
    mesh: &Mesh,
    namespace: &Name,
    rule: &Object<DestinationRule>,
    entry: &Object<ServiceEntry>,
    out: &mut Sink<'_>,
) {
    let Some((field, loss, sends_tls)) = lost_outside(mesh, rule, entry) else {
        return;
    };
    let severity = if sends_tls {
        Severity::Blocking
    } else {
        Severity::Warning
    };
    let object = entry.reference();
    let from = if object.namespace == *namespace {
        String::new()
    } else {
        format!(" istio.io/use-waypoint-namespace={namespace}")
    };
    let remedy = Remedy::command(
        format!(
            "bind the ServiceEntry to a waypoint, which applies the rule (`istioctl waypoint apply -n {namespace}` makes one)"
        ),
        format!(
            "kubectl label serviceentry {} istio.io/use-waypoint=waypoint{from} -n {}",
            object.name, object.namespace
        ),
    );
    out.find(namespace, severity, (rule.reference(), field), loss, remedy);
}

/// What callers in ambient mode lose of a rule for a host outside: where that stands, in words, and
/// whether it is TLS. `None` when a waypoint does it.
fn lost_outside(
    mesh: &Mesh,
    rule: &Object<DestinationRule>,
    entry: &Object<ServiceEntry>,
) -> Option<(FieldPath, String, bool)> {
    let home = mesh.namespace(&entry.metadata.namespace);
    let label = entry
        .metadata
        .labels
        .get(USE_WAYPOINT)
        .or_else(|| home.and_then(|home| home.label(USE_WAYPOINT)));
    if label.is_some_and(|waypoint| waypoint != "none") {
        return None;
    }
    let host = &rule.spec.host;
    let tls = rules::tls(&rule.spec);
    let sent = tls
        .into_iter()
        .find(|setting| setting.mode != ClientTlsMode::Disable);
    if let Some(setting) = sent {
        let loss = format!(
            "sidecars of callers send TLS to {host} because of mode {}; callers in ambient mode send what the application wrote, and it leaves the cluster unencrypted or is refused",
            setting.mode.written()
        );
        return Some((setting.field, loss, true));
    }
    let evidence = traffic_policy(rule)?;
    let loss = format!(
        "sidecars of callers apply {} to {host}; callers in ambient mode do not, and no waypoint does",
        in_a_row(&evidence.what)
    );
    Some((evidence.field, loss, false))
}

/// Rules for hosts outside the cluster that callers of every namespace follow: those of the root
/// namespace, and of the namespace of the ServiceEntry. Which callers use the host is not known.
fn shared(view: &View<'_>, outside: &Outside<'_>, out: &mut Sink<'_>) {
    let mesh = view.mesh;
    if view.namespaces().next().is_none() {
        return;
    }
    for rule in mesh.all::<DestinationRule>() {
        let home = &rule.metadata.namespace;
        if view.judges(home) || !mesh.services_of_host(&rule.spec.host, home).is_empty() {
            continue;
        }
        let Some(entry) = outside.entry(&rule.spec.host) else {
            continue;
        };
        if home != mesh.root_namespace() && *home != entry.metadata.namespace {
            continue;
        }
        if let Some((field, loss, _)) = lost_outside(mesh, rule, entry) {
            let at = (rule.reference(), field);
            let remedy = Remedy::person(format!(
                "bind {} to a waypoint if callers that move use the host",
                entry.reference()
            ));
            out.find_for_all(Severity::Warning, at, loss, remedy);
        }
    }
}

/// A list of uses inside a sentence.
fn in_a_row(uses: &str) -> String {
    words(&uses.split(", ").collect::<Vec<_>>())
}

fn names(services: &[&Service]) -> String {
    first_and_more(services.iter().map(|service| &service.object))
}
