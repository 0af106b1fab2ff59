//! Copies of policies for waypoints: the same policy, attached by `targetRefs`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ports::ServicePorts;
use super::rewrites;
use super::rules::{self, Naming};
use super::scene::Scene;
use super::targets::{Judged, serves_only, to_services, to_waypoint, with_versions};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, Labels, Name, ObjectRef};
use crate::mesh::services::Service;
use crate::translate::change::{Manifest, new_object};
pub(super) use crate::translate::draft::is_ours;
use crate::translate::{Draft, Phase, Remark, Topic, Weight};

/// What a copy is made of.
pub(super) struct Original<'o> {
    /// The policy.
    pub(super) object: &'o ObjectRef,
    /// The namespace of the copy.
    pub(super) namespace: &'o Name,
    /// Its spec.
    pub(super) spec: &'o Value,
    /// Whether it is for all of its namespace.
    pub(super) wide: bool,
    /// Whether it is only tried.
    pub(super) dry_run: bool,
    /// Whether ztunnel goes on judging by it, so that it may have been written for that already.
    pub(super) stays: bool,
}

/// Copies of an AuthorizationPolicy.
#[derive(Default)]
pub(super) struct Copies {
    /// Their specs.
    pub(super) specs: Vec<Value>,
    /// What is to be said of them.
    pub(super) remarks: Vec<Remark>,
}

