//! Records as an `ExportLogsServiceRequest` in the protobuf encoding.

use super::otlp_short::{bytes_tag, put_short};
use crate::decode::otlp::schema::{
    LIST_VALUES, any_value, key_value, log_record, request, resource, resource_logs, scope, scope_logs,
};
use crate::decode::wire::{
    VARINT_LEN_MAX, patch_varint, put_tag_bytes, put_tag_fixed32, put_tag_fixed64, put_tag_varint, put_varint,
    varint_len,
};
use crate::record::{EnvelopeRef, RecordRef, ValueRef, Values};

/// Writes one request after the other. Text that is not UTF-8 is repaired as
/// `String::from_utf8_lossy` does it; identifiers that are not 16 or 8 bytes long are left out.
/// Nothing is allocated per record but the growth of the request itself.
#[derive(Debug, Default)]
pub struct OtlpEncoder {
    pub(super) out: Vec<u8>,
    group: Option<Group>,
    /// How long the last request was: the next one will be about as long.
    last_len: usize,
}

/// The `ResourceLogs` and its one `ScopeLogs` to which records are being added.
#[derive(Debug)]
struct Group {
    start: usize,
    resource_logs: Mark,
    scope_logs: Mark,
    has_records: bool,
}

impl OtlpEncoder {
    /// An encoder that has written nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a group: the records that follow have this resource and scope. A group to which no
    /// record is added is not written.
    pub fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.begin(|out| put_resource(out, envelope), |out| put_scope(out, envelope));
    }

    /// Adds a record, to a group with neither resource nor scope when none has begun.
    pub fn record(&mut self, record: RecordRef<'_>) {
        if self.group.is_none() {
            self.begin(|_| {}, |_| {});
        }
        if let Some(group) = &mut self.group {
            group.has_records = true;
        }
        put_record(&mut self.out, record);
    }

    /// Takes the request; empty when no record was added. The encoder is as new afterwards.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        self.end();
        self.last_len = self.out.len();
        std::mem::take(&mut self.out)
    }

    /// Fields that share a message with the records are written before them, so that the message
    /// can stay open at its end; protobuf knows no order.
    fn begin(&mut self, resource: impl FnOnce(&mut Vec<u8>), scope: impl FnOnce(&mut Vec<u8>)) {
        self.end();
        if self.out.is_empty() {
            self.out.reserve(self.last_len);
        }
        let start = self.out.len();
        let resource_logs = open(&mut self.out, request::RESOURCE_LOGS, UNKNOWN_LEN);
        resource(&mut self.out);
        let scope_logs = open(&mut self.out, resource_logs::SCOPE_LOGS, UNKNOWN_LEN);
        scope(&mut self.out);
        self.group = Some(Group { start, resource_logs, scope_logs, has_records: false });
    }

    fn end(&mut self) {
        match self.group.take() {
            Some(group) if group.has_records => {
                close(&mut self.out, group.scope_logs);
                close(&mut self.out, group.resource_logs);
            }
            Some(group) => self.out.truncate(group.start),
            None => {}
        }
    }
}

fn put_resource(out: &mut Vec<u8>, envelope: EnvelopeRef<'_>) {
    let fields = envelope.fields();
    let attributes = envelope.resource_attributes();
    if fields.has_resource || !attributes.is_empty() {
        let mark = open(out, resource_logs::RESOURCE, UNKNOWN_LEN);
        put_key_values(out, resource::ATTRIBUTES, attributes);
        put_number(out, resource::DROPPED_ATTRIBUTES_COUNT, fields.resource_dropped_attributes_count.into());
        close(out, mark);
    }
    put_text_field(out, resource_logs::SCHEMA_URL, envelope.text(fields.resource_schema_url));
}

fn put_scope(out: &mut Vec<u8>, envelope: EnvelopeRef<'_>) {
    let fields = envelope.fields();
    let attributes = envelope.scope_attributes();
    let name = envelope.text(fields.scope_name);
    if fields.has_scope || !name.is_empty() || !attributes.is_empty() {
        let mark = open(out, scope_logs::SCOPE, UNKNOWN_LEN);
        put_text_field(out, scope::NAME, name);
        put_text_field(out, scope::VERSION, envelope.text(fields.scope_version));
        put_key_values(out, scope::ATTRIBUTES, attributes);
        put_number(out, scope::DROPPED_ATTRIBUTES_COUNT, fields.scope_dropped_attributes_count.into());
        close(out, mark);
    }
    put_text_field(out, scope_logs::SCHEMA_URL, envelope.text(fields.scope_schema_url));
}

fn put_record(out: &mut Vec<u8>, record: RecordRef<'_>) {
    let fields = record.fields();
    let mark = open(out, scope_logs::LOG_RECORDS, UNKNOWN_LEN);
    put_time(out, log_record::TIME_UNIX_NANO, fields.time_unix_nano);
    // A negative number is sign-extended to ten bytes, as every int32 is.
    put_number(out, log_record::SEVERITY_NUMBER, i64::from(fields.severity_number) as u64);
    put_text_field(out, log_record::SEVERITY_TEXT, record.text(fields.severity_text));
    if let Some(body) = record.body() {
        put_value(out, log_record::BODY, body);
    }
    put_key_values(out, log_record::ATTRIBUTES, record.attributes());
    put_number(out, log_record::DROPPED_ATTRIBUTES_COUNT, fields.dropped_attributes_count.into());
    if fields.flags != 0 {
        put_tag_fixed32(out, log_record::FLAGS);
        out.extend_from_slice(&fields.flags.to_le_bytes());
    }
    put_id(out, log_record::TRACE_ID, record.text(fields.trace_id), 16);
    put_id(out, log_record::SPAN_ID, record.text(fields.span_id), 8);
    put_time(out, log_record::OBSERVED_TIME_UNIX_NANO, fields.observed_time_unix_nano);
    put_text_field(out, log_record::EVENT_NAME, record.text(fields.event_name));
    close(out, mark);
}

