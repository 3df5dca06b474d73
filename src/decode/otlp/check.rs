//! The one look at a request before it is accepted.

use std::ops::Range;

use super::schema::Message;
use super::walk::{Watcher, walk};
use crate::decode::DEPTH_MAX;
use crate::decode::wire::{Defect, Piece};

/// How much one request may hold. Depth is [`DEPTH_MAX`] and cannot be set: it bounds recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Log records.
    pub records_max: u32,
    /// Values: attributes of records, resources and scopes, bodies, and what is nested in them.
    pub values_max: u32,
    /// Bytes of one log record, and of one resource or scope. A larger record is counted, and
    /// [`repair`](super::repair()) leaves it out; a larger resource or scope refuses the request.
    pub record_bytes_max: usize,
    /// Bytes of all records if each carried its own resource and scope, as it does in most
    /// encodings. Without this, a megabyte of resource before a hundred thousand empty records
    /// would be a hundred gigabytes of JSON.
    pub expanded_bytes_max: u64,
}

impl Default for Limits {
    /// 100,000 records, a million values, 1 MiB a record, 256 MiB expanded.
    fn default() -> Self {
        Limits { records_max: 100_000, values_max: 1_000_000, record_bytes_max: 1 << 20, expanded_bytes_max: 256 << 20 }
    }
}

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Log records.
    pub records: u32,
    /// Records with text that is not UTF-8: their own, or that of their resource or scope.
    pub repaired_records: u32,
    /// Trace ids of another length than 0 or 16 and span ids of another length than 0 or 8;
    /// decoding takes them for absent.
    pub invalid_ids: u32,
    /// Values, counted as [`Limits::values_max`] counts them. One that is overruled by a later one
    /// of the same field is counted too, so this is never less than what is decoded.
    pub values: u32,
    /// True when some text anywhere is not UTF-8, even where no record shows it.
    pub invalid_text: bool,
    /// Records over [`Limits::record_bytes_max`], counted among `records` too.
    pub oversized_records: u32,
}

impl Summary {
    /// Exactly then [`repair`](super::repair()) changes the request.
    #[must_use]
    pub fn needs_repair(&self) -> bool {
        self.invalid_text || self.oversized_records > 0
    }
}

/// Why a request is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct CheckError {
    /// What is wrong.
    pub kind: CheckErrorKind,
    /// Offset of the field where the walk stopped.
    pub at: usize,
}

impl CheckError {
    /// True when the request is well-formed as far as it was read but holds more than the limits
    /// allow (`RESOURCE_EXHAUSTED`); false when it is malformed (`INVALID_ARGUMENT`).
    #[must_use]
    pub fn is_over_limit(&self) -> bool {
        matches!(
            self.kind,
            CheckErrorKind::Records(_)
                | CheckErrorKind::Values(_)
                | CheckErrorKind::Envelope(_)
                | CheckErrorKind::Expanded(_)
        )
    }
}

/// What is wrong with a request. The texts fit in a gRPC status message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckErrorKind {
    /// Not protobuf.
    #[error("malformed protobuf: {0}")]
    Malformed(Defect),
    /// A field of the schema with another wire type than the schema says.
    #[error("malformed OTLP logs: a field has the wrong wire type")]
    WrongType,
    /// Values nested too deep.
    #[error("malformed OTLP logs: values nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// More bytes than a protobuf message can have.
    #[error("malformed protobuf: longer than 2 GiB")]
    TooLong,
    /// More records than this.
    #[error("more than {0} log records in one request, send smaller requests;")]
    Records(u32),
    /// More values than this.
    #[error("more than {0} attributes and nested values in one request, send smaller requests;")]
    Values(u32),
    /// A resource or scope larger than this.
    #[error("a resource or scope of more than {0} bytes;")]
    Envelope(usize),
    /// Resources and scopes that would make the records larger than this.
    #[error("resources and scopes that make the records more than {0} bytes together, send smaller requests;")]
    Expanded(u64),
}

impl From<Defect> for CheckErrorKind {
    fn from(defect: Defect) -> Self {
        CheckErrorKind::Malformed(defect)
    }
}

/// Walks a whole `ExportLogsServiceRequest` once, without allocating: framing, wire types, depth,
/// limits. What passes can be decoded in full. Text that is not UTF-8 is no error, because Envoy
/// sends it and a refusal would lose all records of the request; nor are identifiers of a wrong
/// length. Both are counted. Unknown fields are skipped.
pub fn check(raw: &[u8], limits: &Limits) -> Result<Summary, CheckError> {
    if raw.len() > i32::MAX as usize {
        return Err(CheckError { kind: CheckErrorKind::TooLong, at: 0 });
    }
    let mut tally = Tally {
        raw,
        limits: *limits,
        summary: Summary::default(),
        level: Level::Resource,
        groups: Default::default(),
        expanded_bytes: 0,
    };
    walk(raw, &mut tally)?;
    if tally.expanded_bytes > limits.expanded_bytes_max {
        return Err(CheckError { kind: CheckErrorKind::Expanded(limits.expanded_bytes_max), at: raw.len() });
    }
    Ok(tally.summary)
}

