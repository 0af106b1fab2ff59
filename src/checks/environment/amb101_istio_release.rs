//! AMB101: a release of Istio that is too old for ambient mode, out of support, or mixed with node
//! agents of a release that does not go with it.
//!
//! Sources: `https://istio.io/latest/docs/releases/supported-releases/` (a release is supported until
//! six weeks after the second release after it; ambient mode is stable since 1.24), and
//! `https://istio.io/latest/docs/ambient/upgrade/` (CNI agent and ztunnel go with an istiod of their
//! own release or of the next one).

use super::{Concerned, Revisions, concerned, discovery};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::path::field;
use crate::kinds::{Kind, KindSet};
use crate::mesh;
use crate::mesh::installation::{ControlPlane, Installation, NodeAgent, Version};

/// The first release with ambient mode as a stable feature.
const FIRST: Version = Version::new(1, 24);
/// The oldest release that was supported when this program was built.
const OLDEST_SUPPORTED: Version = Version::new(1, 30);

/// The check.
pub static CHECK: IstioRelease = IstioRelease;

/// The check's type.
#[derive(Debug)]
pub struct IstioRelease;

static META: Meta = Meta {
    id: Id("AMB101"),
    slug: "istio-release",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: mesh::INSTALLATION
        .and(mesh::NAMESPACES)
        .and(KindSet::of(&[Kind::MutatingWebhookConfiguration])),
    needs: &[mesh::Part::Installation],
    since: "0.1.0",
    page: include_str!("amb101_istio_release.md"),
};

impl Check for IstioRelease {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let revisions = Revisions::of(view.mesh);
        let installation = view.mesh.installation();
        for plane in &installation.control_planes {
            istiod(view, &revisions, plane, out);
        }
        for agent in installation.ztunnels.iter().chain(&installation.cni) {
            skew(installation, agent, out);
        }
    }
}

fn istiod(view: &View<'_>, revisions: &Revisions<'_>, plane: &ControlPlane, out: &mut Sink<'_>) {
    let field = discovery(view.mesh, plane).then("image");
    let at = (plane.object.clone(), field);
    let upgrade = || {
        Remedy::command(
            "upgrade istiod to a supported release before the move; this names what stands in the way",
            "istioctl x precheck",
        )
    };
    let Some(version) = plane.version else {
        out.find_for_all(
            Severity::Warning,
            at,
            format!(
                "the image of istiod does not tell its release: whether it is at least {} was not checked",
                FIRST.minor_text()
            ),
            Remedy::command("see which release runs", "istioctl version"),
        );
        return;
    };
    if version >= FIRST {
        if version < OLDEST_SUPPORTED {
            out.find_for_all(
                Severity::Warning,
                at,
                format!(
                    "istiod is {version}, and {} gets no more security fixes from the Istio project (the oldest supported release was {} when this program was built)",
                    version.minor_text(),
                    OLDEST_SUPPORTED.minor_text()
                ),
                upgrade(),
            );
        }
        return;
    }
    let old = format!(
        "istiod is {version}; ambient mode is a stable feature since {}, and this program knows nothing of how older releases behave",
        FIRST.minor_text()
    );
    match concerned(revisions, view, plane) {
        Concerned::Everyone => out.find_for_all(Severity::Blocking, at, old, upgrade()),
        Concerned::Namespaces(namespaces) => {
            for namespace in namespaces {
                let message = format!("{old}; it injects {namespace}");
                out.find(
                    namespace,
                    Severity::Blocking,
                    at.clone(),
                    message,
                    upgrade(),
                );
            }
        }
        Concerned::NoneJudged => {
            let message = format!("{old}; it injects none of the namespaces that are judged");
            out.find_for_all(Severity::Warning, at, message, upgrade());
        }
    }
}

/// Whether a node agent goes with at least one istiod whose release is known.
fn skew(installation: &Installation, agent: &NodeAgent, out: &mut Sink<'_>) {
    let at = || {
        let field = field!["spec", "template", "spec", "containers"];
        (agent.object.clone(), field)
    };
    let Some(version) = agent.version else {
        out.find_for_all(
            Severity::Info,
            at(),
            "its image does not tell its release: whether it goes with istiod's was not checked",
            Remedy::command("see which releases run", "istioctl version"),
        );
        return;
    };
    let release = |version: Version| (version.major, version.minor);
    let known: Vec<Version> = installation
        .control_planes
        .iter()
        .filter_map(|plane| plane.version)
        .collect();
    let fits = |plane: &Version| {
        release(*plane) == release(version)
            || release(*plane) == (version.major, version.minor.saturating_add(1))
    };
    let Some(newest) = known.iter().max() else {
        return;
    };
    if known.iter().any(fits) {
        return;
    }
    let relation = if release(version) > release(*newest) {
        "newer than istiod"
    } else {
        "more than one release away from istiod"
    };
    out.find_for_all(
        Severity::Warning,
        at(),
        format!(
            "it is {version} and istiod {newest}: it is {relation}, and it is made for an istiod of its own release or of the next one"
        ),
        Remedy::command(
            "bring both to one release, istiod first; this lists what runs",
            "istioctl version",
        ),
    );
}
