//! What rules match, at the sidecar and at ztunnel.

use super::*;
use crate::mesh::installation::Authorizer;

#[test]
fn the_actions_go_in_order() {
    // No ALLOW policy: allowed. One that matches nothing: denied. DENY before ALLOW.
    both(&World::of(""), "web/cart => +, +");
    both(&World::of("ALLOW shop/a {}"), "web/cart => -, -");
    both(
        &World::of("ALLOW shop/a {rules: [{}]}"),
        "web/cart => +, +\n - => +, +",
    );
    both(&World::of("DENY shop/a {rules: [{}]}"), "web/cart => -, -");
    both(&World::of("DENY shop/a {}"), "web/cart => +, +");
    both(
        &World::of(
            "ALLOW shop/a {rules: [{from: [{source: {namespaces: [web]}}]}]}
             ALLOW shop/b {rules: [{from: [{source: {namespaces: [ops]}}]}]}
             DENY shop/c {rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/evil]}}]}]}
             AUDIT shop/d {rules: [{}]}",
        ),
        "web/cart => +, +
         ops/x => +, +
         web/evil => -, -
         other/x => -, -
         - => -, -",
    );
}

#[test]
fn who_calls() {
    let rule = |source: &str| {
        World::of(&format!(
            "ALLOW shop/a {{rules: [{{from: [{{source: {{{source}}}}}]}}]}}"
        ))
    };
    both(
        &rule("principals: ['*']"),
        "web/cart => +, +
         - => -, -",
    );
    both(
        &rule("notPrincipals: ['*']"),
        "web/cart => -, -
         - => +, +",
    );
    both(
        &rule("principals: ['cluster.local/ns/web/*']"),
        "web/cart => +, +
         webs/cart => -, -",
    );
    both(
        &rule("principals: ['*/sa/cart']"),
        "web/cart => +, +
         web/carts => -, -",
    );
    // Not a principal: it is written without the scheme.
    both(
        &rule("principals: ['spiffe://cluster.local/ns/web/sa/cart']"),
        "web/cart => -, -",
    );
    both(
        &rule("namespaces: ['we*']"),
        "web/cart => +, +
         ops/we => -, -",
    );
    both(
        &rule("namespaces: ['*b']"),
        "web/cart => +, +
         ops/cart => -, -",
    );
    // At Envoy the star reaches up to the `sa` of the URI.
    both(&rule("namespaces: ['*a']"), "web/cart => +, -");
    both(
        &rule("serviceAccounts: [cart, web/cart]"),
        "web/cart => +, +
         shop/cart => +, +
         ops/cart => -, -",
    );
    both(
        &rule("notServiceAccounts: [cart]"),
        "web/cart => +, +
         shop/cart => -, -
         - => +, +",
    );
    both(
        &rule("ipBlocks: [10.1.0.0/16], notIpBlocks: [10.1.2.0/24]"),
        "- ip=10.1.1.1 => +, +
         - ip=10.1.2.1 => -, -
         - ip=10.2.0.1 => -, -",
    );
    both(
        &rule("remoteIpBlocks: [10.1.0.0/16]"),
        "- ip=10.1.1.1 => +, -
         - ip=10.2.0.1 for=10.1.1.1 => +, -
         - ip=10.1.1.1 for=10.2.0.1 => -, -",
    );
    // All fields of a source, any of the sources.
    both(
        &World::of(
            "ALLOW shop/a {rules: [{from: [
                {source: {namespaces: [web], ipBlocks: [10.0.0.0/8]}}, {source: {namespaces: [ops]}}]}]}"
                .replace('\n', "")
                .as_str(),
        ),
        "web/x ip=10.1.1.1 => +, +
         web/x ip=11.1.1.1 => -, -
         ops/x ip=11.1.1.1 => +, +",
    );
}

#[test]
fn trust_domains() {
    let mut world = World::of(
        "DENY shop/a {rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/evil, old/ns/web/sa/bad]}}]}]}",
    );
    world.settings.trust_domain = "acme".to_owned();
    world.settings.trust_domain_aliases = vec!["old".to_owned()];
    // The names are made to mean the mesh's trust domain and its aliases, but not at ztunnel; and
    // ztunnel takes no callers of an alias.
    both(
        &world,
        "acme/web/evil => -, +
         old/web/evil => -, -
         acme/web/bad => -, +
         acme/web/good => +, +
         old/web/good => +, -
         cluster.local/web/good => -, -",
    );
    let mut world = World::of(
        "ALLOW shop/a {rules: [{from: [{source: {namespaces: [web], notTrustDomains: [old]}}]}]}",
    );
    world.settings.trust_domain = "acme".to_owned();
    world.settings.other_trust_domains = vec!["b-old".to_owned()];
    both(
        &world,
        "acme/web/x => +, +
         b-old/web/x => +, -",
    );
    let source = |source: &str| {
        World::of(&format!(
            "ALLOW shop/a {{rules: [{{from: [{{source: {{{source}}}}}]}}]}}"
        ))
    };
    both(&source("trustDomains: [cluster.local]"), "web/x => +, -");
    both(&source("trustDomains: ['cluster*']"), "web/x => +, -");
    both(&source("trustDomains: ['*.local']"), "web/x => +, -");
    both(&source("trustDomains: ['*']"), "web/x => +, -\n - => -, -");
    both(&source("trustDomains: [other]"), "web/x => -, -");
    // Blanked at ztunnel, which then sees the namespace alone.
    both(
        &source("namespaces: [web], trustDomains: [other]"),
        "web/x => -, +",
    );
}

