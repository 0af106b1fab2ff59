//! Controllers of pods, and the pod template they share.

use serde::Deserialize;

use super::lenient::{IntOrString, null_default, present};
use super::{LabelSelector, Labels, Meta};

/// The template from which a controller makes pods.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(default, deserialize_with = "null_default")]
    pub metadata: TemplateMeta,
    /// What runs in them.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: PodSpec,
}

/// Metadata of a template: it has no name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TemplateMeta {
    /// Labels of the pods.
    #[serde(default)]
    pub labels: Labels,
    /// Annotations of the pods.
    #[serde(default)]
    pub annotations: Labels,
}

/// What we read of a pod's spec.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The service account; `default` when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub service_account_name: String,
    /// Whether the pods use their node's network.
    #[serde(default, deserialize_with = "null_default")]
    pub host_network: bool,
    /// Containers.
    #[serde(default, deserialize_with = "null_default")]
    pub containers: Vec<Container>,
    /// Init containers, native sidecars among them.
    #[serde(default, deserialize_with = "null_default")]
    pub init_containers: Vec<Container>,
}

impl PodSpec {
    /// The service account's name as Kubernetes fills it in.
    pub fn service_account(&self) -> &str {
        if self.service_account_name.is_empty() {
            "default"
        } else {
            &self.service_account_name
        }
    }
}

/// What we read of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    #[serde(default, deserialize_with = "null_default")]
    pub image: String,
    /// Its environment.
    #[serde(default, deserialize_with = "null_default")]
    pub env: Vec<EnvVar>,
    /// Its arguments.
    #[serde(default, deserialize_with = "null_default")]
    pub args: Vec<String>,
    /// What it listens on, as far as it says.
    #[serde(default, deserialize_with = "null_default")]
    pub ports: Vec<ContainerPort>,
    /// What it does when it starts and before it stops.
    #[serde(default, deserialize_with = "null_default")]
    pub lifecycle: Lifecycle,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Its name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// Its number.
    #[serde(default)]
    pub container_port: u16,
}

/// Hooks of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Whether something runs before it stops.
    #[serde(default, deserialize_with = "present")]
    pub pre_stop: bool,
}

impl Container {
    /// The literal value of an environment variable; `None` when it is absent or comes from
    /// elsewhere.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find(|env| env.name == name)
            .and_then(|env| env.value.as_deref())
    }
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its literal value.
    #[serde(default)]
    pub value: Option<String>,
}

/// How a controller replaces pods.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// `RollingUpdate`, `Recreate`, `OnDelete`.
    #[serde(rename = "type", default, deserialize_with = "null_default")]
    pub kind: String,
    /// Settings of a rolling update.
    #[serde(default, deserialize_with = "null_default")]
    pub rolling_update: RollingUpdate,
}

/// Settings of a rolling update.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct RollingUpdate {
    /// StatefulSets: only pods with at least this ordinal are replaced.
    #[serde(default)]
    pub partition: Option<IntOrString>,
}

/// Spec of the controllers that keep a number of pods.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicasSpec {
    /// How many pods; 1 when absent.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Which pods are its own.
    #[serde(default, deserialize_with = "null_default")]
    pub selector: LabelSelector,
    /// What the pods are made of.
    #[serde(default, deserialize_with = "null_default")]
    pub template: PodTemplate,
    /// How pods are replaced; Deployments and Rollouts call it `strategy`.
    #[serde(default, alias = "strategy", deserialize_with = "null_default")]
    pub update_strategy: UpdateStrategy,
    /// Argo Rollouts: the Deployment whose template is used instead.
    #[serde(default)]
    pub workload_ref: Option<WorkloadRef>,
    /// Whether changes to the template are held back (Deployment, Rollout).
    #[serde(default, deserialize_with = "null_default")]
    pub paused: bool,
}

/// Argo Rollouts' reference to another workload's template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// How many pods there are and should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// Pods that are ready (all but DaemonSets).
    #[serde(default)]
    pub ready_replicas: u32,
    /// DaemonSets: nodes that should run a pod.
    #[serde(default)]
    pub desired_number_scheduled: u32,
    /// DaemonSets: nodes that run a ready pod.
    #[serde(default)]
    pub number_ready: u32,
}

macro_rules! replicated {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        pub struct $name {
            /// Name, labels, annotations, owner.
            pub metadata: Meta,
            /// What it should be.
            #[serde(default, deserialize_with = "null_default")]
            pub spec: ReplicasSpec,
            /// What it is.
            #[serde(default, deserialize_with = "null_default")]
            pub status: WorkloadStatus,
        }
        super::resource!($name);
    )+};
}
replicated!(
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A ReplicaSet; only those without an owner are workloads.
    ReplicaSet,
    /// An Argo Rollout.
    Rollout,
);

/// A Job.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    /// Name, labels, annotations, owner.
    pub metadata: Meta,
    /// What it runs.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: JobSpec,
    /// What it did.
    #[serde(default, deserialize_with = "null_default")]
    pub status: JobStatus,
}

/// Spec of a Job.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct JobSpec {
    /// What the pods are made of.
    #[serde(default, deserialize_with = "null_default")]
    pub template: PodTemplate,
}

/// Status of a Job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// Whether it is over.
    #[serde(default, deserialize_with = "present")]
    pub completion_time: bool,
}

/// A CronJob.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CronJob {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// What it makes.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: CronJobSpec,
}

/// Spec of a CronJob.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CronJobSpec {
    /// The Jobs that it makes.
    #[serde(default, deserialize_with = "null_default")]
    pub job_template: JobTemplate,
}

/// What a CronJob's Jobs are made of.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct JobTemplate {
    /// Their spec.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: JobSpec,
}
super::resource!(Job, CronJob);
