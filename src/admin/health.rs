//! `/api/health`: what `/status` has, and how fast its numbers grow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::status::Status;
use crate::telemetry::{Readiness, Telemetry};

/// How long ago the numbers were read that those of now are compared with, about.
const WINDOW: Duration = Duration::from_secs(10);
/// Least time between two readings that are kept.
const READING_EVERY: Duration = Duration::from_secs(1);

/// The body of `/api/health`. Fields may be added; those that are here stay.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    now: u64,
    ready: bool,
    #[serde(flatten)]
    status: Status,
    rates: Rates,
}

/// Per second, since the numbers were read before.
#[derive(Clone, Debug, Serialize)]
struct Rates {
    window_s: f64,
    sources: BTreeMap<String, SourceRates>,
    sinks: BTreeMap<String, SinkRates>,
    journal: Option<JournalRates>,
}

#[derive(Clone, Debug, Serialize)]
struct SourceRates {
    records_s: f64,
    bytes_s: f64,
    rejected_s: f64,
}

#[derive(Clone, Debug, Serialize)]
struct SinkRates {
    delivered_s: f64,
    failed_s: f64,
    shed_s: f64,
    filtered_s: f64,
}

#[derive(Clone, Debug, Serialize)]
struct JournalRates {
    entries_s: f64,
}

/// The counters at one moment.
#[derive(Clone, Debug)]
struct Reading {
    at: Instant,
    /// Records, bytes, rejected.
    sources: BTreeMap<String, [u64; 3]>,
    /// Delivered, failed, shed, filtered.
    sinks: BTreeMap<String, [u64; 4]>,
    journal_entries: Option<u64>,
}

/// Earlier readings. They are made when somebody asks, and at no other time.
#[derive(Debug, Default)]
pub struct Readings {
    earlier: Mutex<VecDeque<Reading>>,
}

impl Readings {
    /// Reads now. The first time rates are those since the start of the process.
    pub fn health(&self, telemetry: &Telemetry) -> Health {
        let now = Reading::of(telemetry);
        let before = self.before(&now);
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as u64);
        Health {
            now: now_ms,
            ready: telemetry.readiness() == Readiness::Ready,
            status: Status::read(telemetry),
            rates: now.since(before.as_ref(), telemetry.uptime()),
        }
    }

    /// The reading that `now` is compared with. Keeps `now` for later.
    fn before(&self, now: &Reading) -> Option<Reading> {
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        while earlier.get(1).is_some_and(|it| now.at.duration_since(it.at) >= WINDOW) {
            earlier.pop_front();
        }
        let before = earlier.front().cloned();
        if earlier.back().is_none_or(|it| now.at.duration_since(it.at) >= READING_EVERY) {
            earlier.push_back(now.clone());
        }
        before
    }
}

impl Reading {
    fn of(telemetry: &Telemetry) -> Reading {
        let sources = telemetry.sources();
        let sources = sources
            .iter()
            .map(|it| (it.name().to_string(), [it.received_records(), it.received_bytes(), it.rejected_records()]));
        let sinks = telemetry.sinks();
        let sinks = sinks.iter().map(|view| {
            let tally = view.inbox.tally();
            let filtered = view.filtered_records() + tally.filtered;
            (view.name().to_string(), [tally.delivered, tally.failed, tally.shed(), filtered])
        });
        Reading {
            at: Instant::now(),
            sources: sources.collect(),
            sinks: sinks.collect(),
            journal_entries: telemetry.journal().map(|it| it.entries.load(Ordering::Relaxed)),
        }
    }

    fn since(&self, before: Option<&Reading>, uptime: Duration) -> Rates {
        let window = before.map_or(uptime, |it| self.at.duration_since(it.at)).as_secs_f64().max(0.001);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / window;
        let source = |(name, now): (&String, &[u64; 3])| {
            let before = before.and_then(|it| it.sources.get(name)).copied().unwrap_or_default();
            let [records_s, bytes_s, rejected_s] = std::array::from_fn(|at| rate(now[at], before[at]));
            (name.clone(), SourceRates { records_s, bytes_s, rejected_s })
        };
        let sink = |(name, now): (&String, &[u64; 4])| {
            let before = before.and_then(|it| it.sinks.get(name)).copied().unwrap_or_default();
            let [delivered_s, failed_s, shed_s, filtered_s] = std::array::from_fn(|at| rate(now[at], before[at]));
            (name.clone(), SinkRates { delivered_s, failed_s, shed_s, filtered_s })
        };
        Rates {
            window_s: window,
            sources: self.sources.iter().map(source).collect(),
            sinks: self.sinks.iter().map(sink).collect(),
            journal: self.journal_entries.map(|now| JournalRates {
                entries_s: rate(now, before.and_then(|it| it.journal_entries).unwrap_or_default()),
            }),
        }
    }
}
