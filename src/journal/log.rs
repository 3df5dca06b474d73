//! The segments that are written: entries go to the last one, and what every sink has settled is
//! deleted. No threads here: each call does its work on the disk and returns.

use std::borrow::Borrow;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::block::BLOCK;
use super::damage::{is_full, write_all};
use super::disk::{Disk, DiskFile};
use super::entry;
use super::index::{Index, Segment};
use super::progress::Progress;
use super::segment::{Footer, SEQ_END, SegmentHeader, Tallies, file_name};
use super::spare::Spare;
use super::stats::{JournalStats, NoRoom};
use super::{AppendError, Entry, Seq};

/// Most entries in one system call: two slices each, of the 1024 it takes.
const RUN_ENTRIES: usize = 500;
/// About as many bytes in one, so that nothing waits long behind it.
const RUN_BYTES: u64 = 8 << 20;

/// The segments of an open journal.
#[derive(Debug)]
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) index: Arc<Index>,
    pub(super) progress: Arc<Progress>,
    pub(super) stats: Arc<JournalStats>,
    pub(super) max_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) active: Option<Active>,
    pub(super) spare: Spare,
    /// Sealed, and not yet on the disk: oldest first.
    pub(super) unsynced: Vec<Unsynced>,
    /// The name of a segment may not be on the disk yet.
    pub(super) has_new_name: bool,
    pub(super) next: Seq,
    pub(super) ids: u64,
    pub(super) scratch: Vec<u8>,
}

/// A segment that is not written to any more, and may not be on the disk yet.
#[derive(Debug)]
pub struct Unsynced {
    pub id: u64,
    pub file: Arc<dyn DiskFile>,
    /// Its length without what was preallocated and not used.
    pub trim: Option<u64>,
}

/// The segment that is written to.
#[derive(Debug)]
pub struct Active {
    pub id: u64,
    pub base: Seq,
    pub salt: u64,
    pub file: Arc<dyn DiskFile>,
    /// Where the next entry goes.
    pub offset: u64,
    /// Length of the file.
    pub capacity: u64,
    pub entries: u64,
    pub tallies: Tallies,
    /// Written to since the last sync began.
    pub is_dirty: bool,
}

/// How far an append came.
#[derive(Debug)]
pub struct Appended {
    /// So many of the entries were written, the first of them as the number in `first`.
    pub written: usize,
    /// Number of the first.
    pub first: Seq,
    /// Why not all, and how many of the rest that is said of.
    pub error: Option<(AppendError, usize)>,
}

/// Why a run was not written.
enum Refusal {
    Full,
    /// It will never be.
    Never(String),
    Failed(Arc<str>),
}

impl Log {
    /// Writes entries, in order, until one cannot be written.
    pub fn append<E: Borrow<Entry>>(&mut self, entries: &[E]) -> Appended {
        let first = self.next;
        let mut written = 0;
        let mut is_second_try = false;
        let error = loop {
            let Some(rest) = entries.get(written..).filter(|rest| !rest.is_empty()) else { break None };
            match self.append_run(rest) {
                Ok(run) => {
                    written += run;
                    is_second_try = false;
                }
                Err(Refusal::Full) => break Some((AppendError::Full, rest.len())),
                Err(Refusal::Never(why)) => break Some((AppendError::Failed(why.into()), 1)),
                Err(Refusal::Failed(_)) if !is_second_try => is_second_try = true,
                Err(Refusal::Failed(why)) => {
                    self.stats.set_healthy(false);
                    break Some((AppendError::Failed(why), rest.len()));
                }
            }
        };
        self.stats.entries.fetch_add(written as u64, Relaxed);
        Appended { written, first, error }
    }

