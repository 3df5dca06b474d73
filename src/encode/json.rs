//! Encoding `json`: one object a line, with plain JSON values.
//!
//! The keys, in this order, each absent when unset: `timestamp`, `observed_timestamp`,
//! `severity_text`, `severity_number`, `trace_id`, `span_id`, `event_name`, `body`, `attributes`,
//! `resource`, `scope` (`name`, `version`, `attributes`, `dropped_attributes_count`), `flags`,
//! `dropped_attributes_count`, `resource_dropped_attributes_count`, `resource_schema_url`,
//! `scope_schema_url`. A resource or scope that was sent empty is `{}`, so nothing that OTLP can
//! say is lost.

use super::escape::escape_quotes_at;
use super::time::TimeWriter;
use super::value::{ValueWriter, begin_object, hex, int, string};
use crate::record::{EnvelopeRef, RecordRef};

/// Writes records as JSON lines.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    pub(super) out: Vec<u8>,
    values: ValueWriter,
    timestamp: TimeWriter,
    observed_timestamp: TimeWriter,
    /// The envelope's members before and after the record's last ones, each with its comma,
    /// rendered once a group.
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
            out.extend_from_slice(b",\"resource\":");
            self.values.object(envelope.resource_attributes(), out);
        }
        if fields.has_scope {
            out.extend_from_slice(b",\"scope\":");
            let start = out.len();
            text(b",\"name\":", envelope.text(fields.scope_name), out);
            text(b",\"version\":", envelope.text(fields.scope_version), out);
            if !envelope.scope_attributes().is_empty() {
                out.extend_from_slice(b",\"attributes\":");
                self.values.object(envelope.scope_attributes(), out);
            }
            number(b",\"dropped_attributes_count\":", fields.scope_dropped_attributes_count, out);
            begin_object(start, out);
            out.push(b'}');
        }
        let out = &mut self.schema_urls;
        out.clear();
        number(b",\"resource_dropped_attributes_count\":", fields.resource_dropped_attributes_count, out);
        text(b",\"resource_schema_url\":", envelope.text(fields.resource_schema_url), out);
        text(b",\"scope_schema_url\":", envelope.text(fields.scope_schema_url), out);
    }

    /// Writes one line.
    pub fn record(&mut self, record: RecordRef<'_>) {
        let fields = record.fields();
        let out = &mut self.out;
        let start = out.len();
        time(b",\"timestamp\":\"", fields.time_unix_nano, &mut self.timestamp, out);
        time(b",\"observed_timestamp\":\"", fields.observed_time_unix_nano, &mut self.observed_timestamp, out);
        text(b",\"severity_text\":", record.text(fields.severity_text), out);
        number(b",\"severity_number\":", fields.severity_number, out);
        id(b",\"trace_id\":", record.text(fields.trace_id), out);
        id(b",\"span_id\":", record.text(fields.span_id), out);
        text(b",\"event_name\":", record.text(fields.event_name), out);
        if let Some((line, quotes)) = record.plain_line() {
            out.extend_from_slice(b",\"body\":\"");
            escape_quotes_at(line, quotes, out);
            out.push(b'"');
        } else if let Some(body) = record.body() {
            out.extend_from_slice(b",\"body\":");
            self.values.value(body, out);
        }
        if !record.attributes().is_empty() {
            out.extend_from_slice(b",\"attributes\":");
            self.values.object(record.attributes(), out);
        }
        out.extend_from_slice(&self.resource_and_scope);
        number(b",\"flags\":", fields.flags, out);
        number(b",\"dropped_attributes_count\":", fields.dropped_attributes_count, out);
        out.extend_from_slice(&self.schema_urls);
        begin_object(start, out);
        out.extend_from_slice(b"}\n");
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

// `before` is comma and key as constants, which are copied without a call where it is inlined.

#[inline(always)]
fn text<const N: usize>(before: &[u8; N], value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(before);
        string(value, out);
    }
}

#[inline(always)]
fn id<const N: usize>(before: &[u8; N], value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(before);
        hex(value, out);
    }
}

#[inline(always)]
fn number<const N: usize>(before: &[u8; N], value: impl itoa::Integer + Default + PartialEq, out: &mut Vec<u8>) {
    if value != Default::default() {
        out.extend_from_slice(before);
        int(value, out);
    }
}

#[inline(always)]
fn time<const N: usize>(before: &[u8; N], unix_nano: u64, writer: &mut TimeWriter, out: &mut Vec<u8>) {
    if unix_nano != 0 {
        out.extend_from_slice(before);
        writer.write(unix_nano, out);
        out.push(b'"');
    }
}
