//! Encoding `json`: one object a line, with plain JSON values.
//!
//! The keys, in this order, each absent when unset: `timestamp`, `observed_timestamp`,
//! `severity_text`, `severity_number`, `trace_id`, `span_id`, `event_name`, `body`, `attributes`,
//! `resource`, `scope` (`name`, `version`, `attributes`, `dropped_attributes_count`), `flags`,
//! `dropped_attributes_count`, `resource_dropped_attributes_count`, `resource_schema_url`,
//! `scope_schema_url`. A resource or scope that was sent empty is `{}`, so nothing that OTLP can
//! say is lost.

use super::time::TimeWriter;
use super::value::{ValueWriter, hex, int, string};
use crate::record::{EnvelopeRef, RecordRef};

/// Writes records as JSON lines.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    out: Vec<u8>,
    values: ValueWriter,
    timestamp: TimeWriter,
    observed_timestamp: TimeWriter,
    /// The envelope's keys before and after the record's last ones, rendered once a group.
    resource_and_scope: Vec<u8>,
    schema_urls: Vec<u8>,
}

impl JsonEncoder {
    /// An encoder with nothing written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group begins.
    pub fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        let fields = envelope.fields();
        let out = &mut self.resource_and_scope;
        out.clear();
        if fields.has_resource {
            key("resource", out);
            self.values.object(envelope.resource_attributes(), out);
        }
        if fields.has_scope {
            key("scope", out);
            out.push(b'{');
            text("name", envelope.text(fields.scope_name), out);
            text("version", envelope.text(fields.scope_version), out);
            if !envelope.scope_attributes().is_empty() {
                key("attributes", out);
                self.values.object(envelope.scope_attributes(), out);
            }
            number("dropped_attributes_count", fields.scope_dropped_attributes_count, out);
            out.push(b'}');
        }
        let out = &mut self.schema_urls;
        out.clear();
        number("resource_dropped_attributes_count", fields.resource_dropped_attributes_count, out);
        text("resource_schema_url", envelope.text(fields.resource_schema_url), out);
        text("scope_schema_url", envelope.text(fields.scope_schema_url), out);
    }

    /// Writes one line.
    pub fn record(&mut self, record: RecordRef<'_>) {
        let fields = record.fields();
        let out = &mut self.out;
        out.push(b'{');
        time("timestamp", fields.time_unix_nano, &mut self.timestamp, out);
        time("observed_timestamp", fields.observed_time_unix_nano, &mut self.observed_timestamp, out);
        text("severity_text", record.text(fields.severity_text), out);
        number("severity_number", fields.severity_number, out);
        for (name, id) in [("trace_id", fields.trace_id), ("span_id", fields.span_id)] {
            if !id.is_empty() {
                key(name, out);
                hex(record.text(id), out);
            }
        }
        text("event_name", record.text(fields.event_name), out);
        if let Some(body) = record.body() {
            key("body", out);
            self.values.value(body, out);
        }
        if !record.attributes().is_empty() {
            key("attributes", out);
            self.values.object(record.attributes(), out);
        }
        append(&self.resource_and_scope, out);
        number("flags", fields.flags, out);
        number("dropped_attributes_count", fields.dropped_attributes_count, out);
        append(&self.schema_urls, out);
        out.extend_from_slice(b"}\n");
    }

    /// Takes the lines written.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Makes room for so many more bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True when nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Values replaced by a later one with the same key, since the encoder was made.
    #[must_use]
    pub fn repeated_keys(&self) -> u64 {
        self.values.repeated_keys()
    }
}

/// Begins the next member. A fragment starts without a comma, too, so that it can stand first.
fn key(name: &str, out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn append(members: &[u8], out: &mut Vec<u8>) {
    if !members.is_empty() {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.extend_from_slice(members);
    }
}

fn text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        key(name, out);
        string(value, out);
    }
}

fn number(name: &str, value: impl itoa::Integer + Default + PartialEq, out: &mut Vec<u8>) {
    if value != Default::default() {
        key(name, out);
        int(value, out);
    }
}

fn time(name: &str, unix_nano: u64, writer: &mut TimeWriter, out: &mut Vec<u8>) {
    if unix_nano != 0 {
        key(name, out);
        out.push(b'"');
        writer.write(unix_nano, out);
        out.push(b'"');
    }
}
