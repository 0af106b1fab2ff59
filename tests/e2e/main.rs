//! The real command against a real control plane (`tests/controlplane`), by way of `tests/harness`.
//!
//! `make controlplane` builds what is needed; `cargo test --test e2e` then runs these, and only these.

mod access;
mod bundle;
mod by_hand;
mod contested;
mod emitted;
mod evidence;
mod faults;
mod faulty_moves;
mod invariants;
mod journey;
mod killed;
mod kinds_of_workloads;
mod krew;
mod lease;
mod modes;
mod moving;
#[cfg(mutant)]
mod mutants;
mod plugin;
mod reading;
mod refusals;
mod rehearsal;
mod rights;
mod sidecars;
mod way_back;
mod waypoint;
mod wealist;
