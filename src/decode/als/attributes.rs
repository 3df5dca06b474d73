//! A log record of OTLP, written attribute by attribute.

use crate::decode::otlp::schema::{LIST_VALUES, any_value, key_value, log_record};
use crate::decode::wire::{put_tag_bytes, put_tag_fixed64, put_tag_varint, put_varint, varint_len};

/// What would make a record larger is left out and counted in `dropped_attributes_count`. Envoy's
/// headers have at most 60 KiB by default; a message of an attacker must not grow when it is
/// written again.
pub(super) const RECORD_BYTES_MAX: usize = 256 << 10;

/// One record, growing.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    bytes: Vec<u8>,
    dropped: u32,
}

/// A value as it is going to be written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Put<'a> {
    Text(&'a [u8]),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// An `AnyValue` that is written already.
    Written(&'a [u8]),
}

impl Attributes {
    /// The record as far as it is written, for the next to begin.
    pub(super) fn finish(&mut self, into: &mut Vec<u8>, number: u32) {
        if self.dropped > 0 {
            put_tag_varint(&mut self.bytes, log_record::DROPPED_ATTRIBUTES_COUNT);
            put_varint(&mut self.bytes, u64::from(self.dropped));
        }
        put_bytes(into, number, &self.bytes);
        self.bytes.clear();
        self.dropped = 0;
    }

    /// When the event was.
    pub(super) fn time(&mut self, unix_nano: u64) {
        put_tag_fixed64(&mut self.bytes, log_record::TIME_UNIX_NANO);
        self.bytes.extend_from_slice(&unix_nano.to_le_bytes());
    }

    /// An attribute that is not there when its text is empty.
    pub(super) fn text(&mut self, key: &str, text: &[u8]) {
        if !text.is_empty() {
            self.put(&[key.as_bytes()], Put::Text(text));
        }
    }

    /// A number, which never is more than `i64` can hold in what Envoy sends.
    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.put(&[key.as_bytes()], Put::Int(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    /// Text in a list of one, as the conventions have headers. The key is `before` and `name`.
    pub(super) fn header(&mut self, before: &str, name: &[u8], text: &[u8]) {
        let mut one = Vec::with_capacity(text.len() + 16);
        put_member(&mut one, LIST_VALUES, any_value_len(Put::Text(text)), |out| put_any_value(out, Put::Text(text)));
        let mut list = Vec::with_capacity(one.len() + 8);
        put_bytes(&mut list, any_value::ARRAY, &one);
        self.put(&[before.as_bytes(), name], Put::Written(&list));
    }

    /// An attribute whose key is written in pieces.
    pub(super) fn put(&mut self, key: &[&[u8]], value: Put<'_>) {
        let key_len = key.iter().map(|it| it.len()).sum::<usize>();
        let value_len = any_value_len(value);
        let inner = bytes_len(key_len) + bytes_len(value_len);
        if self.bytes.len() + inner > RECORD_BYTES_MAX {
            self.drop_one();
            return;
        }
        put_member(&mut self.bytes, log_record::ATTRIBUTES, inner, |out| {
            put_key_value(out, key, key_len, value);
        });
    }

    /// One attribute is missing.
    pub(super) fn drop_one(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }
}

/// Writes the fields of a `KeyValue`.
fn put_key_value(out: &mut Vec<u8>, key: &[&[u8]], key_len: usize, value: Put<'_>) {
    put_tag_bytes(out, key_value::KEY);
    put_varint(out, key_len as u64);
    key.iter().for_each(|part| out.extend_from_slice(part));
    put_member(out, key_value::VALUE, any_value_len(value), |out| put_any_value(out, value));
}

/// Writes a `KeyValue` as field `number`.
pub(super) fn put_pair(out: &mut Vec<u8>, number: u32, key: &[u8], value: Put<'_>) {
    let mut pair = Vec::with_capacity(key.len() + any_value_len(value) + 16);
    put_key_value(&mut pair, &[key], key.len(), value);
    put_bytes(out, number, &pair);
}

/// Writes the fields of an `AnyValue`.
pub(super) fn put_any_value(out: &mut Vec<u8>, value: Put<'_>) {
    match value {
        Put::Text(text) => put_bytes(out, any_value::STRING, text),
        Put::Int(number) => {
            put_tag_varint(out, any_value::INT);
            put_varint(out, number as u64);
        }
        Put::Double(number) => {
            put_tag_fixed64(out, any_value::DOUBLE);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Put::Bool(it) => {
            put_tag_varint(out, any_value::BOOL);
            put_varint(out, u64::from(it));
        }
        Put::Written(bytes) => out.extend_from_slice(bytes),
    }
}

/// Bytes of a field with a length, of which the number is at most 15.
pub(super) fn bytes_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn any_value_len(value: Put<'_>) -> usize {
    match value {
        Put::Text(text) => bytes_len(text.len()),
        Put::Int(number) => 1 + varint_len(number as u64),
        Put::Double(_) => 9,
        Put::Bool(_) => 2,
        Put::Written(bytes) => bytes.len(),
    }
}

/// Writes a field with a length.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_member(out, number, bytes.len(), |out| out.extend_from_slice(bytes));
}

fn put_member(out: &mut Vec<u8>, number: u32, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
    put_tag_bytes(out, number);
    put_varint(out, len as u64);
    let start = out.len();
    write(out);
    debug_assert_eq!(out.len() - start, len);
}