#[test]
fn what_is_asked_of_requests() {
    let rule = |operation: &str| {
        World::of(&format!(
            "ALLOW shop/a {{rules: [{{to: [{{operation: {{{operation}}}}}]}}]}}"
        ))
    };
    both(
        &rule("ports: ['8080']"),
        "web/x => +, +
         web/x port=80 => -, -",
    );
    both(
        &rule("notPorts: ['8080']"),
        "web/x => -, -\n web/x port=80 => +, +",
    );
    both(
        &rule("methods: [GET, 'P*']"),
        "web/x GET => +, -
         web/x get => -, -
         web/x PUT => +, -
         web/x HEAD => -, -",
    );
    both(
        &rule("hosts: ['*.Example.com', a.b]"),
        "web/x host=www.example.COM => +, -
         web/x host=www.example.com:80 => -, -
         web/x host=A.b => +, -
         web/x host=example.com => -, -",
    );
    both(
        &rule("paths: [/a, /b*, '*.js']"),
        "web/x /a => +, -
         web/x /a/ => -, -
         web/x /bc => +, -
         web/x /x.js => +, -
         web/x /A => -, -",
    );
    both(
        &rule("notPaths: [/a]"),
        "web/x /a => -, -\n web/x /b => +, -",
    );
    both(
        &rule("paths: ['/a/{*}/b', '/c/{**}', '/d/{**}/e']"),
        "web/x /a/x/b => +, -
         web/x /a//b => -, -
         web/x /a/x/y/b => -, -
         web/x /c/ => +, -
         web/x /c/x/y => +, -
         web/x /c => -, -
         web/x /d//e => +, -
         web/x /d/x/e => +, -
         web/x /d/e => -, -
         web/x /c/* => -, -",
    );
}

#[test]
fn conditions() {
    let when = |key: &str, values: &str| {
        World::of(&format!(
            "ALLOW shop/a {{rules: [{{when: [{{key: '{key}', {values}}}]}}]}}"
        ))
    };
    both(
        &when("request.headers[X-Env]", "values: [a, 'b*']"),
        "web/x x-env:a => +, -
         web/x x-env:bc => +, -
         web/x x-env:c => -, -
         web/x => -, -",
    );
    both(
        &when("request.headers[x-env]", "values: ['*']"),
        "web/x x-env: => +, -",
    );
    both(
        &when("request.headers[x-env]", "notValues: [a]"),
        "web/x x-env:a => -, -
         web/x => +, -",
    );
    both(
        &when("request.headers[:method]", "values: [GET]"),
        "web/x GET => +, -",
    );
    both(
        &when("source.namespace", "notValues: [web]"),
        "web/x => -, -\n - => +, +",
    );
    both(
        &when("source.principal", "values: ['*/sa/x']"),
        "web/x => +, +",
    );
    both(
        &when("source.serviceAccount", "values: [web/x]"),
        "web/x => +, -",
    );
    both(
        &when("source.trustDomain", "values: [cluster.local]"),
        "web/x => +, -",
    );
    both(&when("source.ip", "values: [10.0.0.0/8]"), "web/x => +, +");
    both(&when("remote.ip", "values: [10.0.0.0/8]"), "web/x => +, -");
    both(
        &when("destination.port", "values: ['8080']"),
        "web/x => +, +",
    );
    both(
        &when("destination.ip", "values: [10.0.0.0/8]"),
        "web/x => ?, ?",
    );
    both(&when("connection.sni", "values: [a.b]"), "web/x => ?, -");
    both(
        &when("connection.sni", "values: [a.b]"),
        "- tcp bytes sni=a.b => +, -",
    );
    both(
        &when("experimental.envoy.filters.a.b[c]", "values: [d]"),
        "web/x => ?, -",
    );
    // A key that istiod does not know drops the rule.
    both(&when("request.size", "values: ['1']"), "web/x => -, -");
    let mut world =
        World::of("DENY shop/a {rules: [{when: [{key: request.size, values: ['1']}]}]}");
    both(&world, "web/x => +, +");
    world.add("DENY shop/b {rules: [{from: [{source: {oddField: [x]}}]}]}");
    both(&world, "web/x => ?, ?");
}

#[test]
fn http_attributes_on_a_port_of_bytes() {
    let world = World::of("DENY shop/a {rules: [{to: [{operation: {methods: [DELETE]}}]}]}");
    both(
        &world,
        "web/x GET => +, +
         web/x DELETE => -, +
         web/x tcp GET => -, +
         web/x tcp bytes => -, +",
    );
    let world = World::of(
        "DENY shop/a {rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {paths: [/x]}}]}]}",
    );
    both(
        &world,
        "web/x tcp bytes => -, +
         ops/x tcp bytes => +, +",
    );
    let world = World::of(
        "ALLOW shop/a {rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [ops]}}]}]}",
    );
    both(
        &world,
        "web/x tcp bytes => -, -
         ops/x tcp bytes => +, +
         web/x GET => +, -
         web/x bytes => -, -",
    );
}

