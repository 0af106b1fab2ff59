//! What a run tells while it goes on. Events flow outward only: nothing that emits one waits for,
//! or learns, what becomes of it.

use std::time::Duration;

/// Something worth showing while reading a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One HTTP request ended (`-v 6`).
    Request {
        /// The verb, upper case.
        method: String,
        /// The whole URL.
        url: String,
        /// The status code, if there was an answer.
        status: Option<u16>,
        /// From sending to the last byte.
        took: Duration,
    },
    /// A request is tried again.
    Retry {
        /// What is read, e.g. `pods in shop`.
        what: String,
        /// Which try comes next, from 2.
        attempt: u32,
        /// The pause before it.
        wait: Duration,
        /// Why the last one did not serve.
        because: String,
    },
    /// The API server sent a `Warning` header.
    Warning(String),
    /// A list grew by a page.
    Listed {
        /// What is read, e.g. `pods in shop`.
        what: String,
        /// Objects so far.
        count: usize,
    },
    /// A step of a run begins, or goes on.
    StepBegan {
        /// Its name.
        step: String,
        /// Which one it is, from 1.
        at: usize,
        /// How many there are.
        of: usize,
    },
    /// A step of a run is done.
    StepDone {
        /// Its name.
        step: String,
    },
    /// A write was made, or found made.
    Wrote {
        /// `created`, `changed` or `removed`.
        verb: String,
        /// The object.
        object: String,
        /// Whether a request was sent for it just now.
        sent: bool,
    },
    /// A rollback leaves something as somebody else changed it.
    Kept {
        /// The object.
        object: String,
        /// The field; empty for the object as a whole.
        field: String,
        /// What stands there.
        says: String,
    },
    /// A step waits for something.
    Waits {
        /// Its name.
        step: String,
        /// For what.
        what: String,
    },
    /// A list is complete.
    Finished {
        /// What was read, e.g. `pods in shop`.
        what: String,
        /// Objects in all.
        count: usize,
    },
}

/// Where events go. The terminal is one such place, a test's vector another.
pub trait Listener: Sync {
    /// Takes note of an event; it must not block.
    fn notice(&self, event: Event);
}

/// A listener that takes no note of anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn notice(&self, _event: Event) {}
}
