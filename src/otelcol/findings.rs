//! What becomes of each part, and where it is written, in whichever file.
//!
//! The files stand one behind the other in one text, so that a place is a range in it.

use crate::config::problem::{Problem, Report, Severity};
use crate::config::tree::{Entry, Kind, Node, Span};

use super::look;

/// One file, its place in the text of all, and the tree of it as it was read.
struct File {
    name: String,
    text: String,
    start: usize,
    root: Vec<Node>,
}

/// Where findings go.
#[derive(Default)]
pub struct Findings {
    files: Vec<File>,
    said: Vec<Problem>,
    kept: Vec<Problem>,
    failed: bool,
}

impl Findings {
    /// Another file; its places begin where this says.
    pub fn file(&mut self, name: &str, text: &str, root: Vec<Node>, problems: Vec<Problem>) -> usize {
        // A byte between two files, so that no place belongs to both.
        let start = self.files.last().map_or(0, |file| file.start + file.text.len() + 1);
        self.failed |= !problems.is_empty();
        self.said.extend(problems.into_iter().map(|mut problem| {
            problem.span = problem.span.map(|span| span.start + start..span.end + start);
            problem
        }));
        self.files.push(File { name: name.to_owned(), text: text.to_owned(), start, root });
        start
    }

    /// It means the same.
    pub fn kept(&mut self, span: Span, what: impl Into<String>) {
        self.kept.push(Problem::at(span, what.into()).severity(Severity::Note));
    }

    /// It means something else: what, and what to do about it.
    pub fn changed(&mut self, span: Span, what: impl AsRef<str>, help: impl Into<String>) {
        let message = format!("changed: {}", what.as_ref());
        self.said.push(Problem::at(span, message).help(help).severity(Severity::Warning));
    }

    /// It has no counterpart: what to do instead.
    pub fn dropped(&mut self, span: Span, what: impl AsRef<str>, help: impl Into<String>) {
        let message = format!("dropped: {}", what.as_ref());
        self.said.push(Problem::at(span, message).help(help).severity(Severity::Warning));
    }

    /// A pipeline cannot be made.
    pub fn failed(&mut self, span: Span, what: impl Into<String>, help: impl Into<String>) {
        self.failed = true;
        self.said.push(Problem::at(span, what.into()).help(help));
    }

    /// True when a pipeline could not be made, or a file not be read as it is.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Each key below `node` that is not in `known` is told to have no counterpart.
    pub fn rest(&mut self, what: &str, node: &Node, known: &[&str]) {
        for entry in node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            if look::at(node, &[&entry.key]).is_some() {
                self.dropped(look::place(entry), format!("`{}` of {what} has no counterpart", entry.key), hint(entry));
            }
        }
    }

    /// `file:line` of a place.
    pub fn line(&self, span: &Span) -> String {
        let at = span.as_ref().map_or(0, |span| span.start);
        let Some(file) = self.files.iter().rev().find(|file| file.start <= at) else { return String::new() };
        let before = file.text.get(..at - file.start).unwrap_or_default();
        format!("{}:{}", file.name, before.matches('\n').count() + 1)
    }

    /// For each file all that is to be told, and then all that is kept.
    pub fn reports(self) -> (Vec<Report>, Vec<Report>) {
        let Findings { files, said, kept, .. } = self;
        let split = |problems: Vec<Problem>| {
            let mut parts: Vec<Vec<Problem>> = files.iter().map(|_| Vec::new()).collect();
            for mut problem in problems {
                let at = problem.span.as_ref().map_or(0, |span| span.start);
                let index = files.iter().rposition(|file| file.start <= at).unwrap_or(0);
                let start = files.get(index).map_or(0, |file| file.start);
                problem.span = problem.span.map(|span| span.start - start..span.end.max(span.start) - start);
                parts[index].push(problem);
            }
            let parts = files.iter().zip(parts).filter(|(_, problems)| !problems.is_empty());
            parts
                .map(|(file, mut problems)| {
                    if let Some(first) = problems.pop() {
                        let mut secrets = Vec::new();
                        file.root.iter().for_each(|root| secret_values(root, &mut secrets));
                        problems.push(secrets.into_iter().fold(first, Problem::hide));
                    }
                    Report::new(&file.name, &file.text, &file.root, problems)
                })
                .collect()
        };
        (split(said), split(kept))
    }
}

/// Values that must not be shown when their line is. Those of `headers` and `auth` a report hides by itself.
fn secret_values<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    const WORDS: &[&str] = &["token", "secret", "password", "api_key", "apikey", "access_key", "credential"];
    for entry in node.entries() {
        let key = entry.key.to_ascii_lowercase();
        match WORDS.iter().any(|word| key.contains(word)) {
            true => found.push(&entry.value),
            false => secret_values(&entry.value, found),
        }
    }
    if let Kind::Sequence(items) = &node.kind {
        items.iter().for_each(|item| secret_values(item, found));
    }
}

/// What to know about keys that many components have.
fn hint(entry: &Entry) -> &'static str {
    match entry.key.as_str() {
        "keepalive" => "logboom finds dead peers by itself, after 40 seconds",
        "cors" => "browsers cannot send here: let them send to a gateway in front",
        "include_metadata" => "headers of requests are not kept: put what is needed into attributes at the sender",
        "max_concurrent_streams" | "read_buffer_size" | "write_buffer_size" | "max_idle_conns" => {
            "logboom sizes it by itself; docs/configuration.md has the limits that can be set"
        }
        "operators" => {
            "lines are read by `format`: auto knows the mesh's own, docs/semantics.md has the names it gives"
        }
        "attributes" | "resource" | "add_attributes" => {
            "logboom adds nothing to records but what it reads: add it at the sender or upstream"
        }
        "balancer_name" => "write several endpoints below `endpoint:` for failover in order",
        _ => "docs/configuration.md has every key of logboom; without this one its default applies",
    }
}
