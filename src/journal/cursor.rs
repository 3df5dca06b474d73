//! Where each sink stands, in memory and on the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Seq;
use super::cursor_file::{FILE_BYTES, Slot, file_name};
use super::disk::{Disk, DiskFile};
use super::sync::NEW_SUFFIX;

/// Where a sink stands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cursor {
    sink: Arc<str>,
    start: Seq,
    next: Arc<AtomicU64>,
}

impl Cursor {
    pub(super) fn new(sink: Arc<str>, start: Seq) -> Cursor {
        Cursor { sink, start, next: Arc::new(AtomicU64::new(start)) }
    }

    /// One that nobody keeps.
    #[cfg(test)]
    pub fn for_tests(start: Seq) -> Cursor {
        Cursor::new("sink".into(), start)
    }

    /// Name of the sink.
    #[must_use]
    pub fn sink(&self) -> &Arc<str> {
        &self.sink
    }

    /// The first entry the sink had not settled when the journal was opened. It may be older than
    /// the oldest entry there is; a reader says then what is lost.
    #[must_use]
    pub fn start(&self) -> Seq {
        self.start
    }

    /// The first entry it has not settled now.
    #[must_use]
    pub fn position(&self) -> Seq {
        // What was settled has happened before for whoever sees the number.
        self.next.load(Ordering::Acquire)
    }

    /// Everything before `next` is settled. Never moves back. Costs an atomic; on the disk at most
    /// 250 ms later, and when the journal is closed.
    pub fn advance(&self, next: Seq) {
        self.next.fetch_max(next, Ordering::AcqRel);
    }
}

/// A cursor and its file.
#[derive(Debug)]
pub struct Kept {
    pub cursor: Cursor,
    /// `None` when it has to be written anew.
    file: Option<Arc<dyn DiskFile>>,
    /// What was written last.
    written: Slot,
    /// What of that has reached the disk.
    durable: Seq,
    /// Which journal it is of.
    journal: u64,
}

impl Kept {
    /// `found` is what its file says. That file is replaced at the next chance: whether what it
    /// says has reached the disk is not known, and in place of what has, nothing may be written.
    pub fn new(cursor: Cursor, found: Option<Slot>, journal: u64) -> Kept {
        Kept { cursor, file: None, written: found.unwrap_or_default(), durable: 0, journal }
    }

    /// What will not be asked for again, not even after a power cut.
    pub fn durable(&self) -> Seq {
        self.durable
    }

    /// Writes down where the cursor stands, if it has moved, or if `always`.
    pub fn persist(&mut self, disk: &dyn Disk, durable_end: Seq, always: bool) -> io::Result<()> {
        let next = self.cursor.position();
        if next == self.durable && !(always && durable_end != self.written.durable_end) {
            return Ok(());
        }
        let generation = self.written.generation + 1;
        let slot = Slot { generation, next, durable_end, journal: self.journal };
        let written = match self.file.take() {
            Some(file) => slot.write(&*file).and_then(|()| file.sync_data()).map(|()| file),
            None => self.create(disk, slot),
        };
        // A file that could not be written is not written again: a new one takes its name.
        self.file = Some(written?);
        (self.written, self.durable) = (slot, next);
        Ok(())
    }

    /// A new file with both slots, and room for them, in the place of the old one.
    fn create(&self, disk: &dyn Disk, slot: Slot) -> io::Result<Arc<dyn DiskFile>> {
        let name = file_name(&self.cursor.sink);
        let temporary = format!("{name}{NEW_SUFFIX}");
        match disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(&temporary)?;
        file.allocate(FILE_BYTES)?;
        slot.write(&*file)?;
        Slot { generation: slot.generation - 1, ..slot }.write(&*file)?;
        file.sync_data()?;
        disk.rename(&temporary, &name)?;
        disk.sync_dir()?;
        Ok(file)
    }
}
