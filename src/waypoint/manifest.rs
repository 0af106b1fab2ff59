//! The objects that make a waypoint: a Gateway, and a ConfigMap where it is more than istiod's default.
//!
//! istiod makes a Deployment of one replica for such a Gateway, and lays the keys of the ConfigMap
//! that `infrastructure.parametersRef` names over what it makes
//! (`pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go`).

use serde_json::{Map, Value, json};

use crate::mesh::waypoints::{Traffic, WAYPOINT_CLASS, WAYPOINT_FOR};

/// The name of a waypoint that is given none, and of its service account.
pub const NAME: &str = "waypoint";
/// The label that says which istiod takes care of it.
pub const REVISION: &str = "istio.io/rev";
/// How many replicas a waypoint has that stands before more than one pod of a workload.
pub const SEVERAL: u16 = 2;
/// The label of what this program made.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubectl-ambient");

/// A waypoint to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Its namespace; none where whoever applies it says it.
    pub namespace: Option<String>,
    /// Which traffic it takes; none leaves it to the class.
    pub traffic: Option<Traffic>,
    /// Which istiod takes care of it; none leaves it to the namespace.
    pub revision: Option<String>,
    /// How many replicas it has; none leaves it to istiod, which makes one.
    pub replicas: Option<u16>,
}

impl Wanted {
    /// The objects in the order in which they are applied: the Gateway's parameters must be there
    /// before it is.
    pub fn objects(&self) -> Vec<Value> {
        self.options().into_iter().chain([self.gateway()]).collect()
    }

    /// The name of the ConfigMap for a waypoint.
    pub fn options_name(&self) -> String {
        options_name(&self.name)
    }

    /// What the Deployment is to have; nothing without replicas of its own.
    pub fn options(&self) -> Option<Value> {
        let replicas = self.replicas?;
        let mut data = Map::new();
        data.insert(
            "deployment".to_owned(),
            format!("spec:\n  replicas: {replicas}\n").into(),
        );
        if replicas > 1 {
            data.insert(
                "podDisruptionBudget".to_owned(),
                "spec:\n  minAvailable: 1\n".into(),
            );
        }
        let mut metadata = self.metadata(&self.options_name());
        metadata.insert("labels".to_owned(), json!({ MANAGED_BY.0: MANAGED_BY.1 }));
        Some(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }))
    }

    /// The Gateway.
    pub fn gateway(&self) -> Value {
        let mut metadata = self.metadata(&self.name);
        let mut labels = Map::new();
        if let Some(traffic) = self.traffic {
            labels.insert(WAYPOINT_FOR.to_owned(), traffic.name().into());
        }
        if let Some(revision) = &self.revision {
            labels.insert(REVISION.to_owned(), revision.as_str().into());
        }
        if !labels.is_empty() {
            metadata.insert("labels".to_owned(), labels.into());
        }
        let mut spec = spec();
        if self.replicas.is_some() {
            spec["infrastructure"] = json!({
                "parametersRef": { "group": "", "kind": "ConfigMap", "name": self.options_name() },
            });
        }
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": metadata,
            "spec": spec,
        })
    }

    fn metadata(&self, name: &str) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), name.into());
        if let Some(namespace) = &self.namespace {
            metadata.insert("namespace".to_owned(), namespace.as_str().into());
        }
        metadata
    }
}

/// The names that a waypoint may have that is given none: the first that nothing else has.
pub fn names() -> impl Iterator<Item = String> {
    (1..).map(|number| match number {
        1 => NAME.to_owned(),
        more => format!("{NAME}-{more}"),
    })
}

/// The name of the ConfigMap for a waypoint of this name.
pub fn options_name(waypoint: &str) -> String {
    format!("{waypoint}-options")
}

/// The spec of a waypoint's Gateway, as `istioctl waypoint` writes it
/// (`istioctl/pkg/waypoint/waypoint.go`).
pub fn spec() -> Value {
    json!({
        "gatewayClassName": WAYPOINT_CLASS,
        "listeners": [{ "name": "mesh", "port": 15008, "protocol": "HBONE" }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            name: NAME.to_owned(),
            namespace: Some("shop".to_owned()),
            traffic: None,
            revision: None,
            replicas: None,
        }
    }

    #[test]
    fn by_default_it_is_what_istioctl_makes() {
        assert_eq!(
            wanted().objects(),
            [json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": { "name": "waypoint", "namespace": "shop" },
                "spec": {
                    "gatewayClassName": "istio-waypoint",
                    "listeners": [{ "name": "mesh", "port": 15008, "protocol": "HBONE" }],
                },
            })]
        );
    }

    #[test]
    fn several_replicas_have_a_disruption_budget() {
        let wanted = Wanted {
            replicas: Some(2),
            traffic: Some(Traffic::All),
            revision: Some("canary".to_owned()),
            ..wanted()
        };
        let [options, gateway] = &wanted.objects()[..] else {
            panic!("two objects")
        };
        assert_eq!(
            options["data"],
            json!({ "deployment": "spec:\n  replicas: 2\n", "podDisruptionBudget": "spec:\n  minAvailable: 1\n" })
        );
        assert_eq!(
            gateway["metadata"]["labels"],
            json!({ "istio.io/waypoint-for": "all", "istio.io/rev": "canary" })
        );
        assert_eq!(
            gateway["spec"]["infrastructure"]["parametersRef"]["name"],
            options["metadata"]["name"]
        );
        let one = Wanted {
            replicas: Some(1),
            ..wanted
        };
        assert!(
            one.options()
                .is_some_and(|options| options["data"]["podDisruptionBudget"].is_null())
        );
    }
}
