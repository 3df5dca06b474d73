//! The bounded queue in front of a sink, and what happens when it is full.
//!
//! A full inbox makes the sources wait. A sink that frees less than one whole inbox within its
//! `wait_max` is not merely slower than the sources but stuck: it is **passed over**, alone,
//! until its inbox is half empty again. What it misses is counted, and a gap record is the first
//! thing it gets afterwards.
//!
//! One short lock per batch guards queue and counters together, so that the ledger balances at
//! any moment it is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::batch::Batch;
use crate::config::units::WaitMax;
use crate::encode::Encoding;
use crate::gap::Gaps;
use crate::journal::lane::Ticket;

mod deferred;
mod tally;

pub use tally::Tally;

/// What an inbox is made of.
#[derive(Clone, Debug)]
pub struct InboxSettings {
    /// Name of the sink.
    pub sink: Arc<str>,
    /// Bytes that may wait, the sink's hand included. One batch is accepted whatever its size.
    pub capacity_bytes: usize,
    /// How long the sink, when full, may hold the sources back.
    pub wait_max: WaitMax,
    /// Encoding of gap records; `None` for a sink that looks at no bytes.
    pub encoding: Option<Encoding>,
}

/// The bounded queue in front of one sink.
#[derive(Debug)]
pub struct Inbox {
    settings: InboxSettings,
    room: Arc<Semaphore>,
    arrived: Notify,
    emptier: Notify,
    emptied: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Waiting>,
    used_bytes: usize,
    full: Option<Full>,
    passed_over: bool,
    closed: bool,
    gaps: Gaps,
    tally: Tally,
}

impl State {
    fn push(&mut self, waiting: Waiting) {
        self.tally.in_flight += waiting.batch.records;
        self.used_bytes += waiting.batch.payload.len();
        self.queue.push_back(waiting);
    }
}

/// A batch that no sink has taken yet.
#[derive(Debug)]
struct Waiting {
    batch: Batch,
    room: Option<OwnedSemaphorePermit>,
    ticket: Option<Arc<Ticket>>,
}

/// Since when an inbox has been full, and what it has freed since.
#[derive(Debug)]
struct Full {
    since: Instant,
    freed_bytes: usize,
}

/// What became of a batch that was put into an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The sink has it.
    Accepted,
    /// The sink missed it; it is counted.
    Shed,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was delivered.
    Done,
    /// So many records were refused for good; the rest was delivered.
    Refused {
        /// Number of refused records.
        records: u64,
    },
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Settled(Outcome),
    /// The journal keeps it for the next start.
    Kept,
    /// The journal has given it up while the sink had it.
    Expired,
    /// There is no journal.
    Abandoned,
}

/// A batch in the hand of a sink, to be settled exactly once. One that is dropped unsettled
/// counts as abandoned, or stays in the journal: a delivery can be lost, never forged.
#[derive(Debug)]
#[must_use = "a delivery that is dropped counts as abandoned"]
pub struct Delivery {
    /// What to deliver.
    pub batch: Batch,
    inbox: Arc<Inbox>,
    room: Option<OwnedSemaphorePermit>,
    ticket: Option<Arc<Ticket>>,
    settled: bool,
}

impl Delivery {
    /// Says what became of it and gives its room back.
    pub fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.release(Some(outcome));
    }

    /// Whether a journal has it too.
    #[must_use]
    pub fn is_in_journal(&self) -> bool {
        self.ticket.is_some()
    }

    fn release(&mut self, outcome: Option<Outcome>) {
        let end = match (outcome, &self.ticket) {
            (Some(outcome), _) => End::Settled(outcome),
            (None, Some(ticket)) if ticket.keep() => End::Kept,
            (None, Some(_)) => End::Expired,
            (None, None) => End::Abandoned,
        };
        // Room first, then the state that speaks about it.
        self.room = None;
        self.inbox.settled(&self.batch, end);
        // At last the cursor: what it has passed is gone.
        self.ticket = None;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            self.release(None);
        }
    }
}

