//! The `format` of a backend: what its lines look like.

use super::document::{Document, text};
use super::{Findings, access_log, backend, yaml};
use crate::config::problem::shown;
use crate::config::suggest;
use crate::config::tree::{Entry, Kind, Node, Scalar};
use crate::decode::format as envoy;

/// A format as it is written into our configuration.
#[derive(Clone, Debug)]
pub struct Format {
    /// As a value of the key `format`.
    pub node: Node,
    /// The same as one line of YAML: equal formats are equal lines.
    pub text: String,
    /// What can be seen of it on the wire: two formats with the same cannot be told apart.
    pub shape: Option<String>,
}

impl Format {
    pub fn new(node: Node, shape: Option<String>) -> Format {
        let text = yaml::flow(&node);
        Format { node, text, shape }
    }

    /// What a backend without a format sends: the defaults of Kuma.
    pub fn auto() -> Format {
        Format::new(Node::text("auto"), None)
    }
}

const TYPES: &[&str] = &["Plain", "Json"];

/// Reads a format block of MeshAccessLog; `None` after an error.
pub fn read(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) -> Option<Format> {
    let place = document.place(&entry.key_span);
    let format = match &entry.value.kind {
        Kind::Mapping(_) => &entry.value,
        Kind::Scalar(scalar) if crate::config::de::is_nothing(scalar) => return Some(Format::auto()),
        _ => {
            let help = "write `{type: Plain, plain: '…'}` or `{type: Json, json: [{key: …, value: '…'}]}`";
            findings.error(&place, "a format is a mapping", help);
            return None;
        }
    };
    backend::refuse_unknown(document, format, &["type", "plain", "json", "omitEmptyValues"], findings);
    let omit = format.entry("omitEmptyValues").is_some_and(|it| text(&it.value) == Some("true"));
    let key = match format.entry("type") {
        Some(entry) => {
            let written = text(&entry.value).unwrap_or_default();
            let Some(kind) = TYPES.iter().find(|name| **name == written) else {
                let message = format!("unknown type {}", shown(written));
                findings.error(&document.entry_place(entry), message, suggest::accepted(written, TYPES));
                return None;
            };
            if *kind == "Plain" { "plain" } else { "json" }
        }
        // Of Kuma 2.2 and older; what the newer ones make of it is said at the backend.
        None if format.entry("json").is_some() => "json",
        None => "plain",
    };
    let Some(value) = format.entry(key) else {
        findings.error(&place, format!("the format has no `{key}`"), "write `plain: '…'` or `json: […]`");
        return None;
    };
    match key {
        "plain" => plain(document, value, omit, findings),
        _ => json(document, value, omit, findings),
    }
}

/// Reads a format string: that of `plain`, or that of a TrafficLog backend.
pub fn plain(document: &Document<'_>, entry: &Entry, omit: bool, findings: &mut Findings<'_>) -> Option<Format> {
    let place = document.entry_place(entry);
    let Some(written) = text(&entry.value).filter(|it| !it.is_empty()) else {
        if !matches!(entry.value.kind, Kind::Scalar(_)) {
            findings.error(&place, format!("`{}` is a text", entry.key), "write the format in quotes");
            return None;
        }
        findings.warning(&place, "an empty format: Kuma sends its default, or refuses the policy", "remove it");
        return Some(Format::auto());
    };
    let shape = compile(document, &entry.value, written, findings)?;
    // Who wants the empty lines of Kuma 2.10 back writes a line break at the end.
    let line = written.trim_end_matches('\n');
    if line.contains('\n') {
        let count = line.matches('\n').count() + 1;
        let message = format!("the format has {count} lines, so each log arrives as {count} records");
        findings.warning(&place, message, "write it in one line; until then its lines are read as they come");
        return Some(Format::auto());
    }
    let mut entries = vec![("type", word("Plain")), ("plain", quoted(line))];
    if omit {
        entries.push(("omitEmptyValues", word("true")));
    }
    Some(Format::new(mapping(entries), Some(format!("plain {omit} {shape}"))))
}

