//! Everything that can be seen of a running process, in one place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use super::exposition::Exposition;
use super::ledger::Ledger;
use super::sink::{SinkState, SinkTotals, SinkView};
use super::source::{SourceKind, SourceStats};
use crate::budget::Shares;
use crate::journal::JournalStats;

/// What there is to see.
#[derive(Debug)]
pub struct TelemetrySettings {
    /// All sources.
    pub sources: Vec<Arc<SourceStats>>,
    /// All sinks.
    pub sinks: Vec<Arc<SinkView>>,
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
    parts: RwLock<Parts>,
    started: Instant,
    started_at: SystemTime,
    ready: AtomicBool,
    stopping: AtomicBool,
    reloads: [AtomicU64; 2],
    tls_reloads: [AtomicU64; 2],
    admin_refused: [AtomicU64; 2],
    exposition: Exposition,
}

/// What is there now, and what was there: a counter never goes back.
#[derive(Debug)]
struct Parts {
    now: TelemetrySettings,
    former_sources: Vec<Arc<SourceStats>>,
    ending_sinks: Vec<Arc<SinkView>>,
    ended_sinks: BTreeMap<Arc<str>, SinkTotals>,
}

/// Whether a load balancer should send anything here.
///
/// Ready means: every listener is bound, every sink was opened, the process is not stopping, at
/// least one sink takes records, and the journal, if there is one, can be written. One sink that
/// fails does not make the process unready: the others still want their records, and taking the
/// collector out of service would lose them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Not yet.
    Starting,
    /// No longer.
    Stopping,
    /// No sink takes records, and no journal keeps them until one does.
    NoSink,
    /// The journal cannot be written: what the sources promise does not hold.
    NoJournal,
}

impl Telemetry {
    /// Of a process that starts now.
    #[must_use]
    pub fn new(settings: TelemetrySettings) -> Arc<Telemetry> {
        let parts =
            Parts { now: settings, former_sources: Vec::new(), ending_sinks: Vec::new(), ended_sinks: BTreeMap::new() };
        Arc::new(Telemetry {
            parts: RwLock::new(parts),
            started: Instant::now(),
            started_at: SystemTime::now(),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            reloads: Default::default(),
            tls_reloads: Default::default(),
            admin_refused: Default::default(),
            exposition: Exposition::new(),
        })
    }

