//! The threads of a journal: one writes, one syncs, one keeps the cursors and deletes, one makes segments ahead. They
//! do what [`Engine`] says and decide only when.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use super::engine::Engine;
use super::queue::{Pending, Queue};
use super::stats::NoRoom;
use super::{AppendError, Mode};
use crate::telemetry::Quiet;

/// How long data may stay off the disk in `buffered` mode.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How long a cursor may stay off the disk.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// The same while the journal is full: what cursors have passed makes room only once they are on the
/// disk.
const KEEP_EVERY_WHEN_FULL: Duration = Duration::from_millis(20);
/// How often a full journal looks for room that somebody else has made on the disk.
const ROOM_EVERY: Duration = Duration::from_millis(500);
/// How long a disk that refuses is left alone: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the threads share with the handle.
#[derive(Debug)]
pub struct Shared {
    pub engine: Engine,
    pub queue: Queue,
    mode: Mode,
    flags: Mutex<Flags>,
    /// There is something to sync, or the end has come.
    changed: Condvar,
    /// There is no room, or the end has come.
    hurry: Condvar,
    /// A segment is to be made ahead, or the end has come.
    ahead: Condvar,
    fullness: Quiet,
}

#[derive(Debug, Default)]
struct Flags {
    is_dirty: bool,
    wants_spare: bool,
    is_ending: bool,
}

impl Shared {
    pub fn new(engine: Engine, mode: Mode) -> Shared {
        // What was found may not have reached the disk.
        let flags = Mutex::new(Flags { is_dirty: true, ..Flags::default() });
        Shared {
            engine,
            queue: Queue::new(),
            mode,
            flags,
            changed: Condvar::new(),
            hurry: Condvar::new(),
            ahead: Condvar::new(),
            fullness: Quiet::new(),
        }
    }

    fn flags(&self) -> MutexGuard<'_, Flags> {
        // Nothing under this lock panics.
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_full(&self, is_full: bool) {
        let was_full = self.queue.set_full(is_full);
        if is_full {
            self.hurry.notify_all();
        } else {
            self.engine.stats.set_no_room(None);
        }
        if is_full != was_full
            && let Some(suppressed) = self.fullness.allow()
        {
            self.tell_fullness(is_full, suppressed);
        }
    }

    fn tell_fullness(&self, is_full: bool, suppressed: u64) {
        if !is_full {
            return tracing::info!(suppressed, "the journal has room again");
        }
        let oldest = self.engine.cursors.iter().min_by_key(|cursor| cursor.position());
        let sink = oldest.map(|cursor| cursor.sink().as_ref()).unwrap_or_default();
        match self.engine.stats.no_room() {
            Some(NoRoom::Disk) => tracing::warn!(
                suppressed,
                sink,
                "the disk of the journal is full: sources wait until there is room on it; the sink that is furthest behind keeps the most"
            ),
            _ => tracing::warn!(
                suppressed,
                sink,
                "the journal is full (`max`): sources wait until the sink that is furthest behind has caught up, or its `wait_max` is over"
            ),
        }
    }

    /// A sync that waits is woken once, however many writes it will cover.
    fn set_dirty(&self) {
        if !std::mem::replace(&mut self.flags().is_dirty, true) {
            self.changed.notify_all();
        }
    }

    /// Ends the threads that neither read from the queue nor end with it.
    pub fn end(&self) {
        self.flags().is_ending = true;
        self.changed.notify_all();
        self.hurry.notify_all();
        self.ahead.notify_all();
    }