impl Inbox {
    /// An empty inbox.
    #[must_use]
    pub fn new(settings: InboxSettings) -> Arc<Inbox> {
        let capacity = settings.capacity_bytes.clamp(1, u32::MAX as usize);
        let settings = InboxSettings { capacity_bytes: capacity, ..settings };
        Arc::new(Inbox {
            settings,
            room: Arc::new(Semaphore::new(capacity)),
            arrived: Notify::new(),
            emptier: Notify::new(),
            emptied: Notify::new(),
            state: Mutex::default(),
        })
    }

    /// Name of the sink.
    #[must_use]
    pub fn sink(&self) -> &Arc<str> {
        &self.settings.sink
    }

    /// What it is made of.
    #[must_use]
    pub fn settings(&self) -> &InboxSettings {
        &self.settings
    }

    /// The ledger now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Bytes waiting or in the sink's hand.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.lock().used_bytes
    }

    /// True while the sink is passed over.
    #[must_use]
    pub fn is_passed_over(&self) -> bool {
        self.lock().passed_over
    }

    /// True when it takes nothing any more: the process is stopping, or the sink has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Puts a batch in, waiting for room as `wait_max` allows and never beyond `hold_until`.
    /// Cancel-safe only in that nothing is counted: the batch is dropped with the future, so
    /// callers must not cancel what they have reported as received.
    pub async fn put(&self, batch: Batch, hold_until: Option<Instant>) -> Put {
        let size = self.size_of(&batch);
        {
            let mut state = self.lock();
            if state.closed || state.passed_over {
                return self.shed(&mut state, &batch);
            }
            if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(size) {
                state.full = None;
                return self.accept(state, Waiting { batch, room: Some(room), ticket: None });
            }
            state.full.get_or_insert_with(|| Full { since: Instant::now(), freed_bytes: 0 });
        }
        let acquired = Arc::clone(&self.room).acquire_many_owned(size);
        tokio::pin!(acquired);
        loop {
            let Some(wait_until) = self.wait_until(hold_until) else {
                return self.wait_no_longer(&batch, hold_until);
            };
            let result = match wait_until {
                Some(instant) => tokio::time::timeout_at(instant.into(), &mut acquired).await,
                None => Ok((&mut acquired).await),
            };
            let mut state = self.lock();
            match result {
                Ok(Ok(room)) if !state.closed => {
                    return self.accept(state, Waiting { batch, room: Some(room), ticket: None });
                }
                Ok(_) => return self.shed(&mut state, &batch),
                Err(_elapsed) => {}
            }
        }
    }

    /// The room it takes.
    fn size_of(&self, batch: &Batch) -> u32 {
        u32::try_from(batch.payload.len().min(self.settings.capacity_bytes)).unwrap_or(u32::MAX)
    }

    /// Until when a source may wait for room: `None` when it may not, `Some(None)` without end.
    fn wait_until(&self, hold_until: Option<Instant>) -> Option<Option<Instant>> {
        let state = self.lock();
        if state.closed || state.passed_over {
            return None;
        }
        let stuck_at = match self.settings.wait_max {
            WaitMax::Forever => None,
            WaitMax::Bounded(wait) => Some(state.full.as_ref().map_or_else(Instant::now, |full| full.since) + wait),
        };
        let until = match (stuck_at, hold_until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match until {
            Some(instant) if instant <= Instant::now() => None,
            until => Some(until),
        }
    }

    /// The wait is over without room.
    fn wait_no_longer(&self, batch: &Batch, hold_until: Option<Instant>) -> Put {
        let mut state = self.lock();
        let now = Instant::now();
        let stuck = match (self.settings.wait_max, &state.full) {
            (WaitMax::Bounded(wait), Some(full)) => full.since + wait <= now,
            (WaitMax::Bounded(wait), None) => wait.is_zero(),
            (WaitMax::Forever, _) => false,
        };
        if stuck && !state.passed_over && !state.closed {
            state.passed_over = true;
            tracing::warn!(
                sink = %self.settings.sink,
                waiting_bytes = state.used_bytes,
                wait_max = %self.settings.wait_max,
                "sink is full and passed over; records it misses are counted until it has room again"
            );
        }
        if state.passed_over || state.closed || hold_until.is_none() {
            return self.shed(&mut state, batch);
        }
        state.tally.offered += batch.records;
        state.tally.shed_hold += batch.records;
        state.gaps.add(batch);
        Put::Shed
    }

    fn accept(&self, mut state: MutexGuard<'_, State>, waiting: Waiting) -> Put {
        state.tally.offered += waiting.batch.records;
        self.enqueue(state, waiting);
        Put::Accepted
    }

    fn enqueue(&self, mut state: MutexGuard<'_, State>, waiting: Waiting) {
        state.push(waiting);
        // Unlocked first: the sink wakes at once, and would only wait for the lock.
        drop(state);
        self.arrived.notify_one();
    }

    fn shed(&self, state: &mut State, batch: &Batch) -> Put {
        state.tally.offered += batch.records;
        if state.closed {
            state.tally.shed_stopped += batch.records;
        } else {
            state.tally.shed_full += batch.records;
            state.gaps.add(batch);
        }
        Put::Shed
    }

    /// Takes waiting batches, in order, until they hold `bytes_max`; at least one. `None` when
    /// the inbox is closed and empty. Cancel-safe.
    pub async fn take(self: &Arc<Self>, bytes_max: usize) -> Option<Vec<Delivery>> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut state = self.lock();
                let taken = self.take_now(&mut state, bytes_max);
                if !taken.is_empty() {
                    return Some(taken);
                }
                if state.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// What [`Inbox::take`] would return, if anything waits.
    #[must_use]
    pub fn try_take(self: &Arc<Self>, bytes_max: usize) -> Vec<Delivery> {
        let mut state = self.lock();
        self.take_now(&mut state, bytes_max)
    }

    fn take_now(self: &Arc<Self>, state: &mut State, bytes_max: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(waiting) = state.queue.front() {
            if !taken.is_empty() && bytes + waiting.batch.payload.len() > bytes_max {
                break;
            }
            let Some(Waiting { batch, room, ticket }) = state.queue.pop_front() else { break };
            bytes += batch.payload.len();
            taken.push(Delivery { batch, inbox: Arc::clone(self), room, ticket, settled: false });
        }
        taken
    }

    fn settled(&self, batch: &Batch, end: End) {
        let mut state = self.lock();
        state.tally.in_flight -= batch.records;
        match end {
            End::Kept => state.tally.deferred += batch.records,
            End::Expired => state.tally.expired_full += batch.records,
            End::Abandoned => state.tally.abandoned += batch.records,
            End::Settled(Outcome::Done) => state.tally.delivered += batch.records,
            End::Settled(Outcome::Refused { records }) => {
                let failed = records.min(batch.records);
                state.tally.failed += failed;
                state.tally.delivered += batch.records - failed;
            }
        }
        let bytes = batch.payload.len();
        state.used_bytes -= bytes;
        if let Some(full) = &mut state.full {
            full.freed_bytes += bytes;
            if full.freed_bytes >= self.settings.capacity_bytes {
                *full = Full { since: Instant::now(), freed_bytes: 0 };
            }
        }
        if state.used_bytes <= self.settings.capacity_bytes / 2 {
            if !state.closed && std::mem::take(&mut state.passed_over) {
                state.full = None;
                tracing::info!(sink = %self.settings.sink, missed = state.gaps.records(), "sink has room again");
            }
            self.tell_gaps(&mut state);
            self.emptier.notify_waiters();
        }
        if state.tally.in_flight == 0 && state.queue.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Puts what was missed into the queue as gap records.
    fn tell_gaps(&self, state: &mut State) {
        if state.gaps.records() == 0 {
            return;
        }
        let Some(batch) = state.gaps.take(&self.settings.sink, self.settings.encoding) else { return };
        state.tally.gaps += batch.records;
        state.tally.offered += batch.records;
        state.push(Waiting { batch, room: None, ticket: None });
        self.arrived.notify_one();
    }

    /// Ends it: nothing more is accepted, and [`Inbox::take`] returns `None` once it is empty.
    pub fn close(&self) {
        let mut state = self.lock();
        if !state.closed {
            self.tell_gaps(&mut state);
        }
        state.closed = true;
        self.room.close();
        self.arrived.notify_one();
        self.emptier.notify_waiters();
    }

    /// Waits until nothing waits and nothing is in the sink's hand. Cancel-safe.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.tally().in_flight == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// The same, at most `within`; false when there is something left.
    pub async fn drained(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.empty()).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics; a poisoned lock would still hold true counters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
