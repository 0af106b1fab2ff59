//! NetworkPolicies.

mod admission;
mod fronts;

use super::declare::checks;
use crate::kinds::{Labels, Name};
use crate::mesh::namespaces::Namespace;

checks! {
    amb601_port_15008_not_admitted,
}

/// A namespace's labels with the one that the API server adds.
fn with_name(namespace: &Namespace) -> Labels {
    let known = namespace.labels.as_ref().map_or(&[][..], Labels::pairs);
    let mut pairs = known.to_vec();
    pairs.push((
        Name::from("kubernetes.io/metadata.name"),
        namespace.name.clone(),
    ));
    Labels::from_pairs(pairs)
}
