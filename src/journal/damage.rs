//! What is broken or gone: counted once however many readers meet it, and a copy kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use super::Seq;
use super::disk::{Disk, DiskFile};
use super::segment::file_name;
use super::stats::JournalStats;
use crate::telemetry::Quiet;

pub const DIRECTORY: &str = "quarantine";

/// So many ranges are known by heart; older ones may be counted again.
const RANGES_MAX: usize = 4096;
/// How much is copied at once.
const COPY_BYTES: u64 = 256 << 10;

/// What is known to be broken or gone.
#[derive(Debug)]
pub struct Damage {
    disk: Arc<dyn Disk>,
    stats: Arc<JournalStats>,
    /// Most bytes in the quarantine.
    cap: u64,
    max_bytes: u64,
    known: Mutex<Known>,
    quiet_lost: Quiet,
    quiet_corrupt: Quiet,
}

#[derive(Debug, Default)]
struct Known {
    /// Entries that are lost: first, one past the last; no two overlap.
    lost: BTreeMap<Seq, Seq>,
    /// Segment and offset of what is damaged.
    corrupt: BTreeSet<(Seq, u64)>,
    quarantined: u64,
}

impl Damage {
    pub fn new(disk: Arc<dyn Disk>, stats: Arc<JournalStats>, max_bytes: u64, quarantined: u64) -> Damage {
        let known = Mutex::new(Known { quarantined, ..Known::default() });
        let (quiet_lost, quiet_corrupt) = (Quiet::new(), Quiet::new());
        Damage { disk, stats, cap: (max_bytes / 16).min(16 << 20), max_bytes, known, quiet_lost, quiet_corrupt }
    }

    /// These entries are lost.
    pub fn lost(&self, seqs: Range<Seq>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = seqs.end.saturating_sub(seqs.start);
        let mut merged = seqs.clone();
        let touching = known.lost.range(..=seqs.end).rev().take_while(|(_, end)| **end >= seqs.start);
        for (start, end) in touching.map(|(start, end)| (*start, *end)).collect::<Vec<_>>() {
            let common = end.min(seqs.end).saturating_sub(start.max(seqs.start));
            missing = missing.saturating_sub(common);
            merged = merged.start.min(start)..merged.end.max(end);
            known.lost.remove(&start);
        }
        if !merged.is_empty() {
            known.lost.insert(merged.start, merged.end);
        }
        if known.lost.len() > RANGES_MAX {
            known.lost.pop_first();
        }
        self.stats.missing_entries.fetch_add(missing, Relaxed);
        if missing > 0
            && let Some(suppressed) = self.quiet_lost.allow()
        {
            let (first, last) = (seqs.start, seqs.end.saturating_sub(1));
            tracing::warn!(
                first,
                last,
                suppressed,
                "entries of the journal are lost: damaged, or their segment is gone"
            );
        }
    }

    /// These bytes of the segment that begins with `base` are damaged.
    pub fn corrupt(&self, file: &dyn DiskFile, base: Seq, bytes: Range<u64>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.corrupt.insert((base, bytes.start)) {
            return;
        }
        if known.corrupt.len() > RANGES_MAX {
            known.corrupt.pop_first();
        }
        self.stats.corrupt_ranges.fetch_add(1, Relaxed);
        if let Some(suppressed) = self.quiet_corrupt.allow() {
            let (segment, from, to) = (file_name(base), bytes.start, bytes.end);
            tracing::warn!(
                segment,
                from,
                to,
                suppressed,
                "bytes of the journal are damaged; there is a copy in its directory `{DIRECTORY}`, if there was room"
            );
        }
        let room = self.cap.saturating_sub(known.quarantined);
        let free = self.max_bytes.saturating_sub(self.stats.bytes.load(Relaxed));
        let bytes = bytes.start..bytes.end.min(bytes.start.saturating_add(room.min(free)));
        if bytes.is_empty() {
            return;
        }
        // A copy for people. That there is none must not keep anything from being delivered.
        match self.copy(file, base, bytes) {
            Ok(copied) => {
                known.quarantined += copied;
                self.stats.quarantined_bytes.fetch_add(copied, Relaxed);
                self.stats.bytes.fetch_add(copied, Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                self.stats.failed("cannot copy damaged bytes to the quarantine", &error);
            }
        }
    }

    fn copy(&self, file: &dyn DiskFile, base: Seq, bytes: Range<u64>) -> io::Result<u64> {
        self.disk.make_dir(DIRECTORY)?;
        let copy = self.disk.create(&format!("{DIRECTORY}/{base:016x}-{:08x}.bin", bytes.start))?;
        let mut buffer = vec![0; COPY_BYTES.min(bytes.end - bytes.start) as usize];
        let mut at = bytes.start;
        while at < bytes.end {
            let want = (bytes.end - at).min(COPY_BYTES) as usize;
            let read = file.read_at(buffer.get_mut(..want).unwrap_or_default(), at)?;
            if read == 0 {
                break;
            }
            write_all(&*copy, &mut [IoSlice::new(buffer.get(..read).unwrap_or_default())], at - bytes.start)?;
            at += read as u64;
        }
        Ok(at - bytes.start)
    }
}

/// Writes all of it, however little the disk takes at once.
pub fn write_all(file: &dyn DiskFile, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_at(slices, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                offset += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
        }
    }
    Ok(())
}

/// True of a disk, or a quota, that is full: there will be room again.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
