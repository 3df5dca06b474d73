//! A file that only takes room: when the disk is full, it is emptied for what must be written to
//! get out of that, the cursors.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::disk::{Disk, DiskFile};
use super::stats::JournalStats;

const NAME: &str = "reserve";

#[derive(Debug)]
pub struct Reserve {
    file: Option<Arc<dyn DiskFile>>,
    bytes: u64,
    is_held: bool,
}

impl Reserve {
    /// For a journal of so many bytes. Without one everything works but on a full disk.
    pub fn open(disk: &dyn Disk, max_bytes: u64, stats: &JournalStats) -> Reserve {
        let bytes = (max_bytes / 64).min(1 << 20);
        let file = disk.create(NAME).or_else(|_| disk.open(NAME, true)).ok();
        let mut reserve = Reserve { file, bytes, is_held: false };
        reserve.take(stats);
        reserve
    }

    /// Takes the room again, if there is.
    pub fn take(&mut self, stats: &JournalStats) {
        if !self.is_held && self.file.as_ref().is_some_and(|file| file.allocate(self.bytes).is_ok()) {
            self.is_held = true;
            stats.bytes.fetch_add(self.bytes, Relaxed);
        }
    }

    /// Gives the room away. True when there was any.
    pub fn release(&mut self, stats: &JournalStats) -> bool {
        let is_given = self.is_held && self.file.as_ref().is_some_and(|file| file.set_len(0).is_ok());
        if is_given {
            self.is_held = false;
            stats.bytes.fetch_sub(self.bytes, Relaxed);
        }
        is_given
    }
}