fn json(document: &Document<'_>, entry: &Entry, omit: bool, findings: &mut Findings<'_>) -> Option<Format> {
    let items = access_log::items(document, entry, findings);
    if items.is_empty() {
        findings.error(&document.place(&entry.key_span), "`json` has no keys", "write `- {key: …, value: '%…%'}`");
        return None;
    }
    let mut shapes: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    let mut pairs = Vec::new();
    let mut right = true;
    for item in items {
        let Some((key, value, shape)) = pair(document, item, findings) else {
            right = false;
            continue;
        };
        unquoted(document, item, key, value, findings);
        if shapes.insert(key, shape).is_some() {
            let message = format!("the key {} is written twice: only its last value is sent", shown(key));
            let place = item.entry("key").map_or(&item.span, |it| &it.value.span);
            findings.warning(&document.place(place), message, "remove one of the two");
        }
        pairs.push(mapping(vec![("key", quoted(key)), ("value", quoted(value))]));
    }
    if !right {
        return None;
    }
    let mut entries = vec![("type", word("Json")), ("json", sequence(pairs))];
    if omit {
        entries.push(("omitEmptyValues", word("true")));
    }
    Some(Format::new(mapping(entries), Some(format!("json {shapes:?}"))))
}

/// A key, its value, and what the value looks like.
pub fn pair<'a>(
    document: &Document<'_>,
    item: &'a Node,
    findings: &mut Findings<'_>,
) -> Option<(&'a str, &'a str, String)> {
    let first = document.place(&item.entries().first().map_or(&item.span, |entry| &entry.key_span).clone());
    let mut texts = [""; 2];
    for (index, name) in ["key", "value"].into_iter().enumerate() {
        let Some(entry) = item.entry(name) else {
            findings.error(&first, format!("an item has no `{name}`"), "write `{key: …, value: '%…%'}`");
            return None;
        };
        match &entry.value.kind {
            Kind::Scalar(scalar) if name == "value" || !scalar.text.is_empty() => texts[index] = &scalar.text,
            _ => {
                let message = format!("the `{name}` is not a text");
                findings.error(&document.place(&entry.key_span), message, "write one value, in quotes");
                return None;
            }
        }
    }
    let [key, value] = texts;
    let shape = compile(document, &item.entry("value")?.value, value, findings)?;
    Some((key, value, shape))
}

/// Kuma puts key and value between quotes and refuses the policy when that is not JSON: all
/// versions do, and the examples of its documentation with quotes in them are refused too.
fn unquoted(document: &Document<'_>, item: &Node, key: &str, value: &str, findings: &mut Findings<'_>) {
    let pasted = format!("{{\"{key}\": \"{value}\"}}");
    if serde_json::from_str::<serde_json::Value>(&pasted).is_ok() {
        return;
    }
    let Some(node) = item.entry("value").map(|it| &it.value) else { return };
    let Some(first) = value.find('"') else {
        let message = "Kuma refuses this pair: between quotes it is not JSON";
        findings.warning(&document.place(&node.span), message, "remove quotes, backslashes and line breaks");
        return;
    };
    let bare = value.replace('"', "");
    let message = match value.matches('"').count() % 2 {
        0 => "Kuma refuses this value: the quotes in it end its own",
        _ => "Kuma refuses this value: a quote in it opens and does not close",
    };
    let place = findings.within(document.file, node, value, &(first..first + 1));
    findings.warning(&place, message, format!("write '{bare}': JSON values are quoted anyway"));
}

/// Compiles a format string and says what its text looks like on the wire, or `None` when Envoy
/// would refuse it.
pub fn compile(document: &Document<'_>, node: &Node, written: &str, findings: &mut Findings<'_>) -> Option<String> {
    let format = match envoy::Format::compile(written) {
        Ok(format) => format,
        Err(error) => {
            let place = findings.within(document.file, node, written, &error.at);
            findings.error(&place, format!("Envoy refuses this format: {error}"), error.help);
            return None;
        }
    };
    // What a line feed does depends on where the format is sent.
    for warning in format.warnings().iter().filter(|it| written.get(it.at.clone()) != Some("\n")) {
        let place = findings.within(document.file, node, written, &warning.at);
        findings.warning(&place, &warning.message, &warning.help);
    }
    Some(format.looks())
}

/// A word of ours.
pub fn word(text: &str) -> Node {
    Node::text(text)
}

/// A text of the policy: never YAML's word for nothing.
pub fn quoted(text: &str) -> Node {
    Node { span: None, kind: Kind::Scalar(Scalar { text: text.to_owned(), plain: false, written: None }) }
}

/// A list that was not written in a file.
pub fn sequence(items: Vec<Node>) -> Node {
    Node { span: None, kind: Kind::Sequence(items) }
}

/// A mapping that was not written in a file.
pub fn mapping(entries: Vec<(&str, Node)>) -> Node {
    let entry = |(key, value): (&str, Node)| Entry { key: key.to_owned(), key_span: None, value };
    Node { span: None, kind: Kind::Mapping(entries.into_iter().map(entry).collect()) }
}
