//! One line on the way a running source reads it.

use std::ops::ControlFlow;

use crate::decode::line::{self, LineSettings};
use crate::decode::reader::Reader;
use crate::decode::{Scratch, Visitor};
use crate::encode::{Encoder, Encoding};
use crate::record::{EnvelopeRef, RecordRef};
use crate::redact::Redactor;

/// Reads a line as a source with this reader would, but without a peer and a time of arrival,
/// and shows its record. No line break may be in it but at its end.
pub fn read(reader: &Reader, redactor: Option<&Redactor>, line: &[u8], see: impl FnMut(RecordRef<'_>)) {
    let settings = LineSettings { reader, peer_address: None, peer_port: None, observed_unix_nano: 0, redactor };
    line::decode(line, &[], &settings, &mut Scratch::default(), &mut Seen(see));
}

/// The record as the encoding `json` shows it.
pub fn json(record: RecordRef<'_>) -> serde_json::Map<String, serde_json::Value> {
    let mut encoder = Encoder::new(Encoding::Json);
    encoder.envelope(record.envelope());
    encoder.record(record);
    serde_json::from_slice(&encoder.finish()).unwrap_or_default()
}

struct Seen<F>(F);

impl<F: FnMut(RecordRef<'_>)> Visitor for Seen<F> {
    fn envelope(&mut self, _: EnvelopeRef<'_>) {}

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        (self.0)(record);
        ControlFlow::Continue(())
    }
}
