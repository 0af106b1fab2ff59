//! What Istio really does, fact by fact: istiod's own translation of small manifests, its routes and its authorization run by a real
//! Envoy (`tests/oracle`). The program's semantics rest on these facts; where Istio changes one, its test fails.
//!
//! Needs `make oracle`; run with `cargo test --test ground_truth`.

mod scene;

mod actions;
mod attachment;
mod calls;
mod evaluator;
mod matches;
mod order;
mod paths;
mod rewrites;
mod tokens;
mod transport;
mod verdicts;
mod ztunnel;
