//! The objects that route requests, ready to be asked for tables.

use std::collections::BTreeMap;

use super::delegate;
use super::gateway_api;
use super::retry::Retry;
use super::select::{Config, Export, Index, Rule, Semantics};
use super::table::{Entry, Origin, Table};
use super::translate::{Translation, is_catch_all};
use super::{Destination, delegate::Delegates};
use crate::kinds::complete::virtual_service::{HttpRoute as HttpRule, Retries};
use crate::kinds::complete::{HttpRoute, VirtualService};
use crate::kinds::path::field;
use crate::kinds::{Kind, Labels, Name, ObjectRef};

/// What is known of the hosts that take requests.
pub trait Services {
    /// The ports of a host, by its full name; `None` when no Service or ServiceEntry has it.
    fn ports(&self, host: &str) -> Option<&[u16]>;

    /// The hosts of a ServiceEntry.
    fn service_entry_hosts(&self, _namespace: &str, _name: &str) -> Vec<String> {
        Vec::new()
    }
}

/// What the mesh's configuration says about routes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// `defaultHttpRetryPolicy`.
    pub retries: Option<Retries>,
    /// `defaultVirtualServiceExportTo`; all namespaces when empty.
    pub export_to: Vec<String>,
    /// Whether waypoints retry only requests that were not sent where no route is defined, as
    /// releases did before waypoints had the retries of clients.
    pub waypoints_retry_unsent: bool,
}

/// A port of a host, to which requests are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The full name.
    pub name: String,
    /// The namespace of its Service.
    pub namespace: String,
    /// The port.
    pub port: u16,
    /// Whether the port speaks gRPC.
    pub grpc: bool,
}

/// Whose table is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewpoint<'v> {
    /// The sidecar of a client.
    Sidecar {
        /// The client's namespace.
        namespace: &'v str,
        /// The labels of its pod.
        labels: &'v Labels,
    },
    /// The waypoint of the host.
    Waypoint {
        /// Its namespace.
        namespace: &'v str,
    },
}

impl Viewpoint<'_> {
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Sidecar { namespace, .. } | Self::Waypoint { namespace } => namespace,
        }
    }
}

/// A VirtualService that decides about a host.
#[derive(Debug)]
pub struct Decider<'a> {
    /// The VirtualService.
    pub object: ObjectRef,
    /// Its rules in order, those of delegates in their places.
    pub rules: Vec<Written<'a>>,
}

/// A rule as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The rule; that of a delegate with what it has from its root.
    pub route: &'a HttpRule,
    /// The namespace that completes short hosts.
    pub namespace: &'a Name,
    /// Where it stands.
    pub origin: &'a Origin,
}

/// The objects that route requests.
pub struct Routes<'r> {
    index: Index<'r>,
    services: &'r dyn Services,
    domain: &'r str,
    defaults: Defaults,
}

impl<'r> Routes<'r> {
    /// Indexes VirtualServices and HTTPRoutes. `domain` is the cluster's, `cluster.local` as a rule.
    pub fn new(
        virtual_services: impl IntoIterator<Item = &'r VirtualService>,
        http_routes: impl IntoIterator<Item = &'r HttpRoute>,
        services: &'r dyn Services,
        domain: &'r str,
        defaults: Defaults,
    ) -> Self {
        let mut configs = Vec::new();
        let (roots, delegates): (Vec<_>, Vec<_>) = virtual_services
            .into_iter()
            .partition(|object| !object.spec.hosts.is_empty());
        let delegates: Delegates<'_> = delegates
            .into_iter()
            .map(|object| {
                (
                    (&*object.metadata.namespace, &*object.metadata.name),
                    object,
                )
            })
            .collect();
        for object in roots {
            configs.push(config_of(object, &delegates, domain, &defaults));
        }
        configs.extend(gateway_api::configs(http_routes, services, domain));
        Self {
            index: Index::new(configs),
            services,
            domain,
            defaults,
        }
    }

    /// The table of a proxy for a port of a host.
    pub fn table(&self, view: &Viewpoint<'_>, host: &Host) -> Table {
        match view {
            Viewpoint::Sidecar { namespace, .. } => {
                let mut table = self.of_sidecar(view, host);
                table.authorities = self.names(host, namespace);
                table
            }
            Viewpoint::Waypoint { .. } => self.of_waypoint(view, host),
        }
    }

    /// The values of `Host` with which a client reaches a host.
    pub fn authorities(&self, view: &Viewpoint<'_>, host: &Host) -> Vec<String> {
        self.names(host, view.namespace())
    }

