//! AuthorizationPolicies of the namespaces that are translated.
//!
//! What can be judged by the connection stays with ztunnel. What looks at requests is copied for the
//! waypoints of its workloads, and the original is narrowed to pods that still have a sidecar: so no
//! request is unjudged at any time, whichever pods have moved.

use serde_json::{Value, json};

use super::copies::{self, New, Original, is_ours};
use super::rules::{self, Naming, Shape};
use super::scene::{Past, Scene};
use super::targets::in_front;
use crate::inventory::Object;
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Labels, Name, ObjectRef, Resource};
use crate::mesh::workloads::{TLS_MODE_LABEL, Workload, asked_of_template};
use crate::semantics::authorization::{is_dry_run, rule_path};
use crate::semantics::identity::Identity;
use crate::translate::{Draft, Phase, Remark, Topic, Weight};

/// A policy and whom it judges.
struct Policy<'g> {
    object: ObjectRef,
    spec: Value,
    typed: &'g AuthorizationPolicy,
    shape: Shape,
    labels: Labels,
    members: Vec<usize>,
}

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    for namespace in scene.ground.namespaces {
        if *namespace == scene.settings.root_namespace {
            continue;
        }
        for policy in scene.ground.mesh.within::<AuthorizationPolicy>(namespace) {
            one(scene, draft, namespace, policy);
        }
    }
}

fn one(
    scene: &Scene<'_>,
    draft: &mut Draft,
    namespace: &Name,
    policy: &Object<AuthorizationPolicy>,
) {
    let object = policy.reference();
    draft.look(&object);
    let Some(whole) = scene.ground.mesh.inventory().whole(&object) else {
        return;
    };
    if is_ours(&whole) {
        return;
    }
    if !policy.spec.target_refs.is_empty() || policy.spec.target_ref.is_some() {
        super::attached::remark(scene, draft, &object, &policy.spec.target_refs);
        return;
    }
    let mut spec = whole["spec"].clone();
    if let Some(name) = rules::unknown_field(&spec) {
        let says = format!("has the field {name}, which AuthorizationPolicies do not have");
        let remark = Remark::new(Topic::Invalid, Weight::Refused, field!["spec"], says);
        draft.remark(&object, remark);
        return;
    }
    let selector = policy.spec.selector.as_ref();
    let labels = selector.map(|s| s.match_labels.clone()).unwrap_or_default();
    // An earlier run may have narrowed it to pods with sidecars: what it was is translated.
    let labels = asked_of_template(&labels);
    if labels.is_empty() {
        spec.as_object_mut().map(|fields| fields.remove("selector"));
    } else {
        spec["selector"]["matchLabels"] = super::labels::written(&labels);
    }
    let policy = Policy {
        shape: Shape::of(&policy.spec),
        typed: policy,
        members: scene.selected(namespace, &labels),
        object,
        spec,
        labels,
    };
    policy.translate(scene, draft);
}

