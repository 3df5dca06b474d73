//! The whole journal without its threads: each call does one thing and returns.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Seq;
use super::cursor::{Cursor, Kept};
use super::cursor_file::{FILE_BYTES, file_name};
use super::damage::{self, Damage, is_full};
use super::disk::{Disk, DiskFile};
use super::identity;
use super::index::{Index, Segment};
use super::log::{Log, Unsynced};
use super::progress::Progress;
use super::reader::Reader;
use super::recover::recover;
use super::reserve::Reserve;
use super::settings::{JournalSettings, OpenError, Recovered, RecoveredCursor};
use super::spare::{self, Spare};
use super::stats::JournalStats;
use super::survey::Survey;
use super::sync::NEW_SUFFIX;

/// The file that is locked, and that says which journal this is.
pub const LOCK: &str = "lock";

#[derive(Debug)]
pub struct Engine {
    pub disk: Arc<dyn Disk>,
    pub index: Arc<Index>,
    pub damage: Arc<Damage>,
    pub progress: Arc<Progress>,
    pub stats: Arc<JournalStats>,
    pub cursors: Vec<Cursor>,
    log: Mutex<Log>,
    keeper: Mutex<Keeper>,
    /// Held as long as anything can write.
    lock: Mutex<Option<Arc<dyn DiskFile>>>,
}

#[derive(Debug)]
struct Keeper {
    cursors: Vec<Kept>,
    reserve: Reserve,
}

