//! The harness against the control plane of `tests/controlplane`. Run by name.