fn put_key_values(out: &mut Vec<u8>, number: u32, values: Values<'_>) {
    for (key, value) in values {
        if put_short(out, bytes_tag(number), key, value) {
            continue;
        }
        let value_max = value_len_max(value);
        let mark = open(out, number, bytes_len(text_len_max(key)) + bytes_len(value_max));
        put_text_field(out, key_value::KEY, key);
        put_value(out, key_value::VALUE, value);
        close(out, mark);
    }
}

/// Writes a value as field `number`. It recurses as deep as the value is, which the decoders
/// limit to [`DEPTH_MAX`](crate::decode::DEPTH_MAX).
fn put_value(out: &mut Vec<u8>, number: u32, value: ValueRef<'_>) {
    let mark = open(out, number, value_len_max(value));
    match value {
        ValueRef::Empty => {}
        ValueRef::Bool(it) => {
            put_tag_varint(out, any_value::BOOL);
            out.push(u8::from(it));
        }
        ValueRef::Int(it) => {
            put_tag_varint(out, any_value::INT);
            put_varint(out, it as u64);
        }
        ValueRef::Double(it) => {
            put_tag_fixed64(out, any_value::DOUBLE);
            out.extend_from_slice(&it.to_bits().to_le_bytes());
        }
        ValueRef::Text(it) => put_text(out, any_value::STRING, it),
        ValueRef::Bytes(it) => put_bytes(out, any_value::BYTES, it),
        ValueRef::Array(values) => {
            let list = open(out, any_value::ARRAY, UNKNOWN_LEN);
            for (_, value) in values {
                put_value(out, LIST_VALUES, value);
            }
            close(out, list);
        }
        ValueRef::Kvlist(values) => {
            let list = open(out, any_value::KVLIST, UNKNOWN_LEN);
            put_key_values(out, LIST_VALUES, values);
            close(out, list);
        }
    }
    close(out, mark);
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_tag_varint(out, number);
        put_varint(out, value);
    }
}

fn put_time(out: &mut Vec<u8>, number: u32, unix_nano: u64) {
    if unix_nano != 0 {
        put_tag_fixed64(out, number);
        out.extend_from_slice(&unix_nano.to_le_bytes());
    }
}

fn put_id(out: &mut Vec<u8>, number: u32, id: &[u8], len: usize) {
    if id.len() == len {
        put_bytes(out, number, id);
    }
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag_bytes(out, number);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Text of a plain field, which is left out when it is empty.
fn put_text_field(out: &mut Vec<u8>, number: u32, text: &[u8]) {
    if !text.is_empty() {
        put_text(out, number, text);
    }
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &[u8]) {
    if std::str::from_utf8(text).is_ok() {
        return put_bytes(out, number, text);
    }
    let repaired =
        || text.utf8_chunks().flat_map(|it| [it.valid(), if it.invalid().is_empty() { "" } else { "\u{FFFD}" }]);
    put_tag_bytes(out, number);
    put_varint(out, repaired().map(|it| it.len() as u64).sum());
    repaired().for_each(|it| out.extend_from_slice(it.as_bytes()));
}

/// Where the length of an open message is to be written.
#[derive(Debug)]
struct Mark {
    length_at: usize,
    start: usize,
}

/// A message of which nobody can say how long it will get: five bytes of length hold 32 GiB.
const UNKNOWN_LEN: u64 = u32::MAX as u64;

/// Begins a message whose length is written by [`close`], padded to the width that `len_max`
/// needs. A padded varint is legal. The alternatives cost more than the few bytes, nearly all of
/// them in the message of a record: sizes that are computed first walk every value twice and
/// check its UTF-8 twice, and moving the content is quadratic in the depth.
fn open(out: &mut Vec<u8>, number: u32, len_max: u64) -> Mark {
    put_tag_bytes(out, number);
    let length_at = out.len();
    let start = length_at + varint_len(len_max);
    out.resize(start, 0);
    Mark { length_at, start }
}

fn close(out: &mut [u8], mark: Mark) {
    let len = (out.len() - mark.start) as u64;
    patch_varint(&mut out[mark.length_at..mark.start], len);
}

/// The longest content of an `AnyValue` that holds this; for all but lists close to what it will be.
fn value_len_max(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Empty => 0,
        ValueRef::Bool(_) => 2,
        ValueRef::Int(_) => 1 + VARINT_LEN_MAX as u64,
        ValueRef::Double(_) => 9,
        ValueRef::Text(it) => bytes_len(text_len_max(it)),
        ValueRef::Bytes(it) => bytes_len(it.len() as u64),
        ValueRef::Array(_) | ValueRef::Kvlist(_) => UNKNOWN_LEN,
    }
}

/// Every byte may turn out to be no UTF-8 and become the three bytes of U+FFFD.
fn text_len_max(text: &[u8]) -> u64 {
    3 * text.len() as u64
}

/// The length of a field of that many bytes. All fields of values have a tag of one byte.
fn bytes_len(len: u64) -> u64 {
    1 + varint_len(len) as u64 + len
}
