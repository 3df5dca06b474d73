//! One record: a line, or an OTLP record.

use super::leaf::Fit;
use super::leaf::{again, is_absent, other, set};
use super::{KnownKeys, Outcome, Reader, Reading, Reason, Space, is_reserved};
use crate::decode::json;
use crate::quotes::Quotes;
use crate::record::{Record, Tree, Value};
use crate::semantics::{Evidence, Field, Fields, Meaning, known_key};

/// What kuma-dp sends when a JSON format had no value at all.
const NO_VALUES: &[u8] = b"null";
/// What stands for a whole format in Kuma 2.11 and later, see [`Reason::ProtocolName`].
const PROTOCOL_NAME: &[u8] = b"tcp";

impl Reader {
    /// Reads the line `payload[start..end]` into attributes at the end of the record's tree, times,
    /// identifiers and severity. The body is the caller's business. Takes time linear in the length
    /// of the line for each format, and allocates nothing once `space` has grown.
    pub fn line(&self, payload: &[u8], start: usize, end: usize, space: &mut Space, record: &mut Record) -> Outcome {
        if self.raw {
            return Outcome::raw(None);
        }
        space.fields.clear();
        record.distinct_keys = true;
        let line = &payload[start..end];
        if let Some((plain, reading)) = self.plain(payload, start, end, &mut space.places, &mut space.fields) {
            record.distinct_keys = plain.distinct;
            let reason = (reading == Reading::Ambiguous).then_some(Reason::Ambiguous);
            record.plain = space.places.plain();
            record.plain_attributes = record.plain.is_some();
            let ascii = record.plain.as_ref().map_or_else(|| is_ascii(line), Quotes::is_ascii);
            if ascii {
                space.fields.set_ascii();
            }
            let outcome = self.apply(reason, payload, space, record);
            if outcome.applied.mojibake {
                // What was hidden in characters may be anything.
                record.forget_plain();
            }
            return Outcome { text: ascii || record.plain.is_some(), ..outcome };
        }
        let looks_like_json = line.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b'{');
        match line {
            NO_VALUES => Outcome::raw(Some(Reason::NoValues)),
            PROTOCOL_NAME if !self.json_only => Outcome::raw(Some(Reason::ProtocolName)),
            _ if self.json_only || (looks_like_json && (self.known || !self.objects.is_empty())) => {
                self.object(payload, start, end, space, record)
            }
            _ => Outcome::raw(Some(Reason::UnknownFormat)),
        }
    }

    /// Reads what should be a JSON object. When nothing is left of it but fields, each attribute has a name of its own.
    fn object(&self, payload: &[u8], start: usize, end: usize, space: &mut Space, record: &mut Record) -> Outcome {
        record.distinct_keys = false;
        let position = record.tree.position();
        if let Err(reason) = json::object(payload, start, end, &mut record.tree) {
            return Outcome::raw(Some(reason));
        }
        if record.tree.position() == position {
            return Outcome::raw(Some(Reason::NoValues));
        }
        let reason = self.members(payload, position, space, &mut record.tree);
        drop_reserved(payload, position, &mut record.tree);
        record.distinct_keys = record.tree.position() == position && space.fields.others().is_empty();
        let stray_quotes = unquote(payload, &record.tree, &mut space.fields);
        Outcome { stray_quotes, ..self.apply(reason, payload, space, record) }
    }

    /// Moves what is known of the values since `position` into the fields; what is not known stays
    /// where it is.
    fn members(&self, raw: &[u8], position: u32, space: &mut Space, tree: &mut Tree) -> Option<Reason> {
        let range = tree.since(position);
        if let Some(format) = self.objects.iter().find(|format| format.has_all(raw, tree, range)) {
            return format.read(raw, tree, position, space).then_some(Reason::Ambiguous);
        }
        if !self.known {
            return Some(Reason::UnknownFormat);
        }
        let mut evidence = Evidence::default();
        for at in tree.siblings(range) {
            if let Some(known) = tree.node(at).and_then(|(key, _)| known_key(tree.text(raw, key))) {
                evidence.add(known);
            }
        }
        if evidence.is_access_log() {
            let Space { fields, known, .. } = space;
            return known_members(raw, position, fields, known, tree).then_some(Reason::Ambiguous);
        }
        None
    }

    /// Reads an OTLP record whose body stands before its attributes, and these at the end of the
    /// tree: attributes that are known get their names and types, and the body is read like a line.
    /// Records of other senders than Envoy (`from_envoy`) are left alone, unless the source has the
    /// shape of a policy that they fit.
    pub fn otlp(&self, raw: &[u8], from_envoy: bool, space: &mut Space, record: &mut Record) -> Outcome {
        space.fields.clear();
        space.inner.clear();
        let shape = self.shapes.iter().find(|shape| shape.fits(raw, record));
        let mut ambiguous = shape.is_some_and(|shape| shape.read(raw, record, space));
        let reads_body = from_envoy && !shape.is_some_and(|shape| shape.has_body());
        if shape.is_some() && reads_body {
            let Space { fields, inner, .. } = &mut *space;
            std::mem::swap(fields, inner);
        }
        if shape.is_none() && self.known && from_envoy {
            let position = record.attributes.start;
            let Space { inner, known, .. } = &mut *space;
            ambiguous = known_members(raw, position, inner, known, &mut record.tree);
        }
        let mut is_read = true;
        if reads_body {
            let reading = self.body(raw, space, record);
            ambiguous |= reading == Some(Reading::Ambiguous);
            is_read = reading.is_some();
            let Space { fields, inner, .. } = &mut *space;
            fields.complete(inner);
        }
        if space.fields.is_empty() && !ambiguous {
            record.attributes.end = record.tree.position();
            return Outcome::default();
        }
        // Then the attributes are what the fields become, each with a name of its own.
        record.distinct_keys = record.tree.position() == record.attributes.start && space.fields.others().is_empty();
        record.plain_attributes &= record.distinct_keys;
        let stray_quotes = unquote(raw, &record.tree, &mut space.fields);
        let outcome = self.apply(ambiguous.then_some(Reason::Ambiguous), raw, space, record);
        if outcome.applied.mojibake {
            record.forget_plain();
        }
        if let Some(reason) = outcome.reason {
            record.tree.push(self.words.parse_error, Value::Text(self.words.reasons[reason as usize]));
        }
        record.attributes.end = record.tree.position();
        Outcome { ok: outcome.ok && is_read, stray_quotes, ..outcome }
    }

    /// Reads the body of a record of Envoy without knowing its format, into fields that are empty; `None`
    /// for a text that no format fits. What attributes say is in `space.inner`.
    fn body(&self, raw: &[u8], space: &mut Space, record: &mut Record) -> Option<Reading> {
        let tree = &record.tree;
        let Some((_, value)) = tree.siblings(record.body).next().and_then(|at| tree.node(at)) else {
            return Some(Reading::Unique);
        };
        match value {
            Value::Text(span) => {
                let (buffer, range, in_side) = tree.place(raw, span);
                if in_side {
                    return None;
                }
                let Space { places, fields, inner, .. } = space;
                let (_, reading) = self.plain(buffer, range.start, range.end, places, fields)?;
                record.plain = places.plain();
                // What attributes say, the body says once more.
                let all_in_body = inner.are_within(fields);
                record.plain_attributes = all_in_body && record.plain.is_some();
                if all_in_body && record.plain.as_ref().is_some_and(Quotes::is_ascii) {
                    fields.set_ascii();
                }
                Some(reading)
            }
            Value::Kvlist { .. } if self.known => {
                let start = record.body.start + 1;
                let members = crate::record::Range { start, end: start + value.below() };
                for at in tree.siblings(members) {
                    let Some((key, value)) = tree.node(at) else { continue };
                    if let Some(Meaning::Field(field)) = space.known.meaning(key, raw, tree) {
                        set(field, value, raw, tree, &mut space.fields);
                    }
                }
                Some(Reading::Unique)
            }
            _ => Some(Reading::Unique),
        }
    }
}

