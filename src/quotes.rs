//! The quotes of a line: they say where the values of most formats begin and end, and what of the line a
//! JSON string escapes. Found once, for both.

use crate::block::{BLOCK, Block, Marks};

/// Most quotes of a line that are remembered.
const QUOTES_MAX: usize = 32;

/// Where the quotes of a line stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotes {
    places: [u32; QUOTES_MAX],
    count: u32,
    only: bool,
    ascii: bool,
}

impl Quotes {
    /// Those of a line. False when there are too many to remember; then nothing is known of them.
    pub fn find(&mut self, line: &[u8]) -> bool {
        let (mut count, mut marks) = (0usize, Marks::default());
        let mut padded = [b' '; BLOCK];
        let (blocks, rest) = line.as_chunks::<BLOCK>();
        padded[..rest.len()].copy_from_slice(rest);
        // A line is shorter than 2 GiB.
        let mut start = 0u32;
        for bytes in blocks.iter().chain([&padded]) {
            let block = Block::new(bytes);
            marks = marks.and(block.marks());
            let mut quotes = block.equal(b'"');
            while quotes != 0 {
                let Some(place) = self.places.get_mut(count) else { return false };
                *place = start.wrapping_add(quotes.trailing_zeros());
                count = count.wrapping_add(1);
                quotes &= quotes.wrapping_sub(1);
            }
            start = start.wrapping_add(BLOCK as u32);
        }
        self.count = count as u32;
        self.ascii = !marks.beyond_ascii();
        self.only = if self.ascii { !marks.any() } else { has_nothing_to_escape(line) };
        true
    }

    /// Their places, in ascending order, from the first byte of the line on.
    #[inline]
    #[must_use]
    pub fn places(&self) -> &[u32] {
        self.places.get(..self.count as usize).unwrap_or_default()
    }

    /// True when nothing but the quotes needs an escape, in any encoding: there are no controls, no
    /// backslashes, and all is UTF-8 without characters that are not seen.
    #[inline]
    #[must_use]
    pub fn are_all_to_escape(&self) -> bool {
        self.only
    }

    /// True when the line is ASCII.
    #[inline]
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.ascii
    }
}

/// True for UTF-8 without controls, backslashes, and the bytes that all characters begin with that encoders
/// hide, and some others: C1 controls, separators of lines, what changes the direction of text, and the byte
/// order mark.
#[cold]
fn has_nothing_to_escape(line: &[u8]) -> bool {
    let is_harmless = |byte: u8| !(byte.is_ascii_control() | matches!(byte, b'\\' | 0xC2 | 0xE2 | 0xEF));
    line.iter().fold(true, |all, byte| all & is_harmless(*byte)) && std::str::from_utf8(line).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_quotes_and_nothing_else(line in proptest::collection::vec(
            prop_oneof![200 => 0x20u8..0x7F, 20 => Just(b'"'), 1 => any::<u8>()], 0..300)) {
            let mut quotes = Quotes::default();
            let places: Vec<u32> = line.iter().zip(0..).filter(|(byte, _)| **byte == b'"').map(|(_, at)| at).collect();
            let found = quotes.find(&line);
            prop_assert_eq!(found, places.len() <= QUOTES_MAX);
            if found {
                prop_assert_eq!(quotes.places(), &places[..]);
                prop_assert_eq!(quotes.is_ascii(), line.is_ascii());
                prop_assert_eq!(quotes.are_all_to_escape(), has_nothing_to_escape(&line));
            }
        }
    }
}
