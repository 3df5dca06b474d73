//! From what stands in a slot to a field.

use super::class::Class;
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
}

/// The values of a line on their way into fields.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub moves: &'a [Move],
    /// Names of attributes, one per slot.
    pub names: &'a [Span],
    /// Where the line begins in the payload.
    pub start: usize,
    pub fields: &'a mut Fields,
}

impl Values<'_> {
    /// Takes the text that stands in a slot, `at` bytes behind the beginning of the line.
    #[inline(always)]
    pub(super) fn text(&mut self, slot: usize, class: &Class, text: &[u8], at: usize) {
        let Some(Move { reads, .. }) = self.moves.get(slot) else { return };
        if text.is_empty() || (text == b"-" && *reads != Reads::Flags) {
            return;
        }
        // A payload is shorter than 2 GiB.
        let at = self.start.wrapping_add(at);
        let span = Span::raw(at, at.wrapping_add(text.len()));
        match reads {
            Reads::Text | Reads::Flags => self.put(slot, Value::Text(span)),
            Reads::Int | Reads::Time => self.number_of(slot, class, text, span),
        }
    }

    /// Takes the number or the time that stands in a slot.
    #[inline(always)]
    pub(super) fn number(&mut self, slot: usize, number: i64) {
        self.put(slot, Value::Int(number));
    }

    /// A number or time that was not read on the way: one too large stays text, and a time of which too
    /// little is said is none.
    #[cold]
    fn number_of(&mut self, slot: usize, class: &Class, text: &[u8], span: Span) {
        let number = match class {
            Class::Time(form) => match form.read(text) {
                Some((_, Some(nanos))) => i64::try_from(nanos).ok(),
                _ => return,
            },
            _ => int(text),
        };
        self.put(slot, number.map_or(Value::Text(span), Value::Int));
    }

    #[inline(always)]
    fn put(&mut self, slot: usize, value: Value) {
        match self.moves.get(slot).map(|it| it.to) {
            Some(To::Field(field)) => self.fields.set(field, value),
            Some(To::Attribute(kind)) => {
                self.fields.other(self.names.get(slot).copied().unwrap_or_default(), value, kind);
            }
            Some(To::Nowhere) | None => {}
        }
    }
}
