//! Writes: what is sent, and what each answer means for the object.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::scripted::{Exchange, Scripted};
use crate::client::{ClientError, Deletion, OwnedField, Preconditions, Target, Verb, WriteOptions};
use crate::event::Event;
use crate::exit::Exit;

const CART: &str = "/api/v1/namespaces/shop/services/cart";
const PLAIN: WriteOptions = WriteOptions {
    dry_run: false,
    force: false,
};

fn cart() -> Target {
    Target {
        version: "v1".to_owned(),
        plural: "services".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "cart".to_owned(),
        ..Target::default()
    }
}

fn query(more: &str) -> String {
    format!("{CART}?fieldManager=kubectl-ambient&fieldValidation=Strict{more}")
}

/// A patch of the one object.
fn patched() -> Exchange {
    Exchange::patch(query(""))
}

/// Runs a script of answers to one patch.
async fn patch(script: &Scripted) -> Result<Value, ClientError> {
    let patch = json!({ "metadata": { "resourceVersion": "7" } });
    let outcome = script.client().merge_patch(&cart(), &patch, PLAIN).await;
    script.done();
    outcome
}

fn tries(script: &Scripted) -> usize {
    script.seen().len()
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_write_says_what_it_is() {
    let script = Scripted::new([
        patched()
            .with_header("content-type", "application/apply-patch+yaml")
            .with_body_containing(r#""kind":"Service""#)
            .answer(201, r#"{"kind":"Service"}"#),
        patched().with_header("content-type", "application/merge-patch+json"),
        Exchange::post(
            "/api/v1/namespaces/shop/services?fieldManager=kubectl-ambient&fieldValidation=Strict",
        )
        .with_header("content-type", "application/json"),
        Exchange::put(query("")).with_header("content-type", "application/json"),
        Exchange::delete(CART).with_body_containing(
            r#""propagationPolicy":"Background","preconditions":{"uid":"u","resourceVersion":"7"}"#,
        ),
    ]);
    let client = script.client();
    let (cart, object) = (cart(), json!({ "kind": "Service" }));
    assert_eq!(
        client.apply(&cart, &object, PLAIN).await,
        Ok(object.clone())
    );
    assert!(client.merge_patch(&cart, &object, PLAIN).await.is_ok());
    assert!(client.create(&cart, &object, PLAIN).await.is_ok());
    assert!(client.replace(&cart, &object, PLAIN).await.is_ok());
    let unchanged = Preconditions {
        uid: Some("u".to_owned()),
        resource_version: Some("7".to_owned()),
    };
    let deleted = client.delete(&cart, &unchanged, PLAIN).await;
    assert_eq!(deleted, Ok(Deletion::Deleted));
    script.done();
    assert!(matches!(
        &script.events()[0],
        Event::Request { method, status: Some(201), .. } if method == "PATCH"
    ));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_force_are_asked_for_by_name() {
    let script = Scripted::new([
        Exchange::patch(query("&force=true&dryRun=All")),
        Exchange::patch(query("&dryRun=All")),
        Exchange::delete(CART).with_body_containing(r#""dryRun":["All"]"#),
    ]);
    let client = script.client();
    let both = WriteOptions {
        dry_run: true,
        force: true,
    };
    assert!(client.apply(&cart(), &json!({}), both).await.is_ok());
    assert!(client.merge_patch(&cart(), &json!({}), both).await.is_ok());
    let deleted = client
        .delete(&cart(), &Preconditions::default(), both)
        .await;
    assert_eq!(deleted, Ok(Deletion::Deleted));
    script.done();
}

#[tokio::test(start_paused = true)]
async fn a_conflict_of_managers_names_who_owns_what() {
    let body = json!({
        "kind": "Status", "code": 409, "reason": "Conflict", "message": "Apply failed with 2 conflicts",
        "details": { "causes": [
            { "reason": "FieldManagerConflict", "field": ".spec.replicas", "message": "conflict with \"kubectl-scale\" with subresource \"scale\" using apps/v1" },
            { "reason": "FieldManagerConflict", "field": ".spec.paused", "message": "conflict with \"helm\" using apps/v1" },
        ] },
    });
    let script = Scripted::new([patched().answer(409, body.to_string())]);
    let error = script.client().apply(&cart(), &json!({}), PLAIN).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot apply services/cart in shop: others own fields of it: .spec.paused (helm), \
         .spec.replicas (kubectl-scale)"
    );
    assert_eq!(error.exit(), Exit::Negative);
    let ClientError::Conflict { fields, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        fields[0],
        OwnedField {
            manager: "helm".to_owned(),
            field: ".spec.paused".to_owned(),
        }
    );
}

#[tokio::test(start_paused = true)]
async fn someone_elses_change_is_told_from_an_object_that_exists() {
    let modified =
        "Operation cannot be fulfilled on services \"cart\": the object has been modified";
    let script = Scripted::new([patched().refuse(409, modified)]);
    let error = patch(&script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot change services/cart in shop: it changed meanwhile: {modified}")
    );
    assert_eq!(error.exit(), Exit::Stale);

    let exists = r#"{"kind":"Status","reason":"AlreadyExists","message":"there"}"#;
    let script = Scripted::new([Exchange::post(
        "/api/v1/namespaces/shop/services?fieldManager=kubectl-ambient&fieldValidation=Strict",
    )
    .answer(409, exists)]);
    let outcome = script.client().create(&cart(), &json!({}), PLAIN).await;
    assert!(matches!(outcome, Err(ClientError::Exists { .. })));
    assert_eq!(tries(&script), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_surely_not_done_is_sent_again() {
    let webhook = "Internal error occurred: failed calling webhook \"v\": connection refused";
    for exchange in [
        patched()
            .refuse(429, "slow down")
            .header("retry-after", "1"),
        patched()
            .refuse(503, "shutting down")
            .header("retry-after", "1"),
        patched().unconnected(),
        patched().refuse(500, webhook),
    ] {
        let script = Scripted::new([exchange.clone(), patched()]);
        assert_eq!(patch(&script).await, Ok(json!({})));

        let script = Scripted::new(std::iter::repeat_n(exchange, 4));
        assert!(patch(&script).await.is_err());
    }
    let busy = patched()
        .refuse(429, "slow down")
        .header("retry-after", "3");
    let script = Scripted::new([busy, patched()]);
    let started = Instant::now();
    assert!(patch(&script).await.is_ok());
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_is_never_sent_again() {
    for (exchange, why) in [
        (
            patched().break_off(),
            "cannot reach the API server https://cluster.test:6443: connection reset by peer",
        ),
        (
            patched().hang(),
            "the API server https://cluster.test:6443 gave no complete answer within 60 s",
        ),
        (
            patched().begin("{"),
            "the API server https://cluster.test:6443 gave no complete answer within 60 s",
        ),
        (
            patched().refuse(500, "etcdserver: request timed out"),
            "the API server answered 500: etcdserver: request timed out",
        ),
        (
            patched().answer(502, "<html>"),
            "the API server answered 502: Bad Gateway",
        ),
        (
            patched().answer(503, "upstream connect error"),
            "the API server answered 503: upstream connect error",
        ),
        (
            patched().refuse(504, "timeout"),
            "the API server answered 504: timeout",
        ),
    ] {
        let script = Scripted::new([exchange]);
        let error = patch(&script).await.unwrap_err();
        let ClientError::Unknown { verb, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*verb, Verb::Change);
        assert_eq!(
            error.to_string(),
            format!("it is not known whether services/cart in shop was changed: {why}")
        );
        assert_eq!(error.exit(), Exit::Unreachable);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_the_words_of_who_refused() {
    let webhook = "admission webhook \"validation.istio.io\" denied the request: no such field";
    for (status, message) in [
        (400, "strict decoding error: unknown field \"spec.x\""),
        (403, webhook),
        (
            422,
            "Service \"cart\" is invalid: spec.ports: Required value",
        ),
    ] {
        let script = Scripted::new([patched().refuse(status, message)]);
        let error = patch(&script).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot change services/cart in shop: the API server does not accept it: {message}"
            )
        );
        assert_eq!(error.exit(), Exit::Negative);
        assert_eq!(tries(&script), 1);
    }
    let right = "services \"cart\" is forbidden: User \"jane\" cannot patch resource \"services\"";
    let script = Scripted::new([patched().refuse(403, right)]);
    let error = patch(&script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot change services/cart in shop: {right}")
    );
    assert_eq!(error.exit(), Exit::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn deleting_what_is_not_there_is_no_failure() {
    let script = Scripted::new([Exchange::delete(CART).refuse(404, "not found")]);
    let none = Preconditions::default();
    let outcome = script.client().delete(&cart(), &none, PLAIN).await;
    assert_eq!(outcome, Ok(Deletion::Absent));

    let script = Scripted::new([Exchange::delete(CART).refuse(409, "Precondition failed: UID")]);
    let outcome = script.client().delete(&cart(), &none, PLAIN).await;
    assert!(matches!(outcome, Err(ClientError::Changed { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_object_is_read_whole_or_found_absent() {
    let script = Scripted::new([
        Exchange::get(CART).answer(200, r#"{"kind":"Service"}"#),
        Exchange::get(CART).refuse(404, "not found"),
    ]);
    let client = script.client();
    let object = json!({ "kind": "Service" });
    assert_eq!(client.read_object(&cart()).await, Ok(Some(object)));
    assert_eq!(client.read_object(&cart()).await, Ok(None));
}
