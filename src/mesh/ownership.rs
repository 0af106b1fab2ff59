//! Who keeps an object: a person, or a tool that will write it again.

use crate::kinds::Meta;

/// A tool that keeps objects as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeper {
    /// Argo CD.
    ArgoCd,
    /// Flux.
    Flux,
    /// Helm; it writes only when a person runs it.
    Helm,
}

impl Keeper {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ArgoCd => "Argo CD",
            Self::Flux => "Flux",
            Self::Helm => "Helm",
        }
    }
}

/// The tool that keeps an object, with the mark that says so.
///
/// A tool that puts changes back counts before Helm: Flux and Argo CD both install charts.
pub fn keeper(meta: &Meta) -> Option<(Keeper, String)> {
    let marks = [
        (Keeper::ArgoCd, "argocd.argoproj.io/tracking-id"),
        (Keeper::ArgoCd, "argocd.argoproj.io/instance"),
        (Keeper::Flux, "kustomize.toolkit.fluxcd.io/name"),
        (Keeper::Flux, "helm.toolkit.fluxcd.io/name"),
    ];
    for (keeper, key) in marks {
        if meta.annotations.get(key).is_some() {
            return Some((keeper, format!("annotation {key}")));
        }
        if let Some(value) = meta.labels.get(key) {
            return Some((keeper, format!("label {key}={value}")));
        }
    }
    for managed in &meta.managed_fields {
        let keeper = match managed.manager.as_str() {
            "argocd-controller" | "argocd-application-controller" => Keeper::ArgoCd,
            "kustomize-controller" | "helm-controller" => Keeper::Flux,
            _ => continue,
        };
        return Some((keeper, format!("field manager {}", managed.manager)));
    }
    if let Some(release) = meta.annotations.get("meta.helm.sh/release-name") {
        return Some((Keeper::Helm, format!("release {release}")));
    }
    meta.labels
        .has("app.kubernetes.io/managed-by", "Helm")
        .then(|| {
            (
                Keeper::Helm,
                "label app.kubernetes.io/managed-by=Helm".to_owned(),
            )
        })
}
