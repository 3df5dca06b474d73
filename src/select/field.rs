//! The names a condition may use, and where their values stand.

use std::borrow::Cow;

use crate::record::{RecordRef, ValueRef};

/// The short names, as errors list them.
pub const NAMES: &[&str] = &[
    "status",
    "flags",
    "method",
    "path",
    "mesh",
    "source",
    "destination",
    "duration_ms",
    "severity",
    "severity_number",
    "body",
    "attributes",
    "resource",
];

/// The attribute that Envoy's response flags stand in.
const FLAGS: &[u8] = b"envoy.response_flags";

/// What a value is known to be before there is a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
    /// True or false.
    Bool,
    /// A list, a map, bytes, a type, nothing.
    Other,
}

/// One value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// An attribute with a short name, of the record or else of its resource.
    Known {
        key: &'static str,
        kind: Kind,
    },
    /// The flags as one text, joined by commas. Never absent: no flags are an empty text.
    Flags,
    /// The flags as a list.
    FlagList,
    Severity,
    SeverityNumber,
    Body,
    /// An attribute of the record.
    Attribute(String),
    /// An attribute of the resource.
    Resource(String),
    /// All attributes of the record.
    Attributes,
    /// All attributes of the resource.
    Resources,
}

impl Field {
    /// The field with that name.
    pub fn named(name: &str) -> Option<Field> {
        let known = |key, kind| Some(Field::Known { key, kind });
        match name {
            "status" => known("http.response.status_code", Kind::Number),
            "method" => known("http.request.method", Kind::Text),
            "path" => known("url.path", Kind::Text),
            "mesh" => known("kuma.mesh", Kind::Text),
            "source" => known("kuma.source.service", Kind::Text),
            "destination" => known("kuma.destination.service", Kind::Text),
            "duration_ms" => known("envoy.duration_ms", Kind::Number),
            "flags" => Some(Field::Flags),
            "severity" => Some(Field::Severity),
            "severity_number" => Some(Field::SeverityNumber),
            "body" => Some(Field::Body),
            "attributes" => Some(Field::Attributes),
            "resource" => Some(Field::Resources),
            _ => None,
        }
    }

    /// What its value always is, when it is there.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Field::Known { kind, .. } => Some(*kind),
            Field::Flags | Field::Severity => Some(Kind::Text),
            Field::SeverityNumber => Some(Kind::Number),
            Field::FlagList | Field::Attributes | Field::Resources => Some(Kind::Other),
            Field::Body | Field::Attribute(_) | Field::Resource(_) => None,
        }
    }

    /// Its value, unless it is absent: not there, or the empty value. Lists of flags and flags as
    /// text are not asked for here, see [`flags`].
    #[inline]
    pub fn value<'a>(&self, record: &RecordRef<'a>) -> Option<ValueRef<'a>> {
        let value = match self {
            Field::Known { key, .. } => {
                let value = record.attributes().get(key.as_bytes());
                return present(value).or_else(|| present(record.envelope().resource_attributes().get(key.as_bytes())));
            }
            Field::Attribute(key) => record.attributes().get(key.as_bytes()),
            Field::Resource(key) => record.envelope().resource_attributes().get(key.as_bytes()),
            Field::Body => record.body(),
            Field::Severity => {
                let text = record.text(record.fields().severity_text);
                (!text.is_empty()).then_some(ValueRef::Text(text))
            }
            Field::SeverityNumber => {
                let number = record.fields().severity_number;
                (number != 0).then_some(ValueRef::Int(number.into()))
            }
            Field::Attributes => Some(ValueRef::Kvlist(record.attributes())),
            Field::Resources => Some(ValueRef::Kvlist(record.envelope().resource_attributes())),
            Field::Flags | Field::FlagList => None,
        };
        present(value)
    }
}

#[inline]
fn present(value: Option<ValueRef<'_>>) -> Option<ValueRef<'_>> {
    value.filter(|value| !matches!(value, ValueRef::Empty))
}

/// The flags of a record, one after the other: those of a list, or of a text with commas.
pub fn flags<'a>(record: &RecordRef<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let (list, text) = match record.attributes().get(FLAGS) {
        Some(ValueRef::Array(items)) => (Some(items), None),
        Some(ValueRef::Text(text)) => (None, Some(text)),
        _ => (None, None),
    };
    let listed = list.into_iter().flatten().filter_map(|(_, item)| match item {
        ValueRef::Text(text) => Some(text),
        _ => None,
    });
    let split = text.into_iter().flat_map(|text| text.split(|byte| *byte == b','));
    listed.chain(split).filter(|flag| !flag.is_empty() && *flag != b"-")
}

/// The flags joined by commas; allocates only when there are several.
pub fn joined_flags<'a>(record: &RecordRef<'a>) -> Cow<'a, [u8]> {
    let mut joined = Cow::Borrowed(&b""[..]);
    for flag in flags(record) {
        if joined.is_empty() {
            joined = Cow::Borrowed(flag);
        } else {
            let joined = joined.to_mut();
            joined.push(b',');
            joined.extend_from_slice(flag);
        }
    }
    joined
}
