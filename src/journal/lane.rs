//! The way of one sink along the journal: what it has settled, what is in its hands, and from
//! where on it has fallen behind.
//!
//! A sink that keeps up is fed from memory: the task that appended an entry decodes it and puts
//! it into the inbox. When the inbox has no room, the sink falls behind: from there on entries
//! are left in the journal, and the task of [`super::catch_up`] reads them as room comes, in
//! order, until nothing is left; then the sink is fed from memory again. So a sink never slows
//! another, and each entry reaches it once.
//!
//! An entry is settled when all that was made of it is. The cursor stands at the first that is
//! not: what is below it will never be needed again.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Cursor, Seq};
use crate::inbox::Inbox;
use crate::source::lines::unix_nano_now;

mod state;

pub use state::Rest;
use state::{State, Step};

/// See the [module](self).
pub struct Lane {
    inbox: Arc<Inbox>,
    /// The sources that feed it; `None` when all do.
    from: Option<Vec<String>>,
    cursor: Cursor,
    state: Mutex<State>,
    fell_behind: Notify,
}

/// The right to offer one entry to one sink. The entry is settled when the last one is dropped.
#[derive(Debug)]
pub struct Ticket {
    lane: Arc<Lane>,
    seq: Seq,
    keep: AtomicBool,
}

impl Ticket {
    /// The sink ended without settling what this was for: it stays in the journal. False when it
    /// has expired meanwhile: then nobody has it.
    pub fn keep(&self) -> bool {
        self.keep.store(true, Ordering::Relaxed);
        self.seq >= self.lane.base()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let keep = self.keep.load(Ordering::Relaxed);
        self.lane.change(self.seq, |step| {
            step.tickets -= 1;
            step.kept |= keep;
        });
    }
}

impl Lane {
    /// The lane of the sink that eats `inbox`, from where its cursor stands. Entries below `end`
    /// come from before this start and wait in the journal.
    #[must_use]
    pub fn new(inbox: Arc<Inbox>, from: Option<Vec<String>>, cursor: Cursor, end: Seq) -> Arc<Lane> {
        let base = cursor.start();
        let behind = (base < end).then_some(base);
        let steps = VecDeque::new();
        let state = State { base, steps, behind, left_to: end, rests: 0, passed_over: false, expiring: 0 };
        let state = Mutex::new(state);
        Arc::new(Lane { inbox, from, cursor, state, fell_behind: Notify::new() })
    }

    /// Where the sink's records wait.
    #[must_use]
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Whether the sink takes from a source.
    #[must_use]
    pub fn takes_from(&self, source: &str) -> bool {
        self.from.as_ref().is_none_or(|from| from.iter().any(|name| name == source))
    }

    /// The first entry that the sink has not settled.
    #[must_use]
    pub fn base(&self) -> Seq {
        self.lock().base
    }

