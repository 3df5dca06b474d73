//! Secrets and addresses taken out of records before anything is written.
//!
//! Works on one decoded record: rewritten text goes into the record's tree, what is not changed
//! stays where it is. Linear in the size of the record. Resource and scope are not looked at.
//! Knows no sockets, files, clocks or tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{Range, Record, Value};

mod address;
mod query;
#[cfg(test)]
mod tests;
mod text;

use text::{Edits, View};

/// What stands where a secret was.
pub const REDACTED: &str = "REDACTED";

/// Secrets of one record that are looked for in its other texts. With more, all of the body is taken
/// out: looking for each would make the time quadratic.
const SECRETS_MAX: usize = 16;
/// A value up to this length is not looked for elsewhere: it would be found everywhere.
const SHORT_BYTES_MAX: usize = 3;

/// What is taken out of every record before it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedactConfig {
    /// Names of query parameters whose values become `REDACTED`, in the body and in every text
    /// attribute. Upper and lower case are the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Names of headers whose values become `REDACTED`, as attributes and wherever they are repeated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// The last byte of IPv4 addresses and all but the first six of IPv6 addresses become zero.
    pub mask_ip: bool,
}

impl RedactConfig {
    /// Most names in a list.
    pub const NAMES_MAX: usize = 64;
    /// Longest name in bytes.
    pub const NAME_BYTES_MAX: usize = 128;

    /// True when nothing is taken out.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == RedactConfig::default()
    }
}

/// Takes out what the configuration names.
#[derive(Clone, Debug)]
pub struct Redactor {
    query: query::Names,
    headers: Vec<Vec<u8>>,
    mask_ip: bool,
}

impl Redactor {
    /// `None` when there is nothing to take out.
    #[must_use]
    pub fn new(config: &RedactConfig) -> Option<Redactor> {
        (!config.is_nothing()).then(|| Redactor {
            query: query::Names::new(&config.query),
            headers: config.headers.iter().map(|it| it.as_bytes().to_vec()).collect(),
            mask_ip: config.mask_ip,
        })
    }

    /// Takes it out of a record whose spans point into `raw`. True when anything was changed.
    pub fn apply(&self, raw: &[u8], record: &mut Record) -> bool {
        let Record { tree, body, attributes, .. } = record;
        let mut work = Work { redactor: self, raw, tree, secrets: Secrets::default(), changed: false };
        for range in [*attributes, *body] {
            work.headers(range);
        }
        work.texts(*attributes, false);
        work.texts(*body, true);
        work.changed
    }

    fn is_header(&self, key: &[u8]) -> bool {
        let name = [&b"http.request.header."[..], b"http.response.header."].iter().find_map(|it| key.strip_prefix(*it));
        let name = name.unwrap_or(key);
        self.headers.iter().any(|header| same_header(header, name))
    }
}

/// `X-Api-Key` and `x_api_key` are the same.
fn same_header(a: &[u8], b: &[u8]) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| plain(*a) == plain(*b))
}

/// True for keys whose values are addresses.
fn is_address(key: &[u8]) -> bool {
    let name = key.strip_prefix(b"http.request.header.").unwrap_or(key);
    key.ends_with(b".address") || same_header(name, b"x-forwarded-for")
}

/// One record under way.
struct Work<'a> {
    redactor: &'a Redactor,
    raw: &'a [u8],
    tree: &'a mut crate::record::Tree,
    secrets: Secrets,
    changed: bool,
}

