//! Ranges of addresses, as policies write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range: the addresses that agree with one in its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Network {
    v6: bool,
    /// The lowest address of the range, left-aligned for both families.
    first: u128,
    bits: u8,
}

impl Network {
    /// Reads `10.1.2.3` or `10.1.0.0/16`; bits beyond the length do not matter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv6() { 128 } else { 32 };
        let bits = match length {
            None => most,
            Some(text) if text.len() > 1 && text.starts_with(['0', '+']) => return None,
            Some(text) => text.parse().ok().filter(|bits| *bits <= most)?,
        };
        Some(Self {
            v6: address.is_ipv6(),
            first: aligned(address) & mask(bits),
            bits,
        })
    }

    /// Whether an address is in it.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        address.is_ipv6() == self.v6 && aligned(address) & mask(self.bits) == self.first
    }

    /// Its lowest address.
    pub(super) fn lowest(self) -> IpAddr {
        address(self.v6, self.first)
    }

    /// The address right below it, and right above.
    pub(super) fn neighbours(self) -> impl Iterator<Item = IpAddr> {
        let one = if self.v6 { 1 } else { 1 << 96 };
        let last = self.first | (!mask(self.bits) & if self.v6 { u128::MAX } else { !0 << 96 });
        [self.first.checked_sub(one), last.checked_add(one)]
            .into_iter()
            .flatten()
            .map(move |bits| address(self.v6, bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.lowest(), self.bits)
    }
}

fn aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(v6: bool, bits: u128) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    } else {
        // Only the upper 32 bits are ever set.
        let bits = u32::try_from(bits >> 96).unwrap_or(u32::MAX);
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    }
}

fn mask(bits: u8) -> u128 {
    if bits == 0 {
        0
    } else {
        u128::MAX << (128 - u32::from(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_asked() {
        for (range, address, expected) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3/16", "10.1.255.1", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let range = Network::parse(range).unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), expected);
        }
        for text in ["10.1.2", "10.1.2.3/33", "x", "10.0.0.0/08", ""] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_a_range_are_outside() {
        for (text, expected) in [
            ("10.1.0.0/16", vec!["10.0.255.255", "10.2.0.0"]),
            ("0.0.0.0/0", vec![]),
            ("255.255.255.255", vec!["255.255.255.254"]),
            (
                "2001:db8::/32",
                vec!["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"],
            ),
        ] {
            let found: Vec<String> = Network::parse(text)
                .unwrap()
                .neighbours()
                .map(|ip| ip.to_string())
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