    /// True while it is fed from the journal.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.lock().behind.is_some()
    }

    /// An entry that is not for this sink.
    pub fn pass(&self, seq: Seq) {
        let mut state = self.lock();
        if state.behind.is_some_and(|behind| seq >= behind) {
            // Whoever reads the journal will see it.
            state.left_to = state.left_to.max(seq + 1);
            return;
        }
        if let Some(step) = state.step(seq) {
            step.begun = true;
        }
        self.cursor.advance(state.pass_settled());
    }

    /// An entry of so many records that has just been appended: the right to offer it, or `None`
    /// when the sink is behind, and will get it from the journal.
    pub fn admit(self: &Arc<Self>, seq: Seq, records: u64) -> Option<Arc<Ticket>> {
        let mut state = self.lock();
        match state.behind {
            Some(behind) if seq >= behind => state.left_to = state.left_to.max(seq + 1),
            Some(_) => {
                state.step(seq)?.begun = true;
                state.set_aside(seq, Some(Rest { done: 0, records }));
            }
            None => {
                let step = state.step(seq)?;
                step.begun = true;
                step.tickets = 1;
                return Some(self.ticket(seq));
            }
        }
        // Still under the lock: a lane that has caught up has nothing deferred.
        self.inbox.defer(records);
        None
    }

    /// The inbox has no room for the rest of this entry; from here on it is the journal that has
    /// it. The rest counts as deferred, unless it `was_deferred` already. False when the entry has
    /// expired meanwhile: then the rest is for the caller to give up.
    #[must_use]
    pub fn fall_behind(&self, ticket: Arc<Ticket>, rest: Rest, was_deferred: bool) -> bool {
        let mut state = self.lock();
        if !was_deferred {
            self.inbox.defer(rest.records - rest.done);
        }
        if ticket.seq < state.base {
            return false;
        }
        state.set_aside(ticket.seq, Some(rest));
        let first = state.behind.is_none();
        if first {
            state.behind = Some(state.base + state.steps.len() as u64);
        }
        drop(state);
        drop(ticket);
        if first {
            tracing::debug!(sink = %self.inbox.sink(), "the sink falls behind, and is fed from the journal");
        }
        self.fell_behind.notify_one();
        true
    }

    /// Waits until it is behind. Cancel-safe.
    pub async fn behind(&self) {
        loop {
            let fell_behind = self.fell_behind.notified();
            if self.is_behind() {
                return;
            }
            fell_behind.await;
        }
    }

    /// What to read from the journal next, of the entries below `end`.
    pub fn next(&self, end: Seq) -> Next {
        let mut state = self.lock();
        let Some(next) = state.next() else { return Next::Nothing };
        if next < end {
            return if state.behind == Some(next) { Next::Entry(next) } else { Next::SetAside(next) };
        }
        if next < state.left_to || state.behind != Some(next) {
            return Next::Later;
        }
        state.behind = None;
        state.passed_over = false;
        if state.expiring == 0 && !state.steps.iter().any(|step| step.kept) {
            // Entries too broken to say what they held: the journal only knows how much it was in all.
            self.inbox.give_up_all_deferred(unix_nano_now());
        }
        tracing::debug!(sink = %self.inbox.sink(), "the sink has caught up, and is fed from memory");
        Next::Nothing
    }

    /// The right to offer an entry that was read from the journal, and where to begin; `None` when
    /// it is not to be read. Of the entries from [`Lane::next`] on, in order.
    pub fn claim(self: &Arc<Self>, seq: Seq) -> Option<(Arc<Ticket>, u64)> {
        let mut state = self.lock();
        let behind = state.behind?;
        if seq == behind {
            state.behind = Some(behind + 1);
            let step = state.step(seq)?;
            *step = Step { begun: true, tickets: 1, rest: None, kept: false };
            return Some((self.ticket(seq), 0));
        }
        if seq > behind {
            return None;
        }
        let rest = state.set_aside(seq, None)?;
        state.step(seq)?.tickets += 1;
        Some((self.ticket(seq), rest.done))
    }

    /// Entries that the journal has lost: they are passed. What they held is for the caller to
    /// count.
    pub fn pass_lost(&self, from: Seq, to: Seq) {
        let mut state = self.lock();
        let from = from.max(state.base);
        if state.steps.is_empty() && from == state.base && from < to {
            // Whole segments: no step for each number.
            state.base = to;
            state.behind = state.behind.map(|behind| behind.max(to));
        }
        for seq in from.max(state.base)..to {
            if state.behind == Some(seq) {
                state.behind = Some(seq + 1);
            }
            state.set_aside(seq, None);
            if let Some(step) = state.step(seq) {
                step.begun = true;
            }
            state.pass_settled();
        }
        self.cursor.advance(state.base);
    }

    /// Gives up all below `to`. What is in the sink's hands stays there. To be followed by
    /// [`Lane::counted`] when what has expired is counted.
    pub fn expire(&self, to: Seq) -> Expired {
        let mut state = self.lock();
        let (base, behind) = (state.base, state.behind.unwrap_or(Seq::MAX));
        let known = usize::try_from(to.saturating_sub(base)).unwrap_or(usize::MAX).min(state.steps.len());
        let steps = state.steps.drain(..known).zip(base..);
        let set_aside: Vec<_> = steps.filter_map(|(step, seq)| Some((seq, step.rest?))).collect();
        state.rests -= set_aside.len();
        state.base = base.max(to);
        let unread = if behind < to { behind..to } else { to..to };
        if !unread.is_empty() {
            state.behind = Some(to);
        }
        state.passed_over = true;
        state.expiring += 1;
        self.cursor.advance(state.pass_settled());
        Expired { set_aside, unread }
    }

    /// What [`Lane::expire`] gave up is counted.
    pub fn counted(&self) {
        let mut state = self.lock();
        state.expiring = state.expiring.saturating_sub(1);
    }

    /// True from the first time something was given up until it has caught up.
    pub fn is_passed_over(&self) -> bool {
        self.lock().passed_over
    }

    fn ticket(self: &Arc<Self>, seq: Seq) -> Arc<Ticket> {
        Arc::new(Ticket { lane: Arc::clone(self), seq, keep: AtomicBool::new(false) })
    }

    fn change(&self, seq: Seq, change: impl FnOnce(&mut Step)) {
        let mut state = self.lock();
        if seq < state.base {
            // Expired while it was in the sink's hands.
            return;
        }
        if let Some(step) = state.step(seq) {
            change(step);
        }
        self.cursor.advance(state.pass_settled());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a lane has given up.
#[derive(Debug)]
pub struct Expired {
    /// Entries that had been offered, in part or not at all.
    pub set_aside: Vec<(Seq, Rest)>,
    /// Entries that nobody has looked at.
    pub unread: Range<Seq>,
}

/// What to read from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This entry, and those after it.
    Entry(Seq),
    /// This entry, which was set aside; those after it may have been offered.
    SetAside(Seq),
    /// An entry that is not announced yet.
    Later,
    /// Nothing: the sink keeps up.
    Nothing,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("sink", self.inbox.sink()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
