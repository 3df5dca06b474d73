//! Types out of nodes: a serde deserializer that knows where it stands.
//!
//! What a scalar is, is decided by the type that is read: a text takes `no` and `1e3` as written.
//! An error is recorded with the place of the innermost value it is about, that value is left out,
//! and the whole is read again, so that one run finds every mistake.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::problem::{Problem, shown};
use super::suggest;
use super::tree::{Entry, Kind, Node, Scalar};

/// Mistakes reported for one component; each costs one more reading of it.
pub const MISTAKES_MAX: usize = 20;

/// Reads a `T`, or says everything that is wrong with it. `also` are keys that the outermost
/// mapping accepts besides those of `T`, for the list in the message; they have been taken out.
pub fn read<T: DeserializeOwned>(node: &Node, also: &[&str], problems: &mut Vec<Problem>) -> Option<T> {
    let context = Context { also, found: RefCell::default(), left_out: RefCell::default() };
    let mut value = None;
    while context.found.borrow().len() < MISTAKES_MAX {
        match T::deserialize(Reader { node, context: &context, outermost: true }) {
            Ok(read) => value = Some(read),
            Err(Failure::Again) => continue,
            Err(Failure::Never) => {}
            Err(Failure::Fresh { message, help }) => context.record(node, message, help),
            Err(Failure::Missing(key)) => {
                let Failure::Fresh { message, help } = missing(key) else { break };
                context.record(node, message, help);
            }
        }
        break;
    }
    let found = context.found.into_inner();
    // A value that was only readable without its mistakes is not what the user meant.
    let value = value.filter(|_| found.is_empty() && context.left_out.borrow().is_empty());
    problems.extend(found);
    value
}

struct Context<'a> {
    also: &'a [&'a str],
    found: RefCell<Vec<Problem>>,
    /// Entries (by address) that are complained about already.
    left_out: RefCell<HashSet<*const Entry>>,
}

impl Context<'_> {
    fn record(&self, node: &Node, message: String, help: Option<String>) {
        self.push(Problem::at(node.span.clone(), visible(node, message)).maybe_help(help));
    }

    fn push(&self, problem: Problem) {
        self.found.borrow_mut().push(problem);
    }

    fn leave_out(&self, entry: &Entry) {
        self.left_out.borrow_mut().insert(entry);
    }

    fn is_left_out(&self, entry: &Entry) -> bool {
        matches!(entry.value.kind, Kind::Broken) || self.left_out.borrow().contains(&std::ptr::from_ref(entry))
    }
}

/// The message with what was substituted into the node replaced by what was written there.
pub fn visible(node: &Node, message: String) -> String {
    let Kind::Scalar(Scalar { text, written: Some(written), .. }) = &node.kind else { return message };
    if text.is_empty() {
        return message;
    }
    let message = message
        .replace(&shown(text), &shown(written))
        .replace(&format!("`{text}`"), &shown(written))
        .replace(&format!("'{text}'"), &format!("'{written}'"));
    // A short value outside of quotes is more likely a part of the message's own words.
    if text.len() < BARE_BYTES_MIN { message } else { message.replace(text, written) }
}

/// Shortest value that is looked for outside of quotes.
const BARE_BYTES_MIN: usize = 4;

/// Why a reading ended.
#[derive(Debug)]
pub enum Failure {
    /// Not recorded yet.
    Fresh { message: String, help: Option<String> },
    /// A key is not there; the mapping it is missing from decides what to say.
    Missing(&'static str),
    /// Recorded, and what caused it is left out from now on.
    Again,
    /// Recorded, and nothing smaller than this value can be left out.
    Never,
}

impl Failure {
    fn new(message: impl Into<String>) -> Failure {
        Failure::Fresh { message: message.into(), help: None }
    }

