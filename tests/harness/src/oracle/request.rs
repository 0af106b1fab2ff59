//! What is asked.

use std::collections::BTreeMap;

use serde::Serialize;

/// Manifests, and the proxies whose configuration is wanted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Manifests {
    #[serde(rename = "manifests")]
    yaml: String,
    mesh_config: String,
    proxies: Vec<Proxy>,
    clusters: bool,
}

impl Manifests {
    /// A stream of YAML documents. They are taken as applied one after the other, a second apart, unless they say when.
    pub fn new(yaml: impl Into<String>) -> Self {
        Self {
            yaml: yaml.into(),
            ..Self::default()
        }
    }

    /// The mesh configuration, as YAML; what it leaves out has Istio's defaults.
    #[must_use]
    pub fn mesh_config(mut self, yaml: impl Into<String>) -> Self {
        self.mesh_config = yaml.into();
        self
    }

    /// Asks for the configuration of a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxies.push(proxy);
        self
    }

    /// Asks for the clusters of the proxies too, with their endpoints.
    #[must_use]
    pub fn clusters(mut self) -> Self {
        self.clusters = true;
        self
    }
}

/// One Envoy of the mesh.
#[derive(Clone, Debug, Serialize)]
pub struct Proxy {
    name: String,
    kind: &'static str,
    namespace: String,
    labels: BTreeMap<String, String>,
    service_account: String,
    ip: String,
    no_hbone: bool,
}

impl Proxy {
    fn of(kind: &'static str, name: &str, namespace: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            namespace: namespace.to_owned(),
            labels: BTreeMap::new(),
            service_account: String::new(),
            ip: String::new(),
            no_hbone: false,
        }
    }

    /// The sidecar of a pod. With [`label`](Self::label)s it is that of the first pod in the namespace that has them all.
    pub fn sidecar(name: &str, namespace: &str) -> Self {
        Self::of("sidecar", name, namespace)
    }

    /// The waypoint that a Gateway of this name stands for; answers name it so.
    pub fn waypoint(name: &str, namespace: &str) -> Self {
        Self::of("waypoint", name, namespace).label("gateway.networking.k8s.io/gateway-name", name)
    }

    /// Adds a label of the pod.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A sidecar injected before ambient was switched on: it neither takes nor sends HBONE.
    #[must_use]
    pub fn without_hbone(mut self) -> Self {
        self.no_hbone = true;
        self
    }
}

/// One HTTP request, or one connection where a chain is about connections.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    method: String,
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    principal: String,
    source_ip: String,
    port: u16,
    claims: Option<serde_json::Value>,
}

impl Request {
    /// A request by this method for this path.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            authority: "oracle".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            principal: String::new(),
            source_ip: String::new(),
            port: 0,
            claims: None,
        }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// The host it is for, as clients write it.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.authority);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Who sends it, `cluster.local/ns/a/sa/b`; without, it comes in plain text. For [`authorize`](super::Oracle::authorize).
    #[must_use]
    pub fn from(mut self, principal: &str) -> Self {
        principal.clone_into(&mut self.principal);
        self
    }

    /// The address it is sent from.
    #[must_use]
    pub fn source_ip(mut self, ip: &str) -> Self {
        ip.clone_into(&mut self.source_ip);
        self
    }

    /// The port the connection was made to.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The claims of a token that the proxy found valid.
    #[must_use]
    pub fn claims(mut self, claims: serde_json::Value) -> Self {
        self.claims = Some(claims);
        self
    }
}
