//! What destinations reach: a subset and the Service that stands for it reach the same pods.

use std::collections::BTreeMap;

use super::world::service_of;
use crate::kinds::{IntOrString, Labels};
use crate::mesh::Mesh;
use crate::semantics::routing::{Destination, Reach, Resolver};
use crate::translate::versions::Candidates;

/// What destinations reach in a mesh, with the Services that would stand for subsets.
pub(super) struct Reaches<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) candidates: &'a Candidates,
}

impl Resolver for Reaches<'_> {
    fn reach(&self, to: &Destination) -> Reach {
        if to.host.is_empty() {
            return Reach::Nothing;
        }
        let named = || Reach::Named(to.clone());
        let Some(service) = service_of(self.mesh, &to.host, "") else {
            return match self.candidates.version_of_host(&to.host) {
                Some(version) => {
                    match service_of(self.mesh, &version.base.name, &version.base.namespace) {
                        Some(base) => self.pods(to, version.selector.clone(), base),
                        None => named(),
                    }
                }
                None => named(),
            };
        };
        let spec = self.mesh.spec(service);
        if spec.selector.is_empty() || spec.is_external_name() {
            return named();
        }
        let mut labels = owned(&spec.selector);
        if !to.subset.is_empty() {
            match self.candidates.labels(&service.object, &to.subset) {
                Some(more) => labels.extend(more.clone()),
                None => return named(),
            }
        }
        self.pods(to, labels, service)
    }
}

impl Reaches<'_> {
    fn pods(
        &self,
        to: &Destination,
        labels: BTreeMap<String, String>,
        service: &crate::mesh::services::Service,
    ) -> Reach {
        let spec = self.mesh.spec(service);
        let Some(port) = spec
            .ports
            .iter()
            .find(|port| u32::from(port.port) == to.port)
        else {
            return Reach::Nothing;
        };
        Reach::Endpoints {
            namespace: service.object.namespace.to_string(),
            labels,
            port: match &port.target_port {
                None => port.port.to_string(),
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(name)) => name.clone(),
            },
        }
    }
}

fn owned(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
