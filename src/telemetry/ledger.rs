//! The ledger: every record that was received is accounted for at every sink.
//!
//! For each sink, `received by the sources that feed it = offered - gap records - recovered from the
//! journal + filtered + still in the intake`, and `offered = delivered + failed + abandoned + shed +
//! expired + filtered later + kept in the journal + in flight`. The second is kept under
//! the lock of the inbox. The first spans counters that move while they are read, so equality
//! cannot be asked for; but a source counts in a fixed order
//!
//! 1. into the intake, 2. received, 3. offered or filtered, 4. out of the intake
//!
//! and reading *received*, *in the intake*, *offered and filtered*, *received* in this order gives
//! two bounds that hold at any moment, without a lock and without trying again:
//!
//! - A record seen received, and not offered when that is read later, was in the intake all the
//!   while between: `received before <= offered + filtered + in intake`.
//! - A record seen offered was received earlier: `offered + filtered <= received after`.
//!
//! Received by a sink's *inflows*: a reload changes who feeds whom, see `inflow.rs`. A sink that has ended
//! stays in the ledger, added to the one that has its name.
//!
//! So no load makes the ledger cry wolf, and when the intake is empty, the bounds are equality.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::sink::SinkTotals;
use super::source::SourceStats;
use crate::inbox::Tally;

/// The ledger of the process. `Display` is the line printed at exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// What came in.
    pub sources: Vec<SourceLedger>,
    /// What became of it.
    pub sinks: Vec<SinkLedger>,
}

/// What came in by one source, in records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLedger {
    /// Name of the source.
    pub name: Arc<str>,
    /// Taken in.
    pub received: u64,
    /// Refused; not part of the received.
    pub rejected: u64,
    /// Of the received, not yet offered to each sink.
    pub in_intake: u64,
}

/// What became of it at one sink, in records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkLedger {
    /// Name of the sink.
    pub name: Arc<str>,
    /// What its inbox counted.
    pub tally: Tally,
    /// Not for this sink.
    pub filtered: u64,
    /// Records unaccounted for, or accounted for twice. Zero, or there is a bug.
    pub imbalance: u64,
}

impl Ledger {
    /// Of these sources and sinks. The sinks are to be read first.
    #[must_use]
    pub fn new(sinks: &BTreeMap<Arc<str>, SinkTotals>, sources: &[Arc<SourceStats>]) -> Ledger {
        Ledger {
            sinks: sinks.iter().map(|(name, totals)| SinkLedger::new(name, totals)).collect(),
            sources: sources.iter().map(|source| SourceLedger::read(source)).collect(),
        }
    }

    /// Records received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.sources.iter().map(|source| source.received).sum()
    }

    /// Records refused.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.sources.iter().map(|source| source.rejected).sum()
    }

    /// Records not yet offered to each sink.
    #[must_use]
    pub fn in_intake(&self) -> u64 {
        self.sources.iter().map(|source| source.in_intake).sum()
    }

    /// Records that wait in inboxes or in the hands of sinks, or that a sink gave up when it
    /// ended, counted once per sink.
    #[must_use]
    pub fn undelivered(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.tally.undelivered()).sum()
    }

    /// Zero, or there is a bug.
    #[must_use]
    pub fn imbalance(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.imbalance).sum()
    }
}

impl SourceLedger {
    fn read(source: &SourceStats) -> SourceLedger {
        SourceLedger {
            name: Arc::clone(source.name()),
            received: source.received_records(),
            rejected: source.rejected_records(),
            in_intake: source.in_intake_records(),
        }
    }
}

impl SinkLedger {
    fn new(name: &Arc<str>, totals: &SinkTotals) -> SinkLedger {
        SinkLedger {
            name: Arc::clone(name),
            tally: totals.tally,
            filtered: totals.filtered_records + totals.tally.filtered,
            imbalance: totals.imbalance_records,
        }
    }
}

/// By how much what is offered and filtered lies outside of what it can be.
pub(super) fn unaccounted(
    received: impl Fn() -> u64,
    in_intake: impl FnOnce() -> u64,
    offered_and_filtered: impl FnOnce() -> u64,
) -> u64 {
    // IMPORTANT: this order makes the bounds of the module's comment hold.
    let received_before = received();
    let in_intake = in_intake();
    let offered_and_filtered = offered_and_filtered();
    let received_after = received();

    let lost = received_before.saturating_sub(offered_and_filtered + in_intake);
    let forged = offered_and_filtered.saturating_sub(received_after);
    lost + forged
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ledger: received {}", self.received())?;
        for (i, source) in self.sources.iter().enumerate() {
            let before = if i == 0 { " (" } else { ", " };
            write!(f, "{before}{} {}", source.name, source.received)?;
        }
        if !self.sources.is_empty() {
            f.write_str(")")?;
        }
        write!(f, ", rejected {}", self.rejected())?;
        write_unless_zero(f, "in intake", self.in_intake())?;
        for SinkLedger { name, tally, filtered, .. } in &self.sinks {
            let Tally { delivered, failed, gaps, .. } = tally;
            let (shed, undelivered) = (tally.shed(), tally.undelivered());
            write!(f, "; {name}: delivered {delivered}, shed {shed}, failed {failed}, undelivered {undelivered}")?;
            write_unless_zero(f, "filtered", *filtered)?;
            write_unless_zero(f, "gap records", *gaps)?;
            write_unless_zero(f, "expired", tally.expired())?;
            write_unless_zero(f, "from before", tally.recovered)?;
            write_unless_zero(f, "kept in the journal", tally.deferred)?;
        }
        match self.imbalance() {
            0 => Ok(()),
            imbalance => write!(f, "; imbalance {imbalance}: this is a bug, please report it"),
        }
    }
}

