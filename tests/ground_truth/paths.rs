//! Which paths a rule takes.

use super::scene::Shop;

/// A VirtualService that sends a prefix to b, the rest to c.
fn string_prefix(prefix: &str) -> Shop {
    Shop::virtual_service(&format!(
        "[{{match: [{{uri: {{prefix: '{prefix}'}}}}], route: [{{destination: {{host: b}}}}]}}, {{route: [{{destination: {{host: c}}}}]}}]"
    ))
}

/// An HTTPRoute that sends a path of this type to b, the rest to c.
fn path(kind: &str, value: &str) -> Shop {
    Shop::route(&format!(
        "[{{matches: [{{path: {{type: {kind}, value: '{value}'}}}}], backendRefs: [{{name: b, port: 80}}]}}, {{backendRefs: [{{name: c, port: 80}}]}}]"
    ))
}

#[test]
fn a_virtual_services_prefix_is_of_characters() {
    string_prefix("/api").both_send(&[
        ("/api", "b"),
        ("/api/", "b"),
        ("/api/x", "b"),
        ("/apix", "b"),
        ("/api.json", "b"),
        ("/ap", "c"),
        ("/", "c"),
    ]);
}

#[test]
fn a_routes_prefix_is_of_path_elements() {
    path("PathPrefix", "/api").both_send(&[
        ("/api", "b"),
        ("/api/", "b"),
        ("/api/x", "b"),
        ("/apix", "c"),
        ("/api.json", "c"),
        ("/api?x=1", "b"),
    ]);
}
