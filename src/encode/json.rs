//! Encoding `json`: one object a line, with plain JSON values.
//!
//! The keys, in this order, each absent when unset: `timestamp`, `observed_timestamp`,
//! `severity_text`, `severity_number`, `trace_id`, `span_id`, `event_name`, `body`, `attributes`,
//! `resource`, `scope` (`name`, `version`, `attributes`, `dropped_attributes_count`), `flags`,
//! `dropped_attributes_count`, `resource_dropped_attributes_count`, `resource_schema_url`,
//! `scope_schema_url`. A resource or scope that was sent empty is `{}`, so nothing that OTLP can
//! say is lost.

use super::escape::{escape_json, escape_quotes_at, hex_digit};
use super::lane::{Lane, ROOM};
use super::time::TimeWriter;
use super::value::{ValueWriter, begin_object, hex_digits, int, string};
use crate::record::{EnvelopeRef, RecordRef, Span};

/// Writes records as JSON lines.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    pub(super) out: Vec<u8>,
    values: ValueWriter,
    /// Where a record is written first.
    room: Vec<u8>,
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
        let start = self.out.len();
        self.room.resize(ROOM, 0);
        let mut lane = Lane::new(&mut self.room, &mut self.out);
        let lane = &mut lane;
        time_on(b",\"timestamp\":\"", fields.time_unix_nano, &mut self.timestamp, lane);
        time_on(b",\"observed_timestamp\":\"", fields.observed_time_unix_nano, &mut self.observed_timestamp, lane);
        text_on(b",\"severity_text\":\"", record, fields.severity_text, lane);
        number_on(b",\"severity_number\":\"", fields.severity_number.into(), lane);
        id_on(b",\"trace_id\":\"", record.text(fields.trace_id), lane);
        id_on(b",\"span_id\":\"", record.text(fields.span_id), lane);
        text_on(b",\"event_name\":\"", record, fields.event_name, lane);
        if let Some((line, quotes)) = record.plain_line() {
            lane.put(b",\"body\":\"");
            if !lane.put_quoted_at(line, quotes) {
                escape_quotes_at(line, quotes, lane.out());
            }
            lane.put(b"\"");
        } else if let Some(body) = record.body() {
            lane.put(b",\"body\":");
            self.values.value(body, lane.out());
        }
        if !record.attributes().is_empty() {
            lane.put(b",\"attributes\":");
            self.values.object_on(record.attributes(), lane);
        }
        if !self.resource_and_scope.is_empty() {
            lane.out().extend_from_slice(&self.resource_and_scope);
        }
        number_on(b",\"flags\":\"", fields.flags.into(), lane);
        number_on(b",\"dropped_attributes_count\":\"", fields.dropped_attributes_count.into(), lane);
        if !self.schema_urls.is_empty() {
            lane.out().extend_from_slice(&self.schema_urls);
        }
        lane.begin_object(start);
        lane.put(b"}\n");
        let _moved = lane.out();
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

fn text(before: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(before);
        string(value, out);
    }
}

fn number(before: &[u8], value: u32, out: &mut Vec<u8>) {
    if value != 0 {
        out.extend_from_slice(before);
        int(value, out);
    }
}

// On a lane `before` is comma, key and the quote of a text, as constants.

#[inline(always)]
fn text_on<const N: usize>(before: &[u8; N], record: RecordRef<'_>, span: Span, lane: &mut Lane<'_>) {
    if span.is_empty() || record.onwards(span).is_some_and(|text| lane.put_text(before, N, text, false)) {
        return;
    }
    let out = lane.out();
    out.extend_from_slice(before);
    escape_json(record.text(span), out);
    out.push(b'"');
}

#[inline(always)]
fn number_on<const N: usize>(before: &[u8; N], value: i64, lane: &mut Lane<'_>) {
    if value == 0 || lane.put_int(before, N, value) {
        return;
    }
    let out = lane.out();
    // The quote is for text.
    out.extend_from_slice(before.split_last().map_or(&[], |(_, it)| it));
    int(value, out);
}

#[inline(always)]
fn id_on<const N: usize>(before: &[u8; N], id: &[u8], lane: &mut Lane<'_>) {
    if id.is_empty() {
        return;
    }
    lane.put(before);
    let (words, rest) = id.as_chunks();
    for word in words {
        lane.put(&hex_digits(*word));
    }
    for byte in rest {
        lane.put(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    lane.put(b"\"");
}

#[inline(always)]
fn time_on<const N: usize>(before: &[u8; N], unix_nano: u64, writer: &mut TimeWriter, lane: &mut Lane<'_>) {
    if unix_nano != 0 {
        lane.put(before);
        let (text, len) = writer.text(unix_nano);
        lane.put_part(text, len);
        lane.put(b"\"");
    }
}
