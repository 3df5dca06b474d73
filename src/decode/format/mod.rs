//! Envoy format strings, compiled: the same format reads lines and renders them.
//!
//! `[%START_TIME%] "%REQ(:METHOD)% …"` becomes literals and typed slots. A line is read in one
//! pass, without allocating, and every reading is exact: where a line admits two, the slots that
//! are the same in both are kept and the line is called ambiguous; no slot is guessed.

use std::ops::Range;

use crate::record::{Span, Tree, Value};
use crate::semantics::{Field, Fields, Kind, Target};

mod boundaries;
mod class;
mod compile;
mod literal;
mod matcher;
mod operators;
mod parse;
pub mod presets;
mod time;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_exact;

use boundaries::Boundaries;
use matcher::{Match, Matcher, Place};
use time::Clock;

pub use operators::target;

/// Most bytes that reading one line takes beside the line, and keeps no longer than that.
pub const SCRATCH_BYTES_MAX: usize = boundaries::BYTES_MAX;

/// A compiled format.
#[derive(Clone, Debug)]
pub struct Format {
    text: String,
    /// The literal before the first slot.
    lead: String,
    slots: Vec<Slot>,
    /// What becomes of the value of each slot.
    moves: Vec<Move>,
    /// The literal behind each slot.
    literals: Vec<String>,
    matcher: Matcher,
    warnings: Vec<FormatError>,
}

/// One command operator of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its bytes in the format string, both percent signs included.
    pub at: Range<usize>,
    /// Name of the operator: `REQ`, `KUMA_MESH`, …
    pub operator: String,
    /// What stands in its parentheses, if they are there.
    pub params: Option<String>,
    /// `:Z`: longest value in bytes.
    pub max: Option<usize>,
    /// Where its value goes.
    pub target: Target,
}

/// How the text of a slot becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Text,
    Int,
    /// In the form that the matcher has.
    Time,
    /// Flags, of which a minus says that there are none.
    Flags,
}

/// From the text of a slot to a field: what reading needs of a [`Slot`], in few bytes.
#[derive(Clone, Copy, Debug)]
struct Move {
    reads: Reads,
    to: To,
}

#[derive(Clone, Copy, Debug)]
enum To {
    Field(Field),
    Attribute(Kind),
    Nowhere,
}

/// What is wrong with a format string: Envoy would refuse it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormatError {
    /// The bytes at fault.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// How a line fits a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// In one way.
    Unique,
    /// In several ways; only what they have in common was read.
    Ambiguous,
    /// Not at all. How many of the slots fit from the left, for who wants to explain it.
    No {
        /// Slots that fit before the first that did not.
        fitted: usize,
    },
}

/// Space for reading, reused from line to line: where each slot is.
#[derive(Clone, Debug, Default)]
pub struct Places {
    slots: Vec<Place>,
    boundaries: Boundaries,
    clock: Clock,
}

impl Places {
    /// One per slot after [`Format::read`] said `Unique` or `Ambiguous`: bytes of the line, or
    /// `None` where readings differ.
    pub fn slots(&self) -> impl Iterator<Item = Option<Range<usize>>> {
        self.slots.iter().map(|it| it.is_known().then_some(it.start as usize..it.end as usize))
    }
}

/// Names of a format's own attributes, kept in a tree.
#[derive(Clone, Debug, Default)]
pub struct FormatKeys {
    /// One per slot; empty for slots with another target.
    pub names: Vec<Span>,
}

impl Format {
    /// Compiles a format string as Envoy reads it. A line feed at its end is left out: lines come
    /// without it.
    ///
    /// # Errors
    /// What Envoy would refuse: a percent sign that begins no operator, parameters or a length
    /// where the operator takes none, missing ones, a second alternative of a header.
    pub fn compile(text: &str) -> Result<Format, FormatError> {
        compile::compile(text, false)
    }

    /// As [`Format::compile`], and the value of `%REQ(X-B3-TRACEID…)%` must look like a trace id of
    /// B3 or Datadog.
    ///
    /// # Errors
    /// As [`Format::compile`].
    pub fn compile_with_trace_id(text: &str) -> Result<Format, FormatError> {
        compile::compile(text, true)
    }

    /// The format string.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its operators, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What its lines look like: the text between operators, and for each operator what its values
    /// may be. Formats that look the same cannot be told apart by their lines.
    #[must_use]
    pub fn looks(&self) -> String {
        let mut looks = self.lead.clone();
        for (slot, literal) in self.slots.iter().zip(&self.literals) {
            let (name, params) = (slot.operator.as_str(), slot.params.as_deref());
            let shape = operators::operator(name, params).unwrap_or_else(|| operators::unknown(name, params)).shape;
            let form = params.filter(|_| shape == operators::Shape::Time).unwrap_or_default();
            // A control character keeps it apart from text.
            looks.push_str(&format!("\u{1}{shape:?}{form}\u{1}{literal}"));
        }
        looks
    }

