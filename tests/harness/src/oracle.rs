//! What Istio makes of manifests, and what Envoy makes of that.
//!
//! [`Oracle`] is the program of `tests/oracle`: istiod's own translation, and a real Envoy on the loopback that runs it.
//! It says where a request goes in sidecar mode and at a waypoint, whom a proxy lets in, and what ztunnel receives. Its
//! `README.md` says what of this is faithful and what is not.

mod answer;
mod error;
mod process;
mod request;
mod ztunnel;

use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use answer::{Arrival, Destination, Mirror, Outcome, Refusal, Route, Translation, Verdict};
pub use answer::{Chain, ProxyConfig};
pub use error::Error;
pub use request::{Manifests, Proxy, Request};
pub use ztunnel::{Policy, Service, Workload, Ztunnel};

use process::Process;

/// The oracle: one process, started by the first question, that ends with this one.
#[derive(Debug, Default)]
pub struct Oracle {
    process: Mutex<Option<Process>>,
}

impl Oracle {
    /// The oracle that all tests of this test binary share.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Oracle> = LazyLock::new(Oracle::default);
        &SHARED
    }

    /// What istiod makes of manifests. An object that a cluster would not have let in is an error; see
    /// [`translate_what_is_valid`](Self::translate_what_is_valid).
    pub fn translate(&self, manifests: &Manifests) -> Result<Translation, Error> {
        let translation = self.translate_what_is_valid(manifests)?;
        if translation.refused.is_empty() {
            Ok(translation)
        } else {
            Err(Error::Refused(translation.refused))
        }
    }

    /// What istiod makes of the manifests that a cluster would have let in; the others are named in
    /// [`Translation::refused`].
    pub fn translate_what_is_valid(&self, manifests: &Manifests) -> Result<Translation, Error> {
        self.ask("translate", manifests)
    }

    /// Where requests go that are sent to a chain, in their order.
    pub fn route(&self, chain: &Chain, requests: &[Request]) -> Result<Vec<Outcome>, Error> {
        let answer: Outcomes = self.ask("route", &Asked::of(chain, requests))?;
        Ok(answer.outcomes)
    }

    /// Whether a chain's authorization lets requests in, in their order.
    pub fn authorize(&self, chain: &Chain, requests: &[Request]) -> Result<Vec<Verdict>, Error> {
        let answer: Verdicts = self.ask("authorize", &Asked::of(chain, requests))?;
        Ok(answer.verdicts)
    }

    fn ask<A: DeserializeOwned>(
        &self,
        op: &'static str,
        question: &impl Serialize,
    ) -> Result<A, Error> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match process.take() {
            Some(running) => running,
            None => Process::start()?,
        };
        // A process that failed to answer is not asked again: the next question starts another.
        let (running, answer) = running.ask(op, question)?;
        *process = Some(running);
        answer
    }
}

/// Requests to one chain.
#[derive(Serialize)]
struct Asked<'a> {
    chains: [&'a Chain; 1],
    requests: &'a [Request],
}

impl<'a> Asked<'a> {
    fn of(chain: &'a Chain, requests: &'a [Request]) -> Self {
        Self {
            chains: [chain],
            requests,
        }
    }
}

#[derive(serde::Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(serde::Deserialize)]
struct Verdicts {
    verdicts: Vec<Verdict>,
}
