//! From a text or from flags to a checked configuration, or to everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::check::{Scope, check};
use super::checked::Checked;
use super::de::{MISTAKES_MAX, is_nothing, read, unknown_key};
use super::errors::ConfigErrors;
use super::problem::{Problem, Report, shown};
use super::substitute::{Environment, substitute};
use super::tree::{Entry, Kind, Node, Span, parse};
use super::units::{ByteSize, WaitMax};
use super::{Config, later, memory_default, policies, suggest};
use crate::select::Sample;
use crate::sink::{SinkConfig, SinkKind};
use crate::source::SourceConfig;

/// Largest configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most sources, and most sinks.
pub(super) const COMPONENTS_MAX: usize = 256;

/// The configuration where the user gives none.
const DEFAULTS: &str = "\
sources:
  mesh: {type: lines, listen: 127.0.0.1:5000}
  otlp: {type: otlp, grpc: 127.0.0.1:4317, http: 127.0.0.1:4318}
sinks:
  console: {type: stdout}
";

/// A configuration as a tree that nothing has been read from yet. Flags are put into it key by
/// key, so they are held to the same rules as a file.
pub struct Draft {
    name: String,
    text: String,
    root: Node,
    problems: Vec<Problem>,
}

impl Draft {
    /// The file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 1 MiB, or is not YAML.
    pub fn file(path: &Path) -> Result<Draft, ConfigErrors> {
        let name = path.display().to_string();
        let refused = |why: &str| ConfigErrors::plain(&name, why, "give the path of a readable YAML file with -c");
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| refused(&format!("cannot read the configuration: {error}")))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(&format!("a configuration has at most {FILE_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| refused(&format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to())))?;
        Draft::text(&name, &text)
    }

    /// A text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// When it is larger than 1 MiB or not YAML.
    pub fn text(name: &str, text: &str) -> Result<Draft, ConfigErrors> {
        Draft::text_with(name, text, &|name| std::env::var_os(name))
    }

    pub(super) fn text_with(name: &str, text: &str, environment: Environment<'_>) -> Result<Draft, ConfigErrors> {
        if text.len() as u64 > FILE_BYTES_MAX {
            let message = format!("a configuration has at most {FILE_BYTES_MAX} bytes");
            return Err(ConfigErrors::plain(name, &message, "write less"));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Vec::new();
        let Some(mut root) = parse(text, &mut problems) else {
            if problems.is_empty() {
                problems.push(Problem::at(None, "the configuration is empty").help("write `sources:` and `sinks:`"));
            }
            return Err(ConfigErrors::new(Report::new(name, text, &[], problems), Vec::new()));
        };
        substitute(&mut root, environment, &mut problems);
        Ok(Draft { name: name.to_owned(), text: text.to_owned(), root, problems })
    }

    /// What runs without a file: `lines` on 127.0.0.1:5000, OTLP on 127.0.0.1:4317 and 4318, JSON
    /// on standard output.
    ///
    /// # Errors
    /// None; the signature is that of [`Draft::text`].
    pub fn defaults() -> Result<Draft, ConfigErrors> {
        let mut draft = Draft::text("command line", DEFAULTS)?;
        // There is no file to point into.
        draft.text.clear();
        forget_places(&mut draft.root);
        Ok(draft)
    }

    /// Sets the text at a path of keys, as if it were written in the file.
    pub fn set(&mut self, path: &[&str], value: &str) {
        self.root.set(path, Node::text(value));
    }

    /// Removes everything under a top-level key.
    pub fn clear(&mut self, key: &str) {
        self.root.set(&[key], Node::mapping());
    }

    /// Reads and checks.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn finish(mut self) -> Result<Checked, ConfigErrors> {
        later::refuse(&mut self.root, &mut self.problems);
        let told = policies::merge(&mut self.root, &mut self.problems);
        let (config, scope) = read_config(&self.root, &mut self.problems);
        let scope = Scope { complete: scope.complete && self.problems.is_empty() && told.errors.is_empty(), ..scope };
        let mut warnings = told.warnings;
        warnings.extend(check(&config, &scope, &self.root, &mut self.problems));
        if self.problems.is_empty() && told.errors.is_empty() {
            let places = places(self.root.entry("sinks"), &self.name, &self.text);
            return Ok(Checked::new(config, warnings, places));
        }
        let report = Report::new(&self.name, &self.text, std::slice::from_ref(&self.root), self.problems);
        Err(ConfigErrors::new(report, told.errors))
    }
}

/// Where the names below a key are written: `logboom.yaml:7:3`.
fn places(part: Option<&Entry>, file: &str, text: &str) -> BTreeMap<String, String> {
    let entries = part.map(|entry| entry.value.entries()).unwrap_or_default();
    let place = |entry: &Entry| {
        let before = text.get(..entry.key_span.as_ref()?.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
        Some((entry.key.clone(), format!("{file}:{line}:{column}")))
    };
    entries.iter().filter_map(place).collect()
}

fn forget_places(node: &mut Node) {
    node.span = None;
    if let Kind::Mapping(entries) = &mut node.kind {
        for entry in entries {
            entry.key_span = None;
            forget_places(&mut entry.value);
        }
    }
}

const KEYS: &[&str] =
    &["sources", "sinks", "policies", "redact", "memory", "journal", "admin", "shutdown", "takeover", "tests"];

/// What could be read. What could not has its default, and the problem says so.
fn read_config(root: &Node, problems: &mut Vec<Problem>) -> (Config, Scope) {
    if !matches!(root.kind, Kind::Mapping(_)) {
        let problem = Problem::at(root.span.clone(), "a configuration is a mapping");
        problems.push(problem.help("write `sources:` and `sinks:`"));
    }
    let unknown = |entry: &&Entry| !KEYS.contains(&entry.key.as_str()) && !matches!(entry.value.kind, Kind::Broken);
    problems.extend(root.entries().iter().filter(unknown).take(MISTAKES_MAX).map(|entry| unknown_key(entry, KEYS)));
    let sources = read_named(root, "sources", problems, read_source);
    let sinks = read_named(root, "sinks", problems, read_sink);
    let scope = Scope {
        sources: root.entry("sources").map(|entry| names(&entry.value)).unwrap_or_default(),
        complete: problems.is_empty(),
    };
    let config = Config {
        sources,
        sinks,
        policies: Vec::new(),
        redact: read_part(root, "redact", problems).unwrap_or_default(),
        memory: read_part(root, "memory", problems).unwrap_or_else(memory_default),
        journal: read_part(root, "journal", problems),
        admin: read_part(root, "admin", problems).unwrap_or_default(),
        shutdown: read_part(root, "shutdown", problems).unwrap_or_default(),
        takeover: read_part(root, "takeover", problems),
        tests: read_part(root, "tests", problems).unwrap_or_default(),
    };
    (config, scope)
}

fn names(node: &Node) -> BTreeSet<String> {
    node.entries().iter().take(COMPONENTS_MAX).map(|entry| entry.key.clone()).collect()
}

fn read_part<T: serde::de::DeserializeOwned>(root: &Node, key: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let entry = root.entry(key)?;
    read(&pointed(&entry.value, &entry.key_span), &[], problems)
}

/// A mapping or an empty value is complained about at its key; its own place may be lines away.
fn pointed(node: &Node, key_span: &Span) -> Node {
    match &node.kind {
        Kind::Scalar(scalar) if !is_nothing(scalar) => node.clone(),
        Kind::Sequence(_) => node.clone(),
        _ => Node { span: key_span.clone(), kind: node.kind.clone() },
    }
}

type ReadOne<T> = fn(&Node, &Span, &mut Vec<Problem>) -> Option<T>;

fn read_named<T>(
    root: &Node,
    key: &'static str,
    problems: &mut Vec<Problem>,
    read_one: ReadOne<T>,
) -> BTreeMap<String, T> {
    let Some(entry) = root.entry(key) else {
        if matches!(root.kind, Kind::Mapping(_)) {
            problems.push(
                Problem::at(None, format!("missing key `{key}`")).help(format!("at least one of the {key} is needed")),
            );
        }
        return BTreeMap::new();
    };
    match &entry.value.kind {
        Kind::Mapping(entries) if entries.len() > COMPONENTS_MAX => {
            let message = format!("{} {key} are too many", entries.len());
            problems.push(Problem::at(entry.key_span.clone(), message).help(format!("write at most {COMPONENTS_MAX}")));
            BTreeMap::new()
        }
        Kind::Mapping(entries) => {
            let mut named = BTreeMap::new();
            for entry in entries {
                let before = problems.len();
                let one = read_one(&entry.value, &entry.key_span, problems);
                problems[before..].iter_mut().for_each(|problem| problem.path = format!("{key}.{}", entry.key));
                named.extend(one.map(|one| (entry.key.clone(), one)));
            }
            named
        }
        Kind::Broken => BTreeMap::new(),
        _ => {
            let help = format!("write names below `{key}:`, each with its `type:`");
            problems.push(Problem::at(entry.key_span.clone(), "a mapping of names is needed here").help(help));
            BTreeMap::new()
        }
    }
}

const SOURCE_TYPES: &[&str] = &["lines", "otlp"];

fn read_source(node: &Node, key_span: &Span, problems: &mut Vec<Problem>) -> Option<SourceConfig> {
    let kind = read_type(node, key_span, SOURCE_TYPES, problems)?;
    let (_, rest) = split(node, key_span, &["type"]);
    match kind {
        "lines" => read(&rest, &["type"], problems).map(SourceConfig::Lines),
        _ => read(&rest, &["type"], problems).map(SourceConfig::Otlp),
    }
}

const SINK_TYPES: &[&str] = &["file", "stdout", "otlp", "null"];
const SINK_KEYS: &[&str] = &["type", "from", "when", "sample", "inbox", "wait_max"];

/// What every sink takes.
#[derive(Deserialize)]
struct SinkCommon {
    from: Option<Vec<String>>,
    when: Option<String>,
    sample: Option<Sample>,
    inbox: Option<ByteSize>,
    wait_max: Option<WaitMax>,
}

fn read_sink(node: &Node, key_span: &Span, problems: &mut Vec<Problem>) -> Option<SinkConfig> {
    let kind = read_type(node, key_span, SINK_TYPES, problems)?;
    let (mut common, rest) = split(node, key_span, SINK_KEYS);
    if let Kind::Mapping(entries) = &mut common.kind {
        entries.retain(|entry| entry.key != "type");
    }
    let common: Option<SinkCommon> = read(&common, &[], problems);
    let kind = match kind {
        "file" => read(&rest, SINK_KEYS, problems).map(SinkKind::File),
        "stdout" => read(&rest, SINK_KEYS, problems).map(SinkKind::Stdout),
        "otlp" => read(&rest, SINK_KEYS, problems).map(SinkKind::Otlp),
        _ => read(&rest, SINK_KEYS, problems).map(SinkKind::Null),
    };
    let (SinkCommon { from, when, sample, inbox, wait_max }, kind) = common.zip(kind)?;
    Some(SinkConfig { from, when, sample, inbox, wait_max, kind })
}

/// The type of a source or a sink, one of `types`.
fn read_type(
    node: &Node,
    key_span: &Span,
    types: &[&'static str],
    problems: &mut Vec<Problem>,
) -> Option<&'static str> {
    let accepted = types.join(", ");
    let problem = match &node.kind {
        Kind::Broken => return None,
        Kind::Mapping(_) => match node.entry("type") {
            None => Problem::at(key_span.clone(), "missing key `type`").help(format!("one of: {accepted}")),
            Some(entry) => match &entry.value.kind {
                Kind::Broken => return None,
                Kind::Scalar(scalar) => match types.iter().find(|name| **name == scalar.text) {
                    Some(name) => return Some(name),
                    None => {
                        let written = scalar.written.as_ref().unwrap_or(&scalar.text);
                        let message = format!("unknown type {}", shown(written));
                        let help = match scalar.text.as_str() {
                            "als" => {
                                "write `type: otlp` with `grpc:`, which takes Envoy's access-log service too".to_owned()
                            }
                            text => suggest::accepted(text, types),
                        };
                        Problem::at(entry.value.span.clone(), message).help(help)
                    }
                },
                _ => Problem::at(entry.key_span.clone(), "the type is one word").help(format!("one of: {accepted}")),
            },
        },
        _ => {
            Problem::at(key_span.clone(), "a mapping with a `type` is needed here").help(format!("one of: {accepted}"))
        }
    };
    problems.push(problem);
    None
}

/// The entries with one of `keys`, and the others.
fn split(node: &Node, span: &Span, keys: &[&str]) -> (Node, Node) {
    let (chosen, rest) = node.entries().iter().cloned().partition(|entry| keys.contains(&entry.key.as_str()));
    let mapping = |entries| Node { span: span.clone(), kind: Kind::Mapping(entries) };
    (mapping(chosen), mapping(rest))
}
