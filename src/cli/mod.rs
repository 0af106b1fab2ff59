//! The command line.

pub mod connection;
