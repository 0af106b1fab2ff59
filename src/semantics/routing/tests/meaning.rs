//! What matches, rewrites and the rest mean.

use serde_json::json;

use super::*;

#[test]
fn prefixes_and_rewrites_mean_what_each_api_says() {
    let virtual_service = |uri: &str, rewrite: &str| {
        Mesh::new().virtual_service(1, "shop/a", &json!({"hosts": ["reviews"], "http": [
            {"match": [{"uri": {"prefix": uri}}], "rewrite": {"uri": rewrite}, "route": to("other")}]}))
    };
    let http_route = |path: &str, rewrite: &str| {
        Mesh::new().http_route(
            1,
            "shop/a",
            &route(&json!([{
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": {
                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewrite}}}],
            "backendRefs": [{"name": "other", "port": 9080}]}])),
        )
    };
    let path = |mesh: &Mesh, path: &str| {
        let seen = get(&mesh.sidecar("shop"), path);
        match seen.split_once(", path ") {
            Some((_, path)) => path.to_owned(),
            None if seen == "404" => seen,
            None => path.to_owned(),
        }
    };
    for (prefix, rewrite, asked, before, after) in [
        ("/a/", "/", "/a", "404", "/"),
        ("/a/", "/", "/a/x", "/x", "/x"),
        ("/a/", "/b/", "/a", "404", "/b"),
        ("/a/", "/b/", "/a/x", "/b/x", "/b/x"),
        ("/a", "/", "/a", "/", "/"),
        ("/a", "/", "/a/x", "//x", "/x"),
        ("/a", "/", "/ab", "/b", "404"),
        ("/a", "/b/", "/a", "/b/", "/b"),
        ("/a", "/b/", "/a/x", "/b//x", "/b/x"),
        ("/", "/x", "/y", "/xy", "/xy"),
        ("/", "/z/", "/y", "/z/y", "/zy"),
        ("/", "/", "/y", "/y", "/y"),
    ] {
        assert_eq!(
            path(&virtual_service(prefix, rewrite), asked),
            before,
            "{prefix} {rewrite}"
        );
        assert_eq!(
            path(&http_route(prefix, rewrite), asked),
            after,
            "{prefix} {rewrite}"
        );
    }
}

#[test]
fn a_path_that_is_matched_whole_is_rewritten_whole() {
    let http = json!([
        {"match": [{"uri": {"exact": "/a"}}], "rewrite": {"uri": "/new"}, "route": to("other")},
        {"match": [{"uri": {"regex": "/b/[0-9]+"}}], "rewrite": {"uri": "/n"}, "route": to("other")},
        {"match": [{"uri": {"prefix": "/c"}}], "route": to("other"),
         "rewrite": {"uriRegexRewrite": {"match": "^/c/([^/]+)(/.*)", "rewrite": "\\2/of/\\1"}}},
        {"rewrite": {"uri": "/all", "authority": "other.example"}, "route": to("other")},
    ]);
    let mesh =
        Mesh::new().virtual_service(1, "shop/a", &json!({"hosts": ["reviews"], "http": http}));
    let table = mesh.sidecar("shop");
    for (path, seen) in [
        ("/a", "other.shop:9080, path /new"),
        ("/b/12", "other.shop:9080, path /n"),
        ("/c/x/y/z", "other.shop:9080, path /y/z/of/x"),
        ("/d", "other.shop:9080 as other.example, path /alld"),
    ] {
        assert_eq!(get(&table, path), seen);
    }
}

#[test]
fn case_is_disregarded_in_texts_and_not_in_expressions() {
    let seen = |uri: Value, path: &str| {
        let one = json!({"uri": uri, "ignoreUriCase": true});
        let spec = json!({"hosts": ["reviews"], "http": [{"match": [one], "route": to("other")}]});
        get(
            &Mesh::new()
                .virtual_service(1, "shop/a", &spec)
                .sidecar("shop"),
            path,
        ) != "404"
    };
    assert!(seen(json!({"prefix": "/Api"}), "/aPI/x"));
    assert!(seen(json!({"exact": "/Api"}), "/aPI"));
    assert!(!seen(json!({"regex": "/api.*"}), "/aPI/x"));
    assert!(seen(json!({"regex": "(?i)/api.*"}), "/aPI/x"));
}

