//! From fields to attributes at the end of a record's tree: what every room needs.

use std::ops::Range;

use super::address::{Address, host_and_port, is_ip};
use super::keys::{Key, Keys};
use super::mojibake::{self, Finding};
use super::short_address::ShortAddress;
use super::{Applied, Field, Fields, number};
use crate::record::{Span, Text, Tree, Value};

/// A record under way.
pub(super) struct Writer<'a> {
    pub(super) fields: &'a Fields,
    pub(super) keys: &'a Keys,
    pub(super) raw: &'a [u8],
    pub(super) tree: &'a mut Tree,
    pub(super) applied: Applied,
    /// A value may be mapped bytes, or may not.
    pub(super) doubtful: bool,
}

impl Writer<'_> {
    #[inline]
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.tree.text(self.raw, span)
    }

    /// A text, to be read in blocks.
    #[inline(always)]
    pub(super) fn onwards(&self, span: Span) -> Option<Text<'_>> {
        self.tree.onwards(self.raw, span)
    }

    /// Host and port of a text.
    #[inline(always)]
    pub(super) fn address(&self, span: Span) -> Address {
        match self.onwards(span).and_then(ShortAddress::of) {
            Some(short) => short.host_and_port(),
            None => host_and_port(self.bytes(span)),
        }
    }

    /// True for a text that begins with an IP address of so many bytes.
    #[inline(always)]
    pub(super) fn begins_with_ip(&self, span: Span, host: Range<usize>) -> bool {
        let short = self.onwards(span).and_then(ShortAddress::of);
        (host.start == 0 && short.is_some_and(|it| it.is_v4(host.len()))) || is_ip(&self.bytes(span)[host])
    }

    /// A field as text that is not empty; numbers and booleans are written out.
    #[inline]
    pub(super) fn text(&mut self, field: Field) -> Option<Span> {
        let text = match self.fields.look(field)? {
            Value::Text(span) => *span,
            other => self.written(*other),
        };
        (!text.is_empty()).then_some(text)
    }

    /// A value as text, empty for what has none: an `Option` would come through memory.
    #[cold]
    fn written(&mut self, value: Value) -> Span {
        match value {
            Value::Text(span) | Value::Bytes(span) => span,
            Value::Int(it) => self.tree.side_text(itoa::Buffer::new().format(it).as_bytes()),
            Value::Double(it) => match number::whole(it) {
                Some(it) => self.tree.side_text(itoa::Buffer::new().format(it).as_bytes()),
                None => self.tree.side_text(ryu::Buffer::new().format(it).as_bytes()),
            },
            Value::Bool(it) => self.tree.side_text(if it { b"true" } else { b"false" }),
            Value::Empty | Value::Array { .. } | Value::Kvlist { .. } => Span::EMPTY,
        }
    }

    /// A field as a whole number.
    #[inline(always)]
    pub(super) fn int(&self, field: Field) -> Option<i64> {
        match self.fields.look(field)? {
            Value::Int(it) => Some(*it),
            other => self.int_of(*other),
        }
    }

    #[inline(always)]
    fn int_of(&self, value: Value) -> Option<i64> {
        match value {
            Value::Text(span) => self.onwards(span).and_then(number::short).or_else(|| self.any_int_of(value)),
            _ => self.any_int_of(value),
        }
    }

    #[inline(never)]
    fn any_int_of(&self, value: Value) -> Option<i64> {
        match value {
            Value::Text(span) => number::int(self.bytes(span)),
            Value::Double(it) => number::whole(it),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, key: Key, value: Value) {
        self.tree.push(self.keys.of(key), value);
    }

    #[inline]
    pub(super) fn push_text(&mut self, key: Key, text: Option<Span>) {
        if let Some(text) = text {
            self.push(key, Value::Text(text));
        }
    }

    #[inline]
    pub(super) fn push_part(&mut self, key: Key, text: Span, part: Range<usize>) {
        if !part.is_empty() {
            self.push(key, Value::Text(text.part(part.start, part.end)));
        }
    }

    /// A field that is text.
    #[inline]
    pub(super) fn push_field(&mut self, key: Key, field: Field) {
        let text = self.text(field);
        self.push_text(key, text);
    }

    /// A field that is a whole number; what is none stays text, so that nothing is lost.
    #[inline(always)]
    pub(super) fn push_int(&mut self, key: Key, field: Field) {
        match self.int(field) {
            Some(it) => self.push(key, Value::Int(it)),
            None => self.push_field(key, field),
        }
    }

    /// Text that a client controls, with its bytes as they were sent.
    #[inline(always)]
    pub(super) fn sent(&mut self, text: Span) -> Span {
        if self.fields.ascii { text } else { self.sent_as_other(text) }
    }

    #[inline(never)]
    fn sent_as_other(&mut self, text: Span) -> Span {
        match mojibake::look(self.bytes(text)) {
            Finding::Clean => text,
            Finding::Possible => {
                self.doubtful = true;
                text
            }
            Finding::Certain => {
                self.applied.mojibake = true;
                mojibake::undo(text, self.raw, self.tree)
            }
        }
    }

    /// A field that is text and that a client controls.
    #[inline]
    pub(super) fn push_sent(&mut self, key: Key, field: Field) {
        if let Some(text) = self.text(field) {
            let text = self.sent(text);
            self.push(key, Value::Text(text));
        }
    }

    /// A header: a list of one, as the conventions have it.
    #[inline]
    pub(super) fn push_header(&mut self, key: Span, text: Span) {
        let text = self.sent(text);
        let list = self.tree.open(key, Value::Array { nodes: 0 });
        self.tree.push(Span::EMPTY, Value::Text(text));
        self.tree.close(list);
    }

    /// A field that is a header.
    pub(super) fn push_header_field(&mut self, key: Key, field: Field) {
        if let Some(text) = self.text(field) {
            self.push_header(self.keys.of(key), text);
        }
    }

    /// The attributes of their own, each as its kind says; lists are not values here.
    pub(super) fn others(&mut self) {
        for &(key, value, kind) in self.fields.others() {
            self.other(key, value, kind);
        }
    }

    fn other(&mut self, key: Span, value: Value, kind: super::Kind) {
        use super::Kind;
        let text = match value {
            Value::Array { .. } | Value::Kvlist { .. } => return,
            Value::Text(text) => Some(text),
            _ => None,
        };
        let value = match (kind, text) {
            (Kind::Header, _) => {
                let written = text.unwrap_or_else(|| self.written(value));
                if text.is_some() || !written.is_empty() {
                    self.push_header(key, written);
                }
                return;
            }
            (Kind::Text, None) => Some(self.written(value)).filter(|it| !it.is_empty()).map(Value::Text),
            (Kind::Int, Some(text)) => number::int(self.bytes(text)).map(Value::Int),
            (Kind::Bool, Some(text)) => match self.bytes(text) {
                b"true" => Some(Value::Bool(true)),
                b"false" => Some(Value::Bool(false)),
                _ => None,
            },
            (Kind::Any, Some(text)) => number::json_scalar(self.bytes(text)),
            (Kind::Int, None) => match value {
                Value::Double(it) => number::whole(it).map(Value::Int),
                _ => None,
            },
            _ => None,
        }
        .unwrap_or(value);
        self.tree.push(key, value);
    }
}
