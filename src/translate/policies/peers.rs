//! PeerAuthentications. STRICT and PERMISSIVE mean the same at ztunnel; DISABLE is PERMISSIVE there,
//! but where a port says it under a mode that is inherited, nobody looks at it
//! (`pilot/pkg/serviceregistry/ambient/authorization.go`).

use serde_json::{Value, json};

use super::scene::Scene;
use crate::inventory::Object;
use crate::kinds::authorization::{MtlsMode, PeerAuthentication};
use crate::kinds::path::field;
use crate::kinds::{Name, Resource};
use crate::translate::{Draft, Phase, Remark, Topic, Weight};

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    for namespace in scene.ground.namespaces {
        for policy in scene.ground.mesh.within::<PeerAuthentication>(namespace) {
            one(scene, draft, policy, namespace);
        }
    }
}

fn one(
    scene: &Scene<'_>,
    draft: &mut Draft,
    policy: &Object<PeerAuthentication>,
    namespace: &Name,
) {
    let object = policy.reference();
    draft.look(&object);
    let spec = &policy.spec;
    let labels = spec
        .selector
        .as_ref()
        .map(|s| s.match_labels.clone())
        .unwrap_or_default();
    if scene.selected(namespace, &labels).is_empty() {
        return;
    }
    if spec.mtls.mode == MtlsMode::Disable {
        let says = "takes plain text only; an ambient pod takes mutual TLS too, so that callers of \
                    the mesh have an identity there";
        let at = field!["spec", "mtls", "mode"];
        draft.remark(
            &object,
            Remark::new(Topic::PlainText, Weight::Stated, at, says),
        );
    }
    let mut ports = serde_json::Map::new();
    for (port, mtls) in &spec.port_level_mtls {
        if mtls.mode != MtlsMode::Disable || labels.is_empty() {
            continue;
        }
        let at = field!["spec", "portLevelMtls", port.as_str(), "mode"];
        let says = "says DISABLE, which ztunnel does not know of a port: it becomes PERMISSIVE, and \
                    callers of the mesh have an identity there";
        draft.remark(
            &object,
            Remark::new(Topic::PlainText, Weight::Stated, at, says),
        );
        ports.insert(port.clone(), json!({"mode": "PERMISSIVE"}));
    }
    if !ports.is_empty() {
        let patch = json!({"spec": {"portLevelMtls": Value::Object(ports)}});
        draft.patch(Phase::Prepare, &object, patch, &[&object]);
    }
}
