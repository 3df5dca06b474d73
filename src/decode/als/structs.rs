//! Metadata, which is JSON in protobuf, as values of OTLP.

use super::attributes::{Put, RECORD_BYTES_MAX, put_any_value, put_bytes, put_pair};
use super::read::{Is, Message};
use super::schema::{MEMBERS, value};
use crate::decode::otlp::schema::{LIST_VALUES, any_value};
use crate::decode::wire::Malformed;

/// Deepest nesting; deeper values are empty. Each level is written once more.
const DEPTH_MAX: u32 = 8;
/// Nothing is added to what is larger than a record may be: it is going to be left out.
const BYTES_MAX: usize = RECORD_BYTES_MAX;

/// `Metadata` as the `AnyValue` of a kvlist: the filters' names, and what each has to say. `None`
/// when no filter has.
pub(super) fn metadata(message: Message<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    let mut members = Vec::new();
    for field in message.fields() {
        if let (MEMBERS, Is::Bytes(entry)) = field?
            && members.len() <= BYTES_MAX
        {
            let (name, fields) = entry.pair()?;
            put_pair(&mut members, LIST_VALUES, name, Put::Written(&object(fields, DEPTH_MAX)?));
        }
    }
    Ok((!members.is_empty()).then(|| {
        let mut kvlist = Vec::with_capacity(members.len() + 8);
        put_bytes(&mut kvlist, any_value::KVLIST, &members);
        kvlist
    }))
}

/// A `Struct`.
fn object(message: Message<'_>, depth: u32) -> Result<Vec<u8>, Malformed> {
    let mut members = Vec::new();
    for field in message.fields() {
        if let (MEMBERS, Is::Bytes(entry)) = field?
            && members.len() <= BYTES_MAX
        {
            let (key, member) = entry.pair()?;
            put_pair(&mut members, LIST_VALUES, key, Put::Written(&one(member, depth)?));
        }
    }
    let mut kvlist = Vec::with_capacity(members.len() + 8);
    put_bytes(&mut kvlist, any_value::KVLIST, &members);
    Ok(kvlist)
}

/// A `google.protobuf.Value`; null is an empty `AnyValue`.
fn one(message: Message<'_>, depth: u32) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    let Some(depth) = depth.checked_sub(1) else { return Ok(out) };
    for field in message.fields() {
        let field = field?;
        // Of a oneof the last one counts.
        out.clear();
        match field {
            (value::NUMBER, Is::Fixed(bits)) => put_any_value(&mut out, number(f64::from_bits(bits))),
            (value::STRING, Is::Bytes(text)) => put_any_value(&mut out, Put::Text(text.bytes())),
            (value::BOOL, Is::Number(it)) => put_any_value(&mut out, Put::Bool(it != 0)),
            (value::STRUCT, Is::Bytes(it)) => out = object(it, depth)?,
            (value::LIST, Is::Bytes(list)) => {
                let mut items = Vec::new();
                for item in list.fields() {
                    if let (MEMBERS, Is::Bytes(item)) = item?
                        && items.len() <= BYTES_MAX
                    {
                        put_bytes(&mut items, LIST_VALUES, &one(item, depth)?);
                    }
                }
                put_bytes(&mut out, any_value::ARRAY, &items);
            }
            _ => {}
        }
    }
    Ok(out)
}

/// JSON knows one kind of number: a whole one is an integer.
fn number(value: f64) -> Put<'static> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    if value.fract() == 0.0 && value.abs() <= EXACT { Put::Int(value as i64) } else { Put::Double(value) }
}
