//! Addresses that are no longer than a block, as nearly all are: read without a look at each byte, for how
//! long a host is and how many digits a number has is never known.

use wide::i8x16;

use super::address::Address;
use crate::block::{BLOCK, Block};
use crate::record::Text;
use crate::word::{above_nine, decimal, each};

const WORD: usize = 8;
/// Longest IPv4 address.
const V4_MAX: usize = 15;

/// A text, and what stands behind it within its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortAddress<'a> {
    bytes: &'a [u8; BLOCK],
    len: usize,
}

impl<'a> ShortAddress<'a> {
    /// `None` for a text that is longer or has brackets, and where its buffer ends before the block does.
    #[inline(always)]
    pub(super) fn of(text: Text<'a>) -> Option<Self> {
        let Text { onwards, len } = text;
        let bytes = onwards.first_chunk()?;
        (len <= BLOCK && bytes[0] != b'[').then_some(ShortAddress { bytes, len })
    }

    /// The first entry of a list, however long the list is, when that is an IPv4 address and nothing else:
    /// its length.
    #[inline(always)]
    pub(super) fn first_v4(list: Text<'a>) -> Option<usize> {
        let bytes: &[u8; BLOCK] = list.onwards.first_chunk()?;
        let len = list.len.min(BLOCK);
        let commas = Block::new(bytes).equal(b',') & Block::first(len);
        let len = (commas.trailing_zeros() as usize).min(len);
        ShortAddress { bytes, len }.is_v4(len).then_some(len)
    }

    /// As [`host_and_port`](super::address::host_and_port).
    #[inline(always)]
    pub(super) fn host_and_port(self) -> Address {
        let (block, len) = (Block::new(self.bytes), self.len);
        let colons = block.equal(b':') & Block::first(len);
        let host_len = colons.trailing_zeros() as usize;
        let whole = Address { host: 0..len, port: None };
        // Several are an IPv6 address.
        if colons == 0 || host_len == 0 || colons & colons.wrapping_sub(1) != 0 {
            return whole;
        }
        let count = len.wrapping_sub(host_len).wrapping_sub(1);
        let port = if (1..=5).contains(&count) { self.last_digits(count) } else { None };
        match port.map(u16::try_from) {
            Some(Ok(port)) => Address { host: 0..host_len, port: Some(port) },
            _ => whole,
        }
    }

    /// The number that the last bytes are, so many of them, at most 8, when all are digits.
    #[inline(always)]
    fn last_digits(self, count: usize) -> Option<u64> {
        let last = match self.bytes.get(..self.len)?.last_chunk() {
            Some(last) => u64::from_le_bytes(*last),
            None => u64::from_le_bytes(*self.bytes.first_chunk()?) << (8 * WORD.wrapping_sub(self.len)),
        };
        let digits = (last ^ each(b'0')) & (u64::MAX << (8 * WORD.wrapping_sub(count)));
        (above_nine(digits) == 0).then(|| decimal(digits))
    }

    /// True when the first bytes, so many of them, are an IPv4 address in four decimal parts. As in the
    /// standard library: `010` is octal elsewhere, so it is nobody's address.
    #[inline(always)]
    pub(super) fn is_v4(self, len: usize) -> bool {
        let mut half = [0; 16];
        half.copy_from_slice(&self.bytes[..16]);
        let bytes = i8x16::new(half.map(|byte| byte as i8));
        let above = |byte: u8| bytes.simd_gt(i8x16::splat(byte as i8)).to_bitmask();
        let is = |byte: u8| bytes.simd_eq(i8x16::splat(byte as i8)).to_bitmask();
        // Places of digits above 2, and so on: of others where no digits count.
        let (above_2, above_4, above_5) = (above(b'2'), above(b'4'), above(b'5'));
        let inside = 1u32.wrapping_shl(len as u32).wrapping_sub(1);
        let (points, digits) = (is(b'.') & inside, above(b'/') & !above(b'9') & inside);
        let parts = points << 1 | 1;
        let three = parts & digits & digits >> 1 & digits >> 2;
        let above_255 = above_2 | is(b'2') & (above_5 | above_4 & above_5 >> 1) >> 1;
        let wrong = (points | digits) ^ inside
            | parts & !digits
            | three & (digits >> 3 | above_255)
            | parts & is(b'0') & digits >> 1;
        let second = points & points.wrapping_sub(1);
        let third = second & second.wrapping_sub(1);
        len <= V4_MAX && wrong == 0 && third != 0 && third & third.wrapping_sub(1) == 0
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::super::address::{first_forwarded, host_and_port, is_v4};
    use super::*;

    fn address() -> impl Strategy<Value = String> {
        let part = || "0|[1-9]|[0-9]{2}|1[0-9]{2}|2[0-9]{2}|25[0-9]|[0-9]{3,4}|[a:é]?";
        let v4 = proptest::collection::vec(part(), 3..6).prop_map(|it| it.join("."));
        let tail = prop_oneof![2 => Just(String::new()), 2 => ":[0-9]{0,6}", 1 => ",? ?[0-9.]{0,20}", 1 => "[a-z:.\\[\\]]{0,9}"];
        (prop_oneof![3 => v4, 1 => "[a-z.\\[é]{0,24}"], tail).prop_map(|(host, tail)| host + &tail)
    }

    proptest! {
        #[test]
        fn as_any_other_way(text in address(), behind in "[0-9.:,a-z]{0,40}") {
            let onwards = text.clone() + &behind;
            let piece = Text { onwards: onwards.as_bytes(), len: text.len() };
            let text = text.as_bytes();
            if let Some(len) = ShortAddress::first_v4(piece) {
                prop_assert_eq!(Some(0..len), first_forwarded(text));
            }
            let Some(short) = ShortAddress::of(piece) else {
                prop_assert!(text.len() > BLOCK || onwards.len() < BLOCK || onwards.starts_with('['));
                return Ok(());
            };
            prop_assert_eq!(short.host_and_port(), host_and_port(text));
            for len in 0..=text.len() {
                prop_assert_eq!(short.is_v4(len), is_v4(&text[..len]), "{}", len);
            }
            let first = text.split(|it| *it == b',').next().filter(|it| is_v4(it));
            prop_assert_eq!(ShortAddress::first_v4(piece), first.map(<[u8]>::len));
        }

        #[test]
        fn every_address(address: Ipv4Addr) {
            let text = address.to_string();
            let onwards = text.clone() + &" ".repeat(BLOCK);
            let short = ShortAddress::of(Text { onwards: onwards.as_bytes(), len: text.len() });
            prop_assert!(short.is_some_and(|it| it.is_v4(text.len())));
        }
    }
}
