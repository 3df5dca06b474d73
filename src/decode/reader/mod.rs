//! How the records of one source are read: formats, JSON objects, the shapes of OTLP records.
//!
//! A reader is compiled once from `format:`. What it reads becomes [`Fields`], whatever it was
//! written as, and these become attributes: see [`crate::semantics`].

use std::fmt;

use crate::decode::format::{Format, FormatKeys, Places, Reading, Slot, presets};
use crate::decode::reason::Reason;
use crate::record::{KEYS_MAX, Record, Span, Tree};
use crate::semantics::{self, Applied, Fields, Keys, Meaning, Target, known_key};

mod leaf;
mod object;
mod record;
mod setting;
mod shape;

pub use setting::{
    ArrayFormat, BodyFormat, FormatChoice, FormatSetting, KeyFormat, KvlistFormat, MemberFormat, NamedFormat,
    PolicyFormat, PolicyFormatType, ValueFormat,
};

use object::ObjectFormat;
use shape::Shape;

/// A compiled `format:`.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Lines of JSON are objects, or wrong.
    json_only: bool,
    /// Nothing is read.
    raw: bool,
    /// JSON objects are read, and keys that are known have their meaning.
    known: bool,
    plain: Vec<Plain>,
    objects: Vec<ObjectFormat>,
    shapes: Vec<Shape>,
    keys: Keys,
    words: Words,
    /// All names, as the side text of a tree begins with them.
    dictionary: Vec<u8>,
    /// None of it needs an escape: header names in a format may.
    plain_dictionary: bool,
}

/// A format of whole lines.
#[derive(Clone, Debug)]
struct Plain {
    name: &'static str,
    format: Format,
    keys: FormatKeys,
    /// No line of it has two attributes of one name.
    distinct: bool,
}

/// Names and values that the collector itself adds.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub peer_address: Span,
    pub peer_port: Span,
    pub truncated: Span,
    pub partial: Span,
    pub parse_error: Span,
    pub reasons: [Span; Reason::ALL.len()],
}

impl Words {
    fn keep(tree: &mut Tree) -> Words {
        let mut keep = |text: &str| tree.keep_key(text.as_bytes());
        Words {
            peer_address: keep("network.peer.address"),
            peer_port: keep("network.peer.port"),
            truncated: keep("logboom.truncated"),
            partial: keep("logboom.partial"),
            parse_error: keep("logboom.parse_error"),
            reasons: Reason::ALL.map(|it| keep(it.as_str())),
        }
    }
}

/// Where records come from: what a `format:` may say depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Lines.
    Lines,
    /// OTLP records.
    Otlp,
}

/// What is wrong with a `format:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// Keys and indexes from `format` to the place.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SettingError {}

/// Space for reading, reused from record to record.
#[derive(Clone, Debug, Default)]
pub struct Space {
    places: Places,
    fields: Fields,
    /// Of one value that is a format itself.
    inner: Fields,
    known: KnownKeys,
}

impl Space {
    /// A payload begins: see [`Tree::key`].
    pub(crate) fn forget_keys(&mut self) {
        self.known.asked = 0;
    }
}

/// What the keys that a tree remembers mean, each asked once.
#[derive(Clone, Debug)]
struct KnownKeys {
    asked: u64,
    meanings: [Option<Meaning>; KEYS_MAX],
}

impl Default for KnownKeys {
    fn default() -> Self {
        KnownKeys { asked: 0, meanings: [None; KEYS_MAX] }
    }
}

impl KnownKeys {
    #[inline(always)]
    fn meaning(&mut self, key: Span, raw: &[u8], tree: &Tree) -> Option<Meaning> {
        let ask = || known_key(tree.text(raw, key)).map(|known| known.meaning);
        let Some(number) = tree.key_number(key) else { return ask() };
        let meaning = self.meanings.get_mut(number)?;
        if self.asked & 1 << number == 0 {
            self.asked |= 1 << number;
            *meaning = ask();
        }
        *meaning
    }
}

/// How a record was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It was understood.
    pub ok: bool,
    /// Why not, or not entirely.
    pub reason: Option<Reason>,
    /// What was changed on the way.
    pub applied: Applied,
    /// The stray quotes of Kuma's documented JSON were stripped.
    pub stray_quotes: bool,
    /// All of it is UTF-8. False when that is not known.
    pub text: bool,
}

impl Outcome {
    fn raw(reason: Option<Reason>) -> Outcome {
        Outcome { reason, ..Outcome::default() }
    }
}

