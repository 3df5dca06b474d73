//! All the ways to read an HTTP line into which a client wrote separators.
//!
//! What stands before and behind the clients' texts cannot be forged: Envoy refuses quotes and spaces
//! in a method, a path and an authority, and the rest is numbers or comes from Kuma. In between, each
//! `" "` may end a field or belong to it.

use super::plain::{Layout, quoted};
use super::said::{Part, Said};

const SEPARATOR: &str = "\" \"";

/// Writes a line as Envoy does. An absent value is `absent`: `-`, or nothing with `omitEmptyValues`.
pub fn render(said: &Said, layout: Layout, absent: &str) -> String {
    let text = |part| said.get(part).unwrap_or(absent);
    let flags = said.get(Part::Flags).unwrap_or("-");
    let mut line = format!(
        "[{}] {} \"{} {} {}\" {} {flags} {} {} {} {}",
        text(Part::StartTime),
        text(Part::Mesh),
        text(Part::Method),
        text(Part::Path),
        text(Part::Protocol),
        text(Part::Status),
        text(Part::Received),
        text(Part::Sent),
        text(Part::Duration),
        text(Part::ServiceTime),
    );
    let behind = [Part::Source, Part::Destination, Part::SourceAddress, Part::Upstream];
    for part in quoted(layout).iter().chain(&behind) {
        line.push_str(" \"");
        line.push_str(text(*part));
        line.push('"');
    }
    line
}

/// All ways to read a line in a layout.
pub fn ways(line: &str, layout: Layout) -> Vec<Said> {
    let Some((frame, texts)) = frame(line) else { return Vec::new() };
    let fields = quoted(layout);
    let mut found = Vec::new();
    cut(&texts, fields.len(), &mut Vec::new(), &mut found);
    let said =
        |texts: Vec<&str>| fields.iter().zip(texts).fold(frame.clone(), |said, (part, text)| said.with(*part, text));
    let legal = |texts: &Vec<&str>| !texts[texts.len() - 1].contains(['"', ' ']);
    found.into_iter().filter(legal).map(said).collect()
}

/// True for what tracers put into the header, and for its absence.
pub fn plausible_trace(said: &Said) -> bool {
    said.get(Part::Trace).is_none_or(|text| {
        let hex = matches!(text.len(), 16 | 32) && text.bytes().all(|it| it.is_ascii_hexdigit());
        hex || text.parse::<u64>().is_ok()
    })
}

/// What no client can forge, and the texts of clients between.
fn frame(line: &str) -> Option<(Said, String)> {
    let head = {
        let (start, rest) = line.split_once("] ")?;
        let (mesh, rest) = rest.split_once(" \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let (numbers, _) = rest.split_once(" \"")?;
        format!("{start}] {mesh} \"{request}\" {numbers} \"")
    };
    let rest = line.strip_prefix(&head)?;
    let (rest, _) = rest.rsplit_once(SEPARATOR)?;
    let (rest, _) = rest.rsplit_once(SEPARATOR)?;
    let (rest, _) = rest.rsplit_once(SEPARATOR)?;
    let (texts, _) = rest.rsplit_once(SEPARATOR)?;
    let tail = &line[head.len() + texts.len()..];
    let plain = format!("{head}-{SEPARATOR}-{SEPARATOR}-{SEPARATOR}-{tail}");
    Some((super::plain::http(&plain, Layout::Documented)?, texts.to_owned()))
}

/// All ways to cut `text` into so many fields.
fn cut<'a>(text: &'a str, fields: usize, so_far: &mut Vec<&'a str>, found: &mut Vec<Vec<&'a str>>) {
    if fields == 1 {
        found.push(so_far.iter().copied().chain([text]).collect());
        return;
    }
    // A quote may end one field and begin the look of another, so matches may overlap.
    for at in (0..text.len()).filter(|at| text[..].as_bytes()[*at..].starts_with(SEPARATOR.as_bytes())) {
        so_far.push(&text[..at]);
        cut(&text[at + SEPARATOR.len()..], fields - 1, so_far, found);
        so_far.pop();
    }
}
