//! PeerAuthentications: who may call without an identity.
//!
//! Source: for sidecars `pilot/pkg/security/authn/policy_applier.go` (`ComposePeerAuthentication`);
//! for ztunnel `pilot/pkg/serviceregistry/ambient/authorization.go`
//! (`convertedSelectorPeerAuthentications`, `convertPeerAuthentication`), which differs: DISABLE is
//! taken as PERMISSIVE, and where a policy without a mode of its own inherits STRICT, only a port
//! that says PERMISSIVE makes istiod look at its ports. Waypoints and gateways take none.

use super::policies::{Layers, Pod, Policies};
use crate::kinds::authorization::{Mtls, MtlsMode, PeerAuthentication};
use crate::kinds::{ObjectRef, Resource};

/// What a port of a pod takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Takes {
    /// Plain text only.
    PlainText,
    /// Both.
    Both,
    /// Callers with an identity only, by this policy.
    Identity(Option<ObjectRef>),
}

/// What a port of a pod with a sidecar takes.
pub(super) fn at_sidecar(policies: &Policies<'_>, pod: &Pod<'_>, port: u16) -> Takes {
    let Layers {
        mesh,
        namespace,
        own,
    } = policies.peers_of(pod);
    let mut mode = (MtlsMode::Permissive, None);
    for policy in [mesh, namespace, own].into_iter().flatten() {
        if policy.spec.mtls.mode != MtlsMode::Unset {
            mode = (policy.spec.mtls.mode, Some(policy));
        }
    }
    if let Some(own) = own
        && let Some(said) = own.spec.port_level_mtls.get(&port.to_string())
        && said.mode != MtlsMode::Unset
    {
        mode = (said.mode, Some(own));
    }
    match mode.0 {
        MtlsMode::Disable => Takes::PlainText,
        MtlsMode::Strict => Takes::Identity(mode.1.map(Resource::reference)),
        MtlsMode::Permissive | MtlsMode::Unset => Takes::Both,
    }
}

/// What a port of an ambient pod takes: never plain text only.
pub(super) fn at_ztunnel(policies: &Policies<'_>, pod: &Pod<'_>, port: u16) -> Takes {
    let layers = policies.peers_of(pod);
    let strict = |policy: &PeerAuthentication| policy.spec.mtls.mode == MtlsMode::Strict;
    let mut by = layers.mesh.filter(|policy| strict(policy));
    if let Some(namespace) = layers.namespace
        && namespace.spec.mtls.mode != MtlsMode::Unset
    {
        by = Some(namespace).filter(|policy| strict(policy));
    }
    let Some(own) = layers.own else {
        return demanded(by);
    };
    match own.spec.mtls.mode {
        MtlsMode::Strict => by = Some(own),
        MtlsMode::Permissive | MtlsMode::Disable => by = None,
        MtlsMode::Unset => {}
    }
    let any = |wanted: &[MtlsMode]| {
        let mut modes = own.spec.port_level_mtls.values();
        modes.any(|mtls: &Mtls| wanted.contains(&mtls.mode))
    };
    let looked_at = match (own.spec.mtls.mode, by) {
        (MtlsMode::Strict, _) => any(&[MtlsMode::Permissive, MtlsMode::Disable]),
        (MtlsMode::Unset, Some(_)) => any(&[MtlsMode::Permissive]),
        _ => any(&[MtlsMode::Strict]),
    };
    if !looked_at {
        return demanded(by);
    }
    // The converted policy stands for the static one.
    if converted(policies, own, port) {
        Takes::Identity(Some(own.reference()))
    } else {
        Takes::Both
    }
}

fn demanded(by: Option<&PeerAuthentication>) -> Takes {
    match by {
        Some(policy) => Takes::Identity(Some(policy.reference())),
        None => Takes::Both,
    }
}

/// Whether the policy into which istiod converts one with ports refuses plain text at a port. The
/// modes above it are those of policies that have no selector at all.
fn converted(policies: &Policies<'_>, own: &PeerAuthentication, port: u16) -> bool {
    let root = &*policies.settings.root_namespace;
    let first = |namespace: &str| {
        let mut list = policies.peers_in(namespace).iter();
        list.find(|policy| policy.spec.selector.is_none()).copied()
    };
    let mode = |policy: Option<&PeerAuthentication>| policy.map(|p| p.spec.mtls.mode);
    let namespace = mode(first(&own.metadata.namespace));
    let mesh = mode(first(root));
    let strict = Some(MtlsMode::Strict);
    let unset = |mode: Option<MtlsMode>| matches!(mode, None | Some(MtlsMode::Unset));

    let own_mode = own.spec.mtls.mode;
    let mut excepted: Vec<u16> = Vec::new();
    let mut strict_ports: Vec<u16> = Vec::new();
    for (number, mtls) in &own.spec.port_level_mtls {
        let Ok(number) = number.parse::<u16>() else {
            continue;
        };
        match mtls.mode {
            MtlsMode::Strict => {
                let inherits = own_mode == MtlsMode::Unset
                    && (namespace == strict || (unset(namespace) && mesh == strict));
                if own_mode != MtlsMode::Strict && !inherits {
                    strict_ports.push(number);
                }
            }
            MtlsMode::Permissive | MtlsMode::Disable => {
                let needless = match own_mode {
                    MtlsMode::Permissive | MtlsMode::Disable => true,
                    MtlsMode::Unset => match (namespace, mesh) {
                        (Some(mode), _) | (None, Some(mode)) => mode != MtlsMode::Strict,
                        (None, None) => true,
                    },
                    MtlsMode::Strict => false,
                };
                if !needless {
                    excepted.push(number);
                }
            }
            MtlsMode::Unset => {}
        }
    }
    if own_mode == MtlsMode::Strict && excepted.is_empty() {
        return false;
    }
    let merges = namespace == strict || (mesh == strict && unset(namespace));
    let demands_everywhere = own_mode == MtlsMode::Strict || (merges && !excepted.is_empty());
    let by_rules = if excepted.is_empty() {
        demands_everywhere
    } else {
        !excepted.contains(&port)
    };
    by_rules || strict_ports.contains(&port)
}
