//! Writes over a server that keeps objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::execute::server::Server;

const CART: &str = "/api/v1/namespaces/shop/services/cart";

/// That cart has this label.
fn labelled() -> Write {
    let cart = ObjectRef::new(Kind::Service, &Name::from("shop"), &Name::from("cart"));
    let after = json!({"metadata": {"labels": {"a": "b"}}});
    Write::between(&cart, &json!({"metadata": {"labels": {}}}), &after)
}

#[tokio::test(start_paused = true)]
async fn the_lock_is_asked_for_before_each_try_of_a_write() {
    let server = Server::holding(&[(CART, json!({"metadata": {"labels": {}}}))]);
    // The first try meets a server that is away; meanwhile the lock is lost.
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    server.before(move |request| {
        (request.method == "PATCH" && seen.fetch_add(1, Ordering::Relaxed) == 0)
            .then(|| (502, String::new()))
    });
    let script = server.script();
    let client = script.client();
    let cluster = Cluster::new(&client, WriteOptions::default())
        .await
        .unwrap();
    let held = || match tries.load(Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(Loss::Taken {
            namespace: "shop".to_owned(),
            by: "joe@desk 7 holds it".to_owned(),
        }),
    };
    let made = cluster.make(&labelled(), held).await;
    assert!(matches!(made, Err(WriteError::Lock(_))), "{made:?}");
    assert_eq!(server.written(), Vec::<String>::new());
    // With the lock it is tried again.
    tries.store(0, Ordering::Relaxed);
    cluster.make(&labelled(), || Ok(())).await.unwrap();
    assert_eq!(server.get(CART).unwrap()["metadata"]["labels"]["a"], "b");
}
