//! The records of a request, one after the other.

use std::ops::ControlFlow;

use super::place::{At, Group, Place};
use super::record::{Stop, fields, pieces, read_key_value, read_record, span};
use super::schema::{key_value, request, resource, resource_logs, scope, scope_logs};
use crate::decode::reader::Reader;
use crate::decode::wire::{self, Fields, Piece};
use crate::decode::{Scratch, Visitor};
use crate::record::{Envelope, Range, RecordRef, Span};
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
/// Begins at a place, or behind so many records, and returns where to go on when the visitor asked to
/// stop: so a request whose records are large in another encoding is handled in parts.
pub fn decode(
    raw: &[u8],
    from: impl Into<Place>,
    settings: &RecordSettings<'_>,
    scratch: &mut Scratch,
    visitor: &mut impl Visitor,
    counts: &mut RecordCounts,
) -> Option<Place> {
    // What is longer did not pass the check, and a span could not point into it.
    if raw.len() > i32::MAX as usize {
        return None;
    }
    scratch.record.tree.clear_all();
    settings.reader.prepare(&mut scratch.record.tree);
    scratch.record.tree.remember_keys();
    scratch.space.forget_keys();
    // How far the bytes are well-formed is the business of check, which says so to the sender.
    let Place { records, at } = from.into();
    let mut decoder = Decoder {
        raw,
        skip: records,
        at,
        seen: if at.is_some() { records } else { 0 },
        settings,
        from_envoy: false,
        counts: RecordCounts::default(),
        scratch,
        visitor,
    };
    let ended = decoder.request();
    *counts += decoder.counts;
    match ended {
        Err(Stop::Asked) => Some(Place { records: decoder.seen, at: decoder.at }),
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

struct Decoder<'a, V> {
    raw: &'a [u8],
    skip: u32,
    /// Where to begin, until that is reached; where it ended, when it was asked to.
    at: Option<At>,
    /// Records up to the current place, skipped ones included.
    seen: u32,
    settings: &'a RecordSettings<'a>,
    /// The current resource is one of Envoy's.
    from_envoy: bool,
    counts: RecordCounts,
    scratch: &'a mut Scratch,
    visitor: &'a mut V,
}

impl<V: Visitor> Decoder<'_, V> {
    fn request(&mut self) -> Result<(), Stop> {
        let start = self.at.map_or(0, |it| it.resource_logs);
        for field in Fields::new(self.raw, start, self.raw.len()) {
            if let wire::Field { number: request::RESOURCE_LOGS, at, value: wire::Value::Bytes(piece) } = field? {
                self.resource_logs(at, piece)?;
            }
        }
        Ok(())
    }

    /// Fields may come in any order, so what applies to all scopes is looked for first. It is
    /// decoded once and kept while the scopes change: a hostile sender may put a thousand small
    /// scopes behind one large resource.
    fn resource_logs(&mut self, resource_logs: usize, piece: Piece) -> Result<(), Stop> {
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
        let start = self.at.map_or(piece.start, |it| it.scope_logs);
        for field in Fields::new(raw, start, piece.end) {
            if let wire::Field { number: resource_logs::SCOPE_LOGS, at, value: wire::Value::Bytes(it) } = field? {
                let at = match self.at.take() {
                    Some(at) => at,
                    None => At { resource_logs, scope_logs: at, record: it.start, group: group(raw, it)? },
                };
                self.records(at, it.end, resource_end)?;
            }
        }
        Ok(())
    }

    /// The records of a `ScopeLogs` from a place on.
    fn records(&mut self, at: At, end: usize, resource_end: u32) -> Result<(), Stop> {
        let Decoder { raw, .. } = *self;
        let mut has_begun = false;
        for field in Fields::new(raw, at.record, end) {
            let wire::Field { number: scope_logs::LOG_RECORDS, value: wire::Value::Bytes(it), .. } = field? else {
                continue;
            };
            self.seen += 1;
            if self.seen <= self.skip {
                continue;
            }
            let Scratch { record, space, envelope } = &mut *self.scratch;
            if !has_begun {
                has_begun = true;
                clear_scope(envelope, resource_end);
                envelope.scope_schema_url = at.group.schema_url;
                if let Some(piece) = at.group.scope {
                    read_scope(raw, piece, envelope)?;
                }
                self.visitor.envelope(envelope.view(raw));
            }
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
                self.at = Some(At { record: it.end, ..at });
                return Err(Stop::Asked);
            }
        }
        Ok(())
    }
}

/// What the records of a `ScopeLogs` share stands before them or behind them.
fn group(raw: &[u8], piece: Piece) -> Result<Group, Stop> {
    let mut group = Group::default();
    for field in fields(raw, piece) {
        match field? {
            (scope_logs::SCOPE, wire::Value::Bytes(it)) => group.scope = Some(it),
            (scope_logs::SCHEMA_URL, wire::Value::Bytes(it)) => group.schema_url = span(it),
            _ => {}
        }
    }
    Ok(group)
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
