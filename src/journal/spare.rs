//! The segment that comes next, made while the one before it is written to. Making one takes the file system some
//! milliseconds, and 25 while it deletes another (measured on ext4): whoever appends would wait for it. Without a
//! spare one everything works, the writer makes its segment itself then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::damage::is_full;
use super::disk::{Disk, DiskFile};
use super::log::Log;

/// The name of the spare one, which every version removes at its start: what would be the name of a segment that is being
/// made for the last number, and no segment begins there.
pub const NAME: &str = "3fffffffffffffff.new";

/// It is made when so much of the segment before it is used: one part in four. At 500 MB/s that is 100 ms ahead; and who
/// logs little has one segment on the disk, not two.
const USED_SHARE: u64 = 4;

/// What there is of it.
#[derive(Debug, Default)]
pub enum Spare {
    /// Nothing yet.
    #[default]
    None,
    /// Somebody makes it; its bytes count already.
    Coming,
    /// It can be begun.
    Ready {
        /// Empty, with room for so many bytes.
        file: Arc<dyn DiskFile>,
        /// Its length.
        capacity: u64,
    },
    /// There is no room for it, or the disk refused: nobody tries again before the next segment.
    Refused,
}

/// Makes one of `capacity` bytes; what cannot be made whole is removed.
pub fn make(disk: &dyn Disk, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
    let made = disk.create(NAME).and_then(|file| file.allocate(capacity).map(|()| file));
    // Also what an earlier process has left, and could not be removed: then the next one is made.
    made.inspect_err(|_| _ = disk.remove(NAME))
}

impl Log {
    /// True when it is time to make one: [`Log::begin_spare`].
    pub fn wants_spare(&self) -> bool {
        let is_used = self.active.as_ref().is_some_and(|active| active.offset >= active.capacity / USED_SHARE);
        is_used && matches!(self.spare, Spare::None)
    }

    /// How large a spare segment is to be made, if one is wanted and there is room. [`Log::end_spare`] must be told what
    /// became of it.
    pub fn begin_spare(&mut self) -> Option<u64> {
        if !self.wants_spare() {
            return None;
        }
        let capacity = self.segment_bytes;
        if capacity > self.free() {
            self.spare = Spare::Refused;
            return None;
        }
        self.stats.bytes.fetch_add(capacity, Relaxed);
        self.spare = Spare::Coming;
        Some(capacity)
    }

    /// What became of it.
    pub fn end_spare(&mut self, capacity: u64, made: io::Result<Arc<dyn DiskFile>>) {
        self.spare = match made {
            Ok(file) => Spare::Ready { file, capacity },
            Err(error) => {
                self.stats.bytes.fetch_sub(capacity, Relaxed);
                // Whether a full disk has room for a smaller one the writer finds out.
                if !is_full(&error) {
                    self.stats.failed("cannot make the next segment ahead", &error);
                }
                Spare::Refused
            }
        };
    }

    /// Begins the spare segment, if there is one for an entry that needs so many bytes of it. What the disk refuses is
    /// refused again, or not, when the segment is made anew.
    pub(super) fn begin_with_spare(&mut self, need: u64) -> bool {
        match std::mem::take(&mut self.spare) {
            Spare::Ready { file, capacity } if capacity >= need => match self.begin(file, capacity, Some(NAME)) {
                Ok(()) => true,
                Err(error) => {
                    self.stats.failed("cannot begin the segment that was made ahead", &error);
                    self.remove_spare(capacity);
                    false
                }
            },
            Spare::Refused => false,
            other => {
                self.spare = other;
                false
            }
        }
    }

    /// Gives the room of the spare segment to others. True when there was one.
    pub fn give_up_spare(&mut self) -> bool {
        let Spare::Ready { capacity, .. } = self.spare else { return false };
        self.spare = Spare::None;
        self.remove_spare(capacity);
        true
    }

    fn remove_spare(&mut self, bytes: u64) {
        self.stats.bytes.fetch_sub(bytes, Relaxed);
        if let Err(error) = self.disk.remove(NAME) {
            self.stats.failed("cannot remove a segment that was made ahead", &error);
        }
    }
}
