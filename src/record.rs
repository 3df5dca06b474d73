//! One log record in the OpenTelemetry log data model, as numbers and ranges.
//!
//! A decoder fills a [`Record`] (and, once per group, an [`Envelope`]) in place and hands out a
//! [`RecordRef`]; encoders read that and nothing else. Both are scratch space that is reused from
//! record to record and from batch to batch, so a record costs arithmetic and no allocation once
//! the buffers have grown to the largest record seen.
//!
//! Why not an index of the whole batch: two bytes on the wire can be an empty record, and a
//! hundred bytes of index for each multiplies hostile input fifty times. One record at a time
//! keeps memory proportional to the largest record, whose size the sources limit.

mod seen;
mod short;

use crate::quotes::Quotes;

pub(crate) use seen::KEYS_MAX;
use seen::SeenKeys;
pub(crate) use seen::SeenOnce;
pub(crate) use short::{Text, WriteShorts};

/// A range of bytes, either in the batch's raw bytes or in the side buffer of the tree that
/// holds it. Four gigabytes are out of reach: sources limit a payload to far less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

const SIDE: u32 = 1 << 31;

impl Span {
    /// No bytes at all.
    pub const EMPTY: Span = Span { start: 0, len: 0 };

    /// The range `start..end` of the raw bytes. Payloads are limited to well under 2 GiB, the
    /// largest offset a span can hold.
    #[must_use]
    #[inline]
    pub fn raw(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end < SIDE as usize);
        Span { start: start as u32, len: end.wrapping_sub(start) as u32 }
    }

    /// True for a range of no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Part of it, `start..end` counted from its first byte.
    #[inline]
    pub(crate) fn part(self, start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= self.len as usize);
        Span { start: self.start.wrapping_add(start as u32), len: end.wrapping_sub(start) as u32 }
    }

    /// A range of the raw bytes, found in a side buffer that was read as if it were raw.
    #[must_use]
    pub(crate) fn in_side(self) -> Span {
        Span { start: self.start | SIDE, len: self.len }
    }

    fn side(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end < SIDE as usize);
        Span { start: start as u32 | SIDE, len: (end - start) as u32 }
    }
}

/// An `AnyValue`, or the head of one: the children of a list follow it in the tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// The empty value: JSON `null`, an `AnyValue` without a kind.
    Empty,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double, NaN and infinities included.
    Double(f64),
    /// Text. Bytes that are not UTF-8 are kept here and repaired by the encoders.
    Text(Span),
    /// Bytes that are not text.
    Bytes(Span),
    /// An array; the next `nodes` nodes of the tree are its descendants.
    Array {
        /// Number of descendants, at all depths.
        nodes: u32,
    },
    /// A list of keys and values; the next `nodes` nodes of the tree are its descendants.
    Kvlist {
        /// Number of descendants, at all depths.
        nodes: u32,
    },
}

impl Value {
    /// Number of nodes that follow it in the tree and belong to it.
    #[inline]
    pub(crate) fn below(self) -> u32 {
        match self {
            Value::Array { nodes } | Value::Kvlist { nodes } => nodes,
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    key: Span,
    value: Value,
}

/// Values in preorder, and the side buffer for text that does not stand in the raw bytes.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    side: Vec<u8>,
    kept_side: usize,
    /// Bytes at the front of the side buffer that are fragments: see [`Tree::keep_fragments`].
    plain_side: u32,
    /// A key was kept that needs escapes.
    odd_keys: bool,
    seen: SeenKeys,
}

/// Where a list was opened, to be closed again.
#[derive(Debug)]
#[must_use = "an open list must be closed"]
pub struct Mark(usize);

impl Tree {
    /// Forgets the values, and the side text except what [`Tree::keep`] wrote.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.side.truncate(self.kept_side);
    }

    /// Forgets everything, kept text included.
    pub fn clear_all(&mut self) {
        self.kept_side = 0;
        self.plain_side = 0;
        self.seen.clear();
        self.clear();
    }

    /// Writes text that survives [`Tree::clear`]: what is the same for every record of a batch.
    /// Call it only right after [`Tree::clear`] or [`Tree::clear_all`].
    pub fn keep(&mut self, text: &[u8]) -> Span {
        debug_assert_eq!(self.side.len(), self.kept_side);
        let span = self.side_text(text);
        self.kept_side = self.side.len();
        span
    }

