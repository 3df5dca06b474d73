//! Paths with fields: `logs/{kuma.mesh}/{kuma.destination.service}.log`.
//!
//! Whoever sends records chooses the values, so a value is reduced to letters that cannot leave
//! its place in the path, and its length is limited. What was changed by that carries a hash, so
//! that two services do not end up in one file.

use std::fmt::Write as _;

use crate::record::{RecordRef, ValueRef};

/// Longest value in bytes, the hash included.
pub const VALUE_BYTES_MAX: usize = 64;

/// Longest component of a rendered path in bytes: the name of a finished, compressed, temporary
/// file is at most 55 bytes longer, and file systems allow 255.
const COMPONENT_BYTES_MAX: usize = 200;

/// Most components below the root.
const COMPONENTS_MAX: usize = 16;

const HASH_BYTES: usize = 9;

/// What stands for a field that the record does not have.
const UNKNOWN: &str = "_unknown";

/// A checked path: a root directory, and below it one file or one per combination of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    root: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// Reads a path. `{name}` is a field, `{{` and `}}` are braces. The error says what is wrong
    /// and what to write instead.
    pub fn parse(path: &str) -> Result<Template, String> {
        if path.is_empty() {
            return Err("the path is empty: name a file, such as logs/access.log".to_owned());
        }
        if path.chars().any(char::is_control) {
            return Err("the path has control characters: remove them".to_owned());
        }
        let parts = parts(path)?;
        let is_fixed = parts.iter().all(|part| matches!(part, Part::Text(_)));
        let (root, below) = split_root(parts);
        let template = Template { root, parts: below };
        let shape = template.shape();
        if shape.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(format!("'{path}' does not end in a file name below a directory: write logs/access.log"));
        }
        if !is_fixed && template.root.split('/').any(|component| component == "..") {
            return Err(format!("'{path}' contains '..': name the directory itself"));
        }
        if shape.split('/').count() > COMPONENTS_MAX {
            return Err(format!(
                "'{path}' has more than {COMPONENTS_MAX} levels, counted from its first field: write fewer"
            ));
        }
        if let Some(long) = shape.split('/').find(|it| longest(it) > COMPONENT_BYTES_MAX) {
            let fields = long.matches('*').count();
            return Err(format!(
                "one level of '{path}' can grow beyond {COMPONENT_BYTES_MAX} bytes ({fields} fields of {VALUE_BYTES_MAX}): use fewer fields there"
            ));
        }
        let name = shape.rsplit('/').next().unwrap_or_default();
        if !is_fixed && !name.rsplit('*').next().is_some_and(|ending| ending.contains('.')) {
            return Err(format!(
                "'{path}' must end in text with a dot, such as .log, so that no value becomes an ending"
            ));
        }
        if [".gz", ".zst", ".tmp"].iter().any(|ending| name.ends_with(ending)) {
            return Err(format!("'{path}' ends as compressed and temporary files do: write .log instead"));
        }
        Ok(template)
    }

    /// True when there are no fields: one file.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The directory below which everything is written; `.` when the path names none.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Number of directories between the root and the files.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shape().matches('/').count()
    }

    /// Writes the record's path, relative to the root, over what `out` held. A field is looked up
    /// in the attributes of the record, then in those of the resource; text, integers and
    /// booleans count, everything else is `_unknown`. Allocates nothing once `out` has grown.
    pub fn render(&self, record: &RecordRef<'_>, out: &mut String) {
        out.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(name) => {
                    let name = name.as_bytes();
                    let value = record.attributes().get(name);
                    value_into(value.or_else(|| record.envelope().resource_attributes().get(name)), out);
                }
            }
        }
    }

    /// The path of a record that has none of the fields. Gap records go there.
    #[must_use]
    pub fn render_unknown(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Field(_) => UNKNOWN,
        });
        parts.collect()
    }

    /// True when [`Template::render`] could have written this path, or with `directory` the
    /// beginning of it. Used to tell our own files from those of others.
    #[must_use]
    pub fn matches(&self, path: &str, directory: bool) -> bool {
        let shape = self.shape();
        let (mut patterns, mut components) = (shape.split('/'), path.split('/'));
        loop {
            match (patterns.next(), components.next()) {
                (Some(pattern), Some(component)) if glob(pattern.as_bytes(), component.as_bytes()) => {}
                (Some(_), None) => return directory,
                (None, None) => return !directory,
                _ => return false,
            }
        }
    }

    /// The path with a `*` for each field. No literal is confused with one: see [`parts`].
    fn shape(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Field(_) => "*",
        });
        parts.collect()
    }
}

