//! Takes care of finished files, on a thread of its own: compresses them, and removes those that
//! are not kept. Nothing here can hold up writing: what does not fit into the queue is found by
//! looking at the directory.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::scan::{Found, scan};
use super::stats::FileStats;
use super::{Compression, KeepConfig};
use crate::sink::compress::compress;
use crate::sink::disk::Disk;
use crate::sink::keep::Index;
use crate::sink::rotate::Finished;
use crate::template::Template;

/// Finished files that may wait to be taken note of.
const QUEUE_FILES: usize = 64;

/// Finished files that may wait for compression; more are found at the next look.
const PACK_FILES: usize = 1024;

/// How often the directory is looked at, and age is enforced when nothing rotates.
const LOOK: Duration = Duration::from_secs(3600);

/// How long nothing is compressed after a failure.
const PACK_AGAIN: Duration = Duration::from_secs(60);

/// What a keeper needs to know.
pub struct KeeperSettings {
    /// Name of the sink.
    pub sink: Arc<str>,
    /// Where the files are.
    pub disk: Arc<dyn Disk>,
    /// Which of the files there are ours.
    pub template: Template,
    /// How finished files are compressed.
    pub compress: Compression,
    /// Which finished files are kept.
    pub keep: KeepConfig,
    /// What is told about it.
    pub stats: Arc<FileStats>,
}

/// The thread's other end.
pub struct Keeper {
    notes: Notes,
    done: Receiver<()>,
}

/// Where finished files are handed over. The thread ends when the last of these is gone.
#[derive(Clone)]
pub struct Notes {
    queue: SyncSender<(Finished, u64)>,
    shared: Arc<Shared>,
}

impl Notes {
    /// Hands over a finished file. Never waits.
    pub fn finished(&self, finished: Finished, bytes: u64) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send((finished, bytes)) {
            self.shared.look_again.store(true, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    look_again: AtomicBool,
    stop_at: Mutex<Option<Instant>>,
}

impl Shared {
    fn may_go_on(&self) -> bool {
        let stop_at = *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner);
        stop_at.is_none_or(|stop_at| Instant::now() < stop_at)
    }
}

impl Keeper {
    /// Starts the thread. It begins with a look at the directory.
    pub fn start(settings: KeeperSettings) -> io::Result<Keeper> {
        let (queue, arriving) = mpsc::sync_channel(QUEUE_FILES);
        let (finish, done) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared::default());
        let ceiling = AgeClock::new(settings.disk.now_unix_ms());
        let mut work = Work {
            settings,
            arriving,
            shared: Arc::clone(&shared),
            index: Index::default(),
            to_pack: VecDeque::new(),
            pack_again: None,
            clock: ceiling,
        };
        std::thread::Builder::new().name("logboom-keeper".to_owned()).spawn(move || {
            work.run();
            // Nobody waits any more when this fails.
            let _nobody = finish.send(());
        })?;
        Ok(Keeper { notes: Notes { queue, shared }, done })
    }

    /// Where finished files are handed over.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Ends the thread. A compression that runs may go on for `within`; then it is given up and
    /// its leftover removed, and the next start does it again. Returns after `within` and a
    /// second at the latest, also when the disk hangs.
    pub fn stop(self, within: Duration) {
        let Keeper { notes, done } = self;
        *notes.shared.stop_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + within);
        drop(notes);
        let _hangs = done.recv_timeout(within + Duration::from_secs(1));
    }
}

struct Work {
    settings: KeeperSettings,
    arriving: Receiver<(Finished, u64)>,
    shared: Arc<Shared>,
    index: Index,
    to_pack: VecDeque<Finished>,
    pack_again: Option<Instant>,
    clock: AgeClock,
}

