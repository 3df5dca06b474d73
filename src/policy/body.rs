//! `attributes` and `body` of an OpenTelemetry backend.

use super::document::{Document, text};
use super::format::{Format, compile, mapping, pair, quoted, sequence, word};
use super::{Findings, access_log};
use crate::config::de::is_nothing;
use crate::config::problem::shown;
use crate::config::tree::{Entry, Kind, Node};

/// The kinds of values that Envoy refuses, wherever they stand.
const REFUSED: &[&str] = &["boolValue", "intValue", "doubleValue", "bytesValue"];
const ACCEPTED: &[&str] = &["stringValue", "arrayValue", "kvlistValue"];

/// Reads both; `None` after an error, `auto` when the policy says neither.
pub fn read(document: &Document<'_>, backend: &Node, findings: &mut Findings<'_>) -> Option<Format> {
    let attributes = match backend.entry("attributes") {
        Some(entry) => attributes(document, entry, findings),
        None => Some(Vec::new()),
    };
    let body = match backend.entry("body") {
        Some(entry) => body(document, entry, findings),
        None => Some(None),
    };
    let (attributes, body) = attributes.zip(body)?;
    if attributes.is_empty() && body.is_none() {
        return Some(Format::auto());
    }
    let mut shape = String::from("otlp");
    let mut entries = vec![("type", word("OpenTelemetry"))];
    if !attributes.is_empty() {
        shape.extend(attributes.iter().map(|(key, _)| format!(" {key:?}")));
        let pairs = attributes.iter().map(|(key, value)| mapping(vec![("key", quoted(key)), ("value", quoted(value))]));
        entries.push(("attributes", sequence(pairs.collect())));
    }
    if let Some((node, seen)) = body {
        shape.push_str(&format!(" body {seen}"));
        entries.push(("body", node));
    }
    Some(Format::new(mapping(entries), Some(shape)))
}

fn attributes<'a>(
    document: &Document<'_>,
    entry: &'a Entry,
    findings: &mut Findings<'_>,
) -> Option<Vec<(&'a str, &'a str)>> {
    let mut pairs = Some(Vec::new());
    for item in access_log::items(document, entry, findings) {
        // Kuma takes a text only, but people write what OTLP would take.
        let value = item.entry("value").map(|it| it.value.entries()).unwrap_or_default();
        if let Some(refused) = value.iter().find(|it| REFUSED.contains(&it.key.as_str())) {
            refuse(document, refused, findings);
            pairs = None;
            continue;
        }
        match (pair(document, item, findings), &mut pairs) {
            (Some((key, value, _)), Some(pairs)) => pairs.push((key, value)),
            _ => pairs = None,
        }
    }
    pairs
}

/// A body and what it looks like.
type Body = Option<(Node, String)>;

/// `Some(None)` is the default body.
fn body(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) -> Option<Body> {
    let place = document.place(&entry.key_span);
    match &entry.value.kind {
        Kind::Scalar(scalar) if is_nothing(scalar) => Some(None),
        // What is no value of OTLP is sent as its JSON text; quotes are part of that of a text.
        Kind::Scalar(_) | Kind::Sequence(_) | Kind::Broken => {
            let help = "write `body: {stringValue: '…'}`";
            findings.warning(&place, "this body is sent as JSON text, quotes included", help);
            let json = serde_json::to_string(&to_json(&entry.value)).unwrap_or_default();
            let seen = compile(document, &entry.value, &json, findings)?;
            Some(Some((mapping(vec![("stringValue", quoted(&json))]), seen)))
        }
        Kind::Mapping(_) => any_value(document, entry, findings).map(|it| (!it.1.is_empty()).then_some(it)),
    }
}

