//! Files into one tree, as the Collector merges them: later files win key by key, lists are replaced.

use crate::config::problem::Problem;
use crate::config::tree::{self, Entry, Kind, Node, Span};
use crate::policy::PolicyFile;

use super::findings::Findings;
use super::look;

/// Maps inside maps; a configuration has about eight.
const DEPTH_MAX: usize = 32;

/// Reads all files into one tree, which is empty where nothing can be read. What a Helm chart, an
/// OpenTelemetryCollector resource or a ConfigMap holds is found inside of it.
pub fn read(files: &[PolicyFile], findings: &mut Findings) -> Node {
    let mut whole = Node::mapping();
    for file in files {
        let mut problems = Vec::new();
        let roots = tree::parse_all(&file.text, &mut problems);
        if let Some((key, text)) = config_map(&roots) {
            one(&format!("{} ({key})", file.name), text, &mut whole, findings);
        } else {
            let inside = roots.iter().find_map(configuration).cloned();
            add(&file.name, &file.text, roots, problems, inside, &mut whole, findings);
        }
    }
    whole
}

/// A text that is a configuration itself.
fn one(name: &str, text: &str, whole: &mut Node, findings: &mut Findings) {
    let mut problems = Vec::new();
    let root = tree::parse(text, &mut problems);
    let inside = root.as_ref().and_then(configuration).cloned();
    add(name, text, root.into_iter().collect(), problems, inside, whole, findings);
}

fn add(
    name: &str,
    text: &str,
    roots: Vec<Node>,
    mut problems: Vec<Problem>,
    inside: Option<Node>,
    whole: &mut Node,
    findings: &mut Findings,
) {
    if inside.is_none() && problems.is_empty() {
        let span = roots.first().and_then(|root| root.entries().first()).and_then(|entry| entry.key_span.clone());
        let help = "give a Collector's configuration: `receivers:`, `exporters:` and `service:`; also inside a ConfigMap, \
                    a Helm values file (`config:`) or an OpenTelemetryCollector resource";
        problems.push(Problem::at(span, "this is no configuration of a Collector").help(help));
    }
    let start = findings.file(name, text, roots, problems);
    if let Some(mut inside) = inside {
        shift(&mut inside, start);
        merge_keys(&mut inside, 0);
        merge(whole, inside, 0);
    }
}

const PARTS: &[&str] = &["receivers", "processors", "exporters", "connectors", "extensions", "service"];

/// The mapping that is the configuration.
fn configuration(root: &Node) -> Option<&Node> {
    if PARTS.iter().any(|part| root.entry(part).is_some_and(|it| matches!(it.value.kind, Kind::Mapping(_)))) {
        // A chart's values have a `service` of their own beside `config`.
        return Some(look::at(root, &["config"]).and_then(|it| configuration(&it.value)).unwrap_or(root));
    }
    let inside = look::at(root, &["config"]).or_else(|| look::at(root, &["spec", "config"]))?;
    configuration(&inside.value)
}

/// The text of a configuration inside of a resource, with its key.
fn config_map(roots: &[Node]) -> Option<(&str, &str)> {
    roots.iter().find_map(|root| {
        let data = look::at(root, &["data"]).or_else(|| look::at(root, &["spec"]))?;
        let is_configuration = |text: &str| text.contains("receivers:") && text.contains("service:");
        data.value.entries().iter().find_map(|entry| {
            let text = look::text(&entry.value).filter(|text| is_configuration(text))?;
            Some((entry.key.as_str(), text))
        })
    })
}

fn shift(node: &mut Node, by: usize) {
    let moved = |span: &mut Span| {
        if let Some(span) = span {
            *span = span.start + by..span.end + by;
        }
    };
    moved(&mut node.span);
    match &mut node.kind {
        Kind::Mapping(entries) => {
            for entry in entries {
                moved(&mut entry.key_span);
                shift(&mut entry.value, by);
            }
        }
        Kind::Sequence(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Kind::Scalar(_) | Kind::Broken => {}
    }
}

/// `<<: *anchor` and `<<: [*a, *b]`: what is written beside it wins, and of several the first.
fn merge_keys(node: &mut Node, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Kind::Sequence(items) = &mut node.kind {
        items.iter_mut().for_each(|item| merge_keys(item, depth + 1));
    }
    let Kind::Mapping(entries) = &mut node.kind else { return };
    entries.iter_mut().for_each(|entry| merge_keys(&mut entry.value, depth + 1));
    if let Some(at) = entries.iter().position(|entry| entry.key == "<<") {
        let merged = entries.remove(at).value;
        let from = match merged.kind {
            Kind::Sequence(items) => items,
            _ => vec![merged],
        };
        for entry in from.iter().flat_map(|node| node.entries()) {
            if !entries.iter().any(|it| it.key == entry.key) {
                entries.push(entry.clone());
            }
        }
    }
}

fn merge(into: &mut Node, from: Node, depth: usize) {
    match (&mut into.kind, from.kind) {
        (Kind::Mapping(entries), Kind::Mapping(more)) if depth < DEPTH_MAX => {
            for Entry { key, key_span, value } in more {
                match entries.iter_mut().find(|entry| entry.key == key) {
                    Some(entry) => {
                        entry.key_span = key_span;
                        merge(&mut entry.value, value, depth + 1);
                    }
                    None => entries.push(Entry { key, key_span, value }),
                }
            }
        }
        (_, kind) => {
            into.kind = kind;
            into.span = from.span;
        }
    }
}
