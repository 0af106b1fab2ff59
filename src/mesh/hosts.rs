//! Hosts as Istio's resources name them, and the Services they mean.
//!
//! Only a name without any dot is completed (with the namespace of the resource that holds it);
//! `reviews.shop` is taken literally and means no Service
//! (`pilot/pkg/model/config.go`, `ResolveShortnameToFQDN`).

/// What a host of a resource means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A Service of the cluster, by namespace and name; it may not exist.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Every Service of one namespace (`*.shop.svc.cluster.local`).
    Namespace(String),
    /// Every Service of the cluster (`*`, `*.local`, `*.svc.cluster.local`).
    All,
    /// Nothing in the cluster's own domain.
    Elsewhere,
}

/// What `host`, written in a resource of `namespace`, means.
pub fn resolve(host: &str, namespace: &str) -> Host {
    if let Some(suffix) = host.strip_prefix('*') {
        return wildcard(suffix);
    }
    let mut parts = host.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _, _) if !name.is_empty() => Host::Service {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        (Some(name), Some(namespace), Some("svc"), Some(_)) => Host::Service {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        _ => Host::Elsewhere,
    }
}

fn wildcard(suffix: &str) -> Host {
    let suffix = suffix.strip_prefix('.').unwrap_or(suffix);
    if suffix.is_empty() || "svc.cluster.local".ends_with(suffix) {
        return Host::All;
    }
    let mut parts = suffix.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some("svc"), Some(_)) => Host::Namespace(namespace.to_owned()),
        _ => Host::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_without_a_dot_are_completed() {
        let service = |namespace: &str, name: &str| Host::Service {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        for (host, expected) in [
            ("reviews", service("shop", "reviews")),
            ("reviews.other", Host::Elsewhere),
            ("reviews.other.svc", Host::Elsewhere),
            (
                "reviews.other.svc.cluster.local",
                service("other", "reviews"),
            ),
            ("api.example.com", Host::Elsewhere),
            ("*", Host::All),
            ("*.local", Host::All),
            ("*.svc.cluster.local", Host::All),
            (
                "*.shop.svc.cluster.local",
                Host::Namespace("shop".to_owned()),
            ),
            ("*.example.com", Host::Elsewhere),
            ("", Host::Elsewhere),
        ] {
            assert_eq!(resolve(host, "shop"), expected, "{host}");
        }
    }
}
