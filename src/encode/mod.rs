//! Placeholder until the encodings are merged.

pub mod otlp;

/// How the records of a batch are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// raw
    Raw,
    /// json
    Json,
    /// otlp-json
    OtlpJson,
    /// pretty
    Pretty,
    /// otlp
    Otlp,
}

/// Placeholder.
#[derive(Debug)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// Placeholder.
    pub fn new(_: Encoding) -> Self {
        Encoder { out: Vec::new() }
    }
    /// Placeholder.
    pub fn envelope(&mut self, _: crate::record::EnvelopeRef<'_>) {}
    /// Placeholder.
    pub fn record(&mut self, record: crate::record::RecordRef<'_>) {
        if let Some(crate::record::ValueRef::Text(t)) = record.body() {
            self.out.extend_from_slice(t);
        }
        self.out.push(b'\n');
    }
    /// Placeholder.
    pub fn len(&self) -> usize {
        self.out.len()
    }
    /// Placeholder.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }
    /// Placeholder.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}
