//! Workloads: what makes pods, whichever controller it is, joined with the pods there are.

use std::collections::{BTreeMap, HashMap};

use super::injection::{Injection, Injectors, NamespaceInjection};
use super::namespaces::{DATA_PLANE_LABEL, Namespace};
use crate::inventory::{Inventory, Object};
use crate::kinds::pod::{Phase, Pod};
use crate::kinds::workload::{Container, PodTemplate, ReplicasSpec, UpdateStrategy};
use crate::kinds::{Kind, Labels, Meta, Name, ObjectRef};

/// The annotation that the injector leaves on every pod it changed.
pub const SIDECAR_STATUS: &str = "sidecar.istio.io/status";
/// The annotation that the CNI plugin writes on pods whose traffic goes through ztunnel.
pub const REDIRECTION: &str = "ambient.istio.io/redirection";
/// The label of sidecar pods that accept HBONE.
pub const TUNNEL_LABEL: &str = "networking.istio.io/tunnel";
/// The label of the sidecar injection template; gateways and waypoints do not carry it.
pub const TLS_MODE_LABEL: &str = "security.istio.io/tlsMode";
/// The label that names the Gateway whose pods these are.
pub const GATEWAY_NAME_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
/// The label of pods and Services that istiod made for a Gateway.
pub const MANAGED_LABEL: &str = "gateway.istio.io/managed";

/// How one pod takes part in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataPlane {
    /// Through a proxy in the pod.
    Sidecar,
    /// Through the node's ztunnel.
    Ambient,
    /// Not at all.
    None,
}

/// How a workload takes part in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// All its pods in this way (or the pods that it would make).
    All(DataPlane),
    /// Its pods differ.
    Mixed,
    /// It has no pods, and what a new one would be cannot be told.
    Unknown,
}

/// What a workload is to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It serves or calls.
    Application,
    /// An Envoy at the edge of the mesh.
    Gateway,
    /// A waypoint.
    Waypoint,
    /// Part of Istio itself.
    Istio,
}

/// Something that makes pods.
#[derive(Debug)]
pub struct Workload {
    /// Its controller; the pod itself for a bare pod.
    pub object: ObjectRef,
    /// What it is to the mesh.
    pub role: Role,
    /// Labels of its pods.
    pub labels: Labels,
    /// Annotations of its pods as their owner wrote them (for a pod without a readable owner: as
    /// they are).
    pub annotations: Labels,
    /// Their service account.
    pub service_account: Name,
    /// Whether they use their node's network.
    pub host_network: bool,
    /// How many pods it should have, where that is a number.
    pub replicas: Option<u32>,
    /// How it replaces pods.
    pub update_strategy: UpdateStrategy,
    /// Whether changes to its template are held back.
    pub paused: bool,
    /// Whether there is a controller whose template can be read.
    pub has_template: bool,
    /// The containers of its template.
    pub containers: Vec<Container>,
    /// What happens to a pod that it makes now.
    pub injection: Injection,
    /// Whether a pod that it makes now without a sidecar would be captured by ztunnel; `None` when
    /// the namespace's labels are unknown.
    pub enrolled: Option<bool>,
    /// Its pods: positions in the inventory's list.
    pub(super) pods: Vec<u32>,
    pub(super) mode: Mode,
    /// The Services that select it: positions in the mesh's list.
    pub(super) services: Vec<u32>,
}

impl Workload {
    /// How it takes part in the mesh.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether any of its pods has a sidecar, or would get one.
    pub fn has_sidecar(&self) -> bool {
        match self.mode {
            Mode::All(data_plane) => data_plane == DataPlane::Sidecar,
            Mode::Mixed => true,
            Mode::Unknown => false,
        }
    }

    /// Whether its pods run and end: a Job, a CronJob.
    pub fn runs_to_completion(&self) -> bool {
        matches!(self.object.kind, Kind::Job | Kind::CronJob)
    }

    /// How many pods it has.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }
}