impl Work {
    fn run(&mut self) {
        let mut looked = self.look();
        loop {
            let now = Instant::now();
            let may_pack = self.pack_again.is_none_or(|again| again <= now) && !self.to_pack.is_empty();
            let pack_in = self
                .pack_again
                .filter(|_| !self.to_pack.is_empty())
                .map_or(LOOK, |again| again.saturating_duration_since(now));
            let wait =
                if may_pack { Duration::ZERO } else { pack_in.min((looked + LOOK).saturating_duration_since(now)) };
            match self.arriving.recv_timeout(wait) {
                Ok((finished, bytes)) => {
                    self.note(finished, bytes);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.shared.look_again.swap(false, Ordering::Relaxed) || looked.elapsed() >= LOOK {
                looked = self.look();
            }
            if may_pack && let Some(next) = self.to_pack.pop_front() {
                self.pack(next);
            }
        }
    }

    fn note(&mut self, finished: Finished, bytes: u64) {
        self.index.insert(&finished, bytes);
        self.retain(&finished.current);
        if self.settings.compress == Compression::None {
            return;
        }
        if self.to_pack.len() < PACK_FILES {
            self.to_pack.push_back(finished);
        } else {
            self.shared.look_again.store(true, Ordering::Relaxed);
        }
    }

    /// Makes the index anew from what is there.
    fn look(&mut self) -> Instant {
        let mut finished = Vec::new();
        let KeeperSettings { disk, template, sink, .. } = &self.settings;
        let scanned = scan(disk.as_ref(), template, &mut |found| {
            if let Found::Finished(it) = found {
                finished.push(it);
            }
        });
        if let Err(error) = scanned {
            tracing::warn!(%sink, %error, "cannot look for finished files, trying again in an hour");
            return Instant::now();
        }
        // The oldest first: the index remembers only so many. Where a crash left a file both plain
        // and compressed the plain one is the one that counts, so it comes last and stays.
        finished.sort_by_key(|it| (it.sequence, it.packing == Compression::None));
        self.index = Index::default();
        for it in &finished {
            // Gone in between, or of no known size: retention by number and age still works.
            let len = disk.stat(&it.path()).ok().flatten().map_or(0, |stat| stat.len);
            self.index.insert(it, len);
        }
        if self.settings.compress != Compression::None {
            self.to_pack = self.index.unpacked(PACK_FILES).into();
        }
        for current in self.index.paths() {
            self.retain(&current);
        }
        Instant::now()
    }

    /// Removes what is not kept. While files cannot be synced nothing is removed: each failure
    /// begins a new file, and those would push out the old ones that are good.
    fn retain(&mut self, current: &str) {
        let KeeperSettings { disk, keep, stats, sink, .. } = &self.settings;
        if stats.sync_failing() {
            return;
        }
        for finished in self.index.surplus(current, keep, self.clock.now(disk.now_unix_ms())) {
            let path = finished.path();
            match disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    stats.remove_errors.add(1);
                    stats.set_last_error(format!("cannot remove {path}: {error}"));
                    tracing::warn!(%sink, path, %error, "cannot remove a finished file, trying again after the next rotation");
                    return;
                }
                removed => stats.removed.add(u64::from(removed.is_ok())),
            }
            tracing::debug!(%sink, path, "finished file removed");
            self.index.remove(&finished);
        }
    }

    fn pack(&mut self, plain: Finished) {
        if !self.index.contains(&plain) {
            return;
        }
        let KeeperSettings { disk, compress: packing, stats, sink, .. } = &self.settings;
        let shared = Arc::clone(&self.shared);
        match compress(disk.as_ref(), &plain, *packing, &|| shared.may_go_on()) {
            Ok((packed, bytes)) => {
                stats.compressed.add(1);
                self.index.insert(&packed, bytes);
                self.retain(&packed.current);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.index.remove(&plain),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let path = plain.path();
                stats.compress_errors.add(1);
                stats.set_last_error(format!("cannot compress {path}: {error}"));
                tracing::warn!(%sink, path, %error, "cannot compress a finished file, trying again in a minute");
                self.to_pack.push_back(plain);
                self.pack_again = Some(Instant::now() + PACK_AGAIN);
            }
        }
    }
}

/// The wall clock for judging age. It may not run ahead at more than twice the speed of time
/// that has passed, so that a clock set a year ahead by mistake does not remove everything.
struct AgeClock {
    start_unix_ms: u64,
    start: Instant,
}

impl AgeClock {
    fn new(start_unix_ms: u64) -> AgeClock {
        AgeClock { start_unix_ms, start: Instant::now() }
    }

    fn now(&self, unix_ms: u64) -> u64 {
        let passed_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        unix_ms.min(self.start_unix_ms.saturating_add(passed_ms.saturating_mul(2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_ahead_makes_nothing_old() {
        const YEAR: u64 = 365 * 86_400_000;
        let clock = AgeClock::new(50 * YEAR);
        assert!(clock.now(51 * YEAR) < 50 * YEAR + 86_400_000);
        assert_eq!(clock.now(49 * YEAR), 49 * YEAR);
    }
}
