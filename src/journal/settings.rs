//! What a journal is opened with, and what was found.

use std::io;
use std::sync::Arc;

use super::{JournalConfig, Mode, Seq};

/// Largest preallocated segment.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// What the file system takes for directories, the lock, and the rounding of files to its blocks.
const OVERHEAD_BYTES: u64 = 64 << 10;
/// Smallest.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// What a journal is opened with.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Bytes on disk at most, everything in the directory together.
    pub max_bytes: u64,
    /// How often data is forced to the disk.
    pub mode: Mode,
    /// Size of a segment. A larger entry gets a segment of its own size.
    pub segment_bytes: u64,
    /// Names of the sinks that read it. What all of them have settled is deleted.
    pub cursors: Vec<Arc<str>>,
}

impl JournalSettings {
    /// For a `journal` block and the sinks that read from it. Segments are a sixteenth of `max`,
    /// at least 1 MiB, at most 64 MiB.
    #[must_use]
    pub fn new(config: &JournalConfig, cursors: Vec<Arc<str>>) -> JournalSettings {
        let segment_bytes = (config.max.0 / 16).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        JournalSettings {
            max_bytes: config.max.0.saturating_sub(OVERHEAD_BYTES),
            mode: config.mode,
            segment_bytes,
            cursors,
        }
    }
}

/// What a journal looked like when it was opened.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The oldest entry that may be there; the same as `end` in an empty journal.
    pub oldest: Seq,
    /// The number the next entry gets.
    pub end: Seq,
    /// Segments kept.
    pub segments: usize,
    /// Bytes on disk, everything together.
    pub bytes: u64,
    /// Bytes cut off behind the last whole entry: a write that the end of the process interrupted.
    pub torn_bytes: u64,
    /// Each configured sink, in the order of the settings.
    pub cursors: Vec<RecoveredCursor>,
    /// What a person should know, one sentence each: gaps, reset cursors, cursors of no sink.
    pub warnings: Vec<String>,
}

/// Where a sink goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredCursor {
    /// Name of the sink.
    pub sink: Arc<str>,
    /// The first entry it has not settled.
    pub start: Seq,
    /// Entries between there and the end.
    pub backlog: u64,
}

/// Why a journal was not opened. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the journal is in use by another process: give each process a directory of its own")]
    Locked,
    /// What was to be looked at is something else.
    #[error("there is no journal in it, neither segments nor cursors; is it the right directory?")]
    NoJournal,
    /// A file was written by a later version.
    #[error(
        "'{file}' has journal format {found}, and this version reads {known}: start the newer logboom, or let it drain the journal first"
    )]
    Newer {
        /// Name of the file.
        file: String,
        /// Version in it.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// The directory cannot be used.
    #[error("cannot {what}: {error}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}
