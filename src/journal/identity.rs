//! Which journal this is: a number in the file `lock`. A cursor says which journal it is of, so one
//! that was copied from another is not believed; it would pass over what was never delivered.

use std::io::{self, IoSlice};

use super::block::{BLOCK, BlockWriter, Take, is_intact};
use super::cursor_file::Slot;
use super::disk::{Disk, DiskFile};

const MAGIC: [u8; 8] = *b"LOGBJOUR";

/// The number in `lock`. When there is none yet, or it is damaged: the one that a cursor says, or a new
/// one. 0 when it cannot be written: then every cursor is believed.
pub fn of(lock: &dyn DiskFile, disk: &dyn Disk, cursors: impl Iterator<Item = Slot>) -> u64 {
    if let Some(known) = read(lock) {
        return known;
    }
    let said = cursors.map(|slot| slot.journal).find(|journal| *journal != 0);
    let journal = said.unwrap_or_else(|| disk.random().max(1));
    // Before any cursor says it.
    write(lock, journal).and_then(|()| disk.sync_dir()).map_or(0, |()| journal)
}

/// The number, looked up without changing anything; `None` when there is none, or it is damaged.
pub fn seen(disk: &dyn Disk) -> Option<u64> {
    read(&*disk.open(super::engine::LOCK, false).ok()?)
}

fn read(lock: &dyn DiskFile) -> Option<u64> {
    let mut block = [0; BLOCK];
    let len = lock.read_at(&mut block, 0).ok()?;
    let mut take = Take(&block);
    (len == BLOCK && take.octets()? == MAGIC && is_intact(&block)).then(|| take.u64()).flatten()
}

fn write(lock: &dyn DiskFile, journal: u64) -> io::Result<()> {
    let block = BlockWriter::new(&MAGIC).put(&journal.to_le_bytes()).finish();
    match lock.write_at(&[IoSlice::new(&block)], 0)? {
        BLOCK => lock.sync_data(),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}
