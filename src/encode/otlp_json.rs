//! Encoding `otlp-json`: one `ExportLogsServiceRequest` in OTLP/JSON a batch, on one line.
//!
//! What the OpenTelemetry Collector's file exporter writes and its JSON file receiver reads: names
//! in lowerCamelCase, 64-bit integers as strings, ids in hex, bytes in base64, enums as numbers,
//! default values left out. Three differences, each legal and read by the Collector: an empty
//! array or list is written with its empty `values`, because strict readers ask for them; what
//! was not sent (resource, scope, body) is left out and not written as `{}`; infinities are
//! spelled `Infinity` and `-Infinity`, as ProtoJSON has them.
//!
//! To check it with another ProtoJSON reader, such as Python's `google.protobuf.json_format`,
//! turn every `traceId` and `spanId` from hex to base64 first: that is where OTLP/JSON departs.

use super::escape::escape_json;
use super::value::{bool, bytes, double, hex, int, string};
use crate::record::{EnvelopeRef, RecordRef, ValueRef, Values};

/// Writes a batch as one request.
#[derive(Debug, Default)]
pub struct OtlpJsonEncoder {
    pub(super) out: Vec<u8>,
    /// The group's text before its records and after them, rendered once a group.
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Whether the group's head is written: a group without records leaves no trace.
    open: bool,
}

impl OtlpJsonEncoder {
    /// An encoder with nothing written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group begins: one `resourceLogs` entry with one `scopeLogs` entry.
    pub fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.close();
        self.head.clear();
        self.tail.clear();
        let fields = envelope.fields();
        let out = &mut self.head;
        out.push(b'{');
        if fields.has_resource {
            out.extend_from_slice(b"\"resource\":{");
            attributes(envelope.resource_attributes(), out);
            count("droppedAttributesCount", fields.resource_dropped_attributes_count, out);
            out.extend_from_slice(b"},");
        }
        out.extend_from_slice(b"\"scopeLogs\":[{");
        if fields.has_scope {
            out.extend_from_slice(b"\"scope\":{");
            text("name", envelope.text(fields.scope_name), out);
            text("version", envelope.text(fields.scope_version), out);
            attributes(envelope.scope_attributes(), out);
            count("droppedAttributesCount", fields.scope_dropped_attributes_count, out);
            out.extend_from_slice(b"},");
        }
        out.extend_from_slice(b"\"logRecords\":[");
        let out = &mut self.tail;
        out.push(b']');
        text("schemaUrl", envelope.text(fields.scope_schema_url), out);
        out.extend_from_slice(b"}]");
        text("schemaUrl", envelope.text(fields.resource_schema_url), out);
        out.push(b'}');
    }

    /// Writes one element of `logRecords`.
    pub fn record(&mut self, record: RecordRef<'_>) {
        if self.open {
            self.out.push(b',');
        } else {
            self.out.extend_from_slice(if self.out.is_empty() { b"{\"resourceLogs\":[" } else { b"," });
            self.out.extend_from_slice(&self.head);
            self.open = true;
        }
        let fields = record.fields();
        let out = &mut self.out;
        out.push(b'{');
        nanos("timeUnixNano", fields.time_unix_nano, out);
        nanos("observedTimeUnixNano", fields.observed_time_unix_nano, out);
        count("severityNumber", fields.severity_number, out);
        text("severityText", record.text(fields.severity_text), out);
        if let Some(body) = record.body() {
            key("body", out);
            any_value(body, out);
        }
        attributes(record.attributes(), out);
        count("droppedAttributesCount", fields.dropped_attributes_count, out);
        count("flags", fields.flags, out);
        for (name, id) in [("traceId", fields.trace_id), ("spanId", fields.span_id)] {
            if !id.is_empty() {
                key(name, out);
                hex(record.text(id), out);
            }
        }
        text("eventName", record.text(fields.event_name), out);
        out.push(b'}');
    }

    /// Takes the request and its line feed; nothing at all when there was no record.
    pub fn finish(&mut self) -> Vec<u8> {
        self.close();
        if !self.out.is_empty() {
            self.out.extend_from_slice(b"]}\n");
        }
        std::mem::take(&mut self.out)
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.out.extend_from_slice(&self.tail);
        }
    }
}

/// An `AnyValue`: an object with the one field that is set, or none. Recursion ends at the depth
/// the decoders allow.
fn any_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    match value {
        ValueRef::Empty => {}
        ValueRef::Bool(it) => {
            key("boolValue", out);
            bool(it, out);
        }
        ValueRef::Int(it) => {
            key("intValue", out);
            quoted(it, out);
        }
        ValueRef::Double(it) => {
            key("doubleValue", out);
            double(it, out);
        }
        ValueRef::Text(it) => {
            // Nearly all values; a constant is copied without a call.
            out.extend_from_slice(b"\"stringValue\":\"");
            escape_json(it, out);
            out.push(b'"');
        }
        ValueRef::Bytes(it) => {
            key("bytesValue", out);
            bytes(it, out);
        }
        ValueRef::Array(items) => {
            out.extend_from_slice(b"\"arrayValue\":{\"values\":[");
            for (index, (_, item)) in items.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                any_value(item, out);
            }
            out.extend_from_slice(b"]}");
        }
        ValueRef::Kvlist(members) => {
            out.extend_from_slice(b"\"kvlistValue\":{\"values\":");
            key_values(members, out);
            out.push(b'}');
        }
    }
    out.push(b'}');
}

fn key_values(members: Values<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":\"");
        escape_json(key, out);
        out.extend_from_slice(b"\",\"value\":");
        any_value(value, out);
        out.push(b'}');
    }
    out.push(b']');
}

fn attributes(members: Values<'_>, out: &mut Vec<u8>) {
    if !members.is_empty() {
        key("attributes", out);
        key_values(members, out);
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        key(name, out);
        string(value, out);
    }
}

fn count(name: &str, value: impl itoa::Integer + Default + PartialEq, out: &mut Vec<u8>) {
    if value != Default::default() {
        key(name, out);
        int(value, out);
    }
}

fn nanos(name: &str, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        key(name, out);
        quoted(value, out);
    }
}

fn quoted(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.push(b'"');
    int(value, out);
    out.push(b'"');
}