/// What a selector asks of a template: pods get [`TLS_MODE_LABEL`] when they get their sidecar.
pub fn asked_of_template(wanted: &Labels) -> Labels {
    if wanted.get(TLS_MODE_LABEL).is_none() {
        return wanted.clone();
    }
    let others = wanted.pairs().iter();
    let others = others.filter(|(key, _)| **key != *TLS_MODE_LABEL);
    Labels::from_pairs(others.cloned().collect())
}

/// How a pod takes part in the mesh, by what was written on it.
pub fn data_plane(pod: &Pod) -> DataPlane {
    let annotations = &pod.metadata.annotations;
    if annotations.get(SIDECAR_STATUS).is_some() {
        DataPlane::Sidecar
    } else if annotations.has(REDIRECTION, "enabled") {
        DataPlane::Ambient
    } else {
        DataPlane::None
    }
}

/// How a pod of a workload takes part in the mesh. A pod of a manifest that never ran (it has no
/// phase) becomes what its labels make of it.
pub fn data_plane_in(workload: &Workload, pod: &Pod) -> DataPlane {
    let ran = pod
        .detail
        .as_ref()
        .is_none_or(|detail| detail.phase != Phase::Unknown);
    match data_plane(pod) {
        DataPlane::None if !ran => match (&workload.injection, workload.enrolled) {
            (Injection::Injected(_), _) => DataPlane::Sidecar,
            (Injection::NotInjected, Some(true)) => DataPlane::Ambient,
            _ => DataPlane::None,
        },
        known => known,
    }
}

struct Draft<'i> {
    object: ObjectRef,
    template: &'i PodTemplate,
    replicas: Option<u32>,
    spec: Option<&'i ReplicasSpec>,
    suspended_owner: bool,
}

fn drafts(inventory: &Inventory) -> Vec<Draft<'_>> {
    let objects = &inventory.objects;
    let mut drafts = Vec::new();
    macro_rules! replicated {
        ($($field:ident: $kind:ident),+) => {$(
            for object in &objects.$field {
                let spec = &object.spec;
                let template = match &spec.workload_ref {
                    Some(target) if target.kind == "Deployment" => crate::inventory::find(
                        &objects.deployments, &object.metadata.namespace, &target.name,
                    ).map_or(&spec.template, |deployment| &deployment.spec.template),
                    _ => &spec.template,
                };
                drafts.push(Draft {
                    object: ObjectRef::new(
                        Kind::$kind, &object.metadata.namespace, &object.metadata.name,
                    ),
                    template,
                    replicas: (Kind::$kind != Kind::DaemonSet).then(|| spec.replicas.unwrap_or(1)),
                    spec: Some(spec),
                    suspended_owner: object.metadata.owner.is_some(),
                });
            }
        )+};
    }
    replicated!(
        deployments: Deployment, stateful_sets: StatefulSet, daemon_sets: DaemonSet,
        rollouts: Rollout, replica_sets: ReplicaSet
    );
    let finite = |meta: &Meta, kind| ObjectRef::new(kind, &meta.namespace, &meta.name);
    for job in objects
        .jobs
        .iter()
        .filter(|job| !job.status.completion_time)
    {
        drafts.push(Draft {
            object: finite(&job.metadata, Kind::Job),
            template: &job.spec.template,
            replicas: None,
            spec: None,
            suspended_owner: job.metadata.owner.is_some(),
        });
    }
    for cron in &objects.cron_jobs {
        drafts.push(Draft {
            object: finite(&cron.metadata, Kind::CronJob),
            template: &cron.spec.job_template.spec.template,
            replicas: None,
            spec: None,
            suspended_owner: false,
        });
    }
    // What another controller owns is that controller's; a Deployment's ReplicaSets are not
    // workloads of their own, nor is a CronJob's Job.
    drafts.retain(|draft| {
        !(draft.suspended_owner && matches!(draft.object.kind, Kind::ReplicaSet | Kind::Job))
    });
    drafts
}