impl Work<'_> {
    /// Takes out the values of headers, with all that is inside of them, and keeps them in mind.
    fn headers(&mut self, range: Range) {
        if self.redactor.headers.is_empty() {
            return;
        }
        let mut secret_until = range.start;
        for at in range.start..range.end {
            let Some((key, value)) = self.tree.node(at) else { return };
            if at >= secret_until {
                if !self.redactor.is_header(self.tree.text(self.raw, key)) {
                    continue;
                }
                secret_until = at + 1 + value.below();
            }
            match value {
                Value::Array { .. } | Value::Kvlist { .. } | Value::Empty => continue,
                Value::Text(span) | Value::Bytes(span) => self.secrets.add(self.tree.text(self.raw, span)),
                Value::Int(it) => self.secrets.add(it.to_string().as_bytes()),
                // How it was written cannot be known.
                Value::Double(_) => self.secrets.whole_body = true,
                Value::Bool(_) => {}
            }
            self.write(at, REDACTED.as_bytes());
        }
    }

    fn texts(&mut self, range: Range, is_body: bool) {
        let (mut address_until, mut query_until) = (range.start, range.start);
        for at in range.start..range.end {
            let Some((key, value)) = self.tree.node(at) else { return };
            let key = self.tree.text(self.raw, key);
            if self.redactor.mask_ip && !is_body && is_address(key) {
                address_until = at + 1 + value.below();
            }
            if key == b"url.query" {
                query_until = at + 1 + value.below();
            }
            let Value::Text(span) = value else { continue };
            let mask = self.redactor.mask_ip && (is_body || at < address_until);
            if let Some(text) = self.text(self.tree.text(self.raw, span), is_body, mask, at < query_until) {
                self.secrets.extend(text.secrets);
                self.write(at, &text.rewritten);
            }
        }
    }

    /// `None` when it stays as it is.
    fn text(&self, text: &[u8], is_body: bool, mask: bool, is_query: bool) -> Option<Rewritten> {
        if is_body && self.secrets.whole_body {
            return (!text.is_empty())
                .then(|| Rewritten { rewritten: REDACTED.as_bytes().to_vec(), secrets: Vec::new() });
        }
        let view = View::new(text);
        let mut edits = Edits::default();
        let mut secrets = Vec::new();
        if let Some(first) = self.redactor.query.find(&view, is_query, &mut edits) {
            secrets.push(view.text()[first].to_vec());
        }
        self.secrets.find(&view, &mut edits);
        if mask {
            address::find(&view, &mut edits);
        }
        let rewritten = edits.apply(&view, text)?;
        Some(Rewritten { rewritten, secrets })
    }

    fn write(&mut self, at: u32, text: &[u8]) {
        let span = self.tree.side_text(text);
        self.tree.set(at, Value::Text(span));
        self.changed = true;
    }
}

/// A text with something taken out.
struct Rewritten {
    rewritten: Vec<u8>,
    /// What the body may repeat without it being seen there to be a secret.
    secrets: Vec<Vec<u8>>,
}

/// Values that must not stand anywhere else either.
#[derive(Default)]
struct Secrets {
    values: Vec<Vec<u8>>,
    /// Not all are known, or they are too many to look for.
    whole_body: bool,
}

impl Secrets {
    fn add(&mut self, value: &[u8]) {
        if value.len() <= SHORT_BYTES_MAX || value == REDACTED.as_bytes() || self.values.iter().any(|it| it == value) {
            return;
        }
        if self.values.len() == SECRETS_MAX {
            self.whole_body = true;
            return;
        }
        self.values.push(value.to_vec());
    }

    fn extend(&mut self, values: Vec<Vec<u8>>) {
        values.iter().for_each(|value| self.add(value));
    }

    fn find(&self, view: &View<'_>, edits: &mut Edits) {
        for value in &self.values {
            for at in memchr::memmem::find_iter(view.text(), value) {
                edits.redact(at..at + value.len());
            }
            // A header with bytes that are not UTF-8 comes with a character for each byte, and its
            // attribute was repaired.
            if !value.is_ascii() {
                let mojibake: String = value.iter().map(|byte| char::from(*byte)).collect();
                for at in memchr::memmem::find_iter(view.text(), mojibake.as_bytes()) {
                    edits.redact(at..at + mojibake.len());
                }
            }
        }
    }
}
