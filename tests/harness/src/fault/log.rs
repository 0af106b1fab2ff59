//! What passed through the proxy, for assertions.

use super::request::Request;
use super::rule::When;

/// The requests until now, in the order in which they arrived.
#[derive(Debug, Clone)]
pub struct Log {
    requests: Vec<Request>,
}

impl Log {
    pub(super) fn new(requests: Vec<Request>) -> Self {
        Self { requests }
    }

    /// All of them.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Those that match.
    pub fn matching(&self, when: &When) -> Vec<&Request> {
        let requests = self.requests.iter();
        requests.filter(|request| when.matches(request)).collect()
    }

    /// The pages of lists of a resource (`pods`, `deployments.apps`).
    pub fn lists_of(&self, resource: &str) -> Vec<&Request> {
        self.matching(&When::list(resource))
    }

    /// What would have changed the cluster, dry runs left out.
    pub fn writes(&self) -> Vec<&Request> {
        self.matching(&When::write())
    }

    /// The bytes of all answers' bodies, as transferred.
    pub fn received(&self) -> u64 {
        self.requests.iter().map(|request| request.received).sum()
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for request in &self.requests {
            writeln!(f, "{request}")?;
        }
        Ok(())
    }
}
