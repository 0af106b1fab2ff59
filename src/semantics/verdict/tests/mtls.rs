//! Who may call in plain text, at the sidecar and at ztunnel.

use super::*;

/// `x` stands for what both say of a caller in plain text at port 8080, and at port 80.
fn plain(lines: &str) -> String {
    let world = World::of(lines);
    let own = labels(&[("app", "a")]);
    let policies = world.policies();
    let pod = Pod {
        namespace: "shop",
        labels: &own,
    };
    let mut found = String::new();
    for point in [Point::Sidecar(pod), Point::Ztunnel(pod)] {
        let situation = direct(point, &policies);
        for line in ["-", "- port=80"] {
            found += &word(&judge(&situation, &call(line)));
        }
    }
    found
}

#[test]
fn modes_are_inherited_and_ports_excepted() {
    let own = "selector: {matchLabels: {app: a}}";
    let mesh = "PA istio-system/m {mtls: {mode: STRICT}}";
    for (lines, expected) in [
        ("", "++++"),
        ("MESH", "----"),
        ("PA shop/n {mtls: {mode: STRICT}}", "----"),
        ("PA web/n {mtls: {mode: STRICT}}", "++++"),
        ("MESH\n PA shop/n {mtls: {mode: PERMISSIVE}}", "++++"),
        ("MESH\n PA shop/n {}", "----"),
        ("MESH\n PA shop/n {mtls: {mode: DISABLE}}", "++++"),
        ("PA shop/w {OWN, mtls: {mode: STRICT}}", "----"),
        (
            "PA shop/w {selector: {matchLabels: {app: b}}, mtls: {mode: STRICT}}",
            "++++",
        ),
        ("PA istio-system/w {OWN, mtls: {mode: STRICT}}", "++++"),
        (
            "PA shop/w {OWN, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: PERMISSIVE}}}",
            "-+-+",
        ),
        (
            "PA shop/w {OWN, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}}",
            "-+-+",
        ),
        (
            "PA shop/w {OWN, portLevelMtls: {80: {mode: STRICT}}}",
            "+-+-",
        ),
        (
            "PA shop/w {OWN, mtls: {mode: DISABLE}, portLevelMtls: {80: {mode: STRICT}}}",
            "+-+-",
        ),
        // Inherited: PERMISSIVE excepts a port from it.
        (
            "PA shop/n {mtls: {mode: STRICT}}\n PA shop/w {OWN, portLevelMtls: {80: {mode: PERMISSIVE}}}",
            "-+-+",
        ),
        (
            "MESH\n PA shop/w {OWN, portLevelMtls: {80: {mode: PERMISSIVE}}}",
            "-+-+",
        ),
        // DISABLE does not, at ztunnel.
        (
            "PA shop/n {mtls: {mode: STRICT}}\n PA shop/w {OWN, portLevelMtls: {80: {mode: DISABLE}}}",
            "-+--",
        ),
        // Inherited over a policy of the namespace that says nothing: at ztunnel the exception of one
        // port opens all.
        (
            "MESH\n PA shop/n {}\n PA shop/w {OWN, portLevelMtls: {80: {mode: PERMISSIVE}}}",
            "-+++",
        ),
        // The oldest of those of one kind, by name where no time is known.
        (
            "PA shop/a {mtls: {mode: STRICT}}\n PA shop/b {mtls: {mode: PERMISSIVE}}",
            "----",
        ),
    ] {
        let lines = lines.replace("MESH", mesh).replace("OWN", own);
        assert_eq!(plain(&lines), expected, "{lines}");
    }
}

#[test]
fn where_only_plain_text_is_taken_nobody_is_known() {
    let world = World::of(
        "PA shop/n {mtls: {mode: DISABLE}}
         ALLOW shop/a {rules: [{from: [{source: {namespaces: [web]}}]}]}",
    );
    both(&world, "web/x => -, +\n - => -, -");
    // From ztunnel and waypoints to a sidecar there is another listener, which is always strict.
    let policies = world.policies();
    let point = Point::Sidecar(world.pod());
    let situation = Situation {
        meshed: vec![hop(point.clone(), &policies, Carrier::Hbone)],
        plain: vec![hop(point, &policies, Carrier::PlainText)],
    };
    verdicts(&situation, "web/x => +\n - => -");
}
