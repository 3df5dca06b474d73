//! Lines into records.

use bytes::Bytes;
use memchr::memchr;

use super::reader::{Outcome, Reader};
use super::reason::Reason;
use super::{Scratch, Visitor};
use crate::block::BLOCK;
use crate::record::{Range, RecordRef, Span, Tree, Value};
use crate::redact::{Redactor, Understood};

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
    pub reader: &'a Reader,
    /// Address of the sender, without its port.
    pub peer_address: Option<&'a str>,
    /// Port of the sender.
    pub peer_port: Option<u16>,
    /// When the payload was received, nanoseconds since the epoch.
    pub observed_unix_nano: u64,
    /// What is taken out of each record.
    pub redactor: Option<&'a Redactor>,
}

/// What was read, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that became records: `ok`, `ambiguous` and `raw` together.
    pub records: u64,
    /// Records whose line was understood.
    pub ok: u64,
    /// Records whose line fits a format in several ways.
    pub ambiguous: u64,
    /// Records whose line is kept as text.
    pub raw: u64,
    /// Lines without a record: empty, or a lone carriage return.
    pub blank: u64,
    /// Of the records kept as text or ambiguous, those that carry the reason.
    pub parse_errors: u64,
    /// Records whose line was marked as truncated.
    pub truncated: u64,
    /// Records whose line was marked as partial.
    pub partial: u64,
    /// Records whose line is not UTF-8: most encodings repair it.
    pub invalid_utf8: u64,
    /// Records with a value whose bytes had become characters, repaired.
    pub mojibake: u64,
    /// Records of which the quotes of Kuma's documented JSON were stripped.
    pub stray_quotes: u64,
}

impl LineCounts {
    fn count(&mut self, line: &[u8], outcome: &Outcome) {
        match outcome.reason {
            _ if outcome.ok => self.ok += 1,
            Some(Reason::Ambiguous) => self.ambiguous += 1,
            _ => self.raw += 1,
        }
        self.parse_errors += u64::from(outcome.reason.is_some());
        self.mojibake += u64::from(outcome.applied.mojibake);
        self.stray_quotes += u64::from(outcome.stray_quotes);
        // JSON that was understood is UTF-8; looking at the line again is cheap where it is ASCII.
        let is_text = outcome.text || line.is_ascii() || std::str::from_utf8(line).is_ok();
        self.invalid_utf8 += u64::from(!is_text);
    }
}

/// Hands a record for each line to the visitor, in order, after one empty envelope; a payload of
/// blank lines only hands out nothing.
///
/// The payload is lines separated by line feeds, the last of which may be missing. A line is
/// never refused: the body of its record is the line as received, without one carriage return at
/// its end. Its attributes are what the reader understood, then what the collector knows about it:
/// `network.peer.address`, `network.peer.port`, `logboom.truncated`, `logboom.partial`,
/// `logboom.parse_error`. They come last so that, where a key is repeated and the last value
/// counts, no line can forge them.
///
/// Marks are in ascending order of their lines; a mark that points at no record is ignored.
pub fn decode(
    payload: &[u8],
    marks: &[Mark],
    settings: &LineSettings<'_>,
    scratch: &mut Scratch,
    visitor: &mut impl Visitor,
) -> LineCounts {
    let Scratch { record, envelope, space } = scratch;
    envelope.clear();
    record.tree.clear_all();
    settings.reader.prepare(&mut record.tree);
    let peer = Peer::write(settings, &mut record.tree);
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
        let outcome = settings.reader.line(payload, start, end, space, record);
        counts.count(&payload[start..end], &outcome);
        peer.push(mark, outcome.reason, settings.reader, &mut record.tree, &mut counts);
        record.attributes.end = record.tree.position();
        if let Some(redactor) = settings.redactor {
            record.forget_plain();
            redactor.apply(payload, record, Understood::of(&outcome));
        }
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

/// The sender, written once per payload and only pointed at.
struct Peer {
    address: Option<Span>,
    port: Option<u16>,
}

impl Peer {
    fn write(settings: &LineSettings<'_>, tree: &mut Tree) -> Peer {
        let address = settings.peer_address.map(|it| {
            // With room behind it: encoders read short texts in blocks.
            let padded = tree.keep(&[it.as_bytes(), &[b' '; BLOCK]].concat());
            padded.part(0, it.len())
        });
        Peer { address, port: settings.peer_port }
    }

    /// Pushes what the collector knows about a line.
    fn push(
        &self,
        mark: Option<Mark>,
        reason: Option<Reason>,
        reader: &Reader,
        tree: &mut Tree,
        counts: &mut LineCounts,
    ) {
        let words = reader.words();
        if let Some(address) = self.address {
            tree.push(words.peer_address, Value::Text(address));
        }
        if let Some(port) = self.port {
            tree.push(words.peer_port, Value::Int(port.into()));
        }
        if mark.is_some_and(|it| it.truncated) {
            counts.truncated += 1;
            tree.push(words.truncated, Value::Bool(true));
        }
        if mark.is_some_and(|it| it.partial) {
            counts.partial += 1;
            tree.push(words.partial, Value::Bool(true));
        }
        if let Some(reason) = reason {
            tree.push(words.parse_error, Value::Text(words.reasons[reason as usize]));
        }
    }
}

#[cfg(test)]
mod tests;
