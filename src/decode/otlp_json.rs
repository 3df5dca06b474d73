//! OTLP/JSON in, the protobuf bytes of the same `ExportLogsServiceRequest` out: what comes behind
//! knows one encoding.
//!
//! It reads what ProtoJSON allows and OTLP adds to it (OTLP specification, "JSON Protobuf Encoding"):
//! names in lowerCamelCase or as in the schema, 64-bit integers as numbers or text, enums as
//! numbers or names, `null` for what is not there, ids in hex, bytes in base64 of either alphabet.
//! Unknown members are passed over. A member that comes twice is what it would be in protobuf: the
//! last one counts, and lists are put one behind the other. Text that is not UTF-8, and halves of
//! surrogate pairs, are kept as bytes, for [`super::otlp::repair`] to replace.
//!
//! There is no tree: each value is written as it is read, and no request grows by it, so memory is
//! that of the text four times: it, what becomes of it, and a text with escapes while it is read. Recursion ends at [`DEPTH_MAX`] values.

mod names;
mod number;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::names::{Holds, field, severity};
use self::number::Number;
use super::DEPTH_MAX;
use super::otlp::CheckErrorKind;
use super::otlp::schema::Message;
use super::wire::{
    patch_varint, put_tag_bytes, put_tag_fixed32, put_tag_fixed64, put_tag_varint, put_varint, varint_len,
};

/// Why a text is not OTLP/JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Values nested too deep.
    #[error("{}", CheckErrorKind::TooDeep)]
    TooDeep,
    /// No JSON, or a value that its field cannot have; with line and column.
    #[error("malformed OTLP/JSON: {0}")]
    Malformed(serde_json::Error),
}

/// The request in protobuf, hardly ever longer than the text, and then by a few bytes.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn to_protobuf(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    // Decoding base64 asks for a little more than it fills.
    let mut sink = Sink { out: Vec::with_capacity(text.len() + text.len() / 8192 + 64), too_deep: false };
    let mut reader = serde_json::Deserializer::from_slice(text);
    // Bounded by the depth of values, and what is passed over needs no stack.
    reader.disable_recursion_limit();
    let read = reader.deserialize_map(Request(&mut sink)).and_then(|()| reader.end());
    match read {
        Ok(()) => Ok(sink.out),
        Err(_) if sink.too_deep => Err(JsonError::TooDeep),
        Err(error) => Err(JsonError::Malformed(error)),
    }
}

/// What has been written.
struct Sink {
    out: Vec<u8>,
    too_deep: bool,
}

impl Sink {
    /// Begins a field with a length, and says where that is to stand.
    fn begin(&mut self, number: u32) -> usize {
        put_tag_bytes(&mut self.out, number);
        self.out.push(0);
        self.out.len()
    }

    /// Writes the length of what was written since. Most are short; what is longer than 127 bytes
    /// makes room for it.
    fn end(&mut self, start: usize) {
        let length = self.out.len() - start;
        let digits = varint_len(length as u64);
        if digits > 1 {
            self.out.resize(start + length + digits - 1, 0);
            self.out.copy_within(start..start + length, start + digits - 1);
        }
        if let Some(place) = self.out.get_mut(start - 1..start - 1 + digits) {
            patch_varint(place, length as u64);
        }
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        put_tag_bytes(&mut self.out, number);
        put_varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn varint(&mut self, number: u32, value: u64) {
        put_tag_varint(&mut self.out, number);
        put_varint(&mut self.out, value);
    }

    fn fixed64(&mut self, number: u32, value: u64) {
        put_tag_fixed64(&mut self.out, number);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn fixed32(&mut self, number: u32, value: u32) {
        put_tag_fixed32(&mut self.out, number);
        self.out.extend_from_slice(&value.to_le_bytes());
    }
}

/// The whole text.
struct Request<'a>(&'a mut Sink);

impl<'de> Visitor<'de> for Request<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with resourceLogs")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(map, Message::Request, 0, self.0)
    }
}

