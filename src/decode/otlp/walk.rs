//! The walk over a request that check and repair share, so that they cannot disagree.

use std::ops::Range;

use super::check::{CheckError, CheckErrorKind};
use super::plain::{ShortAttribute, next_short_attribute, tag, text_attribute, text_value};
use super::schema::{Kind, LIST_VALUES, Message, kind, log_record, resource, scope};
use crate::decode::DEPTH_MAX;
use crate::decode::wire::{Fields, Piece, Value};

/// What is told of a request, in the order of its bytes.
pub(super) trait Watcher {
    /// Whether [`Watcher::text_attribute`] and [`Watcher::text_value`] are told of what is inside.
    const SHORT: bool = false;
    /// The field of `parent` that begins at offset `at` holds that message.
    fn enter(&mut self, parent: Message, message: Message, at: usize, piece: Piece) -> Result<(), CheckErrorKind>;
    /// The message that was entered last and not left yet ends.
    fn leave(&mut self, message: Message);
    /// A field holds text, UTF-8 or not.
    fn text(&mut self, piece: Piece);
    /// The attribute that was entered last is a key and a text. It needs no leaving.
    fn text_attribute(&mut self, _key: Range<usize>, _text: Range<usize>) {}
    /// The value that was entered last is a text. It needs no leaving.
    fn text_value(&mut self, _text: Range<usize>) {}
    /// A field holds an identifier of the wrong length.
    fn invalid_id(&mut self) {}
}

/// Walks the whole request and stops at the first thing wrong with it.
pub(super) fn walk(raw: &[u8], watcher: &mut impl Watcher) -> Result<(), CheckError> {
    message(raw, Message::Request, Piece { length_at: 0, start: 0, end: raw.len() }, 0, watcher)
}

/// `depth` is the number of values around these fields: at most [`DEPTH_MAX`]. A value nests in
/// the next one through at most three messages, which bounds the recursion.
fn message<W: Watcher>(
    raw: &[u8],
    parent: Message,
    piece: Piece,
    depth: u32,
    watcher: &mut W,
) -> Result<(), CheckError> {
    let mut fields = Fields::new(raw, piece.start, piece.end);
    loop {
        if W::SHORT
            && depth < DEPTH_MAX
            && let Some(tag) = attributes(parent)
        {
            let mut at = fields.rest().0;
            while let Some(ShortAttribute { key, text }) = next_short_attribute(&mut fields, tag) {
                let piece = Piece { length_at: at.wrapping_add(1), start: at.wrapping_add(2), end: text.end };
                watcher.enter(parent, Message::KeyValue, at, piece).map_err(|kind| CheckError { kind, at })?;
                at = text.end;
                watcher.text_attribute(key, text);
            }
        }
        let Some(field) = fields.next() else { break };
        let field = field.map_err(|it| CheckError { kind: it.defect.into(), at: it.at })?;
        let refuse = |kind| CheckError { kind, at: field.at };
        match (kind(parent, field.number), field.value) {
            (Kind::Message(inner), Value::Bytes(piece)) => {
                let depth = depth + u32::from(inner == Message::AnyValue);
                if depth > DEPTH_MAX {
                    return Err(refuse(CheckErrorKind::TooDeep));
                }
                watcher.enter(parent, inner, field.at, piece).map_err(refuse)?;
                if W::SHORT
                    && inner == Message::KeyValue
                    && depth < DEPTH_MAX
                    && let Some((key, text)) = text_attribute(raw, piece)
                {
                    watcher.text_attribute(key, text);
                    continue;
                }
                if W::SHORT
                    && inner == Message::AnyValue
                    && let Some(text) = text_value(raw, piece)
                {
                    watcher.text_value(text);
                    continue;
                }
                message(raw, inner, piece, depth, watcher)?;
                watcher.leave(inner);
            }
            (Kind::Text, Value::Bytes(piece)) => watcher.text(piece),
            (Kind::Id(len), Value::Bytes(piece)) => {
                if ![0, usize::from(len)].contains(&(piece.end - piece.start)) {
                    watcher.invalid_id();
                }
            }
            (Kind::Unknown, _)
            | (Kind::Varint, Value::Varint(_))
            | (Kind::Fixed64, Value::Fixed64(_))
            | (Kind::Fixed32, Value::Fixed32(_))
            | (Kind::Bytes, Value::Bytes(_)) => {}
            _ => return Err(refuse(CheckErrorKind::WrongType)),
        }
    }
    Ok(())
}

/// The tag of the attributes of a message that has some.
#[inline(always)]
fn attributes(message: Message) -> Option<u8> {
    Some(match message {
        Message::LogRecord => const { tag(log_record::ATTRIBUTES) },
        Message::KeyValueList => const { tag(LIST_VALUES) },
        Message::Resource => const { tag(resource::ATTRIBUTES) },
        Message::Scope => const { tag(scope::ATTRIBUTES) },
        _ => return None,
    })
}