/// All workloads, sorted by namespace, kind and name.
pub(super) fn resolve(
    inventory: &Inventory,
    namespaces: &BTreeMap<Name, Namespace>,
    injectors: &Injectors,
) -> Vec<Workload> {
    let mut workloads: Vec<Workload> = drafts(inventory)
        .into_iter()
        .map(|draft| from_draft(&draft))
        .collect();
    let mut by_object: HashMap<ObjectRef, usize> = workloads
        .iter()
        .enumerate()
        .map(|(i, w)| (w.object.clone(), i))
        .collect();
    for (position, pod) in inventory.objects.pods.iter().enumerate() {
        let owner = owner(pod, &by_object, inventory);
        let index = *by_object.entry(owner.clone()).or_insert_with(|| {
            workloads.push(from_pod(owner, pod));
            workloads.len() - 1
        });
        workloads[index]
            .pods
            .push(u32::try_from(position).unwrap_or(u32::MAX));
    }
    for workload in &mut workloads {
        settle(workload, inventory, namespaces, injectors);
    }
    workloads.sort_by(|a, b| a.object.cmp(&b.object));
    workloads
}

fn from_draft(draft: &Draft<'_>) -> Workload {
    let template = draft.template;
    Workload {
        object: draft.object.clone(),
        role: role(&template.metadata.labels, &template.metadata.annotations),
        labels: template.metadata.labels.clone(),
        annotations: template.metadata.annotations.clone(),
        service_account: Name::from(template.spec.service_account()),
        host_network: template.spec.host_network,
        replicas: draft.replicas,
        update_strategy: draft
            .spec
            .map(|spec| spec.update_strategy.clone())
            .unwrap_or_default(),
        paused: draft.spec.is_some_and(|spec| spec.paused),
        has_template: true,
        containers: template.spec.containers.clone(),
        injection: Injection::Unknown,
        enrolled: None,
        pods: Vec::new(),
        mode: Mode::Unknown,
        services: Vec::new(),
    }
}

fn from_pod(object: ObjectRef, pod: &Object<Pod>) -> Workload {
    let detail = pod.detail.as_ref();
    Workload {
        object,
        role: role(&pod.metadata.labels, &pod.metadata.annotations),
        labels: pod.metadata.labels.clone(),
        annotations: pod.metadata.annotations.clone(),
        service_account: detail.map_or_else(
            || Name::from("default"),
            |detail| detail.service_account.clone(),
        ),
        host_network: detail.is_some_and(|detail| detail.host_network),
        replicas: None,
        update_strategy: UpdateStrategy::default(),
        paused: false,
        has_template: false,
        containers: Vec::new(),
        injection: Injection::Unknown,
        enrolled: None,
        pods: Vec::new(),
        mode: Mode::Unknown,
        services: Vec::new(),
    }
}

/// What its labels claim it to be. That of a label which anyone may write holds only as long as it
/// is not injected like an application (`settle`).
fn role(labels: &Labels, annotations: &Labels) -> Role {
    if let Some(managed) = labels.get(MANAGED_LABEL) {
        return if managed == "istio.io-mesh-controller" {
            Role::Waypoint
        } else {
            Role::Gateway
        };
    }
    if labels.get(GATEWAY_NAME_LABEL).is_some()
        || is_gateway_template(annotations)
        || labels
            .get("istio")
            .is_some_and(|name| name.ends_with("gateway"))
    {
        return Role::Gateway;
    }
    let app = labels.get("app").unwrap_or_default();
    let k8s_app = labels.get("k8s-app").unwrap_or_default();
    if matches!(app, "istiod" | "ztunnel") || k8s_app == "istio-cni-node" {
        Role::Istio
    } else {
        Role::Application
    }
}

fn is_gateway_template(annotations: &Labels) -> bool {
    let templates = annotations.get("inject.istio.io/templates");
    templates.is_some_and(|names| names.split(',').any(|name| name.trim() == "gateway"))
}

/// Whether it gets the sidecar of an application. Istio's own components and gateways are kept from
/// it by their labels, or are injected by a template of their own.
fn is_injected_like_an_application(workload: &Workload, inventory: &Inventory) -> bool {
    let has_sidecar = |position: &u32| {
        let pod = &inventory.objects.pods[*position as usize];
        data_plane(pod) == DataPlane::Sidecar && pod.metadata.labels.has(TLS_MODE_LABEL, "istio")
    };
    workload.labels.get(MANAGED_LABEL).is_none()
        && !is_gateway_template(&workload.annotations)
        && (matches!(workload.injection, Injection::Injected(_))
            || workload.pods.iter().any(has_sidecar))
}

