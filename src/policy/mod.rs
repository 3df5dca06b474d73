//! Mesh policies in, sources out.
//!
//! A policy says where proxies send their access logs and in which format: all that a source needs
//! to know. `document` finds the resources in a text of Kubernetes or Universal YAML; `access_log`,
//! `traffic_log` and `telemetry_backend` read one kind each, of every generation of Kuma;
//! `backend`, `format` and `body` read what these have in common; `gather` makes one source of each
//! address. What is wrong is reported at the place in the policy where it is written: an error
//! leaves the backend out, a warning says that it will not do what it seems to, a note says what
//! should be known. Knows no sockets; only `files` reads files.

use crate::config::problem::{Problem, Severity};
use crate::config::tree::{self, Node, Span};

mod access_log;
mod address;
mod backend;
mod body;
mod document;
mod files;
mod format;
mod gather;
mod telemetry_backend;
mod traffic_log;
pub(crate) mod yaml;

pub use crate::config::problem::Report;
pub use address::{Arrival, Listener};
pub use files::{FilesError, PolicyFile, find};
pub use gather::{Source, SourceKind};

/// What a set of policies comes to.
#[derive(Debug)]
pub struct Derived {
    /// One source for each address, in the order in which they are written.
    pub sources: Vec<Source>,
    /// What there is to say about each file that something is to be said about.
    pub reports: Vec<Report>,
}

impl Derived {
    /// True when something was left out because of a mistake.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.reports.iter().any(Report::has_errors)
    }

    /// A configuration with these sources and standard output as the sink; each source says where
    /// in the policies it comes from.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::configuration(&self.sources)
    }
}

/// Reads all policies together: they refer to each other, in whichever file they are. `listeners`
/// are what is known of where this process listens; without them the addresses of other hosts are
/// listened for on 127.0.0.1.
#[must_use]
pub fn derive(files: &[PolicyFile], listeners: &[Listener]) -> Derived {
    let mut findings = Findings::new(files);
    let roots: Vec<Vec<Node>> = files
        .iter()
        .zip(&mut findings.problems)
        .map(|(file, problems)| tree::parse_all(&file.text, problems))
        .collect();
    let documents = document::all(&roots, &mut findings);
    let collectors = telemetry_backend::read(&documents, &mut findings);
    let mut wanted = Vec::new();
    for document in documents.iter().filter(|it| it.kind == "MeshAccessLog") {
        access_log::read(document, &collectors, &mut wanted, &mut findings);
    }
    collectors.tell_unused(&mut findings);
    traffic_log::read(&documents, &mut wanted, &mut findings);
    let sources = gather::gather(wanted, listeners, &mut findings);
    let problems = findings.problems.into_iter();
    let reports = files.iter().zip(problems).zip(&roots).filter(|((_, problems), _)| !problems.is_empty());
    let reports = reports.map(|((file, problems), roots)| Report::new(&file.name, &file.text, roots, problems));
    Derived { sources, reports: reports.collect() }
}

/// A place in one of the files.
#[derive(Clone, Debug)]
struct Place {
    file: usize,
    span: Span,
}

/// Where problems go.
struct Findings<'a> {
    files: &'a [PolicyFile],
    /// Where the lines of each file end.
    lines: Vec<Vec<usize>>,
    problems: Vec<Vec<Problem>>,
}