    /// Writes as many of the entries as go into the segment, at least one.
    fn append_run<E: Borrow<Entry>>(&mut self, entries: &[E]) -> Result<usize, Refusal> {
        if let Some(first) = entries.first() {
            self.make_room(first.borrow())?;
        }
        let Some(active) = self.active.as_mut() else { return Err(Refusal::Full) };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Where in the scratch each entry's prefix ends, the padding of the one before included.
        let mut prefixes = Vec::with_capacity(entries.len().min(RUN_ENTRIES));
        let mut end = active.offset;
        let mut footer = active.tallies.footer_bytes();
        for entry in entries.iter().take(RUN_ENTRIES).map(Borrow::borrow) {
            let Some(size) = entry::size(entry) else { break };
            footer += if active.tallies.has(&entry.source) { 0 } else { Tallies::bytes_of(&entry.source) };
            if end + size + footer > active.capacity || (!prefixes.is_empty() && end - active.offset > RUN_BYTES) {
                break;
            }
            let Some(header) = entry::write_prefix(entry, self.next + prefixes.len() as u64, active.salt, &mut scratch)
            else {
                break;
            };
            prefixes.push(scratch.len());
            end += size;
            scratch.resize(scratch.len() + header.padding(), 0);
        }
        let written = {
            let mut slices = Vec::with_capacity(prefixes.len() * 2 + 1);
            let mut from = 0;
            for (entry, to) in entries.iter().zip(&prefixes) {
                slices.push(IoSlice::new(scratch.get(from..*to).unwrap_or_default()));
                slices.push(IoSlice::new(&entry.borrow().payload));
                from = *to;
            }
            slices.push(IoSlice::new(scratch.get(from..).unwrap_or_default()));
            active.is_dirty = true;
            write_all(&*active.file, &mut slices, active.offset)
        };
        self.scratch = scratch;
        // A batch of huge names or marks must not be paid for ever.
        self.scratch.shrink_to(RUN_BYTES as usize / 8);
        if let Err(error) = written {
            return Err(self.give_up(&error));
        }
        active.offset = end;
        active.entries += prefixes.len() as u64;
        for entry in entries.iter().take(prefixes.len()).map(Borrow::borrow) {
            active.tallies.add(&entry.source, 1, entry.records);
        }
        self.next += prefixes.len() as u64;
        self.index.grow(active.id, self.next, end);
        Ok(prefixes.len())
    }

    /// The disk did not take a run: what it took of it is cut off.
    fn give_up(&mut self, error: &io::Error) -> Refusal {
        let Some(active) = self.active.as_mut() else { return Refusal::Full };
        let cut = active.file.set_len(active.offset);
        if is_full(error) && cut.is_ok() {
            return self.full_disk();
        }
        self.stats.write_failures.fetch_add(1, Relaxed);
        let why = self.stats.failed("cannot write to a segment", error);
        self.seal();
        if is_full(error) { self.full_disk() } else { Refusal::Failed(why) }
    }

    fn full_disk(&self) -> Refusal {
        self.stats.set_no_room(Some(NoRoom::Disk));
        Refusal::Full
    }

    /// Sees to it that an entry fits into the active segment.
    fn make_room(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let size = entry::size(entry)
            .ok_or_else(|| Refusal::Never("the entry is larger than the format of the journal allows".to_owned()))?;
        if self.next >= SEQ_END - 1 {
            return Err(Refusal::Never("the journal has run out of numbers".to_owned()));
        }
        if let Some(active) = &self.active {
            let new = if active.tallies.has(&entry.source) { 0 } else { Tallies::bytes_of(&entry.source) };
            if active.offset + size + active.tallies.footer_bytes() + new <= active.capacity {
                return Ok(());
            }
            self.seal();
        }
        let need = BLOCK as u64 + size + Tallies::default().footer_bytes() + Tallies::bytes_of(&entry.source);
        if self.begin_with_spare(need) {
            return Ok(());
        }
        if need > self.free() {
            self.give_up_spare();
        }
        let free = self.free();
        if need > free {
            return Err(if self.index.oldest().is_some() || matches!(self.spare, Spare::Coming) {
                self.stats.set_no_room(Some(NoRoom::Max));
                Refusal::Full
            } else {
                Refusal::Never(format!(
                    "an entry of {size} bytes does not fit into a journal of {} bytes",
                    self.max_bytes
                ))
            });
        }
        let capacity = self.segment_bytes.max(need).min(free);
        let mut created = self.create(need, capacity);
        if created.as_ref().is_err_and(is_full) && self.give_up_spare() {
            created = self.create(need, capacity);
        }
        match created {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => Err(self.full_disk()),
            Err(error) => {
                self.stats.write_failures.fetch_add(1, Relaxed);
                Err(Refusal::Failed(self.stats.failed("cannot create a segment", &error)))
            }
        }
    }