/// As the method of the standard library, for lines of some hundred bytes: by vectors.
fn is_ascii(line: &[u8]) -> bool {
    let (words, rest) = line.as_chunks::<8>();
    let seen = words.iter().fold(0, |seen, word| seen | u64::from_ne_bytes(*word));
    seen.to_ne_bytes().is_ascii() && rest.is_ascii()
}

/// Moves what has a known key into the fields, but for those that are said twice and differently:
/// where a template escapes nothing, one of the values is what a client made up. True when there are
/// such.
fn known_members(raw: &[u8], position: u32, fields: &mut Fields, known: &mut KnownKeys, tree: &mut Tree) -> bool {
    let mut disputed = Vec::new();
    tree.retain(position, |tree, key, value| {
        let fit = match known.meaning(*key, raw, tree) {
            None => Fit::Left,
            Some(Meaning::Field(field)) => match fields.get(field) {
                None => set(field, value, raw, tree, fields),
                Some(before) => {
                    let fit = again(field, before, value, raw, tree, fields);
                    if fit == Fit::Ambiguous && !disputed.contains(&field) {
                        disputed.push(field);
                    }
                    fit
                }
            },
            Some(Meaning::Attribute(name, kind)) => {
                let same = tree.text(raw, *key) == name.as_bytes();
                let name = if same { *key } else { tree.side_text(name.as_bytes()) };
                other(name, value, kind, raw, tree, fields)
            }
        };
        fit == Fit::Left
    });
    for field in &disputed {
        fields.unset(*field);
    }
    !disputed.is_empty()
}

/// Takes out members, of those that have no meaning, which only the collector says.
fn drop_reserved(raw: &[u8], position: u32, tree: &mut Tree) {
    let reserved = |tree: &Tree, at| tree.node(at).is_some_and(|(key, _)| is_reserved(tree.text(raw, key)));
    if tree.siblings(tree.since(position)).any(|at| reserved(tree, at)) {
        tree.retain(position, |tree, key, _| !is_reserved(tree.text(raw, *key)));
    }
}

/// Kuma's documentation shows JSON formats with quotes inside of the values, one of them without
/// its partner (`'"%REQ(:METHOD)%'`). A method and an authority cannot hold quotes, so where they do,
/// the quotes around the documented values are not theirs. A quote at one end only is the value's own,
/// except for the method's.
fn unquote(raw: &[u8], tree: &Tree, fields: &mut Fields) -> bool {
    const DOCUMENTED: [Field; 5] =
        [Field::Method, Field::ForwardedFor, Field::UserAgent, Field::RequestId, Field::Authority];
    let text = |fields: &Fields, field| match fields.get(field) {
        Some(Value::Text(span)) => Some((span, tree.text(raw, span))),
        _ => None,
    };
    let quoted = |field| text(fields, field).is_some_and(|(_, text)| text.starts_with(b"\""));
    if !quoted(Field::Method) && !quoted(Field::Authority) {
        return false;
    }
    for field in DOCUMENTED {
        let Some((span, text)) = text(fields, field) else { continue };
        let inside = match text {
            [b'"', inside @ .., b'"'] => 1..1 + inside.len(),
            [b'"', ..] if field == Field::Method => 1..text.len(),
            _ => continue,
        };
        let inside = span.part(inside.start, inside.end);
        if is_absent(tree.text(raw, inside)) {
            fields.unset(field);
        } else {
            fields.set(field, Value::Text(inside));
        }
    }
    true
}
