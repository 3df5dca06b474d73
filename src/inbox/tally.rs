//! What one sink counts.

/// The ledger of one sink, in records:
/// `offered = delivered + failed + abandoned + shed + expired + filtered + deferred + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Came from the sources, from the journal at start, or were made here (gap records).
    pub offered: u64,
    /// Of these, gap records.
    pub gaps: u64,
    /// Of these, what the journal held for the sink when the process began.
    pub recovered: u64,
    /// Written, or taken by the upstream.
    pub delivered: u64,
    /// Refused for good by the upstream.
    pub failed: u64,
    /// In the hand of a sink that ended without delivering them.
    pub abandoned: u64,
    /// Missed because the inbox was full.
    pub shed_full: u64,
    /// Missed because a request could not be held any longer.
    pub shed_hold: u64,
    /// Missed because the sink had stopped.
    pub shed_stopped: u64,
    /// Given up in the journal, which was full.
    pub expired_full: u64,
    /// Could not be read from the journal any more.
    pub expired_damaged: u64,
    /// Read from the journal, and not for this sink.
    pub filtered: u64,
    /// In the journal and nowhere else, to be read when the sink has room.
    pub deferred: u64,
    /// Waiting in the inbox, or in the sink's hand.
    pub in_flight: u64,
}

impl Tally {
    /// Adds what another inbox counted.
    pub fn add(&mut self, other: &Tally) {
        let Tally {
            offered, gaps, recovered, delivered, failed, abandoned, shed_full, shed_hold, shed_stopped, ..
        } = other;
        self.offered += offered;
        self.gaps += gaps;
        self.recovered += recovered;
        self.delivered += delivered;
        self.failed += failed;
        self.abandoned += abandoned;
        self.shed_full += shed_full;
        self.shed_hold += shed_hold;
        self.shed_stopped += shed_stopped;
        let Tally { expired_full, expired_damaged, filtered, deferred, in_flight, .. } = other;
        self.expired_full += expired_full;
        self.expired_damaged += expired_damaged;
        self.filtered += filtered;
        self.deferred += deferred;
        self.in_flight += in_flight;
    }

    /// Records this sink missed.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.shed_full + self.shed_hold + self.shed_stopped
    }

    /// Records the journal held for this sink and holds no more.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired_full + self.expired_damaged
    }

    /// Records the sink has not delivered and nobody keeps: waiting, in its hand, or given up by it.
    #[must_use]
    pub fn undelivered(&self) -> u64 {
        self.in_flight + self.abandoned
    }

    /// Zero, or there is a bug.
    #[must_use]
    pub fn imbalance(&self) -> i64 {
        let lost = self.failed + self.abandoned + self.shed() + self.expired();
        self.offered as i64 - (self.delivered + lost + self.filtered + self.deferred + self.in_flight) as i64
    }
}
