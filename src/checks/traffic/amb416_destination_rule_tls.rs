//! AMB416: a DestinationRule says how clients use TLS to Services of the mesh. What it says stands in
//! the way of HBONE, or is lost with the clients' sidecars.
//!
//! Source: istio/istio#53526, mended by istio/istio#54914 (1.25): `pilot/pkg/networking/core/cluster_tls.go`,
//! `applyHBONETransportSocketMatches`; headless Services: istio/istio#54921; at waypoints:
//! `pilot/pkg/networking/core/cluster_waypoint.go`.

use std::collections::BTreeMap;

use crate::checks::traffic::rules::{self, Setting};
use crate::checks::traffic::{has_moved, is_applied_at_waypoint};
use crate::checks::wording::first_and_more;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::traffic::{ClientTlsMode, DestinationRule};
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef, Resource, Segment};
use crate::mesh::injection::NamespaceInjection;
use crate::mesh::installation::Version;
use crate::mesh::namespaces::DATA_PLANE_LABEL;
use crate::mesh::services::Service;
use crate::mesh::workloads::{Mode, Role, Workload};
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: DestinationRuleTls = DestinationRuleTls;

/// The check's type.
#[derive(Debug)]
pub struct DestinationRuleTls;

static META: Meta = Meta {
    id: Id("AMB416"),
    slug: "destination-rule-tls",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::BINDING)
        .and(mesh::INSTALLATION)
        .and(KindSet::of(&[Kind::DestinationRule])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb416_destination_rule_tls.md"),
};

/// The first release whose sidecars and gateways use HBONE although a rule says `ISTIO_MUTUAL`.
const HBONE_FIRST: Version = Version::new(1, 25);

/// What follows for a Service with an address of its own.
const BY_POD: &str = "sidecars and gateways then choose by the pod that they call";
/// What follows for a headless Service.
const TO_PODS: &str =
    "sidecars then send plain text to its ambient pods, which STRICT mutual TLS refuses";

impl Check for DestinationRuleTls {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let istio = Release::of(mesh);
        for namespace in view.namespaces() {
            for concerned in concerned(mesh, &namespace.name) {
                let case = Case {
                    mesh,
                    namespace: &namespace.name,
                    rule: concerned.rule,
                    settings: rules::tls(&concerned.rule.spec),
                };
                let (headless, plain): (Vec<&Service>, Vec<&Service>) = concerned
                    .services
                    .into_iter()
                    .partition(|service| mesh.spec(service).is_headless());
                case.istio_mutual(&plain, istio, out);
                case.istio_mutual_headless(&headless, out);
                case.originated(&plain, &headless, out);
                case.disabled(&plain, out);
            }
        }
    }
}

/// What is known of the releases of the control planes.
#[derive(Debug, Clone, Copy)]
enum Release {
    /// One of them is too old to prefer HBONE.
    Old(Version),
    /// All prefer HBONE.
    Mended,
    /// Not known.
    Unknown,
}

impl Release {
    fn of(mesh: &Mesh) -> Self {
        let installation = mesh.installation();
        let planes = &installation.control_planes;
        match installation.oldest_version() {
            Some(oldest) if oldest < HBONE_FIRST => Self::Old(oldest),
            Some(_) if planes.iter().all(|plane| plane.version.is_some()) => Self::Mended,
            _ => Self::Unknown,
        }
    }
}

/// A rule with TLS settings and the Services of a namespace for which some client follows it.
struct Concerned<'a> {
    rule: &'a Object<DestinationRule>,
    services: Vec<&'a Service>,
}

fn concerned<'a>(mesh: &'a Mesh, namespace: &Name) -> Vec<Concerned<'a>> {
    let mut found: BTreeMap<ObjectRef, Concerned<'a>> = BTreeMap::new();
    let mut clients: BTreeMap<&Name, bool> = BTreeMap::new();
    for service in mesh.services_in(namespace) {
        if !mesh.backing(service).any(becomes_ambient) {
            continue;
        }
        let rules = rules::followed(mesh, service);
        let has_own = rules
            .iter()
            .any(|rule| rule.metadata.namespace == *namespace);
        for rule in rules {
            if rules::tls(&rule.spec).is_empty() {
                continue;
            }
            let home = &rule.metadata.namespace;
            let reaches_all = home == namespace || (home == mesh.root_namespace() && !has_own);
            let followed = reaches_all
                || *clients
                    .entry(home)
                    .or_insert_with(|| may_hold_clients(mesh, home));
            if followed {
                let concerned = found.entry(rule.reference()).or_insert_with(|| Concerned {
                    rule,
                    services: Vec::new(),
                });
                concerned.services.push(service);
            }
        }
    }
    found.into_values().collect()
}

