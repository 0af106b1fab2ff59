//! From what was typed to what is meant: objects, workloads, ids and releases.

use std::collections::BTreeSet;

use super::{ConvertArgs, Guard, Paths, Routes};
use crate::checks;
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Input;
use crate::kinds::{Kind, Name, ObjectRef, Scope};
use crate::mesh::Mesh;
use crate::mesh::installation::Version;
use crate::plan::Accepted;
use crate::report::convert::Reasons;
use crate::translate::options::{self, GatewayApi, Options, PathForm, RouteForm};
use crate::translate::{Topic, installed_gateway_api};

/// What is accepted, and why.
pub(super) fn reasons(accept: &[String]) -> Result<(Reasons, Accepted), Error> {
    let mut reasons = Reasons::new();
    let mut accepted = Accepted::new();
    for text in accept {
        let Some((id, reason)) = text.split_once('=').and_then(|(id, reason)| {
            let reason = crate::cli::config::reason(reason)?;
            Some((id, reason))
        }) else {
            let message = format!("`--accept {text}` gives no reason; it is written ID=REASON");
            return Err(Error::new(Exit::Usage, message));
        };
        if let Some(check) = checks::by_id(id) {
            accepted.insert(check.meta().id.0.to_owned(), reason.clone());
        }
        let Some(topic) = Topic::of(id) else {
            if checks::by_id(id).is_some() {
                continue;
            }
            let message = format!("there is no difference `{id}` that could be accepted");
            return Err(Error::new(Exit::Usage, message)
                .hint("the table of `convert` names the id of each difference in the column WHY"));
        };
        accepted.insert(topic.id().to_owned(), reason.clone());
        reasons.insert(topic, reason);
    }
    Ok((reasons, accepted))
}

/// What is asked of the translation.
pub(super) fn options(
    args: &ConvertArgs,
    reasons: &Reasons,
    platform: &Platform,
    mesh: &Mesh,
    namespaces: &BTreeSet<Name>,
) -> Result<Options, Error> {
    Ok(Options {
        routes: match args.routes {
            Routes::Auto => RouteForm::Auto,
            Routes::Httproute => RouteForm::HttpRoute,
            Routes::Keep => RouteForm::Keep,
        },
        paths: match args.paths {
            Paths::Exact => PathForm::Exact,
            Paths::Element => PathForm::Element,
        },
        guard: args.guard.map(|guard| match guard {
            Guard::Closed => options::Guard::Closed,
            Guard::Open => options::Guard::Open,
        }),
        deferred: deferred(&args.defer, mesh, namespaces)?,
        accepted: reasons.keys().copied().collect(),
        only: only(&args.only, mesh, namespaces)?,
        istio: platform.istio,
        gateway_api: platform.gateway_api,
    })
}

/// What the result is for, as far as flags say.
pub(super) struct Platform {
    pub(super) istio: Option<Version>,
    pub(super) gateway_api: Option<GatewayApi>,
}

impl Platform {
    pub(super) fn parse(args: &ConvertArgs) -> Result<Self, Error> {
        let usage = |message| Error::new(Exit::Usage, message);
        let istio = args.istio_version.as_deref().map(|text| {
            Version::parse(text).ok_or_else(|| {
                usage(format!("`--istio-version {text}` is no release"))
                    .hint("it is written as in `--istio-version 1.31`")
            })
        });
        let gateway_api = args.gateway_api.as_deref().map(|text| {
            GatewayApi::parse(text).ok_or_else(|| {
                usage(format!("`--gateway-api {text}` is no release of a channel"))
                    .hint("it is written as in `--gateway-api 1.4-standard`, or `1.4-experimental`")
            })
        });
        Ok(Self {
            istio: istio.transpose()?,
            gateway_api: gateway_api.transpose()?,
        })
    }

    /// Refuses what a cluster contradicts.
    pub(super) fn agrees_with(&self, mesh: &Mesh) -> Result<(), Error> {
        if mesh.inventory().input == Input::Manifests {
            return Ok(());
        }
        let minor = |version: Version| (version.major, version.minor);
        let contradicts = |flag: &str, said: String, found: String| {
            let message = format!("`--{flag} {said}` contradicts the cluster, which has {found}");
            Err(Error::new(Exit::Usage, message).hint(format!("leave --{flag} out")))
        };
        if let (Some(said), Some(found)) = (self.istio, mesh.installation().oldest_version())
            && minor(said) != minor(found)
        {
            return contradicts("istio-version", said.minor_text(), format!("Istio {found}"));
        }
        if let (Some(said), Some(found)) = (self.gateway_api, installed_gateway_api(mesh))
            && (minor(said.version), said.channel) != (minor(found.version), found.channel)
        {
            return contradicts(
                "gateway-api",
                said.to_string().replace(' ', "-"),
                format!("Gateway API {found}"),
            );
        }
        Ok(())
    }
}