    fn helped(message: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure::Fresh { message: message.into(), help: Some(help.into()) }
    }
}

/// The complaint about a key that is not there.
fn missing(key: &str) -> Failure {
    let help = match key {
        "dir" => "write a directory, such as `dir: data/journal`",
        "path" => "write a file, such as `path: logs/access.log`",
        "listen" => "write an address, such as `listen: 127.0.0.1:5000`",
        "endpoint" => "write a URL, such as `endpoint: http://otel-collector:4317`",
        "socket" => "write a path, such as `socket: /run/logboom/takeover.sock`",
        _ => return Failure::new(format!("missing key `{key}`")),
    };
    Failure::helped(format!("missing key `{key}`"), help)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Fresh { message, .. } => f.write_str(message),
            Failure::Missing(key) => write!(f, "missing key `{key}`"),
            Failure::Again | Failure::Never => f.write_str("reported before"),
        }
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Failure {
        Failure::new(message.to_string())
    }

    fn missing_field(field: &'static str) -> Failure {
        Failure::Missing(field)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Failure {
        Failure::helped(format!("unknown value {}", shown(variant)), suggest::accepted(variant, expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Failure {
        Failure::helped(format!("unknown key {}", shown(field)), suggest::accepted(field, expected))
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    context: &'a Context<'a>,
    outermost: bool,
}

impl<'a> Reader<'a> {
    fn inside(self, node: &'a Node) -> Reader<'a> {
        Reader { node, outermost: false, ..self }
    }

    fn scalar(self, wanted: &str) -> Result<&'a Scalar, Failure> {
        match &self.node.kind {
            Kind::Scalar(scalar) if !is_nothing(scalar) => Ok(scalar),
            _ => Err(self.mismatch(wanted)),
        }
    }

    fn mismatch(self, wanted: &str) -> Failure {
        let found = match &self.node.kind {
            Kind::Broken => return Failure::Never,
            Kind::Scalar(scalar) if is_nothing(scalar) => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        };
        Failure::new(format!("{wanted} is needed here, found {found}"))
    }

    fn entries(self) -> Result<&'a [Entry], Failure> {
        match &self.node.kind {
            Kind::Mapping(entries) => Ok(entries),
            _ => Err(self.mismatch("a mapping (`key: value`)")),
        }
    }

    /// Unknown keys are all reported here, then passed over.
    fn refuse_unknown(self, entries: &[Entry], fields: &[&str]) {
        let also = if self.outermost { self.context.also } else { &[] };
        for entry in entries {
            if !fields.contains(&entry.key.as_str()) && !self.context.is_left_out(entry) {
                self.context.leave_out(entry);
                if self.context.found.borrow().len() < MISTAKES_MAX {
                    self.context.push(unknown_key(entry, &[also, fields].concat()));
                }
            }
        }
    }
}

/// The complaint about a key that is not among `accepted`.
pub fn unknown_key(entry: &Entry, accepted: &[&str]) -> Problem {
    let problem = Problem::at(entry.key_span.clone(), format!("unknown key {}", shown(&entry.key)));
    let help = match accepted {
        [] => "no keys are accepted here".to_owned(),
        accepted => suggest::accepted(&entry.key, accepted),
    };
    problem.help(help).hide_unknown(entry)
}

/// The key is among the entries, or a misspelling of it that was reported with it as the suggestion.
fn is_there(entries: &[Entry], key: &str, fields: &[&str]) -> bool {
    let misspelt =
        |entry: &Entry| !fields.contains(&entry.key.as_str()) && suggest::nearest(&entry.key, fields) == Some(key);
    entries.iter().any(|entry| entry.key == key) || entries.iter().take(MISTAKES_MAX).any(misspelt)
}

/// A number that was written as one. Digits behind a zero, and more than 64 bits hold, are an
/// identifier.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|it: char| it.is_ascii_digit())
        && (digits == "0" || digits.starts_with("0.") || !digits.starts_with('0'));
    if !is_number {
        return None;
    }
    match text.contains('.') {
        true => text.parse().ok().map(Number::Broken),
        false => text.parse().ok().map(Number::Whole),
    }
}

enum Number {
    Whole(i64),
    Broken(f64),
}

/// YAML's words for nothing.
pub fn is_nothing(scalar: &Scalar) -> bool {
    scalar.plain && scalar.written.is_none() && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
}

impl<'de> serde::Deserializer<'de> for Reader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.kind {
            Kind::Sequence(_) => self.deserialize_seq(visitor),
            Kind::Mapping(_) => self.deserialize_map(visitor),
            // As YAML itself would take it: only what is not quoted can be more than a text.
            Kind::Scalar(scalar) if is_nothing(scalar) => visitor.visit_unit(),
            Kind::Scalar(scalar) if scalar.plain && scalar.written.is_none() => match scalar.text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text => match number(text) {
                    Some(Number::Whole(number)) => visitor.visit_i64(number),
                    Some(Number::Broken(number)) => visitor.visit_f64(number),
                    None => visitor.visit_str(text),
                },
            },
            Kind::Scalar(_) | Kind::Broken => self.deserialize_str(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(&self.scalar("a text")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let wanted = format!("a whole number up to {}", u32::MAX);
        let scalar = self.scalar(&wanted)?;
        // Quotes make a text, but in a flow mapping `${…}` cannot be written without them.
        let number = scalar.plain || scalar.written.is_some();
        match scalar.text.parse().ok().filter(|_| number && !scalar.text.starts_with('+')) {
            Some(number) => visitor.visit_u32(number),
            None if !number => {
                Err(Failure::helped(format!("{wanted} is needed here, found a text"), "write it without quotes"))
            }
            None => Err(Failure::new(format!("{wanted} is needed here, found {}", shown(&scalar.text)))),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let scalar = self.scalar("true or false")?;
        match scalar.text.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            text => Err(Failure::new(format!("true or false is needed here, found {}", shown(text)))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.kind {
            Kind::Scalar(scalar) if is_nothing(scalar) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.kind {
            Kind::Sequence(items) => visitor.visit_seq(Items { reader: self, items: items.iter() }),
            Kind::Scalar(_) => match self.mismatch("a list") {
                Failure::Fresh { message, .. } => Err(Failure::helped(message, "write it in brackets: `[one, two]`")),
                failure => Err(failure),
            },
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Entries { reader: self, entries: self.entries()?.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let entries = self.entries()?;
        self.refuse_unknown(entries, fields);
        self.deserialize_map(visitor).map_err(|failure| match failure {
            // A key that is there but left out, or misspelt, has a complaint of its own already.
            Failure::Missing(key) if is_there(entries, key, fields) => Failure::Never,
            Failure::Missing(key) => missing(key),
            failure => failure,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let text = &self.scalar("a word")?.text;
        if !variants.contains(&text.as_str()) {
            return Err(Failure::helped(format!("unknown value {}", shown(text)), suggest::accepted(text, variants)));
        }
        let variant: StrDeserializer<'_, Failure> = text.as_str().into_deserializer();
        visitor.visit_enum(variant)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let context = self.reader.context;
        self.value = self.entries.find(|entry| !context.is_left_out(entry));
        let Some(entry) = self.value else { return Ok(None) };
        let key: StrDeserializer<'_, Failure> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let entry = self.value.take().ok_or_else(|| Failure::custom("a value without a key"))?;
        seed.deserialize(self.reader.inside(&entry.value)).map_err(|failure| {
            match failure {
                Failure::Again => return Failure::Again,
                Failure::Never | Failure::Missing(_) => {}
                Failure::Fresh { message, help } => {
                    // An empty value has no place of its own, a mapping begins at a key of its own.
                    let at_key = match &entry.value.kind {
                        Kind::Scalar(scalar) => is_nothing(scalar),
                        Kind::Mapping(_) => true,
                        _ => false,
                    };
                    let span = if at_key { &entry.key_span } else { &entry.value.span };
                    let message = visible(&entry.value, message);
                    self.reader.context.push(Problem::at(span.clone(), message).maybe_help(help));
                }
            }
            self.reader.context.leave_out(entry);
            Failure::Again
        })
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some(item) = self.items.next() else { return Ok(None) };
        seed.deserialize(self.reader.inside(item)).map(Some).map_err(|failure| match failure {
            Failure::Fresh { message, help } => {
                self.reader.context.record(item, message, help);
                Failure::Never
            }
            failure => failure,
        })
    }
}
