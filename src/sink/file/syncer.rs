//! Forces files to the disk on a thread of its own, where `sync` is a period: whoever writes does
//! not wait for a disk. Writes to a file go on while it is synced.
//!
//! A sync that fails comes back through [`Trust`]: what is written next goes to a new file. A sync
//! that hangs holds up nothing but syncs, until a file is left whose path has another one waiting,
//! or as many are as may be. Then the writer waits, as it would have without this thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::Notify;

use super::context::Trouble;
use super::keeper::Notes;
use super::stats::FileStats;
use crate::sink::disk::Disk;
use crate::sink::rotate::Finished;

/// What is known of one file's way to the disk; shared by all who hold it.
#[derive(Debug, Default)]
pub struct Trust {
    waiting: AtomicUsize,
    has_failed: AtomicBool,
    written_out: AtomicU64,
}

impl Trust {
    /// Up to here the file was in the page cache alone at most until its last sync.
    #[must_use]
    pub fn written_out(&self) -> u64 {
        self.written_out.load(Ordering::Acquire)
    }

    /// True once a sync has failed. The kernel forgets what it could not write, so another sync
    /// would succeed without it: the file is not written and not synced again.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// A sync has failed.
    pub fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    /// True while a sync is under way or waits for its turn.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// One file to be synced.
#[derive(Debug)]
pub struct Order {
    file: Arc<File>,
    trust: Arc<Trust>,
    path: String,
    /// Something was written since the last order.
    data: bool,
    len: u64,
    /// The name is new.
    name: bool,
    /// Its name from now on and its length, when it has been finished.
    finished: Option<(Finished, u64)>,
    is_left: bool,
}

impl Order {
    /// Has the data, so many bytes, and the `name` of the file at `path` forced to the disk.
    #[must_use]
    pub fn new(file: &Arc<File>, trust: &Arc<Trust>, path: &str, (data, len): (bool, u64), name: bool) -> Order {
        trust.waiting.fetch_add(1, Ordering::AcqRel);
        let (file, trust) = (Arc::clone(file), Arc::clone(trust));
        Order { file, trust, path: path.to_owned(), data, len, name, finished: None, is_left: false }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.trust.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the thread needs to know.
pub struct SyncerSettings {
    /// Where the files are.
    pub disk: Arc<dyn Disk>,
    /// What is told about it.
    pub stats: Arc<FileStats>,
    /// Who gets finished files after their sync.
    pub notes: Option<Notes>,
    /// Woken when a round is over, and when something went wrong.
    pub woken: Arc<Notify>,
    /// Files that are not written any more and wait for their last sync, each open until then. Of
    /// one path only one: so after a power cut only the last finished file of a path may have a
    /// torn end, and the next start finds it.
    pub left_max: usize,
}

/// The thread's other end.
#[derive(Debug)]
pub struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    left_max: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// For the thread: there is an order, or the end has come.
    ordered: Condvar,
    /// For the writer: an order has been carried out.
    done: Condvar,
    in_round: AtomicUsize,
    has_trouble: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Order>,
    /// Paths of the files left whose last sync is not over.
    left: Vec<String>,
    trouble: Option<Trouble>,
    is_ending: bool,
    /// The thread is gone, by a panic too: nobody may wait for it.
    has_ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Order> {
        let mut state = self.state();
        loop {
            match state.queue.pop_front() {
                None if !state.is_ending => {
                    state = self.ordered.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                order => return order,
            }
        }
    }
}

impl Syncer {
    /// Starts the thread.
    pub fn start(settings: SyncerSettings) -> io::Result<Syncer> {
        let shared = Arc::<Shared>::default();
        let left_max = settings.left_max.max(1);
        let work = Work { settings, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("logboom-sync".to_owned()).spawn(move || work.run())?;
        Ok(Syncer { shared, thread: Some(thread), left_max })
    }

    /// Syncs a file that is written on. Never waits; there must not be two orders for one file.
    pub fn sync(&self, order: Order) {
        self.shared.in_round.fetch_add(1, Ordering::AcqRel);
        self.shared.state().queue.push_back(order);
        self.shared.ordered.notify_one();
    }

    /// True while a file that was given to [`Syncer::sync`] is not synced.
    #[must_use]
    pub fn is_in_round(&self) -> bool {
        self.shared.in_round.load(Ordering::Acquire) > 0
    }

    /// Syncs a file that is not written any more; `finished` is its name from now on and its
    /// length, where it has been finished. Waits while another one of its path, or
    /// [`SyncerSettings::left_max`] of all, have to be synced first.
    pub fn leave(&self, mut order: Order, finished: Option<(Finished, u64)>) {
        order.finished = finished;
        order.is_left = true;
        let mut state = self.shared.state();
        while !state.has_ended && (state.left.len() >= self.left_max || state.left.contains(&order.path)) {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.left.push(order.path.clone());
        state.queue.push_back(order);
        drop(state);
        self.shared.ordered.notify_one();
    }

    /// The last thing that went wrong since the last call.
    #[must_use]
    pub fn take_trouble(&self) -> Option<Trouble> {
        if !self.shared.has_trouble.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.shared.state().trouble.take()
    }

    /// Carries out all orders, and ends the thread. Takes as long as the disk does.
    pub fn end(mut self) -> Result<(), Trouble> {
        self.tell_end();
        if let Some(thread) = self.thread.take() {
            // One that has panicked has said so.
            let _ = thread.join();
        }
        self.take_trouble().map_or(Ok(()), Err)
    }

    fn tell_end(&self) {
        self.shared.state().is_ending = true;
        self.shared.ordered.notify_one();
    }

    /// Waits until all orders are carried out.
    #[cfg(test)]
    pub fn wait_idle(&self) {
        let mut state = self.shared.state();
        while !state.queue.is_empty() || !state.left.is_empty() || self.is_in_round() {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Syncer {
    /// Without [`Syncer::end`] what waits stays as it is, as after a crash.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.shared.state().queue.clear();
            self.tell_end();
        }
    }
}

struct Work {
    settings: SyncerSettings,
    shared: Arc<Shared>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.shared.state().has_ended = true;
        self.shared.done.notify_all();
    }
}

impl Work {
    fn run(self) {
        while let Some(mut order) = self.shared.next() {
            let synced = self.sync(&order);
            let (finished, is_left) = (order.finished.take(), order.is_left);
            let path = std::mem::take(&mut order.path);
            // Closed, when nobody else has it: then it may be compressed.
            drop(order);
            if let (Some(notes), Some((finished, bytes))) = (&self.settings.notes, finished) {
                notes.finished(finished, bytes);
            }
            self.tell(synced.map_err(|error| Trouble::new("sync", &path, error)), is_left.then_some(path));
        }
    }

    fn sync(&self, order: &Order) -> io::Result<()> {
        let SyncerSettings { disk, stats, .. } = &self.settings;
        if order.trust.has_failed() || !(order.data || order.name) {
            return Ok(());
        }
        let data = if order.data { disk.sync(&order.file) } else { Ok(()) };
        if order.data && data.is_ok() {
            order.trust.written_out.fetch_max(order.len, Ordering::AcqRel);
        }
        let synced = data.and_then(|()| if order.name { disk.sync_dir_of(&order.path) } else { Ok(()) });
        if synced.is_err() {
            order.trust.fail();
            stats.sync_errors.add(1);
        }
        stats.set_sync_failing(synced.is_err());
        synced
    }

    fn tell(&self, synced: Result<(), Trouble>, left: Option<String>) {
        let mut state = self.shared.state();
        let is_over = match left {
            Some(path) => {
                state.left.retain(|it| *it != path);
                false
            }
            None => self.shared.in_round.fetch_sub(1, Ordering::AcqRel) == 1,
        };
        let is_trouble = synced.is_err();
        if let Err(trouble) = synced {
            state.trouble = Some(trouble);
            self.shared.has_trouble.store(true, Ordering::Release);
        }
        drop(state);
        self.shared.done.notify_all();
        if is_over || is_trouble {
            self.settings.woken.notify_one();
        }
    }
}