    /// As [`Tree::keep`] for a key: what stands around it makes it the beginning of a JSON member, see
    /// [`Tree::keep_fragments`].
    pub fn keep_key(&mut self, key: &[u8]) -> Span {
        self.odd_keys |= !key.iter().all(|byte| is_plain(*byte));
        let all = self.keep(&[FRAGMENT_START, key, FRAGMENT_END].concat());
        all.part(FRAGMENT_START.len(), FRAGMENT_START.len() + key.len())
    }

    /// True when no key that was kept needs an escape in any encoding: all are printable ASCII without
    /// quotes and backslashes.
    #[must_use]
    pub fn keys_are_plain(&self) -> bool {
        !self.odd_keys
    }

    /// As [`Tree::keep`], for the first text after [`Tree::clear_all`]. All keys that point into it
    /// came from [`Tree::keep_key`] and need no escape: an encoder of JSON copies a key together with
    /// what stands around it.
    pub fn keep_fragments(&mut self, text: &[u8]) {
        debug_assert!(self.side.is_empty());
        let _span = self.keep(text);
        let _block = self.keep(&[b' '; FRAGMENT_BLOCK]);
        self.plain_side = text.len() as u32;
    }

    /// From now on [`Tree::key`] remembers keys, until [`Tree::clear_all`]. Call it only right after
    /// [`Tree::keep_fragments`]; where that was not called, nothing is remembered.
    pub(crate) fn remember_keys(&mut self) {
        if self.plain_side > 0 {
            self.seen.begin(self.side.len());
            let _slots = self.keep(&[b' '; seen::BYTES]);
            self.plain_side = self.kept_side as u32;
        }
    }

    /// The range `start..end` of the raw bytes as a key: where it stands ready as a fragment, see
    /// [`Tree::keep_fragments`], or the range itself.
    #[inline(always)]
    pub(crate) fn key(&mut self, raw: &[u8], start: usize, end: usize) -> Span {
        self.key_with_bit(raw, start, end).0
    }

    /// As [`Tree::key`], with what [`SeenOnce`] asks for.
    #[inline(always)]
    pub(crate) fn key_with_bit(&mut self, raw: &[u8], start: usize, end: usize) -> (Span, u64) {
        match self.seen.place(raw, start, end, &mut self.side) {
            Some((place, bit)) => (Span { start: place as u32 | SIDE, len: end.wrapping_sub(start) as u32 }, bit),
            None => (Span::raw(start, end), 0),
        }
    }

    /// What [`SeenOnce`] asks for, of the key at a position.
    pub(crate) fn key_bit(&self, position: u32) -> u64 {
        self.node(position).map_or(0, |(key, _)| self.seen.bit(key.start.wrapping_sub(SIDE)))
    }

    /// The number of a key that [`Tree::key`] remembers, below [`KEYS_MAX`]: the same whenever it comes.
    #[inline]
    pub(crate) fn key_number(&self, key: Span) -> Option<usize> {
        let bit = self.seen.bit(key.start.wrapping_sub(SIDE));
        (bit != 0).then(|| bit.trailing_zeros() as usize)
    }

    /// Copies text into the side buffer.
    pub fn side_text(&mut self, text: &[u8]) -> Span {
        let start = self.side.len();
        self.side.extend_from_slice(text);
        Span::side(start, self.side.len())
    }

    /// Where the next side text will begin, for [`Tree::side_since`].
    pub(crate) fn side_position(&self) -> usize {
        self.side.len()
    }

    /// All side text since a position as one: for text that is written piece by piece.
    pub(crate) fn side_since(&self, position: usize) -> Span {
        Span::side(position, self.side.len())
    }

    /// Adds a value. In an array the key is [`Span::EMPTY`].
    #[inline]
    pub fn push(&mut self, key: Span, value: Value) {
        debug_assert!(!matches!(value, Value::Array { nodes: 1.. } | Value::Kvlist { nodes: 1.. }));
        self.nodes.push(Node { key, value });
    }

    /// Opens an array or a list of keys and values: all that is pushed until [`Tree::close`]
    /// belongs to it.
    pub fn open(&mut self, key: Span, list: Value) -> Mark {
        debug_assert!(matches!(list, Value::Array { .. } | Value::Kvlist { .. }));
        self.nodes.push(Node { key, value: list });
        Mark(self.nodes.len() - 1)
    }

    /// Closes the list that was opened at `mark`.
    pub fn close(&mut self, mark: Mark) {
        let below = (self.nodes.len() - mark.0 - 1) as u32;
        match &mut self.nodes[mark.0].value {
            Value::Array { nodes } | Value::Kvlist { nodes } => *nodes = below,
            _ => debug_assert!(false, "a mark points at a list"),
        }
    }