/// The workload of a pod. The Deployment behind a ReplicaSet is told from the ReplicaSet's name,
/// which ends in the pod's template hash, as Istio does (`pkg/kube/controllers` and
/// `GetDeployMetaFromPod`): listing ReplicaSets, ten to a Deployment, is not needed.
fn owner(pod: &Object<Pod>, known: &HashMap<ObjectRef, usize>, inventory: &Inventory) -> ObjectRef {
    let namespace = &pod.metadata.namespace;
    let Some(owner) = &pod.metadata.owner else {
        return ObjectRef::new(Kind::Pod, namespace, &pod.metadata.name);
    };
    let named = |kind: Kind, name: &Name| ObjectRef::new(kind, namespace, name);
    match owner.kind.as_ref() {
        "ReplicaSet" => {
            let set = named(Kind::ReplicaSet, &owner.name);
            let base = |label, kind| {
                let hash = pod.metadata.labels.get(label)?;
                let base = owner.name.strip_suffix(hash)?.strip_suffix('-')?;
                Some(named(kind, &Name::from(base)))
            };
            let candidates = [
                base("pod-template-hash", Kind::Rollout),
                base("pod-template-hash", Kind::Deployment),
                base("rollouts-pod-template-hash", Kind::Rollout),
            ];
            let [_, deployment, rollout] = &candidates;
            let mut known_ones = candidates
                .iter()
                .flatten()
                .chain([&set])
                .filter(|object| known.contains_key(object));
            // What was not read is named all the same, as Istio does by the name alone.
            let named = known_ones
                .next()
                .or(deployment.as_ref())
                .or(rollout.as_ref());
            named.unwrap_or(&set).clone()
        }
        "Job" => {
            let job = crate::inventory::find(&inventory.objects.jobs, namespace, &owner.name);
            match job.and_then(|job| job.metadata.owner.as_ref()) {
                Some(cron) if cron.kind.as_ref() == "CronJob" => named(Kind::CronJob, &cron.name),
                _ => named(Kind::Job, &owner.name),
            }
        }
        "StatefulSet" => named(Kind::StatefulSet, &owner.name),
        "DaemonSet" => named(Kind::DaemonSet, &owner.name),
        _ => named(Kind::Pod, &pod.metadata.name),
    }
}

fn settle(
    workload: &mut Workload,
    inventory: &Inventory,
    namespaces: &BTreeMap<Name, Namespace>,
    injectors: &Injectors,
) {
    let namespace = namespaces.get(&workload.object.namespace);
    let setting = namespace.map_or(NamespaceInjection::Unknown, |ns| ns.injection.clone());
    workload.injection = injectors.decide(
        &workload.object.namespace,
        &setting,
        &workload.labels,
        &workload.annotations,
        workload.host_network,
    );
    if is_injected_like_an_application(workload, inventory) {
        workload.role = Role::Application;
    }
    workload.enrolled = match workload.labels.get(DATA_PLANE_LABEL) {
        _ if workload.host_network => Some(false),
        Some("ambient") => Some(true),
        Some("none") => Some(false),
        _ => namespace.and_then(Namespace::ambient),
    };
    let mut planes = workload
        .pods
        .iter()
        .map(|position| data_plane_in(workload, &inventory.objects.pods[*position as usize]));
    workload.mode = match planes.next() {
        Some(first) if planes.all(|plane| plane == first) => Mode::All(first),
        Some(_) => Mode::Mixed,
        None => match (&workload.injection, workload.enrolled) {
            (Injection::Injected(_), _) => Mode::All(DataPlane::Sidecar),
            (Injection::NotInjected, Some(true)) => Mode::All(DataPlane::Ambient),
            (Injection::NotInjected, Some(false)) => Mode::All(DataPlane::None),
            _ => Mode::Unknown,
        },
    };
}
