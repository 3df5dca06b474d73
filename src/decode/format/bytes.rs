//! Sets of bytes, and how far a text is made of them.

#[cfg(test)]
use super::class::STEPS;
use crate::block::{BLOCK, Block};

/// Sets of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Digits and a minus.
    Int,
    /// Letters, digits, `_`, `-` and `,`.
    Flags,
    /// No spaces, quotes, parentheses (round, curly or pointed), controls, `|`, `,` and `;`: Kuma's
    /// names are letters, digits and `.-_:/`, addresses have brackets besides.
    Name,
    /// No spaces, quotes and controls.
    Token,
    /// No spaces and controls.
    Word,
    /// Hex digits and a minus.
    Hex,
    /// All.
    Any,
}

impl Bytes {
    #[inline]
    pub(super) fn has(self, byte: u8) -> bool {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1);
        TABLE[byte as usize] & self.bit() != 0
    }

    #[inline]
    const fn bit(self) -> u8 {
        match self {
            Bytes::Int => 1,
            Bytes::Flags => 2,
            Bytes::Name => 4,
            Bytes::Token => 8,
            Bytes::Word => 16,
            Bytes::Hex => 32,
            Bytes::Any => 64,
        }
    }

    /// True for a text of these bytes.
    #[inline]
    pub(super) fn are_all(self, text: &[u8]) -> bool {
        match self {
            Bytes::Any => true,
            Bytes::Token => self.run_end(text, 0) == text.len(),
            _ => text.iter().fold(self.bit(), |all, byte| all & TABLE[*byte as usize]) != 0,
        }
    }

    /// Where a run of these bytes that begins at `start` ends.
    #[inline]
    pub(super) fn run_end(self, line: &[u8], start: usize) -> usize {
        let mut rest = line.get(start..).unwrap_or_default();
        // Of names, which are short and often the same, the loop below is as fast.
        while let (Bytes::Token, Some((block, behind))) = (self, rest.split_first_chunk::<BLOCK>()) {
            match Block::new(block).foreign_to_token() {
                0 => rest = behind,
                // Within the line.
                found => return line.len().wrapping_sub(rest.len()).wrapping_add(found.trailing_zeros() as usize),
            }
        }
        let bit = self.bit();
        // Four at once, which are as many instructions as two with a look at each.
        while let Some(four) = rest.first_chunk::<4>() {
            if four.iter().fold(bit, |all, byte| all & TABLE[*byte as usize]) == 0 {
                break;
            }
            rest = &rest[4..];
        }
        let begin = line.len() - rest.len();
        rest.iter().position(|byte| TABLE[*byte as usize] & bit == 0).map_or(line.len(), |len| begin + len)
    }

    /// Where a run of these bytes that ends at `end` begins, not before `from`.
    #[inline]
    pub(super) fn run_start(self, line: &[u8], from: usize, end: usize) -> usize {
        let mut rest = line.get(from..end).unwrap_or_default();
        if self.has_long_values() {
            while let Some(chunk) = rest.last_chunk::<8>() {
                // From the last byte to the first.
                match foreign_to_token(u64::from_be_bytes(*chunk)) {
                    0 => rest = &rest[..rest.len() - 8],
                    found => return from + rest.len() - found.trailing_zeros() as usize / 8,
                }
            }
        }
        let bit = self.bit();
        while let Some(four) = rest.last_chunk::<4>() {
            if four.iter().fold(bit, |all, byte| all & TABLE[*byte as usize]) == 0 {
                break;
            }
            rest = &rest[..rest.len() - 4];
        }
        rest.iter().rposition(|byte| TABLE[*byte as usize] & bit == 0).map_or(from, |at| from + at + 1)
    }

    /// Paths and authorities are worth looking at eight bytes at once.
    fn has_long_values(self) -> bool {
        self == Bytes::Token
    }
}

/// Finds bytes among eight that are not of [`Bytes::Token`]. The lowest bit that is set is in the
/// first of them; higher ones may be wrong.
#[inline]
fn foreign_to_token(eight: u64) -> u64 {
    below_or_delete(eight) | equal(eight, b'"')
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// The high bit of bytes up to a space, and of DEL.
#[inline]
fn below_or_delete(it: u64) -> u64 {
    it.wrapping_sub(ONES * 0x21) & !it & HIGHS | equal(it, 0x7F)
}

/// The high bit of bytes that are this one.
#[inline]
fn equal(it: u64, byte: u8) -> u64 {
    let it = it ^ (ONES * byte as u64);
    it.wrapping_sub(ONES) & !it & HIGHS
}

/// For each byte the sets it belongs to, as bits.
static TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        let mut bits = Bytes::Any.bit();
        if byte.is_ascii_digit() || byte == b'-' {
            bits |= Bytes::Int.bit();
        }
        if byte.is_ascii_hexdigit() || byte == b'-' {
            bits |= Bytes::Hex.bit();
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b',') {
            bits |= Bytes::Flags.bit();
        }
        if byte > b' ' && byte != 0x7F {
            bits |= Bytes::Word.bit();
            if byte != b'"' {
                bits |= Bytes::Token.bit();
            }
            if !matches!(byte, b'"' | b'\'' | b'(' | b')' | b'<' | b'>' | b'{' | b'}' | b'|' | b',' | b';') {
                bits |= Bytes::Name.bit();
            }
        }
        table[index] = bits;
        index += 1;
    }
    table
};