impl Engine {
    /// Takes the directory and recovers what is in it.
    ///
    /// # Errors
    /// As [`super::Journal::open`] says.
    pub fn open(settings: &JournalSettings, disk: Arc<dyn Disk>) -> Result<(Engine, Recovered), OpenError> {
        let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
            std::io::ErrorKind::ResourceBusy => OpenError::Locked,
            _ => OpenError::Disk { what: "lock the directory of the journal", error },
        })?;
        let mut survey = Survey::of(&*disk, true)?;
        let stats = Arc::new(JournalStats::default());
        // There may be none, and a quarantine that cannot be listed is none.
        let quarantined = disk.list(damage::DIRECTORY).unwrap_or_default().iter().map(|file| file.len).sum();
        let max_bytes = settings.max_bytes;
        stats.max_bytes.store(max_bytes, Relaxed);
        let damage = Arc::new(Damage::new(Arc::clone(&disk), Arc::clone(&stats), max_bytes, quarantined));
        let mut recovery = recover(&mut survey, &*disk, &damage, &stats);
        let bytes: u64 = recovery.segments.iter().map(|segment| segment.bytes).sum();
        let files = survey.cursors.len().max(settings.cursors.len()) as u64;
        stats.bytes.fetch_add(bytes + quarantined + files * FILE_BYTES, Relaxed);

        let journal = identity::of(&*lock, &*disk, survey.cursors.iter().filter_map(|(_, slot)| *slot));
        let oldest = recovery.segments.first().map_or(recovery.next, |segment| segment.base);
        let mut kept = Vec::new();
        for sink in &settings.cursors {
            let found = survey.cursor(sink);
            let name = file_name(sink);
            if found.is_none() && survey.cursors.iter().any(|(known, _)| *known == name) {
                recovery.warnings.push(format!("the cursor of sink '{sink}' is damaged: it gets everything again"));
            } else if found.is_none() && oldest < recovery.next {
                recovery.warnings.push(format!(
                    "sink '{sink}' is new here, or its cursor is gone: it gets everything that is there"
                ));
            }
            let own = found.filter(|slot| slot.journal == 0 || journal == 0 || slot.journal == journal);
            if own.is_none() && found.is_some() {
                recovery
                    .warnings
                    .push(format!("the cursor of sink '{sink}' is of another journal: it gets everything again"));
            }
            let start = own.map_or(oldest, |slot| slot.next);
            if start < oldest {
                let last = oldest - 1;
                recovery
                    .warnings
                    .push(format!("entries {start} to {last}, which sink '{sink}' has not had, are missing"));
                damage.lost(start..oldest);
            }
            let cursor = Cursor::new(Arc::clone(sink), start);
            kept.push(Kept::new(cursor, found, journal));
        }
        for (name, _) in &survey.cursors {
            if !settings.cursors.iter().any(|sink| file_name(sink) == *name) {
                recovery.warnings.push(format!(
                    "'{name}' is the cursor of no sink in the configuration: what only that sink had not settled is deleted"
                ));
            }
        }
        // What is here has been delivered or will be; which of it has reached the disk is found out.
        let synced = recovery.unsynced.first().map_or(recovery.next, |segment| segment.base);
        let progress = Arc::new(Progress::new(recovery.next, synced));
        let ids = recovery.segments.len() as u64;
        let recovered = Recovered {
            oldest,
            end: recovery.next,
            segments: recovery.segments.len(),
            bytes: 0,
            torn_bytes: recovery.torn_bytes,
            cursors: kept.iter().map(|kept| recovered(&kept.cursor, recovery.next)).collect(),
            warnings: recovery.warnings,
        };
        let first_unsynced = ids - recovery.unsynced.len() as u64;
        let unsynced = (first_unsynced + 1..).zip(recovery.unsynced);
        let unsynced = unsynced.map(|(id, found)| Unsynced { id, file: found.file, trim: None }).collect();
        let index = Arc::new(Index::new(recovery.segments, recovery.next));
        let reserve = Reserve::open(&*disk, max_bytes, &stats);
        let cursors = kept.iter().map(|kept| kept.cursor.clone()).collect();
        let log = Log {
            disk: Arc::clone(&disk),
            index: Arc::clone(&index),
            progress: Arc::clone(&progress),
            stats: Arc::clone(&stats),
            max_bytes,
            segment_bytes: settings.segment_bytes,
            active: None,
            spare: Spare::None,
            unsynced,
            // Those that were found may not be on the disk either.
            has_new_name: true,
            next: recovery.next,
            ids,
            scratch: Vec::new(),
        };
        let (log, keeper) = (Mutex::new(log), Mutex::new(Keeper { cursors: kept, reserve }));
        let engine =
            Engine { disk, index, damage, progress, stats, cursors, log, keeper, lock: Mutex::new(Some(lock)) };
        // Whoever reads from now on reads what stays. Then the cursors, with room for all that they
        // will ever say.
        engine.sync();
        engine.keep(true);
        let bytes = engine.stats.bytes.load(Relaxed);
        Ok((engine, Recovered { bytes, ..recovered }))
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        // A panic under this lock is a bug; what is on the disk is good all the same.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forces to the disk what is not there. False when there was nothing to do.
    pub fn sync(&self) -> bool {
        let Some(job) = self.log().begin_sync() else { return false };
        let done = job.run();
        self.log().finish_sync(done);
        true
    }

    /// Makes the segment that comes next, when it is time for that.
    pub fn make_spare(&self) {
        let Some(capacity) = self.log().begin_spare() else { return };
        // Nobody waits meanwhile: who appends has the segment before it, and makes one when that is too late.
        let made = spare::make(&*self.disk, capacity);
        self.log().end_spare(capacity, made);
    }

    /// Writes down the cursors and deletes what all of them have passed. `always` writes cursors
    /// that have not moved too. True when there is more room than before.
    pub fn keep(&self, always: bool) -> bool {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let Keeper { cursors, reserve } = &mut *keeper;
        let durable_end = self.progress.synced();
        let mut is_full_disk = false;
        for kept in cursors.iter_mut() {
            let mut persisted = kept.persist(&*self.disk, durable_end, always);
            if persisted.as_ref().is_err_and(is_full) {
                is_full_disk = true;
                if reserve.release(&self.stats) {
                    persisted = kept.persist(&*self.disk, durable_end, always);
                }
            }
            if let Err(error) = persisted {
                self.stats.failed(&format!("cannot write the cursor of sink '{}'", kept.cursor.sink()), &error);
            }
        }
        // Without a sink nothing says what is done with.
        let settled = cursors.iter().map(Kept::durable).min().unwrap_or(0);
        let is_freed = self.delete(settled);
        // What comes back after a crash is below every cursor.
        if is_freed && let Err(error) = self.disk.sync_dir() {
            self.stats.failed("cannot sync the directory", &error);
        }
        if !is_full_disk {
            reserve.take(&self.stats);
        }
        is_freed
    }

    /// Deletes the segments whose entries are all below `settled` and on the disk. True when there is
    /// more room than before.
    fn delete(&self, settled: Seq) -> bool {
        let mut is_any = false;
        loop {
            let Some(oldest) = self.log().settled(settled) else { return is_any };
            // The log is not locked meanwhile: whoever appends would wait (measured on ext4: up to 350 ms).
            let removed = self.remove(&oldest);
            if let Err(error) = removed
                && error.kind() != io::ErrorKind::NotFound
            {
                self.stats.failed("cannot delete a segment", &error);
                return is_any;
            }
            self.log().deleted(&oldest);
            is_any = true;
        }
    }

    /// Removes a segment part by part. It is none any more before anything of it is gone, whenever the power goes: what is
    /// left of it the next start removes.
    fn remove(&self, segment: &Segment) -> io::Result<()> {
        let leaving = format!("{:016x}{NEW_SUFFIX}", segment.base);
        match self.disk.rename(&segment.name(), &leaving) {
            // By somebody else, or it got so far the last time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        if let Err(error) = self.disk.sync_dir().and_then(|()| self.disk.shrink(&leaving))
            && error.kind() != io::ErrorKind::NotFound
        {
            self.stats.failed("cannot remove a segment part by part", &error);
        }
        self.disk.remove(&leaving)
    }

    /// Has everything on the disk and lets the directory go. Seals nothing: the last segment is
    /// looked through at the next start.
    pub fn finish(&self) {
        while self.sync() {}
        self.log().give_up_spare();
        self.keep(true);
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// What the cursors on the disk say for sure.
    #[cfg(test)]
    pub fn durable_cursors(&self) -> Vec<Seq> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).cursors.iter().map(Kept::durable).collect()
    }

    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.disk), Arc::clone(&self.index), Arc::clone(&self.damage))
    }

    pub fn end(&self) -> Seq {
        self.index.end()
    }
}

fn recovered(cursor: &Cursor, end: Seq) -> RecoveredCursor {
    let start = cursor.start();
    RecoveredCursor { sink: Arc::clone(cursor.sink()), start, backlog: end.saturating_sub(start) }
}