/// Writes the members of a message. `depth` is the number of values around them.
fn members<'de, A: MapAccess<'de>>(mut map: A, message: Message, depth: u32, sink: &mut Sink) -> Result<(), A::Error> {
    while let Some(known) = map.next_key_seed(Name(message))? {
        match known {
            Some((number, holds)) => {
                map.next_value_seed(Value { holds, number, depth, is_item: false, sink })?;
            }
            None => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    Ok(())
}

/// The name of a member of this message.
struct Name(Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<(u32, Holds)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        // As bytes: any text is a name, though it may be none of ours.
        reader.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<(u32, Holds)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(field(self.0, name))
    }
}

/// The value of a member, or one item of its list.
struct Value<'a> {
    holds: Holds,
    number: u32,
    depth: u32,
    is_item: bool,
    sink: &'a mut Sink,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.holds {
            Holds::Text | Holds::Bytes | Holds::Id => reader.deserialize_option(self),
            _ => reader.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.holds.wanted())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_bytes(self)
    }

    /// Not there; but as an item of a list an empty one.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.is_item {
            self.sink.bytes(self.number, &[]);
        }
        Ok(())
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<(), E> {
        match self.holds {
            Holds::Text => self.sink.bytes(self.number, text),
            Holds::Bytes => {
                let start = self.sink.begin(self.number);
                base64(text, &mut self.sink.out).map_err(|_| self.wrong::<E>())?;
                self.sink.end(start);
            }
            Holds::Id => {
                let start = self.sink.begin(self.number);
                hex(text, &mut self.sink.out).ok_or_else(|| self.wrong::<E>())?;
                self.sink.end(start);
            }
            _ => return Err(self.wrong()),
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.holds {
            Holds::Bool => self.sink.varint(self.number, u64::from(value)),
            _ => return Err(self.wrong()),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(&Number::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(&Number::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(&Number::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match (self.holds, severity(text)) {
            (Holds::Severity, Some(number)) => {
                self.sink.varint(self.number, number);
                Ok(())
            }
            _ => self.number(&Number::Text(text)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Holds::Message(message) = self.holds else { return Err(self.wrong()) };
        let depth = self.depth + u32::from(message == Message::AnyValue);
        if depth > DEPTH_MAX {
            self.sink.too_deep = true;
            return Err(Error::custom("too deep"));
        }
        let start = self.sink.begin(self.number);
        members(map, message, depth, self.sink)?;
        self.sink.end(start);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Value { number, depth, sink, .. } = self;
        let holds = match self.holds {
            Holds::Messages(message) => Holds::Message(message),
            Holds::Texts => Holds::Text,
            holds => return Err(Error::custom(format_args!("a list instead of {}", holds.wanted()))),
        };
        while items.next_element_seed(Value { holds, number, depth, is_item: true, sink })?.is_some() {}
        Ok(())
    }
}

impl Value<'_> {
    /// The value is not repeated: it may be as long as the request.
    fn wrong<E: Error>(&self) -> E {
        E::custom(format_args!("this is not {}", self.holds.wanted()))
    }

    fn number<E: Error>(self, value: &Number<'_>) -> Result<(), E> {
        let fits = match self.holds {
            Holds::Int64 => value.signed().map(|it| self.sink.varint(self.number, it as u64)),
            Holds::Severity | Holds::Int32 => value
                .signed()
                .and_then(|it| i32::try_from(it).ok())
                .map(|it| self.sink.varint(self.number, i64::from(it) as u64)),
            Holds::Uint32 => value
                .unsigned()
                .and_then(|it| u32::try_from(it).ok())
                .map(|it| self.sink.varint(self.number, u64::from(it))),
            Holds::Fixed64 => value.unsigned().map(|it| self.sink.fixed64(self.number, it)),
            Holds::Fixed32 => {
                value.unsigned().and_then(|it| u32::try_from(it).ok()).map(|it| self.sink.fixed32(self.number, it))
            }
            Holds::Double => value.double().map(|it| self.sink.fixed64(self.number, it.to_bits())),
            _ => None,
        };
        fits.ok_or_else(|| self.wrong())
    }
}

/// Either alphabet, with or without padding, as ProtoJSON has it.
fn base64(text: &[u8], out: &mut Vec<u8>) -> Result<(), base64::DecodeError> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
    let engine = if memchr::memchr2(b'-', b'_', text).is_some() { URL_SAFE } else { STANDARD };
    engine.decode_vec(text, out)
}

/// Either case. Of any length: what is no id is counted where the request is checked.
fn hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks_exact(2);
    let is_whole = pairs.remainder().is_empty();
    for pair in pairs {
        out.push((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    }
    is_whole.then_some(())
}
