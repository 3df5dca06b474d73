//! Which bytes a slot may hold.

use super::operators::Shape;
use super::time::TimeForm;

/// Longest whole number: a sign and the digits of 64 bits.
const INT_LEN_MAX: usize = 20;

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A run of bytes.
    Run {
        /// Which.
        bytes: Bytes,
        /// At most so many.
        max: usize,
    },
    /// A time, which knows itself where it ends.
    Time(TimeForm),
}

/// Sets of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Digits and a minus.
    Int,
    /// Letters, digits, `_`, `-` and `,`.
    Flags,
    /// No spaces, quotes, parentheses and controls.
    Name,
    /// No spaces, quotes and controls.
    Token,
    /// Hex digits and a minus.
    Hex,
    /// All.
    Any,
}

impl Class {
    pub(super) fn new(shape: Shape, max: Option<usize>) -> Class {
        let run = |bytes| Class::Run { bytes, max: max.unwrap_or(usize::MAX) };
        match shape {
            Shape::Int => Class::Run { bytes: Bytes::Int, max: INT_LEN_MAX },
            Shape::Flags => run(Bytes::Flags),
            Shape::Name => run(Bytes::Name),
            Shape::Token => run(Bytes::Token),
            Shape::Time | Shape::Text => run(Bytes::Any),
        }
    }

    /// True when the slot ends, or begins, where this byte stands.
    pub(super) fn excludes(&self, byte: u8) -> bool {
        match self {
            Class::Run { bytes, .. } => !bytes.has(byte),
            // Its end is known from its beginning, not from what follows.
            Class::Time(_) => false,
        }
    }
}

impl Bytes {
    #[inline]
    pub(super) fn has(self, byte: u8) -> bool {
        TABLE[byte as usize] & self.bit() != 0
    }

    #[inline]
    const fn bit(self) -> u8 {
        match self {
            Bytes::Int => 1,
            Bytes::Flags => 2,
            Bytes::Name => 4,
            Bytes::Token => 8,
            Bytes::Hex => 16,
            Bytes::Any => 32,
        }
    }

    /// Where a run of these bytes that begins at `start` ends.
    #[inline]
    pub(super) fn run_end(self, line: &[u8], start: usize) -> usize {
        let bit = self.bit();
        let rest = line.get(start..).unwrap_or_default();
        rest.iter().position(|byte| TABLE[*byte as usize] & bit == 0).map_or(line.len(), |len| start + len)
    }

    /// Where a run of these bytes that ends at `end` begins, not before `from`.
    #[inline]
    pub(super) fn run_start(self, line: &[u8], from: usize, end: usize) -> usize {
        let bit = self.bit();
        let rest = line.get(from..end).unwrap_or_default();
        rest.iter().rposition(|byte| TABLE[*byte as usize] & bit == 0).map_or(from, |at| from + at + 1)
    }
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
        if byte > b' ' && byte != b'"' && byte != 0x7F {
            bits |= Bytes::Token.bit();
            if byte != b'(' && byte != b')' {
                bits |= Bytes::Name.bit();
            }
        }
        table[index] = bits;
        index += 1;
    }
    table
};
