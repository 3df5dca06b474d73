//! The records of a request, one after the other.

use std::ops::ControlFlow;

use super::plain::{ShortAttribute, next_short_attribute, tag, text_attribute, text_value};
use super::schema::{
    LIST_VALUES, any_value, key_value, log_record, request, resource, resource_logs, scope, scope_logs,
};
use crate::decode::reader::Reader;
use crate::decode::wire::{self, Fields, Malformed, Piece};
use crate::decode::{DEPTH_MAX, Scratch, Visitor};
use crate::record::{Envelope, Range, Record, RecordRef, Span, Tree, Value};
use crate::redact::{Redactor, Understood};

/// Shows `visitor` the records of a request in their order, each group preceded by its resource
/// and scope. Groups without records are not shown. A record without an observed time gets
/// `observed_unix_nano`; identifiers of a wrong length count as absent; text is passed on as it
/// is, UTF-8 or not.
///
/// Made for bytes that passed [`check`](super::check()). Other bytes are decoded up to the first
/// record, resource or scope that is malformed, without a panic. Once `scratch` has grown to the
/// largest record, nothing is allocated.
///
/// Begins behind the first `skip` records, and returns how many to skip next time when the visitor
/// asked to stop: so a request whose records are large in another encoding is handled in parts.
/// Skipping costs a few nanoseconds a record.
pub fn decode(
    raw: &[u8],
    skip: u32,
    settings: &RecordSettings<'_>,
    scratch: &mut Scratch,
    visitor: &mut impl Visitor,
    counts: &mut RecordCounts,
) -> Option<u32> {
    // What is longer did not pass the check, and a span could not point into it.
    if raw.len() > i32::MAX as usize {
        return None;
    }
    scratch.record.tree.clear_all();
    settings.reader.prepare(&mut scratch.record.tree);
    scratch.record.tree.remember_keys();
    scratch.space.forget_keys();
    // How far the bytes are well-formed is the business of check, which says so to the sender.
    let mut decoder =
        Decoder { raw, skip, seen: 0, settings, from_envoy: false, counts: RecordCounts::default(), scratch, visitor };
    let ended = decoder.request();
    *counts += decoder.counts;
    match ended {
        Err(Stop::Asked) => Some(decoder.seen),
        Err(Stop::Unreadable) | Ok(()) => None,
    }
}

/// What is the same for all records of a request.
#[derive(Clone, Copy, Debug)]
pub struct RecordSettings<'a> {
    /// How records are read.
    pub reader: &'a Reader,
    /// When the request was received, nanoseconds since the epoch.
    pub observed_unix_nano: u64,
    /// What is taken out of each record.
    pub redactor: Option<&'a Redactor>,
}

/// What was read, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Records with a value whose bytes had become characters, repaired.
    pub mojibake: u64,
    /// Records of which the quotes of Kuma's documented JSON were stripped.
    pub stray_quotes: u64,
}

impl std::ops::AddAssign for RecordCounts {
    fn add_assign(&mut self, other: RecordCounts) {
        self.mojibake += other.mojibake;
        self.stray_quotes += other.stray_quotes;
    }
}

/// True when a resource of the request is one of Envoy's access loggers, which all have the
/// attribute `log_name` (envoy.extensions.access_loggers.open_telemetry.v3). Costs a look at each
/// resource, none at the records.
#[must_use]
pub fn is_from_envoy(raw: &[u8]) -> bool {
    if raw.len() > i32::MAX as usize {
        return false;
    }
    let whole = Piece { length_at: 0, start: 0, end: raw.len() };
    pieces(raw, whole, request::RESOURCE_LOGS)
        .flat_map(|it| pieces(raw, it, resource_logs::RESOURCE))
        .any(|it| resource_is_of_envoy(raw, it))
}

fn resource_is_of_envoy(raw: &[u8], resource: Piece) -> bool {
    pieces(raw, resource, resource::ATTRIBUTES)
        .flat_map(|it| pieces(raw, it, key_value::KEY))
        .any(|it| &raw[it.start..it.end] == b"log_name")
}

/// The fields of that number with a length, up to where the bytes are malformed.
fn pieces(raw: &[u8], piece: Piece, number: u32) -> impl Iterator<Item = Piece> {
    fields(raw, piece).map_while(Result::ok).filter_map(move |(it, value)| match value {
        wire::Value::Bytes(piece) if it == number => Some(piece),
        _ => None,
    })
}

struct Decoder<'a, V> {
    raw: &'a [u8],
    skip: u32,
    /// Records up to the current place, skipped ones included.
    seen: u32,
    settings: &'a RecordSettings<'a>,
    /// The current resource is one of Envoy's.
    from_envoy: bool,
    counts: RecordCounts,
    scratch: &'a mut Scratch,
    visitor: &'a mut V,
}

