//! `policies`: sources that mesh policies ask for, put beside those that are written.

use std::path::PathBuf;

use super::de::visible;
use super::listen::Listen;
use super::problem::{Problem, Report, Severity, shown};
use super::tree::{Entry, Kind, Node, Scalar};
use crate::policy::{Listener, PolicyFile, Source, derive, find};

/// What came of the policies besides sources.
#[derive(Default)]
pub struct Told {
    /// Why the configuration is refused, one for each file with errors.
    pub errors: Vec<Report>,
    /// What should be known at start.
    pub warnings: Vec<String>,
}

/// The keys of a source that hold its address.
const ADDRESS_KEYS: &[&str] = &["listen", "grpc", "http"];

/// Reads the files that `policies` names, and puts the sources they ask for into the tree.
pub fn merge(root: &mut Node, problems: &mut Vec<Problem>) -> Told {
    let Some(entry) = root.entry("policies").cloned() else { return Told::default() };
    let Some(files) = read(&entry, problems) else {
        // Which sources there would be is not known, so that none are missing.
        if root.entry("sources").is_none() {
            root.set(&["sources"], Node { span: None, kind: Kind::Broken });
        }
        return Told::default();
    };
    if files.is_empty() {
        return Told::default();
    }
    let written: Vec<(String, Listen)> = root
        .entry("sources")
        .map(|it| it.value.entries())
        .unwrap_or_default()
        .iter()
        .flat_map(|source| addresses(&source.value).map(|it| (source.key.clone(), it)))
        .collect();
    let listeners: Vec<Listener> = written.iter().map(|(_, listen)| Listener::Exists(listen.clone())).collect();
    let derived = derive(&files, &listeners);
    let warnings = derived.reports.iter().flat_map(|report| report.sentences(Severity::Warning));
    let mut told = Told { errors: Vec::new(), warnings: warnings.collect() };
    told.errors.extend(derived.reports.iter().filter(|it| it.has_errors()).map(Report::errors_only));
    let none = Node::mapping();
    if !matches!(root.entry("sources").map_or(&none.kind, |it| &it.value.kind), Kind::Mapping(_)) {
        // It is complained about where sources are read.
        return told;
    }
    if derived.sources.is_empty() && told.errors.is_empty() {
        let message = "these policies send logs to no address";
        let help = "`logboom from-policy FILE` says what there is to each of them";
        problems.push(Problem::at(entry.key_span.clone(), message).help(help));
    }
    if root.entry("sources").is_none() {
        root.set(&["sources"], none);
    }
    for source in &derived.sources {
        match written.iter().find(|(_, listen)| listen.collides(&source.listen)) {
            None => put(root, source),
            Some((name, _)) => join(root, name, source, problems, &mut told.warnings),
        }
    }
    told
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Vec<PolicyFile>> {
    let nodes = match &entry.value.kind {
        Kind::Broken => return None,
        Kind::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    let before = problems.len();
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut files = Vec::new();
    for node in nodes {
        let Kind::Scalar(Scalar { text, .. }) = &node.kind else {
            let message = "a path, or a list of paths, is needed here";
            problems.push(Problem::at(entry.key_span.clone(), message).help("such as policies/*.yaml"));
            continue;
        };
        match find(text) {
            Ok(found) => {
                for path in found {
                    // Two patterns may name the same file.
                    if paths.contains(&path) {
                        continue;
                    }
                    match PolicyFile::read(&path) {
                        Ok(file) => files.push(file),
                        Err(error) => problems.push(complaint(node, error.message, error.help)),
                    }
                    paths.push(path);
                }
            }
            Err(error) => problems.push(complaint(node, error.message, error.help)),
        }
    }
    (problems.len() == before).then_some(files)
}

fn complaint(node: &Node, message: String, help: String) -> Problem {
    Problem::at(node.span.clone(), visible(node, message)).help(help)
}

/// Where a written source listens, as far as that can be read.
fn addresses(source: &Node) -> impl Iterator<Item = Listen> {
    let entries = source.entries().iter().filter(|it| ADDRESS_KEYS.contains(&it.key.as_str()));
    entries.filter_map(|entry| match &entry.value.kind {
        Kind::Scalar(scalar) => scalar.text.parse().ok(),
        _ => None,
    })
}

/// A source of its own, under its name or, where that is taken, one like it.
fn put(root: &mut Node, source: &Source) {
    let taken = |root: &Node, name: &str| root.entry("sources").is_some_and(|it| it.value.entry(name).is_some());
    let names = (1..).map(|n| if n == 1 { source.name.clone() } else { format!("{}-{n}", source.name) });
    if let Some(name) = names.into_iter().find(|name| !taken(root, name)) {
        root.set(&["sources", &name], source.node());
    }
}

/// A written source on the same address keeps what it says; what it does not say is its format.
fn join(root: &mut Node, name: &str, source: &Source, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
    let (node, span) = root.locate(&["sources", name]);
    let origin = source.origins.first().map(String::as_str).unwrap_or_default();
    if !source.address_keys().iter().any(|key| node.entry(key).is_some()) {
        let message = format!(
            "the source {} is on the address {} of a policy, for another kind of logs",
            shown(name),
            source.listen
        );
        problems
            .push(Problem::at(span, message).help(format!("the policy is at {origin}: give one of them another port")));
        return;
    }
    if node.entry("format").is_some() {
        warnings.push(format!("sources.{name}: its own `format` counts, not that of the policy: {origin}"));
        return;
    }
    root.set(&["sources", name, "format"], source.format.clone());
}
