//! IP addresses within texts.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::text::{Edits, View};

/// Longest address as text, an IPv4 address within an IPv6 address included.
const ADDRESS_BYTES_MAX: usize = 45;

/// Masks all addresses. Ports, and brackets around addresses, stay.
pub fn find(view: &View<'_>, edits: &mut Edits) {
    let text = view.text();
    let mut at = 0;
    while at < text.len() {
        let len = text[at..].iter().position(|byte| !is_part(*byte)).unwrap_or(text.len() - at);
        if len > 0 {
            run(text, at..at + len, edits);
        }
        at += len + 1;
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// Hex digits, colons and dots, as many as there are: an IPv6 address, or IPv4 addresses and
/// numbers with colons between.
fn run(text: &[u8], range: Range<usize>, edits: &mut Edits) {
    if six(text, range.clone(), edits) {
        return;
    }
    let mut start = range.start;
    for part in text[range].split(|byte| *byte == b':') {
        let whole = start..start + part.len();
        let dots = part.iter().rev().take_while(|byte| **byte == b'.').count();
        let address = whole.start..whole.end - dots;
        if let Some(IpAddr::V4(it)) = parse(text, address.clone()) {
            edits.replace(address, mask_four(it).to_string());
        }
        start = whole.end + 1;
    }
}

/// True when it is one.
fn six(text: &[u8], range: Range<usize>, edits: &mut Edits) -> bool {
    let run = &text[range.clone()];
    if run.iter().filter(|byte| **byte == b':').take(2).count() < 2 {
        return false;
    }
    // A sentence may go on behind it.
    let ends = [0, 1].map(|less| range.end - less);
    for end in ends {
        if text[end..range.end].iter().all(|byte| matches!(byte, b':' | b'.'))
            && let Some(IpAddr::V6(it)) = parse(text, range.start..end)
        {
            edits.replace(range.start..end, mask_six(it).to_string());
            return true;
        }
    }
    false
}

/// An address that no word goes on around.
fn parse(text: &[u8], range: Range<usize>) -> Option<IpAddr> {
    let word = |at: Option<usize>| at.and_then(|it| text.get(it)).is_some_and(u8::is_ascii_alphanumeric);
    if range.len() > ADDRESS_BYTES_MAX || word(range.start.checked_sub(1)) || word(Some(range.end)) {
        return None;
    }
    std::str::from_utf8(&text[range]).ok()?.parse().ok()
}

fn mask_four(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 0)
}

fn mask_six(address: Ipv6Addr) -> Ipv6Addr {
    if let Some(four) = address.to_ipv4_mapped() {
        return mask_four(four).to_ipv6_mapped();
    }
    let [a, b, c, ..] = address.segments();
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}
