//! How one payload, or what was made of it, reaches one sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::batch::{Batch, Origin, Routes};
use crate::config::units::WaitMax;
use crate::gap::{Missing, Reason};
use crate::inbox::{Inbox, Put};
use crate::journal::Seq;
use crate::journal::lane::{Lane, Rest, Ticket};

/// How long a sink that keeps up with the journal may hold its sources back before it is left
/// behind. A file sink at full speed is short of room for moments only, and reading what it missed
/// from the disk costs decoding it again.
const LEAVE_BEHIND: Duration = Duration::from_millis(100);

/// A sink, as its sources see it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where records wait for it.
    pub inbox: Arc<Inbox>,
    /// Where records that it does not take are counted, see [`crate::telemetry::SinkView`].
    pub filtered_records: Arc<AtomicU64>,
    /// Its way along the journal, when there is one.
    pub lane: Option<Arc<Lane>>,
}

/// Where a payload comes from.
#[derive(Clone, Debug)]
pub enum From {
    /// From its source; the journal has it under this number, if at all.
    Source(Option<Seq>),
    /// From the journal again, for the only sink there is; so many records were offered before.
    Journal(Arc<Ticket>, u64),
}

/// The way of a payload to a target.
#[derive(Debug)]
pub enum Way {
    /// No journal has it: the inbox's own rules hold.
    Only,
    /// The journal has it too.
    Stored(Arc<Ticket>),
    /// It was read from the journal.
    Again(Arc<Ticket>),
    /// The target will get it, or the rest of it, from the journal.
    Later,
}

/// The ways of a payload to targets that take the same of it.
#[derive(Debug, Default)]
pub struct Ways {
    ways: Vec<Way>,
    /// Records of the payload.
    records: u64,
    /// Of these, offered or left out so far.
    done: u64,
}

/// What has been made of consecutive records.
#[derive(Debug, Default)]
pub struct Piece {
    /// As the sinks write it.
    pub payload: Bytes,
    /// Records in it.
    pub records: u64,
    /// Records it was made of, those left out included.
    pub seen: u64,
    /// See [`Batch::routes`].
    pub routes: Option<Arc<Routes>>,
}

impl Ways {
    /// For a payload of so many records.
    #[must_use]
    pub fn new(targets: &[Target], from: &From, records: u64) -> Ways {
        let (ways, done) = match from {
            From::Source(None) => (Vec::new(), 0),
            From::Source(Some(seq)) => {
                let way = |target: &Target| {
                    let Some(lane) = &target.lane else { return Way::Only };
                    lane.admit(*seq, records).map_or(Way::Later, Way::Stored)
                };
                (targets.iter().map(way).collect(), 0)
            }
            From::Journal(ticket, done) => (targets.iter().map(|_| Way::Again(Arc::clone(ticket))).collect(), *done),
        };
        Ways { ways, records, done }
    }

    /// Records that need not be shown: they were offered before.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// False when no target takes any more of it now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ways.is_empty() || self.ways.iter().any(|way| !matches!(way, Way::Later))
    }

    /// Hands a piece to the targets. Shed when one that may hold sources back missed it.
    pub async fn put(&mut self, targets: &[Target], piece: Piece, origin: &Origin, hold_until: Option<Instant>) -> Put {
        let Piece { payload, records, seen, routes } = piece;
        let batch = Batch { payload, records, routes, origin: origin.clone() };
        let left_out = seen - records;
        let rest = Rest { done: self.done, records: self.records };
        let mut all = Put::Accepted;
        for (at, target) in targets.iter().enumerate() {
            let way = self.ways.get_mut(at);
            let (ticket, was_deferred, taken) = match &way {
                None | Some(Way::Only) => {
                    // A sink may be waited for without end because the journal has what comes. What the
                    // journal did not take must not wait so: the others would miss it.
                    let for_ever = target.lane.is_some() && target.inbox.settings().wait_max == WaitMax::Forever;
                    let soon = for_ever.then(|| Instant::now() + LEAVE_BEHIND);
                    let until = soon.into_iter().chain(hold_until).min();
                    let put = if records == 0 { Put::Accepted } else { target.inbox.put(batch.clone(), until).await };
                    if put == Put::Shed && target.inbox.settings().wait_max.holds() {
                        all = Put::Shed;
                    }
                    target.filtered_records.fetch_add(left_out, Ordering::Release);
                    continue;
                }
                Some(Way::Later) => continue,
                Some(Way::Stored(ticket)) => {
                    let until = Instant::now() + LEAVE_BEHIND;
                    let taken = records == 0 || target.inbox.offer(&batch, ticket, until).await;
                    if taken {
                        target.filtered_records.fetch_add(left_out, Ordering::Release);
                    }
                    (ticket, false, taken)
                }
                Some(Way::Again(ticket)) => (ticket, true, target.inbox.offer_again(&batch, seen, ticket).await),
            };
            if !taken && let Some(lane) = &target.lane {
                if !lane.fall_behind(Arc::clone(ticket), rest, was_deferred) {
                    target.inbox.give_up(&expired(origin, rest));
                }
                if let Some(way) = way {
                    *way = Way::Later;
                }
            }
        }
        self.done += seen;
        all
    }
}

/// The rest of an entry that expired while it was offered.
fn expired(origin: &Origin, rest: Rest) -> Missing {
    Missing {
        source: Arc::clone(&origin.source),
        peer: origin.peer,
        records: rest.records - rest.done,
        first_unix_nano: origin.received_unix_nano,
        last_unix_nano: origin.received_unix_nano,
        reason: Reason::Expired,
    }
}