    /// The VirtualService that decides at a sidecar; `None` where none does, or an HTTPRoute.
    pub fn decider(&self, view: &Viewpoint<'_>, host: &Host) -> Option<Decider<'_>> {
        let config = self
            .index
            .for_sidecar(host, view.namespace())
            .find(|config| self.acts(config, view, host))?;
        if config.semantics != Semantics::VirtualService {
            return None;
        }
        let rules = config.rules.iter().map(|rule| Written {
            route: &rule.route,
            namespace: &rule.namespace,
            origin: &rule.origin,
        });
        let name = Name::from(config.name.as_str());
        Some(Decider {
            object: ObjectRef::new(Kind::VirtualService, &config.namespace, &name),
            rules: rules.collect(),
        })
    }

    /// A sidecar has one virtual host for each host: the first configuration in force that has a
    /// route for this client and port makes it (`BuildSidecarOutboundVirtualHosts`).
    fn of_sidecar(&self, view: &Viewpoint<'_>, host: &Host) -> Table {
        for config in self.index.for_sidecar(host, view.namespace()) {
            let entries = self.entries(config, view, host);
            if !entries.is_empty() {
                return Table {
                    entries,
                    authorities: Vec::new(),
                };
            }
        }
        self.without_route(view, host)
    }

    /// A waypoint appends the routes of all configurations for the Service
    /// (`buildWaypointInboundHTTPRouteConfig`).
    fn of_waypoint(&self, view: &Viewpoint<'_>, host: &Host) -> Table {
        let entries: Vec<Entry> = self
            .index
            .for_waypoint(host, view.namespace())
            .flat_map(|config| self.entries(config, view, host))
            .collect();
        if entries.is_empty() {
            return self.without_route(view, host);
        }
        Table {
            entries,
            authorities: Vec::new(),
        }
    }

    fn without_route(&self, view: &Viewpoint<'_>, host: &Host) -> Table {
        let destination = Destination {
            host: host.name.clone(),
            subset: String::new(),
            port: u32::from(host.port),
        };
        let waypoint = matches!(view, Viewpoint::Waypoint { .. });
        let retry = if waypoint && self.defaults.waypoints_retry_unsent {
            (!host.grpc).then(Retry::before_a_request_was_sent)
        } else {
            Retry::of(None, self.defaults.retries.as_ref())
        };
        Table::to(destination, retry)
    }

    fn translation<'t>(
        &'t self,
        config: &Config<'_>,
        view: &'t Viewpoint<'t>,
        host: &Host,
    ) -> Translation<'t> {
        Translation {
            semantics: config.semantics,
            view,
            port: host.port,
            services: self.services,
            domain: self.domain,
            retries: self.defaults.retries.as_ref(),
        }
    }

    /// Whether a configuration has entries for a proxy.
    fn acts(&self, config: &Config<'_>, view: &Viewpoint<'_>, host: &Host) -> bool {
        let translation = self.translation(config, view, host);
        config.rules.iter().any(|rule| translation.acts(rule))
    }

    fn entries(&self, config: &Config<'_>, view: &Viewpoint<'_>, host: &Host) -> Vec<Entry> {
        let translation = self.translation(config, view, host);
        let mut entries = Vec::new();
        for rule in &config.rules {
            translation.translate(rule, &mut entries);
            if entries.last().is_some_and(is_catch_all) {
                break;
            }
        }
        entries
    }

    /// The values of `Host` with which a client of a namespace reaches a host
    /// (`generateVirtualHostDomains`), without addresses.
    fn names(&self, host: &Host, client: &str) -> Vec<String> {
        let mut names = vec![host.name.clone()];
        let suffix = format!(".{}.svc.{}", host.namespace, self.domain);
        if let Some(name) = host.name.strip_suffix(&suffix) {
            let namespace = &host.namespace;
            names.push(format!("{name}.{namespace}.svc"));
            names.push(format!("{name}.{namespace}"));
            if client == namespace {
                names.push(name.to_owned());
            }
        }
        names.reverse();
        let with_port: Vec<String> = names
            .iter()
            .map(|name| format!("{name}:{}", host.port))
            .collect();
        names.extend(with_port);
        names
    }
}

/// What a VirtualService configures.
fn config_of<'r>(
    object: &'r VirtualService,
    delegates: &Delegates<'r>,
    domain: &str,
    defaults: &Defaults,
) -> Config<'r> {
    let meta = &object.metadata;
    let spec = &object.spec;
    let reference = ObjectRef::new(Kind::VirtualService, &meta.namespace, &meta.name);
    let mut rules = Vec::with_capacity(spec.http.len());
    for (number, route) in spec.http.iter().enumerate() {
        if let Some(delegate) = &route.delegate {
            rules.extend(delegate::inlined(
                object, route, delegate, delegates, domain, defaults,
            ));
        } else {
            rules.push(Rule {
                route: std::borrow::Cow::Borrowed(route),
                namespace: meta.namespace.clone(),
                origin: Origin {
                    object: reference.clone(),
                    field: field!["spec", "http", number],
                },
                names_matches: true,
            });
        }
    }
    let exports = if spec.export_to.is_empty() {
        &defaults.export_to
    } else {
        &spec.export_to
    };
    Config {
        name: meta.name.to_string(),
        namespace: meta.namespace.clone(),
        created: meta.creation_timestamp.clone(),
        semantics: Semantics::VirtualService,
        hosts: spec
            .hosts
            .iter()
            .map(|host| full_name(host, &meta.namespace, domain).to_ascii_lowercase())
            .collect(),
        in_mesh: spec.gateways.is_empty() || spec.gateways.iter().any(|name| name == "mesh"),
        export: Export::of(exports, &meta.namespace),
        rules,
    }
}

/// A host in full: only a name without any dot is completed (`ResolveShortnameToFQDN`).
pub(super) fn full_name(host: &str, namespace: &str, domain: &str) -> String {
    if host.is_empty() || host == "*" || host.contains('.') {
        return host.to_owned();
    }
    format!("{host}.{namespace}.svc.{domain}")
}

impl Services for BTreeMap<String, Vec<u16>> {
    fn ports(&self, host: &str) -> Option<&[u16]> {
        self.get(host).map(Vec::as_slice)
    }
}
