//! One record: its numbers, its body, its attributes.

use super::plain::{ShortAttribute, next_short_attribute, tag, text_attribute, text_value};
use super::schema::{LIST_VALUES, any_value, key_value, log_record};
use crate::decode::DEPTH_MAX;
use crate::decode::wire::{self, Fields, Malformed, Piece};
use crate::record::{Range, Record, SeenOnce, Span, Tree, Value};

/// Why decoding ends early.
pub(super) enum Stop {
    /// The visitor asked for it.
    Asked,
    /// The bytes are no request. Where and why is not kept: check has said it.
    Unreadable,
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Stop::Unreadable
    }
}

pub(super) fn read_record(raw: &[u8], piece: Piece, record: &mut Record) -> Result<(), Stop> {
    use wire::Value::{Bytes, Fixed32, Fixed64, Varint};
    record.clear();
    // The attributes stand last, because the reader adds to them, and the body is written before them
    // nearly always.
    const ATTRIBUTES: u8 = tag(log_record::ATTRIBUTES);
    let mut later_body = None;
    let mut fields = Fields::new(raw, piece.start, piece.end);
    loop {
        read_short(raw, &mut fields, ATTRIBUTES, &mut record.tree, &mut SeenOnce::default());
        while let Some(it) = fields.next_if(ATTRIBUTES) {
            read_key_value(raw, it, &mut record.tree, 0)?;
        }
        let Some(field) = fields.next() else { break };
        // Not mapped to something smaller: packed, it is read back wider than it was written,
        // and the processor waits for that.
        let wire::Field { number, value, .. } = field?;
        match (number, value) {
            (log_record::BODY, Bytes(it)) if record.tree.position() == 0 => {
                record.distinct_body = read_value(raw, Span::EMPTY, it, &mut record.tree, 0)?;
                record.body.end = record.tree.position();
            }
            (log_record::BODY, Bytes(it)) => later_body = Some(it),
            (log_record::TIME_UNIX_NANO, Fixed64(it)) => record.time_unix_nano = it,
            (log_record::OBSERVED_TIME_UNIX_NANO, Fixed64(it)) => record.observed_time_unix_nano = it,
            (log_record::SEVERITY_NUMBER, Varint(it)) => record.severity_number = it as i32,
            (log_record::SEVERITY_TEXT, Bytes(it)) => record.severity_text = span(it),
            (log_record::EVENT_NAME, Bytes(it)) => record.event_name = span(it),
            (log_record::TRACE_ID, Bytes(it)) => record.trace_id = id(it, 16),
            (log_record::SPAN_ID, Bytes(it)) => record.span_id = id(it, 8),
            (log_record::FLAGS, Fixed32(it)) => record.flags = it,
            (log_record::DROPPED_ATTRIBUTES_COUNT, Varint(it)) => record.dropped_attributes_count = it as u32,
            (log_record::ATTRIBUTES, Bytes(it)) => read_key_value(raw, it, &mut record.tree, 0)?,
            _ => {}
        }
    }
    if let Some(body) = later_body {
        record.tree.rewind(0);
        record.distinct_body = read_value(raw, Span::EMPTY, body, &mut record.tree, 0)?;
        record.body.end = record.tree.position();
        for it in pieces(raw, piece, log_record::ATTRIBUTES) {
            read_key_value(raw, it, &mut record.tree, 0)?;
        }
    }
    record.attributes = Range { start: record.body.end, end: record.tree.position() };
    Ok(())
}

/// Adds keys and values as long as they are short texts; `depth` around them is less than
/// [`DEPTH_MAX`].
#[inline(always)]
fn read_short(raw: &[u8], fields: &mut Fields<'_>, tag: u8, tree: &mut Tree, once: &mut SeenOnce) {
    while let Some(ShortAttribute { key, text }) = next_short_attribute(fields, tag) {
        let (key, bit) = tree.key_with_bit(raw, key.start, key.end);
        once.add(bit);
        tree.push(key, Value::Text(Span::raw(text.start, text.end)));
    }
}

