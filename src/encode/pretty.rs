//! Encoding `pretty`: one line a record, for people.
//!
//! An access log is a row of columns, see `row`; every other record is
//! `time SEVERITY body key=value…`. The time is the event's, or the collector's when the event has
//! none. Resource and scope are left out: they are the same on every line. No machine should read
//! this; it may change.

use super::escape::escape_text;
use super::time::TimeWriter;
use super::value::{ValueWriter, hex, string};
use crate::record::{EnvelopeRef, RecordRef, ValueRef};

mod row;

/// Writes records as lines for people.
#[derive(Debug, Default)]
pub struct PrettyEncoder {
    pub(super) out: Vec<u8>,
    values: ValueWriter,
    time: TimeWriter,
    scratch: Vec<u8>,
    colour: bool,
}

impl PrettyEncoder {
    /// An encoder with nothing written. With `colour` the rows of access logs have terminal
    /// sequences, of the encoder's own making only.
    #[must_use]
    pub fn new(colour: bool) -> Self {
        PrettyEncoder { colour, ..Self::default() }
    }

    /// A group begins: no part of it is written.
    pub fn envelope(&mut self, _: EnvelopeRef<'_>) {}

    /// Writes one line.
    pub fn record(&mut self, record: RecordRef<'_>) {
        let fields = record.fields();
        let out = &mut self.out;
        if let Some(row) = row::Row::of(record) {
            row.write(self.colour, &mut self.scratch, out);
            out.push(b'\n');
            return;
        }
        let time = if fields.time_unix_nano == 0 { fields.observed_time_unix_nano } else { fields.time_unix_nano };
        self.time.write(time, out);
        let severity = match record.text(fields.severity_text) {
            [] => severity(fields.severity_number).as_bytes(),
            text => text,
        };
        for words in [severity, record.text(fields.event_name)] {
            if !words.is_empty() {
                out.push(b' ');
                escape_text(words, out);
            }
        }
        if let Some(body) = record.body() {
            out.push(b' ');
            match body {
                ValueRef::Text(text) => escape_text(text, out),
                value => self.values.value(value, out),
            }
        }
        for (key, value) in record.attributes() {
            out.push(b' ');
            word(key, out);
            out.push(b'=');
            match value {
                ValueRef::Text(text) => word(text, out),
                value => self.values.value(value, out),
            }
        }
        for (key, id) in [("trace_id", fields.trace_id), ("span_id", fields.span_id)] {
            if !id.is_empty() {
                out.push(b' ');
                out.extend_from_slice(key.as_bytes());
                out.push(b'=');
                hex(record.text(id), out);
            }
        }
        out.push(b'\n');
    }

    /// Takes the lines written.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Values replaced by a later one with the same key, since the encoder was made. Repeated
    /// attributes of a record itself are all shown and not counted.
    #[must_use]
    pub fn repeated_keys(&self) -> u64 {
        self.values.repeated_keys()
    }
}

/// Text that reads as one word, or a quoted string.
fn word(text: &[u8], out: &mut Vec<u8>) {
    let plain = !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\=".contains(byte));
    if plain {
        out.extend_from_slice(text);
    } else {
        string(text, out);
    }
}

/// The OTel short names; each covers four numbers.
fn severity(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}
