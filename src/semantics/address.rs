//! Host and port out of the ways to write them.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::word::{above_nine, decimal, each, zeros};

/// Where the host stands in a text, and the port behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: Range<usize>,
    pub(super) port: Option<u16>,
}

impl Address {
    fn whole(text: &[u8]) -> Address {
        Address { host: 0..text.len(), port: None }
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address. A port is a number from 0 to
/// 65535. What is none of these is all host: nothing is lost.
#[inline]
pub(super) fn host_and_port(text: &[u8]) -> Address {
    if text.first() == Some(&b'[') {
        return bracketed(text).unwrap_or_else(|| Address::whole(text));
    }
    short_port(text).unwrap_or_else(|| any_host_and_port(text))
}

/// As [`host_and_port`], where one colon is among the last bytes and digits stand behind it; `None` for all
/// else. Without a look at each byte, for how many digits a port has is never known.
#[inline]
fn short_port(text: &[u8]) -> Option<Address> {
    const WORD: usize = 8;
    let last = u64::from_le_bytes(*text.last_chunk()?);
    let colons = zeros(last ^ each(b':'));
    // Of the last colon, and of the digits behind it.
    let at = (u64::BITS - 1).checked_sub(colons.leading_zeros())? as usize / WORD;
    let digits = (last ^ each(b'0')) & (u64::MAX << (WORD * at) << WORD);
    let host = text.len() - WORD + at;
    let colons = |word: &[u8; WORD]| zeros(u64::from_le_bytes(*word) ^ each(b':'));
    let other = match text[..host].as_chunks::<WORD>() {
        // Fewer than a word.
        ([], _) => colons(text.first_chunk()?) & !(u64::MAX << (WORD * host)),
        (words, _) => words.iter().fold(colons(text[..host].last_chunk()?), |all, word| all | colons(word)),
    };
    let fits = (2..7).contains(&at) && host > 0 && above_nine(digits) == 0 && other == 0;
    let port = u16::try_from(decimal(digits)).ok().filter(|_| fits)?;
    Some(Address { host: 0..host, port: Some(port) })
}

#[inline(never)]
fn any_host_and_port(text: &[u8]) -> Address {
    // From the end: a host is longer than its port.
    let (mut at, mut port, mut unit) = (text.len(), 0u32, 1u32);
    while let Some(byte) = at.checked_sub(1).and_then(|last| text.get(last)) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 || unit > 10_000 {
            break;
        }
        at -= 1;
        // Five digits at most: no sum wraps.
        port = port.wrapping_add(u32::from(digit).wrapping_mul(unit));
        unit = unit.wrapping_mul(10);
    }
    let host = match at.checked_sub(1) {
        Some(colon @ 1..) if unit > 1 && text[colon] == b':' => &text[..colon],
        _ => return Address::whole(text),
    };
    match u16::try_from(port) {
        Ok(port) if !host.contains(&b':') => Address { host: 0..host.len(), port: Some(port) },
        _ => Address::whole(text),
    }
}

fn bracketed(text: &[u8]) -> Option<Address> {
    let end = text.iter().position(|it| *it == b']')?;
    let host = 1..end;
    match &text[end + 1..] {
        _ if host.is_empty() => None,
        [] => Some(Address { host, port: None }),
        [b':', digits @ ..] => Some(Address { host, port: Some(port(digits)?) }),
        _ => None,
    }
}

#[inline]
fn port(digits: &[u8]) -> Option<u16> {
    if !(1..=5).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    u16::try_from(digits.iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'))).ok()
}

/// True for an IPv4 address in four decimal parts and for an IPv6 address without a zone.
#[inline]
pub(super) fn is_ip(text: &[u8]) -> bool {
    is_v4(text) || is_v6(text)
}

pub(super) fn is_v4(text: &[u8]) -> bool {
    // What is not parsed need not be looked through.
    (7..=15).contains(&text.len()) && std::str::from_utf8(text).is_ok_and(|it| it.parse::<Ipv4Addr>().is_ok())
}

fn is_v6(text: &[u8]) -> bool {
    // The longest is 45 bytes; a client may send any number.
    text.len() <= 45 && text.contains(&b':') && std::str::from_utf8(text).is_ok_and(|it| it.parse::<Ipv6Addr>().is_ok())
}

/// The client as the first entry of `x-forwarded-for` names it, when that is an IP address: without
/// port, brackets and quotes.
#[inline]
pub(super) fn first_forwarded(list: &[u8]) -> Option<Range<usize>> {
    let end = memchr::memchr(b',', list).unwrap_or(list.len());
    let strip = |range: Range<usize>, this: fn(&u8) -> bool| {
        let text = &list[range.clone()];
        let start = text.iter().position(|it| !this(it))?;
        let after = text.iter().rposition(|it| !this(it))?;
        Some(range.start + start..range.start + after + 1)
    };
    let entry = strip(strip(0..end, |it| matches!(it, b' ' | b'\t'))?, |it| *it == b'"')?;
    let text = &list[entry.clone()];
    if is_v4(text) {
        return Some(entry);
    }
    let Address { host, .. } = host_and_port(text);
    is_ip(&text[host.clone()]).then(|| entry.start + host.start..entry.start + host.end)
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, host, port) in [
            ("backend.mesh:8080", "backend.mesh", Some(8080)),
            ("backend", "backend", None),
            ("10.0.0.1:0", "10.0.0.1", Some(0)),
            ("[fd00::1]:443", "fd00::1", Some(443)),
            ("[fd00::1]", "fd00::1", None),
            ("fd00::1", "fd00::1", None),
            ("fd00::0", "fd00::0", None),
            ("host:65536", "host:65536", None),
            ("host:", "host:", None),
            ("host:http", "host:http", None),
            ("host:-1", "host:-1", None),
            ("[fd00::1]x", "[fd00::1]x", None),
            ("[fd00::1]:x", "[fd00::1]:x", None),
            ("[]:1", "[]:1", None),
            ("[", "[", None),
            (":80", ":80", None),
            ("/run/app.sock", "/run/app.sock", None),
            ("", "", None),
        ] {
            let it = host_and_port(text.as_bytes());
            assert_eq!((&text[it.host], it.port), (host, port), "{text}");
        }
    }