/// The objects that alone are asked about.
pub(super) fn only(
    wanted: &[String],
    mesh: &Mesh,
    namespaces: &BTreeSet<Name>,
) -> Result<BTreeSet<ObjectRef>, Error> {
    let mut all = BTreeSet::new();
    for text in wanted {
        let Some((kind, name)) = text.split_once('/') else {
            let message = format!("`--only {text}` names no object; it is written KIND/NAME");
            return Err(Error::new(Exit::Usage, message)
                .hint("for example `--only AuthorizationPolicy/cart`"));
        };
        let kinds: Vec<Kind> = Kind::ALL
            .iter()
            .copied()
            .filter(|known| is_called(*known, kind))
            .collect();
        if kinds.is_empty() {
            let message = format!("`--only {text}`: there is no kind `{kind}` that convert reads");
            return Err(Error::new(Exit::Usage, message));
        }
        let objects = &mesh.inventory().objects;
        let name = Name::from(name);
        let before = all.len();
        for kind in kinds {
            let nowhere = BTreeSet::from([Name::from("")]);
            let homes = match kind.scope() {
                Scope::Cluster => &nowhere,
                Scope::Namespaced => namespaces,
            };
            let named = homes.iter().map(|home| ObjectRef::new(kind, home, &name));
            all.extend(named.filter(|object| objects.origin(object).is_some()));
        }
        if all.len() == before {
            let places: Vec<&str> = namespaces.iter().map(AsRef::as_ref).collect();
            let places = places.join(", ");
            let message = format!("cannot convert {text}: there is none in {places}");
            return Err(Error::new(Exit::Data, message)
                .hint("without --only, all objects of the namespaces are looked at"));
        }
    }
    Ok(all)
}

/// Whether a person may call a kind so: as written, in the plural, with its group.
fn is_called(kind: Kind, text: &str) -> bool {
    let written = kind.written();
    let group = kind.group();
    [written, kind.label(), kind.plural(), &kind.resource()]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(text))
        || text.eq_ignore_ascii_case(&format!("{written}.{group}"))
}

/// The workloads that keep their sidecars.
pub(super) fn deferred(
    wanted: &[String],
    mesh: &Mesh,
    namespaces: &BTreeSet<Name>,
) -> Result<BTreeSet<(Name, Name)>, Error> {
    let mut all = BTreeSet::new();
    for text in wanted {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (Some(kind), name),
            None => (None, text.as_str()),
        };
        let workloads = namespaces.iter().flat_map(|home| mesh.workloads_in(home));
        let mut found = workloads
            .map(|workload| &workload.object)
            .filter(|object| *object.name == *name)
            .filter(|object| kind.is_none_or(|kind| is_called(object.kind, kind)))
            .peekable();
        if found.peek().is_none() {
            let places: Vec<&str> = namespaces.iter().map(AsRef::as_ref).collect();
            let places = places.join(", ");
            let message = format!("cannot defer {text}: there is no such workload in {places}");
            return Err(Error::new(Exit::Data, message)
                .hint("a workload is named as in `--defer cart` or `--defer Deployment/cart`"));
        }
        all.extend(found.map(|object| (object.namespace.clone(), object.name.clone())));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_by_several_names() {
        for name in [
            "VirtualService",
            "virtualservice",
            "virtualservices",
            "virtualservices.networking.istio.io",
            "virtualservice.networking.istio.io",
        ] {
            assert!(is_called(Kind::VirtualService, name), "{name}");
        }
        assert!(!is_called(Kind::VirtualService, "VirtualServic"));
        assert!(is_called(Kind::Gateway, "gateway") && is_called(Kind::IstioGateway, "gateway"));
    }

    #[test]
    fn an_acceptance_needs_a_known_id_and_a_reason() {
        let words = |text: &str| reasons(&[text.to_owned()]).map_err(|error| error.exit);
        assert!(words("AMB405=we know").is_ok_and(|(all, _)| all.len() == 1));
        for wrong in ["AMB405", "AMB405=  ", "AMB999=why"] {
            assert_eq!(words(wrong), Err(Exit::Usage), "{wrong}");
        }
    }
}