impl<'a> Findings<'a> {
    fn new(files: &'a [PolicyFile]) -> Findings<'a> {
        let lines = files.iter().map(|file| memchr::memchr_iter(b'\n', file.text.as_bytes()).collect()).collect();
        Findings { files, lines, problems: files.iter().map(|_| Vec::new()).collect() }
    }

    fn error(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(place, Severity::Error, message.into(), help.into());
    }

    fn warning(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(place, Severity::Warning, message.into(), help.into());
    }

    fn note(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(place, Severity::Note, message.into(), help.into());
    }

    fn push(&mut self, place: &Place, severity: Severity, message: String, help: String) {
        self.add(place.file, Problem::at(place.span.clone(), message).help(help).severity(severity));
    }

    fn add(&mut self, file: usize, problem: Problem) {
        if let Some(problems) = self.problems.get_mut(file) {
            problems.push(problem);
        }
    }

    /// `file:line`, for a message about another place.
    fn line(&self, place: &Place) -> String {
        let (Some(file), Some(lines)) = (self.files.get(place.file), self.lines.get(place.file)) else {
            return String::new();
        };
        let start = place.span.as_ref().map_or(0, |span| span.start);
        format!("{}:{}", file.name, lines.partition_point(|end| *end < start) + 1)
    }

    /// The place of the bytes `at` of a value. Escapes and line folding keep a value from being
    /// found byte by byte, so the same occurrence of the same words is looked for.
    fn within(&self, file: usize, node: &Node, value: &str, at: &std::ops::Range<usize>) -> Place {
        let whole = Place { file, span: node.span.clone() };
        let part = || {
            let span = node.span.clone()?;
            let written = self.files.get(file)?.text.get(span.clone())?;
            let word = value.get(at.clone()).filter(|word| !word.is_empty())?;
            let earlier = value.match_indices(word).take_while(|(found, _)| *found < at.start).count();
            // The quotes around the value are not part of it.
            let quoted = usize::from(written.starts_with(['"', '\'']));
            let (found, _) = written.get(quoted..)?.match_indices(word).nth(earlier)?;
            let start = span.start + quoted + found;
            Some(start..start + word.len())
        };
        part().map_or(whole, |span| Place { file, span: Some(span) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of `word` in the value of `x`, as the bytes there.
    #[track_caller]
    fn check(text: &str, word: &str, nth: usize, expected: &str) {
        let files = [PolicyFile::new("policy.yaml", text)];
        let findings = Findings::new(&files);
        let root = tree::parse(text, &mut Vec::new()).unwrap();
        let node = &root.entry("x").unwrap().value;
        let value = document::text(node).unwrap();
        let (at, _) = value.match_indices(word).nth(nth).unwrap();
        let place = findings.within(0, node, value, &(at..at + word.len()));
        let span = place.span.unwrap();
        let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[..span.start].matches('\n').count() + 1;
        let found = format!("{line}:{} {}", text[line_start..span.start].chars().count() + 1, &text[span]);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn places_inside_of_values() {
        check("x: a %B% c", "%B%", 0, "1:6 %B%");
        check("x: 'a %B% c'", "%B%", 0, "1:7 %B%");
        check("x: 'it''s %B% %B%'", "%B%", 1, "1:15 %B%");
        check("x: \"\\t\\u00e9 %B% %B%\"", "%B%", 1, "1:18 %B%");
        check("x: 'é %B%'", "%B%", 0, "1:7 %B%");
        check("x: |\n  a %A%\n  b %B% c\n", "%B%", 0, "3:5 %B%");
        check("x: >\n  a %A%\n  b %A% c\n", "%A%", 1, "3:5 %A%");
        check("x: '\"a'", "\"", 0, "1:5 \"");
        check("x: \"\\\"a\"", "\"", 0, "1:6 \"");
        // What cannot be found is shown as the whole.
        check("x: \"a\\tb\"", "a\tb", 0, "1:4 \"a\\tb\"");
    }

    #[test]
    fn lines_of_places() {
        let files = [PolicyFile::new("policy.yaml", "a\nb\n\nc")];
        let findings = Findings::new(&files);
        let check = |at: usize, expected: &str| {
            assert_eq!(findings.line(&Place { file: 0, span: Some(at..at) }), expected);
        };
        check(0, "policy.yaml:1");
        check(1, "policy.yaml:1");
        check(2, "policy.yaml:2");
        check(4, "policy.yaml:3");
        check(5, "policy.yaml:4");
    }
}
