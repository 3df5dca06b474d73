//! A stretch of bytes that many small pieces are written into.
//!
//! Each piece is copied as whole blocks, as far as its last byte and beyond it; the next piece
//! overwrites what was too much. So a piece costs a few instructions and no call, whatever its
//! length. What does not fit, or is not plain, is not written: the caller knows a slower way.

use super::escape::to_escape;
use crate::block::{BLOCK, Block};
use crate::record::{FRAGMENT_BLOCK, Text};

const WORD: usize = 8;

/// Longest beginning of a member that is copied at once.
const KEY: usize = FRAGMENT_BLOCK;
/// Longest text that is short.
const TEXT: usize = 128;
/// Places in a member, and room behind the last: powers of two, so that the remainder of a division
/// by them is what keeps a place inside.
const PLACES: usize = 256;
const MEMBER: usize = PLACES + KEY;
/// Places where a value may begin; one more text is within the others.
const VALUE_PLACES: usize = 128;

/// The stretch, and how much of it is written.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Lane<'a> {
    /// An empty lane.
    #[inline(always)]
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Lane { bytes, at: 0 }
    }

    /// What is written.
    #[inline(always)]
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }

    /// Room for one more member. All places in it are known to be in it, so that each costs no look.
    #[inline(always)]
    fn member(&mut self) -> Option<&mut [u8; MEMBER]> {
        self.bytes.get_mut(self.at..)?.first_chunk_mut()
    }

    /// Writes the first `len` bytes of a beginning that ends with a quote, a text that is plain and
    /// short, and a quote. Whether it is plain need not be looked at where `is_plain` says so.
    #[inline(always)]
    pub(super) fn put_text(&mut self, key: &[u8; KEY], len: usize, text: Text<'_>, is_plain: bool) -> bool {
        let Some(member) = self.member() else { return false };
        put(member, 0, key);
        let len = len % VALUE_PLACES;
        let Some(end) = put_plain(member, len, text, is_plain) else { return false };
        member[end % PLACES] = b'"';
        self.at = self.at.wrapping_add(end).wrapping_add(1);
        true
    }

    /// As [`Lane::put_text`], as a list of one.
    #[inline(always)]
    pub(super) fn put_list(&mut self, key: &[u8; KEY], len: usize, text: Text<'_>, is_plain: bool) -> bool {
        let Some(member) = self.member() else { return false };
        put(member, 0, key);
        let len = len.wrapping_sub(1) % VALUE_PLACES;
        put(member, len, b"[\"");
        let Some(end) = put_plain(member, len.wrapping_add(2), text, is_plain) else { return false };
        put(member, end % PLACES, b"\"]");
        self.at = self.at.wrapping_add(end).wrapping_add(2);
        true
    }

    /// As [`Lane::put_text`] with a whole number, without quotes.
    #[inline(always)]
    pub(super) fn put_int(&mut self, key: &[u8; KEY], len: usize, value: i64) -> bool {
        let Some(member) = self.member() else { return false };
        put(member, 0, key);
        let len = len.wrapping_sub(1) % VALUE_PLACES;
        let (digits, count) = match value {
            0..=9 => (u64::from(b'0') + value as u64, 1),
            10..=99_999_999 => decimal(value as u32),
            _ => return false,
        };
        put(member, len, &digits.to_le_bytes());
        self.at = self.at.wrapping_add(len).wrapping_add(count);
        true
    }
}

/// Copies a block. There is room for it, or nothing is copied.
#[inline(always)]
fn put<const N: usize>(member: &mut [u8; MEMBER], at: usize, block: &[u8; N]) {
    if let Some(place) = member.get_mut(at..).and_then(|it| it.first_chunk_mut()) {
        *place = *block;
    }
}

/// Writes a text at a place among [`VALUE_PLACES`], where it is plain and short; returns where it
/// ends.
#[inline(always)]
fn put_plain(member: &mut [u8; MEMBER], at: usize, text: Text<'_>, is_plain: bool) -> Option<usize> {
    let Text { mut onwards, len } = text;
    if len > TEXT {
        return None;
    }
    let (mut place, mut left) = (at, len);
    loop {
        let block = onwards.first_chunk::<BLOCK>()?;
        put(member, place, block);
        if !is_plain {
            let (quotes, others) = to_escape::<true>(block);
            if (quotes | others) & Block::first(left) != 0 {
                return None;
            }
        }
        if left <= BLOCK {
            return Some(at.wrapping_add(len));
        }
        left = left.wrapping_sub(BLOCK);
        place = place.wrapping_add(BLOCK);
        onwards = &onwards[BLOCK..];
    }
}

