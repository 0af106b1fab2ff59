//! Of which release and channel the definitions of the Gateway API are.
//!
//! They say so in annotations (`https://gateway-api.sigs.k8s.io/concepts/versioning/`).

use super::installation::Version;
use crate::kinds::installation::CustomResourceDefinition;

/// The annotation with the release.
pub const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";
/// The annotation with the channel.
pub const CHANNEL: &str = "gateway.networking.k8s.io/channel";
/// The definition of HTTPRoutes.
pub const HTTP_ROUTES: &str = "httproutes.gateway.networking.k8s.io";

/// The release that a definition is of, where it says so.
pub fn bundle(crd: &CustomResourceDefinition) -> Option<Version> {
    crd.metadata
        .annotations
        .get(BUNDLE)
        .and_then(Version::parse)
}

/// Whether a definition says that it is of the standard channel.
pub fn is_standard(crd: &CustomResourceDefinition) -> bool {
    crd.metadata.annotations.has(CHANNEL, "standard")
}

/// Whether a definition says that it is of the experimental channel.
pub fn is_experimental(crd: &CustomResourceDefinition) -> bool {
    crd.metadata.annotations.has(CHANNEL, "experimental")
}
