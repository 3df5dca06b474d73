//! One JSON object into the nodes of a tree.
//!
//! Text without escapes stays where it is, as a range of the payload; only escaped text is copied
//! to the side buffer. Members keep their order and repeated keys are all kept: they collapse
//! where a JSON object is written, see `encode`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::DEPTH_MAX;
use super::reason::Reason;
use crate::record::{Span, Tree, Value};

/// Reads `payload[start..end]` and pushes the members of the object, as siblings. When it is not
/// a JSON object, the tree is left as it was.
///
/// An integer that fits 64 signed bits stays one, every other number is a double. Time is linear
/// in the length of the text, recursion ends at [`DEPTH_MAX`], and nothing is allocated but what
/// serde needs to undo escapes and to report failure.
pub fn object(payload: &[u8], start: usize, end: usize, tree: &mut Tree) -> Result<(), Reason> {
    let text = std::str::from_utf8(&payload[start..end]).map_err(|_| Reason::InvalidUtf8)?;
    let position = tree.position();
    let mut reader = Reader { origin: payload.as_ptr().addr(), depth: 0, too_deep: false, tree };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Object(&mut reader)).and_then(|()| deserializer.end());
    let Err(_) = read else { return Ok(()) };
    let too_deep = reader.too_deep;
    tree.rewind(position);
    Err(if too_deep {
        Reason::TooDeep
    } else if text.trim_start_matches([' ', '\t']).starts_with('{') || serde_json::from_str::<IgnoredAny>(text).is_err()
    {
        Reason::InvalidJson
    } else {
        Reason::NotAnObject
    })
}

struct Reader<'t> {
    /// Address of the payload's first byte: what serde borrows is found again by subtraction.
    origin: usize,
    depth: u32,
    too_deep: bool,
    tree: &'t mut Tree,
}

impl Reader<'_> {
    fn borrowed(&self, text: &str) -> Span {
        let start = text.as_ptr().addr() - self.origin;
        Span::raw(start, start + text.len())
    }

    fn members<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Text(self))? {
            map.next_value_seed(Member { reader: self, key })?;
        }
        Ok(())
    }

    fn list<E: serde::de::Error>(
        &mut self,
        key: Span,
        list: Value,
        read: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.depth == DEPTH_MAX {
            self.too_deep = true;
            return Err(E::custom("too deep"));
        }
        self.depth += 1;
        let mark = self.tree.open(key, list);
        read(self)?;
        self.tree.close(mark);
        self.depth -= 1;
        Ok(())
    }
}

/// The whole line.
struct Object<'r, 't>(&'r mut Reader<'t>);

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.members(map)
    }
}

/// A key.
struct Text<'r, 't>(&'r mut Reader<'t>);

impl<'de> DeserializeSeed<'de> for Text<'_, '_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text<'_, '_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Span, E> {
        Ok(self.0.borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Span, E> {
        Ok(self.0.tree.side_text(text.as_bytes()))
    }
}

/// A value, with the key it belongs to; in an array the key is empty.
struct Member<'r, 't> {
    reader: &'r mut Reader<'t>,
    key: Span,
}

impl Member<'_, '_> {
    fn push<E>(self, value: Value) -> Result<(), E> {
        self.reader.tree.push(self.key, value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Value::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.push(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.push(i64::try_from(value).map_or(Value::Double(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.push(Value::Double(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        let span = self.reader.borrowed(text);
        self.push(Value::Text(span))
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let span = self.reader.tree.side_text(text.as_bytes());
        self.push(Value::Text(span))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.reader.list(self.key, Value::Array { nodes: 0 }, |reader| {
            while items.next_element_seed(Member { reader, key: Span::EMPTY })?.is_some() {}
            Ok(())
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.reader.list(self.key, Value::Kvlist { nodes: 0 }, |reader| reader.members(map))
    }
}
