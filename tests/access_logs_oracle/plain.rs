//! Plain lines in the three layouts of Kuma, cut from the right.

use super::said::{Part, Said};

/// The layouts of an HTTP line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// What every release sends: with a trace id.
    Real,
    /// What the documentation prints, and people paste: without.
    Documented,
}

/// The parts between quotes that clients fill, in the order of the line.
pub fn quoted(layout: Layout) -> &'static [Part] {
    match layout {
        Layout::Real => &[Part::ForwardedFor, Part::UserAgent, Part::Trace, Part::RequestId, Part::Authority],
        Layout::Documented => &[Part::ForwardedFor, Part::UserAgent, Part::RequestId, Part::Authority],
    }
}

/// Reads an HTTP line; `None` when it is none, or when clients wrote separators into their fields.
pub fn http(line: &str, layout: Layout) -> Option<Said> {
    let mut said = Said::default();
    let (line, upstream) = line.strip_suffix('"')?.rsplit_once("\" \"")?;
    let (line, address) = line.rsplit_once("\" \"")?;
    let (line, destination) = line.rsplit_once("\" \"")?;
    let (mut line, source) = line.rsplit_once("\" \"")?;
    for part in quoted(layout).iter().skip(1).rev() {
        let (rest, text) = line.rsplit_once("\" \"")?;
        said.add(*part, text);
        line = rest;
    }
    let (start, line) = line.strip_prefix('[')?.split_once("] ")?;
    let (mesh, line) = line.split_once(" \"")?;
    let (request, line) = line.split_once("\" ")?;
    let (numbers, forwarded) = line.split_once(" \"")?;
    if forwarded.contains("\" \"") {
        return None;
    }
    let (rest, protocol) = request.rsplit_once(' ')?;
    let (method, path) = rest.split_once(' ')?;
    let mut numbers = numbers.split(' ');
    for part in [Part::Status, Part::Flags, Part::Received, Part::Sent, Part::Duration, Part::ServiceTime] {
        said.add(part, numbers.next()?);
    }
    if numbers.next().is_some() {
        return None;
    }
    for (part, text) in [
        (Part::StartTime, start),
        (Part::Mesh, mesh),
        (Part::Method, method),
        (Part::Path, path),
        (Part::Protocol, protocol),
        (Part::ForwardedFor, forwarded),
        (Part::Source, source),
        (Part::Destination, destination),
        (Part::SourceAddress, address),
        (Part::Upstream, upstream),
    ] {
        said.add(part, text);
    }
    Some(said)
}

/// Reads a TCP line.
pub fn tcp(line: &str) -> Option<Said> {
    let (line, received) = line.strip_suffix(" bytes")?.rsplit_once(" bytes, received: ")?;
    let (line, sent) = line.rsplit_once("ms, sent ")?;
    let (line, duration) = line.rsplit_once(") took ")?;
    let (line, destination) = line.rsplit_once('(')?;
    let (line, upstream) = line.rsplit_once(")->")?;
    let (line, source) = line.rsplit_once('(')?;
    let (line, address) = line.rsplit_once(' ')?;
    let (line, mesh) = line.rsplit_once(' ')?;
    let (start, flags) = line.strip_prefix('[')?.split_once("] ")?;
    let mut said = Said::default();
    for (part, text) in [
        (Part::StartTime, start),
        (Part::Flags, flags),
        (Part::Mesh, mesh),
        (Part::SourceAddress, address),
        (Part::Source, source),
        (Part::Upstream, upstream),
        (Part::Destination, destination),
        (Part::Duration, duration),
        (Part::Sent, sent),
        (Part::Received, received),
    ] {
        said.add(part, text);
    }
    Some(said)
}
