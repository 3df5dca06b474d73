//! Lines into records.

use bytes::Bytes;
use memchr::memchr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::{self, Reason};
use super::{Scratch, Visitor};
use crate::record::{Range, RecordRef, Span, Tree, Value};

/// How a line is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineFormat {
    /// Lines that start with `{` are read as JSON, all others are text.
    #[default]
    Auto,
    /// Every line is text.
    Raw,
    /// Every line should be a JSON object; one that is not is kept as text with the reason.
    Json,
}

/// What the framer knows about a line that is not just a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Offset of the line's first byte in the payload.
    pub start: u32,
    /// The line was longer than the limit; its end is missing.
    pub truncated: bool,
    /// The connection ended inside the line.
    pub partial: bool,
}

/// Whole lines of one read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The lines, each ended by a line feed, no blank ones among them.
    pub payload: Bytes,
    /// Lines that are not whole: truncated, or the unterminated last one of a connection.
    pub marks: Vec<Mark>,
    /// Number of lines in the payload.
    pub lines: u64,
    /// Blank lines left out: nothing, or a lone carriage return, before the line feed.
    pub blank: u64,
}

impl Frame {
    /// Truncated lines in it.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.marks.iter().filter(|mark| mark.truncated).count() as u64
    }

    /// Unterminated last lines in it: none or one.
    #[must_use]
    pub fn partial(&self) -> u64 {
        self.marks.iter().filter(|mark| mark.partial).count() as u64
    }
}

/// What is the same for all lines of a payload.
#[derive(Clone, Copy, Debug)]
pub struct LineSettings<'a> {
    /// How a line is read.
    pub format: LineFormat,
    /// Address of the sender, without its port.
    pub peer_address: Option<&'a str>,
    /// Port of the sender.
    pub peer_port: Option<u16>,
    /// When the payload was received, nanoseconds since the epoch.
    pub observed_unix_nano: u64,
}

/// What was read, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that became records: `ok` and `raw` together.
    pub records: u64,
    /// Records whose line was understood: JSON objects.
    pub ok: u64,
    /// Records whose line is kept as text.
    pub raw: u64,
    /// Lines without a record: empty, or a lone carriage return.
    pub blank: u64,
    /// Of the records kept as text, those that should have been JSON and carry the reason.
    pub parse_errors: u64,
    /// Records whose line was marked as truncated.
    pub truncated: u64,
    /// Records whose line was marked as partial.
    pub partial: u64,
    /// Records whose line is not UTF-8: most encodings repair it.
    pub invalid_utf8: u64,
}

/// Hands a record for each line to the visitor, in order, after one empty envelope; a payload of
/// blank lines only hands out nothing.
///
/// The payload is lines separated by line feeds, the last of which may be missing. A line is
/// never refused: the body of its record is the line as received, without one carriage return at
/// its end. Its attributes are the members of the JSON object it is, then what the collector
/// knows about it: `network.peer.address`, `network.peer.port`, `logboom.truncated`,
/// `logboom.partial`, `logboom.parse_error`. They come last so that, where a key is repeated and
/// the last value counts, no line can forge them.
///
/// Marks are in ascending order of their lines; a mark that points at no record is ignored.
pub fn decode(
    payload: &[u8],
    marks: &[Mark],
    settings: &LineSettings<'_>,
    scratch: &mut Scratch,
    visitor: &mut impl Visitor,
) -> LineCounts {
    let Scratch { record, envelope } = scratch;
    envelope.clear();
    record.tree.clear_all();
    let kept = Kept::write(settings, &mut record.tree);
    let mut counts = LineCounts::default();
    let mut marks = marks.iter().copied().peekable();
    let mut next = 0;
    while next < payload.len() {
        let start = next;
        let line_feed = memchr(b'\n', &payload[start..]).map_or(payload.len(), |at| start + at);
        next = line_feed + 1;
        let end = if payload[start..line_feed].ends_with(b"\r") { line_feed - 1 } else { line_feed };
        if start == end {
            counts.blank += 1;
            continue;
        }
        while marks.next_if(|mark| (mark.start as usize) < start).is_some() {}
        let mark = marks.next_if(|mark| mark.start as usize == start);
        if counts.records == 0 {
            visitor.envelope(envelope.view(payload));
        }
        counts.records += 1;
        record.clear();
        record.observed_time_unix_nano = settings.observed_unix_nano;
        record.body = body(start, end, &mut record.tree);
        record.attributes.start = record.tree.position();
        let failed = members(payload, start, end, settings.format, &mut record.tree, &mut counts);
        kept.push(mark, failed, &mut record.tree, &mut counts);
        record.attributes.end = record.tree.position();
        // Callers hand in slices of bounded size, so there is nothing to stop early for.
        let _ = visitor.record(RecordRef::new(payload, record, envelope));
    }
    counts
}

