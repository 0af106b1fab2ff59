//! Durations as Istio writes them (Go's way) and as the Gateway API does (GEP-2257).

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::reader::{Notes, Place, Read};
use crate::kinds::DecodeError;

/// A duration of Istio's resources: what Go's `time.ParseDuration` takes, not negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IstioDuration(pub Duration);

/// A duration of the Gateway API: up to four groups of up to five digits and `h`, `m`, `s` or `ms`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayDuration(Duration);

impl IstioDuration {
    /// Reads one; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        if text == "0" {
            return Some(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut nanos = 0_u128;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(until(rest, |c| c.is_ascii_digit() || c == '.'));
            let (unit, after) = after.split_at(until(after, |c| !(c.is_ascii_digit() || c == '.')));
            rest = after;
            let unit: u128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return None,
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
                return None;
            }
            nanos += digits(whole)?.checked_mul(unit)?;
            let fraction = &fraction[..fraction.len().min(18)];
            let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
            nanos += digits(fraction)? * unit / scale;
        }
        if text.is_empty() || nanos > i64::MAX as u128 {
            return None;
        }
        Some(Self(Duration::from_nanos(u64::try_from(nanos).ok()?)))
    }
}

impl GatewayDuration {
    /// Reads one; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        for _ in 0..4 {
            let (number, after) = rest.split_at(until(rest, |c| c.is_ascii_digit()));
            let (unit, after) = after.split_at(until(after, |c| !c.is_ascii_digit()));
            if number.is_empty() || number.len() > 5 {
                return None;
            }
            let number: u64 = number.parse().ok()?;
            total += match unit {
                "h" => Duration::from_secs(number * 3600),
                "m" => Duration::from_secs(number * 60),
                "s" => Duration::from_secs(number),
                "ms" => Duration::from_millis(number),
                _ => return None,
            };
            rest = after;
            if rest.is_empty() {
                return Some(Self(total));
            }
        }
        None
    }

    /// The same duration, if the Gateway API can write it: whole milliseconds, below 100,000 hours.
    pub fn new(duration: Duration) -> Option<Self> {
        let whole = duration.subsec_nanos().is_multiple_of(1_000_000);
        (whole && duration.as_secs() / 3600 <= 99_999).then_some(Self(duration))
    }

    /// How long it is.
    pub fn get(self) -> Duration {
        self.0
    }
}

fn until(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> Option<u128> {
    if text.len() > 30 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.is_empty() {
        return Some(0);
    }
    text.parse().ok()
}

/// The largest units first, nothing that is zero; zero itself is `0s`.
fn write(duration: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let seconds = duration.as_secs();
    let nanos = duration.subsec_nanos();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(nanos / 1_000_000), "ms"),
        (u64::from(nanos / 1_000 % 1_000), "us"),
        (u64::from(nanos % 1_000), "ns"),
    ];
    if duration.is_zero() {
        return f.write_str("0s");
    }
    for (number, unit) in parts.iter().filter(|(number, _)| *number > 0) {
        write!(f, "{number}{unit}")?;
    }
    Ok(())
}

macro_rules! durations {
    ($($type:ident, $demand:literal;)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl Read for $type {
            fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
                let text = String::read(value, place, notes)?;
                Self::parse(&text)
                    .ok_or_else(|| place.error(format!(concat!("{:?} is not ", $demand), text)))
            }
        }
    )*};
}
durations! {
    IstioDuration, "a duration such as 1.5s or 200ms";
    GatewayDuration, "a duration of the Gateway API, such as 1s or 1500ms";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_has_its_own_durations() {
        for (text, istio, gateway) in [
            ("1s", Some(1_000_000), Some(1_000_000)),
            ("1.5s", Some(1_500_000), None),
            ("1h30m", Some(5_400_000_000), Some(5_400_000_000)),
            ("100us", Some(100), None),
            (".5s", Some(500_000), None),
            ("1h1m1s1ms", Some(3_661_001_000), Some(3_661_001_000)),
            ("0s", Some(0), Some(0)),
            ("0", Some(0), None),
            ("123456s", Some(123_456_000_000), None),
            ("1s1s1s1s1s", Some(5_000_000), None),
            ("-1s", None, None),
            ("1", None, None),
            ("s", None, None),
            ("", None, None),
            ("1d", None, None),
        ] {
            let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap();
            assert_eq!(
                IstioDuration::parse(text).map(|d| micros(d.0)),
                istio,
                "{text}"
            );
            assert_eq!(
                GatewayDuration::parse(text).map(|d| micros(d.0)),
                gateway,
                "{text}"
            );
        }
        let long = Duration::from_millis(5_400_250);
        assert_eq!(
            GatewayDuration::new(long).unwrap().to_string(),
            "1h30m250ms"
        );
        assert_eq!(GatewayDuration::new(Duration::from_micros(1)), None);
        assert_eq!(
            IstioDuration(Duration::from_micros(1500)).to_string(),
            "1ms500us"
        );
        assert_eq!(IstioDuration(Duration::ZERO).to_string(), "0s");
    }
}
