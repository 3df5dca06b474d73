//! How a sink looks from outside: its inbox, what only its kind counts, and how it feels.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::inflow::Inflows;
use super::ledger::unaccounted;
use crate::inbox::{Inbox, Tally};

/// One sink. The two functions are called at each scrape, status and probe: they read counters
/// and never wait.
pub struct SinkView {
    /// The `type` in the configuration.
    pub kind: &'static str,
    /// Its inbox, which also knows its name.
    pub inbox: Arc<Inbox>,
    /// What feeds it.
    pub inflows: Arc<Inflows>,
    /// Records that were not for this sink although their source feeds it. Shared with whoever
    /// decides, who adds with [`Ordering::Release`] before the records leave the intake.
    pub filtered_records: Arc<AtomicU64>,
    /// What only this kind of sink counts.
    pub samples: Box<dyn Fn() -> Vec<SinkSample> + Send + Sync>,
    /// How it feels.
    pub health: Box<dyn Fn() -> Health + Send + Sync>,
}

/// One number that only some kinds of sinks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkSample {
    /// What is counted.
    pub metric: SinkMetric,
    /// Value of the label `reason`, out of a closed set. For failed records, `other` is taken: it
    /// is the rest.
    pub reason: &'static str,
    /// The count since the start; never decreases.
    pub count: u64,
}

/// What only some kinds of sinks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkMetric {
    /// Files that were closed for a new one.
    FileRotations,
    /// Writes, syncs and other file operations that failed.
    WriteErrors,
    /// Requests that were sent again.
    Retries,
    /// Records given up, counted before their delivery is settled. What the inbox counts as
    /// failed beyond these is shown with the reason `other`.
    FailedRecords,
}

/// How a sink feels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last thing it tried worked, or it has tried nothing yet.
    Healthy,
    /// The last thing it tried failed; it goes on trying.
    Failing {
        /// What failed, why, and what to do; at most a few hundred characters.
        error: String,
    },
}

/// What a sink can do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkState {
    /// Everything.
    Healthy,
    /// It is passed over and misses records.
    Full,
    /// It cannot deliver.
    Failing {
        /// As its [`Health`] says.
        error: String,
    },
}

impl SinkState {
    /// The state in a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            SinkState::Healthy => "healthy",
            SinkState::Full => "full",
            SinkState::Failing { .. } => "failing",
        }
    }
}

impl SinkView {
    /// A sink that filters nothing, counts nothing of its own and is always healthy; the fields
    /// say otherwise.
    #[must_use]
    pub fn new(kind: &'static str, inbox: Arc<Inbox>, inflows: Arc<Inflows>) -> SinkView {
        SinkView {
            kind,
            inbox,
            inflows,
            filtered_records: Arc::default(),
            samples: Box::new(Vec::new),
            health: Box::new(|| Health::Healthy),
        }
    }

    /// Name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        self.inbox.sink()
    }

    /// Records filtered so far, those that were read from the journal not among them.
    #[must_use]
    pub fn filtered_records(&self) -> u64 {
        self.filtered_records.load(Ordering::Acquire)
    }

    /// What it can do now.
    #[must_use]
    pub fn state(&self) -> SinkState {
        match (self.health)() {
            Health::Failing { error } => SinkState::Failing { error },
            Health::Healthy if self.inbox.is_closed() => {
                SinkState::Failing { error: "the sink has stopped, the log says why".to_owned() }
            }
            Health::Healthy if self.inbox.is_passed_over() => SinkState::Full,
            Health::Healthy => SinkState::Healthy,
        }
    }
}

/// What the sinks of one name have counted: that of now, and those that a reload replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTotals {
    /// What the inboxes counted.
    pub tally: Tally,
    /// Records that were not for it.
    pub filtered_records: u64,
    /// Bytes waiting for it, or in its hand.
    pub inbox_bytes: u64,
    /// What only this kind of sink counts.
    pub samples: Vec<SinkSample>,
    /// Records unaccounted for, or accounted for twice. Zero, or there is a bug.
    pub imbalance_records: u64,
}

impl SinkTotals {
    /// Reads them now. Costs two locks.
    #[must_use]
    pub fn read(view: &SinkView) -> SinkTotals {
        let mut filtered_records = 0;
        let mut tally = Tally::default();
        let unaccounted = unaccounted(
            || view.inflows.received_records(),
            || view.inflows.in_intake_records(),
            || {
                filtered_records = view.filtered_records();
                tally = view.inbox.tally();
                tally.offered.saturating_sub(tally.gaps + tally.recovered) + filtered_records
            },
        );
        SinkTotals {
            tally,
            filtered_records,
            inbox_bytes: view.inbox.used_bytes() as u64,
            // After the tally: a sink counts why a record failed before it settles it, so what is
            // left of the failed for other reasons is never too high.
            samples: (view.samples)(),
            imbalance_records: unaccounted + tally.imbalance().unsigned_abs(),
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &SinkTotals) {
        let SinkTotals { tally, filtered_records, inbox_bytes, samples, imbalance_records } = other;
        self.tally.add(tally);
        self.filtered_records += filtered_records;
        self.inbox_bytes += inbox_bytes;
        self.imbalance_records += imbalance_records;
        for sample in samples {
            let same = |own: &&mut SinkSample| (own.metric, own.reason) == (sample.metric, sample.reason);
            match self.samples.iter_mut().find(same) {
                Some(own) => own.count += sample.count,
                None => self.samples.push(*sample),
            }
        }
    }
}

impl fmt::Debug for SinkView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkView").field("kind", &self.kind).field("inbox", &self.inbox).finish_non_exhaustive()
    }
}
