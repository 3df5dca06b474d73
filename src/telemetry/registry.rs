//! Everything that can be seen of a running process, in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::exposition::Exposition;
use super::ledger::Ledger;
use super::sink::{SinkState, SinkView};
use super::source::SourceStats;
use crate::budget::Shares;
use crate::journal::JournalStats;

/// What there is to see.
#[derive(Debug)]
pub struct TelemetrySettings {
    /// All sources.
    pub sources: Vec<Arc<SourceStats>>,
    /// All sinks.
    pub sinks: Vec<SinkView>,
    /// The budget of the process.
    pub budget: Shares,
    /// The memory bound as a sum: each holder of memory and its bytes.
    pub memory_bound: Vec<(String, u64)>,
    /// The journal, if there is one.
    pub journal: Option<Arc<JournalStats>>,
}

/// A running process, seen from outside.
#[derive(Debug)]
pub struct Telemetry {
    settings: TelemetrySettings,
    started: Instant,
    started_at: SystemTime,
    ready: AtomicBool,
    stopping: AtomicBool,
    exposition: Exposition,
}

/// Whether a load balancer should send anything here.
///
/// Ready means: every listener is bound, every sink was opened, the process is not stopping, and
/// at least one sink takes records, and the journal, if there is one, can be written. One sink that fails does not make the process unready: the
/// others still want their records, and taking the collector out of service would lose them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Not yet.
    Starting,
    /// No longer.
    Stopping,
    /// No sink takes records.
    NoSink,
    /// The journal cannot be written: what the sources promise does not hold.
    NoJournal,
}

impl Telemetry {
    /// Of a process that starts now.
    #[must_use]
    pub fn new(settings: TelemetrySettings) -> Arc<Telemetry> {
        Arc::new(Telemetry {
            settings,
            started: Instant::now(),
            started_at: SystemTime::now(),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            exposition: Exposition::new(),
        })
    }

    /// All sources.
    #[must_use]
    pub fn sources(&self) -> &[Arc<SourceStats>] {
        &self.settings.sources
    }

    /// All sinks.
    #[must_use]
    pub fn sinks(&self) -> &[SinkView] {
        &self.settings.sinks
    }

    /// The budget of the process.
    #[must_use]
    pub fn budget(&self) -> &Shares {
        &self.settings.budget
    }

    /// The journal, if there is one.
    #[must_use]
    pub fn journal(&self) -> Option<&JournalStats> {
        self.settings.journal.as_deref()
    }

    /// The memory bound as a sum.
    #[must_use]
    pub fn memory_bound(&self) -> &[(String, u64)] {
        &self.settings.memory_bound
    }

    /// The memory bound in bytes.
    #[must_use]
    pub fn memory_bound_bytes(&self) -> u64 {
        self.settings.memory_bound.iter().map(|(_, bytes)| bytes).sum()
    }

    /// How long the process has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// When it started, by the clock on the wall.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// Every listener is bound and every sink opened.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// The process drains and will end.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether a load balancer should send anything here.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if self.stopping.load(Ordering::Relaxed) {
            Readiness::Stopping
        } else if !self.ready.load(Ordering::Relaxed) {
            Readiness::Starting
        } else if self.sinks().iter().all(|sink| sink.state() != SinkState::Healthy) {
            Readiness::NoSink
        } else if self.journal().is_some_and(|journal| !journal.is_healthy()) {
            Readiness::NoJournal
        } else {
            Readiness::Ready
        }
    }

    /// The ledger now; see [`Ledger`] for what it promises under load.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::read(self.sources(), self.sinks())
    }

    /// Every metric in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn exposition(&self) -> String {
        self.exposition.render(self)
    }
}
