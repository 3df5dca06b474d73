//! The records of an OTLP request, read off its bytes, since Envoy sends text that is not UTF-8.

use serde_json::{Map, Value};

use super::expect::{Expected, expected};
use super::json;
use super::plain::{self, Layout};
use super::said::Said;

/// What every record of a request must be, in order.
pub fn records(request: &[u8]) -> Vec<Expected> {
    let groups = inside(request, 1).flat_map(|resource| inside(resource, 2));
    groups.flat_map(|scope| inside(scope, 2)).map(record).collect()
}

/// A record of Envoy: its attributes, the keys of its body or its text, its own time and ids.
fn record(record: &[u8]) -> Expected {
    let attributes: Map<String, Value> = inside(record, 6).map(pair).collect();
    let body = inside(record, 5).next().map(any_value);
    let mut members = attributes;
    let mut line = Said::default();
    match body {
        Some(Value::Object(body)) => members.extend(body.into_iter().filter(|(key, _)| json::is_known(key))),
        Some(Value::String(text)) => {
            let read = plain::http(&text, Layout::Real).or_else(|| plain::tcp(&text));
            line = read.unwrap_or_default();
        }
        _ => {}
    }
    let mut said = json::members(members);
    said.texts.extend(line.texts);
    let mut out = expected(&said);
    let nanoseconds = fields(record).find(|(number, _)| *number == 1).map(|(_, bytes)| bytes);
    out.timestamp = nanoseconds.map(|it| {
        let nanoseconds = i128::from(u64::from_le_bytes(it.try_into().unwrap()));
        jiff::Timestamp::from_nanosecond(nanoseconds).unwrap().to_string()
    });
    let id = |number| {
        let bytes = inside(record, number).next().filter(|it: &&[u8]| !it.is_empty());
        bytes.map(|it| it.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    if let Some(own) = id(9) {
        out.trace_id = Some(own);
    }
    out.span_id = id(10);
    out
}

fn pair(pair: &[u8]) -> (String, Value) {
    let key = inside(pair, 1).next().unwrap_or_default();
    (String::from_utf8_lossy(key).into_owned(), inside(pair, 2).next().map_or(Value::Null, any_value))
}

/// Text, lists, and keys with values: all that Envoy sends.
fn any_value(value: &[u8]) -> Value {
    match fields(value).next() {
        None => Value::Null,
        Some((1, text)) => String::from_utf8_lossy(text).into_owned().into(),
        Some((5, array)) => inside(array, 1).map(any_value).collect(),
        Some((6, pairs)) => Value::Object(inside(pairs, 1).map(pair).collect()),
        Some((other, _)) => panic!("Envoy sends no value of kind {other}"),
    }
}

fn inside(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).filter(move |(found, _)| *found == number).map(|(_, bytes)| bytes)
}

/// The fields of a message: number and content.
fn fields(message: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let tag = varint(&mut rest);
        let length = match tag & 7 {
            1 => 8,
            2 => usize::try_from(varint(&mut rest)).unwrap(),
            5 => 4,
            kind => panic!("Envoy sends no field of kind {kind}"),
        };
        let (content, behind) = rest.split_at(length);
        rest = behind;
        Some((tag >> 3, content))
    })
}

fn varint(rest: &mut &[u8]) -> u64 {
    let end = rest.iter().position(|byte| *byte < 0x80).unwrap();
    let (bytes, behind) = rest.split_at(end + 1);
    *rest = behind;
    bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}
