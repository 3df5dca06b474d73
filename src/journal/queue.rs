//! Where appends wait for the writer. Each has a claim, so that one that gives up is either
//! written and told so, or not written: never counted as both.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::{AppendError, Entry, Seq};

/// Most appends in the queue; more wait in front of it.
const WAITING_MAX: usize = 256;
/// How long a disk may take for what is in the queue before that counts as having no room.
const STALL_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Queue {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Pending>,
    is_closed: bool,
    has_room: bool,
    full_since: Option<Instant>,
}

/// An append that waits.
#[derive(Debug)]
pub struct Pending {
    entry: Entry,
    claim: Arc<Claim>,
    reply: oneshot::Sender<Result<Seq, AppendError>>,
    _slot: OwnedSemaphorePermit,
}

impl Borrow<Entry> for Pending {
    fn borrow(&self) -> &Entry {
        &self.entry
    }
}

impl Pending {
    /// Takes it for writing; false when nobody wants it written any more.
    pub fn claim(&self) -> bool {
        self.claim.change(WAITING, CLAIMED)
    }

    /// Gives it back; false when its time was up meanwhile.
    pub fn unclaim(&self) -> bool {
        self.claim.change(CLAIMED, WAITING)
    }

    pub fn resolve(self, result: Result<Seq, AppendError>) {
        // Whoever waited may be gone; then the entry is written and nobody asks.
        let _ = self.reply.send(result);
    }
}

#[derive(Debug)]
struct Claim(AtomicU8);

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
/// Given up before it was claimed.
const WITHDRAWN: u8 = 2;
/// Given up while it was claimed: it is written, or told that there was no room.
const EXPIRED: u8 = 3;

impl Claim {
    fn change(&self, from: u8, to: u8) -> bool {
        // Only the state itself is shared through it.
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives up. True when it will not be written.
    fn give_up(&self) -> bool {
        loop {
            if self.change(WAITING, WITHDRAWN) {
                return true;
            }
            // The writer may give it back in between.
            if self.change(CLAIMED, EXPIRED) || matches!(self.0.load(Ordering::Acquire), EXPIRED | WITHDRAWN) {
                return false;
            }
        }
    }
}

/// Gives up when it is dropped.
struct GiveUp(Arc<Claim>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl Queue {
    pub fn new() -> Queue {
        Queue { slots: Arc::new(Semaphore::new(WAITING_MAX)), state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in the queue, and until the entry is written.
    pub async fn append(&self, entry: Entry, until: Option<Instant>) -> Result<Seq, AppendError> {
        let slot = self.before(until, Arc::clone(&self.slots).acquire_owned()).await;
        let slot = slot.ok_or(AppendError::Full)?.map_err(|_| AppendError::Closed)?;
        let (reply, mut result) = oneshot::channel();
        let claim = Arc::new(Claim(AtomicU8::new(WAITING)));
        let _give_up = GiveUp(Arc::clone(&claim));
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(AppendError::Closed);
            }
            state.waiting.push_back(Pending { entry, claim: Arc::clone(&claim), reply, _slot: slot });
        }
        self.changed.notify_one();
        let answer = match self.before(until, &mut result).await {
            Some(answer) => answer,
            None if claim.give_up() => return Err(AppendError::Full),
            None => result.await,
        };
        answer.unwrap_or(Err(AppendError::Closed))
    }

    /// Waits for appends and takes all there are, claimed; `None` once it is closed and empty.
    pub fn take(&self) -> Option<VecDeque<Pending>> {
        let mut state = self.state();
        loop {
            let mut waiting = std::mem::take(&mut state.waiting);
            waiting.retain(Pending::claim);
            if !waiting.is_empty() {
                return Some(waiting);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until there may be room again, at most so long. False when the queue is closed.
    pub fn wait_for_room(&self, at_most: Duration) -> bool {
        let state = self.state();
        let wait = self.changed.wait_timeout_while(state, at_most, |state| !state.is_closed && !state.has_room);
        let (mut state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        state.has_room = false;
        !state.is_closed
    }

    /// There is more room than before.
    pub fn has_room(&self) {
        self.state().has_room = true;
        self.changed.notify_one();
    }

    /// No more appends; those in it are still taken.
    pub fn close(&self) {
        self.slots.close();
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// Since when appends find no room.
    pub fn full_since(&self) -> Option<Instant> {
        self.state().full_since
    }

    /// Returns whether it was.
    pub fn set_full(&self, is_full: bool) -> bool {
        let since = &mut self.state().full_since;
        let was_full = since.is_some();
        *since = is_full.then(|| since.unwrap_or_else(Instant::now));
        was_full
    }

    /// `None` when it took too long. Whoever does not want to wait for room still waits for the disk.
    async fn before<T>(&self, until: Option<Instant>, what: impl Future<Output = T>) -> Option<T> {
        let Some(until) = until else { return Some(what.await) };
        let mut what = std::pin::pin!(what);
        match tokio::time::timeout_at(until, &mut what).await {
            Err(_) if self.full_since().is_none() => tokio::time::timeout(STALL_MAX, what).await.ok(),
            done => done.ok(),
        }
    }
}