    /// The place where the next value will stand; two of them make a [`Range`].
    #[must_use]
    pub fn position(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Takes back everything from `position` on: a value that turned out to be malformed.
    pub fn rewind(&mut self, position: u32) {
        self.nodes.truncate(position as usize);
    }

    /// Shows each value since `position` that is not inside of another one, and takes out those for
    /// which `keep` says no, with all that is inside of them. Keys may be changed on the way.
    pub fn retain(&mut self, position: u32, mut keep: impl FnMut(&mut Tree, &mut Span, Value) -> bool) {
        let mut nodes = std::mem::take(&mut self.nodes);
        let (mut read, mut write) = (position as usize, position as usize);
        while let Some(Node { key, value }) = nodes.get_mut(read) {
            let next = read + 1 + value.below() as usize;
            if keep(self, key, *value) {
                nodes.copy_within(read..next, write);
                write += next - read;
            }
            read = next;
        }
        nodes.truncate(write);
        self.nodes = nodes;
    }

    /// The value at a position, with its key.
    #[must_use]
    pub(crate) fn node(&self, position: u32) -> Option<(Span, Value)> {
        self.nodes.get(position as usize).map(|node| (node.key, node.value))
    }

    /// Puts another value, which is no list, in the place of one that is none.
    pub(crate) fn set(&mut self, position: u32, value: Value) {
        debug_assert_eq!(value.below(), 0);
        if let Some(node) = self.nodes.get_mut(position as usize).filter(|node| node.value.below() == 0) {
            node.value = value;
        }
    }

    /// Everything since a position.
    #[must_use]
    pub(crate) fn since(&self, position: u32) -> Range {
        Range { start: position, end: self.position() }
    }

    /// Positions of the values in a range that are not inside of another one of it.
    pub(crate) fn siblings(&self, range: Range) -> impl Iterator<Item = u32> + '_ {
        let mut next = range.start;
        std::iter::from_fn(move || {
            let at = next;
            let node = (at < range.end).then(|| self.nodes.get(at as usize))??;
            next += 1 + node.value.below();
            Some(at)
        })
    }

    /// The buffer a span points into, the range in it, and whether it is the side buffer.
    #[must_use]
    pub(crate) fn place<'a>(&'a self, raw: &'a [u8], span: Span) -> (&'a [u8], std::ops::Range<usize>, bool) {
        let side = span.start & SIDE != 0;
        let start = (span.start & !SIDE) as usize;
        (if side { &self.side } else { raw }, start..start + span.len as usize, side)
    }

    /// The text kept so far.
    #[must_use]
    pub(crate) fn kept(&self) -> &[u8] {
        &self.side[..self.kept_side]
    }

    /// The bytes of a span.
    #[inline]
    pub(crate) fn text<'a>(&'a self, raw: &'a [u8], span: Span) -> &'a [u8] {
        let (bytes, start) =
            if span.start & SIDE != 0 { (self.side.as_slice(), span.start & !SIDE) } else { (raw, span.start) };
        // Spans are within their buffers, so the sum does not wrap.
        &bytes[start as usize..(start as usize).wrapping_add(span.len as usize)]
    }
}

/// What stands before a key that is kept as a fragment, and behind it.
const FRAGMENT_START: &[u8] = b",\"";
const FRAGMENT_END: &[u8] = b"\":\"";
/// Bytes that are copied at once of a fragment; behind the last one are so many more.
pub(crate) const FRAGMENT_BLOCK: usize = 64;

/// True for a byte that no encoding escapes.
#[must_use]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// A run of sibling values in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First node.
    pub start: u32,
    /// One past the last descendant.
    pub end: u32,
}

/// One log record; ranges point into the batch's raw bytes or into `tree`. Zero and empty mean
/// "not set", as in the OTLP protobuf encoding.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When the event happened, nanoseconds since the epoch; 0 when unknown.
    pub time_unix_nano: u64,
    /// When the collector saw it; the decoders always set it.
    pub observed_time_unix_nano: u64,
    /// OTel severity number, 0 when unknown.
    pub severity_number: i32,
    /// Severity as the source spelled it.
    pub severity_text: Span,
    /// Event name.
    pub event_name: Span,
    /// 16 bytes, or empty.
    pub trace_id: Span,
    /// 8 bytes, or empty.
    pub span_id: Span,
    /// W3C trace flags and reserved bits.
    pub flags: u32,
    /// Attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// No two attributes have the same key. False when that is not known.
    pub distinct_keys: bool,
    /// The body is a list of keys and values in which no key comes twice. False when that is not known.
    pub distinct_body: bool,
    /// The body is a line of which only its quotes need an escape, in any encoding. `None` when that is not
    /// known.
    pub plain: Option<Quotes>,
    /// The texts of the attributes need no escape. False when that is not known.
    pub plain_attributes: bool,
    /// The body: one value, or none. A body that was sent as the empty value is a range of one.
    pub body: Range,
    /// The attributes: any number of siblings.
    pub attributes: Range,
    /// Where body and attributes stand.
    pub tree: Tree,
}

