//! NetworkPolicies: who may connect to which port of whose pods.
//!
//! A connection is let through when the policies that isolate the called pod admit the caller, and those
//! that isolate the caller admit the called pod. Policies that isolate the same pod add up, and a pod
//! that none isolates is open (`networking.k8s.io/v1`, and Kubernetes' own description of the API).
//!
//! The caller is not one of the pods that are known: [`Whom`] says which callers are meant, whatever
//! labels and addresses they have, and [`beyond`] finds one that one text means and another does not.

mod policies;
mod search;
mod whom;

pub use policies::{Pod, Policies, Port, Protocol};
pub use search::{Caller, Found, Place, Surroundings, beyond};
pub use whom::Whom;

#[cfg(test)]
mod tests;
