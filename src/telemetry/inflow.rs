//! Which records a sink was to get: what ties the ledger of a sink to its sources, though a reload
//! changes who feeds whom.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::source::{InIntake, SourceStats};

/// Records of one source on their way through one intake. A reload makes a new one.
#[derive(Debug)]
pub struct Inflow {
    source: Arc<SourceStats>,
    received_records: AtomicU64,
    in_intake_records: AtomicU64,
}

impl Inflow {
    /// Nothing has passed yet.
    #[must_use]
    pub fn new(source: Arc<SourceStats>) -> Arc<Inflow> {
        Arc::new(Inflow { source, received_records: AtomicU64::new(0), in_intake_records: AtomicU64::new(0) })
    }

    /// The counters of the source.
    #[must_use]
    pub fn source(&self) -> &Arc<SourceStats> {
        &self.source
    }

    /// Records that were taken in, by this way. To be called before the first of them is put into
    /// an inbox; the guard is held until each sink has been offered all of them. Records that are
    /// rejected are never counted here.
    pub fn count_received(self: &Arc<Self>, records: u64) -> InIntake {
        // IMPORTANT: the ledger relies on this order, see `ledger.rs`. Release, so that who sees
        // the record received sees it in the intake as well.
        self.in_intake_records.fetch_add(records, Ordering::Relaxed);
        self.received_records.fetch_add(records, Ordering::Release);
        self.source.enter(records);
        InIntake::new(Arc::clone(self), records)
    }

    /// The records of a guard were offered.
    pub(super) fn leave(&self, records: u64) {
        // Release, so that who sees the records gone from here sees them in the inboxes.
        self.in_intake_records.fetch_sub(records, Ordering::Release);
        self.source.leave(records);
    }

    fn received(&self) -> u64 {
        self.received_records.load(Ordering::Acquire)
    }

    fn in_intake(&self) -> u64 {
        self.in_intake_records.load(Ordering::Acquire)
    }
}

/// All inflows of one sink, those that have ended included.
#[derive(Debug, Default)]
pub struct Inflows {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: Vec<Arc<Inflow>>,
    /// What inflows that have ended brought.
    ended_records: u64,
}

impl Inflows {
    /// The sink is fed by these.
    #[must_use]
    pub fn new(inflows: Vec<Arc<Inflow>>) -> Arc<Inflows> {
        Arc::new(Inflows { inner: Mutex::new(Inner { open: inflows, ended_records: 0 }) })
    }

    /// One more. To be called before anything passes it.
    pub fn add(&self, inflow: Arc<Inflow>) {
        self.lock().open.push(inflow);
    }

    /// Nothing passes `inflow` any more, and nothing is under way in it.
    pub fn end(&self, inflow: &Arc<Inflow>) {
        let mut inner = self.lock();
        if let Some(at) = inner.open.iter().position(|it| Arc::ptr_eq(it, inflow)) {
            let inflow = inner.open.swap_remove(at);
            inner.ended_records += inflow.received();
        }
    }

    /// Names of the sources, each once, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.lock().open.iter().map(|inflow| Arc::clone(inflow.source.name())).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Records received for this sink so far. Whoever sees a record here sees it in the intake or
    /// beyond.
    #[must_use]
    pub fn received_records(&self) -> u64 {
        let inner = self.lock();
        inner.ended_records + inner.open.iter().map(|inflow| inflow.received()).sum::<u64>()
    }

    /// Records received but not yet offered to each sink. Whoever sees one gone sees it offered.
    #[must_use]
    pub fn in_intake_records(&self) -> u64 {
        self.lock().open.iter().map(|inflow| inflow.in_intake()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::SourceKind;

    #[test]
    fn what_has_ended_stays_counted() {
        let mesh = SourceStats::new("mesh", SourceKind::Lines);
        let first = Inflow::new(Arc::clone(&mesh));
        let inflows = Inflows::new(vec![Arc::clone(&first)]);
        let moving = first.count_received(3);
        assert_eq!((inflows.received_records(), inflows.in_intake_records()), (3, 3));
        drop(moving);
        let second = Inflow::new(Arc::clone(&mesh));
        inflows.add(Arc::clone(&second));
        inflows.end(&first);
        let _moving = second.count_received(4);
        assert_eq!((inflows.received_records(), inflows.in_intake_records()), (7, 4));
        assert_eq!((mesh.received_records(), mesh.in_intake_records()), (7, 4));
        assert_eq!(inflows.names(), [Arc::from("mesh")]);
    }
}