impl Record {
    /// Makes it an empty record, keeping buffers and kept text.
    pub fn clear(&mut self) {
        // Field by field, because the tree is too large to be moved out and in for each record.
        let Record {
            time_unix_nano,
            observed_time_unix_nano,
            severity_number,
            severity_text,
            event_name,
            trace_id,
            span_id,
            flags,
            dropped_attributes_count,
            distinct_keys,
            distinct_body,
            plain,
            plain_attributes,
            body,
            attributes,
            tree,
        } = self;
        (*time_unix_nano, *observed_time_unix_nano) = (0, 0);
        (*severity_number, *severity_text, *event_name) = (0, Span::EMPTY, Span::EMPTY);
        (*trace_id, *span_id, *flags) = (Span::EMPTY, Span::EMPTY, 0);
        (*dropped_attributes_count, *distinct_keys, *distinct_body) = (0, false, false);
        (*plain, *plain_attributes) = (None, false);
        (*body, *attributes) = (Range::default(), Range::default());
        tree.clear();
    }

    /// It is not known any more what needs no escape: texts were changed.
    pub fn forget_plain(&mut self) {
        (self.plain, self.plain_attributes) = (None, false);
    }
}

/// What a group of records shares: resource and scope.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// True when the sender sent a resource message, even an empty one.
    pub has_resource: bool,
    /// Resource attributes.
    pub resource_attributes: Range,
    /// Resource attributes the sender dropped.
    pub resource_dropped_attributes_count: u32,
    /// Schema URL of the resource.
    pub resource_schema_url: Span,
    /// True when the sender sent a scope message, even an empty one.
    pub has_scope: bool,
    /// Scope name.
    pub scope_name: Span,
    /// Scope version.
    pub scope_version: Span,
    /// Scope attributes.
    pub scope_attributes: Range,
    /// Scope attributes the sender dropped.
    pub scope_dropped_attributes_count: u32,
    /// Schema URL of the scope's records.
    pub scope_schema_url: Span,
    /// Where the attributes stand.
    pub tree: Tree,
}

impl Envelope {
    /// Makes it an empty envelope, keeping the buffers.
    pub fn clear(&mut self) {
        let mut tree = std::mem::take(&mut self.tree);
        tree.clear_all();
        *self = Envelope { tree, ..Envelope::default() };
    }

    /// The envelope, readable together with the bytes it points into.
    #[must_use]
    pub fn view<'a>(&'a self, raw: &'a [u8]) -> EnvelopeRef<'a> {
        EnvelopeRef { raw, envelope: self }
    }
}

/// A borrowed value.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// The empty value.
    Empty,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// Text, not necessarily UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An array: the keys of the children are empty.
    Array(Values<'a>),
    /// Keys and values, in order, repeated keys included.
    Kvlist(Values<'a>),
}

/// Iterates over sibling values with their keys.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    raw: &'a [u8],
    tree: &'a Tree,
    at: u32,
    end: u32,
    distinct: bool,
    plain: bool,
}

impl<'a> Values<'a> {
    fn new(raw: &'a [u8], tree: &'a Tree, range: Range) -> Self {
        Values { raw, tree, at: range.start, end: range.end, distinct: false, plain: false }
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// True when it is known, without looking, that no key comes twice.
    #[must_use]
    pub(crate) fn are_distinct(&self) -> bool {
        self.distinct
    }

    /// True when it is known, without looking, that no text needs an escape.
    #[must_use]
    pub(crate) fn are_plain(&self) -> bool {
        self.plain
    }

    /// The keys alone.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'a [u8]> {
        let nodes = self.tree.nodes.get(self.at as usize..self.end as usize).unwrap_or_default();
        let mut rest = nodes.iter();
        std::iter::from_fn(move || {
            let node = rest.next()?;
            if let Value::Array { nodes: below @ 1.. } | Value::Kvlist { nodes: below @ 1.. } = node.value {
                rest.nth(below as usize - 1);
            }
            Some(self.tree.text(self.raw, node.key))
        })
    }

