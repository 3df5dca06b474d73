//! What flows: fed with some records of each payload, read by whoever asks.
//!
//! Sources feed it and do not wait for readers: a report is made seldom, for all who ask, and gathered in parts, each
//! of them some ten microseconds under the lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::edges::{self, Edges, History, write_key};
use super::report::{self, EdgeReport, Gathered, TrafficReport, TrafficSince};
use super::ring::Ring;
use super::sampler::{Looks, Sampler};
use super::seldom::Seldom;
use super::sighting::{Measures, Protocol, Sighting};
use crate::record::RecordRef;

/// Seconds that are kept: five minutes, and the one that is not over.
pub const SECONDS: usize = 301;
/// Most that is taken in at a time, in bytes of names: a payload is taken in in parts.
const BUFFER_BYTES: usize = 64 << 10;

/// Reports are made so often at most, of all pairs and of one.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// Pairs, or seconds, that are read under one lock.
const PART: usize = 16;

/// What the traffic view takes at most. What is allowed for names is for those of the last report, too.
pub const BYTES_MAX: u64 = edges::BYTES_MAX + (SECONDS * (size_of::<Second>() + 16)) as u64;

/// The traffic of the last five minutes.
#[derive(Debug)]
pub struct Traffic {
    started: Instant,
    sampler: Sampler,
    board: Mutex<Board>,
    /// By steps of the window.
    reports: Seldom<u64, Arc<TrafficReport>>,
    edge_reports: Seldom<Asked, Option<Arc<EdgeReport>>>,
}

/// Whose traffic is asked for.
#[derive(Debug, PartialEq)]
enum Asked {
    Service(String),
    Pair(Vec<u8>),
}

/// What there is to read.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) edges: Edges,
    pub(super) seconds: Ring<Second, SECONDS>,
}

/// All records of one second.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    /// Access logs.
    pub(super) cell: Cell,
    /// All records.
    pub(super) records: u64,
    /// Of these, records that were looked at.
    pub(super) looked: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic {
            started: Instant::now(),
            sampler: Sampler::default(),
            board: Mutex::default(),
            reports: Seldom::new(REPORT_EVERY),
            edge_reports: Seldom::new(REPORT_EVERY),
        }
    }
}

impl Traffic {
    /// Begins a payload of so many records that came at `unix_nano`.
    #[must_use]
    pub fn begin(&self, records: u64, unix_nano: u64) -> Glimpses<'_> {
        let looks = self.sampler.begin(records, unix_nano);
        Glimpses { traffic: self, looks, keys: Vec::new(), seen: Vec::new(), records: 0, looked: 0 }
    }

    /// The last `window_s` seconds, and the series from `since_unix_ms` on, as they were at most a quarter of a second
    /// ago. Cancel-safe.
    pub async fn report(&self, window_s: u64, since_unix_ms: u64) -> TrafficSince {
        let steps = report::steps(window_s);
        let report = self.reports.get(steps, || {
            let elapsed = self.started.elapsed();
            Arc::new(report::traffic(self.gather(elapsed, steps), elapsed, steps))
        });
        TrafficSince::new(report.await, since_unix_ms)
    }

    /// One pair of services, step by step; `None` when there is no such pair. As old as a report may be.
    pub async fn edge(&self, protocol: Protocol, names: [Option<&str>; 3]) -> Option<Arc<EdgeReport>> {
        let mut key = Vec::new();
        write_key(protocol, names.map(|name| name.map(str::as_bytes)), &mut key);
        let find = || self.edge_report(self.lock().edges.pair(&key).cloned());
        self.edge_reports.get(Asked::Pair(key.clone()), find).await
    }

    /// All that a service has asked for or answered; `None` when nothing is known of it. As old as a report may be.
    pub async fn service(&self, name: &str) -> Option<Arc<EdgeReport>> {
        let find = || self.edge_report(self.gather_service(name));
        self.edge_reports.get(Asked::Service(name.to_owned()), find).await
    }

    fn edge_report(&self, history: Option<History>) -> Option<Arc<EdgeReport>> {
        history.map(|it| Arc::new(report::edge(&it, self.started.elapsed())))
    }

    /// What a report tells. Records that are taken in meanwhile may be in one part of it and not in another; of a pair that
    /// loses its place meanwhile, what it had may be in the rest as well.
    fn gather(&self, elapsed: Duration, steps: u64) -> Gathered {
        let (from, second) = (report::first_second(elapsed, steps), elapsed.as_secs());
        let mut gathered = Gathered::new(elapsed);
        let seconds: Vec<u64> = (second.saturating_sub(SECONDS as u64 - 1)..=second).collect();
        for part in seconds.chunks(PART) {
            let read: Vec<Option<Second>> = {
                let board = self.lock();
                part.iter().map(|at| board.seconds.get(*at).cloned()).collect()
            };
            part.iter().zip(&read).for_each(|(at, it)| gathered.second(*at, from, it.as_ref()));
        }
        let keys = self.lock().edges.keys();
        gathered.edges.reserve(keys.len());
        for part in keys.chunks(PART) {
            let board = self.lock();
            let sum = |key: &[u8]| edges::sum(board.edges.pair(key)?, from);
            gathered.edges.extend(part.iter().filter_map(|key| Some((key.clone(), sum(key)?))));
        }
        gathered.rest = edges::sum(self.lock().edges.rest(), from);
        gathered
    }

    fn gather_service(&self, name: &str) -> Option<History> {
        let mut keys = self.lock().edges.keys();
        keys.retain(|key| edges::is_of(key, name));
        let mut all: Option<History> = None;
        for part in keys.chunks(PART) {
            let board = self.lock();
            for history in part.iter().filter_map(|key| board.edges.pair(key)) {
                let all = all.get_or_insert_default();
                history.since(0).for_each(|(step, cell)| all.at(step).merge(cell));
            }
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of one payload that are looked at. Taken in when this is dropped, or before.
#[derive(Debug)]
pub struct Glimpses<'a> {
    traffic: &'a Traffic,
    looks: Looks<'a>,
    /// One behind the other.
    keys: Vec<u8>,
    seen: Vec<Glimpse>,
    /// Records that the looks since the last time stood for, and the looks.
    records: u64,
    looked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Glimpse {
    key_end: u32,
    measures: Measures,
    weight: u64,
}

impl Glimpses<'_> {
    /// The next record passes.
    #[inline]
    pub fn record(&mut self, record: &RecordRef<'_>) {
        if let Some(weight) = self.looks.next() {
            self.look(record, weight);
        }
    }

    /// How many of the records that are left would be looked at, one after the other.
    #[must_use]
    pub fn coming(&self) -> u64 {
        self.looks.coming()
    }

    /// For how many records each of `count` looks at any of those that are left stands, to be given to
    /// [`Glimpses::look`]; the others need not even be decoded.
    pub fn spread(&mut self, count: u64) -> impl Iterator<Item = u64> + use<> {
        self.looks.spread(count)
    }

    /// A record is looked at, for `weight` records.
    pub fn look(&mut self, record: &RecordRef<'_>, weight: u64) {
        self.records += weight;
        self.looked += 1;
        let Some(sighting) = Sighting::of(record) else { return };
        if self.keys.len() >= BUFFER_BYTES {
            self.take_in();
        }
        write_key(sighting.protocol, [sighting.mesh, sighting.source, sighting.destination], &mut self.keys);
        self.seen.push(Glimpse { key_end: self.keys.len() as u32, measures: sighting.measures, weight });
    }

    /// Hands on what was seen so far. One lock, for some microseconds.
    pub fn take_in(&mut self) {
        if self.looked == 0 {
            return;
        }
        let second = self.traffic.started.elapsed().as_secs();
        // Freed, not kept: there are as many of these as connections that wait for a sink.
        let (keys, seen) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.seen));
        let mut board = self.traffic.lock();
        let Board { edges, seconds } = &mut *board;
        let now = seconds.at(second);
        now.records += std::mem::take(&mut self.records);
        now.looked += std::mem::take(&mut self.looked);
        let mut start = 0;
        for Glimpse { key_end, measures, weight } in seen {
            let end = key_end as usize;
            now.cell.add(&measures, weight);
            edges.add(keys.get(start..end).unwrap_or_default(), &measures, weight, second);
            start = end;
        }
    }
}

