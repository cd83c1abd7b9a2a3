//! Addresses that a provider may not have: no API of a provider is behind them, but a cloud's metadata
//! service may be, which gives credentials to any caller.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services that are not in a link-local range.
const METADATA_V4: [Ipv4Addr; 3] = [
    // Alibaba Cloud
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle Cloud
    Ipv4Addr::new(192, 0, 0, 192),
    // Azure's wire server
    Ipv4Addr::new(168, 63, 129, 16),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    // Amazon EC2
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    // Google Compute Engine
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Why an address is not called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressRefusal {
    /// 169.254.0.0/16 or fe80::/10, where metadata services are.
    LinkLocal,
    /// The metadata service of a cloud.
    Metadata,
    /// 0.0.0.0/8 or `::`: no address of a host.
    Unspecified,
    /// An address of many.
    Multicast,
}

impl AddressRefusal {
    /// Whether a provider may be allowed to be there.
    pub fn can_be_allowed(self) -> bool {
        matches!(self, Self::LinkLocal | Self::Metadata)
    }
}

impl fmt::Display for AddressRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Unspecified => "no address that can be called",
            Self::Multicast => "a multicast address",
        })
    }
}

/// Judges an address; `allow_link_local` lets link-local ones and metadata services pass. Addresses that carry an
/// IPv4 address (mapped, compatible, NAT64, 6to4) are judged by that one.
pub fn refused(address: IpAddr, allow_link_local: bool) -> Option<AddressRefusal> {
    let why = match address {
        IpAddr::V4(v4) => refused_v4(v4),
        IpAddr::V6(v6) => refused_v6(v6),
    };
    why.filter(|why| !(allow_link_local && why.can_be_allowed()))
}

fn refused_v4(address: Ipv4Addr) -> Option<AddressRefusal> {
    if address.octets().first() == Some(&0) {
        Some(AddressRefusal::Unspecified)
    } else if address.is_link_local() {
        Some(AddressRefusal::LinkLocal)
    } else if METADATA_V4.contains(&address) {
        Some(AddressRefusal::Metadata)
    } else if address.is_multicast() || address.is_broadcast() {
        Some(AddressRefusal::Multicast)
    } else {
        None
    }
}

fn refused_v6(address: Ipv6Addr) -> Option<AddressRefusal> {
    if address.is_unspecified() {
        return Some(AddressRefusal::Unspecified);
    }
    if address.is_loopback() {
        return None;
    }
    if let Some(v4) = carried(address) {
        return refused_v4(v4);
    }
    if address.is_unicast_link_local() {
        Some(AddressRefusal::LinkLocal)
    } else if METADATA_V6.contains(&address) {
        Some(AddressRefusal::Metadata)
    } else if address.is_multicast() {
        Some(AddressRefusal::Multicast)
    } else {
        None
    }
}

/// The IPv4 address that an IPv6 address leads to.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let low = |bits: u128| {
        u32::try_from(bits & 0xffff_ffff)
            .ok()
            .map(Ipv4Addr::from_bits)
    };
    match address.segments() {
        // Mapped (RFC 4291, 2.5.5.2), and compatible (2.5.5.1).
        [0, 0, 0, 0, 0, 0xffff | 0, ..] => low(bits),
        // NAT64 (RFC 6052, 2.1), and its range for local use (RFC 8215).
        [0x64, 0xff9b, 0 | 1, ..] => low(bits),
        // 6to4 (RFC 3056, 2).
        [0x2002, ..] => low(bits >> 80),
        _ => None,
    }
}

/// The address that a URL's host is, in all the ways in which a URL may write one: `[::1]`, `127.1`, `0x7f000001`,
/// `2130706433`, a final dot (WHATWG URL, host parsing). `None` for a name.
pub fn literal(host: &str) -> Option<IpAddr> {
    if let Some(v6) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return v6.parse().ok().map(IpAddr::V6);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let parts: Option<Vec<u32>> = host.split('.').map(number).collect();
    let parts = parts.filter(|parts| parts.len() <= 4)?;
    let (last, first) = parts.split_last()?;
    let mut bits: u32 = 0;
    for (at, part) in first.iter().enumerate() {
        let octet = u8::try_from(*part).ok()?;
        bits |= u32::from(octet) << (24 - 8 * at);
    }
    // The last part fills all that is left.
    let room = 32 - 8 * first.len();
    if u64::from(*last) >= 1 << room {
        return None;
    }
    Some(IpAddr::V4(Ipv4Addr::from_bits(bits | last)))
}

/// Decimal, `0x` hexadecimal, `0` octal.
fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, base) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(""), _) => return Some(0),
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    all_digits.then(|| u32::from_str_radix(digits, base).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(text: &str) -> Option<AddressRefusal> {
        refused(text.parse().unwrap(), false)
    }

    #[test]
    fn metadata_services_and_their_disguises_are_refused() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "169.254.170.2",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert_eq!(judged(text), Some(AddressRefusal::LinkLocal), "{text}");
        }
        for text in [
            "100.100.100.200",
            "fd00:ec2::254",
            "::ffff:100.100.100.200",
            "fd20:ce::254",
        ] {
            assert_eq!(judged(text), Some(AddressRefusal::Metadata), "{text}");
        }
        for text in ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"] {
            assert_eq!(judged(text), Some(AddressRefusal::Unspecified), "{text}");
        }
        for text in ["224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255"] {
            assert_eq!(judged(text), Some(AddressRefusal::Multicast), "{text}");
        }
    }

    #[test]
    fn this_machine_private_networks_and_the_world_are_fine() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12:3456::1",
            "1.1.1.1",
            "2606:4700::1111",
        ] {
            assert_eq!(judged(text), None, "{text}");
        }
    }

    #[test]
    fn what_may_be_allowed_is_link_local_and_metadata() {
        let allowed = |text: &str| refused(text.parse().unwrap(), true).is_none();
        assert!(allowed("169.254.169.254") && allowed("fe80::1") && allowed("fd00:ec2::254"));
        assert!(!allowed("0.0.0.0") && !allowed("224.0.0.1") && !allowed("::"));
    }

    #[test]
    fn an_address_is_seen_however_it_is_written() {
        let metadata: IpAddr = "169.254.169.254".parse().unwrap();
        for text in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0XA9FEA9FE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "0xa9.254.0xa9.0376",
        ] {
            assert_eq!(literal(text), Some(metadata), "{text}");
        }
        assert_eq!(literal("[::1]"), Some("::1".parse().unwrap()));
        assert_eq!(literal("0"), Some("0.0.0.0".parse().unwrap()));
        assert_eq!(literal("127.1"), Some("127.0.0.1".parse().unwrap()));
        for name in [
            "",
            "localhost",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.256",
            "a.1",
            "1..2",
            "4294967296",
            "09",
        ] {
            assert_eq!(literal(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn an_address_reads_as_itself(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(literal(&address.to_string()), Some(IpAddr::V4(address)));
            prop_assert_eq!(literal(&bits.to_string()), Some(IpAddr::V4(address)));
            let mapped = IpAddr::V6(address.to_ipv6_mapped());
            prop_assert_eq!(refused(mapped, false), refused(IpAddr::V4(address), false));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = literal(&text);
        }
    }
}