/// Adds one key and its value; a key without a value has the empty value. `depth` is the number
/// of values around it, here and below.
pub(super) fn read_key_value(raw: &[u8], piece: Piece, tree: &mut Tree, depth: u32) -> Result<(), Stop> {
    if depth < DEPTH_MAX
        && let Some((key, text)) = text_attribute(raw, piece)
    {
        let key = tree.key(raw, key.start, key.end);
        tree.push(key, Value::Text(Span::raw(text.start, text.end)));
        return Ok(());
    }
    let mut key = Span::EMPTY;
    let mut value = None;
    for field in fields(raw, piece) {
        match field? {
            (key_value::KEY, wire::Value::Bytes(it)) => key = tree.key(raw, it.start, it.end),
            (key_value::VALUE, wire::Value::Bytes(it)) => value = Some(it),
            _ => {}
        }
    }
    match value {
        Some(piece) => read_value(raw, key, piece, tree, depth).map(drop),
        None => {
            tree.push(key, Value::Empty);
            Ok(())
        }
    }
}

/// Adds a value. True for a list of keys and values of which it is known that no key comes twice.
fn read_value(raw: &[u8], key: Span, piece: Piece, tree: &mut Tree, depth: u32) -> Result<bool, Stop> {
    use wire::Value::{Bytes, Fixed64, Varint};
    if depth >= DEPTH_MAX {
        return Err(Stop::Unreadable);
    }
    if let Some(text) = text_value(raw, piece) {
        tree.push(key, Value::Text(Span::raw(text.start, text.end)));
        return Ok(false);
    }
    let mut value = Value::Empty;
    let mut list = piece;
    for field in fields(raw, piece) {
        match field? {
            (any_value::STRING, Bytes(it)) => value = Value::Text(span(it)),
            (any_value::BOOL, Varint(it)) => value = Value::Bool(it != 0),
            (any_value::INT, Varint(it)) => value = Value::Int(it as i64),
            (any_value::DOUBLE, Fixed64(it)) => value = Value::Double(f64::from_bits(it)),
            (any_value::ARRAY, Bytes(it)) => (value, list) = (Value::Array { nodes: 0 }, it),
            (any_value::KVLIST, Bytes(it)) => (value, list) = (Value::Kvlist { nodes: 0 }, it),
            (any_value::BYTES, Bytes(it)) => value = Value::Bytes(span(it)),
            _ => {}
        }
    }
    if !matches!(value, Value::Array { .. } | Value::Kvlist { .. }) {
        tree.push(key, value);
        return Ok(false);
    }
    let mark = tree.open(key, value);
    let mut fields = Fields::new(raw, list.start, list.end);
    let is_list_of_keys = matches!(value, Value::Kvlist { .. });
    let mut once = SeenOnce::default();
    loop {
        if is_list_of_keys && depth + 1 < DEPTH_MAX {
            read_short(raw, &mut fields, const { tag(LIST_VALUES) }, tree, &mut once);
        }
        let Some(field) = fields.next() else { break };
        if let wire::Field { number: LIST_VALUES, value: Bytes(it), .. } = field? {
            if is_list_of_keys {
                let position = tree.position();
                read_key_value(raw, it, tree, depth + 1)?;
                once.add(tree.key_bit(position));
            } else {
                read_value(raw, Span::EMPTY, it, tree, depth + 1)?;
            }
        }
    }
    tree.close(mark);
    Ok(is_list_of_keys && once.is_sure())
}

pub(super) fn fields(raw: &[u8], piece: Piece) -> impl Iterator<Item = Result<(u32, wire::Value), Stop>> {
    Fields::new(raw, piece.start, piece.end).map(|field| Ok(field.map(|it| (it.number, it.value))?))
}

pub(super) fn span(piece: Piece) -> Span {
    Span::raw(piece.start, piece.end)
}

fn id(piece: Piece, len: usize) -> Span {
    if piece.end - piece.start == len { span(piece) } else { Span::EMPTY }
}

/// The fields of that number with a length, up to where the bytes are malformed.
pub(super) fn pieces(raw: &[u8], piece: Piece, number: u32) -> impl Iterator<Item = Piece> {
    fields(raw, piece).map_while(Result::ok).filter_map(move |(it, value)| match value {
        wire::Value::Bytes(piece) if it == number => Some(piece),
        _ => None,
    })
}
