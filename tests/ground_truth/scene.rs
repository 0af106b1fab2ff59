//! One namespace with a few services and a waypoint, and what becomes of requests to the first of them.

use harness::oracle::{
    Chain, Destination, Manifests, Oracle, Outcome, Proxy, ProxyConfig, Request, Route, Translation,
};

/// Services `a` to `d` on port 80 in namespace `shop`, and a waypoint that serves them all.
pub(crate) const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: waypoint}}
---
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {selector: {app: a}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: shop}
spec: {selector: {app: c}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: d, namespace: shop}
spec: {selector: {app: d}, ports: [{name: http, port: 80}]}
";

/// The proxies whose route table for service `a` is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum View {
    /// A client's sidecar in the namespace of the service.
    Sidecar,
    /// A client's sidecar in another namespace, `far`.
    Far,
    /// The waypoint of the service.
    Waypoint,
}

/// The host that requests name.
const HOST: &str = "a.shop";

/// What the proxies are told about the shop.
pub(crate) struct Shop {
    pub(crate) translation: Translation,
}

impl Shop {
    /// The shop with these manifests.
    #[track_caller]
    pub(crate) fn with(yaml: &str) -> Self {
        Self::of(Manifests::new(format!("{SHOP}---\n{yaml}")))
    }

    /// The shop with a VirtualService for `a` of these `http` rules, a YAML list in flow style.
    #[track_caller]
    pub(crate) fn virtual_service(http: &str) -> Self {
        Self::with(&virtual_service("a", http))
    }

    /// The shop with an HTTPRoute for `a` of these rules, a YAML list in flow style.
    #[track_caller]
    pub(crate) fn route(rules: &str) -> Self {
        Self::with(&route("a", rules))
    }

    /// Any manifests, with the proxies of the shop.
    #[track_caller]
    pub(crate) fn of(manifests: Manifests) -> Self {
        let manifests = manifests
            .proxy(Proxy::sidecar("client", "shop").label("app", "client"))
            .proxy(Proxy::sidecar("far", "far").label("app", "client"))
            .proxy(Proxy::waypoint("waypoint", "shop"));
        match Oracle::shared().translate(&manifests) {
            Ok(translation) => Self { translation },
            Err(error) => panic!("{error}"),
        }
    }

    /// The route table for `a` of a proxy.
    #[track_caller]
    pub(crate) fn table(&self, view: View) -> &Chain {
        let chain = match view {
            View::Sidecar => self.proxy("client").and_then(|proxy| proxy.outbound(80)),
            View::Far => self.proxy("far").and_then(|proxy| proxy.outbound(80)),
            View::Waypoint => self
                .proxy("waypoint")
                .and_then(|proxy| proxy.service("a.shop.svc.cluster.local", 80)),
        };
        match chain {
            Some(chain) => chain,
            None => panic!("{view:?} has no routes for a"),
        }
    }

    /// A proxy of the shop: `client`, `far` or `waypoint`.
    pub(crate) fn proxy(&self, name: &str) -> Option<&ProxyConfig> {
        self.translation.proxy(name)
    }

    /// What becomes of requests to `a`.
    #[track_caller]
    pub(crate) fn ask(&self, view: View, requests: &[Request]) -> Vec<Outcome> {
        let requests: Vec<Request> = requests.iter().map(|r| r.clone().authority(HOST)).collect();
        match Oracle::shared().route(self.table(view), &requests) {
            Ok(outcomes) => outcomes,
            Err(error) => panic!("{view:?}: {error}"),
        }
    }

    /// Asserts what becomes of requests, as [`told`] tells it, at one proxy.
    #[track_caller]
    pub(crate) fn sends(&self, view: View, expected: &[(&str, &str)]) {
        let requests: Vec<Request> = expected.iter().map(|(line, _)| request(line)).collect();
        let outcomes = self.ask(view, &requests);
        let found: Vec<(&str, String)> = expected
            .iter()
            .zip(&outcomes)
            .map(|((line, _), outcome)| (*line, told(line, outcome)))
            .collect();
        let wanted: Vec<(&str, String)> = expected
            .iter()
            .map(|(line, outcome)| (*line, (*outcome).to_owned()))
            .collect();
        assert_eq!(found, wanted, "{view:?}");
    }

    /// Asserts the same of a sidecar and of the waypoint.
    #[track_caller]
    pub(crate) fn both_send(&self, expected: &[(&str, &str)]) {
        for view in [View::Sidecar, View::Waypoint] {
            self.sends(view, expected);
        }
    }

