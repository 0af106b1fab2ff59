//! AMB105: the Gateway API is not installed, too old, or of a channel without fields that routes need.
//!
//! Sources: `https://istio.io/latest/docs/ambient/migrate/before-you-begin/` (the API is a
//! prerequisite: a waypoint is a Gateway); `https://gateway-api.sigs.k8s.io/concepts/versioning/`
//! (annotations `bundle-version` and `channel`; fields of another channel are pruned silently);
//! kubernetes-sigs/gateway-api `apis/v1/httproute_types.go` of v1.0 to v1.6 (`retry` is experimental in
//! all of them, CORS standard from v1.5, `timeouts` from v1.2).

use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::installation::CustomResourceDefinition;
use crate::kinds::traffic::{HttpRoute, VirtualService};
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef, Resource};
use crate::mesh::definitions::{BUNDLE, CHANNEL, HTTP_ROUTES, bundle, is_standard};
use crate::mesh::installation::Version;
use crate::mesh::{Mesh, Part};
use crate::waypoint;

/// The definitions without which there is no waypoint and no route for one.
const NEEDED: [&str; 3] = [
    "gatewayclasses.gateway.networking.k8s.io",
    "gateways.gateway.networking.k8s.io",
    HTTP_ROUTES,
];
/// The first release that serves version v1 of these kinds, which istiod reads.
const FIRST: Version = Version::new(1, 0);

/// The check.
pub static CHECK: GatewayApi = GatewayApi;

/// The check's type.
#[derive(Debug)]
pub struct GatewayApi;

static META: Meta = Meta {
    id: Id("AMB105"),
    slug: "gateway-api",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: waypoint::READS.and(KindSet::of(&[Kind::CustomResourceDefinition])),
    needs: &[Part::Definitions],
    since: "0.1.0",
    page: include_str!("amb105_gateway_api.md"),
};

impl Check for GatewayApi {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let missing: Vec<&str> = NEEDED
            .into_iter()
            .filter(|name| {
                view.mesh
                    .named::<CustomResourceDefinition>("", name)
                    .is_none()
            })
            .collect();
        if let Some(first) = missing.first() {
            let plurals: Vec<&str> = missing
                .iter()
                .filter_map(|name| name.split('.').next())
                .collect();
            let at = (definition(first), FieldPath::root());
            let why = format!(
                "the Gateway API is not installed ({} missing)",
                plurals.join(", ")
            );
            unusable(view, &at, &why, out);
            return;
        }
        let installed: Vec<_> = NEEDED
            .into_iter()
            .filter_map(|name| view.mesh.named::<CustomResourceDefinition>("", name))
            .map(|crd| (crd.reference(), bundle(crd)))
            .collect();
        if let Some((object, _)) = installed.iter().find(|(_, version)| version.is_none()) {
            out.find_for_all(
                Severity::Info,
                (object.clone(), FieldPath::annotation(BUNDLE)),
                "this definition does not tell of which release it is: whether it is recent enough was not checked",
                Remedy::Nothing,
            );
        }
        let oldest = installed
            .iter()
            .filter_map(|(object, version)| Some((object, (*version)?)))
            .min_by_key(|(_, version)| *version);
        if let Some((object, version)) = oldest
            && version < FIRST
        {
            let at = (object.clone(), FieldPath::annotation(BUNDLE));
            let why =
                format!("the Gateway API is v{version}, older than the kinds that istiod reads");
            unusable(view, &at, &why, out);
            return;
        }
        fields(view, out);
    }
}

fn definition(name: &str) -> ObjectRef {
    let cluster = Name::from("");
    ObjectRef::new(Kind::CustomResourceDefinition, &cluster, &Name::from(name))
}

/// The release of the Gateway API that a release of istiod was built with (its `go.mod`).
fn built_with(istiod: Option<Version>) -> &'static str {
    match istiod.map(|version| version.minor) {
        Some(..=26) => "v1.2.1",
        Some(27) => "v1.3.0",
        None | Some(28 | 29) => "v1.4.0",
        Some(30) => "v1.5.1",
        Some(_) => "v1.6.0",
    }
}

/// No waypoint can be made: that matters where one is needed.
fn unusable(view: &View<'_>, at: &(ObjectRef, FieldPath), why: &str, out: &mut Sink<'_>) {
    let release = built_with(view.mesh.installation().oldest_version());
    for namespace in view.namespaces() {
        let need = waypoint::assess(view.mesh, &namespace.name);
        let mut needing = need.needing();
        let (severity, message) = match (needing.next(), needing.count()) {
            (Some(first), more) => {
                let who = first.service.short();
                let who = match more {
                    0 => who,
                    more => format!("{who} and {more} more"),
                };
                (
                    Severity::Blocking,
                    format!("{why}: no waypoint can be created, and {who} needs one"),
                )
            }
            (None, _) => (
                Severity::Info,
                format!(
                    "{why}: no waypoint can be created, and no Service of {} needs one",
                    namespace.name
                ),
            ),
        };
        out.find(
            &namespace.name,
            severity,
            at.clone(),
            message,
            Remedy::command(
                "install the release of the Gateway API that goes with istiod",
                format!(
                    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/{release}/experimental-install.yaml"
                ),
            ),
        );
    }
}

/// A field that routes may need, and where it is.
struct Field {
    name: &'static str,
    used: fn(&HttpRoute) -> bool,
    /// The first release with the field in the standard channel.
    standard_since: Option<Version>,
}

const FIELDS: [Field; 3] = [
    Field {
        name: "retries",
        used: |http| http.retries,
        standard_since: None,
    },
    Field {
        name: "CORS",
        used: |http| http.cors_policy,
        standard_since: Some(Version::new(1, 5)),
    },
    Field {
        name: "timeouts",
        used: |http| http.timeout,
        standard_since: Some(Version::new(1, 2)),
    },
];

/// Fields of VirtualServices that the installed HTTPRoute would lose.
fn fields(view: &View<'_>, out: &mut Sink<'_>) {
    let Some(crd) = view.mesh.named::<CustomResourceDefinition>("", HTTP_ROUTES) else {
        return;
    };
    if !is_standard(crd) {
        return;
    }
    let version = bundle(crd);
    for namespace in view.namespaces() {
        for field in &FIELDS {
            let there = field
                .standard_since
                .is_some_and(|since| version.is_some_and(|version| version >= since));
            if there {
                continue;
            }
            let users = users(view.mesh, &namespace.name, field);
            let Some(first) = users.first() else { continue };
            let who = match users.len() {
                1 => first.short(),
                n => format!("{} and {} more", first.short(), n - 1),
            };
            out.find(
                &namespace.name,
                Severity::Warning,
                (crd.reference(), FieldPath::annotation(CHANNEL)),
                format!(
                    "{who} sets {}, for which the installed HTTPRoute (standard channel) has no field: the API server would drop it without a word",
                    field.name
                ),
                Remedy::person("install the experimental channel to have such rules translated; otherwise they stay VirtualServices, which waypoints honour"),
            );
        }
    }
}

/// The VirtualServices that sidecars apply to Services of a namespace and that use a field.
fn users(mesh: &Mesh, namespace: &Name, field: &Field) -> Vec<ObjectRef> {
    let uses = |route: &VirtualService| route.spec.http.iter().any(|http| (field.used)(http));
    let mut users: Vec<ObjectRef> = mesh
        .services_in(namespace)
        .iter()
        .flat_map(|service| mesh.mesh_routes(service))
        .filter(|route| uses(route))
        .map(|route| route.reference())
        .collect();
    users.sort();
    users.dedup();
    users
}
