//! Encoding `raw`: the body of a record as one line of text.
//!
//! For records from lines the body is the line without its line ending, so the bytes received are
//! what is written, as long as they hold no control characters. (Sinks that want all lines of a
//! source byte for byte write the payload and need no encoder.)

use super::escape::escape_line;
use super::value::ValueWriter;
use crate::record::{EnvelopeRef, RecordRef, ValueRef};

/// Writes bodies as lines.
#[derive(Debug, Default)]
pub struct RawEncoder {
    pub(super) out: Vec<u8>,
    values: ValueWriter,
}

impl RawEncoder {
    /// An encoder with nothing written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group begins: no part of it is written.
    pub fn envelope(&mut self, _: EnvelopeRef<'_>) {}

    /// Writes one line: text as it is, controls escaped; other values as JSON; an empty line
    /// when there is no body, so that lines and records keep the same count.
    pub fn record(&mut self, record: RecordRef<'_>) {
        match record.body() {
            Some(ValueRef::Text(text)) => escape_line(text, &mut self.out),
            Some(value) => self.values.value(value, &mut self.out),
            None => {}
        }
        self.out.push(b'\n');
    }

    /// Takes the lines written.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Values replaced by a later one with the same key, since the encoder was made.
    #[must_use]
    pub fn repeated_keys(&self) -> u64 {
        self.values.repeated_keys()
    }
}