fn body(start: usize, end: usize, tree: &mut Tree) -> Range {
    let position = tree.position();
    tree.push(Span::EMPTY, Value::Text(Span::raw(start, end)));
    Range { start: position, end: tree.position() }
}

/// Pushes the members of the object the line may be; returns why it is none if it should be one.
fn members(
    payload: &[u8],
    start: usize,
    end: usize,
    format: LineFormat,
    tree: &mut Tree,
    counts: &mut LineCounts,
) -> Option<Reason> {
    let line = &payload[start..end];
    let try_json = match format {
        LineFormat::Raw => false,
        LineFormat::Json => true,
        LineFormat::Auto => line.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b'{'),
    };
    let read = if try_json { json::object(payload, start, end, tree).map_err(Some) } else { Err(None) };
    match read {
        Ok(()) => counts.ok += 1,
        Err(None) => {
            counts.raw += 1;
            counts.invalid_utf8 += u64::from(std::str::from_utf8(line).is_err());
        }
        Err(Some(reason)) => {
            counts.raw += 1;
            counts.parse_errors += 1;
            counts.invalid_utf8 += u64::from(reason == Reason::InvalidUtf8);
        }
    }
    read.err().flatten()
}

/// Text that the records of a payload share: written once, then only pointed at.
struct Kept {
    peer_address: Option<(Span, Value)>,
    peer_port: Option<(Span, Value)>,
    truncated: Span,
    partial: Span,
    parse_error: Span,
    reasons: [Span; Reason::ALL.len()],
}

impl Kept {
    fn write(settings: &LineSettings<'_>, tree: &mut Tree) -> Kept {
        let mut keep = |text: &str| tree.keep(text.as_bytes());
        Kept {
            peer_address: settings.peer_address.map(|it| (keep("network.peer.address"), Value::Text(keep(it)))),
            peer_port: settings.peer_port.map(|it| (keep("network.peer.port"), Value::Int(it.into()))),
            truncated: keep("logboom.truncated"),
            partial: keep("logboom.partial"),
            parse_error: keep("logboom.parse_error"),
            reasons: Reason::ALL.map(|it| keep(it.as_str())),
        }
    }

    /// Pushes what the collector knows about a line.
    fn push(&self, mark: Option<Mark>, failed: Option<Reason>, tree: &mut Tree, counts: &mut LineCounts) {
        for (key, value) in [self.peer_address, self.peer_port].into_iter().flatten() {
            tree.push(key, value);
        }
        if mark.is_some_and(|it| it.truncated) {
            counts.truncated += 1;
            tree.push(self.truncated, Value::Bool(true));
        }
        if mark.is_some_and(|it| it.partial) {
            counts.partial += 1;
            tree.push(self.partial, Value::Bool(true));
        }
        if let Some(reason) = failed {
            tree.push(self.parse_error, Value::Text(self.reasons[reason as usize]));
        }
    }
}

#[cfg(test)]
mod tests;
