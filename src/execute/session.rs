//! A connection with a runtime of its own, for callers that have none.

use std::sync::Arc;

use crate::client::{Client, ConnectOptions, Environment};
use crate::error::Error;
use crate::event::Listener;
use crate::exit::Exit;

/// A connection, and what runs what is asked over it.
#[derive(Debug)]
pub struct Session {
    runtime: tokio::runtime::Runtime,
    client: Arc<Client>,
}

impl Session {
    /// Connects. A credential plugin may ask something on the terminal meanwhile.
    ///
    /// # Errors
    /// When the connection's settings are wrong or no credentials are to be had.
    pub fn connect(
        options: &ConnectOptions,
        listener: Arc<dyn Listener + Send>,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(Exit::Internal, format!("cannot start the runtime: {error}"))
            })?;
        let client = runtime.block_on(Client::connect(options, &Environment::read(), listener))?;
        Ok(Self {
            runtime,
            client: Arc::new(client),
        })
    }

    /// The connection.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Does something else, while what was begun over the connection goes on.
    pub fn beside<T>(&self, work: impl FnOnce() -> T) -> T {
        let (done, over) = tokio::sync::oneshot::channel::<()>();
        std::thread::scope(|threads| {
            threads.spawn(|| self.runtime.block_on(over));
            let outcome = work();
            drop(done);
            outcome
        })
    }

    /// Does something over the connection, to its end.
    pub fn run<T>(&self, work: impl AsyncFnOnce(&Arc<Client>) -> T) -> T {
        self.runtime.block_on(work(&self.client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::scripted::Scripted;

    #[test]
    fn what_was_begun_goes_on_beside_other_work() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async { Scripted::new([]).client() });
        let session = Session {
            runtime,
            client: Arc::new(client),
        };
        let (tell, told) = std::sync::mpsc::channel();
        session.run(async |_| {
            drop(tokio::spawn(async move {
                tokio::task::yield_now().await;
                let _gone = tell.send(());
            }));
        });
        // Without it nothing would ever be told.
        assert_eq!(session.beside(|| told.recv()), Ok(()));
    }
}
