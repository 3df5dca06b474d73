//! The quotes of a line: they say where the values of most formats begin and end, and what of the line a
//! JSON string escapes. Found once, for both.

use crate::block::{BLOCK, Block};

/// Most quotes of a line that are remembered.
const QUOTES_MAX: usize = 32;

/// Where the quotes of a line stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotes {
    places: [u32; QUOTES_MAX],
    count: u32,
    only: bool,
}

impl Quotes {
    /// Those of a line. False when there are too many to remember; then nothing is known of them.
    pub fn find(&mut self, line: &[u8]) -> bool {
        let (mut count, mut others) = (0usize, 0);
        let mut padded = [b' '; BLOCK];
        let (blocks, rest) = line.as_chunks::<BLOCK>();
        padded[..rest.len()].copy_from_slice(rest);
        // A line is shorter than 2 GiB.
        let mut start = 0u32;
        for bytes in blocks.iter().chain([&padded]) {
            let block = Block::new(bytes);
            others |= block.unprintable_or_backslash();
            let mut quotes = block.equal(b'"');
            while quotes != 0 {
                let Some(place) = self.places.get_mut(count) else { return false };
                *place = start.wrapping_add(quotes.trailing_zeros());
                count = count.wrapping_add(1);
                quotes &= quotes.wrapping_sub(1);
            }
            start = start.wrapping_add(BLOCK as u32);
        }
        (self.count, self.only) = (count as u32, others == 0);
        true
    }

    /// Their places, in ascending order, from the first byte of the line on.
    #[inline]
    #[must_use]
    pub fn places(&self) -> &[u32] {
        self.places.get(..self.count as usize).unwrap_or_default()
    }

    /// True when all else is printable ASCII without backslashes: nothing but the quotes needs an escape.
    #[inline]
    #[must_use]
    pub fn are_all_to_escape(&self) -> bool {
        self.only
    }
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
                let only = line.iter().all(|byte| matches!(byte, 0x20..0x7F) && *byte != b'\\');
                prop_assert_eq!(quotes.places(), &places[..]);
                prop_assert_eq!(quotes.are_all_to_escape(), only);
            }
        }
    }
}