fn longest(component: &str) -> usize {
    let fields = component.matches('*').count();
    component.len() - fields + fields * VALUE_BYTES_MAX
}

fn parts(path: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = path;
    while let Some(at) = rest.find(['{', '}', '*']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if brace == "*" {
            return Err(format!("'{path}' contains '*': write a field such as {{kuma.mesh}}"));
        }
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        let end = if brace == "{" { rest.find(['{', '}', '/']) } else { None };
        match end {
            Some(end) if end > 0 && rest[end..].starts_with('}') => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Field(rest[..end].to_owned()));
                rest = &rest[end + 1..];
            }
            _ => {
                return Err(format!(
                    "the braces of '{path}' do not match: write {{kuma.mesh}} for a field, {{{{ and }}}} for braces"
                ));
            }
        }
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    parts.retain(|part| *part != Part::Text(String::new()));
    Ok(parts)
}

/// Splits at the last slash before the first field, for a fixed path at the last slash.
fn split_root(mut parts: Vec<Part>) -> (String, Vec<Part>) {
    let Some(Part::Text(first)) = parts.first_mut() else { return (".".to_owned(), parts) };
    match first.rfind('/') {
        None => (".".to_owned(), parts),
        Some(at) => {
            let below = first.split_off(at + 1);
            let root = match first.trim_end_matches('/') {
                "" => "/".to_owned(),
                root => root.to_owned(),
            };
            *first = below;
            parts.retain(|part| *part != Part::Text(String::new()));
            (root, parts)
        }
    }
}

fn value_into(value: Option<ValueRef<'_>>, out: &mut String) {
    match value {
        Some(ValueRef::Text(text)) if !text.is_empty() => reduce(text, out),
        Some(ValueRef::Int(number)) => {
            let _infallible = write!(out, "{number}");
        }
        Some(ValueRef::Bool(it)) => out.push_str(if it { "true" } else { "false" }),
        _ => out.push_str(UNKNOWN),
    }
}

fn reduce(text: &[u8], out: &mut String) {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let unchanged = text.len() <= VALUE_BYTES_MAX && text[0] != b'.' && text.iter().all(|byte| stays(*byte));
    let kept = if unchanged { text } else { &text[..text.len().min(VALUE_BYTES_MAX - HASH_BYTES)] };
    for (at, &byte) in kept.iter().enumerate() {
        out.push(if stays(byte) && (at, byte) != (0, b'.') { byte as char } else { '_' });
    }
    if !unchanged {
        // A sender who makes two values collide gains nothing: it may as well send equal values.
        let _infallible = write!(out, "-{:08x}", crc32fast::hash(text));
    }
}

