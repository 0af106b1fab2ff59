//! Ctrl-C and SIGTERM during a run: the first asks it to stop where it can go on, the second ends it at once.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::run::Stop;
use crate::client::Client;
use crate::event::Event;

/// What the two signals are told by.
pub(super) struct Signals {
    /// The first one.
    pub(super) stop: watch::Receiver<Option<Stop>>,
    /// The second one; it never comes where signals cannot be heard.
    pub(super) again: Again,
}

/// Ends with the second signal.
pub(super) type Again = std::pin::Pin<Box<dyn Future<Output = Stop>>>;

impl Signals {
    /// Listens from now on. Whoever listens to the client is told of the first.
    pub(super) fn heard(client: &Arc<Client>) -> Self {
        let client = Arc::clone(client);
        let mut ears = Ears::open();
        let (tell, stop) = watch::channel(None);
        let (end, again) = oneshot::channel();
        tokio::spawn(async move {
            let first = ears.next().await;
            tell.send_replace(Some(first));
            client.notice(Event::Warning(
                "it stops when what is under way is done; asked once more, it ends at once"
                    .to_owned(),
            ));
            let second = ears.next().await;
            // Nobody listens any more when the run is over.
            drop(end.send(second));
            tell.closed().await;
        });
        let again = async move {
            match again.await {
                Ok(stop) => stop,
                Err(_) => std::future::pending().await,
            }
        };
        Self {
            stop,
            again: Box::pin(again),
        }
    }
}

/// Where signals arrive. They are kept open between two, so that none is missed.
#[cfg(unix)]
struct Ears {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Ears {
    fn open() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) -> Stop {
        async fn of(signal: &mut Option<tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = of(&mut self.interrupt) => Stop::Interrupted,
            () = of(&mut self.terminate) => Stop::Terminated,
        }
    }
}

#[cfg(not(unix))]
struct Ears;

#[cfg(not(unix))]
impl Ears {
    fn open() -> Self {
        Self
    }

    async fn next(&mut self) -> Stop {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Stop::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}