#[test]
fn one_match_with_attributes_of_both_layers() {
    // ztunnel judges by the port alone: the waypoint's calls too.
    let world =
        World::of("DENY shop/a {rules: [{to: [{operation: {ports: ['8080'], methods: [POST]}}]}]}");
    both(
        &world,
        "web/x GET => +, -
         web/x POST => -, -
         web/x port=80 POST => +, +",
    );
    // Of two operations the second has nothing left and never matches.
    let world = World::of(
        "DENY shop/a {rules: [{to: [{operation: {ports: ['8080']}}, {operation: {methods: [POST]}}]}]}",
    );
    both(
        &world,
        "web/x GET => -, -
         web/x port=80 POST => -, +",
    );
}

#[test]
fn who_is_asked() {
    let mut world = World::of(
        "CUSTOM shop/a {provider: {name: ext}, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}",
    );
    world.add("DENY shop/b {rules: [{to: [{operation: {methods: [DELETE]}}]}]}");
    both(
        &world,
        "web/x /admin => asks ext, +
         web/x DELETE /admin => -, +
         web/x DELETE / => -, +
         web/x / => +, +
         web/x tcp bytes => -, +",
    );
    world.authorization.pop();
    both(&world, "web/x tcp bytes => ?, +");
    world.settings.providers = Some(BTreeMap::from([("ext".to_owned(), Authorizer::Http)]));
    both(&world, "web/x tcp bytes => +, +");
    world.settings.providers = Some(BTreeMap::from([("ext".to_owned(), Authorizer::Grpc)]));
    both(&world, "web/x tcp bytes => asks ext, +");
    world.settings.providers = Some(BTreeMap::new());
    both(&world, "web/x /admin => -, +\n web/x / => +, +");
    world.settings.providers = None;
    world.add("CUSTOM shop/c {provider: {name: other}, rules: [{}]}");
    both(&world, "web/x /admin => -, +\n web/x / => -, +");
    world.settings.several_providers = true;
    both(
        &world,
        "web/x /admin => asks ext+other, +\n web/x / => asks other, +",
    );
}

#[test]
fn policies_that_are_only_tried() {
    let mut world = World::of("DENY shop/a {rules: [{}]}\n ALLOW shop/b {}");
    for policy in &mut world.authorization {
        policy.metadata.annotations = labels(&[("istio.io/dry-run", "true")]);
    }
    both(&world, "web/x => +, +");
}

#[test]
fn tokens() {
    let mut world = World::of(
        "ALLOW shop/a {rules: [{from: [{source: {requestPrincipals: ['https://i/*']}}], when: [{key: 'request.auth.claims[groups]', values: [ops, 'dev*']}]}]}",
    );
    // Nobody verifies tokens: there is no principal.
    both(&world, "web/x token=https://i sub=u groups=ops => -, -");
    world.add("RA shop/r {jwtRules: [{issuer: 'https://i'}, {issuer: 'https://j'}]}");
    both(
        &world,
        "web/x token=https://i sub=u groups=ops => +, -
         web/x token=https://i sub=u groups=x groups=dev-1 => +, -
         web/x token=https://i sub=u groups=x => -, -
         web/x token=https://i sub=u => -, -
         web/x token=https://i groups=ops => -, -
         web/x token=https://j sub=u groups=ops => -, -
         web/x token=https://k sub=u groups=ops => -, -
         web/x bad=https://i => -, -
         web/x => -, -",
    );
    world.authorization.clear();
    both(
        &world,
        "web/x => +, +
         web/x bad=https://i => -, +
         web/x token=https://k => -, +
         web/x token=https://j => +, +
         web/x tcp bad=https://i => +, +",
    );
    world.add("DENY shop/d {rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}");
    both(
        &world,
        "web/x => -, +
         web/x token=https://i sub=u => +, +
         web/x tcp bytes => -, +",
    );
    let principal = |value: &str| {
        let mut world = World::of("RA shop/r {jwtRules: [{issuer: 'https://i'}]}");
        world.add(&format!(
            "ALLOW shop/a {{rules: [{{from: [{{source: {{requestPrincipals: ['{value}']}}}}]}}]}}"
        ));
        let policies = world.policies();
        let situation = direct(Point::Sidecar(world.pod()), &policies);
        word(&judge(&situation, &call("web/x token=https://i sub=user")))
    };
    for (value, expected) in [
        ("*", "+"),
        ("https://i/user", "+"),
        ("https://i/us*", "+"),
        ("https://i/*", "+"),
        ("*/user", "+"),
        ("*i/user", "+"),
        ("*/other", "-"),
        ("https://*", "-"),
        ("https://i", "-"),
        ("*user", "+"),
    ] {
        assert_eq!(principal(value), expected, "{value}");
    }
}
