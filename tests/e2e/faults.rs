//! Reading through a bad line: what passes is tried again and changes nothing in the answer; what
//! stays is said, with its exit code, and is never taken for an empty cluster.

use std::time::Duration;

use harness::fault::{At, Fault, FaultProxy, When};
use harness::{ControlPlane, Done, Result};
use serde_json::Value;

use crate::wealist::{self, essence};

#[test]
fn what_passes_changes_nothing() -> Result {
    let plane = wealist::shared()?;
    let undisturbed = report(plane, &plane.faults()?)?;
    let faults = [
        ("429", Fault::status(429)),
        ("429, later", Fault::status(429).retry_after(1)),
        ("500", Fault::status(500)),
        (
            "502",
            Fault::page(502, "text/html", "<html>Bad Gateway</html>"),
        ),
        ("503", Fault::status(503).retry_after(1)),
        ("504", Fault::status(504)),
        ("cut before the request", Fault::cut(At::Request)),
        ("cut before the answer", Fault::cut(At::Answer)),
        ("cut in the head", Fault::cut(At::Head)),
        ("cut after the head", Fault::cut(At::Body)),
        ("cut in the body", Fault::cut(At::BodyAfter(100))),
        ("slow", Fault::delay(Duration::from_millis(300))),
    ];
    for (name, fault) in faults {
        for resource in ["pods", "authorizationpolicies", "namespaces"] {
            let proxy = plane.faults()?;
            let rule = proxy.rule(When::list(resource).nth(1), fault.clone());
            assert_eq!(report(plane, &proxy)?, undisturbed, "{name}: {resource}");
            assert_eq!(rule.done(), 1, "{name}: {resource}");
        }
    }
    Ok(())
}

#[test]
fn a_list_that_expires_between_pages_is_read_anew() -> Result {
    let plane = wealist::shared()?;
    let undisturbed = report(plane, &plane.faults()?)?;
    let proxy = plane.faults()?;
    let rule = proxy.rule(When::list("pods").continued().nth(2), Fault::expired());
    let check = ["check", "-n", "default", "-o", "json", "--chunk-size", "2"];
    let done = plane.ambient(check)?.through(&proxy).run()?.exited(0)?;
    assert_eq!(essence(&done.json()?), undisturbed);
    assert_eq!(rule.done(), 1);
    // All at once the second time, so that it cannot expire again.
    let log = proxy.log();
    let last = log.lists_of("pods");
    assert!(
        last.iter()
            .any(|page| page.parameter("limit").is_none() && !page.is_continued()),
        "{last:?}"
    );
    Ok(())
}

#[test]
fn what_stays_is_said_and_keeps_the_verdict_open() -> Result {
    let plane = wealist::shared()?;
    for (fault, said) in [
        (Fault::status(500), "answered 500"),
        (Fault::forbid_against_reviews(), "forbidden"),
    ] {
        let proxy = plane.faults()?;
        proxy.rule(When::list("authorizationpolicies"), fault);
        let done = check(plane, &proxy, &[])?.exited(8)?;
        let report = done.json()?;
        assert_eq!(report["namespaces"][0]["verdict"], "undecided", "{said}");
        let unread = report["unread"].to_string();
        assert!(unread.contains("authorizationpolicies"), "{unread}");
        assert!(unread.contains(said), "{unread}");
    }
    Ok(())
}

#[test]
fn rights_that_reviews_deny_are_not_tried() -> Result {
    let plane = wealist::shared()?;
    let proxy = plane.faults()?;
    proxy.rule(When::list("networkpolicies"), Fault::forbid());
    let report = check(plane, &proxy, &[])?.exited(8)?.json()?;
    assert!(report["unread"].to_string().contains("networkpolicies"));
    Ok(())
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_told() -> Result {
    let plane = wealist::shared()?;
    for at in [At::Request, At::Body] {
        let proxy = plane.faults()?;
        proxy.rule(When::list("pods"), Fault::stall(at));
        let done = check(plane, &proxy, &["--request-timeout", "1s"])?;
        assert_ne!(done.code(), Some(0), "{done}");
        assert!(done.took < Duration::from_secs(30), "{done}");
        assert!(!done.stdout.contains("\"ready\""), "{done}");
    }
    Ok(())
}

#[test]
fn a_server_that_is_gone_is_unreachable() -> Result {
    let plane = wealist::shared()?;
    let proxy = plane.faults()?;
    proxy.rule(When::any(), Fault::cut(At::Request));
    let done = check(plane, &proxy, &[])?.exited(3)?;
    assert_eq!(done.stdout, "");
    Ok(())
}

fn check(plane: &ControlPlane, proxy: &FaultProxy, more: &[&str]) -> Result<Done> {
    let check = ["check", "-n", "default", "-o", "json"];
    plane
        .ambient(check.iter().chain(more))?
        .through(proxy)
        .run()
}

fn report(plane: &ControlPlane, proxy: &FaultProxy) -> Result<Value> {
    Ok(essence(&check(plane, proxy, &[])?.exited(0)?.json()?))
}
