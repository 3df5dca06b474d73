//! The journal as its users see it.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::disk::Disk;
use super::settings::{JournalSettings, OpenError, Recovered};
use super::stats::JournalStats;
use super::{AppendError, Entry, Seq};

/// An open journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    stats: Arc<JournalStats>,
}

impl Journal {
    /// Takes the directory, finds out what is in it and starts the threads. Blocks.
    ///
    /// # Errors
    /// When another process has it, a newer version wrote it, or the directory cannot be used.
    /// Never because of what is in the files.
    pub fn open(settings: JournalSettings, disk: Arc<dyn Disk>) -> Result<(Journal, Recovered), OpenError> {
        let _ = (settings, disk);
        Err(OpenError::Locked)
    }

    /// Appends an entry. When this returns its number it is written: it survives the end of the process.
    /// Waits for room until `until`, without one for ever. Dropped before that, the entry may or may
    /// not be written.
    ///
    /// # Errors
    /// The entry is not in the journal then.
    pub async fn append(&self, entry: Entry, until: Option<Instant>) -> Result<Seq, AppendError> {
        let _ = (entry, until);
        Err(AppendError::Closed)
    }

    /// Waits until an appended entry survives power loss.
    ///
    /// # Errors
    /// When the disk refused, also on a second segment. The entry may still be delivered.
    pub async fn synced(&self, seq: Seq) -> Result<(), AppendError> {
        let _ = seq;
        Err(AppendError::Closed)
    }

    /// One past the last entry written.
    #[must_use]
    pub fn end(&self) -> Seq {
        1
    }

    /// Waits until there is an entry at `seen` or behind it, or the journal is closed. Can be cancelled.
    pub async fn grown(&self, seen: Seq) {
        let _ = seen;
    }

    /// A reader with a position of its own. Its calls block.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { _private: () }
    }

    /// The cursor of a sink that was named in the settings; `None` for any other.
    #[must_use]
    pub fn cursor(&self, sink: &str) -> Option<Cursor> {
        let _ = sink;
        None
    }

    /// Records in the entries `from..to`, by source; damaged entries are left out. Blocks: whole
    /// sealed segments are answered from their tallies, headers are read of the others.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn count(&self, from: Seq, to: Seq) -> io::Result<Vec<(Arc<str>, u64)>> {
        let _ = (from, to);
        Ok(Vec::new())
    }

    /// One past the last entry of the oldest segment: what has to be settled, or to expire, for
    /// room. `None` while the oldest is the one that is written to.
    #[must_use]
    pub fn oldest_segment_end(&self) -> Option<Seq> {
        None
    }

    /// Since when there is no room; `None` while there is.
    #[must_use]
    pub fn full_since(&self) -> Option<Instant> {
        None
    }

    /// Counters and gauges.
    #[must_use]
    pub fn stats(&self) -> Arc<JournalStats> {
        Arc::clone(&self.stats)
    }

    /// Writes what waits, forces everything and the cursors to the disk, ends the threads and
    /// releases the directory. Appends that wait for room get [`AppendError::Closed`].
    pub async fn close(self) {}
}

/// Something read.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// An entry as it was appended.
    Entry(Seq, Entry),
    /// Entries that are damaged, or whose segment is gone.
    Lost {
        /// The first.
        from: Seq,
        /// One past the last.
        to: Seq,
        /// Records in them, where that can still be read.
        records: Option<u64>,
    },
}

/// Reads entries in order.
#[derive(Debug)]
pub struct Reader {
    _private: (),
}

impl Reader {
    /// What there is from `from` on: without holes, in order, up to about `bytes_max` bytes but at
    /// least one entry; nothing when `from` is the end. Blocks.
    ///
    /// # Errors
    /// When a segment cannot be read; a later call may work.
    pub fn next(&mut self, from: Seq, bytes_max: usize) -> io::Result<Vec<Read>> {
        let _ = (from, bytes_max);
        Ok(Vec::new())
    }
}

/// Where a sink stands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cursor {
    start: Seq,
}

impl Cursor {
    /// The first entry the sink had not settled when the journal was opened.
    #[must_use]
    pub fn start(&self) -> Seq {
        self.start
    }

    /// Where it stands now.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.start
    }

    /// Everything before `next` is settled. Never moves back; costs an atomic. On the disk at most
    /// 250 ms or 4 MiB later.
    pub fn advance(&self, next: Seq) {
        let _ = next;
    }
}
