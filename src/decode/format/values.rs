//! From what stands in a slot to a field.

use super::class::Class;
use super::matcher::Element;
use super::{Slot, int};
use crate::record::{Span, Value};
use crate::semantics::{Field, Fields, Kind, Target};

/// How the text of a slot becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Text,
    Int,
    Time,
    /// Flags, of which a minus says that there are none.
    Flags,
}

/// What becomes of the value of a slot: what reading needs of a [`Slot`], in few bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    reads: Reads,
    to: To,
}

#[derive(Clone, Copy, Debug)]
enum To {
    Field(Field),
    Attribute(Kind),
    Nowhere,
}

impl Move {
    /// For a slot; without `reads` for one of which another says the same better.
    pub(super) fn new(slot: &Slot, reads: Option<Reads>) -> Move {
        let to = match (&reads, &slot.target) {
            (None, _) | (_, Target::Nothing) => To::Nowhere,
            (_, Target::Field(field)) => To::Field(*field),
            (_, Target::Attribute { kind, .. }) => To::Attribute(*kind),
        };
        Move { reads: reads.unwrap_or(Reads::Text), to }
    }

    /// True when a minus is a value.
    #[inline(always)]
    pub(super) fn takes_minus(self) -> bool {
        self.reads == Reads::Flags
    }

    /// True when the text is the value.
    #[inline(always)]
    pub(super) fn is_text(self) -> bool {
        matches!(self.reads, Reads::Text | Reads::Flags)
    }
}

/// The values of a line on their way into fields.
#[derive(Debug)]
pub(super) struct Values<'a> {
    /// Names of attributes, one per slot.
    pub names: &'a [Span],
    /// Where the line begins in the payload.
    pub start: usize,
    pub fields: &'a mut Fields,
}

impl Values<'_> {
    /// Takes the text that stands in a slot, `at` bytes behind the beginning of the line.
    #[inline(always)]
    pub(super) fn text(&mut self, slot: &Element, index: usize, text: &[u8], at: usize) {
        let Move { reads, .. } = slot.to;
        match (text, reads) {
            ([], _) | ([b'-'], Reads::Text | Reads::Int | Reads::Time) => {}
            (_, Reads::Text | Reads::Flags) => self.span(&slot.to, index, at, text.len()),
            (_, Reads::Int | Reads::Time) => self.number_of(slot, index, text, at),
        }
    }

    /// Takes a text of so many bytes, which is its own value.
    #[inline(always)]
    pub(super) fn span(&mut self, to: &Move, index: usize, at: usize, len: usize) {
        // A payload is shorter than 2 GiB.
        let at = self.start.wrapping_add(at);
        self.put(to, index, Value::Text(Span::raw(at, at.wrapping_add(len))));
    }

    /// Takes the number or the time that stands in a slot.
    #[inline(always)]
    pub(super) fn number(&mut self, to: &Move, index: usize, number: i64) {
        self.put(to, index, Value::Int(number));
    }

    /// A number or time that was not read on the way: one too large stays text, and a time of which too
    /// little is said is none.
    #[cold]
    fn number_of(&mut self, slot: &Element, index: usize, text: &[u8], at: usize) {
        let number = match &slot.class {
            Class::Time(form) => match form.read(text) {
                Some((_, Some(nanos))) => i64::try_from(nanos).ok(),
                _ => return,
            },
            _ => int(text),
        };
        match number {
            Some(number) => self.number(&slot.to, index, number),
            None => self.span(&slot.to, index, at, text.len()),
        }
    }

    #[inline(always)]
    fn put(&mut self, to: &Move, index: usize, value: Value) {
        match to.to {
            To::Field(field) => self.fields.set(field, value),
            To::Attribute(kind) => {
                self.fields.other(self.names.get(index).copied().unwrap_or_default(), value, kind);
            }
            To::Nowhere => {}
        }
    }
}
