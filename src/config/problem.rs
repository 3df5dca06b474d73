//! What is wrong with a text, where, and what to do: for people and for machines.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::hide::{self, scalars};
use super::tree::{Entry, Kind, Node, Span};

/// Characters of one message; values are quoted in it, and values can be long.
const MESSAGE_CHARS_MAX: usize = 400;
/// Problems kept; the first ones in the file.
const PROBLEMS_MAX: usize = 50;

/// How bad it is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot be used.
    Error,
    /// It is used, and does not do what it seems to.
    Warning,
    /// Nothing is wrong, and it should be known.
    Note,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) severity: Severity,
    pub(crate) span: Span,
    /// Keys on the way there, joined by dots; what is shown when there is no file to point into.
    pub(super) path: String,
    pub(super) message: Box<str>,
    pub(super) help: Option<String>,
    /// Values on the same line that must not be shown.
    hidden: Vec<Range<usize>>,
}

impl Problem {
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Problem {
        let message = tame(&message.into()).into();
        Problem { severity: Severity::Error, span, path: String::new(), message, help: None, hidden: Vec::new() }
    }

    pub(crate) fn severity(self, severity: Severity) -> Problem {
        Problem { severity, ..self }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(tame(&help.into()));
        self
    }

    pub(super) fn maybe_help(self, help: Option<String>) -> Problem {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// The key is unknown, so its value may be anything: it is kept out of the snippet when it is
    /// more than one word, or when the key sounds secret.
    pub(super) fn hide_unknown(self, entry: &Entry) -> Problem {
        let key = entry.key.to_lowercase();
        let secret = ["auth", "token", "secret", "pass", "key", "header"].iter().any(|word| key.contains(word));
        match (secret, &entry.value.kind) {
            (false, Kind::Scalar(_)) => self,
            _ => self.hide(&entry.value),
        }
    }

    /// Keeps the text of `value` out of the snippet.
    pub(crate) fn hide(mut self, value: &Node) -> Problem {
        scalars(value, &mut |node| self.hidden.extend(node.span.clone()));
        self
    }
}

/// Everything there is to say about one text. No value that came from the environment, from
/// another file or from a header is in it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file as the user named it.
    name: String,
    /// Its text with secrets overwritten.
    text: String,
    problems: Vec<Problem>,
}

/// One problem as numbers and text.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Located {
    /// The file, when it is not the configuration itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Counted from 1; absent for a problem that is in no line of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Report {
    /// `roots` are the documents that could be read of `text`; without one the secrets are searched
    /// by their keys.
    pub(crate) fn new(name: &str, text: &str, roots: &[Node], mut problems: Vec<Problem>) -> Report {
        let start = |problem: &Problem| problem.span.as_ref().map_or(0, |span| span.start);
        problems.sort_by_key(start);
        if problems.len() > PROBLEMS_MAX {
            problems.sort_by_key(|problem| problem.severity);
            problems.truncate(PROBLEMS_MAX);
            problems.sort_by_key(start);
        }
        let hidden = problems.iter().flat_map(|problem| problem.hidden.clone()).collect();
        Report { name: name.to_owned(), text: hide::secrets(text, roots, hidden), problems }
    }

    /// The file as the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when one of the problems is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The same without warnings and notes.
    pub(crate) fn errors_only(&self) -> Report {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error);
        Report { problems: errors.cloned().collect(), ..self.clone() }
    }

    /// One line for each problem of a severity: where, and what.
    pub(crate) fn sentences(&self, severity: Severity) -> impl Iterator<Item = String> + '_ {
        self.problems.iter().filter(move |problem| problem.severity == severity).map(|problem| {
            let place = self.place(problem);
            let place = place.map(|it| format!(":{}:{}", it.line, it.column())).unwrap_or_default();
            let help = problem.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
            format!("{}{place}: {}{help}", self.name, full_message(problem))
        })
    }

    /// The problems in the order of the file.
    pub fn problems(&self) -> impl Iterator<Item = Located> + '_ {
        self.problems.iter().map(|problem| {
            let place = self.place(problem);
            Located {
                file: None,
                line: place.as_ref().map(|place| place.line),
                column: place.as_ref().map(Place::column),
                message: full_message(problem),
                help: problem.help.clone(),
            }
        })
    }

    /// All problems with the lines they are in, coloured or not.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in &self.problems {
            let message = full_message(problem);
            let level = match problem.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
                Severity::Note => Level::NOTE,
            };
            let help = problem.help.as_deref();
            let Some(place) = self.place(problem) else {
                let title = level.primary_title(format!("{}: {message}", self.name));
                out.push_str(&renderer.render(&[Group::with_title(title)]));
                if let Some(help) = help {
                    // As an element of the group it would stand beside an empty source.
                    let help = renderer.render(&[Group::with_title(Level::HELP.secondary_title(help))]);
                    out.push_str(&format!("\n  = {help}"));
                }
                out.push_str("\n\n");
                continue;
            };
            let group = level.primary_title(message).element(
                Snippet::source(place.text)
                    .path(self.name.as_str())
                    .line_start(place.line)
                    .annotation(AnnotationKind::Primary.span(place.span)),
            );
            let group = match help {
                Some(help) => group.element(Level::HELP.message(help)),
                None => group,
            };
            out.push_str(&renderer.render(&[group]));
            out.push_str("\n\n");
        }
        out.truncate(out.trim_end().len());
        out
    }

    /// The line of a problem and the part of it to underline.
    fn place(&self, problem: &Problem) -> Option<Place<'_>> {
        let span = problem.span.as_ref()?;
        // An error at the very end of the text belongs to its last line.
        let end = self.text.trim_end().len();
        let start = floor_char(&self.text, span.start.min(end));
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let text = self.text[line_start..line_end].trim_end_matches('\r');
        let from = (start - line_start).min(text.len());
        let to = floor_char(text, span.end.saturating_sub(line_start).clamp(from, text.len()));
        Some(Place { line: self.text[..start].matches('\n').count() + 1, text, span: from..to })
    }
}

struct Place<'a> {
    line: usize,
    text: &'a str,
    span: Range<usize>,
}

impl Place<'_> {
    /// Characters, counted from 1.
    fn column(&self) -> usize {
        self.text[..self.span.start].chars().count() + 1
    }
}

/// A word of the user in a message: short, and without control characters.
pub(crate) fn shown(word: &str) -> String {
    let mut short: String = word.chars().take(80).collect();
    if short.len() < word.len() {
        short.push('…');
    }
    format!("`{short}`")
}

fn full_message(problem: &Problem) -> String {
    match (&problem.span, problem.path.as_str()) {
        (Some(_), _) | (None, "") => problem.message.to_string(),
        (None, path) => format!("{path}: {}", problem.message),
    }
}

/// A message is one line of bounded length whatever is quoted in it.
fn tame(message: &str) -> String {
    let mut tame = String::with_capacity(message.len().min(MESSAGE_CHARS_MAX * 4));
    for (count, c) in message.chars().enumerate() {
        match c {
            _ if count == MESSAGE_CHARS_MAX => {
                tame.push('…');
                break;
            }
            c if c.is_control() => tame.extend(c.escape_default()),
            c => tame.push(c),
        }
    }
    tame
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
