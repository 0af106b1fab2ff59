//! Which proxy a request to the API server goes through, by the rules of Go's `httpproxy`, which
//! are kubectl's. kube's own reading compares `NO_PROXY` with the proxy instead of the server and
//! refuses a stray comma, so it is never asked.

use std::net::IpAddr;

use super::environment::Environment;

/// A proxy, and what named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Its address, always with a scheme: `http`, `https` or `socks5`.
    pub(super) address: http::Uri,
    /// `proxy-url` or the variable's name.
    pub(super) from: &'static str,
}

/// A cluster's `proxy-url` that cannot be used. (A variable's that cannot is ignored, as in Go.)
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProxyError {
    /// Not a URL with a scheme and a host.
    #[error("the cluster's proxy-url is not a URL")]
    NotAUrl,
    /// A scheme that kubectl refuses as well.
    #[error("the cluster's proxy-url has the scheme `{0}`; http, https and socks5 are supported")]
    Scheme(String),
}

/// Chooses the proxy for `server`, the API server's whole address.
///
/// The kubeconfig's `proxy-url` wins and knows no exceptions. Otherwise `HTTPS_PROXY` serves https
/// and `HTTP_PROXY` http, but for what `NO_PROXY` names and for this machine itself.
pub(super) fn choose(
    server: &http::Uri,
    cluster_proxy: Option<&str>,
    env: &Environment,
) -> Result<Option<Proxy>, ProxyError> {
    if let Some(text) = cluster_proxy.filter(|text| !text.is_empty()) {
        return cluster_url(text).map(Some);
    }
    let https = server.scheme_str() == Some("https");
    let (variable, from) = if https {
        (env.https_proxy.as_deref(), "HTTPS_PROXY")
    } else {
        (env.http_proxy.as_deref(), "HTTP_PROXY")
    };
    let Some(address) = variable.and_then(variable_url) else {
        return Ok(None);
    };
    let host = bare_host(server.host().unwrap_or_default());
    let port = server.port_u16().unwrap_or(if https { 443 } else { 80 });
    let exempt = exempt(&host, port, env.no_proxy.as_deref().unwrap_or_default());
    Ok((!exempt).then_some(Proxy { address, from }))
}

/// Reads a kubeconfig's `proxy-url`, which must be whole.
fn cluster_url(text: &str) -> Result<Proxy, ProxyError> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(ProxyError::NotAUrl);
    };
    let scheme = known_scheme(scheme).ok_or_else(|| ProxyError::Scheme(scheme.to_owned()))?;
    let address = uri(scheme, rest).ok_or(ProxyError::NotAUrl)?;
    Ok(Proxy {
        address,
        from: "proxy-url",
    })
}

/// Reads a variable's value; without a known scheme it is taken for `http`.
fn variable_url(text: &str) -> Option<http::Uri> {
    let text = text.trim();
    let (scheme, rest) = text
        .split_once("://")
        .and_then(|(scheme, rest)| Some((known_scheme(scheme)?, rest)))
        .unwrap_or(("http", text));
    uri(scheme, rest)
}

/// The schemes of proxies, as the connector knows them: names are resolved by a socks proxy anyway.
fn known_scheme(scheme: &str) -> Option<&'static str> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some("http"),
        "https" => Some("https"),
        "socks5" | "socks5h" => Some("socks5"),
        _ => None,
    }
}

fn uri(scheme: &str, rest: &str) -> Option<http::Uri> {
    let uri: http::Uri = format!("{scheme}://{rest}").parse().ok()?;
    uri.host().filter(|host| !host.is_empty())?;
    Some(uri)
}

/// Lower case and without the brackets of an IPv6 address.
fn bare_host(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase()
}

/// Whether requests to `host` go straight there.
fn exempt(host: &str, port: u16, no_proxy: &str) -> bool {
    let address = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    if host == "localhost" || address.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    no_proxy
        .split(',')
        .map(|entry| entry.trim().to_ascii_lowercase())
        .any(|entry| entry_matches(&entry, host, address, port))
}

/// Whether one entry of `NO_PROXY` names the host. An entry that cannot be read names nothing.
fn entry_matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return address.is_some_and(|ip| in_network(ip, network, bits));
    }
    let (name, entry_port) = split_port(entry);
    if name.is_empty() || entry_port.is_some_and(|text| text != port.to_string()) {
        return false;
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        return address == Some(ip.to_canonical());
    }
    // `*.corp` and `.corp` name what is below, `corp` also itself.
    let name = name
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('.'))
        .unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => {
            host == name
                || host
                    .strip_suffix(name)
                    .is_some_and(|left| left.ends_with('.'))
        }
    }
}

/// Splits `host:port` and `[v6]:port`; a bare IPv6 address has no port.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some(rest) = entry.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((ip, port)) => (ip, Some(port).filter(|port| !port.is_empty())),
            None => (entry, None),
        };
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => {
            (host, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (entry, None),
    }
}