/// Whether a workload's pods are ambient after the move, or are already.
fn becomes_ambient(workload: &Workload) -> bool {
    workload.role == Role::Application
        && !workload.host_network
        && !workload.labels.has(DATA_PLANE_LABEL, "none")
}

/// Whether a namespace may hold Envoys that follow its DestinationRules: sidecars or gateways.
fn may_hold_clients(mesh: &Mesh, namespace: &Name) -> bool {
    let workloads = mesh.workloads_in(namespace);
    if workloads.is_empty() {
        let injection = mesh.namespace(namespace).map(|found| &found.injection);
        return !matches!(
            injection,
            Some(NamespaceInjection::Off | NamespaceInjection::Unlabelled)
        );
    }
    workloads.iter().any(|workload| {
        workload.role == Role::Gateway || workload.has_sidecar() || workload.mode() == Mode::Unknown
    })
}

/// One rule, for the Services of one namespace.
struct Case<'a> {
    mesh: &'a Mesh,
    namespace: &'a Name,
    rule: &'a Object<DestinationRule>,
    settings: Vec<Setting>,
}

impl Case<'_> {
    fn of_modes(&self, modes: &[ClientTlsMode]) -> Vec<&Setting> {
        let settings = self.settings.iter();
        settings.filter(|s| modes.contains(&s.mode)).collect()
    }

    fn is_own(&self) -> bool {
        self.rule.metadata.namespace == *self.namespace
    }

    fn at(&self, field: &FieldPath) -> (ObjectRef, FieldPath) {
        (self.rule.reference(), field.clone())
    }

    /// Which Envoys follow the rule, in words.
    fn clients(&self) -> String {
        let home = &self.rule.metadata.namespace;
        if self.is_own() || home == self.mesh.root_namespace() {
            "sidecars and gateways".to_owned()
        } else {
            format!("sidecars and gateways of {home}")
        }
    }

    fn istio_mutual(&self, services: &[&Service], istio: Release, out: &mut Sink<'_>) {
        let settings = self.of_modes(&[ClientTlsMode::IstioMutual]);
        let Some(first) = settings.first().filter(|_| !services.is_empty()) else {
            return;
        };
        let names = names(services);
        let clients = self.clients();
        let (severity, message) = match istio {
            Release::Mended => {
                let message = format!(
                    "mode ISTIO_MUTUAL is replaced by HBONE where {names} is ambient, from Istio 1.25 on"
                );
                out.find(
                    self.namespace,
                    Severity::Info,
                    self.at(&first.field),
                    message,
                    Remedy::Nothing,
                );
                return;
            }
            Release::Old(version) => (
                self.weight(Severity::Blocking),
                format!(
                    "{clients} speak Istio's older mutual TLS to {names} because of mode ISTIO_MUTUAL, and with Istio {version} so they do to ambient pods, where ztunnel refuses it"
                ),
            ),
            Release::Unknown => (
                self.weight(Severity::Warning),
                format!(
                    "{clients} speak Istio's older mutual TLS to {names} because of mode ISTIO_MUTUAL; before Istio 1.25 so they do to ambient pods, where ztunnel refuses it, and the release is not known here"
                ),
            ),
        };
        let remedy = self.take_out(&settings, BY_POD);
        out.find(
            self.namespace,
            severity,
            self.at(&first.field),
            message,
            remedy,
        );
    }

    fn istio_mutual_headless(&self, services: &[&Service], out: &mut Sink<'_>) {
        let settings = self.of_modes(&[ClientTlsMode::IstioMutual]);
        let Some(first) = settings.first().filter(|_| !services.is_empty()) else {
            return;
        };
        out.find(
            self.namespace,
            self.weight(Severity::Blocking),
            self.at(&first.field),
            format!(
                "{} speak Istio's older mutual TLS to the pods of {}, a headless Service, because of mode ISTIO_MUTUAL; ambient pods refuse it, and sidecars send no HBONE to headless Services",
                self.clients(),
                names(services)
            ),
            self.take_out(&settings, TO_PODS),
        );
    }

    /// A rule of the namespace itself is changed by the move; any other is its owner's.
    fn weight(&self, of_others: Severity) -> Severity {
        if self.is_own() && !has_moved(self.mesh, self.namespace) {
            Severity::Change
        } else {
            of_others
        }
    }

    fn take_out(&self, settings: &[&Setting], then: &str) -> Remedy {
        if self.is_own() && !has_moved(self.mesh, self.namespace) {
            return Remedy::moved(format!(
                "the tls setting is taken out of the rule first; {then}"
            ));
        }
        let operations: Vec<String> = settings
            .iter()
            .map(|setting| format!(r#"{{"op":"remove","path":"{}"}}"#, pointer(&setting.field)))
            .collect();
        let object = self.rule.reference();
        Remedy::command(
            format!("its owner takes the tls setting out of the rule; {then}"),
            format!(
                "kubectl patch destinationrule {} --type=json -p '[{}]' -n {}",
                object.name,
                operations.join(","),
                object.namespace
            ),
        )
    }

    /// `SIMPLE` and `MUTUAL`: the client's proxy makes the TLS that the application in the pod ends.
    fn originated(&self, plain: &[&Service], headless: &[&Service], out: &mut Sink<'_>) {
        let settings = self.of_modes(&[ClientTlsMode::Simple, ClientTlsMode::Mutual]);
        let home = &self.rule.metadata.namespace;
        let followed_here = self.is_own() || home == self.mesh.root_namespace();
        let Some(first) = settings.first().filter(|_| followed_here) else {
            return;
        };
        let at_waypoint = |service: &Service| {
            is_applied_at_waypoint(self.mesh, service, home)
                || (home == self.mesh.root_namespace()
                    && self.mesh.binding(service).effective().is_some())
        };
        let lost: Vec<&Service> = plain.iter().copied().filter(|s| !at_waypoint(s)).collect();
        let message = |services: &[&Service]| {
            format!(
                "sidecars of callers send TLS to {} because of mode {}; callers in ambient mode send what the application wrote, unencrypted inside the tunnel, and the pods expect TLS",
                names(services),
                first.mode.written(),
            )
        };
        if let Some(service) = lost.first() {
            let object = &service.object;
            let remedy = Remedy::command(
                format!(
                    "bind it to a waypoint, which sends TLS as the rule says (`istioctl waypoint apply -n {}` makes one)",
                    object.namespace
                ),
                format!(
                    "kubectl label service {} istio.io/use-waypoint=waypoint -n {}",
                    object.name, object.namespace
                ),
            );
            let at = self.at(&first.field);
            out.find(
                self.namespace,
                Severity::Blocking,
                at,
                message(&lost),
                remedy,
            );
        }
        if !headless.is_empty() {
            let remedy = Remedy::person(
                "let the application send TLS itself, or let the pods take plain connections: ztunnel encrypts between them",
            );
            let at = self.at(&first.field);
            out.find(
                self.namespace,
                Severity::Blocking,
                at,
                message(headless),
                remedy,
            );
        }
    }

    fn disabled(&self, services: &[&Service], out: &mut Sink<'_>) {
        let settings = self.of_modes(&[ClientTlsMode::Disable]);
        let Some(first) = settings.first().filter(|_| !services.is_empty()) else {
            return;
        };
        out.find(
            self.namespace,
            Severity::Info,
            self.at(&first.field),
            format!(
                "{} send plain text to {} because of mode DISABLE; once its pods are ambient they send HBONE all the same, so their identities are seen there and rules on identities apply to them",
                self.clients(),
                names(services)
            ),
            Remedy::Nothing,
        );
    }
}

fn names(services: &[&Service]) -> String {
    first_and_more(services.iter().map(|service| &service.object))
}

/// A field as a JSON patch names it.
fn pointer(field: &FieldPath) -> String {
    let segments = field.segments().iter();
    segments
        .map(|segment| match segment {
            Segment::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Index(index) => format!("/{index}"),
        })
        .collect()
}