#[test]
fn weights_decide_shares_and_500() {
    let backends = |list: &Value| {
        let mesh = Mesh::new().http_route(1, "shop/a", &route(&json!([{"backendRefs": list}])));
        get(&mesh.sidecar("shop"), "/")
    };
    let one = |name: &str, weight: u32| json!({"name": name, "port": 9080, "weight": weight});
    assert_eq!(backends(&json!([])), "500");
    assert_eq!(backends(&json!([one("reviews", 0)])), "500");
    assert_eq!(
        backends(&json!([one("reviews", 0), one("other", 3)])),
        "other.shop:9080"
    );
    assert_eq!(
        backends(&json!([one("reviews", 20), one("other", 60)])),
        "3/4 other.shop:9080 + 1/4 reviews.shop:9080"
    );
    // An invalid reference makes its route have no effect; a kind that is not known answers 500.
    assert!(backends(&json!([{"name": "other"}])).starts_with("reviews.shop"));
    let strange = json!([{"group": "x", "kind": "Y", "name": "other", "port": 1}]);
    assert_eq!(backends(&strange), "500");

    let spec = |route: &Value| json!({"hosts": ["reviews"], "http": [{"route": route}]});
    let way = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
    let seen = |route: &Value| {
        let mesh = Mesh::new().virtual_service(1, "shop/a", &spec(route));
        get(&mesh.sidecar("shop"), "/")
    };
    assert_eq!(seen(&json!([way("other", 0)])), "other.shop:9080");
    assert_eq!(
        seen(&json!([way("other", 0), way("reviews", 1)])),
        "reviews.shop:9080"
    );
    assert!(seen(&json!([way("other", 0), way("reviews", 0)])).starts_with("refused"));
    // The only port of a host, else that of the request.
    assert_eq!(seen(&to("third.web.svc.cluster.local")), "third.web:80");
    assert_eq!(seen(&to("other")), "other.shop:9080");
}

#[test]
fn redirects_have_the_defaults_of_their_api() {
    let spec = json!({"hosts": ["reviews"], "http": [
        {"match": [{"uri": {"prefix": "/a"}}], "redirect": {"uri": "/b"}},
        {"redirect": {"scheme": "https", "prefixRewrite": "/c", "port": 443, "redirectCode": 308}}]});
    let vs = Mesh::new().virtual_service(1, "shop/a", &spec);
    assert_eq!(
        get(&vs.sidecar("shop"), "/a"),
        "301 to http://the same host, path /b"
    );
    assert_eq!(
        get(&vs.sidecar("shop"), "/x"),
        "308 to https://the same host, path /cx"
    );
    let redirect = |to: &Value| {
        let rules = json!([{"filters": [{"type": "RequestRedirect", "requestRedirect": to}]}]);
        get(
            &Mesh::new()
                .http_route(1, "shop/a", &route(&rules))
                .sidecar("shop"),
            "/a",
        )
    };
    assert_eq!(redirect(&json!({})), "302 to http://the same host:9080");
    assert_eq!(
        redirect(&json!({"scheme": "http"})),
        "302 to http://the same host"
    );
    assert_eq!(
        redirect(&json!({"hostname": "x", "port": 80, "statusCode": 301})),
        "301 to http://x"
    );
}