    /// What is accepted but should be known: unknown operators, read as text; a line feed inside.
    #[must_use]
    pub fn warnings(&self) -> &[FormatError] {
        &self.warnings
    }

    /// Keeps the names of its own attributes in a tree, once per payload.
    #[must_use]
    pub fn keep(&self, tree: &mut Tree) -> FormatKeys {
        let names = self.slots.iter().map(|slot| match &slot.target {
            Target::Attribute { name, .. } => tree.keep_key(name.as_bytes()),
            Target::Field(_) | Target::Nothing => Span::EMPTY,
        });
        FormatKeys { names: names.collect() }
    }

    /// Reads the line `payload[start..end]`; what it says goes into `fields` (which are not
    /// cleared), values as spans of the payload. Time is linear in the length of the line.
    pub fn read(
        &self,
        payload: &[u8],
        start: usize,
        end: usize,
        keys: &FormatKeys,
        places: &mut Places,
        fields: &mut Fields,
    ) -> Reading {
        let line = &payload[start..end];
        let Places { slots: places, boundaries, clock } = places;
        let reading = match self.matcher.read(line, boundaries, clock, places) {
            Match::Unique => Reading::Unique,
            Match::Ambiguous => Reading::Ambiguous,
            Match::No(fitted) => return Reading::No { fitted },
        };
        // By number, because that is the shortest code for three lists at once.
        let count = self.moves.len().min(places.len()).min(keys.names.len());
        let (moves, places, names) = (&self.moves[..count], &places[..count], &keys.names[..count]);
        for index in 0..count {
            let (Move { reads, to }, place) = (moves[index], &places[index]);
            let value = match place.number {
                Some(number) => Value::Int(number),
                None => {
                    let Some(text) = line.get(place.start as usize..place.end as usize) else { continue };
                    if text.is_empty() || (text == b"-" && reads != Reads::Flags) {
                        continue;
                    }
                    // A line is shorter than 2 GiB.
                    let at = start.wrapping_add(place.start as usize);
                    let span = Span::raw(at, at.wrapping_add(text.len()));
                    match reads {
                        Reads::Text | Reads::Flags => Value::Text(span),
                        Reads::Int | Reads::Time => match self.matcher.number(index, text) {
                            Some(number) => number.map_or(Value::Text(span), Value::Int),
                            None => continue,
                        },
                    }
                }
            };
            match to {
                To::Field(field) => fields.set(field, value),
                To::Attribute(kind) => fields.other(names[index], value, kind),
                To::Nowhere => {}
            }
        }
        reading
    }

    /// Writes a line: literals, and for each slot what `value` writes (or nothing). The caller
    /// decides about absence; values longer than the slot's `max` are cut as Envoy cuts them.
    pub fn render(&self, mut value: impl FnMut(&Slot, &mut Vec<u8>), out: &mut Vec<u8>) {
        out.extend_from_slice(self.lead.as_bytes());
        for (slot, literal) in self.slots.iter().zip(&self.literals) {
            let start = out.len();
            value(slot, out);
            if let Some(max) = slot.max {
                out.truncate(start.saturating_add(max).min(out.len()));
            }
            out.extend_from_slice(literal.as_bytes());
        }
    }

    /// Writes a time in the form that a slot of this format has: nothing for a slot that is no time,
    /// or whose form is only text to us.
    pub fn render_time(slot: &Slot, unix_nano: u64, out: &mut Vec<u8>) {
        if let Some(form) = compile::time_form(slot) {
            form.write(unix_nano, out);
        }
    }
}

impl Move {
    fn new(slot: &Slot, reads: Option<Reads>) -> Move {
        let to = match (&reads, &slot.target) {
            // Another slot says it better.
            (None, _) | (_, Target::Nothing) => To::Nowhere,
            (_, Target::Field(field)) => To::Field(*field),
            (_, Target::Attribute { kind, .. }) => To::Attribute(*kind),
        };
        Move { reads: reads.unwrap_or(Reads::Text), to }
    }
}

/// A whole number that fits 64 signed bits.
#[inline]
fn int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let number = digits.iter().try_fold(0i64, |sum, byte| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_sub(digit) }
    });
    // Counted downwards, because there is one negative number more.
    let number = number.filter(|_| !digits.is_empty())?;
    if negative { Some(number) } else { number.checked_neg() }
}

/// True for a slot that holds the time of an event.
fn is_time(target: &Target) -> bool {
    matches!(target, Target::Field(Field::StartTime | Field::EmitTime))
}
