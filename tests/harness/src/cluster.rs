//! A cluster as one identity sees it: objects in and out, as plain JSON.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::error::{Error, Result, chain};
use crate::manifest::Manifests;
use crate::resources::{DISCOVERY, Discovery, Resource, Resources};
use crate::runtime::{block_on, runtime};

/// Who writes, as `managedFields` name it.
const FIELD_MANAGER: &str = "harness";

/// The API server through one kubeconfig.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: kube::Client,
    kubeconfig: PathBuf,
    resources: Arc<Mutex<Option<Arc<Resources>>>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("kubeconfig", &self.kubeconfig)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster of the kubeconfig's current context.
    #[track_caller]
    pub fn of(kubeconfig: impl Into<PathBuf>) -> Result<Self> {
        let kubeconfig = kubeconfig.into();
        let config = block_on(configuration(&kubeconfig))?;
        // kube's client spawns its buffer where it is made.
        let _inside = runtime()?.enter();
        let client = kube::Client::try_from(config)
            .map_err(|error| Error::because(kubeconfig.display(), chain(&error)))?;
        Ok(Self {
            client,
            kubeconfig,
            resources: Arc::default(),
        })
    }

    /// The file that commands find this cluster with.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// One object; none if it does not exist. `kind` is `Deployment`, `deployments` or
    /// `Gateway.networking.istio.io`; `namespace` does not matter to kinds without one.
    #[track_caller]
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        block_on(async {
            let resource = self.kind(kind).await?;
            let path = resource.path(Some(namespace), Some(name));
            match self.send(get(&path)).await {
                Ok(object) => Ok(Some(object)),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(Error::api(resource.describe(Some(namespace), name), &error)),
            }
        })
    }

    /// The objects of a kind in a namespace, or in all of them, in the server's order.
    #[track_caller]
    pub fn list(&self, kind: &str, namespace: Option<&str>) -> Result<Vec<Value>> {
        block_on(async {
            let resource = self.kind(kind).await?;
            let path = resource.path(namespace, None);
            let mut list = self
                .send(get(&path))
                .await
                .map_err(|error| Error::api(format_args!("list of {resource}"), &error))?;
            Ok(match list["items"].take() {
                Value::Array(items) => items,
                _ => Vec::new(),
            })
        })
    }

    /// Applies manifests (server-side apply): definitions first, then namespaces, then the rest in
    /// the order of the text.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> Result<Vec<Value>> {
        let manifests = Manifests::parse(yaml)?;
        block_on(self.apply_all(&manifests, "default"))
    }

    pub(crate) async fn apply_all(
        &self,
        manifests: &Manifests,
        default_namespace: &str,
    ) -> Result<Vec<Value>> {
        let mut applied = Vec::new();
        for object in manifests.in_order() {
            applied.push(self.apply_one(object, default_namespace).await?);
        }
        Ok(applied)
    }

    async fn apply_one(&self, object: &Value, default_namespace: &str) -> Result<Value> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (Some(api_version), Some(kind), Some(name)) =
            (text("/apiVersion"), text("/kind"), text("/metadata/name"))
        else {
            return Err(Error::new(format!(
                "cannot be applied, without apiVersion, kind or metadata.name: {object}"
            )));
        };
        let namespace = text("/metadata/namespace").unwrap_or(default_namespace);
        let known = self.resources(false).await?;
        let resource = match known.of(api_version, kind) {
            Ok(resource) => resource.clone(),
            // Its definition may have been applied a moment ago.
            Err(_) => self.resources(true).await?.of(api_version, kind)?.clone(),
        };
        let path = format!(
            "{}?fieldManager={FIELD_MANAGER}&force=true",
            resource.path(Some(namespace), Some(name))
        );
        self.send(write(
            "PATCH",
            &path,
            "application/apply-patch+yaml",
            object,
        ))
        .await
        .map_err(|error| {
            let what = resource.describe(Some(namespace), name);
            Error::api(format_args!("apply {what}"), &error)
        })
    }

    /// Creates one object, so that one that exists is an error.
    #[track_caller]
    pub fn create(&self, object: &Value) -> Result<Value> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let api_version = text("/apiVersion").unwrap_or_default();
        let kind = text("/kind").unwrap_or_default();
        let namespace = text("/metadata/namespace");
        block_on(async {
            let resource = self.resources(false).await?.of(api_version, kind)?.clone();
            self.send(write(
                "POST",
                &resource.path(namespace, None),
                "application/json",
                object,
            ))
            .await
            .map_err(|error| Error::api(format_args!("create {kind}"), &error))
        })
    }

    /// Changes an object by a merge patch. `subresource` is part of the name: `cart/status`.
    #[track_caller]
    pub fn patch(&self, kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value> {
        block_on(async {
            let resource = self.kind(kind).await?;
            let path = resource.path(Some(namespace), Some(name));
            self.send(write("PATCH", &path, "application/merge-patch+json", patch))
                .await
                .map_err(|error| {
                    let what = resource.describe(Some(namespace), name);
                    Error::api(format_args!("patch {what}"), &error)
                })
        })
    }

    /// Sets the replicas of a workload.
    #[track_caller]
    pub fn scale(&self, kind: &str, namespace: &str, name: &str, replicas: u32) -> Result {
        let patch = json!({"spec": {"replicas": replicas}});
        self.patch(kind, namespace, &format!("{name}/scale"), &patch)?;
        Ok(())
    }

    /// Restarts a workload as `kubectl rollout restart` does. `at` becomes the annotation's value
    /// and must differ from the last one.
    #[track_caller]
    pub fn restart(&self, kind: &str, namespace: &str, name: &str, at: &str) -> Result {
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": at});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        self.patch(kind, namespace, name, &patch)?;
        Ok(())
    }

    /// Deletes an object; one that is not there is deleted already. Does not wait for it to go.
    #[track_caller]
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result {
        block_on(async {
            let resource = self.kind(kind).await?;
            let path = resource.path(Some(namespace), Some(name));
            let options = json!({"propagationPolicy": "Background"});
            match self
                .send(write("DELETE", &path, "application/json", &options))
                .await
            {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(error) => {
                    let what = resource.describe(Some(namespace), name);
                    Err(Error::api(format_args!("delete {what}"), &error))
                }
            }
        })
    }

    /// A GET of any path.
    #[track_caller]
    pub fn raw(&self, path: &str) -> Result<Value> {
        block_on(async {
            self.send(get(path))
                .await
                .map_err(|error| Error::api(path, &error))
        })
    }

    /// A POST of JSON to any path.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        block_on(async {
            self.send(write("POST", path, "application/json", body))
                .await
                .map_err(|error| Error::api(path, &error))
        })
    }

    /// The kind that `word` means, asked anew of the server if it is unknown.
    pub(crate) async fn kind(&self, word: &str) -> Result<Resource> {
        match self.resources(false).await?.named(word) {
            Ok(resource) => Ok(resource.clone()),
            Err(_) => self.resources(true).await?.named(word).cloned(),
        }
    }

    async fn resources(&self, anew: bool) -> Result<Arc<Resources>> {
        let lock = || {
            self.resources
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let (false, Some(known)) = (anew, lock().clone()) {
            return Ok(known);
        }
        let mut documents = Vec::new();
        for path in ["/api", "/apis"] {
            let request = Request::get(path)
                .header("accept", DISCOVERY)
                .body(Vec::new())
                .map_err(kube::Error::HttpError);
            let document: Discovery = match request {
                Ok(request) => self.client.request(request).await,
                Err(error) => Err(error),
            }
            .map_err(|error| Error::api(format_args!("discovery at {path}"), &error))?;
            documents.push(document);
        }
        let found = Arc::new(Resources::from_discovery(&documents));
        *lock() = Some(Arc::clone(&found));
        Ok(found)
    }

    pub(crate) async fn send(
        &self,
        request: http::Result<Request<Vec<u8>>>,
    ) -> std::result::Result<Value, kube::Error> {
        let request = request.map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }
}

/// Reads a kubeconfig into kube's configuration.
pub(crate) async fn configuration(file: &Path) -> Result<kube::Config> {
    let named = |error: &dyn std::error::Error| Error::because(file.display(), chain(error));
    let kubeconfig = Kubeconfig::read_from(file).map_err(|error| named(&error))?;
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| named(&error))?;
    // What a test asks, the server is asked once.
    config.default_retry = false;
    Ok(config)
}

pub(crate) fn get(path: &str) -> http::Result<Request<Vec<u8>>> {
    Request::get(path)
        .header("accept", "application/json")
        .body(Vec::new())
}

pub(crate) fn write(
    method: &str,
    path: &str,
    content_type: &str,
    body: &Value,
) -> http::Result<Request<Vec<u8>>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json")
        .header("content-type", content_type)
        .body(body.to_string().into_bytes())
}
