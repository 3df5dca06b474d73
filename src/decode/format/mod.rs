//! Envoy format strings, compiled: the same format reads lines and renders them.
//!
//! `[%START_TIME%] "%REQ(:METHOD)% …"` becomes literals and typed slots. A line is read in one
//! pass, without allocating, and every reading is exact: where a line admits two, the slots that
//! are the same in both are kept and the line is called ambiguous; no slot is guessed.

use std::ops::Range;

use crate::record::{Span, Tree};
use crate::semantics::{Fields, Target};

pub mod presets;

/// A compiled format.
#[derive(Clone, Debug)]
pub struct Format {
    text: String,
    slots: Vec<Slot>,
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
    /// One per slot after [`Format::read`] said `Unique` or `Ambiguous`: bytes of the line, or
    /// `None` where readings differ.
    pub slots: Vec<Option<Range<u32>>>,
}

/// Names of a format's own attributes, kept in a tree.
#[derive(Clone, Debug, Default)]
pub struct FormatKeys {
    /// One per slot; empty for slots with another target.
    pub names: Vec<Span>,
}

impl Format {
    /// Compiles a format string as Envoy reads it.
    ///
    /// # Errors
    /// What Envoy would refuse: a percent sign that begins no operator, parameters or a length
    /// where the operator takes none, missing ones, a second alternative of a header.
    pub fn compile(text: &str) -> Result<Format, FormatError> {
        Ok(Format { text: text.to_owned(), slots: Vec::new() })
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

    /// What is accepted but should be known: unknown operators, read as text.
    #[must_use]
    pub fn warnings(&self) -> Vec<FormatError> {
        Vec::new()
    }

    /// Keeps the names of its own attributes in a tree, once per payload.
    #[must_use]
    pub fn keep(&self, tree: &mut Tree) -> FormatKeys {
        let _ = tree;
        FormatKeys::default()
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
        let _ = (payload, start, end, keys, places, fields);
        Reading::No { fitted: 0 }
    }

    /// Writes a line: literals, and for each slot what `value` writes (or nothing). The caller
    /// decides about absence; values longer than the slot's `max` are cut as Envoy cuts them.
    pub fn render(&self, mut value: impl FnMut(&Slot, &mut Vec<u8>), out: &mut Vec<u8>) {
        for slot in &self.slots {
            value(slot, out);
        }
    }
}
