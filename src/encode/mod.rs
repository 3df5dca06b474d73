//! Records in, bytes out. Knows no sockets, files, clocks or tasks; any record, no panic.
//!
//! One encoder writes one encoding into one buffer, batch after batch. Nothing a client sent can
//! end a line, start a terminal sequence or break the syntax of the output: see [`escape`].

use crate::record::{EnvelopeRef, RecordRef};

pub mod escape;
pub mod json;
mod lane;
pub mod otlp;
pub mod otlp_json;
mod otlp_short;
pub mod pretty;
pub mod raw;
mod repeats;
pub mod time;
mod value;

#[cfg(test)]
mod tests;

/// How the records of a batch are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// The body of each record as one line of text.
    Raw,
    /// One JSON object a line.
    Json,
    /// One OTLP/JSON `ExportLogsServiceRequest` a batch, on one line.
    OtlpJson,
    /// One line for people.
    Pretty {
        /// With terminal sequences for colours.
        colour: bool,
    },
    /// One OTLP protobuf `ExportLogsServiceRequest` a batch.
    Otlp,
}

/// Writes batches of records in one encoding.
///
/// The calls have an order: [`Encoder::envelope`], then the records that belong to it, any number
/// of times; then [`Encoder::finish`], after which the next batch may begin.
#[derive(Debug)]
pub enum Encoder {
    /// See [`Encoding::Raw`].
    Raw(raw::RawEncoder),
    /// See [`Encoding::Json`].
    Json(json::JsonEncoder),
    /// See [`Encoding::OtlpJson`].
    OtlpJson(otlp_json::OtlpJsonEncoder),
    /// See [`Encoding::Pretty`].
    Pretty(pretty::PrettyEncoder),
    /// See [`Encoding::Otlp`].
    Otlp(otlp::OtlpEncoder),
}

impl Encoder {
    /// An encoder with nothing written.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Raw => Encoder::Raw(raw::RawEncoder::new()),
            Encoding::Json => Encoder::Json(json::JsonEncoder::new()),
            Encoding::OtlpJson => Encoder::OtlpJson(otlp_json::OtlpJsonEncoder::new()),
            Encoding::Pretty { colour } => Encoder::Pretty(pretty::PrettyEncoder::new(colour)),
            Encoding::Otlp => Encoder::Otlp(otlp::OtlpEncoder::new()),
        }
    }

    /// Makes room for so many more bytes, so that a batch grows its buffer once.
    pub fn reserve(&mut self, bytes: usize) {
        match self {
            Encoder::Raw(it) => it.out.reserve(bytes),
            Encoder::Json(it) => it.out.reserve(bytes),
            Encoder::OtlpJson(it) => it.out.reserve(bytes),
            Encoder::Pretty(it) => it.out.reserve(bytes),
            Encoder::Otlp(it) => it.out.reserve(bytes),
        }
    }

    /// A group begins: the records that follow share this resource and scope.
    pub fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        match self {
            Encoder::Raw(it) => it.envelope(envelope),
            Encoder::Json(it) => it.envelope(envelope),
            Encoder::OtlpJson(it) => it.envelope(envelope),
            Encoder::Pretty(it) => it.envelope(envelope),
            Encoder::Otlp(it) => it.envelope(envelope),
        }
    }

    /// Writes the next record.
    pub fn record(&mut self, record: RecordRef<'_>) {
        match self {
            Encoder::Raw(it) => it.record(record),
            Encoder::Json(it) => it.record(record),
            Encoder::OtlpJson(it) => it.record(record),
            Encoder::Pretty(it) => it.record(record),
            Encoder::Otlp(it) => it.record(record),
        }
    }

    /// Takes the bytes of the batch, complete: every record and every line is whole. Empty when
    /// there was no record. The encoder is ready for the next batch.
    pub fn finish(&mut self) -> Vec<u8> {
        match self {
            Encoder::Raw(it) => it.finish(),
            Encoder::Json(it) => it.finish(),
            Encoder::OtlpJson(it) => it.finish(),
            Encoder::Pretty(it) => it.finish(),
            Encoder::Otlp(it) => it.finish(),
        }
    }

    /// Bytes written since the last [`Encoder::finish`]; what `finish` still adds is less than
    /// the resource and scope of one group.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Encoder::Raw(it) => it.out.len(),
            Encoder::Json(it) => it.out.len(),
            Encoder::OtlpJson(it) => it.out.len(),
            Encoder::Pretty(it) => it.out.len(),
            Encoder::Otlp(it) => it.out.len(),
        }
    }

    /// True when nothing was written since the last [`Encoder::finish`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values that did not reach the output because a later one in the same object has the same
    /// key, counted since the encoder was made. Stays 0 for encodings that keep repeated keys.
    #[must_use]
    pub fn repeated_keys(&self) -> u64 {
        match self {
            Encoder::Raw(it) => it.repeated_keys(),
            Encoder::Json(it) => it.repeated_keys(),
            Encoder::Pretty(it) => it.repeated_keys(),
            Encoder::OtlpJson(_) | Encoder::Otlp(_) => 0,
        }
    }
}
