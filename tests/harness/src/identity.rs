//! Service accounts with exactly the permissions that a test gives them.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::launcher::Up;
use crate::namespace::{Namespace, fresh};

/// How long the API server may take to go by new permissions.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two questions whether it does.
const PAUSE: Duration = Duration::from_millis(20);

/// One rule of a role, where it holds.
#[derive(Debug, Clone)]
pub struct Permission {
    namespace: Option<String>,
    rule: Value,
}

impl Permission {
    /// In every namespace, and for what has none: `everywhere(&["list"], "apps", &["deployments"])`.
    pub fn everywhere(verbs: &[&str], group: &str, resources: &[&str]) -> Self {
        Self {
            namespace: None,
            rule: json!({"verbs": verbs, "apiGroups": [group], "resources": resources}),
        }
    }

    /// In one namespace.
    pub fn within(namespace: &str, verbs: &[&str], group: &str, resources: &[&str]) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..Self::everywhere(verbs, group, resources)
        }
    }

    /// Only for the objects of these names.
    #[must_use]
    pub fn named(mut self, names: &[&str]) -> Self {
        self.rule["resourceNames"] = json!(names);
        self
    }
}

/// A service account, its kubeconfig, and the cluster as it sees it.
#[derive(Debug)]
pub struct Identity {
    user: String,
    /// The service account's namespace.
    home: String,
    /// The service account's name, which nobody else has: also that of its roles.
    name: String,
    admin: Cluster,
    cluster: Cluster,
    kubeconfig: PathBuf,
    permitted: Mutex<Vec<Permission>>,
    _folder: TempDir,
}

impl Identity {
    #[track_caller]
    pub(crate) fn create(
        admin: &Cluster,
        up: &Up,
        namespace: &Namespace,
        permissions: &[Permission],
    ) -> Result<Self> {
        let name = fresh("tester");
        let home = namespace.name();
        admin.apply(
            &json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": home},
            })
            .to_string(),
        )?;
        let answer = admin.post(
            &format!("/api/v1/namespaces/{home}/serviceaccounts/{name}/token"),
            &json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                "spec": {"expirationSeconds": 3600},
            }),
        )?;
        let token = answer["status"]["token"].as_str().unwrap_or_default();
        let folder = tempfile::Builder::new()
            .prefix("harness-identity")
            .tempdir()
            .map_err(|error| Error::because("a folder for the kubeconfig", error))?;
        let kubeconfig = folder.path().join("kubeconfig");
        write_kubeconfig(&up.kubeconfig, &kubeconfig, home, token)?;
        let identity = Self {
            user: format!("system:serviceaccount:{home}:{name}"),
            home: home.to_owned(),
            name,
            admin: admin.clone(),
            cluster: Cluster::of(&kubeconfig)?,
            kubeconfig,
            permitted: Mutex::default(),
            _folder: folder,
        };
        identity.permit(permissions)?;
        Ok(identity)
    }

    /// What the API server calls it.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The file to connect with as this identity.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The cluster as it sees it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Gives it these permissions in place of those that it has, and waits until the API server goes
    /// by them.
    #[track_caller]
    pub fn permit(&self, permissions: &[Permission]) -> Result {
        if !self.permitted().is_empty() {
            self.withdraw()?;
        }
        permissions.clone_into(&mut self.permitted());
        for (index, permission) in permissions.iter().enumerate() {
            let name = format!("{}-{index}", self.name);
            let kind = if permission.namespace.is_some() {
                ""
            } else {
                "Cluster"
            };
            let metadata = json!({
                "name": name,
                "namespace": permission.namespace,
                "labels": {"harness": self.name},
            });
            self.admin.create(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Role"),
                "metadata": metadata, "rules": [permission.rule],
            }))?;
            self.admin.create(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}RoleBinding"),
                "metadata": metadata,
                "subjects": [{"kind": "ServiceAccount", "namespace": self.home, "name": self.name}],
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": format!("{kind}Role"), "name": name,
                },
            }))?;
        }
        self.settle(permissions, true)
    }

    /// Takes all permissions away, and waits until the API server goes by that.
    #[track_caller]
    pub fn withdraw(&self) -> Result {
        self.remove_roles()?;
        let withdrawn = std::mem::take(&mut *self.permitted());
        self.settle(&withdrawn, false)
    }

    fn permitted(&self) -> MutexGuard<'_, Vec<Permission>> {
        let permitted = self.permitted.lock();
        permitted.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until reviews answer so: the authorizer learns of roles through a watch of its own.
    #[track_caller]
    fn settle(&self, permissions: &[Permission], allowed: bool) -> Result {
        let deadline = Instant::now() + PATIENCE;
        for permission in permissions {
            let rule = &permission.rule;
            let resource = rule["resources"][0].as_str().unwrap_or_default();
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {
                    "verb": rule["verbs"][0], "group": rule["apiGroups"][0],
                    "resource": resource, "subresource": subresource,
                    "name": rule["resourceNames"][0], "namespace": permission.namespace,
                }},
            });
            loop {
                let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
                if self.cluster.post(path, &review)?["status"]["allowed"] == allowed {
                    break;
                }
                if Instant::now() > deadline {
                    let seconds = PATIENCE.as_secs();
                    return Err(Error::new(format!(
                        "after {seconds} s the server's answer to this is not {allowed}: {review}"
                    ))
                    .at(std::panic::Location::caller()));
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    fn remove_roles(&self) -> Result {
        for kind in ["RoleBinding", "ClusterRoleBinding", "Role", "ClusterRole"] {
            for object in self.admin.list(kind, None)? {
                let metadata = &object["metadata"];
                if metadata["labels"]["harness"] == self.name.as_str() {
                    let namespace = metadata["namespace"].as_str().unwrap_or_default();
                    let name = metadata["name"].as_str().unwrap_or_default();
                    self.admin.delete(kind, namespace, name)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // The control plane may be gone already.
        drop(self.remove_roles());
    }
}

/// The administrator's kubeconfig with another user.
fn write_kubeconfig(admin: &Path, file: &Path, namespace: &str, token: &str) -> Result {
    let named = |error: &dyn std::fmt::Display| Error::because(admin.display(), error);
    let text = std::fs::read_to_string(admin).map_err(|error| named(&error))?;
    let mut config: Value = serde_saphyr::from_str(&text).map_err(|error| named(&error))?;
    config["users"] = json!([{"name": "tester", "user": {"token": token}}]);
    let cluster = config["clusters"][0]["name"].clone();
    config["contexts"] = json!([{
        "name": "tester",
        "context": {"cluster": cluster, "user": "tester", "namespace": namespace},
    }]);
    config["current-context"] = json!("tester");
    std::fs::write(file, config.to_string()).map_err(|error| Error::because(file.display(), error))
}
