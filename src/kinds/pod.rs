//! Pods: by far the most numerous objects, so they are read by borrowing and kept compact.
//!
//! What a controller's pod is needed for stands in its metadata, and a live cluster is asked for
//! no more than that. A whole pod (bare pods, gateways, manifests) has [`PodDetail`] as well.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::lenient::null_default;
use super::meta::Owner;
use super::{Interner, Kind, Meta, Resource};

/// A pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Name, labels, Istio's annotations (others are not kept), owner.
    pub metadata: Meta,
    /// What only a whole pod tells; `None` where just metadata was read.
    pub detail: Option<PodDetail>,
}

/// What stands in a pod's spec and status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDetail {
    /// Its service account; `default` when the field is absent.
    pub service_account: super::Name,
    /// Whether it uses its node's network.
    pub host_network: bool,
    /// The phase; pods that are `Succeeded` or `Failed` are not kept.
    pub phase: Phase,
    /// Whether its proxy has `ISTIO_META_ENABLE_HBONE=true`; `None` without a container `istio-proxy`.
    pub hbone_env: Option<bool>,
}

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Phase {
    /// Accepted, not all containers started.
    Pending,
    /// Bound to a node and started.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Not told.
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Read<'a> {
            type Value = Pairs<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'a>, A::Error> {
                let mut pairs = Vec::with_capacity(12);
                while let Some(Text(key)) = map.next_key()? {
                    if key == super::meta::LAST_APPLIED {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let Text(value) = map.next_value()?;
                        pairs.push((key, value));
                    }
                }
                Ok(Pairs(pairs))
            }
            fn visit_unit<E>(self) -> Result<Pairs<'a>, E> {
                Ok(Pairs::default())
            }
        }
        deserializer.deserialize_any(Read(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
struct OwnerWire<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaWire<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    labels: Pairs<'a>,
    #[serde(borrow, default)]
    annotations: Pairs<'a>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<OwnerWire<'a>>>,
}

#[derive(Deserialize)]
struct EnvWire<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ContainerWire<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    env: Option<Vec<EnvWire<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecWire<'a> {
    #[serde(borrow, default)]
    service_account_name: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "null_default")]
    host_network: bool,
    #[serde(borrow, default)]
    containers: Option<Vec<ContainerWire<'a>>>,
    #[serde(borrow, default)]
    init_containers: Option<Vec<ContainerWire<'a>>>,
}

#[derive(Default, Deserialize)]
struct StatusWire {
    #[serde(default)]
    phase: Phase,
}

#[derive(Deserialize)]
struct PodWire<'a> {
    #[serde(borrow)]
    metadata: MetaWire<'a>,
    #[serde(borrow, default)]
    spec: Option<SpecWire<'a>>,
    #[serde(default, deserialize_with = "null_default")]
    status: StatusWire,
}

impl SpecWire<'_> {
    fn hbone_env(&self) -> Option<bool> {
        let mut proxies = self
            .containers
            .iter()
            .chain(&self.init_containers)
            .flatten();
        proxies
            .find(|container| container.name == "istio-proxy")
            .map(|proxy| {
                let mut env = proxy.env.iter().flatten();
                env.any(|env| {
                    env.name == "ISTIO_META_ENABLE_HBONE" && env.value.as_deref() == Some("true")
                })
            })
    }
}

impl Resource for Pod {
    const KIND: Kind = Kind::Pod;

    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.metadata
    }

    fn takes_part(&self) -> bool {
        !self
            .detail
            .as_ref()
            .is_some_and(|detail| matches!(detail.phase, Phase::Succeeded | Phase::Failed))
    }

    fn decode(json: &str, names: &mut Interner) -> Result<Self, super::DecodeError> {
        let wire: PodWire<'_> = super::decode_json(json)?;
        let mut annotations = wire.metadata.annotations.0;
        annotations.retain(|(key, _)| key.contains("istio.io/"));
        let owner = wire
            .metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| Owner {
                kind: names.name(&owner.kind),
                name: names.name(&owner.name),
            });
        let detail = wire.spec.as_ref().map(|spec| PodDetail {
            service_account: names.name(
                spec.service_account_name
                    .as_deref()
                    .filter(|s| !s.is_empty())
                    .unwrap_or("default"),
            ),
            host_network: spec.host_network,
            phase: wire.status.phase,
            hbone_env: spec.hbone_env(),
        });
        Ok(Pod {
            metadata: Meta {
                name: super::Name::from(&*wire.metadata.name),
                namespace: names.name(wire.metadata.namespace.as_deref().unwrap_or_default()),
                labels: names.labels(&wire.metadata.labels.0),
                annotations: names.labels(&annotations),
                owner,
                ..Meta::default()
            },
            detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_alone_is_a_pod_without_detail() {
        let mut names = Interner::default();
        let pod = Pod::decode(
            r#"{"metadata":{"name":"a","namespace":"shop","labels":{"app":"\u0061"},
                "annotations":{"sidecar.istio.io/status":"{}","other":"x"}}}"#,
            &mut names,
        )
        .unwrap();
        assert!(pod.detail.is_none());
        assert!(
            pod.metadata.labels.has("app", "a"),
            "escaped strings are read as well"
        );
        assert_eq!(pod.metadata.annotations.len(), 1);
    }

    #[test]
    fn a_whole_pod_tells_its_account_and_whether_its_proxy_speaks_hbone() {
        let mut names = Interner::default();
        let pod = Pod::decode(
            r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"istio-proxy",
                "env":[{"name":"ISTIO_META_ENABLE_HBONE","value":"true"}]}]},
                "status":{"phase":"Succeeded"}}"#,
            &mut names,
        )
        .unwrap();
        assert!(!pod.takes_part());
        let detail = pod.detail.unwrap();
        assert_eq!(detail.hbone_env, Some(true));
        assert_eq!(detail.service_account.as_ref(), "default");
    }
}
