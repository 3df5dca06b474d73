//! What steers a running file sink from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::stats::FileStats;

/// Steers a running sink from anywhere.
#[derive(Clone, Debug)]
pub struct FileHandle {
    stats: Arc<FileStats>,
    control: Arc<Control>,
}

#[derive(Debug, Default)]
struct Control {
    woken: Arc<Notify>,
    reopen: AtomicBool,
    stop_by: Mutex<Option<Instant>>,
}

impl FileHandle {
    /// For a sink that tells of itself there.
    pub(super) fn new(stats: &Arc<FileStats>) -> FileHandle {
        FileHandle { stats: Arc::clone(stats), control: Arc::default() }
    }

    /// Looks at once whether the files are still at their paths, and begins new ones where they
    /// are not: what a log rotator expects of SIGHUP. Also ends a pause after a failure.
    pub fn reopen(&self) {
        self.control.reopen.store(true, Ordering::Relaxed);
        self.control.woken.notify_one();
    }

    /// Call it with [`crate::inbox::Inbox::close`]: from that instant on the sink does not wait any longer for
    /// a disk that fails, and what it could not write counts as abandoned. Without it, it waits for
    /// ever.
    pub fn stop_by(&self, instant: Instant) {
        *self.control.stop_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(instant);
        self.control.woken.notify_one();
    }

    /// Counters and state.
    #[must_use]
    pub fn stats(&self) -> &Arc<FileStats> {
        &self.stats
    }

    /// Notified when the sink has something to look at.
    pub(super) fn woken(&self) -> &Arc<Notify> {
        &self.control.woken
    }

    /// True when [`FileHandle::reopen`] was called since the last call.
    pub(super) fn take_reopen(&self) -> bool {
        self.control.reopen.swap(false, Ordering::Relaxed)
    }

    /// See [`FileHandle::stop_by`].
    pub(super) fn must_stop_at(&self) -> Option<Instant> {
        *self.control.stop_by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