fn in_network(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "http://proxy.corp:3128";

    fn chosen(server: &str, cluster: Option<&str>, env: &Environment) -> Option<String> {
        choose(&server.parse().unwrap(), cluster, env)
            .unwrap()
            .map(|proxy| format!("{} {}", proxy.from, proxy.address))
    }

    fn with_no_proxy(no_proxy: &str) -> Environment {
        Environment {
            https_proxy: Some(PROXY.to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
            ..Environment::default()
        }
    }

    #[test]
    fn no_proxy_names_the_api_server_by_gos_rules() {
        for (server, no_proxy, proxied) in [
            ("https://10.1.2.3:6443", "", true),
            ("https://10.1.2.3:6443", "*", false),
            ("https://10.1.2.3:6443", "a, * ,b", false),
            ("https://10.1.2.3:6443", "10.1.2.3", false),
            ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
            ("https://10.1.2.3:6443", "10.1.2.3:443", true),
            ("https://10.1.2.3:6443", "10.0.0.0/8", false),
            ("https://10.1.2.3:6443", "0.0.0.0/0", false),
            ("https://10.1.2.3:6443", "11.0.0.0/8", true),
            ("https://10.1.2.3:6443", "10.0.0.0/33,x/8,,/,:", true),
            ("https://10.1.2.3:6443", "a,,10.1.2.3", false),
            ("https://10.1.2.3:6443", "proxy.corp:3128", true),
            ("https://10.1.2.3", "10.1.2.3:443", false),
            ("https://[fd00::1]:6443", "fd00::/8", false),
            ("https://[fd00::1]:6443", "fd00::1", false),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
            ("https://[fd00::1]:6443", "[fd00::1]:443", true),
            ("https://[fd00::1]:6443", "[fd00::1]", true),
            ("https://[::ffff:10.1.2.3]:6443", "10.0.0.0/8", false),
            ("https://api.corp.example:6443", "corp.example", false),
            ("https://api.corp.example:6443", "Corp.Example", false),
            ("https://api.corp.example:6443", ".corp.example", false),
            ("https://api.corp.example:6443", "*.corp.example", false),
            ("https://api.corp.example:6443", "corp.example:6443", false),
            ("https://api.corp.example:6443", "corp.example:443", true),
            ("https://api.corp.example:6443", "orp.example", true),
            ("https://corp.example:6443", "corp.example", false),
            ("https://corp.example:6443", ".corp.example", true),
            ("https://corp.example:6443", "10.0.0.0/8", true),
            ("https://localhost:6443", "", false),
            ("https://127.0.0.1:6443", "", false),
            ("https://127.9.9.9:6443", "", false),
            ("https://[::1]:6443", "", false),
        ] {
            let expected = proxied.then(|| format!("HTTPS_PROXY {PROXY}/"));
            let env = with_no_proxy(no_proxy);
            assert_eq!(
                chosen(server, None, &env),
                expected,
                "{server} with {no_proxy:?}"
            );
        }
    }

    #[test]
    fn each_variable_serves_its_own_scheme() {
        let env = Environment {
            https_proxy: Some("secure.corp:3128".to_owned()),
            http_proxy: Some("plain.corp:3128".to_owned()),
            ..Environment::default()
        };
        for (server, expected) in [
            ("https://10.1.2.3", "HTTPS_PROXY http://secure.corp:3128/"),
            ("http://10.1.2.3", "HTTP_PROXY http://plain.corp:3128/"),
        ] {
            assert_eq!(chosen(server, None, &env).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_clusters_own_proxy_knows_no_exceptions() {
        let env = with_no_proxy("*");
        let own = Some("socks5://127.0.0.1:1080");
        for server in [
            "https://10.1.2.3",
            "https://localhost:6443",
            "http://10.1.2.3",
        ] {
            assert_eq!(
                chosen(server, own, &env).as_deref(),
                Some("proxy-url socks5://127.0.0.1:1080/")
            );
        }
    }

    #[test]
    fn proxies_are_read_leniently_from_the_environment_and_strictly_from_the_kubeconfig() {
        for (text, expected) in [
            ("proxy:3128", Some("http://proxy:3128/")),
            ("https://proxy:3128", Some("https://proxy:3128/")),
            ("SOCKS5H://proxy:1080", Some("socks5://proxy:1080/")),
            ("http://u:p@proxy:3128", Some("http://u:p@proxy:3128/")),
            ("", None),
            ("http://", None),
            ("a b", None),
        ] {
            let read = variable_url(text).map(|uri| uri.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
        assert_eq!(cluster_url("proxy:3128"), Err(ProxyError::NotAUrl));
        assert_eq!(
            cluster_url("ftp://proxy"),
            Err(ProxyError::Scheme("ftp".to_owned()))
        );
    }
}
