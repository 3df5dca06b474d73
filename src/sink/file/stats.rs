//! What a file sink tells about itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters and state of one file sink; read at any time, from any thread.
#[derive(Debug, Default)]
pub struct FileStats {
    /// Files finished because the next record would have made them too large.
    pub rotations_size: Count,
    /// Files finished because their period was over.
    pub rotations_time: Count,
    /// Files left because their path leads elsewhere by now: renamed, removed, replaced.
    pub rotations_reopen: Count,
    /// Files finished because they could not be synced and are not trusted any more.
    pub rotations_error: Count,
    /// Attempts to open, write or sync that failed.
    pub write_errors: Count,
    /// Of these, failed syncs.
    pub sync_errors: Count,
    /// Files that could not be finished when it was time; writing went on.
    pub rotate_errors: Count,
    /// Bytes of incomplete records that were cut off when a file was opened.
    pub torn_bytes: Count,
    /// Records that went to `_overflow.log` instead of a file of their own.
    pub overflow_records: Count,
    /// Files compressed.
    pub compressed: Count,
    /// Attempts to compress that failed; the file stays as it is and is tried again.
    pub compress_errors: Count,
    /// Finished files removed because they were more, older or larger than is kept.
    pub removed: Count,
    /// Finished files that could not be removed.
    pub remove_errors: Count,
    /// Files open now.
    pub files_open: Count,
    /// Files known now: the open ones, and with a template those used before.
    pub files_known: Count,
    unhealthy: AtomicBool,
    sync_failing: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl FileStats {
    /// False while what came from the inbox cannot be written.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.unhealthy.load(Ordering::Relaxed)
    }

    /// The last thing that went wrong, also when it is over.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True from a failed sync until the next one that succeeds.
    pub(super) fn sync_failing(&self) -> bool {
        self.sync_failing.load(Ordering::Relaxed)
    }

    pub(super) fn set_sync_failing(&self, failing: bool) {
        self.sync_failing.store(failing, Ordering::Relaxed);
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.unhealthy.store(!healthy, Ordering::Relaxed);
    }

    pub(super) fn set_last_error(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A number that other threads read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Its value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}
