//! Thirty-two bytes at once: which of them are what.
//!
//! A set of places is a number with a bit for each, the first byte in the lowest. On x86-64 and ARM these
//! are vector instructions that every such processor has.

use wide::{i8x32, u8x32};

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

    /// Places of digits.
    #[inline(always)]
    #[must_use]
    pub fn digits(self) -> u32 {
        self.is_within(b'0', b'9').to_bitmask()
    }

    /// Places of spaces, controls and DEL, which end a word, and of quotes.
    #[inline(always)]
    #[must_use]
    pub fn foreign_to_token(self) -> u32 {
        (self.ends_word() | self.is(b'"')).to_bitmask()
    }

    /// Places of bytes that are not hex digits.
    #[inline(always)]
    #[must_use]
    pub fn foreign_to_hex(self) -> u32 {
        let lower = Block(self.0 | i8x32::splat(0x20));
        !(self.is_within(b'0', b'9') | lower.is_within(b'a', b'f')).to_bitmask()
    }

    /// Places of all but letters, digits, and `-./:?@[\\]^_` and backticks: of what ends a name, and of what
    /// names seldom hold.
    #[inline(always)]
    #[must_use]
    pub fn rare_in_name(self) -> u32 {
        !(self.is_within(b'-', b':') | self.is_within(b'?', b'z')).to_bitmask()
    }

    /// As [`Block::foreign_to_token`], and of some bytes that tokens may hold but seldom do.
    #[inline(always)]
    #[must_use]
    pub fn rare_in_token(self) -> u32 {
        (self.0.simd_lt(i8x32::splat(b'#' as i8)) | self.is(0x7F)).to_bitmask()
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
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// The lowest and the highest byte in each place: all but backslashes is known from them.
    least: u8x32,
    most: u8x32,
    backslashes: u8x32,
}

impl Default for Marks {
    fn default() -> Self {
        let space = u8x32::splat(b' ');
        Marks { least: space, most: space, backslashes: u8x32::splat(0) }
    }
}

impl Marks {
    /// With what is in these bytes.
    #[inline(always)]
    #[must_use]
    pub fn and(self, bytes: &[u8; BLOCK]) -> Marks {
        let block = u8x32::new(*bytes);
        Marks {
            least: self.least.min(block),
            most: self.most.max(block),
            backslashes: self.backslashes | block.simd_eq(u8x32::splat(b'\\')),
        }
    }

    /// True when there was a byte that is not printable ASCII, or a backslash.
    #[inline(always)]
    #[must_use]
    pub fn any(self) -> bool {
        let (control, delete) = (u8x32::splat(0x1F), u8x32::splat(0x7F));
        let found = self.least.min(control).simd_eq(self.least) | self.most.max(delete).simd_eq(self.most);
        (found | self.backslashes).to_bitmask() != 0
    }

    /// True when there was a byte that is not ASCII.
    #[inline(always)]
    #[must_use]
    pub fn beyond_ascii(self) -> bool {
        self.most.to_bitmask() != 0
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
            let ends_word = |byte: u8| byte <= b' ' || byte == 0x7F;
            prop_assert_eq!(block.foreign_to_token(), places(&bytes, |it| ends_word(it) || it == b'"'));
            prop_assert_eq!(block.rare_in_token(), places(&bytes, |it| !(b'#'..0x7F).contains(&it)));
            let is_usual = |it: u8| it.is_ascii_alphanumeric() || b"-./:?@[\\]^_`".contains(&it);
            prop_assert_eq!(block.rare_in_name(), places(&bytes, |it| !is_usual(it)));
            prop_assert_eq!(block.foreign_to_hex(), places(&bytes, |it| !it.is_ascii_hexdigit()));
            prop_assert_eq!(block.digits(), places(&bytes, |it| it.is_ascii_digit()));
            let marks = Marks::default().and(&bytes);
            prop_assert_eq!(marks.any(), block.unprintable() | block.equal(b'\\') != 0);
            prop_assert_eq!(marks.beyond_ascii(), !bytes.is_ascii());
        }
    }
}