#[test]
fn retries_and_timeouts_have_the_defaults_of_their_proxy() {
    let retry = |table: &Table| match &table.entries[0].action.answer {
        Answer::Forward(forward) => (
            forward.retry.clone().map(|r| r.to_string()),
            forward.timeout,
        ),
        other => panic!("{other:?}"),
    };
    let clients = "2 retries on cancelled,connect-failure,refused-stream,unavailable";
    let mut mesh = Mesh::new();
    assert_eq!(
        retry(&mesh.sidecar("shop")),
        (Some(clients.to_owned()), None)
    );
    assert_eq!(
        retry(&mesh.waypoint("shop")),
        (Some(clients.to_owned()), None)
    );
    mesh.defaults.waypoints_retry_unsent = true;
    let unsent = "2 retries on reset-before-request";
    assert_eq!(
        retry(&mesh.waypoint("shop")),
        (Some(unsent.to_owned()), None)
    );

    let rule = |rest: Value| {
        let mut rule = json!({"backendRefs": [{"name": "other", "port": 9080}]});
        rule.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        let mesh = Mesh::new().http_route(1, "shop/a", &route(&json!([rule])));
        let (retry, timeout) = retry(&mesh.sidecar("shop"));
        format!("{} {timeout:?}", retry.unwrap_or_default())
    };
    assert_eq!(
        rule(
            json!({"retry": {"codes": [503]}, "timeouts": {"request": "5s", "backendRequest": "1s"}})
        ),
        format!("{clients},503 with 1s each Some(5s)")
    );
    // Without retries, the timeout of each try is that of the request.
    let both = json!({"timeouts": {"request": "5s", "backendRequest": "1s"}});
    assert_eq!(rule(both), format!("{clients} Some(1s)"));
    assert_eq!(rule(json!({"retry": {"attempts": 0}})), " None");
    assert_eq!(
        rule(json!({"timeouts": {"request": "0s"}})),
        format!("{clients} None")
    );
}

#[test]
fn headers_match_in_every_way_of_istio() {
    let asked = |matches: &Value, request: &Request| {
        let spec = json!({"hosts": ["reviews"], "http": [
            {"match": [matches], "directResponse": {"status": 200}}]});
        let mesh = Mesh::new().virtual_service(1, "shop/a", &spec);
        let outcome = mesh.sidecar("shop").route(request, &ByName).unwrap();
        matches!(outcome.reply, Reply::Answered { .. })
    };
    for (one, request, expected) in header_cases().into_iter().chain(absence_cases()) {
        assert_eq!(asked(&one, &request), expected, "{one} {request}");
    }
}

/// A match, a request, and whether it matches.
fn header_cases() -> Vec<(Value, Request, bool)> {
    let with = |name: &str, value: &str| Request {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..Request::default()
    };
    let none = Request::default();
    vec![
        (
            json!({"headers": {"X-A": {"exact": "1"}}}),
            with("x-a", "1"),
            true,
        ),
        (
            json!({"headers": {"x-a": {"exact": "1"}}}),
            with("x-a", "2"),
            false,
        ),
        (json!({"headers": {"x-a": {}}}), with("x-a", ""), true),
        (json!({"headers": {"x-a": {}}}), none.clone(), false),
        (
            json!({"headers": {"x-a": {"regex": "*"}}}),
            with("x-a", "z"),
            true,
        ),
        (
            json!({"headers": {"x-a": {"regex": "a.*"}}}),
            with("x-a", "xa"),
            false,
        ),
        (
            json!({"headers": {"x-a": {"exact": ""}}}),
            none.clone(),
            false,
        ),
        (
            json!({"headers": {":method": {"exact": "GET"}}}),
            none.clone(),
            true,
        ),
        (
            json!({"headers": {":path": {"exact": "/"}}}),
            none.clone(),
            true,
        ),
        (json!({"scheme": {"exact": "https"}}), none.clone(), false),
        (
            json!({"headers": {"host": {"exact": "a"}}}),
            Request {
                authority: Some("a".to_owned()),
                ..none.clone()
            },
            true,
        ),
        (
            json!({"headers": {"@request.auth.claims.group.id": {"exact": "a"}}}),
            Request {
                claims: [("[group][id]".to_owned(), "a".to_owned())].into(),
                ..none.clone()
            },
            true,
        ),
    ]
}

/// The same of what must not be there.
fn absence_cases() -> Vec<(Value, Request, bool)> {
    let with = |name: &str, value: &str| Request {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..Request::default()
    };
    let none = Request::default();
    vec![
        (json!({"withoutHeaders": {"x-a": {}}}), none.clone(), true),
        (
            json!({"withoutHeaders": {"x-a": {}}}),
            with("x-a", "1"),
            false,
        ),
        (
            json!({"withoutHeaders": {"x-a": {"exact": "1"}}}),
            none.clone(),
            true,
        ),
        (
            json!({"withoutHeaders": {"x-a": {"exact": "1"}}}),
            with("x-a", "2"),
            true,
        ),
        // What is absent counts as empty.
        (
            json!({"withoutHeaders": {"x-a": {"regex": "b*"}}}),
            none.clone(),
            false,
        ),
    ]
}
