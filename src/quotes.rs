//! The quotes of a line: they say where the values of most formats begin and end, and what of the line a
//! JSON string escapes. Found once, for both.

use crate::block::{BLOCK, Marks};

/// Most quotes of a line that are remembered.
pub const QUOTES_MAX: usize = 32;

/// Where the quotes of a line stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotes {
    places: [u32; QUOTES_MAX],
    count: u32,
    only: bool,
    ascii: bool,
}

impl Quotes {
    /// A line begins, of which no quotes are known yet.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.count = 0;
    }

    /// Looks at what of the line needs an escape beside the quotes.
    #[inline]
    pub fn look(&mut self, line: &[u8]) {
        let mut marks = Marks::default();
        for bytes in line.as_chunks::<BLOCK>().0 {
            marks = marks.and(bytes);
        }
        // A byte that is looked at twice is the same twice.
        match line.last_chunk() {
            Some(last) => marks = marks.and(last),
            None => {
                let mut padded = [b' '; BLOCK];
                padded[..line.len()].copy_from_slice(line);
                marks = marks.and(&padded);
            }
        }
        self.ascii = !marks.beyond_ascii();
        self.only = if self.ascii { !marks.any() } else { has_nothing_to_escape(line) };
    }

    /// Adds the next quotes, the first `count` of these; at most [`QUOTES_MAX`] are to be added.
    #[inline(always)]
    pub fn push(&mut self, [first, second]: [u32; 2], count: u32) {
        let at = self.count as usize;
        if let Some(place) = self.places.get_mut(at) {
            *place = first;
        }
        if let Some(place) = self.places.get_mut(at.wrapping_add(1)) {
            *place = second;
        }
        self.count = self.count.wrapping_add(count);
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
        fn what_is_known_of_a_line(line in proptest::collection::vec(
            prop_oneof![200 => 0x20u8..0x7F, 20 => Just(b'"'), 1 => any::<u8>()], 0..300)) {
            let mut quotes = Quotes::default();
            // What is left of another line is forgotten.
            quotes.push([7, 8], 2);
            quotes.forget();
            quotes.look(&line);
            prop_assert_eq!(quotes.is_ascii(), line.is_ascii());
            prop_assert_eq!(quotes.are_all_to_escape(), has_nothing_to_escape(&line));
            let all: Vec<u32> = (0..QUOTES_MAX as u32).collect();
            let mut left = &all[..];
            while let [first, rest @ ..] = left {
                let count = (first % 3).min(left.len() as u32);
                quotes.push([*first, *rest.first().unwrap_or(&9)], count.max(1));
                left = &left[count.max(1) as usize..];
            }
            prop_assert_eq!(quotes.places(), &all[..]);
        }
    }
}
