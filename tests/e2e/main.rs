//! The real command against a real control plane (`tests/controlplane`), by way of `tests/harness`.