    #[test]
    fn the_first_forwarded_address() {
        for (list, expected) in [
            ("160.4.213.136, 17.16.10.49", Some("160.4.213.136")),
            ("227.6.54.48", Some("227.6.54.48")),
            ("  1.2.3.4:5678 ,x", Some("1.2.3.4")),
            ("\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("::ffff:1.2.3.4", Some("::ffff:1.2.3.4")),
            ("unknown, \"_hidden\", 1.2.3.4:5678", None),
            ("1.2.3.4.5", None),
            ("256.1.1.1", None),
            ("01.1.1.1", None),
            (", 1.2.3.4", None),
            ("fe80::1%eth0", None),
            ("\"\"", None),
            ("", None),
        ] {
            let found = first_forwarded(list.as_bytes()).map(|it| &list[it]);
            assert_eq!(found, expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn ip_as_the_standard_library_says(text in "[0-9]{1,4}(\\.[0-9]{1,4}){2,4}|[0-9a-f:]{1,20}") {
            prop_assert_eq!(is_ip(text.as_bytes()), text.parse::<IpAddr>().is_ok());
        }

        #[test]
        fn a_short_port_is_what_any_way_finds(text in "[a-z.:0-9]{0,20}(:[0-9]{0,6})?") {
            let text = text.as_bytes();
            if let Some(short) = short_port(text) {
                prop_assert_eq!(short, any_host_and_port(text));
            }
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            prop_assert!(text.get(host_and_port(&text).host).is_some());
            if let Some(range) = first_forwarded(&text) {
                prop_assert!(is_ip(&text[range]));
            }
        }
    }
}
