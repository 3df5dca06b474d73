//! One file that is written, and its successors.
//!
//! What happens when the disk fails:
//!
//! | failure | the file | the records |
//! |---|---|---|
//! | cannot be opened | tried again | held |
//! | a write fails or is short | cut back to the length before it; if that fails too, before the next write | held, written again from there |
//! | a sync fails | finished, never written or synced again | `always`: cut back to what was synced, the rest written again to a new file. A period: those since the last sync may be missing after a power cut |
//! | cannot be renamed or its successor not created | written on beyond its size, tried again after a second | written |
//! | removed, renamed, replaced | left alone, a new one begun at the path | those in a removed file are gone with it |

use std::io;
use std::time::{Duration, Instant};

use super::context::{Context, Trouble};
use super::direct::Direct;
use super::job::Job;
use super::open::OpenFile;
use super::syncer::Syncer;
use super::{Compression, SyncPolicy};
use crate::sink::disk::Opened;
use crate::sink::rotate::{Finished, period_of};

/// How long a file that could not be finished is written on before it is tried again.
const ROTATE_AGAIN: Duration = Duration::from_secs(1);

/// Why a file is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The next line would make it too large.
    Size,
    /// Its period is over.
    Time,
    /// It could not be synced.
    Error,
}

/// One path, and the file that is open there, if any.
#[derive(Debug)]
pub struct Log {
    path: String,
    next_sequence: u64,
    /// When it was written to first, as a period number; see [`period_of`].
    period: u64,
    open: Option<OpenFile>,
    rotate_again: Option<Instant>,
    /// When it was used last, for choosing what to close.
    pub used: u64,
}

impl Log {
    /// A path where the last finished file had the number `last_sequence`, 0 for none.
    #[must_use]
    pub fn new(path: &str, last_sequence: u64) -> Log {
        let next_sequence = last_sequence + 1;
        Log { path: path.to_owned(), next_sequence, period: 0, open: None, rotate_again: None, used: 0 }
    }