/// Why decoding ends early.
enum Stop {
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

impl<V: Visitor> Decoder<'_, V> {
    fn request(&mut self) -> Result<(), Stop> {
        let whole = Piece { length_at: 0, start: 0, end: self.raw.len() };
        for field in fields(self.raw, whole) {
            if let (request::RESOURCE_LOGS, wire::Value::Bytes(piece)) = field? {
                self.resource_logs(piece)?;
            }
        }
        Ok(())
    }

    /// Fields may come in any order, so what applies to all scopes is looked for first. It is
    /// decoded once and kept while the scopes change: a hostile sender may put a thousand small
    /// scopes behind one large resource.
    fn resource_logs(&mut self, piece: Piece) -> Result<(), Stop> {
        let Decoder { raw, .. } = *self;
        let envelope = &mut self.scratch.envelope;
        envelope.clear();
        let mut resource = None;
        self.from_envoy = false;
        for field in fields(raw, piece) {
            match field? {
                (resource_logs::RESOURCE, wire::Value::Bytes(it)) => resource = Some(it),
                (resource_logs::SCHEMA_URL, wire::Value::Bytes(it)) => envelope.resource_schema_url = span(it),
                _ => {}
            }
        }
        if let Some(piece) = resource {
            read_resource(raw, piece, envelope)?;
            self.from_envoy = resource_is_of_envoy(raw, piece);
        }
        let resource_end = envelope.tree.position();
        for field in fields(raw, piece) {
            if let (resource_logs::SCOPE_LOGS, wire::Value::Bytes(it)) = field? {
                self.scope_logs(it, resource_end)?;
            }
        }
        Ok(())
    }

    fn scope_logs(&mut self, piece: Piece, resource_end: u32) -> Result<(), Stop> {
        let Decoder { raw, .. } = *self;
        let envelope = &mut self.scratch.envelope;
        clear_scope(envelope, resource_end);
        let mut scope = None;
        let mut records = 0;
        for field in fields(raw, piece) {
            match field? {
                (scope_logs::SCOPE, wire::Value::Bytes(it)) => scope = Some(it),
                (scope_logs::SCHEMA_URL, wire::Value::Bytes(it)) => envelope.scope_schema_url = span(it),
                (scope_logs::LOG_RECORDS, wire::Value::Bytes(_)) => records += 1,
                _ => {}
            }
        }
        if records == 0 || self.seen + records <= self.skip {
            self.seen += records;
            return Ok(());
        }
        if let Some(piece) = scope {
            read_scope(raw, piece, envelope)?;
        }
        self.visitor.envelope(envelope.view(raw));
        for field in fields(raw, piece) {
            if let (scope_logs::LOG_RECORDS, wire::Value::Bytes(it)) = field? {
                self.seen += 1;
                if self.seen <= self.skip {
                    continue;
                }
                let Scratch { record, space, envelope } = &mut *self.scratch;
                read_record(raw, it, record)?;
                if record.observed_time_unix_nano == 0 {
                    record.observed_time_unix_nano = self.settings.observed_unix_nano;
                }
                let mut understood = Understood::NotAtAll;
                if !self.settings.reader.is_raw() {
                    let outcome = self.settings.reader.otlp(raw, self.from_envoy, space, record);
                    self.counts.mojibake += u64::from(outcome.applied.mojibake);
                    self.counts.stray_quotes += u64::from(outcome.stray_quotes);
                    // Of a sender that is no proxy, a text is no access log.
                    let is_log = !self.from_envoy && outcome.reason.is_none();
                    understood = if is_log { Understood::Entirely } else { Understood::of(&outcome) };
                }
                if let Some(redactor) = self.settings.redactor {
                    record.forget_plain();
                    redactor.apply(raw, record, understood);
                }
                let asked = self.visitor.record(RecordRef::new(raw, record, envelope));
                if asked == ControlFlow::Break(()) {
                    return Err(Stop::Asked);
                }
            }
        }
        Ok(())
    }
}

fn clear_scope(envelope: &mut Envelope, resource_end: u32) {
    envelope.tree.rewind(resource_end);
    envelope.has_scope = false;
    envelope.scope_name = Span::EMPTY;
    envelope.scope_version = Span::EMPTY;
    envelope.scope_attributes = Range { start: resource_end, end: resource_end };
    envelope.scope_dropped_attributes_count = 0;
    envelope.scope_schema_url = Span::EMPTY;
}

fn read_resource(raw: &[u8], piece: Piece, envelope: &mut Envelope) -> Result<(), Stop> {
    envelope.has_resource = true;
    let start = envelope.tree.position();
    for field in fields(raw, piece) {
        match field? {
            (resource::ATTRIBUTES, wire::Value::Bytes(it)) => read_key_value(raw, it, &mut envelope.tree, 0)?,
            (resource::DROPPED_ATTRIBUTES_COUNT, wire::Value::Varint(it)) => {
                envelope.resource_dropped_attributes_count = it as u32;
            }
            _ => {}
        }
    }
    envelope.resource_attributes = Range { start, end: envelope.tree.position() };
    Ok(())
}

