//! From the page cache to the disk, and what to do when the disk refuses.
//!
//! After a failed sync the system counts the pages as clean: asking again succeeds and means
//! nothing. So the segment is never synced again. What of it had not reached the disk is read
//! back, compared with its checksums, and written to a new segment under the same numbers. A later
//! segment ends the range of an earlier one, also for the next start, so the old copies are dead.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Seq;
use super::block::BLOCK;
use super::damage::write_all;
use super::disk::{Disk, DiskFile};
use super::entry::Names;
use super::index::Segment;
use super::log::{Log, Unsynced};
use super::segment::{Footer, SegmentHeader, Tallies, file_name};
use super::walk::{Step, Walk};

/// What has to be forced to the disk.
#[derive(Debug)]
pub struct SyncJob {
    files: Vec<Unsynced>,
    /// Where names are new.
    names: Option<Arc<dyn Disk>>,
    through: Seq,
}

/// What became of it: the segments that are shorter now, those that failed, and why.
#[derive(Debug)]
pub struct SyncDone {
    through: Seq,
    syncs: u64,
    trimmed: Vec<(u64, io::Result<u64>)>,
    failed: Vec<(u64, Arc<dyn DiskFile>, io::Error)>,
}

impl SyncJob {
    /// Forces it to the disk. Nothing is locked meanwhile.
    pub fn run(self) -> SyncDone {
        let SyncJob { files, names, through } = self;
        let mut done = SyncDone { through, syncs: files.len() as u64, trimmed: Vec::new(), failed: Vec::new() };
        let mut synced = Vec::new();
        for Unsynced { id, file, trim } in files {
            done.trimmed.extend(trim.map(|len| (id, file.set_len(len).map(|()| len))));
            match file.sync_data() {
                Ok(()) => synced.push((id, file)),
                Err(error) => done.failed.push((id, file, error)),
            }
        }
        // IMPORTANT: what has no name on the disk is not there, whatever its data says.
        if let Some(Err(error)) = names.map(|disk| disk.sync_dir()) {
            let again = || error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            done.failed.extend(synced.into_iter().map(|(id, file)| (id, file, again())));
        }
        done
    }
}

/// Name of a segment that is not yet one.
pub const NEW_SUFFIX: &str = ".new";

impl Log {
    /// What is to be synced now; `None` when everything is.
    pub fn begin_sync(&mut self) -> Option<SyncJob> {
        let mut files = std::mem::take(&mut self.unsynced);
        if let Some(active) = self.active.as_mut().filter(|active| active.is_dirty) {
            active.is_dirty = false;
            files.push(Unsynced { id: active.id, file: Arc::clone(&active.file), trim: None });
        }
        if files.is_empty() {
            return None;
        }
        let names = std::mem::take(&mut self.has_new_name).then(|| Arc::clone(&self.disk));
        Some(SyncJob { files, names, through: self.next })
    }

    /// Takes note of a sync, and rescues what it could not force to the disk.
    pub fn finish_sync(&mut self, done: SyncDone) {
        self.stats.syncs.fetch_add(done.syncs, Relaxed);
        let mut through = done.through;
        let mut is_healthy = true;
        for (id, trimmed) in done.trimmed {
            match trimmed {
                Ok(len) => self.shorten(id, len),
                Err(error) => _ = self.stats.failed("cannot give back the rest of a segment", &error),
            }
        }
        for (id, file, error) in done.failed {
            self.stats.sync_failures.fetch_add(1, Relaxed);
            let why = self.stats.failed("cannot force a segment to the disk", &error);
            if self.active.as_ref().is_some_and(|active| active.id == id) {
                self.abandon();
            }
            self.unsynced.retain(|it| it.id != id);
            let Some(segment) = self.index.get(id) else { continue };
            let lost = segment.base.max(self.progress.synced())..segment.end;
            if lost.is_empty() {
                continue;
            }
            through = through.max(segment.end);
            match self.rescue(&segment, &file, lost.clone()) {
                Ok(()) => {}
                Err(error) => {
                    self.stats.failed("cannot save what a failed sync left", &error);
                    self.progress.set_failed(lost.start, lost.end, &why);
                    is_healthy = false;
                }
            }
        }
        self.stats.set_healthy(is_healthy);
        self.progress.set_synced(through);
    }

