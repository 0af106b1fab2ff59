//! Which Gateway API is installed.

use crate::mesh::Mesh;
use crate::translate::options::GatewayApi;

/// The Gateway API that the definitions in the input are of; `None` when nothing tells.
pub(crate) fn installed(_mesh: &Mesh) -> Option<GatewayApi> {
    None
}
