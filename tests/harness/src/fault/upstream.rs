//! The way on to the real API server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
};
use http::request::Parts;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt as _;
use serde_json::{Value, json};

use crate::cluster::configuration;
use crate::error::{Error, Result, chain};
use crate::resources::{DISCOVERY, Discovery, Resources};

/// The bearer token by which clients ask the proxy to connect as its own identity. (A kubeconfig
/// without any user makes kubectl ask for a name and a password.)
pub(super) const AS_ITSELF: &str = "fault-proxy";

type Send = Box<
    dyn Fn(Request<Full<Bytes>>) -> hyper_util::client::legacy::ResponseFuture
        + Sync
        + std::marker::Send,
>;

/// Connects to the API server, as itself or as whoever a request says.
pub(super) struct Upstream {
    server: Uri,
    /// With the kubeconfig's client certificate.
    own: Send,
    /// The kubeconfig's token.
    token: Option<String>,
    /// Without a certificate: for requests with a token.
    bare: Send,
    users: Mutex<BTreeMap<Vec<u8>, String>>,
    served: tokio::sync::OnceCell<Resources>,
}

impl Upstream {
    /// The server and the identity of a kubeconfig.
    pub(super) async fn of(kubeconfig: &Path) -> Result<Self> {
        let named =
            |error: &dyn std::error::Error| Error::because(kubeconfig.display(), chain(error));
        let config = configuration(kubeconfig).await?;
        let mut bare = config.clone();
        bare.auth_info = kube::config::AuthInfo::default();
        let own = config
            .rustls_https_connector()
            .map_err(|error| named(&error))?;
        let without = bare
            .rustls_https_connector()
            .map_err(|error| named(&error))?;
        Ok(Self {
            server: config.cluster_url,
            own: sender(own),
            token: token_of(kubeconfig)?,
            bare: sender(without),
            users: Mutex::default(),
            served: tokio::sync::OnceCell::new(),
        })
    }

    /// Passes a request on.
    pub(super) async fn send(&self, head: &Parts, body: Bytes) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() =
            self.address(head.uri.path_and_query().map_or("/", |one| one.as_str()))?;
        for (name, value) in &head.headers {
            if !is_of_the_hop(name) && name != HOST {
                request.headers_mut().append(name, value.clone());
            }
        }
        let send = if wants_own(head.headers.get(AUTHORIZATION)) {
            request.headers_mut().remove(AUTHORIZATION);
            if let Some(token) = &self.token {
                let value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|error| Error::because("the kubeconfig's token", error))?;
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            &self.own
        } else {
            &self.bare
        };
        let mut response = send(request)
            .await
            .map_err(|error| Error::because("the API server", chain(&error)))?;
        let headers = response.headers_mut();
        let hops: Vec<HeaderName> = headers
            .keys()
            .filter(|name| is_of_the_hop(name))
            .cloned()
            .collect();
        for name in hops {
            headers.remove(name);
        }
        Ok(response)
    }

    /// Who the server takes the sender of a request for.
    pub(super) async fn user(&self, head: &Parts) -> String {
        let credentials = head.headers.get(AUTHORIZATION);
        let key = credentials
            .map(|value| value.as_bytes().to_vec())
            .unwrap_or_default();
        let lock = || self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = lock().get(&key) {
            return user.clone();
        }
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let answer = self
            .ask("POST", path, "application/json", credentials, &review)
            .await;
        let user = answer
            .ok()
            .and_then(|answer| {
                let user = &answer["status"]["userInfo"]["username"];
                user.as_str().map(str::to_owned)
            })
            .unwrap_or_else(|| "system:anonymous".to_owned());
        lock().insert(key, user.clone());
        user
    }

    /// The kinds that the server serves.
    pub(super) async fn served(&self) -> Result<&Resources> {
        let read = || async {
            let own = HeaderValue::from_str(&format!("Bearer {AS_ITSELF}"))
                .map_err(|error| Error::because("discovery", error))?;
            let mut documents = Vec::new();
            for path in ["/api", "/apis"] {
                let answer = self
                    .ask("GET", path, DISCOVERY, Some(&own), &Value::Null)
                    .await?;
                let document: Discovery = serde_json::from_value(answer)
                    .map_err(|error| Error::because(format_args!("discovery at {path}"), error))?;
                documents.push(document);
            }
            Ok(Resources::from_discovery(&documents))
        };
        self.served.get_or_try_init(read).await
    }

    /// A request of the proxy's own.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        credentials: Option<&HeaderValue>,
        body: &Value,
    ) -> Result<Value> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, "application/json");
        if let Some(credentials) = credentials {
            request = request.header(AUTHORIZATION, credentials);
        }
        let (head, ()) = request
            .body(())
            .map_err(|error| Error::because(path, error))?
            .into_parts();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let response = self.send(&head, body.into()).await?;
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| Error::because(path, chain(&error)))?
            .to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| Error::because(path, error))
    }

    fn address(&self, path: &str) -> Result<Uri> {
        let base = self.server.path().trim_end_matches('/');
        let mut parts = self.server.clone().into_parts();
        parts.path_and_query = Some(
            format!("{base}{path}")
                .parse()
                .map_err(|error| Error::because(path, error))?,
        );
        Uri::from_parts(parts).map_err(|error| Error::because(path, error))
    }
}

fn sender<C>(connector: C) -> Send
where
    C: Connect + Clone + Sync + std::marker::Send + 'static,
{
    let client: Client<C, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    Box::new(move |request| client.request(request))
}

fn wants_own(credentials: Option<&HeaderValue>) -> bool {
    credentials
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .is_some_and(|token| token == AS_ITSELF)
}

/// Headers that speak of one connection only.
fn is_of_the_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || matches!(
            name.as_str(),
            "keep-alive" | "transfer-encoding" | "te" | "trailer" | "proxy-connection"
        )
}

fn token_of(kubeconfig: &Path) -> Result<Option<String>> {
    let named = |error: &dyn std::fmt::Display| Error::because(kubeconfig.display(), error);
    let text = std::fs::read_to_string(kubeconfig).map_err(|error| named(&error))?;
    let config: Value = serde_saphyr::from_str(&text).map_err(|error| named(&error))?;
    let token = config
        .pointer("/users/0/user/token")
        .and_then(Value::as_str);
    Ok(token.map(str::to_owned))
}