    /// The next value with its key, or with the beginning of a JSON member where that stands ready:
    /// `,"key":"`.
    #[inline]
    pub(crate) fn next_member(&mut self) -> Option<(Member<'a>, ValueRef<'a>)> {
        if self.at >= self.end {
            return None;
        }
        let Node { key, value } = *self.tree.nodes.get(self.at as usize)?;
        let start = (key.start & !SIDE) as usize;
        let member = if key.start & SIDE != 0 && start < self.tree.plain_side as usize {
            let end = start + key.len as usize + FRAGMENT_END.len();
            Member::Fragment(self.tree.side.get(start - FRAGMENT_START.len()..end)?)
        } else {
            Member::Key(self.tree.text(self.raw, key))
        };
        let value = match value {
            Value::Text(span) => {
                self.at += 1;
                ValueRef::Text(self.tree.text(self.raw, span))
            }
            Value::Int(it) => {
                self.at += 1;
                ValueRef::Int(it)
            }
            other => self.other(other),
        };
        Some((member, value))
    }

    /// The last value of that key, as a map with the repetitions collapsed would hold it.
    #[must_use]
    pub fn get(self, key: &[u8]) -> Option<ValueRef<'a>> {
        // Of nearly all keys the length alone tells that they differ.
        let nodes = self.tree.nodes.get(self.at as usize..self.end as usize)?;
        let (mut at, mut found) = (0, None);
        while let Some(node) = nodes.get(at) {
            if node.key.len as usize == key.len() && self.tree.text(self.raw, node.key) == key {
                found = Some(at);
                if self.distinct {
                    break;
                }
            }
            at += 1 + node.value.below() as usize;
        }
        let at = self.at + found? as u32;
        Values { at, ..self }.next().map(|(_, value)| value)
    }
}

/// How a member of an object begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'a> {
    /// With this key.
    Key(&'a [u8]),
    /// With this, see [`Tree::keep_fragments`].
    Fragment(&'a [u8]),
}

impl<'a> Iterator for Values<'a> {
    type Item = (&'a [u8], ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let node = &self.tree.nodes[self.at as usize];
        let key = self.tree.text(self.raw, node.key);
        // Nearly all values are text; the rest apart, so that this is small where it is inlined.
        if let Value::Text(span) = node.value {
            self.at += 1;
            return Some((key, ValueRef::Text(self.tree.text(self.raw, span))));
        }
        Some((key, self.other(node.value)))
    }
}

impl<'a> Values<'a> {
    #[inline(never)]
    fn other(&mut self, value: Value) -> ValueRef<'a> {
        let below = Range { start: self.at + 1, end: self.at + 1 };
        let text = |span| self.tree.text(self.raw, span);
        let list = |nodes: u32| Values::new(self.raw, self.tree, Range { end: below.end + nodes, ..below });
        let (value, nodes) = match value {
            Value::Empty => (ValueRef::Empty, 0),
            Value::Bool(it) => (ValueRef::Bool(it), 0),
            Value::Int(it) => (ValueRef::Int(it), 0),
            Value::Double(it) => (ValueRef::Double(it), 0),
            Value::Text(span) => (ValueRef::Text(text(span)), 0),
            Value::Bytes(span) => (ValueRef::Bytes(text(span)), 0),
            Value::Array { nodes } => (ValueRef::Array(list(nodes)), nodes),
            Value::Kvlist { nodes } => (ValueRef::Kvlist(list(nodes)), nodes),
        };
        self.at += 1 + nodes;
        value
    }
}

/// A record with the bytes it points into and the envelope it came in.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    raw: &'a [u8],
    record: &'a Record,
    envelope: &'a Envelope,
}

impl<'a> RecordRef<'a> {
    /// Puts the parts together; the spans of both must point into `raw`.
    #[must_use]
    pub fn new(raw: &'a [u8], record: &'a Record, envelope: &'a Envelope) -> Self {
        RecordRef { raw, record, envelope }
    }