    fn write(&self) {
        let mut backoff: Option<(Duration, Instant, Arc<str>)> = None;
        while let Some(mut batch) = self.queue.take() {
            while !batch.is_empty() {
                if let Some((.., why)) = backoff.as_ref().filter(|(_, until, _)| Instant::now() < *until) {
                    fail(&mut batch, usize::MAX, &AppendError::Failed(Arc::clone(why)));
                    break;
                }
                let (appended, wants_spare) = {
                    let mut log = self.engine.log();
                    (log.append(batch.make_contiguous()), log.wants_spare())
                };
                if appended.written > 0 {
                    backoff = None;
                    self.set_full(false);
                    self.engine.progress.set_written(self.engine.end());
                    for (pending, seq) in batch.drain(..appended.written).zip(appended.first..) {
                        pending.resolve(Ok(seq));
                    }
                    self.set_dirty();
                    if wants_spare {
                        self.flags().wants_spare = true;
                        self.ahead.notify_one();
                    }
                }
                match appended.error {
                    None => {}
                    Some((AppendError::Full, _)) => self.wait_for_room(&mut batch),
                    Some((error, concerned)) => {
                        if let (AppendError::Failed(why), true) = (&error, !self.engine.stats.is_healthy()) {
                            let wait = backoff.take().map_or(BACKOFF.0, |(wait, ..)| (wait * 2).min(BACKOFF.1));
                            backoff = Some((wait, Instant::now() + wait, Arc::clone(why)));
                        }
                        fail(&mut batch, concerned, &error);
                    }
                }
            }
        }
    }

    /// Gives the batch back until there may be room; what was given up meanwhile goes.
    fn wait_for_room(&self, batch: &mut VecDeque<Pending>) {
        self.set_full(true);
        for pending in std::mem::take(batch) {
            if pending.unclaim() {
                batch.push_back(pending);
            } else {
                pending.resolve(Err(AppendError::Full));
            }
        }
        if self.queue.wait_for_room(ROOM_EVERY) {
            batch.retain(Pending::claim);
        } else {
            fail(batch, usize::MAX, &AppendError::Closed);
        }
    }

    fn sync(&self) {
        let mut flags = self.flags();
        while !flags.is_ending {
            if !flags.is_dirty {
                flags = self.changed.wait(flags).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if self.mode == Mode::Buffered {
                let wait = self.changed.wait_timeout_while(flags, SYNC_EVERY, |flags| !flags.is_ending);
                flags = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
            flags.is_dirty = false;
            drop(flags);
            self.engine.sync();
            flags = self.flags();
        }
    }

    fn make_ahead(&self) {
        loop {
            let wait = self.ahead.wait_while(self.flags(), |flags| !flags.is_ending && !flags.wants_spare);
            let mut flags = wait.unwrap_or_else(PoisonError::into_inner);
            if flags.is_ending {
                return;
            }
            flags.wants_spare = false;
            drop(flags);
            self.engine.make_spare();
            if self.queue.full_since().is_some() {
                // Its room was taken, and may be had now.
                self.queue.has_room();
            }
        }
    }

    fn keep(&self) {
        loop {
            let every = if self.queue.full_since().is_some() { KEEP_EVERY_WHEN_FULL } else { KEEP_EVERY };
            let wait = self.hurry.wait_timeout(self.flags(), every);
            if wait.unwrap_or_else(PoisonError::into_inner).0.is_ending {
                return;
            }
            // Also those that have not moved: they say how much had reached the disk, and so what is
            // damage at the end, and no torn write.
            if self.engine.keep(true) {
                self.queue.has_room();
            }
        }
    }
}

fn fail(batch: &mut VecDeque<Pending>, concerned: usize, error: &AppendError) {
    for pending in batch.drain(..concerned.min(batch.len())) {
        pending.resolve(Err(error.clone()));
    }
}

/// The threads of a journal.
#[derive(Debug)]
pub struct Threads {
    writer: JoinHandle<()>,
    others: [JoinHandle<()>; 3],
}

impl Threads {
    pub fn start(shared: &Arc<Shared>) -> io::Result<Threads> {
        let start = |name: &str, work: fn(&Shared)| {
            let shared = Arc::clone(shared);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))
        };
        let started = || {
            let others = [
                start("journal-sync", Shared::sync)?,
                start("journal-keep", Shared::keep)?,
                start("journal-ahead", Shared::make_ahead)?,
            ];
            Ok(Threads { writer: start("journal-write", Shared::write)?, others })
        };
        // Those that were started must not go on alone.
        started().inspect_err(|_| shared.end())
    }

    /// Writes what is in the queue, then ends them all.
    pub fn join(self, shared: &Shared) {
        shared.queue.close();
        // A thread that has panicked has said so; what it left is recovered at the next start.
        let _ = self.writer.join();
        shared.end();
        for other in self.others {
            let _ = other.join();
        }
    }
}