    /// Bytes that it may still take.
    pub(super) fn free(&self) -> u64 {
        self.max_bytes.saturating_sub(self.stats.bytes.load(Relaxed))
    }

    /// Begins a segment of `capacity` bytes, or of fewer, but `need`, when the disk has no more.
    fn create(&mut self, need: u64, mut capacity: u64) -> io::Result<()> {
        let name = file_name(self.next);
        let file = self.disk.create(&name)?;
        let allocated = loop {
            match file.allocate(capacity) {
                Err(error) if is_full(&error) && capacity > need => match file.set_len(0) {
                    Ok(()) => capacity = (capacity / 2).max(need),
                    refused => break refused,
                },
                allocated => break allocated,
            }
        };
        if let Err(error) = allocated.and_then(|()| self.begin(file, capacity, None)) {
            // Nothing is in it; when it stays, the next start removes it.
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        self.stats.bytes.fetch_add(capacity, Relaxed);
        Ok(())
    }

    /// Begins a segment in an empty file, whose bytes count already, and gives it its name when it still has another.
    pub(super) fn begin(&mut self, file: Arc<dyn DiskFile>, capacity: u64, from: Option<&str>) -> io::Result<()> {
        let (base, salt) = (self.next, self.disk.random());
        let header = SegmentHeader { base, created_unix_nano: self.disk.now_unix_nano(), salt };
        write_all(&*file, &mut [IoSlice::new(&header.to_bytes())], 0)?;
        from.map_or(Ok(()), |from| self.disk.rename(from, &file_name(base)))?;
        self.has_new_name = true;
        let id = self.new_id();
        let (limit, bytes) = (BLOCK as u64, capacity);
        let segment = Segment { id, base, end: base, limit, bytes, salt: Some(salt), is_sealed: false, tallies: None };
        self.index.insert(segment);
        let (offset, entries, tallies) = (limit, 0, Tallies::default());
        self.active = Some(Active { id, base, salt, file, offset, capacity, entries, tallies, is_dirty: false });
        Ok(())
    }

    pub(super) fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Ends the active segment. That its footer cannot be written costs time at the next start,
    /// nothing else. What was preallocated is given back by the next sync: whoever appends would wait
    /// for it (measured on ext4 at 500 MB/s: 5 to 16 ms, and 3 to 28 for a name that is new).
    pub(super) fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.entries == 0 {
            self.forget(active.id, active.base, active.capacity);
            return;
        }
        let tallies = active.tallies;
        let (base, end, entries, salt, offset) = (active.base, self.next, active.entries, active.salt, active.offset);
        let footer = Footer { base, end, entries, tallies, salt, offset };
        let bytes = footer.to_bytes();
        let trim = match write_all(&*active.file, &mut [IoSlice::new(&bytes)], offset) {
            Ok(()) => Some(offset + bytes.len() as u64),
            Err(error) => {
                self.stats.failed("cannot seal a segment", &error);
                None
            }
        };
        self.index.change(active.id, |segment| {
            segment.is_sealed = true;
            segment.tallies = Some(Arc::new(footer.tallies));
        });
        self.unsynced.push(Unsynced { id: active.id, file: active.file, trim });
    }

    /// Removes a segment that holds nothing.
    pub(super) fn forget(&mut self, id: u64, base: Seq, bytes: u64) {
        self.index.remove(id);
        self.stats.bytes.fetch_sub(bytes, Relaxed);
        if let Err(error) = self.disk.remove(&file_name(base)) {
            self.stats.failed("cannot remove an empty segment", &error);
        }
    }

    /// The oldest segment, when its entries are all below `settled` and on the disk: it may be deleted,
    /// see [`Log::deleted`].
    pub fn settled(&self, settled: Seq) -> Option<Segment> {
        let settled = settled.min(self.progress.synced());
        self.index.set_settled(settled);
        self.index.oldest().filter(|oldest| oldest.is_sealed && oldest.end <= settled)
    }

    /// A segment is not there any more.
    pub fn deleted(&mut self, segment: &Segment) {
        self.index.remove(segment.id);
        self.unsynced.retain(|it| it.id != segment.id);
        self.stats.bytes.fetch_sub(segment.bytes, Relaxed);
        self.stats.segments_deleted.fetch_add(1, Relaxed);
    }
}