impl Drop for Glimpses<'_> {
    fn drop(&mut self) {
        self.take_in();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(pairs: impl IntoIterator<Item = (String, String)>) -> Traffic {
        let traffic = Traffic::default();
        for (at, (source, destination)) in pairs.into_iter().enumerate() {
            let mut key = Vec::new();
            write_key(Protocol::Http, [None, Some(source.as_bytes()), Some(destination.as_bytes())], &mut key);
            let mut board = traffic.lock();
            board.edges.add(&key, &Measures::ONE, 1 << (at % 8), 0);
            board.seconds.at(0).cell.add(&Measures::ONE, 1 << (at % 8));
        }
        traffic
    }

    #[test]
    fn a_service_is_all_its_pairs() {
        let pairs = [("web", "api"), ("api", "db"), ("web", "cdn")];
        let traffic = traffic(pairs.map(|(source, destination)| (source.to_owned(), destination.to_owned())));
        let count = |name| traffic.gather_service(name).map(|it| it.get(0).map_or(0, |cell| cell.requests));
        assert_eq!((count("api"), count("web"), count("db"), count("nobody")), (Some(3), Some(5), Some(2), None));
    }

    /// Guarantee: nothing is left out of a report because it is gathered in parts.
    #[test]
    fn parts_are_all_of_it() {
        let pairs = 3 * PART + 1;
        let traffic = traffic((0..pairs).map(|at| (format!("from-{at}"), "to".to_owned())));
        let gathered = traffic.gather(Duration::from_secs(1), 30);
        let requests: u64 = gathered.edges.iter().map(|(_, cell)| cell.requests).sum();
        assert_eq!((gathered.edges.len(), requests), (pairs, (0..pairs).map(|at| 1 << (at % 8)).sum()));
        let history = traffic.gather_service("to").unwrap();
        assert_eq!(history.get(0).unwrap().requests, requests);
    }

    /// Guarantee: whoever asks in a loop makes no report.
    #[tokio::test]
    async fn a_report_is_for_all_who_ask() {
        let traffic = traffic([("web".to_owned(), "api".to_owned())]);
        let (one, other) = (traffic.report(60, 0).await, traffic.report(51, 7).await);
        assert!(Arc::ptr_eq(&one.report, &other.report), "made for each");
        let (one, other) = (traffic.service("web").await.unwrap(), traffic.service("web").await.unwrap());
        assert!(Arc::ptr_eq(&one, &other), "made for each");
    }
}