impl Policy<'_> {
    fn translate(&self, scene: &Scene<'_>, draft: &mut Draft) {
        if self.members.is_empty() {
            self.without_members(scene, draft);
            return;
        }
        let any_behind = |member: &usize| !scene.members[*member].behind.is_empty();
        if is_dry_run(&self.typed.metadata) {
            self.tried(scene, draft);
        } else if self.shape.needs_http() {
            if self.may_be_judged(scene, draft) {
                self.requests(scene, draft);
            }
        } else if self.members.iter().any(any_behind) {
            self.connections(scene, draft);
        } else {
            self.at_ztunnel(scene, draft, &[]);
        }
    }

    fn refuse(&self, draft: &mut Draft, topic: Topic, at: FieldPath, says: String, remedy: &str) {
        let remark = Remark::new(topic, Weight::Refused, at, says).remedy(remedy);
        draft.remark(&self.object, remark);
    }

    /// Nobody with a sidecar is judged by it.
    fn without_members(&self, scene: &Scene<'_>, draft: &mut Draft) {
        let mesh = scene.ground.mesh;
        let at = self.selector();
        let selected = mesh.selected(&self.object.namespace, &self.labels);
        if !selected.is_empty() {
            return;
        }
        if self.shape.needs_http() && mesh.workloads_in(&self.object.namespace).is_empty() {
            self.refuse(
                draft,
                Topic::NotInInput,
                at,
                "the input has no workload of its namespace, so it is not known whom it judges"
                    .into(),
                "add the workloads and Services of the namespace to the input",
            );
            return;
        }
        let says = "selects no workload of the input, and stays as it is";
        draft.remark(
            &self.object,
            Remark::new(Topic::NoService, Weight::Kept, at, says),
        );
    }

    fn selector(&self) -> FieldPath {
        if self.labels.is_empty() {
            field!["spec"]
        } else {
            field!["spec", "selector"]
        }
    }

    /// The first field that ztunnel cannot judge.
    fn beyond(&self) -> FieldPath {
        let found = crate::semantics::authorization::policy_beyond_ztunnel(&self.typed.spec);
        let first = found.into_iter().next();
        first.map_or(field!["spec", "action"], |beyond| beyond.path)
    }

    /// What it does, as a topic.
    fn topic(&self) -> Topic {
        match self.typed.spec.action {
            Action::Allow => Topic::AllowWithL7,
            Action::Deny => Topic::DenyWithL7,
            Action::Custom | Action::Audit => Topic::CustomOrAudit,
        }
    }

    /// Whether every workload that it judges has a waypoint that can. Of a policy for a whole
    /// namespace nobody may have one who is not called: he is guarded.
    fn may_be_judged(&self, scene: &Scene<'_>, draft: &mut Draft) -> bool {
        let mut fine = true;
        for member in self.members.iter().map(|member| &scene.members[*member]) {
            let name = member.workload.object.short();
            let preset = member.workload.labels.get(TLS_MODE_LABEL);
            if let Some(preset) = preset.filter(|value| *value != "istio") {
                fine = false;
                let says = format!(
                    "the template of {name} sets {TLS_MODE_LABEL} to {preset}, so that its pods with \
                     sidecars cannot be told from those without"
                );
                let remedy = "take the label out of the template";
                self.refuse(draft, Topic::NotInInput, self.selector(), says, remedy);
            }
            if member.past.is_empty() && member.behind.is_empty() && !self.labels.is_empty() {
                fine = false;
                let says = format!(
                    "reads requests to {name}, which no Service selects: no waypoint would judge them"
                );
                let remedy = "put a Service in front of it, or take what ztunnel cannot judge out of \
                              the policy";
                self.refuse(draft, Topic::NoService, self.beyond(), says, remedy);
            }
            for (service, past) in &member.past {
                if *past == Past::Headless && !member.behind.is_empty() {
                    continue; // Its callers go past the waypoint: `guard` names them.
                }
                fine = false;
                let says = format!(
                    "reads requests to {name}, and {} in front of it {}",
                    service.object.short(),
                    past.why()
                );
                let remedy = match past {
                    Past::Headless => {
                        "give it a Service with an address of its own, and let callers use that"
                    }
                    Past::OptedOut => "take the label off the Service",
                    Past::Unbound => {
                        "bind the Service to the waypoint: label istio.io/use-waypoint"
                    }
                };
                self.refuse(draft, Topic::Waypoint, self.beyond(), says, remedy);
            }
        }
        fine & super::shared::same_for_all(
            scene,
            draft,
            &self.object,
            &self.members,
            &self.selector(),
        )
    }

    /// Copies for waypoints; nothing where one is refused.
    fn copies(&self, scene: &Scene<'_>, draft: &mut Draft) -> Option<Vec<ObjectRef>> {
        let original = Original {
            object: &self.object,
            namespace: &self.object.namespace,
            spec: &self.spec,
            wide: self.labels.is_empty(),
            dry_run: is_dry_run(&self.typed.metadata),
            stays: !self.shape.needs_http(),
        };
        let judged = in_front(scene, &self.members);
        match copies::of_authorization(scene, &original, &judged) {
            Ok(copies) => {
                for remark in copies.remarks {
                    draft.remark(&self.object, remark);
                }
                let made = copies::create(scene, draft, &original, copies.specs);
                for copy in &made {
                    draft.becomes(&self.object, copy);
                }
                Some(made)
            }
            Err(remark) => {
                draft.remark(&self.object, remark);
                None
            }
        }
    }

    fn tried(&self, scene: &Scene<'_>, draft: &mut Draft) {
        self.copies(scene, draft);
        let says = "is only tried: its copy is too, and where only ztunnel judges it is not tried";
        let at = FieldPath::annotation("istio.io/dry-run");
        draft.remark(
            &self.object,
            Remark::new(Topic::DryRun, Weight::Stated, at, says),
        );
    }

    /// A policy that ztunnel can judge, of workloads whose callers come through a waypoint: their
    /// identities are seen there, and only there.
    fn connections(&self, scene: &Scene<'_>, draft: &mut Draft) {
        let fine = super::shared::same_for_all(
            scene,
            draft,
            &self.object,
            &self.members,
            &self.selector(),
        );
        let copied = match self.typed.spec.action {
            Action::Deny => self.typed.spec.rules.iter().any(rules::names_source),
            _ => true,
        };
        if !fine {
            return;
        }
        let made = if copied {
            self.copies(scene, draft)
        } else {
            Some(Vec::new())
        };
        let Some(made) = made else {
            return;
        };
        if !made.is_empty() {
            let says = "is judged at the waypoint, where callers are known, and at ztunnel";
            let remark = Remark::new(Topic::WaypointIdentity, Weight::Form, self.selector(), says);
            draft.remark(&self.object, remark);
        }
        self.at_ztunnel(scene, draft, &self.waypoints(scene));
    }

    fn waypoints(&self, scene: &Scene<'_>) -> Vec<Identity> {
        let members = self.members.iter().map(|member| &scene.members[*member]);
        let mut all: Vec<Identity> = members
            .flat_map(super::scene::Member::waypoints)
            .map(|waypoint| scene.identity(waypoint))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Its rules, where ztunnel or a sidecar judges callers that come through waypoints, and what to
    /// say of them.
    fn behind_waypoints(
        &self,
        scene: &Scene<'_>,
        draft: &mut Draft,
        rules: Vec<Value>,
        indices: &[usize],
        waypoints: &[Identity],
    ) -> Vec<Value> {
        let naming = Naming::new(scene.ground.istio);
        let mut rules = rules;
        for (rule, index) in rules.iter_mut().zip(indices) {
            let says_who = rules::names_source(&self.typed.spec.rules[*index]);
            let denies = self.typed.spec.action == Action::Deny;
            if denies && (says_who || rules::misses_token(rule)) && naming.exempt(rule, waypoints) {
                let says = "leaves out the waypoint, which has judged its callers already";
                draft.remark(
                    &self.object,
                    Remark::new(
                        Topic::WaypointIdentity,
                        Weight::Form,
                        rule_path(*index),
                        says,
                    ),
                );
            }
            if self.shape.connections.contains(index) {
                self.as_sidecars_read(scene, draft, rule, *index);
            }
        }
        rules
    }

    /// Writes a rule for ztunnel so that it means there what sidecars take it to mean.
    fn as_sidecars_read(
        &self,
        scene: &Scene<'_>,
        draft: &mut Draft,
        rule: &mut Value,
        index: usize,
    ) {
        let mut say = |topic, says: String| {
            let remark = Remark::new(topic, Weight::Form, rule_path(index), says);
            draft.remark(&self.object, remark);
        };
        if rules::with_real_names(rule, scene.settings) {
            let says = format!(
                "names the trust domain {} too: ztunnel takes principals as they are written",
                scene.settings.trust_domain
            );
            say(Topic::TrustDomain, says);
        }
        if rules::with_read_namespaces(rule) {
            let says = "names every namespace: that is what a sidecar takes *a and *sa to mean";
            say(self.topic(), says.to_owned());
        }
    }

    /// It stays for all pods.
    fn at_ztunnel(&self, scene: &Scene<'_>, draft: &mut Draft, waypoints: &[Identity]) {
        let all = &self.shape.connections;
        let written = rules::chosen(&self.spec, all);
        let rules = self.behind_waypoints(scene, draft, written.clone(), all, waypoints);
        if rules != written {
            let patch = json!({"spec": {"rules": rules}});
            draft.patch(Phase::Prepare, &self.object, patch, &[&self.object]);
        }
    }

    /// A policy that reads requests.
    fn requests(&self, scene: &Scene<'_>, draft: &mut Draft) {
        let Some(made) = self.copies(scene, draft) else {
            return;
        };
        let waypoints = self.waypoints(scene);
        if self.shape.is_mixed() {
            self.split(scene, draft, &waypoints);
        }
        let bystanders = scene.bystanders(&self.object.namespace, &self.labels);
        for workload in &bystanders {
            self.for_bystander(scene, draft, workload);
        }
        self.narrow(scene, draft, &waypoints);
        let deferred = self
            .members
            .iter()
            .any(|member| scene.members[*member].deferred);
        if deferred {
            let says = "stays for the workloads that keep their sidecars";
            draft.remark(
                &self.object,
                Remark::new(self.topic(), Weight::Form, self.selector(), says),
            );
        } else {
            draft.remove(Phase::Retire, &self.object, &[&self.object]);
        }
        let names: Vec<String> = made.iter().map(ObjectRef::short).collect();
        let says = if names.is_empty() {
            "no call to a Service can match it, so that no waypoint needs it".to_owned()
        } else {
            format!("is judged at the waypoint, by {}", names.join(", "))
        };
        draft.remark(
            &self.object,
            Remark::new(self.topic(), Weight::Form, self.beyond(), says),
        );
        if self.typed.spec.action == Action::Custom {
            let says = "while sidecars are left, callers that come through the waypoint are asked \
                        about twice; the authorizer has to answer the waypoint too";
            let at = field!["spec", "provider"];
            draft.remark(
                &self.object,
                Remark::new(Topic::CustomOrAudit, Weight::Stated, at, says),
            );
        }
    }

    /// The rules on connections, for all pods.
    fn split(&self, scene: &Scene<'_>, draft: &mut Draft, waypoints: &[Identity]) {
        let indices = &self.shape.connections;
        let rules = rules::chosen(&self.spec, indices);
        let rules = self.behind_waypoints(scene, draft, rules, indices, waypoints);
        let mut spec = self.spec.clone();
        spec["rules"] = rules.into();
        let new = New {
            kind: self.object.kind,
            namespace: &self.object.namespace,
            name: &format!("{}-l4", self.object.name),
            source: &self.object,
            dry_run: false,
        };
        let made = new.create(scene, draft, &spec, &[&self.object]);
        draft.becomes(&self.object, &made);
        let says = format!(
            "its rules on connections stay with ztunnel, as {}",
            made.short()
        );
        let remark = Remark::new(self.topic(), Weight::Form, rule_path(indices[0]), says);
        draft.remark(&self.object, remark);
    }

    /// A copy for a proxy that stays and that the narrowed policy would lose.
    fn for_bystander(&self, scene: &Scene<'_>, draft: &mut Draft, workload: &Workload) {
        let mut spec = self.spec.clone();
        let labels = super::labels::of_workload(scene, workload);
        spec["selector"] = json!({"matchLabels": super::labels::written(&labels)});
        let new = New {
            kind: self.object.kind,
            namespace: &self.object.namespace,
            name: &format!("{}-{}", self.object.name, workload.object.name),
            source: &self.object,
            dry_run: false,
        };
        let made = new.create(scene, draft, &spec, &[&self.object, &workload.object]);
        draft.becomes(&self.object, &made);
        let says = format!(
            "goes on judging {}, as {}",
            workload.object.short(),
            made.short()
        );
        let remark = Remark::new(Topic::WidePolicy, Weight::Form, self.selector(), says);
        draft.remark(&self.object, remark);
    }

    /// The original, for pods with sidecars only.
    fn narrow(&self, scene: &Scene<'_>, draft: &mut Draft, waypoints: &[Identity]) {
        let all: Vec<usize> = (0..self.typed.spec.rules.len()).collect();
        let written = rules::chosen(&self.spec, &all);
        let rules = self.behind_waypoints(scene, draft, written.clone(), &all, waypoints);
        let mut spec = json!({"selector": {"matchLabels": {TLS_MODE_LABEL: "istio"}}});
        if rules != written {
            spec["rules"] = rules.into();
        }
        let patch = json!({"spec": spec});
        draft.patch(Phase::Prepare, &self.object, patch, &[&self.object]);
    }
}
