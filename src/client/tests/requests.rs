//! Bounds, repetitions, refusals and headers of a single request.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::scripted::{Exchange, Scripted};
use crate::client::{ClientError, ConnectOptions, GetRequest, Hidden, RequestTimeout};
use crate::event::Event;
use crate::exit::Exit;

const CART: &str = "/api/v1/namespaces/shop/services/cart";

fn cart() -> GetRequest {
    GetRequest {
        version: "v1".to_owned(),
        plural: "services".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "cart".to_owned(),
        ..GetRequest::default()
    }
}

/// Runs a script of answers to one GET.
async fn get(script: &Scripted) -> Result<Option<Vec<u8>>, ClientError> {
    let outcome = script.client().get(&cart()).await;
    script.done();
    outcome
}

fn retries(script: &Scripted) -> Vec<(u32, Duration)> {
    let events = script.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Retry { attempt, wait, .. } => Some((attempt, wait)),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_object_is_handed_out_as_it_came() {
    let script = Scripted::new([Exchange::get(CART).answer(200, r#"{"kind":"Service"}"#)]);
    assert_eq!(
        get(&script).await,
        Ok(Some(br#"{"kind":"Service"}"#.to_vec()))
    );
    assert_eq!(
        script.events(),
        [Event::Request {
            method: "GET".to_owned(),
            url: format!("https://cluster.test:6443{CART}"),
            status: Some(200),
            took: Duration::ZERO,
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn an_absent_object_is_no_error() {
    let script = Scripted::new([Exchange::get(CART).refuse(404, "services \"cart\" not found")]);
    assert_eq!(get(&script).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_the_servers_sentence_and_is_not_repeated() {
    let sentence = r#"services "cart" is forbidden: User "jane" cannot get resource "services" in API group "" in the namespace "shop""#;
    let script = Scripted::new([Exchange::get(CART).refuse(403, sentence)]);
    let error = get(&script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read services/cart in shop: {sentence}")
    );
    assert_eq!(error.exit(), Exit::Forbidden);
    assert!(error.hints()[0].contains("kubectl auth whoami"));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_say_how_to_renew_them() {
    let script = Scripted::new([Exchange::get(CART).refuse(401, "Unauthorized")]);
    let error = get(&script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the API server https://cluster.test:6443 does not accept the credentials: Unauthorized"
    );
    assert_eq!(error.exit(), Exit::Unreachable);
    assert!(error.hints()[0].contains("log in again"));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_read_waits_as_long_as_the_server_asks() {
    let busy = || Exchange::get(CART).refuse(429, "too many requests");
    let script = Scripted::new([
        busy().header("retry-after", "3"),
        busy().header("retry-after", "600"),
        Exchange::get(CART),
    ]);
    let started = Instant::now();
    assert!(get(&script).await.is_ok());
    assert_eq!(started.elapsed(), Duration::from_secs(13));
    assert_eq!(
        retries(&script),
        [(2, Duration::from_secs(3)), (3, Duration::from_secs(10))]
    );
}

#[tokio::test(start_paused = true)]
async fn the_status_may_say_how_long_to_wait() {
    let body = r#"{"kind":"Status","message":"later","details":{"retryAfterSeconds":2}}"#;
    let script = Scripted::new([Exchange::get(CART).answer(429, body), Exchange::get(CART)]);
    assert!(get(&script).await.is_ok());
    assert_eq!(retries(&script), [(2, Duration::from_secs(2))]);
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_is_tried_four_times() {
    for (exchange, expected) in [
        (
            Exchange::get(CART).refuse(503, "the apiserver is shutting down"),
            "cannot read services/cart in shop: the API server answered 503: the apiserver is shutting down",
        ),
        (
            Exchange::get(CART).answer(504, "<html>gateway</html>"),
            "cannot read services/cart in shop: the API server answered 504: Gateway Timeout",
        ),
        (
            Exchange::get(CART).refuse(429, "slow down"),
            "cannot read services/cart in shop: the API server is overloaded: slow down",
        ),
        (
            Exchange::get(CART).break_off(),
            "cannot reach the API server https://cluster.test:6443: connection reset by peer",
        ),
    ] {
        let script = Scripted::new(std::iter::repeat_n(exchange.clone(), 4));
        assert_eq!(get(&script).await.unwrap_err().to_string(), expected);
        let waits: Vec<_> = retries(&script)
            .iter()
            .map(|(_, wait)| wait.as_millis())
            .collect();
        assert_eq!(waits, [250, 500, 1000]);

        let script = Scripted::new([exchange, Exchange::get(CART)]);
        assert!(get(&script).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn other_failures_are_not_repeated() {
    for status in [400, 404, 405, 409, 410, 422, 501, 505] {
        let script = Scripted::new([Exchange::get(CART).answer(status, "no")]);
        drop(get(&script).await);
        assert_eq!(retries(&script), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up_once() {
    let script = Scripted::new([Exchange::get(CART).hang()]);
    let started = Instant::now();
    let error = get(&script).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(60));
    assert!(
        matches!(error, ClientError::Timeout { after, .. } if after == Duration::from_secs(60))
    );
    assert_eq!(error.exit(), Exit::Unreachable);
    assert!(matches!(
        script.events()[..],
        [Event::Request { status: None, .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn the_time_allowed_is_what_the_flag_says() {
    let script = Scripted::new([Exchange::get(CART).hang()]);
    let client = script.client_with(ConnectOptions {
        request_timeout: RequestTimeout::of(Duration::from_millis(1500)),
        ..ConnectOptions::default()
    });
    let started = Instant::now();
    assert!(client.get(&cart()).await.is_err());
    assert_eq!(started.elapsed(), Duration::from_millis(1500));
}

#[tokio::test(start_paused = true)]
async fn zero_allows_any_time() {
    let script = Scripted::new([Exchange::get(CART).hang()]);
    let client = script.client_with(ConnectOptions {
        request_timeout: RequestTimeout::NONE,
        ..ConnectOptions::default()
    });
    let day = Duration::from_secs(86_400);
    assert!(
        tokio::time::timeout(day, client.get(&cart()))
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn every_request_names_us_and_whom_we_act_as() {
    let os = std::env::consts::OS;
    let arch = std::env::consts::ARCH;
    let agent = format!(
        "kubectl-ambient/{} ({os}/{arch})",
        env!("CARGO_PKG_VERSION")
    );
    let script = Scripted::new([Exchange::get(CART)
        .with_header("user-agent", agent)
        .with_header("accept", "application/json")
        .with_header("impersonate-user", "jane")
        .with_header("impersonate-uid", "7")
        .with_header("impersonate-group", "dev")
        .with_header("impersonate-group", "ops")
        .with_header("impersonate-extra-scopes", "view")]);
    let client = script.client_with(ConnectOptions {
        impersonate: Some("jane".to_owned()),
        impersonate_uid: Some("7".to_owned()),
        impersonate_groups: vec!["dev".to_owned(), "ops".to_owned()],
        impersonate_extra: vec![("scopes".to_owned(), "view".to_owned())],
        ..ConnectOptions::default()
    });
    assert!(client.get(&cart()).await.is_ok());
    script.done();
}

#[tokio::test(start_paused = true)]
async fn only_metadata_is_asked_for_when_that_is_enough() {
    let script = Scripted::new([Exchange::get(CART).with_header(
        "accept",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    )]);
    let request = GetRequest {
        metadata_only: true,
        ..cart()
    };
    assert!(script.client().get(&request).await.is_ok());
    script.done();
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_passed_on_once() {
    let old = || Exchange::get(CART).header("warning", r#"299 - "v1 is deprecated""#);
    let script = Scripted::new([old(), old()]);
    let client = script.client();
    assert!(client.get(&cart()).await.is_ok());
    assert!(client.get(&cart()).await.is_ok());
    let warnings = script
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Warning(_)));
    assert_eq!(
        warnings.collect::<Vec<_>>(),
        [Event::Warning("v1 is deprecated".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn no_event_and_no_message_holds_a_secret() {
    let script = Scripted::new(std::iter::repeat_n(Exchange::get(CART).break_off(), 4));
    let client = script.client_with(ConnectOptions {
        server: Some("https://joe:pa55@cluster.test".to_owned()),
        token: Some(Hidden::from("s3cret".to_owned())),
        ..ConnectOptions::default()
    });
    let error = client.get(&cart()).await.unwrap_err();
    let told = format!("{error} {error:?} {:?} {client:?}", script.events());
    assert!(!told.contains("pa55") && !told.contains("s3cret"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn six_requests_at_most_are_under_way() {
    let script = Scripted::new(std::iter::repeat_n(Exchange::get(CART).hang(), 7));
    let client = script.client();
    let cart = cart();
    let get = || client.get(&cart);
    let all = async { tokio::join!(get(), get(), get(), get(), get(), get(), get()) };
    assert!(
        tokio::time::timeout(Duration::from_secs(30), all)
            .await
            .is_err()
    );
    assert_eq!(script.seen().len(), 6);
}
