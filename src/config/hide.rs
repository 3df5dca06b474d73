//! What of a text must not be shown.

use std::ops::Range;

use super::tree::{Kind, Node};

/// Keys whose values, at any depth, are taken for secrets.
pub(super) const SECRET_KEYS: &[&str] = &["headers", "auth"];

/// `text` with its secrets overwritten, and with what else is `hidden`. `roots` are the documents that could be read of
/// it; without one the secrets are searched by their keys.
pub(super) fn secrets(text: &str, roots: &[Node], mut hidden: Vec<Range<usize>>) -> String {
    match roots {
        [] => secret_lines(text, &mut hidden),
        roots => roots.iter().for_each(|root| secret_spans(root, text, &mut hidden)),
    }
    overwrite(text, &hidden)
}

/// The spans of values under secret keys, and of users and passwords inside URLs.
fn secret_spans(node: &Node, text: &str, hidden: &mut Vec<Range<usize>>) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for entry in entries {
                if SECRET_KEYS.contains(&entry.key.as_str()) {
                    scalars(&entry.value, &mut |node| hidden.extend(node.span.clone()));
                } else {
                    secret_spans(&entry.value, text, hidden);
                }
            }
        }
        Kind::Sequence(items) => items.iter().for_each(|item| secret_spans(item, text, hidden)),
        Kind::Scalar(_) | Kind::Broken => {
            if let Some(span) = node.span.clone()
                && let Some(written) = text.get(span.clone())
                && let Some(scheme) = written.find("://")
                && let Some(at) = written.rfind('@').filter(|at| *at > scheme)
            {
                hidden.push(span.start + scheme + 3..span.start + at);
            }
        }
    }
}

/// Visits each value below a node.
pub(super) fn scalars(node: &Node, visit: &mut impl FnMut(&Node)) {
    match &node.kind {
        Kind::Mapping(entries) => entries.iter().for_each(|entry| scalars(&entry.value, visit)),
        Kind::Sequence(items) => items.iter().for_each(|item| scalars(item, visit)),
        Kind::Scalar(_) | Kind::Broken => visit(node),
    }
}

/// Brackets opened and not closed; those in quotes only make the hidden part longer or end at its indent.
fn open_brackets(line: &str) -> i64 {
    let count = |brackets: [char; 2]| line.matches(brackets).count() as i64;
    count(['{', '[']) - count(['}', ']'])
}

/// The same for a text that is not YAML: the rest of each line that names a secret key, every
/// deeper line after it, and everything between `://` and `@`.
fn secret_lines(text: &str, hidden: &mut Vec<Range<usize>>) {
    let mut start = 0;
    let mut inside: Option<usize> = None;
    let mut brackets = 0_i64;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let indent = content.len() - content.trim_start().len();
        if !content.is_empty() && brackets <= 0 && inside.is_some_and(|depth| indent <= depth) {
            inside = None;
            brackets = 0;
        }
        if inside.is_some() {
            hidden.push(start + indent..start + content.len());
            brackets += open_brackets(content);
        } else if let Some(key) = SECRET_KEYS.iter().filter_map(|key| content.find(key).map(|at| at + key.len())).min()
        {
            inside = Some(indent);
            brackets = open_brackets(content);
            hidden.push(start + (key + 1).min(content.len())..start + content.len());
        }
        if let (Some(scheme), Some(at)) = (content.find("://"), content.rfind('@'))
            && at > scheme
        {
            hidden.push(start + scheme + 3..start + at);
        }
        start += line.len();
    }
}

/// Overwrites spans with as many stars as they have bytes, so that every other position stays.
fn overwrite(text: &str, hidden: &[Range<usize>]) -> String {
    if hidden.is_empty() {
        return text.to_owned();
    }
    let mut bytes = text.as_bytes().to_vec();
    for span in hidden {
        let end = span.end.min(bytes.len());
        bytes[span.start.min(end)..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
