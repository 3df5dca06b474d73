//! Which texts a slot may hold, apart from `-` and nothing, which all may.

use std::ops::Range;

use super::int;
use super::operators::Shape;
use super::time::TimeForm;
use crate::block::{BLOCK, Block};

/// Longest whole number: a sign and the digits of 64 bits.
const INT_LEN_MAX: usize = 20;
/// Longest trace id.
const TRACE_ID_LEN_MAX: usize = 32;

#[cfg(test)]
thread_local! {
    /// Bytes and literals that were looked at.
    pub(super) static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A run of bytes.
    Run {
        /// Which.
        bytes: Bytes,
        /// At most so many, see [`Lengths`].
        max: usize,
    },
    /// A whole number of 64 bits.
    Int,
    /// A trace id of B3 (16 or 32 hex digits) or Datadog (a decimal number of 64 bits).
    TraceId,
    /// A time.
    Time(TimeForm),
}

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

impl Class {
    pub(super) fn new(shape: Shape, max: Option<usize>) -> Class {
        let run = |bytes| Class::Run { bytes, max: max.unwrap_or(usize::MAX) };
        match shape {
            Shape::Int => Class::Int,
            Shape::Flags => run(Bytes::Flags),
            Shape::Name => run(Bytes::Name),
            Shape::Token => run(Bytes::Token),
            Shape::Word => run(Bytes::Word),
            Shape::Time | Shape::Text => run(Bytes::Any),
        }
    }

    /// True when no value holds this byte: where it stands the slot ends, or begins.
    pub(super) fn excludes(&self, byte: u8) -> bool {
        match self {
            Class::Time(form) => byte != b'-' && !form.may_hold(byte),
            class => !class.bytes().has(byte),
        }
    }

    /// All bytes that a value may hold. A time says more precisely what it may, see `excludes`.
    #[inline]
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Class::Run { bytes, .. } => *bytes,
            Class::Int => Bytes::Int,
            Class::TraceId => Bytes::Hex,
            Class::Time(_) => Bytes::Any,
        }
    }

    /// True when exactly this can stand in the slot.
    #[inline(always)]
    pub(super) fn fits(&self, text: &[u8]) -> bool {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1 + text.len() as u64);
        match self {
            Class::Run { bytes, max } if text.len() <= *max => bytes.are_all(text),
            _ => self.fits_otherwise(text),
        }
    }

    /// As [`Class::fits`] for `text[begin..end]`: what stands behind it is read with it, and does not count.
    #[inline(always)]
    pub(super) fn fits_within(&self, text: &[u8], begin: usize, end: usize) -> bool {
        match self {
            Class::Run { bytes, max: usize::MAX } if bytes.are_all_within(text, begin, end) => true,
            _ => text.get(begin..end).is_some_and(|text| self.fits(text)),
        }
    }

    #[inline(never)]
    fn fits_otherwise(&self, text: &[u8]) -> bool {
        if let Class::Run { bytes, max } = self {
            return Lengths::default().fit(text, 0..text.len(), *max) && bytes.are_all(text);
        }
        match (self, text) {
            (_, b"" | b"-") => true,
            (Class::Int, _) => text.len() <= INT_LEN_MAX && int(text).is_some(),
            (Class::TraceId, _) => is_trace_id(text),
            (Class::Time(form), _) => form.read(text).is_some_and(|(len, _)| len == text.len()),
            (Class::Run { .. }, _) => false,
        }
    }

    /// True when any text fits.
    #[inline]
    pub(super) fn takes_all(&self) -> bool {
        matches!(self, Class::Run { bytes: Bytes::Any, max: usize::MAX })
    }

    /// True when any run of its bytes fits.
    #[inline]
    pub(super) fn is_run(&self) -> bool {
        matches!(self, Class::Run { max: usize::MAX, .. })
    }

    /// The longest text, where that is a short one.
    pub(super) fn len_max(&self) -> usize {
        match self {
            Class::Run { max, .. } => *max,
            Class::Int => INT_LEN_MAX,
            Class::TraceId => TRACE_ID_LEN_MAX,
            Class::Time(form) => form.len_max(),
        }
    }

    /// True when every beginning and every end of a text that fits, fits too: then the nearest place
    /// where a slot can begin or end tells about all of them.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Class::Run { .. } | Class::Int)
    }
}