fn write_unless_zero(f: &mut fmt::Formatter<'_>, what: &str, count: u64) -> fmt::Result {
    if count == 0 { Ok(()) } else { write!(f, ", {what} {count}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_its_bounds() {
        let check = |received: u64, in_intake: u64, settled: u64, expected: u64| {
            assert_eq!(
                unaccounted(|| received, || in_intake, || settled),
                expected,
                "{received} {in_intake} {settled}"
            );
        };
        check(0, 0, 0, 0);
        check(10, 0, 10, 0);
        check(10, 3, 7, 0);
        // Offered already, but still in the intake for another sink.
        check(10, 3, 10, 0);
        check(10, 0, 9, 1);
        check(10, 0, 11, 1);
        check(10, 3, 5, 2);
    }

    /// Scenario: two sources, one in the steps of the other, take a batch each through the
    /// intake, and the four readings happen at any moments between the steps. Guarantees: none
    /// of these readings shows an imbalance.
    #[test]
    fn no_interleaving_shows_an_imbalance() {
        // What each step adds to: received, in the intake, offered.
        const INTO: (i64, i64, i64) = (0, 1, 0);
        const RECEIVED: (i64, i64, i64) = (1, 0, 0);
        const OFFERED: (i64, i64, i64) = (0, 0, 1);
        const OUT: (i64, i64, i64) = (0, -1, 0);
        let sequences = [
            [INTO, RECEIVED, OFFERED, OUT, INTO, RECEIVED, OFFERED, OUT],
            [INTO, INTO, RECEIVED, RECEIVED, OFFERED, OFFERED, OUT, OUT],
            [INTO, RECEIVED, INTO, RECEIVED, OFFERED, OUT, OFFERED, OUT],
            [INTO, INTO, RECEIVED, OFFERED, OUT, RECEIVED, OFFERED, OUT],
        ];
        for steps in sequences {
            let after = |count: usize| {
                let add = |a: (i64, i64, i64), b: &(i64, i64, i64)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
                steps[..count].iter().fold((0, 0, 0), add)
            };
            for moments in 0..9_usize.pow(4) {
                let moments = [moments % 9, moments / 9 % 9, moments / 81 % 9, moments / 729];
                if !moments.is_sorted() {
                    continue;
                }
                let reading = std::cell::Cell::new(0);
                let now = || after(moments[reading.replace(reading.get() + 1)]);
                let got = unaccounted(|| now().0 as u64, || now().1 as u64, || now().2 as u64);
                assert_eq!(got, 0, "{steps:?} read after {moments:?} steps");
            }
        }
    }

    fn source(name: &str, received: u64, rejected: u64) -> SourceLedger {
        SourceLedger { name: name.into(), received, rejected, in_intake: 0 }
    }

    fn sink(name: &str, tally: Tally) -> SinkLedger {
        SinkLedger { name: name.into(), tally, filtered: 0, imbalance: 0 }
    }

    #[test]
    fn line_at_exit() {
        let check = |ledger: &Ledger, expected: &str| assert_eq!(ledger.to_string(), expected);
        let clean = Ledger {
            sources: vec![source("mesh", 400, 0), source("otlp", 600, 0)],
            sinks: vec![
                sink("files", Tally { offered: 1000, delivered: 1000, ..Tally::default() }),
                sink("console", Tally { offered: 1000, delivered: 1000, ..Tally::default() }),
            ],
        };
        check(
            &clean,
            "ledger: received 1000 (mesh 400, otlp 600), rejected 0; \
             files: delivered 1000, shed 0, failed 0, undelivered 0; \
             console: delivered 1000, shed 0, failed 0, undelivered 0",
        );
        let tally = Tally {
            offered: 1001,
            gaps: 1,
            delivered: 900,
            failed: 1,
            shed_full: 50,
            in_flight: 49,
            ..Tally::default()
        };
        let troubled = Ledger {
            sources: vec![SourceLedger { in_intake: 2, ..source("mesh", 1000, 7) }],
            sinks: vec![SinkLedger { filtered: 3, imbalance: 1, ..sink("files", tally) }],
        };
        check(
            &troubled,
            "ledger: received 1000 (mesh 1000), rejected 7, in intake 2; \
             files: delivered 900, shed 50, failed 1, undelivered 49, filtered 3, gap records 1; \
             imbalance 1: this is a bug, please report it",
        );
        assert_eq!((troubled.undelivered(), troubled.imbalance()), (49, 1));
    }
}