    /// The numbers of the record.
    #[must_use]
    pub fn fields(&self) -> &'a Record {
        self.record
    }

    /// The bytes of one of the record's own spans.
    #[must_use]
    pub fn text(&self, span: Span) -> &'a [u8] {
        self.record.tree.text(self.raw, span)
    }

    /// As [`RecordRef::text`], to be read in blocks.
    #[inline(always)]
    pub(crate) fn onwards(&self, span: Span) -> Option<Text<'a>> {
        self.record.tree.onwards(self.raw, span)
    }

    /// The body; `None` when there is none.
    #[must_use]
    pub fn body(&self) -> Option<ValueRef<'a>> {
        let (_, value) = Values::new(self.raw, &self.record.tree, self.record.body).next()?;
        Some(match value {
            ValueRef::Kvlist(members) => ValueRef::Kvlist(Values { distinct: self.record.distinct_body, ..members }),
            other => other,
        })
    }

    /// The attributes.
    #[must_use]
    pub fn attributes(&self) -> Values<'a> {
        let Record { tree, attributes, distinct_keys, plain_attributes, .. } = self.record;
        Values { distinct: *distinct_keys, plain: *plain_attributes, ..Values::new(self.raw, tree, *attributes) }
    }

    /// The body, where it is a line of which only the quotes need an escape, and their places in it.
    #[must_use]
    pub(crate) fn plain_line(&self) -> Option<(Text<'a>, &'a [u32])> {
        let Record { tree, body, plain, .. } = self.record;
        let quotes = plain.as_ref()?.places();
        let Value::Text(span) = tree.nodes.get(body.start as usize)?.value else { return None };
        Some((Text::of(span, self.raw, &tree.side)?, quotes))
    }

    /// Resource and scope.
    #[must_use]
    pub fn envelope(&self) -> EnvelopeRef<'a> {
        self.envelope.view(self.raw)
    }
}

/// An envelope with the bytes it points into.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeRef<'a> {
    raw: &'a [u8],
    envelope: &'a Envelope,
}

impl<'a> EnvelopeRef<'a> {
    /// The numbers of the envelope.
    #[must_use]
    pub fn fields(&self) -> &'a Envelope {
        self.envelope
    }

    /// The bytes of one of the envelope's own spans.
    #[must_use]
    pub fn text(&self, span: Span) -> &'a [u8] {
        self.envelope.tree.text(self.raw, span)
    }

    /// Attributes of the resource.
    #[must_use]
    pub fn resource_attributes(&self) -> Values<'a> {
        Values::new(self.raw, &self.envelope.tree, self.envelope.resource_attributes)
    }

    /// Attributes of the scope.
    #[must_use]
    pub fn scope_attributes(&self) -> Values<'a> {
        Values::new(self.raw, &self.envelope.tree, self.envelope.scope_attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Option<ValueRef<'_>>) -> String {
        match value {
            Some(ValueRef::Text(it)) => String::from_utf8_lossy(it).into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn nested_lists_iterate_by_sibling() {
        let raw = b"line k inner";
        let (line, key, inner) = (Span::raw(0, 4), Span::raw(5, 6), Span::raw(7, 12));
        let mut record = Record::default();
        let start = record.tree.position();
        record.tree.push(Span::EMPTY, Value::Text(line));
        record.body = Range { start, end: record.tree.position() };
        let start = record.tree.position();
        let outer = record.tree.open(key, Value::Kvlist { nodes: 0 });
        let list = record.tree.open(inner, Value::Array { nodes: 0 });
        record.tree.push(Span::EMPTY, Value::Int(1));
        record.tree.push(Span::EMPTY, Value::Int(2));
        record.tree.close(list);
        record.tree.close(outer);
        let side = record.tree.side_text(b"written beside");
        record.tree.push(key, Value::Text(side));
        record.attributes = Range { start, end: record.tree.position() };

        let envelope = Envelope::default();
        let view = RecordRef::new(raw, &record, &envelope);
        assert_eq!(text(view.body()), "line");
        assert_eq!(view.attributes().count(), 2);
        assert_eq!(text(view.attributes().get(b"k")), "written beside");
        let Some((b"k", ValueRef::Kvlist(children))) = view.attributes().next() else { panic!("a kvlist first") };
        let Some((b"inner", ValueRef::Array(items))) = { children }.next() else { panic!("then an array") };
        assert_eq!(items.count(), 2);
    }

    #[test]
    fn kept_text_survives_clear_and_the_rest_does_not() {
        let mut record = Record::default();
        let kept = record.tree.keep(b"peer");
        let _ = record.tree.side_text(b"gone");
        record.tree.push(Span::EMPTY, Value::Text(kept));
        record.clear();
        let envelope = Envelope::default();
        assert_eq!(RecordRef::new(b"", &record, &envelope).text(kept), b"peer");
        assert!(record.tree.nodes.is_empty());
        assert_eq!(record.tree.side.len(), 4);
    }
}
