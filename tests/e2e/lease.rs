//! Two people and one lock, on a real API server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Error, Result};
use kubectl_ambient::client::ConnectOptions;
use kubectl_ambient::event::Silent;
use kubectl_ambient::execute::{Holder, Lock, LockError, LockTimes, Session};

use crate::wealist;

#[test]
fn of_two_people_one_has_the_lock() -> Result {
    let plane = wealist::shared()?;
    let shop = plane.namespace("locked", &[])?;
    let options = ConnectOptions {
        kubeconfig: Some(plane.cluster().kubeconfig().to_owned()),
        ..ConnectOptions::default()
    };
    let failed = |error: &dyn std::fmt::Display| Error::new(error.to_string());
    let session = Session::connect(&options, Arc::new(Silent)).map_err(|error| failed(&error))?;
    let times = LockTimes::of_seconds(2);
    let name = shop.name();
    let hers = session.run(async |client| -> Result<Lock> {
        let jane = Holder::from("jane@laptop 1");
        let joe = Holder::from("joe@desk 2");
        let hers = Lock::acquire(client, name, &jane, times).await;
        let hers = hers.map_err(|error| failed(&error))?;
        let Err(LockError::Held { holder, .. }) = Lock::acquire(client, name, &joe, times).await
        else {
            return Err(Error::new("both have it"));
        };
        assert_eq!(holder, "jane@laptop 1");
        hers.release().await;

        // He is killed: his Lease runs out, and not before.
        let his = Lock::acquire(client, name, &joe, times).await;
        drop(his.map_err(|error| failed(&error))?);
        let dropped = Instant::now();
        let hers = loop {
            match Lock::acquire(client, name, &jane, times).await {
                Ok(lock) => break lock,
                Err(LockError::Held { .. }) if dropped.elapsed() < Duration::from_secs(30) => {}
                Err(error) => return Err(failed(&error)),
            }
        };
        assert!(dropped.elapsed() >= Duration::from_secs(1));
        assert_eq!(hers.still_held(), Ok(()));

        Ok(hers)
    })?;

    // Someone deletes it from under her.
    shop.delete("leases.coordination.k8s.io", "kubectl-ambient")?;
    let loss = session.run(async |_| hers.when_lost().await).to_string();
    assert!(loss.ends_with("it was deleted"), "{loss}");
    Ok(())
}