fn read_scope(raw: &[u8], piece: Piece, envelope: &mut Envelope) -> Result<(), Stop> {
    envelope.has_scope = true;
    let start = envelope.tree.position();
    for field in fields(raw, piece) {
        match field? {
            (scope::NAME, wire::Value::Bytes(it)) => envelope.scope_name = span(it),
            (scope::VERSION, wire::Value::Bytes(it)) => envelope.scope_version = span(it),
            (scope::ATTRIBUTES, wire::Value::Bytes(it)) => read_key_value(raw, it, &mut envelope.tree, 0)?,
            (scope::DROPPED_ATTRIBUTES_COUNT, wire::Value::Varint(it)) => {
                envelope.scope_dropped_attributes_count = it as u32;
            }
            _ => {}
        }
    }
    envelope.scope_attributes = Range { start, end: envelope.tree.position() };
    Ok(())
}

fn read_record(raw: &[u8], piece: Piece, record: &mut Record) -> Result<(), Stop> {
    use wire::Value::{Bytes, Fixed32, Fixed64, Varint};
    record.clear();
    // The attributes stand last, because the reader adds to them, and the body is written before them
    // nearly always.
    const ATTRIBUTES: u8 = tag(log_record::ATTRIBUTES);
    let mut later_body = None;
    let mut fields = Fields::new(raw, piece.start, piece.end);
    loop {
        read_short(raw, &mut fields, ATTRIBUTES, &mut record.tree);
        while let Some(it) = fields.next_if(ATTRIBUTES) {
            read_key_value(raw, it, &mut record.tree, 0)?;
        }
        let Some(field) = fields.next() else { break };
        // Not mapped to something smaller: packed, it is read back wider than it was written,
        // and the processor waits for that.
        let wire::Field { number, value, .. } = field?;
        match (number, value) {
            (log_record::BODY, Bytes(it)) if record.tree.position() == 0 => {
                read_value(raw, Span::EMPTY, it, &mut record.tree, 0)?;
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
        read_value(raw, Span::EMPTY, body, &mut record.tree, 0)?;
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
fn read_short(raw: &[u8], fields: &mut Fields<'_>, tag: u8, tree: &mut Tree) {
    while let Some(ShortAttribute { key, text }) = next_short_attribute(fields, tag) {
        let key = tree.key(raw, key.start, key.end);
        tree.push(key, Value::Text(Span::raw(text.start, text.end)));
    }
}

/// Adds one key and its value; a key without a value has the empty value. `depth` is the number
/// of values around it, here and below.
fn read_key_value(raw: &[u8], piece: Piece, tree: &mut Tree, depth: u32) -> Result<(), Stop> {
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
        Some(piece) => read_value(raw, key, piece, tree, depth),
        None => {
            tree.push(key, Value::Empty);
            Ok(())
        }
    }
}

fn read_value(raw: &[u8], key: Span, piece: Piece, tree: &mut Tree, depth: u32) -> Result<(), Stop> {
    use wire::Value::{Bytes, Fixed64, Varint};
    if depth >= DEPTH_MAX {
        return Err(Stop::Unreadable);
    }
    if let Some(text) = text_value(raw, piece) {
        tree.push(key, Value::Text(Span::raw(text.start, text.end)));
        return Ok(());
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
        return Ok(());
    }
    let mark = tree.open(key, value);
    let mut fields = Fields::new(raw, list.start, list.end);
    let is_list_of_keys = matches!(value, Value::Kvlist { .. });
    loop {
        if is_list_of_keys && depth + 1 < DEPTH_MAX {
            read_short(raw, &mut fields, const { tag(LIST_VALUES) }, tree);
        }
        let Some(field) = fields.next() else { break };
        if let wire::Field { number: LIST_VALUES, value: Bytes(it), .. } = field? {
            match is_list_of_keys {
                false => read_value(raw, Span::EMPTY, it, tree, depth + 1)?,
                true => read_key_value(raw, it, tree, depth + 1)?,
            }
        }
    }
    tree.close(mark);
    Ok(())
}

fn fields(raw: &[u8], piece: Piece) -> impl Iterator<Item = Result<(u32, wire::Value), Stop>> {
    Fields::new(raw, piece.start, piece.end).map(|field| Ok(field.map(|it| (it.number, it.value))?))
}

fn span(piece: Piece) -> Span {
    Span::raw(piece.start, piece.end)
}

fn id(piece: Piece, len: usize) -> Span {
    if piece.end - piece.start == len { span(piece) } else { Span::EMPTY }
}
