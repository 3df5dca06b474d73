//! Bytes in, records out. Knows no sockets, files, clocks or tasks; any input, no panic.

use std::ops::ControlFlow;

use crate::record::{Envelope, EnvelopeRef, Record, RecordRef};

pub mod als;
pub mod format;
pub mod json;
pub mod line;
pub mod otlp;
pub mod reader;
pub mod reason;
pub mod wire;

/// Deepest nesting of a value that is decoded; what is deeper is refused (OTLP) or kept as text
/// (lines). It bounds the recursion of every decoder and encoder.
pub const DEPTH_MAX: u32 = 32;

/// Space that decoders reuse from batch to batch.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The record being decoded.
    pub record: Record,
    /// Its resource and scope.
    pub envelope: Envelope,
    /// What its formats need.
    pub space: reader::Space,
}

/// Sees the records of a batch in order.
pub trait Visitor {
    /// A group begins: the records that follow share this resource and scope.
    fn envelope(&mut self, envelope: EnvelopeRef<'_>);
    /// The next record; `Break` asks the decoder to stop behind it.
    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()>;
}