/// A value of OTLP without those that Envoy refuses; without a kind it is nothing, and looks like
/// nothing.
fn any_value(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) -> Option<(Node, String)> {
    let entries = entry.value.entries();
    if let Some(refused) = entries.iter().find(|it| REFUSED.contains(&it.key.as_str())) {
        refuse(document, refused, findings);
        return None;
    }
    let is_there = |it: &&Entry| !matches!(&it.value.kind, Kind::Scalar(scalar) if is_nothing(scalar));
    let Some(value) = entries.iter().filter(is_there).find(|it| ACCEPTED.contains(&it.key.as_str())) else {
        nothing(document, entry, findings);
        return Some((Node::mapping(), String::new()));
    };
    if value.key == "stringValue" {
        let Kind::Scalar(scalar) = &value.value.kind else {
            findings.error(&document.place(&value.key_span), "`stringValue` is a text", "write it in quotes");
            return None;
        };
        let seen = compile(document, &value.value, &scalar.text, findings)?;
        return Some((mapping(vec![("stringValue", quoted(&scalar.text))]), format!("text {seen}")));
    }
    let Some(values) = value.value.entry("values") else {
        return Some((mapping(vec![(&value.key, values_of(Vec::new()))]), format!("{} []", value.key)));
    };
    let mut nodes = Vec::new();
    let mut shape = format!("{} [", value.key);
    for item in access_log::items(document, values, findings) {
        let (node, seen) = match value.key.as_str() {
            "kvlistValue" => key_value(document, values, item, findings)?,
            _ => any_value(document, &at(values, item), findings)?,
        };
        nodes.push(node);
        shape.push_str(&format!("{seen},"));
    }
    shape.push(']');
    Some((mapping(vec![(&value.key, values_of(nodes))]), shape))
}

fn key_value(
    document: &Document<'_>,
    list: &Entry,
    item: &Node,
    findings: &mut Findings<'_>,
) -> Option<(Node, String)> {
    let Some(key) = item.entry("key").and_then(|it| text(&it.value)) else {
        let place = item.entries().first().unwrap_or(list);
        let help = "write `{key: …, value: {stringValue: '…'}}`";
        findings.error(&document.place(&place.key_span), "an item has no `key`", help);
        return None;
    };
    let (value, seen) = match item.entry("value") {
        Some(value) => any_value(document, value, findings)?,
        None => (Node::mapping(), String::new()),
    };
    // A key is not what tells two bodies apart when the values differ only in what they mean.
    Some((mapping(vec![("key", quoted(key)), ("value", value)]), format!("{key:?} {seen}")))
}

/// An item of a list has no key of its own: it is shown where it begins.
fn at(list: &Entry, item: &Node) -> Entry {
    let key_span = item.entries().first().map_or(&item.span, |entry| &entry.key_span).clone();
    Entry { key: list.key.clone(), key_span, value: item.clone() }
}

fn values_of(values: Vec<Node>) -> Node {
    mapping(vec![("values", sequence(values))])
}

fn refuse(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) {
    let message = format!("Envoy refuses `{}`, so no proxy takes the policy", entry.key);
    findings.error(&document.place(&entry.key_span), message, "write the value as a text: `stringValue: '…'`");
}

/// Nothing of it is a value. One mistake is in the documentation of Kuma itself.
fn nothing(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) {
    let entries = entry.value.entries();
    let misplaced = entries.iter().find(|it| it.key == "values");
    let place = document.place(&misplaced.unwrap_or(entries.first().unwrap_or(entry)).key_span);
    match misplaced {
        Some(_) => findings.warning(
            &place,
            "`values` stands beside `kvlistValue`, where it is ignored: the default text is sent",
            "indent it, so that it is below `kvlistValue:`",
        ),
        None => {
            let found = entries.first().map(|it| format!(": {} is none", shown(&it.key))).unwrap_or_default();
            let help = format!("one of: {}", ACCEPTED.join(", "));
            findings.warning(&place, format!("this says no value{found}"), help);
        }
    }
}

/// As YAML is made JSON before Kuma sees it.
fn to_json(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Broken => serde_json::Value::Null,
        Kind::Sequence(items) => items.iter().map(to_json).collect(),
        Kind::Mapping(entries) => entries.iter().map(|it| (it.key.clone(), to_json(&it.value))).collect(),
        Kind::Scalar(scalar) => match scalar.text.parse::<serde_json::Number>() {
            _ if is_nothing(scalar) => serde_json::Value::Null,
            Ok(number) if scalar.plain => number.into(),
            _ if scalar.plain && matches!(scalar.text.as_str(), "true" | "false") => (scalar.text == "true").into(),
            _ => scalar.text.as_str().into(),
        },
    }
}
