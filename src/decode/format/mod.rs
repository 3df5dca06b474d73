//! Envoy format strings, compiled: the same format reads lines and renders them.
//!
//! `[%START_TIME%] "%REQ(:METHOD)% …"` becomes literals and typed slots. A line is read in one
//! pass, without allocating, and every reading is exact: where a line admits two, the slots that
//! are the same in both are kept and the line is called ambiguous; no slot is guessed.

use std::ops::Range;

use crate::quotes::Quotes;
use crate::record::{Span, Tree};
use crate::semantics::{Field, Fields, Target};

mod boundaries;
mod bytes;
mod class;
mod compile;
mod literal;
mod matcher;
mod number;
mod operators;
mod parse;
pub mod presets;
mod quick;
mod time;
mod values;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_exact;

use boundaries::Boundaries;
use matcher::{Match, Matcher, Place};
use time::Clock;
use values::Values;

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
    /// A line that nothing stands behind.
    copy: Vec<u8>,
    quotes: Quotes,
    /// No slot holds a quote.
    by_quotes: bool,
}

impl Places {
    /// One per slot after [`Format::read`] said `Unique` or `Ambiguous`: bytes of the line, or
    /// `None` where readings differ.
    pub fn slots(&self) -> impl Iterator<Item = Option<Range<usize>>> {
        self.slots.iter().map(|it| it.is_known().then_some(it.start as usize..it.end as usize))
    }

    /// The quotes of the line, where no value that was read holds one, and where nothing else in the line
    /// needs an escape.
    #[inline]
    pub fn plain(&self) -> Option<Quotes> {
        (self.by_quotes && self.quotes.are_all_to_escape()).then_some(self.quotes)
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

    /// Reads the line `payload[start..end]`; what it says goes into `fields`, values as spans of the
    /// payload. They are empty before, and after a line that does not fit. Time is linear in the length
    /// of the line.
    pub fn read(
        &self,
        payload: &[u8],
        start: usize,
        end: usize,
        keys: &FormatKeys,
        places: &mut Places,
        fields: &mut Fields,
    ) -> Reading {
        let mut values = Values { names: &keys.names, start, fields };
        match self.matcher.read(&payload[start..], end - start, places, &mut values) {
            Match::Unique => Reading::Unique,
            Match::Ambiguous => Reading::Ambiguous,
            Match::No(fitted) => {
                fields.clear();
                Reading::No { fitted }
            }
        }
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