/// The digits of a number of at most eight, the first in the lowest byte, and how many there are.
#[inline(always)]
fn decimal(value: u32) -> (u64, usize) {
    // Halves of the digits, in halves of the word: four, two, then one in each.
    let value = u64::from(value);
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x7F_0000_007F;
    let twos = hundreds | fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    let ones = tens | twos.wrapping_sub(tens.wrapping_mul(10)) << 8;
    let zeros = (ones.trailing_zeros() / 8).min(7);
    ((ones | 0x3030_3030_3030_3030) >> (8 * zeros), WORD.wrapping_sub(zeros as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::escape::escape_json;
    use super::*;

    const KEY_BLOCK: &[u8; KEY] = b",\"key\":\"                                                        ";

    fn written(put: impl FnOnce(&mut Lane<'_>) -> bool) -> Option<String> {
        let mut bytes = [0; 2 * MEMBER];
        let mut lane = Lane::new(&mut bytes);
        let done = put(&mut lane);
        done.then(|| String::from_utf8_lossy(lane.written()).into_owned())
    }

    #[test]
    fn numbers() {
        let powers = (0..8).map(|it| 10i64.pow(it)).flat_map(|it| [it - 1, it, it + 1]);
        for value in (0..10_100).chain(powers).chain([99_999_999]) {
            assert_eq!(written(|lane| lane.put_int(KEY_BLOCK, 8, value)), Some(format!(",\"key\":{value}")));
        }
        for value in [-1, 100_000_000, i64::MAX, i64::MIN] {
            assert_eq!(written(|lane| lane.put_int(KEY_BLOCK, 8, value)), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut bytes = [0; MEMBER + 16];
        let mut lane = Lane::new(&mut bytes);
        let text = |len| Text { onwards: &[b'a'; BLOCK], len };
        assert!(!lane.put_text(KEY_BLOCK, 8, Text { onwards: b"short", len: 5 }, false));
        assert!(lane.put_text(KEY_BLOCK, 8, text(0), false));
        assert_eq!(lane.written().len(), 9);
        assert!(lane.put_int(KEY_BLOCK, 8, 1));
        assert!(!lane.put_int(KEY_BLOCK, 8, 1));
        assert!(!lane.put_text(KEY_BLOCK, 8, text(1), false) && !lane.put_list(KEY_BLOCK, 8, text(1), false));
        assert_eq!(&bytes[..17], b",\"key\":\"\",\"key\":1");
    }

    proptest! {
        #[test]
        fn number(value in 0u32..100_000_000) {
            prop_assert_eq!(written(|lane| lane.put_int(KEY_BLOCK, 8, value.into())), Some(format!(",\"key\":{value}")));
        }

        #[test]
        fn plain_text_and_no_other(len in 8..=KEY, text in proptest::collection::vec(
            prop_oneof![60 => 0x23u8..0x5C, 1 => any::<u8>()], 0..150)) {
            let mut escaped = Vec::new();
            escape_json(&text, &mut escaped);
            let is_plain = escaped == text && text.is_ascii() && text.len() <= TEXT;
            let key = String::from_utf8_lossy(&KEY_BLOCK[..len]);
            let list = String::from_utf8_lossy(&KEY_BLOCK[..len - 1]);
            let text_of = String::from_utf8_lossy(&text);
            let onwards = [&text[..], &[b'"'; BLOCK]].concat();
            let text = Text { onwards: &onwards, len: text.len() };
            prop_assert_eq!(
                written(|lane| lane.put_text(KEY_BLOCK, len, text, false)),
                is_plain.then(|| format!("{key}{text_of}\""))
            );
            prop_assert_eq!(
                written(|lane| lane.put_list(KEY_BLOCK, len, text, false)),
                is_plain.then(|| format!("{list}[\"{text_of}\"]"))
            );
        }
    }
}
