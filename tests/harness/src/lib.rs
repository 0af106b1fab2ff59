//! What the tests against a real control plane and a real Envoy stand on.

pub mod oracle;