    /// What becomes of a request to port 8080 of a service `web`, as [`told`] tells it.
    #[track_caller]
    pub(crate) fn ask_web(&self, view: View, line: &str) -> String {
        let chain = match view {
            View::Waypoint => self
                .proxy("waypoint")
                .and_then(|proxy| proxy.service("web.shop.svc.cluster.local", 8080)),
            View::Sidecar | View::Far => {
                self.proxy("client").and_then(|proxy| proxy.outbound(8080))
            }
        };
        let Some(chain) = chain else {
            panic!("{view:?} has no routes for web");
        };
        match Oracle::shared().route(chain, &[request(line).authority("web.shop:8080")]) {
            Ok(outcomes) => outcomes.iter().map(|outcome| told(line, outcome)).collect(),
            Err(error) => panic!("{view:?}: {error}"),
        }
    }

    /// The outcome of one request at one proxy.
    #[track_caller]
    pub(crate) fn one(&self, view: View, line: &str) -> Outcome {
        match self.ask(view, &[request(line)]).pop() {
            Some(outcome) => outcome,
            None => panic!("no outcome"),
        }
    }

    /// The matched route of one request at one proxy.
    #[track_caller]
    pub(crate) fn matched(&self, view: View, line: &str) -> Route {
        match self.one(view, line).route {
            Some(route) => route,
            None => panic!("{view:?}: no route takes {line}"),
        }
    }
}

/// Why a cluster refuses a VirtualService for `a` of these rules.
#[track_caller]
pub(crate) fn refusal(http: &str) -> String {
    let manifests = Manifests::new(format!("{SHOP}---\n{}", virtual_service("a", http)));
    match Oracle::shared().translate(&manifests) {
        Ok(_) => panic!("it is let in"),
        Err(error) => error.to_string(),
    }
}

/// A VirtualService for a service of the shop.
pub(crate) fn virtual_service(host: &str, http: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {host}, namespace: shop}}
spec: {{hosts: [{host}], http: {http}}}
"
    )
}

/// An HTTPRoute for a service of the shop.
pub(crate) fn route(service: &str, rules: &str) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {service}, namespace: shop}}
spec: {{parentRefs: [{{group: '', kind: Service, name: {service}, port: 80}}], rules: {rules}}}
"
    )
}

/// A request from a line: a method if it is not GET, the path, and headers as `name:value`.
pub(crate) fn request(line: &str) -> Request {
    let mut words = line.split(' ').peekable();
    let method = words
        .next_if(|word| !word.starts_with('/'))
        .unwrap_or("GET");
    let mut request = Request::new(method, words.next().unwrap_or("/"));
    for word in words {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        request = request.header(name, value);
    }
    request
}

/// An outcome in few words: `b` is service b with the path unchanged, `b /x` with that path, `b:v1` its subset,
/// `b @x` with that authority, `b missing 503` a destination unknown to the proxy, `90 b, 10 c` a choice; else the status, with what a redirect names.
pub(crate) fn told(line: &str, outcome: &Outcome) -> String {
    let path = line
        .split(' ')
        .find(|word| word.starts_with('/'))
        .unwrap_or("/");
    if outcome.arrivals.is_empty() {
        let location = outcome.headers.get("location").into_iter().flatten();
        return std::iter::once(outcome.status.to_string())
            .chain(location.cloned())
            .collect::<Vec<_>>()
            .join(" ");
    }
    let several = outcome.arrivals.len() > 1;
    let each = outcome.arrivals.iter().map(|arrival| {
        let mut words = Vec::new();
        if several {
            words.push(arrival.weight.to_string());
        }
        words.push(place(&arrival.destination));
        if arrival.missing {
            words.push(format!("missing {}", arrival.status));
            return words.join(" ");
        }
        if arrival.path != path {
            words.push(arrival.path.clone());
        }
        if arrival.authority != HOST {
            words.push(format!("@{}", arrival.authority));
        }
        words.join(" ")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A destination: the service of the shop, or the whole host, or what is no service.
fn place(destination: &Destination) -> String {
    let host = destination.host.strip_suffix(".shop.svc.cluster.local");
    let name = match host.unwrap_or(&destination.host) {
        "" => &destination.cluster,
        host => host,
    };
    match destination.subset.as_str() {
        "" => name.to_owned(),
        subset => format!("{name}:{subset}"),
    }
}
