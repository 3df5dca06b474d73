//! An inbox in front of which a journal stands: what finds no room here is not missed, it stays
//! in the journal and is offered again. The tally calls such records deferred.

use std::sync::Arc;
use std::time::Instant;

use super::{Inbox, Waiting};
use crate::batch::Batch;
use crate::gap::{Missing, Reason};
use crate::journal::lane::Ticket;

/// In a gap record, the source of records of which nobody can say where they came from.
const UNKNOWN_SOURCE: &str = "unknown";

impl Inbox {
    /// Offers a batch for which the journal has the records too, and waits for room until `until`;
    /// false when there was none, and nothing has been counted.
    pub async fn offer(&self, batch: &Batch, ticket: &Arc<Ticket>, until: Instant) -> bool {
        self.offer_counted(batch, ticket, Some(until), None).await
    }

    /// Offers what was deferred, if there is room now. `seen` is how many deferred records the
    /// batch was made of; those that are not in it are not for this sink. False when there is no
    /// room, and nothing has been counted.
    pub async fn offer_again(&self, batch: &Batch, seen: u64, ticket: &Arc<Ticket>) -> bool {
        self.offer_counted(batch, ticket, None, Some(seen)).await
    }

    async fn offer_counted(
        &self,
        batch: &Batch,
        ticket: &Arc<Ticket>,
        until: Option<Instant>,
        deferred: Option<u64>,
    ) -> bool {
        let room = if batch.records == 0 { None } else { Some(self.room_for(batch, until).await) };
        if room.as_ref().is_some_and(Option::is_none) {
            return false;
        }
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if let Some(seen) = deferred {
            // What a damaged journal was said to hold at start may be less than it does.
            let uncounted = seen.saturating_sub(state.tally.deferred);
            state.tally.offered += uncounted;
            state.tally.recovered += uncounted;
            state.tally.deferred = (state.tally.deferred + uncounted) - seen;
            state.tally.filtered += seen - batch.records;
        } else {
            state.tally.offered += batch.records;
        }
        if batch.records > 0 {
            let waiting = Waiting { batch: batch.clone(), room: room.flatten(), ticket: Some(Arc::clone(ticket)) };
            self.enqueue(state, waiting);
        }
        true
    }

    async fn room_for(&self, batch: &Batch, until: Option<Instant>) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let size = self.size_of(batch);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(size) {
            return Some(room);
        }
        let acquired = Arc::clone(&self.room).acquire_many_owned(size);
        tokio::time::timeout_at(until?.into(), acquired).await.ok()?.ok()
    }

    /// Records that the journal has for this sink, and that nobody has offered yet.
    pub fn defer(&self, records: u64) {
        let mut state = self.lock();
        state.tally.offered += records;
        state.tally.deferred += records;
    }

    /// Records that the journal held for this sink when the process began.
    pub fn recover(&self, records: u64) {
        let mut state = self.lock();
        state.tally.offered += records;
        state.tally.recovered += records;
        state.tally.deferred += records;
    }

    /// Deferred records that the journal holds no more. The sink is told.
    pub fn give_up(&self, missing: &Missing) {
        let mut state = self.lock();
        // What a damaged journal says about what it lost may be wrong.
        let records = missing.records.min(state.tally.deferred);
        state.tally.deferred -= records;
        match missing.reason {
            Reason::Damaged => state.tally.expired_damaged += records,
            Reason::Full | Reason::Expired => state.tally.expired_full += records,
        }
        state.gaps.add_missing(missing);
        if !state.closed && state.used_bytes <= self.settings.capacity_bytes / 2 {
            self.tell_gaps(&mut state);
        }
    }

    /// The journal holds nothing more for this sink: what is still deferred was in entries that
    /// are too broken to say how many records they held, and of which source. For a sink that has
    /// caught up.
    pub fn give_up_all_deferred(&self, now_unix_nano: u64) {
        let records = {
            let state = self.lock();
            // Once it is closed, what its sink leaves unsettled is deferred, and is in the journal.
            if state.closed { 0 } else { state.tally.deferred }
        };
        if records > 0 {
            let (first_unix_nano, last_unix_nano) = (now_unix_nano, now_unix_nano);
            let (source, reason) = (UNKNOWN_SOURCE.into(), Reason::Damaged);
            self.give_up(&Missing { source, peer: None, records, first_unix_nano, last_unix_nano, reason });
        }
    }

    /// Waits until half of it is free; false when it is closed. Cancel-safe.
    pub async fn half_empty(&self) -> bool {
        loop {
            let emptier = self.emptier.notified();
            tokio::pin!(emptier);
            emptier.as_mut().enable();
            {
                let state = self.lock();
                if state.closed {
                    return false;
                }
                if state.used_bytes <= self.settings.capacity_bytes / 2 {
                    return true;
                }
            }
            emptier.await;
        }
    }

    /// Drops what its sink has left: in the journal, or abandoned. For when the sink has ended.
    pub fn leave(inbox: &Arc<Inbox>) {
        drop(inbox.try_take(usize::MAX));
    }
}
