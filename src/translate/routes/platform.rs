//! Which Gateway API is installed.

use crate::kinds::installation::CustomResourceDefinition;
use crate::mesh::Mesh;
use crate::mesh::definitions::{HTTP_ROUTES, bundle, is_experimental};
use crate::translate::options::{Channel, GatewayApi};

/// The Gateway API that the definitions in the input are of; `None` when nothing tells. A definition
/// without a channel is taken for a standard one, which has fewer fields.
pub(crate) fn installed(mesh: &Mesh) -> Option<GatewayApi> {
    let crd = mesh.named::<CustomResourceDefinition>("", HTTP_ROUTES)?;
    Some(GatewayApi {
        version: bundle(crd)?,
        channel: if is_experimental(crd) {
            Channel::Experimental
        } else {
            Channel::Standard
        },
    })
}
