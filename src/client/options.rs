//! How to reach a cluster: what kubectl's connection flags say, as plain values.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The time a request may take where nothing else is said, in seconds.
const DEFAULT_TIMEOUT_SECONDS: u64 = 60;

/// kubectl's connection flags. An empty text means the same as an absent one, as it does there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// `--kubeconfig`: the one file to read; `KUBECONFIG` and the default place are then ignored.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`: the context to use in place of the current one.
    pub context: Option<String>,
    /// `--cluster`: the kubeconfig's cluster to use in place of the context's.
    pub cluster: Option<String>,
    /// `--user`: the kubeconfig's user to use in place of the context's.
    pub user: Option<String>,
    /// `--server`: the API server's address, with or without a scheme.
    pub server: Option<String>,
    /// `--tls-server-name`: the name that the server's certificate must bear.
    pub tls_server_name: Option<String>,
    /// `--insecure-skip-tls-verify`: takes any certificate of the server.
    pub insecure_skip_tls_verify: bool,
    /// `--client-certificate`: a PEM file.
    pub client_certificate: Option<PathBuf>,
    /// `--client-key`: a PEM file.
    pub client_key: Option<PathBuf>,
    /// `--certificate-authority`: a PEM file.
    pub certificate_authority: Option<PathBuf>,
    /// `--token`: a bearer token; the kubeconfig's other credentials are then not used.
    pub token: Option<Hidden>,
    /// `--username`, for basic authentication.
    pub username: Option<String>,
    /// `--password`, for basic authentication.
    pub password: Option<Hidden>,
    /// `--as`: the user to impersonate.
    pub impersonate: Option<String>,
    /// `--as-uid`: the uid to impersonate.
    pub impersonate_uid: Option<String>,
    /// `--as-group`: the groups to impersonate.
    pub impersonate_groups: Vec<String>,
    /// `--as-user-extra`: keys with their values; a key may stand more than once.
    pub impersonate_extra: Vec<(String, String)>,
    /// `--request-timeout`: how long one request may take.
    pub request_timeout: RequestTimeout,
    /// `--disable-compression`: asks for answers that are not compressed.
    pub disable_compression: bool,
    /// `--cache-dir`: accepted for kubectl's sake; this client keeps no cache.
    pub cache_dir: Option<PathBuf>,
    /// `--namespace`: the namespace to use in place of the context's.
    pub namespace: Option<String>,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// The text itself, for the one place that must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Hidden {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How long one request may take, from sending it to the last byte of its answer.
///
/// Read as kubectl reads `--request-timeout`: a plain number counts seconds, `0` means no limit, and
/// anything else is a duration as Go writes it (`500ms`, `1m30s`, `1.5h`). Without the flag kubectl
/// waits for ever; here it is 60 s, so that a server that hangs does not hang the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTimeout(Option<Duration>);

impl RequestTimeout {
    /// No limit.
    pub const NONE: Self = Self(None);

    /// A limit; zero means none.
    pub const fn of(limit: Duration) -> Self {
        if limit.is_zero() {
            Self::NONE
        } else {
            Self(Some(limit))
        }
    }

    /// The limit, if there is one.
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }
}

impl Default for RequestTimeout {
    fn default() -> Self {
        Self::of(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS))
    }
}

/// A text that is no request timeout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a duration: use a number with a unit, such as `30s`, `1m30s` or `500ms`; `0` means no limit"
)]
pub struct InvalidTimeout;

impl FromStr for RequestTimeout {
    type Err = InvalidTimeout;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(seconds) = text.parse::<u64>() {
            return Ok(Self::of(Duration::from_secs(seconds)));
        }
        go_duration(text).map(Self::of).ok_or(InvalidTimeout)
    }
}

/// Reads a duration as Go's `time.ParseDuration` does, without negative ones.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        // `ms` and `ns` stand before `m` and `s`: the first unit that fits is taken.
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|&at| at > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_kubectl_reads_them() {
        for (text, expected) in [
            ("0", Some(RequestTimeout::NONE)),
            ("0s", Some(RequestTimeout::NONE)),
            ("30", Some(RequestTimeout::of(Duration::from_secs(30)))),
            ("30s", Some(RequestTimeout::of(Duration::from_secs(30)))),
            ("1m30s", Some(RequestTimeout::of(Duration::from_secs(90)))),
            (
                "500ms",
                Some(RequestTimeout::of(Duration::from_millis(500))),
            ),
            ("1.5h", Some(RequestTimeout::of(Duration::from_secs(5400)))),
            (
                "1h2m3s4ms",
                Some(RequestTimeout::of(Duration::from_millis(3_723_004))),
            ),
            ("+2s", Some(RequestTimeout::of(Duration::from_secs(2)))),
            (".5s", Some(RequestTimeout::of(Duration::from_millis(500)))),
            ("", None),
            ("-1s", None),
            ("-5", None),
            ("1", Some(RequestTimeout::of(Duration::from_secs(1)))),
            ("1.5", None),
            ("s", None),
            ("1 s", None),
            ("1d", None),
            ("1m30", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_hidden_text_does_not_show_in_debug() {
        let options = ConnectOptions {
            token: Some(Hidden::from("s3cret".to_owned())),
            ..ConnectOptions::default()
        };
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn without_the_flag_a_request_may_take_a_minute() {
        assert_eq!(
            ConnectOptions::default().request_timeout.limit(),
            Some(Duration::from_secs(60))
        );
    }
}
