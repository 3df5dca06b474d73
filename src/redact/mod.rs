//! Secrets and addresses taken out of records before anything is written.
//!
//! Works on one decoded record: rewritten text goes into the record's tree, what is not changed
//! stays where it is. Linear in the size of the record. Resource and scope are not looked at.
//! Knows no sockets, files, clocks or tasks.

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::decode::json;
use crate::decode::reader::Outcome;
use crate::decode::reason::Reason;
use crate::record::{Range, Record, Value};

mod address;
mod headers;
mod query;
#[cfg(test)]
mod tests;
mod text;

use headers::Headers;
pub use headers::is_rewritten;
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
    /// Names of headers whose values become `REDACTED`, as attributes and wherever they are
    /// repeated; a text whose parts are not known for certain becomes `REDACTED` as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// In the body and in every text attribute, the last byte of IPv4 addresses and all but the first six of IPv6 addresses become zero.
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
    headers: Headers,
    mask_ip: bool,
}

/// Whether it is known which part of a text is the value of which header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Understood {
    /// It is.
    Entirely,
    /// A format fits in several ways: what has a name of its own is known, the rest is not.
    InPart,
    /// The text is all there is, unless it is a JSON object, whose members have names.
    NotAtAll,
}

impl Understood {
    /// What a line is that was read so.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Understood {
        match outcome.reason {
            _ if outcome.ok => Understood::Entirely,
            // There is no value in it.
            Some(Reason::NoValues | Reason::ProtocolName) => Understood::Entirely,
            Some(Reason::Ambiguous) => Understood::InPart,
            _ => Understood::NotAtAll,
        }
    }
}

impl Redactor {
    /// `None` when there is nothing to take out.
    #[must_use]
    pub fn new(config: &RedactConfig) -> Option<Redactor> {
        (!config.is_nothing()).then(|| Redactor {
            query: query::Names::new(&config.query),
            headers: Headers::new(&config.headers),
            mask_ip: config.mask_ip,
        })
    }

