//! Which addresses a calendar may be fetched from.
//!
//! A roster is written by people, and names are answered by whoever owns them: neither may lead the
//! bot into the network behind it. Only what is routed on the internet counts as public; addresses
//! that carry another one inside (mapped, translated, 6to4) are judged by what they carry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a fetch may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Public,
    /// And this machine, because the administrator wrote its address.
    ThisMachine,
    /// And everything else (`calendar.allow_private`).
    Everywhere,
}

impl Reach {
    pub(super) fn covers(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Everywhere => true,
            Self::ThisMachine => address.is_loopback() || is_public(address),
            Self::Public => is_public(address),
        }
    }
}

/// The first numbers of a range, and how many bits of them count.
type Range4 = (Ipv4Addr, u32);
type Range6 = (Ipv6Addr, u32);

/// The special-purpose registry of IANA, as far as it is not routed, and everything from multicast
/// upwards.
const NOT_PUBLIC_4: [Range4; 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// What is handed out to networks; within it, the ranges below are not.
const ROUTED_6: Range6 = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Protocol assignments (Teredo and benchmarks among them) and documentation.
const NOT_PUBLIC_6: [Range6; 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// How a network without IPv4 writes IPv4 addresses.
const TRANSLATED: Range6 = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
const SIX_TO_FOUR: Range6 = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_4.iter().any(|range| within_4(address, *range)),
        IpAddr::V6(address) => match carried(address) {
            Some(inner) => is_public(IpAddr::V4(inner)),
            None => {
                within_6(address, ROUTED_6)
                    && !NOT_PUBLIC_6.iter().any(|range| within_6(address, *range))
            }
        },
    }
}

/// The IPv4 address inside an IPv6 one.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(address);
    let part =
        |shift: u32| u32::try_from((bits >> shift) & u128::from(u32::MAX)).ok().map(Ipv4Addr::from);
    if within_6(address, TRANSLATED) {
        part(0)
    } else if within_6(address, SIX_TO_FOUR) {
        part(80)
    } else {
        address.to_ipv4_mapped()
    }
}

fn within_4(address: Ipv4Addr, (first, bits): Range4) -> bool {
    (u32::from(address) ^ u32::from(first)) >> (32 - bits) == 0
}

fn within_6(address: Ipv6Addr, (first, bits): Range6) -> bool {
    (u128::from(address) ^ u128::from(first)) >> (128 - bits) == 0
}

/// Whether an address of the roster names this machine outright: `localhost`, `127.…` or `[::1]` in
/// their plain spelling. Only that shows that it is meant; `0x7f.1` is how somebody hides it.
pub(super) fn names_this_machine(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inner, _)) => inner,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|literal| literal.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "\
        1.1.1.1 100.63.255.255 100.128.0.1 172.32.0.1 192.0.1.1 198.20.0.1 \
        2606:4700::1111 2a00:1450::1 64:ff9b::101:101 2002:101:101::1 ::ffff:1.1.1.1";

    const BARRED: &str = "\
        0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 \
        169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 \
        192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 \
        239.255.255.250 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 \
        ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 \
        2001:2::1 2001:db8::1 2002:7f00:1::1 2002:a00:1::1 3fff::1 5f00::1 fc00::1 \
        fd12:3456::1 fe80::1 fec0::1 ff02::1";

    #[test]
    fn s05_only_what_the_internet_routes_is_public() {
        for public in PUBLIC.split_whitespace() {
            assert!(Reach::Public.covers(public.parse().unwrap()), "{public}");
        }
        for barred in BARRED.split_whitespace() {
            let address: IpAddr = barred.parse().unwrap();
            assert!(!Reach::Public.covers(address), "{barred}");
            let here = address.to_canonical().is_loopback();
            assert_eq!(Reach::ThisMachine.covers(address), here, "{barred}");
            assert!(Reach::Everywhere.covers(address));
        }
    }

    #[test]
    fn s05_this_machine_is_meant_only_where_it_is_written_plainly() {
        for plain in [
            "http://127.0.0.1/a.ics",
            "http://127.8.9.1:80",
            "HTTP://LocalHost:1/a?b",
            "http://[::1]:8080/a",
            "https://localhost#x",
        ] {
            assert!(names_this_machine(plain), "{plain}");
        }
        for other in [
            "http://0x7f.1/",
            "http://2130706433/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://localhost./",
            "http://127.0.0.1./",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://me@127.0.0.1/",
            "http://evil.example/127.0.0.1",
            "http://[::1",
            "localhost",
        ] {
            assert!(!names_this_machine(other), "{other}");
        }
    }
}
