//! What can be seen of a journal while it runs.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// `max` is used up.
    Max,
    /// The disk, or a quota, is full.
    Disk,
}

impl NoRoom {
    /// As metrics and `/status` name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NoRoom::Max => "max",
            NoRoom::Disk => "disk",
        }
    }
}

/// Counters since the journal was opened, and gauges. All may be read at any time.
#[derive(Debug)]
pub struct JournalStats {
    /// Bytes on disk now, preallocated ones included.
    pub bytes: AtomicU64,
    /// Entries appended.
    pub entries: AtomicU64,
    /// Times data was forced to the disk.
    pub syncs: AtomicU64,
    /// Times the disk refused to.
    pub sync_failures: AtomicU64,
    /// Writes that the disk refused.
    pub write_failures: AtomicU64,
    /// Ranges of bytes found to be damaged.
    pub corrupt_ranges: AtomicU64,
    /// Of those, bytes copied to `quarantine/`.
    pub quarantined_bytes: AtomicU64,
    /// Entries that should be there and are not: damaged, or their segment is gone.
    pub missing_entries: AtomicU64,
    /// Bytes cut off behind the last whole entry when it was opened.
    pub torn_bytes: AtomicU64,
    /// Segments deleted because every sink had settled them.
    pub segments_deleted: AtomicU64,
    /// Most bytes it may have on the disk.
    pub max_bytes: AtomicU64,
    no_room: AtomicU8,
    healthy: AtomicBool,
    last_error: Mutex<Option<Arc<str>>>,
}

impl Default for JournalStats {
    fn default() -> Self {
        let zero = AtomicU64::default;
        JournalStats {
            bytes: zero(),
            entries: zero(),
            syncs: zero(),
            sync_failures: zero(),
            write_failures: zero(),
            corrupt_ranges: zero(),
            quarantined_bytes: zero(),
            missing_entries: zero(),
            torn_bytes: zero(),
            segments_deleted: zero(),
            max_bytes: zero(),
            no_room: AtomicU8::new(0),
            healthy: AtomicBool::new(true),
            last_error: Mutex::default(),
        }
    }
}

impl JournalStats {
    /// False from a failure that a second segment did not cure until data reaches the disk again.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// Why there is no room for what waits to be written; `None` while there is.
    #[must_use]
    pub fn no_room(&self) -> Option<NoRoom> {
        match self.no_room.load(Relaxed) {
            0 => None,
            1 => Some(NoRoom::Max),
            _ => Some(NoRoom::Disk),
        }
    }

    pub(super) fn set_no_room(&self, why: Option<NoRoom>) {
        self.no_room.store(why.map_or(0, |why| if why == NoRoom::Max { 1 } else { 2 }), Relaxed);
    }

    /// What the disk said last when it refused something, also after it has recovered.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<str>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Relaxed);
    }

    pub(super) fn failed(&self, what: &str, error: &std::io::Error) -> Arc<str> {
        let text: Arc<str> = format!("{what}: {error}").into();
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&text));
        text
    }
}
