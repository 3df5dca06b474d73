//! Sources as a text of YAML that people go on editing.

use super::gather::{ALLOW_PLAINTEXT, Source};
use crate::config::tree::{Kind, Node};

/// A whole configuration.
pub fn configuration(sources: &[Source]) -> String {
    let mut out = String::from("sources:\n");
    for source in sources {
        for origin in &source.origins {
            out.push_str(&format!("  # {}\n", one_line(origin)));
        }
        if source.more > 0 {
            out.push_str(&format!("  # and {} more\n", source.more));
        }
        out.push_str(&format!("  {}:\n", source.name));
        for entry in source.node().entries() {
            if entry.key == ALLOW_PLAINTEXT {
                out.push_str("    # Proxies of other machines send here, and nothing is encrypted: docs/security.md\n");
            }
            match &entry.value.kind {
                Kind::Sequence(items) => {
                    out.push_str(&format!("    {}:\n", entry.key));
                    items.iter().for_each(|item| out.push_str(&format!("      - {}\n", flow(item))));
                }
                _ => out.push_str(&format!("    {}: {}\n", entry.key, flow(&entry.value))),
            }
        }
    }
    out.push_str("sinks:\n  console: {type: stdout, encoding: pretty}\n");
    out
}

/// A comment ends with its line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// A node in one line. `${` is written as a configuration has to write it.
pub fn flow(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

/// The depth of a node is bounded where it is parsed.
fn write(node: &Node, out: &mut String) {
    match &node.kind {
        // Only words of ours are plain: see `format::word`.
        Kind::Scalar(scalar) if scalar.plain => out.push_str(&scalar.text),
        Kind::Scalar(scalar) => out.push_str(&scalar_text(&scalar.text)),
        Kind::Broken => out.push_str("null"),
        Kind::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&scalar_text(&entry.key));
                out.push_str(": ");
                write(&entry.value, out);
            }
            out.push('}');
        }
    }
}

fn scalar_text(text: &str) -> String {
    scalar(&text.replace("${", "$${"))
}

/// A text as a scalar, quoted where YAML would take it for something else. `${` stays as it is.
pub(crate) fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    // Single quotes know no escapes; what is not printable needs some.
    if text.chars().all(|c| !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Words and addresses; nothing that YAML takes for a number, a truth, or nothing.
fn is_plain(text: &str) -> bool {
    const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':'));
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let number = text.parse::<f64>().is_ok() || text.starts_with("0x") || text.starts_with("0o");
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    letters && first && !number && !word && !text.ends_with(':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::format::{mapping, quoted, sequence};
    use super::*;
    use crate::config::tree::parse;

    #[test]
    fn scalars() {
        let check = |text: &str, expected: &str| assert_eq!(scalar_text(text), expected);
        check("start_time", "start_time");
        check("127.0.0.1:5000", "127.0.0.1:5000");
        check("[::1]:5000", "'[::1]:5000'");
        check("%START_TIME%", "'%START_TIME%'");
        check("it's", "'it''s'");
        check("a\nb", "\"a\\nb\"");
        check("null", "'null'");
        check("1.5", "'1.5'");
        check("", "''");
        check("a:", "'a:'");
        check("${env:X}", "'$${env:X}'");
        check("true", "'true'");
    }

    fn read_back(node: &Node) -> String {
        let mut problems = Vec::new();
        let text = format!("x: {}\n", flow(node).replace("$${", "${"));
        let root = parse(&text, &mut problems).unwrap_or_else(|| panic!("{text}\n{problems:?}"));
        plain_text(&root.entry("x").unwrap().value)
    }

    fn plain_text(node: &Node) -> String {
        match &node.kind {
            Kind::Scalar(scalar) => format!("{:?}", scalar.text),
            Kind::Broken => "broken".to_owned(),
            Kind::Sequence(items) => format!("{:?}", items.iter().map(plain_text).collect::<Vec<_>>()),
            Kind::Mapping(entries) => {
                format!("{:?}", entries.iter().map(|it| (&it.key, plain_text(&it.value))).collect::<Vec<_>>())
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in proptest::collection::vec(any::<String>(), 1..6)) {
            let items: Vec<Node> = texts
                .iter()
                .map(|text| mapping(vec![("key", quoted(text)), ("value", quoted(text))]))
                .collect();
            let node = sequence(items);
            prop_assert_eq!(read_back(&node), plain_text(&node));
        }
    }
}