    fn shorten(&self, id: u64, len: u64) {
        let Some(segment) = self.index.get(id) else { return };
        self.index.change(id, |segment| segment.bytes = len);
        self.stats.bytes.fetch_sub(segment.bytes.saturating_sub(len), Relaxed);
    }

    /// Writes no more to the active segment, not even a footer.
    fn abandon(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.entries == 0 {
            self.forget(active.id, active.base, active.capacity);
        } else {
            // What was preallocated is room for others; if it cannot be given back, it stays.
            let bytes = match active.file.set_len(active.offset) {
                Ok(()) => active.offset,
                Err(_) => active.capacity,
            };
            self.stats.bytes.fetch_sub(active.capacity - bytes, Relaxed);
            self.index.change(active.id, |segment| (segment.is_sealed, segment.bytes) = (true, bytes));
        }
    }

    /// Writes the entries `seqs` of a poisoned segment to a new one, and has that on the disk.
    fn rescue(&mut self, old: &Segment, file: &Arc<dyn DiskFile>, seqs: Range<Seq>) -> io::Result<()> {
        let temporary = format!("{:016x}{NEW_SUFFIX}", seqs.start);
        let base = seqs.start;
        let salt = self.disk.random();
        let new = self.disk.create(&temporary)?;
        let copied = self.copy_entries(old, file, &new, seqs.clone(), salt).and_then(|footer| {
            new.sync_data()?;
            self.disk.rename(&temporary, &file_name(base))?;
            Ok(footer)
        });
        let footer = match copied {
            Ok(footer) => footer,
            Err(error) => {
                let _ = self.disk.remove(&temporary);
                return Err(error);
            }
        };
        if old.base == base {
            // The new file has taken the name of the old one.
            self.index.remove(old.id);
            self.stats.bytes.fetch_sub(old.bytes, Relaxed);
        } else {
            self.index.change(old.id, |segment| (segment.end, segment.tallies) = (base, None));
        }
        let (id, bytes) = (self.new_id(), footer.offset + footer.to_bytes().len() as u64);
        self.stats.bytes.fetch_add(bytes, Relaxed);
        let (end, limit) = (seqs.end, footer.offset);
        let tallies = Some(Arc::new(footer.tallies));
        self.index.insert(Segment { id, base, end, limit, bytes, salt: Some(salt), is_sealed: true, tallies });
        self.disk.sync_dir()
    }

    /// Copies what is whole, one entry at a time; the waiters for what is not are told.
    fn copy_entries(
        &mut self,
        old: &Segment,
        file: &Arc<dyn DiskFile>,
        new: &Arc<dyn DiskFile>,
        seqs: Range<Seq>,
        salt: u64,
    ) -> io::Result<Footer> {
        let header = SegmentHeader { base: seqs.start, created_unix_nano: self.disk.now_unix_nano(), salt };
        write_all(&**new, &mut [IoSlice::new(&header.to_bytes())], 0)?;
        let mut walk = Walk::new(Arc::clone(file), old.limit, old.base..seqs.end, old.salt, 1 << 20);
        let mut names = Names::default();
        let (mut offset, mut next, mut entries, mut tallies) = (BLOCK as u64, seqs.start, 0, Tallies::default());
        let mut holes = Vec::new();
        loop {
            let (at, mut header) = match walk.step()? {
                Step::Entry { header, .. } if header.seq < seqs.start => continue,
                Step::Entry { offset, header } => (offset, header),
                Step::Damaged(_) => continue,
                Step::End { .. } => break,
            };
            let body = walk.body(at, header.total() - BLOCK as u64)?;
            let Some(entry) = header.entry(&body, &mut names) else { continue };
            if header.seq > next {
                holes.push(next..header.seq);
            }
            header.salt = salt;
            write_all(&**new, &mut [IoSlice::new(&header.to_bytes()), IoSlice::new(&body)], offset)?;
            offset += header.total();
            next = header.seq + 1;
            entries += 1;
            tallies.add(&entry.source, 1, header.records);
        }
        if next < seqs.end {
            holes.push(next..seqs.end);
        }
        let footer = Footer { base: seqs.start, end: seqs.end, entries, tallies, salt, offset };
        write_all(&**new, &mut [IoSlice::new(&footer.to_bytes())], offset)?;
        for hole in holes {
            let why = "the disk lost it before it was written".into();
            self.progress.set_failed(hole.start, hole.end, &why);
        }
        Ok(footer)
    }
}