struct Tally<'a> {
    raw: &'a [u8],
    limits: Limits,
    summary: Summary,
    /// Whose text comes next.
    level: Level,
    /// The resource, scope and record that are being walked, by level.
    groups: [Group; 3],
    expanded_bytes: u64,
}

#[derive(Clone, Copy)]
enum Level {
    Resource,
    Scope,
    Record,
}

/// Some records with something in common. Its text may come after its records.
#[derive(Clone, Copy, Default)]
struct Group {
    invalid_text: bool,
    records_before: u32,
    repaired_before: u32,
    /// Of the resource or scope its records share.
    shared_bytes: usize,
}

impl Tally<'_> {
    fn open(&mut self, level: Level) {
        self.level = level;
        self.groups[level as usize] = Group {
            invalid_text: false,
            records_before: self.summary.records,
            repaired_before: self.summary.repaired_records,
            shared_bytes: 0,
        };
    }

    /// A resource or scope: shared by the records of the group that is open at `level`.
    fn share(&mut self, level: Level, piece: Piece) -> Result<(), CheckErrorKind> {
        let bytes = piece.end - piece.start;
        if bytes > self.limits.record_bytes_max {
            return Err(CheckErrorKind::Envelope(self.limits.record_bytes_max));
        }
        self.groups[level as usize].shared_bytes = bytes;
        Ok(())
    }

    fn close(&mut self, level: Level, outer: Level) {
        let group = &self.groups[level as usize];
        let records = u64::from(self.summary.records - group.records_before);
        self.expanded_bytes = self.expanded_bytes.saturating_add(records * group.shared_bytes as u64);
        if group.invalid_text {
            self.summary.repaired_records = group.repaired_before + (self.summary.records - group.records_before);
        }
        self.level = outer;
    }
}

impl Watcher for Tally<'_> {
    const SHORT: bool = true;

    #[inline]
    fn enter(&mut self, parent: Message, message: Message, _: usize, piece: Piece) -> Result<(), CheckErrorKind> {
        match message {
            // The value of a key is counted with the key, which may stand without one.
            Message::AnyValue if parent == Message::KeyValue => {}
            Message::KeyValue | Message::AnyValue => {
                if self.summary.values >= self.limits.values_max {
                    return Err(CheckErrorKind::Values(self.limits.values_max));
                }
                self.summary.values += 1;
            }
            Message::LogRecord => {
                if self.summary.records >= self.limits.records_max {
                    return Err(CheckErrorKind::Records(self.limits.records_max));
                }
                self.open(Level::Record);
                self.summary.records += 1;
                self.summary.oversized_records += u32::from(piece.end - piece.start > self.limits.record_bytes_max);
            }
            Message::Resource => self.share(Level::Resource, piece)?,
            Message::Scope => self.share(Level::Scope, piece)?,
            Message::ScopeLogs => self.open(Level::Scope),
            Message::ResourceLogs => self.open(Level::Resource),
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn leave(&mut self, message: Message) {
        match message {
            Message::LogRecord => self.close(Level::Record, Level::Scope),
            Message::ScopeLogs => self.close(Level::Scope, Level::Resource),
            Message::ResourceLogs => self.close(Level::Resource, Level::Resource),
            _ => {}
        }
    }

    #[inline]
    fn text(&mut self, piece: Piece) {
        self.text_value(piece.start..piece.end);
    }

    #[inline(always)]
    fn text_attribute(&mut self, key: Range<usize>, text: Range<usize>) {
        // Tags and short lengths are ASCII too, so one look covers both.
        if !is_ascii(&self.raw[key.start..text.end]) {
            self.text_value(key);
            self.text_value(text);
        }
    }

    #[inline]
    fn text_value(&mut self, text: Range<usize>) {
        let bytes = &self.raw[text];
        if !is_ascii(bytes) && std::str::from_utf8(bytes).is_err() {
            self.summary.invalid_text = true;
            self.groups[self.level as usize].invalid_text = true;
        }
    }

    fn invalid_id(&mut self) {
        self.summary.invalid_ids += 1;
    }
}

/// Blocks, with the last one overlapping, and no early end: nearly all text is short, and ASCII.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    let high = if let Some(last) = bytes.last_chunk::<BLOCK>() {
        let blocks = bytes.as_chunks::<BLOCK>().0;
        let all = blocks.iter().fold(u128::from_ne_bytes(*last), |all, it| all | u128::from_ne_bytes(*it));
        all as u64 | (all >> 64) as u64
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last)
    } else {
        bytes.iter().fold(0, |all, byte| all | u64::from(*byte))
    };
    high & u64::from_ne_bytes([0x80; 8]) == 0
}

const BLOCK: usize = 16;
