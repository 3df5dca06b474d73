//! A stretch of zeroed output that many small pieces are written into.
//!
//! Each piece is copied as whole blocks, as far as its last byte and beyond it; the next piece
//! overwrites what was too much. So a piece costs a few instructions and no call, whatever its
//! length. What does not fit, or is not plain, is not written: the caller knows a slower way.

use super::escape::{is_plain_block, last_word, special};

const BLOCK: usize = 16;
const WORD: usize = 8;

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

    /// Bytes written.
    #[inline(always)]
    pub(super) fn written(&self) -> usize {
        self.at
    }

    /// Takes back what was written since a place.
    #[inline(always)]
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Writes the first `len` bytes of a block.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, block: &[u8; N], len: usize) -> bool {
        let Some(place) = self.bytes.get_mut(self.at..).and_then(|it| it.first_chunk_mut()) else { return false };
        *place = *block;
        self.at = self.at.wrapping_add(len);
        true
    }

    /// Writes the inside of a JSON string, where it is plain.
    #[inline(always)]
    pub(super) fn put_plain(&mut self, text: &[u8]) -> bool {
        if let Some(last) = text.last_chunk::<BLOCK>() {
            let place = self.bytes.get_mut(self.at..).and_then(|it| it.get_mut(..text.len()));
            let Some(place) = place else { return false };
            for (block, place) in text.as_chunks::<BLOCK>().0.iter().zip(place.as_chunks_mut::<BLOCK>().0) {
                *place = *block;
                if !is_plain_block::<true>(block) {
                    return false;
                }
            }
            // What is left over by whole blocks is in the block that ends there.
            if let Some(place) = place.last_chunk_mut() {
                *place = *last;
            }
            self.at = self.at.wrapping_add(text.len());
            return is_plain_block::<true>(last);
        }
        let (low, high) = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ if text.is_empty() => return true,
            _ => {
                let word = last_word(text);
                return special::<true>(word) == 0 && self.put(&word.to_le_bytes(), text.len());
            }
        };
        let is_plain = (special::<true>(low) | special::<true>(high)) == 0;
        let start = self.at;
        let written = self.put(&low.to_le_bytes(), text.len().wrapping_sub(WORD)) && self.put(&high.to_le_bytes(), WORD);
        debug_assert!(!written || self.at == start + text.len());
        is_plain && written
    }

    /// Writes a whole number.
    #[inline(always)]
    pub(super) fn put_int(&mut self, value: i64) -> bool {
        let (digits, len) = match value {
            0..=9 => (u64::from(b'0') + value as u64, 1),
            10..=99_999_999 => decimal(value as u32),
            _ => return self.put_long(value),
        };
        self.put(&digits.to_le_bytes(), len)
    }

    #[cold]
    fn put_long(&mut self, value: i64) -> bool {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value).as_bytes();
        let Some(place) = self.bytes.get_mut(self.at..).and_then(|it| it.get_mut(..digits.len())) else {
            return false;
        };
        place.copy_from_slice(digits);
        self.at = self.at.wrapping_add(digits.len());
        true
    }
}

/// The digits of a number of at most eight, the first in the lowest byte, and how many there are.
#[inline(always)]
fn decimal(value: u32) -> (u64, usize) {
    // Halves of the digits, in halves of the word: four, two, then one in each.
    let value = u64::from(value);
    let fours = value / 10_000 | (value % 10_000) << 32;
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

    fn written(put: impl FnOnce(&mut Lane<'_>) -> bool) -> Option<Vec<u8>> {
        let mut bytes = [0; 256];
        let mut lane = Lane::new(&mut bytes);
        let done = put(&mut lane);
        let at = lane.written();
        done.then(|| bytes[..at].to_vec())
    }

    #[test]
    fn numbers() {
        let powers = (0..19).map(|it| 10i64.pow(it)).flat_map(|it| [it - 1, it, it + 1, -it]);
        for value in (0..10_100).chain(powers).chain([i64::MAX, i64::MIN]) {
            assert_eq!(written(|lane| lane.put_int(value)), Some(value.to_string().into_bytes()));
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut bytes = [0; 20];
        let mut lane = Lane::new(&mut bytes);
        assert!(lane.put_plain(b"0123456789"));
        assert!(!lane.put_plain(&[b'x'; 11]));
        lane.rewind(10);
        assert!(!lane.put(&[b'x'; 16], 1));
        assert!(lane.put_plain(b"abc") && lane.put_int(7));
        assert_eq!(&bytes[..14], b"0123456789abc7");
    }

    proptest! {
        #[test]
        fn number(value: u32) {
            prop_assert_eq!(written(|lane| lane.put_int(value.into())), Some(value.to_string().into_bytes()));
        }

        #[test]
        fn plain_text_and_no_other(text in proptest::collection::vec(
            prop_oneof![60 => 0x23u8..0x5C, 1 => any::<u8>()], 0..100)) {
            let mut escaped = Vec::new();
            escape_json(&text, &mut escaped);
            let is_plain = escaped == text && text.is_ascii();
            prop_assert_eq!(written(|lane| lane.put_plain(&text)), is_plain.then_some(text));
        }
    }
}
