//! Placeholder until the OTLP protobuf encoder is merged.

use crate::record::{EnvelopeRef, RecordRef};

/// Placeholder.
#[derive(Debug, Default)]
pub struct OtlpEncoder {
    out: Vec<u8>,
}

impl OtlpEncoder {
    /// Placeholder.
    pub fn new() -> Self {
        Self::default()
    }
    /// Placeholder.
    pub fn envelope(&mut self, _: EnvelopeRef<'_>) {}
    /// Placeholder.
    pub fn record(&mut self, _: RecordRef<'_>) {}
    /// Placeholder.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
    /// Placeholder.
    pub fn len(&self) -> usize {
        self.out.len()
    }
    /// Placeholder.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }
}