/// The formats that `auto` tries, in this order: the first is what every proxy of the mesh sends.
fn known_formats() -> [(&'static str, NamedFormat, Result<Format, SettingError>); 5] {
    let preset = |name, choice, compiled: Result<Format, _>| (name, choice, compiled.map_err(|it| at(&[], it)));
    [
        preset("kuma-http", NamedFormat::KumaHttp, presets::kuma_http()),
        preset("kuma-http (documented)", NamedFormat::KumaHttp, presets::kuma_http_documented()),
        preset("kuma-tcp", NamedFormat::KumaTcp, presets::kuma_tcp()),
        preset("envoy", NamedFormat::Envoy, presets::envoy()),
        preset("istio", NamedFormat::Istio, presets::istio()),
    ]
}

impl Reader {
    /// Compiles a `format:`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn compile(setting: &FormatSetting, origin: Origin) -> Result<Reader, SettingError> {
        let mut compiling = Compiling::default();
        let several = matches!(setting, FormatSetting::Several(_));
        if setting.choices().is_empty() {
            return Err(SettingError {
                path: Vec::new(),
                message: "a list of no formats".to_owned(),
                help: "name a format, or remove the key".to_owned(),
            });
        }
        for (index, choice) in setting.choices().iter().enumerate() {
            compiling.choice(choice, origin).map_err(|mut error| {
                if several {
                    error.path.insert(0, index.to_string());
                }
                error
            })?;
        }
        let Compiling { tree, plain, objects, shapes, known, json, raw, keys, words } = compiling;
        if raw && setting.choices().len() > 1 {
            return Err(SettingError {
                path: Vec::new(),
                message: "raw stands beside other formats".to_owned(),
                help: "remove it: what no format fits is kept as text anyway".to_owned(),
            });
        }
        Ok(Reader {
            json_only: json && plain.is_empty() && objects.is_empty(),
            raw,
            known: known || json,
            plain,
            objects,
            shapes,
            keys,
            words,
            plain_dictionary: tree.keys_are_plain(),
            dictionary: tree.kept().to_vec(),
        })
    }

    /// Makes the tree's side text begin with the names the reader refers to: once per payload,
    /// right after [`Tree::clear_all`].
    pub fn prepare(&self, tree: &mut Tree) {
        if self.plain_dictionary {
            tree.keep_fragments(&self.dictionary);
        } else {
            let _names = tree.keep(&self.dictionary);
        }
    }

    /// True when nothing is read: every record is passed on as it came.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// True when records of any sender may be of a known shape.
    #[must_use]
    pub fn has_shapes(&self) -> bool {
        !self.shapes.is_empty()
    }

    /// Names of the formats of whole lines, in the order they are tried, and the formats.
    pub fn formats(&self) -> impl Iterator<Item = (&'static str, &Format)> {
        self.plain.iter().map(|plain| (plain.name, &plain.format))
    }

    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    /// Reads a text by the formats of whole lines, into fields that are empty.
    fn plain(
        &self,
        buffer: &[u8],
        start: usize,
        end: usize,
        places: &mut Places,
        fields: &mut Fields,
    ) -> Option<(&Plain, Reading)> {
        for plain in &self.plain {
            match plain.format.read(buffer, start, end, &plain.keys, places, fields) {
                Reading::No { .. } => {}
                reading => return Some((plain, reading)),
            }
        }
        None
    }

    /// Fields into the record, and what that means for it.
    fn apply(&self, reason: Option<Reason>, raw: &[u8], space: &Space, record: &mut Record) -> Outcome {
        let applied = semantics::apply(&space.fields, &self.keys, raw, record);
        Outcome { ok: reason.is_none(), reason, applied, ..Outcome::default() }
    }
}

/// A reader in the making; its tree collects the names.
struct Compiling {
    tree: Tree,
    keys: Keys,
    words: Words,
    plain: Vec<Plain>,
    objects: Vec<ObjectFormat>,
    shapes: Vec<Shape>,
    known: bool,
    json: bool,
    raw: bool,
}

impl Default for Compiling {
    fn default() -> Self {
        let mut tree = Tree::default();
        let keys = Keys::keep(&mut tree);
        let words = Words::keep(&mut tree);
        let (plain, objects, shapes) = (Vec::new(), Vec::new(), Vec::new());
        Compiling { tree, keys, words, plain, objects, shapes, known: false, json: false, raw: false }
    }
}

impl Compiling {
    fn choice(&mut self, choice: &FormatChoice, origin: Origin) -> Result<(), SettingError> {
        match (choice, origin) {
            (FormatChoice::Named(NamedFormat::Auto), _) => {
                self.known = true;
                self.presets(None)
            }
            (FormatChoice::Named(NamedFormat::Raw), _) => {
                self.raw = true;
                Ok(())
            }
            (FormatChoice::Named(NamedFormat::Json), Origin::Lines) => {
                self.json = true;
                Ok(())
            }
            (FormatChoice::Named(NamedFormat::Json), Origin::Otlp) => Err(SettingError {
                path: Vec::new(),
                message: "json is a format of lines".to_owned(),
                help: "write auto or raw, or the policy's `{type: OpenTelemetry, attributes: […], body: …}`".to_owned(),
            }),
            (FormatChoice::Named(name), _) => self.presets(Some(*name)),
            (FormatChoice::Policy(policy), _) => self.policy(policy, origin),
        }
    }