/// The copies that judge the callers of some Services as an AuthorizationPolicy does.
///
/// Services for which its rules come out alike share a copy. One for which no rule of a DENY is left
/// has none.
pub(super) fn of_authorization(
    scene: &Scene<'_>,
    original: &Original<'_>,
    judged: &[Judged<'_>],
) -> Result<Copies, Remark> {
    let mut groups: Vec<(Value, Vec<Judged<'_>>)> = Vec::new();
    let mut remarks = Vec::new();
    let refuses = original.spec["action"] != "ALLOW" && !original.spec["action"].is_null();
    for service in judged {
        let rules = for_callers(scene, original, service.service, &mut remarks)?;
        if refuses && rules.is_empty() {
            continue;
        }
        let mut spec = original.spec.as_object().cloned().unwrap_or_default();
        spec.remove("selector");
        if rules.is_empty() {
            spec.remove("rules");
        } else {
            spec.insert("rules".to_owned(), rules.into());
        }
        let spec = Value::Object(spec);
        match groups.iter_mut().find(|(known, _)| *known == spec) {
            Some((_, services)) => services.push(*service),
            None => groups.push((spec, vec![*service])),
        }
    }
    let single = groups.len() == 1;
    let attach = |(spec, services): (Value, Vec<Judged<'_>>)| {
        attached(scene, original, &spec, &services, single)
    };
    Ok(Copies {
        specs: groups.into_iter().flat_map(attach).collect(),
        remarks,
    })
}

/// The rules of a policy as they concern callers of a Service: by its ports, and by requests as
/// callers write them.
fn for_callers(
    scene: &Scene<'_>,
    original: &Original<'_>,
    service: &Service,
    remarks: &mut Vec<Remark>,
) -> Result<Vec<Value>, Remark> {
    let written = original.spec["rules"].as_array();
    let ports = ServicePorts::of(scene.ground.mesh, scene.ways, service);
    let tables = scene.ways.tables(&service.object);
    let name = service.object.short();
    let mut all = Vec::new();
    for (position, rule) in written.into_iter().flatten().enumerate() {
        let mut rule = rule.clone();
        let waypoint = scene.ground.waypoints.serving(&service.object);
        let waypoint = waypoint.map(|bound| scene.identity(&bound.waypoint));
        Naming::without_exemption(&mut rule, waypoint.as_slice());
        if original.stays {
            rules::with_real_names(&mut rule, scene.settings);
            rules::with_read_namespaces(&mut rule);
        }
        let mapped = ports.rule(&rule).map_err(|why| {
            let says = format!("its ports are those of pods, and {}", why.why(service));
            let at = field!["spec", "rules", position, "to"];
            Remark::new(Topic::PolicyPorts, Weight::Refused, at, says)
                .remedy("name the port by its number in targetPort")
        })?;
        let Some(mapped) = mapped else { continue };
        let at = field!["spec", "rules", position];
        let said = rewrites::pulled_back(&mapped, tables).map_err(|why| {
            let says = format!("judges requests as the routes of {name} write them: {why}");
            Remark::new(Topic::RewrittenRequests, Weight::Refused, at.clone(), says)
                .remedy("write the rule for requests as callers of the Service send them")
        })?;
        if said.as_ref() != Some(&mapped) {
            let says = format!("its paths are said as callers of {name} write them");
            remarks.push(Remark::new(
                Topic::RewrittenRequests,
                Weight::Form,
                at,
                says,
            ));
        }
        all.extend(said);
    }
    if tables.iter().any(|(_, table)| rewrites::answers(table)) {
        let says = format!(
            "requests that the routes of {name} answer (redirects, CORS) are judged before they are \
             answered"
        );
        let at = field!["spec"];
        remarks.push(Remark::new(
            Topic::RewrittenRequests,
            Weight::Stated,
            at,
            says,
        ));
    }
    Ok(all)
}

/// The specs of copies of what has no ports.
fn as_it_is(scene: &Scene<'_>, original: &Original<'_>, judged: &[Judged<'_>]) -> Vec<Value> {
    let mut spec = original.spec.as_object().cloned().unwrap_or_default();
    spec.remove("selector");
    if judged.is_empty() {
        return Vec::new();
    }
    attached(scene, original, &Value::Object(spec), judged, true)
}

/// A spec with targets; on the Gateway of a waypoint where that is meant and comes to the same.
fn attached(
    scene: &Scene<'_>,
    original: &Original<'_>,
    spec: &Value,
    services: &[Judged<'_>],
    for_all: bool,
) -> Vec<Value> {
    let mut by_waypoint: BTreeMap<&ObjectRef, Vec<Judged<'_>>> = BTreeMap::new();
    for service in services {
        by_waypoint
            .entry(service.waypoint)
            .or_default()
            .push(*service);
    }
    let mut references = Vec::new();
    let mut single: Vec<ObjectRef> = Vec::new();
    for (waypoint, services) in by_waypoint {
        let all = original.wide && for_all;
        if all && serves_only(scene.ground, waypoint, original.namespace, &services) {
            references.push(to_waypoint(waypoint));
        } else {
            let all = services.iter();
            single
                .extend(all.flat_map(|judged| with_versions(scene.ground, &judged.service.object)));
        }
    }
    single.sort();
    single.dedup();
    references.extend(to_services(&single));
    let with = |targets: Value| {
        let mut fields = Map::new();
        fields.insert("targetRefs".to_owned(), targets);
        fields.extend(spec.as_object().cloned().unwrap_or_default());
        Value::Object(fields)
    };
    references.into_iter().map(with).collect()
}

/// Creates copies under the name of their original; gives what they are called.
pub(super) fn create(
    scene: &Scene<'_>,
    draft: &mut Draft,
    original: &Original<'_>,
    specs: Vec<Value>,
) -> Vec<ObjectRef> {
    let mut made = Vec::new();
    for (position, spec) in specs.into_iter().enumerate() {
        let name = match position {
            0 => format!("{}-wp", original.object.name),
            more => format!("{}-wp-{}", original.object.name, more + 1),
        };
        let new = New {
            kind: original.object.kind,
            namespace: original.namespace,
            name: &name,
            source: original.object,
            dry_run: original.dry_run,
        };
        made.push(new.create(scene, draft, &spec, &[original.object]));
    }
    made
}

/// What goes on at waypoints as it is, and from then on nowhere else.
pub(super) struct Move<'m> {
    /// The object.
    pub(super) object: &'m ObjectRef,
    /// The namespace that is translated.
    pub(super) namespace: &'m Name,
    /// Its spec.
    pub(super) spec: &'m Value,
    /// Whom it selects; everybody when empty.
    pub(super) labels: &'m Labels,
    /// The members that it selects.
    pub(super) members: &'m [usize],
    /// The Services at which it goes on.
    pub(super) judged: &'m [Judged<'m>],
    /// What is remarked, where, with the name of each copy after it.
    pub(super) remark: (Topic, FieldPath, &'m str),
}

/// Copies an object for waypoints, and removes it with the last sidecar that it is for.
pub(super) fn move_over(scene: &Scene<'_>, draft: &mut Draft, moved: &Move<'_>) {
    let object = moved.object;
    let original = Original {
        object,
        namespace: moved.namespace,
        spec: moved.spec,
        wide: moved.labels.is_empty(),
        dry_run: false,
        stays: false,
    };
    let (topic, at, what) = &moved.remark;
    let specs = as_it_is(scene, &original, moved.judged);
    for copy in create(scene, draft, &original, specs) {
        let says = format!("{what} {}", copy.short());
        draft.becomes(object, &copy);
        draft.remark(object, Remark::new(*topic, Weight::Form, at.clone(), says));
    }
    let mut members = moved.members.iter();
    let stays = !scene.bystanders(moved.namespace, moved.labels).is_empty()
        || members.any(|member| scene.members[*member].deferred);
    if object.namespace == *moved.namespace && !stays {
        draft.remove(Phase::Retire, object, &[object]);
    }
}

/// An object that is made.
pub(super) struct New<'n> {
    pub(super) kind: Kind,
    pub(super) namespace: &'n Name,
    pub(super) name: &'n str,
    pub(super) source: &'n ObjectRef,
    pub(super) dry_run: bool,
}

impl New<'_> {
    /// Creates it, under the first free name; nothing is done where it is there already.
    pub(super) fn create(
        &self,
        scene: &Scene<'_>,
        draft: &mut Draft,
        spec: &Value,
        because: &[&ObjectRef],
    ) -> ObjectRef {
        let mesh = scene.ground.mesh;
        let named = |name: &str| self.manifest(name, spec.clone());
        draft.create_free(mesh, Phase::Prepare, self.name, because, named)
    }

    fn manifest(&self, name: &str, spec: Value) -> Manifest {
        let source = Some(self.source);
        let manifest = new_object(self.kind, self.namespace, name, source, &[], spec);
        if !self.dry_run {
            return manifest;
        }
        manifest.patched(&json!({"metadata": {"annotations": {"istio.io/dry-run": "true"}}}))
    }
}
