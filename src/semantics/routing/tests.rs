//! Facts about tables.