    fn presets(&mut self, only: Option<NamedFormat>) -> Result<(), SettingError> {
        for (name, choice, format) in known_formats() {
            if only.is_none_or(|only| only == choice) {
                self.add_plain(name, format?);
            }
        }
        Ok(())
    }

    fn add_plain(&mut self, name: &'static str, format: Format) {
        let keys = format.keep(&mut self.tree);
        let distinct = has_distinct_names(&format);
        self.plain.push(Plain { name, format, keys, distinct });
    }

    fn policy(&mut self, policy: &PolicyFormat, origin: Origin) -> Result<(), SettingError> {
        let kind = policy.kind.or(match policy {
            PolicyFormat { plain: Some(_), json: None, .. } => Some(PolicyFormatType::Plain),
            PolicyFormat { plain: None, json: Some(_), .. } => Some(PolicyFormatType::Json),
            PolicyFormat { plain: None, json: None, .. } if policy.body.is_some() || policy.attributes.is_some() => {
                Some(PolicyFormatType::OpenTelemetry)
            }
            _ => None,
        });
        let error = |key: &[&str], message: &str, help: &str| SettingError {
            path: key.iter().map(|&it| it.to_owned()).collect(),
            message: message.to_owned(),
            help: help.to_owned(),
        };
        match (kind, origin) {
            (None, _) => Err(error(
                &[],
                "a format block says neither plain nor json",
                "write {type: Plain, plain: '…'} or {type: Json, json: [{key: …, value: …}]}",
            )),
            (Some(PolicyFormatType::OpenTelemetry), Origin::Lines) => {
                Err(error(&["type"], "OpenTelemetry is a format of OTLP sources", "write Plain or Json"))
            }
            (Some(PolicyFormatType::Plain | PolicyFormatType::Json), Origin::Otlp) => {
                Err(error(&["type"], "a format of lines", "write {type: OpenTelemetry, attributes: […], body: …}"))
            }
            (Some(PolicyFormatType::Plain), _) => {
                let text = policy.plain.as_deref().filter(|it| !it.is_empty()).ok_or_else(|| {
                    error(&[], "type Plain without a format string", "write plain: '…', or leave `format` out")
                })?;
                let format = Format::compile(text).map_err(|it| at(&["plain"], it))?;
                self.add_plain("plain", format);
                Ok(())
            }
            (Some(PolicyFormatType::Json), _) => {
                let members = policy
                    .json
                    .as_deref()
                    .filter(|it| !it.is_empty())
                    .ok_or_else(|| error(&[], "type Json without members", "write json: [{key: …, value: …}]"))?;
                self.objects.push(ObjectFormat::compile(members, &["json"], &mut self.tree)?);
                Ok(())
            }
            (Some(PolicyFormatType::OpenTelemetry), _) => {
                if policy.body.is_none() && self.plain.is_empty() {
                    // Kuma then sends its default format as text.
                    self.presets(Some(NamedFormat::KumaHttp))?;
                    self.presets(Some(NamedFormat::KumaTcp))?;
                }
                self.shapes.push(Shape::compile(policy, &mut self.tree)?);
                Ok(())
            }
        }
    }
}

/// True when the format's own attributes are named differently from each other and from what is made
/// of its fields, and from what the collector adds.
fn has_distinct_names(format: &Format) -> bool {
    let name_of = |slot: &'_ Slot| match &slot.target {
        Target::Attribute { name, .. } => Some(name.clone()),
        Target::Field(_) | Target::Nothing => None,
    };
    let mut names: Vec<String> = format.slots().iter().filter_map(name_of).collect();
    let of_others = |name: &String| Keys::has(name) || is_reserved(name.as_bytes());
    let own = !names.iter().any(of_others);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    own && names.len() == count
}

/// True for names that only the collector gives: a line cannot say how it was received.
#[inline]
fn is_reserved(name: &[u8]) -> bool {
    match name.first() {
        Some(b'l') => name.starts_with(b"logboom."),
        Some(b'n') => name.starts_with(b"network.peer."),
        _ => false,
    }
}

/// A mistake in a format string, at its place in `format:`.
fn at(path: &[&str], error: super::format::FormatError) -> SettingError {
    let place = match error.at.start {
        0 => String::new(),
        start => format!(" (at byte {} of the format string)", start + 1),
    };
    SettingError {
        path: path.iter().map(|&it| it.to_owned()).collect(),
        message: format!("{}{place}", error.message),
        help: error.help,
    }
}

#[cfg(test)]
mod tests;