    /// All sources.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<SourceStats>> {
        self.read().now.sources.clone()
    }

    /// All sources, those that were removed included.
    #[must_use]
    pub fn all_sources(&self) -> Vec<Arc<SourceStats>> {
        let parts = self.read();
        parts.now.sources.iter().chain(&parts.former_sources).cloned().collect()
    }

    /// All sinks.
    #[must_use]
    pub fn sinks(&self) -> Vec<Arc<SinkView>> {
        self.read().now.sinks.clone()
    }

    /// What the sinks of each name have counted. Costs two locks per sink.
    #[must_use]
    pub fn sink_totals(&self) -> BTreeMap<Arc<str>, SinkTotals> {
        let parts = self.read();
        let mut totals = parts.ended_sinks.clone();
        for view in parts.now.sinks.iter().chain(&parts.ending_sinks) {
            totals.entry(Arc::clone(view.name())).or_default().add(&SinkTotals::read(view));
        }
        totals
    }

    /// The counters of a source: those it had before, when there was one of this name.
    #[must_use]
    pub fn source(&self, name: &str, kind: SourceKind) -> Arc<SourceStats> {
        let before = self.all_sources().into_iter().find(|stats| &**stats.name() == name);
        before.inspect(|stats| stats.become_kind(kind)).unwrap_or_else(|| SourceStats::new(name, kind))
    }

    /// A reload has changed what is there. Sinks that are not there any more are ending.
    pub fn replace(&self, settings: TelemetrySettings) {
        let mut parts = self.write();
        let before = std::mem::replace(&mut parts.now, settings);
        let now = &parts.now;
        let is_there = |stats: &Arc<SourceStats>| now.sources.iter().any(|it| Arc::ptr_eq(it, stats));
        let former = parts.former_sources.iter().chain(&before.sources).filter(|it| !is_there(it)).cloned().collect();
        let is_kept = |view: &Arc<SinkView>| now.sinks.iter().any(|it| Arc::ptr_eq(it, view));
        let ending: Vec<_> = before.sinks.into_iter().filter(|view| !is_kept(view)).collect();
        parts.former_sources = former;
        parts.ending_sinks.extend(ending);
    }

    /// A sink that is not there any more has ended: what it counted stays.
    pub fn sink_ended(&self, view: &Arc<SinkView>) {
        let mut parts = self.write();
        if let Some(at) = parts.ending_sinks.iter().position(|it| Arc::ptr_eq(it, view)) {
            let view = parts.ending_sinks.swap_remove(at);
            let totals = SinkTotals { inbox_bytes: 0, ..SinkTotals::read(&view) };
            parts.ended_sinks.entry(Arc::clone(view.name())).or_default().add(&totals);
        }
    }

    /// The configuration was read again; `ok` when it is in force.
    pub fn count_reload(&self, ok: bool) {
        self.reloads[usize::from(ok)].fetch_add(1, Ordering::Relaxed);
    }

    /// How often the configuration was read again and taken, or refused.
    #[must_use]
    pub fn reloads(&self, ok: bool) -> u64 {
        self.reloads[usize::from(ok)].load(Ordering::Relaxed)
    }

    /// Certificates were read again; `ok` when they are used.
    pub fn count_tls_reload(&self, ok: bool) {
        self.tls_reloads[usize::from(ok)].fetch_add(1, Ordering::Relaxed);
    }

    /// How often certificates were read again and used, or could not be.
    #[must_use]
    pub fn tls_reloads(&self, ok: bool) -> u64 {
        self.tls_reloads[usize::from(ok)].load(Ordering::Relaxed)
    }

    /// The admin listener has refused a request without a valid token, or a connection without valid TLS.
    pub fn count_admin_refused(&self, unauthenticated: bool) {
        self.admin_refused[usize::from(unauthenticated)].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    #[must_use]
    pub fn admin_refused(&self, unauthenticated: bool) -> u64 {
        self.admin_refused[usize::from(unauthenticated)].load(Ordering::Relaxed)
    }

    /// The budget of the process.
    #[must_use]
    pub fn budget(&self) -> Shares {
        self.read().now.budget.clone()
    }

    /// The journal, if there is one.
    #[must_use]
    pub fn journal(&self) -> Option<Arc<JournalStats>> {
        self.read().now.journal.clone()
    }

    /// The memory bound as a sum.
    #[must_use]
    pub fn memory_bound(&self) -> Vec<(String, u64)> {
        self.read().now.memory_bound.clone()
    }

    /// The memory bound in bytes.
    #[must_use]
    pub fn memory_bound_bytes(&self) -> u64 {
        self.read().now.memory_bound.iter().map(|(_, bytes)| bytes).sum()
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

    /// Every listener is bound and every sink opened, for the first time or again.
    pub fn set_ready(&self) {
        self.stopping.store(false, Ordering::Relaxed);
        self.ready.store(true, Ordering::Relaxed);
    }

    /// The process drains, to end.
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
        } else {
            let journal = self.journal();
            let keeps = journal.as_ref().is_some_and(|it| it.no_room().is_none());
            if journal.is_some_and(|it| !it.is_healthy()) {
                Readiness::NoJournal
            } else if !keeps && self.sinks().iter().all(|sink| sink.state() != SinkState::Healthy) {
                Readiness::NoSink
            } else {
                Readiness::Ready
            }
        }
    }

    /// The ledger now; see [`Ledger`] for what it promises under load.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let sinks = self.sink_totals();
        Ledger::new(&sinks, &self.all_sources())
    }

    /// Every metric in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn exposition(&self) -> String {
        self.exposition.render(self)
    }

    fn read(&self) -> RwLockReadGuard<'_, Parts> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Parts> {
        self.parts.write().unwrap_or_else(PoisonError::into_inner)
    }
}
