//! Which texts a slot may hold, apart from `-` and nothing, which all may.

use std::ops::Range;

use super::bytes::Bytes;
use super::int;
use super::operators::Shape;
use super::time::TimeForm;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_ends_before_the_first_other_byte(
            text in proptest::collection::vec(prop_oneof![40 => b'a'..=b'z', 1 => any::<u8>(), 1 => Just(b' ')], 0..140),
            cut in any::<prop::sample::Index>(),
        ) {
            let begin = cut.index(text.len() + 1);
            for bytes in [Bytes::Int, Bytes::Flags, Bytes::Name, Bytes::Token, Bytes::Word, Bytes::Hex, Bytes::Any] {
                let run = text[begin..].iter().take_while(|it| bytes.has(**it)).count();
                prop_assert_eq!(bytes.run_end(&text, begin), begin + run);
            }
        }
    }
}
