//! Thirty-two bytes at once: which of them are what.
//!
//! A set of places is a number with a bit for each, the first byte in the lowest. On x86-64 and ARM these
//! are vector instructions that every such processor has.

use wide::i8x32;

/// Bytes of a block.
pub const BLOCK: usize = 32;

/// Bytes to be asked about.
#[derive(Clone, Copy, Debug)]
pub struct Block(i8x32);

impl Block {
    /// These bytes.
    #[inline(always)]
    #[must_use]
    pub fn new(bytes: &[u8; BLOCK]) -> Block {
        Block(i8x32::new(bytes.map(|byte| byte as i8)))
    }

    /// Places of this byte.
    #[inline(always)]
    #[must_use]
    pub fn equal(self, byte: u8) -> u32 {
        self.is(byte).to_bitmask()
    }

    /// Places of bytes that are not printable ASCII.
    #[inline(always)]
    #[must_use]
    pub fn unprintable(self) -> u32 {
        self.is_unprintable().to_bitmask()
    }

    /// Places of bytes that are not printable ASCII, and of backslashes: what a JSON string escapes
    /// besides quotes.
    #[inline(always)]
    #[must_use]
    pub fn unprintable_or_backslash(self) -> u32 {
        self.marks().marked.to_bitmask()
    }

    /// Places of digits.
    #[inline(always)]
    #[must_use]
    pub fn digits(self) -> u32 {
        self.is_within(b'0', b'9').to_bitmask()
    }

    /// Places of spaces, controls and DEL: what ends a word.
    #[inline(always)]
    #[must_use]
    pub fn foreign_to_word(self) -> u32 {
        self.ends_word().to_bitmask()
    }

    /// Places of what ends a word, and of quotes.
    #[inline(always)]
    #[must_use]
    pub fn foreign_to_token(self) -> u32 {
        (self.ends_word() | self.is(b'"')).to_bitmask()
    }

    /// Places of what ends a word, of quotes, apostrophes, parentheses (round, curly or pointed), `|`, `,`
    /// and `;`.
    #[inline(always)]
    #[must_use]
    pub fn foreign_to_name(self) -> u32 {
        let marks = self.is_within(b'\'', b')') | self.is(b',') | self.is_within(b';', b'<') | self.is(b'>');
        let ends = self.is_within(0, b' ') | self.is(b'"') | marks;
        (ends | self.is_within(b'{', b'}') | self.is(0x7F)).to_bitmask()
    }

    /// Marks at what [`Block::unprintable_or_backslash`] finds, to be gathered from many blocks.
    #[inline(always)]
    #[must_use]
    pub fn marks(self) -> Marks {
        Marks { marked: self.is_unprintable() | self.is(b'\\'), beyond_ascii: self.0 }
    }

    /// The first places, so many of them: all for as many as a block has, or more.
    #[inline(always)]
    #[must_use]
    pub fn first(places: usize) -> u32 {
        if places < BLOCK { (1u32 << places).wrapping_sub(1) } else { u32::MAX }
    }

    #[inline(always)]
    fn is(self, byte: u8) -> i8x32 {
        self.0.simd_eq(i8x32::splat(byte as i8))
    }

    /// Of ASCII.
    #[inline(always)]
    fn is_within(self, first: u8, last: u8) -> i8x32 {
        let below = i8x32::splat((first as i8).wrapping_sub(1)).simd_lt(self.0);
        below & self.0.simd_lt(i8x32::splat((last as i8).wrapping_add(1)))
    }

    #[inline(always)]
    fn ends_word(self) -> i8x32 {
        self.is_within(0, b' ') | self.is(0x7F)
    }

    /// As signed numbers, bytes that are not ASCII are below zero.
    #[inline(always)]
    fn is_unprintable(self) -> i8x32 {
        self.0.simd_lt(i8x32::splat(0x20)) | self.is(0x7F)
    }
}

/// What was found in some blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    marked: i8x32,
    /// Below zero where a byte was not ASCII.
    beyond_ascii: i8x32,
}

impl Marks {
    /// What either has.
    #[inline(always)]
    #[must_use]
    pub fn and(self, other: Marks) -> Marks {
        Marks { marked: self.marked | other.marked, beyond_ascii: self.beyond_ascii | other.beyond_ascii }
    }

    /// True when there was something.
    #[inline(always)]
    #[must_use]
    pub fn any(self) -> bool {
        self.marked.to_bitmask() != 0
    }

    /// True when there was a byte that is not ASCII.
    #[inline(always)]
    #[must_use]
    pub fn beyond_ascii(self) -> bool {
        self.beyond_ascii.to_bitmask() != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(bytes: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u32 {
        bytes.iter().zip(0..).map(|(byte, at)| u32::from(is(*byte)) << at).sum()
    }

    proptest! {
        #[test]
        fn places_are_those_of_the_bytes(bytes in proptest::array::uniform32(prop_oneof![
            2 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 1 => Just(0x7F), 1 => 0x1Eu8..0x40, 1 => 0x78u8..0x82])) {
            let block = Block::new(&bytes);
            let unprintable = |byte: u8| !(0x20..0x7F).contains(&byte);
            for byte in [b'"', b'\n', 0, 0xFF, 0x80, bytes[3]] {
                prop_assert_eq!(block.equal(byte), places(&bytes, |it| it == byte));
            }
            prop_assert_eq!(block.unprintable(), places(&bytes, unprintable));
            prop_assert_eq!(block.unprintable_or_backslash(), places(&bytes, |it| unprintable(it) || it == b'\\'));
            let ends_word = |byte: u8| byte <= b' ' || byte == 0x7F;
            prop_assert_eq!(block.foreign_to_word(), places(&bytes, ends_word));
            prop_assert_eq!(block.foreign_to_token(), places(&bytes, |it| ends_word(it) || it == b'"'));
            let is_foreign = |it| ends_word(it) || b"\"'()<>{}|,;".contains(&it);
            prop_assert_eq!(block.foreign_to_name(), places(&bytes, is_foreign));
            prop_assert_eq!(block.digits(), places(&bytes, |it| it.is_ascii_digit()));
            let marks = Marks::default().and(block.marks());
            prop_assert_eq!(marks.any(), block.unprintable_or_backslash() != 0);
            prop_assert_eq!(marks.beyond_ascii(), !bytes.is_ascii());
        }
    }
}
