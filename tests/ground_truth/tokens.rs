//! What becomes of the token that a proxy has verified.

use harness::oracle::{Outcome, Request};

use crate::scene::{Shop, View};

/// The key by which the token is verified. Its other half was thrown away.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","x":"DV9f_V-iLOx6YzS9apfC29WicmBeaOxp5umaoexadIU","y":"czcYwkTiXlrfU_czYEmhMRDcuW4RsuDJP8aDHPLmf-E"}]}"#;

/// Of issuer `test`, until the year 2100.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ0ZXN0Iiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ4MDB9.-BOucIJtQck9OPUa_u40VZyJZX6ucCL_So4LoBLSr0K034rbm9g1K9ArEsmkDmh1nPAEG5ap9-aKrxdtqgRdhQ";

/// The shop whose waypoint verifies tokens.
#[track_caller]
fn shop(more: &str) -> Shop {
    Shop::with(&format!(
        "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: a, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Service, name: a}}]
  jwtRules: [{{issuer: test, jwks: '{KEYS}'{more}}}]
"
    ))
}

/// What becomes of a request with a token at the waypoint.
#[track_caller]
fn asked(shop: &Shop, token: &str) -> Outcome {
    let request = Request::new("GET", "/").header("authorization", &format!("Bearer {token}"));
    let outcomes = shop.ask(View::Waypoint, &[request]);
    outcomes.into_iter().next().expect("an outcome")
}

/// Whether the pods behind the waypoint are sent the token, by what is said of it.
#[track_caller]
fn is_passed_on(more: &str) -> bool {
    let outcome = asked(&shop(more), TOKEN);
    assert_eq!(outcome.status, 200);
    outcome.arrivals[0].headers.contains_key("authorization")
}

#[test]
fn waypoint_keeps_the_token_to_itself_unless_it_is_told_to_forward_it() {
    assert!(!is_passed_on(""));
    assert!(!is_passed_on(", forwardOriginalToken: false"));
    assert!(is_passed_on(", forwardOriginalToken: true"));
}

#[test]
fn token_that_does_not_verify_goes_no_further() {
    let (unsigned, _) = TOKEN.rsplit_once('.').unwrap_or_default();
    let outcome = asked(&shop(""), &format!("{unsigned}.AAAA"));
    assert_eq!(outcome.status, 401);
    assert!(outcome.arrivals.is_empty());
}