/// `*` stands for one byte or more of a reduced value. The usual two-pointer walk: linear space,
/// and at worst the product of two lengths that are below 256.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') if stays(text[t]) => {
                retry = Some((p, t + 1));
                (p, t) = (p + 1, t + 1);
                continue;
            }
            Some(&byte) if byte != b'*' && byte == text[t] => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        match retry {
            // The field takes one byte more.
            Some((star, next)) if next < text.len() && stays(text[next]) => {
                retry = Some((star, next + 1));
                (p, t) = (star + 1, next + 1);
            }
            _ => return false,
        }
    }
    p == pattern.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Envelope, Range, Record, Span, Value};

    /// `root | shape`, or `refused`.
    fn check(path: &str, expected: &str) {
        let got = Template::parse(path).map(|it| format!("{} | {}", it.root(), it.shape()));
        assert_eq!(got.as_deref().unwrap_or("refused"), expected, "{path}");
    }

    #[test]
    fn paths() {
        check("access.log", ". | access.log");
        check("logs/access.log", "logs | access.log");
        check("/access.log", "/ | access.log");
        check("../logs/access.log", "../logs | access.log");
        check("/var/log/{a}/x-{b.c}.log", "/var/log | */x-*.log");
        check("logs/x{a}.log", "logs | x*.log");
        check("{a}.log", ". | *.log");
        check("logs/{{a}}.log", "logs | {a}.log");
        for refused in [
            "",
            "logs/",
            "logs/..",
            "logs/{a",
            "logs/a}",
            "logs/{}.log",
            "logs/{a/b}.log",
            "logs/{a}/../b.log",
            "../{a}.log",
            "logs/{a}//b.log",
            "logs/{a}",
            "logs/{a}.gz",
            "logs/a.log.tmp",
            "logs/*.log",
            "logs/{a}{b}{c}{d}.log",
            "logs/a\0.log",
            "logs/a\n.log",
        ] {
            check(refused, "refused");
        }
    }

    fn render(template: &str, values: &[(&str, Value)], raw: &[u8]) -> String {
        let mut record = Record::default();
        for (key, value) in values {
            let key = record.tree.side_text(key.as_bytes());
            record.tree.push(key, *value);
        }
        record.attributes = Range { start: 0, end: record.tree.position() };
        let envelope = Envelope::default();
        let mut out = "left over".to_owned();
        Template::parse(template).unwrap().render(&RecordRef::new(raw, &record, &envelope), &mut out);
        out
    }

    fn value(text: &str, expected: &str) {
        let value = Value::Text(Span::raw(0, text.len()));
        assert_eq!(render("r/{k}.log", &[("k", value)], text.as_bytes()), format!("{expected}.log"), "{text}");
    }

    #[test]
    fn values() {
        value("redis_kuma-demo_svc_6379", "redis_kuma-demo_svc_6379");
        value("", "_unknown");
        value("..", &format!("_.-{:08x}", crc32fast::hash(b"..")));
        value("a/b", &format!("a_b-{:08x}", crc32fast::hash(b"a/b")));
        value(&"x".repeat(64), &"x".repeat(64));
        value(&"x".repeat(65), &format!("{}-{:08x}", "x".repeat(55), crc32fast::hash(&[b'x'; 65])));
        assert_eq!(render("r/{a}/{b}.log", &[("a", Value::Int(-5)), ("b", Value::Bool(true))], b""), "-5/true.log");
        assert_eq!(render("r/{a}/{b}.log", &[("a", Value::Double(1.0))], b""), "_unknown/_unknown.log");
    }

    #[test]
    fn resource_attributes_come_second() {
        let mut envelope = Envelope::default();
        let (key, text) = (envelope.tree.side_text(b"kuma.mesh"), envelope.tree.side_text(b"default"));
        envelope.tree.push(key, Value::Text(text));
        envelope.resource_attributes = Range { start: 0, end: 1 };
        let mut out = String::new();
        let template = Template::parse("logs/{kuma.mesh}.log").unwrap();
        template.render(&RecordRef::new(b"", &Record::default(), &envelope), &mut out);
        assert_eq!(out, "default.log");
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_place(text in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let value = Value::Text(Span::raw(0, text.len()));
            let template = Template::parse("logs/x-{a}/{a}.log").unwrap();
            let path = render("logs/x-{a}/{a}.log", &[("a", value)], &text);
            let components: Vec<_> = path.split('/').collect();
            prop_assert_eq!(components.len(), 2);
            for component in components {
                prop_assert!(!component.starts_with('.') && component.len() <= VALUE_BYTES_MAX + 4);
                prop_assert!(component.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it)));
            }
            prop_assert!(template.matches(&path, false), "{}", path);
        }

        #[test]
        fn any_path_is_read_or_refused(path in "[a{}/.*@]{0,40}") {
            if let Ok(template) = Template::parse(&path) {
                prop_assert!(template.matches(&template.render_unknown(), false));
            }
        }
    }

    #[test]
    fn own_files_are_told_from_others() {
        let template = Template::parse("logs/{a}/x-{b}.log").unwrap();
        assert!(template.matches("m/x-1.log", false));
        assert!(template.matches("m", true));
        for (path, directory) in [
            ("m/1.log", false),
            ("m/x-.log", false),
            ("m/x-1.log", true),
            ("m", false),
            ("m/x-1@2.log", false),
            ("a/b/x-1.log", false),
        ] {
            assert!(!template.matches(path, directory), "{path}");
        }
    }
}