    /// True while a file is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// True while there is something to sync.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(OpenFile::is_dirty)
    }

    /// Writes the rest of the job, but what it leaves if it may; with `sync: always` also syncs it. After an
    /// error the job knows how far it got, and the same call goes on from there.
    pub fn append(&mut self, job: &mut Job, direct: &mut Direct, cx: &Context) -> Result<(), Trouble> {
        let appended = self.append_all(job, direct, cx);
        if cx.sync != SyncPolicy::Always {
            return appended;
        }
        let synced = self.sync(Some(job), cx);
        appended.and(synced)
    }

    fn append_all(&mut self, job: &mut Job, direct: &mut Direct, cx: &Context) -> Result<(), Trouble> {
        while job.rest() > 0 {
            self.ensure_open(cx)?;
            let Some(open) = &mut self.open else { continue };
            let is_there = open.measure(&self.path, cx).map_err(|error| Trouble::new("write", &self.path, error))?;
            if !is_there {
                self.reopen("removed", Some(job), cx)?;
                continue;
            }
            let len = open.len();
            let now = period_of(cx.rotate.every, cx.disk.now_unix_ms());
            if self.is_over(now) && self.leave(Reason::Time, Some(job), direct, cx)? {
                continue;
            }
            let mut fitting = job.fitting(self.room(len, cx));
            if fitting == 0 {
                if len > 0 {
                    // When it cannot be finished now there is room without end for a second.
                    let _is_new = self.leave(Reason::Size, Some(job), direct, cx)?;
                    continue;
                }
                fitting = job.first_line();
            }
            if let Some(open) = &mut self.open {
                let appended = open.append((job, fitting), &self.path, direct, cx);
                if appended.map_err(|error| Trouble::new("write", &self.path, error))? < fitting {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes the end of the line that was begun in this file, which is to be left: cut back to whole lines, it would become
    /// shorter, and who follows it would begin anew. Where that fails it is cut back after all, and the line is written
    /// again to the next file.
    fn end_line(&mut self, job: Option<&mut Job>, direct: &mut Direct, cx: &Context) -> Result<(), Trouble> {
        let begun = self.open.as_mut().filter(|open| open.has_begun_line() && !open.is_distrusted());
        let (Some(open), Some(job)) = (begun, job) else { return Ok(()) };
        let may_leave = std::mem::take(&mut job.may_leave);
        let line = job.first_line();
        let ended = open.measure(&self.path, cx).and_then(|is_there| match is_there && open.has_begun_line() {
            true => open.append((job, line), &self.path, direct, cx),
            // Removed, it would keep the line to itself.
            false => Ok(0),
        });
        job.may_leave = may_leave;
        ended.map(|_whole| ()).map_err(|error| Trouble::new("write", &self.path, error))
    }

    fn room(&mut self, len: u64, cx: &Context) -> u64 {
        match cx.rotate.size {
            Some(size) if self.may_rotate() => size.0.saturating_sub(len),
            _ => u64::MAX,
        }
    }

    fn may_rotate(&self) -> bool {
        self.rotate_again.is_none_or(|again| again <= Instant::now())
    }

    /// Forces everything written to the disk. A file whose sync failed is not written any more,
    /// and with `sync: always` what was not synced is taken back into the job.
    pub fn sync(&mut self, job: Option<&mut Job>, cx: &Context) -> Result<(), Trouble> {
        let Some(open) = self.open.as_mut().filter(|open| !open.is_distrusted()) else { return Ok(()) };
        let synced = open.sync(&self.path, cx);
        if let Err(error) = synced {
            open.distrust();
            cx.stats.sync_errors.add(1);
            cx.stats.set_sync_failing(true);
            if cx.sync == SyncPolicy::Always {
                open.take_back(&self.path, cx);
                if let Some(job) = job {
                    job.written = job.synced;
                }
            }
            return Err(Trouble::new("sync", &self.path, error));
        }
        if let Some(job) = job.filter(|_| cx.sync == SyncPolicy::Always) {
            job.synced = job.written;
        }
        Ok(())
    }

    /// Opens the file when none is open, or when the one that is open is not trusted any more.
    pub fn ensure_open(&mut self, cx: &Context) -> Result<(), Trouble> {
        if self.open.as_ref().is_some_and(|open| open.is_distrusted()) {
            self.retire(cx).map_err(|error| Trouble::new("finish", &self.path, error))?;
        }
        if self.open.is_none() {
            let opened = cx.disk.open(&self.path);
            self.adopt(opened, cx).map_err(|error| Trouble::new("open", &self.path, error))?;
        }
        Ok(())
    }

    fn adopt(&mut self, opened: io::Result<Opened>, cx: &Context) -> io::Result<()> {
        let (open, written_unix_ms) = OpenFile::new(opened?, &self.path, cx)?;
        let now_unix_ms = cx.disk.now_unix_ms();
        let begun_unix_ms = written_unix_ms.map_or(now_unix_ms, |it| it.min(now_unix_ms));
        self.period = period_of(cx.rotate.every, begun_unix_ms);
        self.open = Some(open);
        Ok(())
    }

    /// Gets a file that cannot be trusted out of the way.
    fn retire(&mut self, cx: &Context) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.repair(&self.path, cx)?;
        if open.len() == 0 && self.is_at_path(cx)? {
            cx.disk.remove(&self.path)?;
        } else if let Some(finished) = self.finish(cx)? {
            let open = self.open.take();
            self.announce(finished, open, Reason::Error, cx);
        }
        self.open = None;
        Ok(())
    }

    /// The same as [`Log::rotate`] once the line that was begun has its end.
    fn leave(
        &mut self,
        reason: Reason,
        mut job: Option<&mut Job>,
        direct: &mut Direct,
        cx: &Context,
    ) -> Result<bool, Trouble> {
        let ended = self.end_line(job.as_deref_mut(), direct, cx);
        let rotated = self.rotate(reason, job, cx)?;
        ended.and(Ok(rotated))
    }

    /// Finishes the file and begins the next one. False when that was not possible; it is written
    /// on then.
    fn rotate(&mut self, reason: Reason, job: Option<&mut Job>, cx: &Context) -> Result<bool, Trouble> {
        if cx.sync != SyncPolicy::Never && cx.syncer.is_none() {
            self.sync(job, cx)?;
        }
        let finished = match self.finish(cx) {
            Ok(Some(finished)) => finished,
            Ok(None) => {
                self.reopen("replaced", None, cx)?;
                return Ok(true);
            }
            Err(error) => return Ok(self.rotate_failed(&error, cx)),
        };
        let old = self.open.take();
        let opened = cx.disk.open(&self.path);
        if let Err(error) = self.adopt(opened, cx) {
            if old.is_some() && cx.disk.rename(&finished.path(), &self.path).is_ok() {
                self.open = old;
                return Ok(self.rotate_failed(&error, cx));
            }
            self.announce(finished, old, reason, cx);
            return Err(Trouble::new("open", &self.path, error));
        }
        self.announce(finished, old, reason, cx);
        self.rotate_again = None;
        Ok(true)
    }

    fn rotate_failed(&mut self, error: &io::Error, cx: &Context) -> bool {
        cx.stats.rotate_errors.add(1);
        if self.rotate_again.is_none() {
            let text = format!("cannot finish {}: {error}", self.path);
            tracing::warn!(sink = %cx.sink, path = self.path, %error, "cannot finish the file, writing on and trying again");
            cx.stats.set_last_error(text);
        }
        self.rotate_again = Some(Instant::now() + ROTATE_AGAIN);
        false
    }

    /// Gives the file its finished name; `None` when there is another file at the path by now.
    fn finish(&mut self, cx: &Context) -> io::Result<Option<Finished>> {
        if !self.is_at_path(cx)? {
            return Ok(None);
        }
        if let Some(open) = &mut self.open {
            open.repair(&self.path, cx)?;
        }
        loop {
            let finished = Finished {
                current: self.path.clone(),
                sequence: self.next_sequence,
                unix_ms: cx.disk.now_unix_ms(),
                packing: Compression::None,
            };
            self.next_sequence += 1;
            match cx.disk.rename(&self.path, &finished.path()) {
                // Only a file that appeared since the start can have the name; the next number
                // has it even less likely.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                renamed => return renamed.map(|()| Some(finished)),
            }
        }
    }

    fn is_at_path(&self, cx: &Context) -> io::Result<bool> {
        let there = cx.disk.stat(&self.path)?.map(|stat| stat.identity);
        Ok(there.is_some() && there == self.open.as_ref().map(OpenFile::identity))
    }

    /// Tells of a finished file, and closes it, after its last sync where another thread syncs.
    fn announce(&self, finished: Finished, open: Option<OpenFile>, reason: Reason, cx: &Context) {
        let count = match reason {
            Reason::Size => &cx.stats.rotations_size,
            Reason::Time => &cx.stats.rotations_time,
            Reason::Error => &cx.stats.rotations_error,
        };
        count.add(1);
        let bytes = open.as_ref().map_or(0, OpenFile::len);
        tracing::debug!(sink = %cx.sink, path = finished.path(), bytes, ?reason, "file finished");
        if let (Some(syncer), Some(mut open)) = (&cx.syncer, open) {
            syncer.leave(open.order(&self.path), Some((finished, bytes)));
        } else if let Some(keeper) = &cx.keeper {
            keeper.notes().finished(finished, bytes);
        }
    }

    /// Goes on at the path when something else, or nothing, is there by now. The line that was begun, if one was, is the
    /// next of `job`.
    pub fn check(&mut self, job: Option<&mut Job>, direct: &mut Direct, cx: &Context) -> Result<(), Trouble> {
        match (self.open.is_some(), self.is_at_path(cx)) {
            (true, Ok(false)) => {
                let ended = self.end_line(job, direct, cx);
                self.reopen("renamed, removed or replaced", None, cx).and(ended)
            }
            // Where looking fails, writing will tell.
            _ => Ok(()),
        }
    }

    fn reopen(&mut self, why: &'static str, job: Option<&mut Job>, cx: &Context) -> Result<(), Trouble> {
        tracing::info!(sink = %cx.sink, path = self.path, why, "the file is not at its path any more, beginning a new one");
        cx.stats.rotations_reopen.add(1);
        if let Some(syncer) = &cx.syncer {
            self.repair(cx);
            if let Some(mut open) = self.open.take() {
                syncer.leave(open.order(&self.path), None);
            }
            return self.ensure_open(cx);
        }
        let closed = self.close(job, cx);
        self.ensure_open(cx).and(closed)
    }

    /// Finishes the file when its period is over, though nothing is written to it. The clock may
    /// jump: forwards it costs one rotation, backwards none. The line that was begun, if one was, is the next of `job`.
    pub fn rotate_when_over(
        &mut self,
        period: u64,
        job: Option<&mut Job>,
        direct: &mut Direct,
        cx: &Context,
    ) -> Result<(), Trouble> {
        let was_open = self.is_open();
        if self.period == period || (!was_open && !self.is_left_over(period, cx)) {
            return Ok(());
        }
        self.ensure_open(cx)?;
        if let Some(open) = &mut self.open {
            open.measure(&self.path, cx).map_err(|error| Trouble::new("write", &self.path, error))?;
        }
        if self.is_over(period) {
            self.leave(Reason::Time, job, direct, cx)?;
        }
        Ok(())
    }

    /// True when the closed file has records of an earlier period.
    fn is_left_over(&self, period: u64, cx: &Context) -> bool {
        let there = cx.disk.stat(&self.path).ok().flatten();
        there.is_some_and(|it| it.len > 0 && period_of(cx.rotate.every, it.modified_unix_ms) < period)
    }

    fn is_over(&mut self, period: u64) -> bool {
        let is_empty = self.open.as_ref().is_none_or(|open| open.len() == 0);
        if is_empty || period < self.period {
            self.period = period;
        }
        self.period < period && self.may_rotate()
    }

    /// Has the file synced on the other thread, where there is something to sync. Until that is
    /// over it must be known to nobody else.
    pub fn order_sync(&mut self, syncer: &Syncer) {
        if let Some(open) = self.open.as_mut().filter(|open| open.is_dirty()) {
            syncer.sync(open.order(&self.path));
        }
    }

    /// Gives the file away, to be closed after its last sync on the other thread. It comes back
    /// by [`Log::take_back`] when it is needed again, or when it is not trusted any more.
    pub fn give_away(&mut self, syncer: &Syncer, cx: &Context) -> Option<OpenFile> {
        self.repair(cx);
        let mut open = self.open.take()?;
        if open.is_dirty() || open.is_waiting() || open.is_distrusted() {
            syncer.leave(open.order(&self.path), None);
            return Some(open);
        }
        None
    }

    /// Goes on with a file that was given away.
    pub fn take_back(&mut self, open: OpenFile) {
        self.open = Some(open);
    }

    fn repair(&mut self, cx: &Context) {
        if let Some(open) = &mut self.open {
            let _best_effort = open.repair(&self.path, cx);
        }
    }

    /// Closes the file, synced unless the policy is `never`.
    pub fn close(&mut self, job: Option<&mut Job>, cx: &Context) -> Result<(), Trouble> {
        self.repair(cx);
        let synced = if cx.sync == SyncPolicy::Never { Ok(()) } else { self.sync(job, cx) };
        if self.open.as_ref().is_some_and(|open| open.is_distrusted()) {
            // Where it keeps its name, the next to open it cannot know what is missing in it.
            let _best_effort = self.retire(cx);
        }
        self.open = None;
        synced
    }
}
