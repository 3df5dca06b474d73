//! `/status`: everything at a glance, for people and for `logboom status`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::inbox::Tally;
use crate::journal::{JournalStats, NoRoom};
use crate::telemetry::{Ledger, Readiness, SinkState, SinkView, SourceStats, Telemetry};

/// The body of `/status`. Fields may be added; those that are here stay.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    version: &'static str,
    readiness: &'static str,
    uptime_seconds: u64,
    memory_bound_bytes: u64,
    memory_bound: BTreeMap<String, u64>,
    memory_budget_bytes: u64,
    memory_reserved_bytes: u64,
    reloads: Reloads,
    /// How many watch records, see `/api/tap`.
    watching: u64,
    sources: BTreeMap<String, Source>,
    sinks: BTreeMap<String, Sink>,
    /// Absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Journal>,
    ledger: Totals,
}

/// How often the configuration was read again.
#[derive(Clone, Debug, Serialize)]
struct Reloads {
    ok: u64,
    failed: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Source {
    r#type: &'static str,
    /// Addresses, as they are reached.
    listen: Vec<String>,
    received_records: u64,
    received_bytes: u64,
    rejected_records: u64,
    in_intake_records: u64,
    connections: u64,
    connections_accepted: u64,
    connections_refused: u64,
    accept_errors: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Sink {
    r#type: &'static str,
    state: &'static str,
    /// Why it fails; absent while it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    from: Vec<String>,
    inbox_bytes: u64,
    inbox_capacity_bytes: u64,
    offered_records: u64,
    gap_records: u64,
    delivered_records: u64,
    failed_records: u64,
    abandoned_records: u64,
    shed_full_records: u64,
    shed_hold_records: u64,
    shed_stopped_records: u64,
    in_flight_records: u64,
    filtered_records: u64,
    recovered_records: u64,
    expired_records: u64,
    deferred_records: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Journal {
    healthy: bool,
    /// What the disk refused last, also after it has recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    bytes: u64,
    max_bytes: u64,
    /// Why there is no room: `max`, or `disk`.
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<&'static str>,
    entries: u64,
    syncs: u64,
    sync_failures: u64,
    write_failures: u64,
    corrupt_ranges: u64,
    quarantined_bytes: u64,
    missing_entries: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Totals {
    received_records: u64,
    rejected_records: u64,
    in_intake_records: u64,
    undelivered_records: u64,
    imbalance_records: u64,
    line: String,
}

impl Status {
    /// Reads it now. Costs a few locks per sink.
    #[must_use]
    pub fn read(telemetry: &Telemetry) -> Status {
        let sources = telemetry.sources();
        let sources = sources.iter().map(|stats| (stats.name().to_string(), Source::read(stats)));
        let sinks = telemetry.sinks();
        let sinks = sinks.iter().map(|view| (view.name().to_string(), Sink::read(view)));
        Status {
            version: env!("CARGO_PKG_VERSION"),
            readiness: match telemetry.readiness() {
                Readiness::Ready => "ready",
                Readiness::Starting => "starting",
                Readiness::Stopping => "stopping",
                Readiness::NoSink => "no_sink",
                Readiness::NoJournal => "no_journal",
            },
            uptime_seconds: telemetry.uptime().as_secs(),
            memory_bound_bytes: telemetry.memory_bound_bytes(),
            memory_bound: telemetry.memory_bound().into_iter().collect(),
            memory_budget_bytes: telemetry.budget().total(),
            memory_reserved_bytes: telemetry.budget().reserved(),
            reloads: Reloads { ok: telemetry.reloads(true), failed: telemetry.reloads(false) },
            watching: telemetry.monitor().tap().watching() as u64,
            sources: sources.collect(),
            sinks: sinks.collect(),
            journal: telemetry.journal().map(|it| Journal::read(&it)),
            ledger: Totals::new(&telemetry.ledger()),
        }
    }
}

impl Source {
    fn read(stats: &SourceStats) -> Source {
        Source {
            r#type: stats.kind().as_str(),
            listen: stats.listen().to_vec(),
            received_records: stats.received_records(),
            received_bytes: stats.received_bytes(),
            rejected_records: stats.rejected_records(),
            in_intake_records: stats.in_intake_records(),
            connections: stats.connections_open(),
            connections_accepted: stats.connections_accepted(),
            connections_refused: stats.connections_refused(),
            accept_errors: stats.accept_errors(),
        }
    }
}

impl Sink {
    fn read(view: &SinkView) -> Sink {
        let tally = view.inbox.tally();
        let Tally {
            offered, gaps, delivered, failed, abandoned, shed_full, shed_hold, shed_stopped, in_flight, ..
        } = tally;
        let state = view.state();
        Sink {
            r#type: view.kind,
            state: state.as_str(),
            error: match state {
                SinkState::Failing { error } => Some(error),
                SinkState::Healthy | SinkState::Full => None,
            },
            from: view.inflows.names().iter().map(ToString::to_string).collect(),
            inbox_bytes: view.inbox.used_bytes() as u64,
            inbox_capacity_bytes: view.inbox.settings().capacity_bytes as u64,
            offered_records: offered,
            gap_records: gaps,
            delivered_records: delivered,
            failed_records: failed,
            abandoned_records: abandoned,
            shed_full_records: shed_full,
            shed_hold_records: shed_hold,
            shed_stopped_records: shed_stopped,
            in_flight_records: in_flight,
            filtered_records: view.filtered_records() + tally.filtered,
            recovered_records: tally.recovered,
            expired_records: tally.expired(),
            deferred_records: tally.deferred,
        }
    }
}

impl Journal {
    fn read(stats: &JournalStats) -> Journal {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Journal {
            healthy: stats.is_healthy(),
            last_error: stats.last_error().map(|it| it.to_string()),
            bytes: get(&stats.bytes),
            max_bytes: get(&stats.max_bytes),
            full: stats.no_room().map(NoRoom::as_str),
            entries: get(&stats.entries),
            syncs: get(&stats.syncs),
            sync_failures: get(&stats.sync_failures),
            write_failures: get(&stats.write_failures),
            corrupt_ranges: get(&stats.corrupt_ranges),
            quarantined_bytes: get(&stats.quarantined_bytes),
            missing_entries: get(&stats.missing_entries),
        }
    }
}

impl Totals {
    fn new(ledger: &Ledger) -> Totals {
        Totals {
            received_records: ledger.received(),
            rejected_records: ledger.rejected(),
            in_intake_records: ledger.in_intake(),
            undelivered_records: ledger.undelivered(),
            imbalance_records: ledger.imbalance(),
            line: ledger.to_string(),
        }
    }
}
