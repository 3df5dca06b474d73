//! What stands where in a tree.

use std::time::Duration;

use super::substitute;
use crate::config::de::is_nothing;
use crate::config::listen::Listen;
use crate::config::tree::{Entry, Kind, Node, Span};
use crate::config::units::{ByteSize, Period};

/// The text of a scalar that is not nothing.
pub fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) if !is_nothing(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// The entry at a path of keys, unless it is nothing.
pub fn at<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Entry> {
    let (last, way) = path.split_last()?;
    let mut node = node;
    for key in way {
        node = &node.entry(key)?.value;
    }
    node.entry(last).filter(|entry| !matches!(&entry.value.kind, Kind::Scalar(scalar) if is_nothing(scalar)))
}

/// The text at a path.
pub fn word<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
    text(&at(node, path)?.value)
}

/// True or false at a path.
pub fn truth(node: &Node, path: &[&str]) -> Option<bool> {
    match word(node, path)? {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The items of a list; one value is a list of one.
pub fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Sequence(items) => items,
        Kind::Scalar(scalar) if !is_nothing(scalar) => std::slice::from_ref(node),
        _ => &[],
    }
}

/// Where to point for an entry: a block begins somewhere inside, so its key is shown.
pub fn place(entry: &Entry) -> Span {
    match &entry.value.kind {
        Kind::Scalar(scalar) if !scalar.text.is_empty() && entry.value.span.is_some() => entry.value.span.clone(),
        _ => entry.key_span.clone(),
    }
}

/// What is wrong with an address to listen on. A variable alone may hold host and port.
pub fn mistake(address: &str) -> Option<String> {
    let filled = substitute::filled(address);
    filled.parse::<Listen>().err().filter(|_| filled != "1")
}

/// `type/name`: the type.
pub fn kind(id: &str) -> &str {
    id.split('/').next().unwrap_or(id).trim()
}

/// A duration of Go, `1m30s`, in milliseconds; a bare 0 is one too.
pub fn duration(text: &str) -> Option<Period> {
    const UNITS: &[(&str, f64)] =
        &[("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("ns", 0.000_001), ("s", 1e3), ("m", 60e3), ("h", 3600e3)];
    if text == "0" {
        return Some(Period(Duration::ZERO));
    }
    let mut rest = text;
    let mut millis = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..length])?;
        millis += number * factor;
        rest = &rest[length..];
    }
    (!text.is_empty() && millis < 1e15).then(|| Period(Duration::from_millis(millis.round() as u64)))
}

/// A size as operators of the Collector write it: `1MiB`, `10kb`, a bare number of bytes.
pub fn size(text: &str) -> Option<ByteSize> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1024.0 * 1024.0,
        "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = digits.parse::<f64>().ok()? * factor;
    (1.0..1e15).contains(&bytes).then_some(ByteSize(bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(duration(text).map(|it| it.to_string()).as_deref(), expected, "{text}");
        };
        check("5s", Some("5s"));
        check("1m30s", Some("90s"));
        check("1.5s", Some("1500ms"));
        check("300ms", Some("300ms"));
        check("0", Some("0s"));
        check("0s", Some("0s"));
        check("24h", Some("1d"));
        check("", None);
        check("5", None);
        check("s", None);
        check("5x", None);
        check("${env:T}", None);
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(size(text).map(|it| it.0), expected, "{text}");
        check("1MiB", Some(1 << 20));
        check("4 mb", Some(4_000_000));
        check("65536", Some(65536));
        check("1.5kib", Some(1536));
        check("", None);
        check("x", None);
        check("0", None);
    }
}