    /// Takes it out of a record whose spans point into `raw`. True when anything was changed.
    pub fn apply(&self, raw: &[u8], record: &mut Record, understood: Understood) -> bool {
        let Record { tree, body, attributes, trace_id, span_id, .. } = record;
        let mut work = Work { redactor: self, raw, tree, secrets: Secrets::default(), changed: false };
        if !self.headers.is_empty() {
            for range in [*attributes, *body] {
                work.headers(range);
            }
            let is_object = work.object(*body);
            if understood == Understood::InPart {
                work.leftovers(*attributes);
            }
            work.secrets.whole_body |=
                understood == Understood::InPart || (understood == Understood::NotAtAll && !is_object);
        }
        if self.headers.has_trace() {
            work.secrets.add_trace(work.tree.text(raw, *trace_id), work.tree.text(raw, *span_id));
        }
        work.texts(*attributes, false);
        work.texts(*body, true);
        work.changed
    }
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
        let mut secret_until = range.start;
        for at in range.start..range.end {
            let Some((key, value)) = self.tree.node(at) else { return };
            if at >= secret_until {
                if !self.redactor.headers.has(self.tree.text(self.raw, key)) {
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

    /// Keeps in mind the values of headers in a body that is the text of a JSON object: its members
    /// may have become something else. True when it is one.
    fn object(&mut self, body: Range) -> bool {
        let Some((_, Value::Text(span))) = self.tree.node(body.start).filter(|_| body.start < body.end) else {
            return false;
        };
        let (_, place, in_side) = self.tree.place(self.raw, span);
        let (position, changed) = (self.tree.position(), self.changed);
        if in_side || json::object(self.raw, place.start, place.end, self.tree).is_err() {
            return false;
        }
        self.headers(self.tree.since(position));
        self.tree.rewind(position);
        self.changed = changed;
        true
    }

    /// Takes out texts of several values that could not be told apart.
    fn leftovers(&mut self, range: Range) {
        let mut next = range.start;
        while next < range.end {
            let Some((key, value)) = self.tree.node(next) else { return };
            let all = next..next + 1 + value.below();
            next = all.end;
            if headers::is_one_value(self.tree.text(self.raw, key)) {
                continue;
            }
            for at in all {
                if let Some((_, Value::Text(_))) = self.tree.node(at) {
                    self.write(at, REDACTED.as_bytes());
                }
            }
        }
    }

    fn texts(&mut self, range: Range, is_body: bool) {
        let mut query_until = range.start;
        for at in range.start..range.end {
            let Some((key, value)) = self.tree.node(at) else { return };
            if self.tree.text(self.raw, key) == b"url.query" {
                query_until = at + 1 + value.below();
            }
            let Value::Text(span) = value else { continue };
            if let Some(text) = self.text(self.tree.text(self.raw, span), is_body, at < query_until) {
                self.secrets.extend(text.secrets);
                self.write(at, &text.rewritten);
            }
        }
    }

    /// `None` when it stays as it is.
    fn text(&self, text: &[u8], is_body: bool, is_query: bool) -> Option<Rewritten> {
        if is_body && self.secrets.whole_body {
            return (!text.is_empty())
                .then(|| Rewritten { rewritten: REDACTED.as_bytes().to_vec(), secrets: Vec::new() });
        }
        let view = View::new(text);
        let mut secrets = Vec::new();
        let mut rewritten = self.pass(&view, text, is_query, &mut secrets);
        // A line may begin like JSON and be none: then a backslash is one.
        if view.is_unescaped() && serde_json::from_slice::<IgnoredAny>(text).is_err() {
            let first = rewritten.as_deref().unwrap_or(text);
            rewritten = self.pass(&View::plain(first), first, is_query, &mut secrets).or(rewritten);
        }
        rewritten.map(|rewritten| Rewritten { rewritten, secrets })
    }

    /// Takes out what is seen in a view of a text.
    fn pass(&self, view: &View<'_>, text: &[u8], is_query: bool, secrets: &mut Vec<Vec<u8>>) -> Option<Vec<u8>> {
        let mut edits = Edits::default();
        if let Some(first) = self.redactor.query.find(view, is_query, &mut edits) {
            secrets.push(view.text()[first].to_vec());
        }
        self.secrets.find(view, &mut edits);
        if self.redactor.mask_ip {
            address::find(view, &mut edits);
        }
        edits.apply(view, text)
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
    /// Trace and span id as headers write them, in any case.
    ids: Vec<Vec<u8>>,
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

    /// The ids of a record, as the headers of B3, W3C and Datadog write them.
    fn add_trace(&mut self, trace: &[u8], span: &[u8]) {
        let hex = |id: &[u8]| -> String { id.iter().map(|byte| format!("{byte:02x}")).collect() };
        let mut texts = vec![hex(trace), hex(span)];
        if let Ok(trace) = <[u8; 16]>::try_from(trace)
            && let Ok(low) = u64::try_from(u128::from_be_bytes(trace))
        {
            texts.extend([format!("{low:016x}"), low.to_string()]);
        }
        self.ids.extend(texts.into_iter().filter(|it| it.len() > SHORT_BYTES_MAX).map(String::into_bytes));
    }

    /// Ids together with what a header has around them: version, flags, parent.
    fn find_ids(&self, text: &[u8], edits: &mut Edits) {
        let before = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let behind = |byte: &u8| byte.is_ascii_graphic() && !b"\",:;&{}[]()\\".contains(byte);
        for id in &self.ids {
            let mut from = 0;
            while let Some(at) = text[from..].windows(id.len()).position(|it| it.eq_ignore_ascii_case(id)) {
                let (at, end) = (from + at, from + at + id.len());
                let start = at - text[from..at].iter().rev().take_while(|it| before(it)).count();
                from = end + text[end..].iter().take_while(|it| behind(it)).count();
                edits.redact(start..from);
            }
        }
    }

    fn extend(&mut self, values: Vec<Vec<u8>>) {
        values.iter().for_each(|value| self.add(value));
    }

    fn find(&self, view: &View<'_>, edits: &mut Edits) {
        self.find_ids(view.text(), edits);
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