/// Tells which stretches of a text a length (`:Z`) admits. It counts bytes; of a value that is not UTF-8
/// then, as one that was cut inside a character, Envoy makes each byte a character up to U+00FF.
///
/// Where both ends of the stretches move in one direction only, all of them cost a few passes.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    start: Counted,
    end: Counted,
}

/// What stands before a place of the text.
#[derive(Debug, Default)]
struct Counted {
    at: usize,
    characters: usize,
    above_ff: usize,
}

impl Lengths {
    /// True when a value of at most `max` bytes can look like this. Then all parts of it can.
    #[inline]
    pub(super) fn fit(&mut self, text: &[u8], stretch: Range<usize>, max: usize) -> bool {
        let len = stretch.len();
        len <= max || (len <= max.saturating_mul(2) && self.fit_mapped(text, stretch, max))
    }

    #[cold]
    fn fit_mapped(&mut self, text: &[u8], stretch: Range<usize>, max: usize) -> bool {
        self.start.go(text, stretch.start);
        self.end.go(text, stretch.end);
        // A part of a character counts as one.
        let part = usize::from(!text[stretch].first().is_none_or(|it| begins_character(*it)));
        self.end.above_ff == self.start.above_ff && self.end.characters - self.start.characters + part <= max
    }
}

impl Counted {
    fn go(&mut self, text: &[u8], to: usize) {
        let passed = &text[self.at.min(to)..self.at.max(to)];
        #[cfg(test)]
        STEPS.set(STEPS.get() + passed.len() as u64);
        let characters = passed.iter().filter(|it| begins_character(**it)).count();
        // UTF-8 of what is above U+00FF begins with C4 or more.
        let above_ff = passed.iter().filter(|it| **it >= 0xC4).count();
        if to >= self.at {
            self.characters += characters;
            self.above_ff += above_ff;
        } else {
            self.characters -= characters;
            self.above_ff -= above_ff;
        }
        self.at = to;
    }
}

/// Not so the second and further bytes of a character.
fn begins_character(byte: u8) -> bool {
    !matches!(byte, 0x80..0xC0)
}

fn is_trace_id(text: &[u8]) -> bool {
    match text.len() {
        // All of it, because what ends early is not done many bytes at a time.
        16 | 32 => text.iter().fold(true, |hex, byte| hex & byte.is_ascii_hexdigit()),
        len => len <= 20 && text.iter().all(u8::is_ascii_digit),
    }
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
    fn are_all(self, text: &[u8]) -> bool {
        match self {
            Bytes::Any => true,
            Bytes::Token => self.run_end(text, 0) == text.len(),
            _ => text.iter().fold(self.bit(), |all, byte| all & TABLE[*byte as usize]) != 0,
        }
    }

    /// True when `text[begin..end]` is a text of these bytes, as far as that can be seen in blocks; false
    /// when another look is needed.
    #[inline(always)]
    fn are_all_within(self, text: &[u8], begin: usize, end: usize) -> bool {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1 + end.saturating_sub(begin) as u64);
        let mut left = end.wrapping_sub(begin);
        let mut rest = text.get(begin..).unwrap_or_default();
        while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
            let Some(foreign) = self.foreign(block) else { break };
            if foreign & Block::first(left) != 0 {
                return false;
            }
            if left <= BLOCK {
                return true;
            }
            (left, rest) = (left.wrapping_sub(BLOCK), behind);
        }
        self == Bytes::Any
    }

    /// Places of bytes that are none of these; `None` for sets that are looked at byte by byte.
    #[inline(always)]
    fn foreign(self, block: &[u8; BLOCK]) -> Option<u32> {
        match self {
            Bytes::Name => Some(Block::new(block).foreign_to_name()),
            Bytes::Token => Some(Block::new(block).foreign_to_token()),
            Bytes::Word => Some(Block::new(block).foreign_to_word()),
            Bytes::Int | Bytes::Flags | Bytes::Hex | Bytes::Any => None,
        }
    }

    /// Where a run of these bytes that begins at `start` ends.
    #[inline]
    pub(super) fn run_end(self, line: &[u8], start: usize) -> usize {
        let mut rest = line.get(start..).unwrap_or_default();
        while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
            match self.foreign(block) {
                None => break,
                Some(0) => rest = behind,
                // Within the line.
                Some(found) => return line.len().wrapping_sub(rest.len()).wrapping_add(found.trailing_zeros() as usize),
            }
        }
        let (begin, bit) = (line.len() - rest.len(), self.bit());
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
