//! Headers under all the names their values come with.

use crate::semantics::{Field, Keys, Meaning, known_key};

/// Where the values of one header, or of two alternatives, stand.
const PREFIXES: [&[u8]; 5] =
    [b"http.request.header.", b"http.response.header.", b"envoy.response_trailer.", b"envoy.req.", b"envoy.resp."];

/// What a header becomes, apart from an attribute of its own name.
const FIELDS: [Field; 13] = [
    Field::Method,
    Field::Path,
    Field::Scheme,
    Field::Authority,
    Field::ForwardedFor,
    Field::UserAgent,
    Field::RequestId,
    Field::UpstreamServiceTime,
    Field::GrpcStatus,
    Field::TraceParent,
    Field::TraceHeader,
    Field::SpanHeader,
    Field::B3Single,
];
/// Headers that become trace and span id of the record.
const TRACE: [Field; 4] = [Field::TraceParent, Field::TraceHeader, Field::SpanHeader, Field::B3Single];

/// Names of headers, and what they become.
#[derive(Clone, Debug)]
pub struct Headers {
    names: Vec<Vec<u8>>,
    fields: Vec<Field>,
}

impl Headers {
    pub fn new(configured: &[String]) -> Headers {
        let mut names: Vec<Vec<u8>> = configured.iter().map(|it| it.as_bytes().to_vec()).collect();
        let mut fields: Vec<Field> = configured.iter().filter_map(|it| field(it)).collect();
        let others: &[(Field, &[&str])] = &[
            (Field::Authority, &["host", ":authority", "authority"]),
            (Field::Path, &["x-envoy-original-path", ":path", "path"]),
        ];
        for (field, others) in others {
            if fields.contains(field) {
                names.extend(others.iter().map(|it| it.as_bytes().to_vec()));
            }
        }
        if fields.contains(&Field::Path) {
            fields.push(Field::Query);
        }
        Headers { names, fields }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// True when one of them became trace or span id, whose text stands nowhere else then.
    pub fn has_trace(&self) -> bool {
        TRACE.iter().any(|it| self.fields.contains(it))
    }

    /// True for a key whose value is that of one of them, or a part of it.
    pub fn has(&self, key: &[u8]) -> bool {
        let name = PREFIXES.iter().find_map(|it| key.strip_prefix(*it)).unwrap_or(key);
        // Of two alternatives, the value may be that of either.
        name.split(|it| *it == b'?').any(|name| self.names.iter().any(|it| same(it, name)))
            || known_key(name).is_some_and(|known| match known.meaning {
                Meaning::Field(field) => self.fields.contains(&field),
                // The first of those it was forwarded for.
                Meaning::Attribute("client.address", _) => self.fields.contains(&Field::ForwardedFor),
                Meaning::Attribute(..) => false,
            })
    }
}

/// What a header becomes.
fn field(name: &str) -> Option<Field> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    match known_key(name.as_bytes()).map(|it| it.meaning) {
        _ if name == "host" => Some(Field::Authority),
        Some(Meaning::Field(field)) => FIELDS.contains(&field).then_some(field),
        _ => None,
    }
}

/// True for a header of which the attribute does not say how its value was written: the text
/// cannot be found elsewhere.
#[must_use]
pub fn is_rewritten(name: &str) -> bool {
    matches!(field(name), Some(Field::GrpcStatus | Field::UpstreamServiceTime))
}

/// `X-Api-Key` and `x_api_key` are the same.
fn same(a: &[u8], b: &[u8]) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| plain(*a) == plain(*b))
}

/// True for the name of an attribute that holds one value, as a format or the collector writes it. Under
/// other names stands what could not be taken apart.
pub fn is_one_value(key: &[u8]) -> bool {
    let written: [&[u8]; 3] = [b"envoy.", b"logboom.", b"network.peer."];
    written.iter().chain(&PREFIXES).any(|it| key.starts_with(it)) || std::str::from_utf8(key).is_ok_and(Keys::has)
}
