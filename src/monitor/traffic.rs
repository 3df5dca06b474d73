//! What flows: fed with some records of each payload, read by whoever asks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::cell::Cell;
use super::edges::{self, Edges, write_key};
use super::report::{self, EdgeReport, TrafficReport};
use super::ring::Ring;
use super::sampler::{Looks, Sampler};
use super::sighting::{Measures, Protocol, Sighting};
use crate::record::RecordRef;

/// Seconds that are kept: five minutes, and the one that is not over.
pub const SECONDS: usize = 301;
/// Most that is taken in at a time, in bytes of names: a payload is taken in in parts.
const BUFFER_BYTES: usize = 64 << 10;

/// What the traffic view takes at most.
pub const BYTES_MAX: u64 = edges::BYTES_MAX + (SECONDS * (size_of::<Second>() + 16)) as u64;

/// The traffic of the last five minutes.
#[derive(Debug)]
pub struct Traffic {
    started: Instant,
    sampler: Sampler,
    board: Mutex<Board>,
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
        Traffic { started: Instant::now(), sampler: Sampler::default(), board: Mutex::default() }
    }
}

impl Traffic {
    /// Begins a payload of so many records that came at `unix_nano`.
    #[must_use]
    pub fn begin(&self, records: u64, unix_nano: u64) -> Glimpses<'_> {
        let looks = self.sampler.begin(records, unix_nano);
        Glimpses { traffic: self, looks, keys: Vec::new(), seen: Vec::new(), records: 0, looked: 0 }
    }

    /// The last `window_s` seconds, and the series from `since_unix_ms` on.
    #[must_use]
    pub fn report(&self, window_s: u64, since_unix_ms: u64) -> TrafficReport {
        let elapsed = self.started.elapsed();
        let mut report = report::traffic(&self.lock(), elapsed, window_s, since_unix_ms);
        // Not under the lock: sources wait for it.
        report.sort();
        report
    }

    /// One pair of services, step by step; `None` when there is no such pair.
    #[must_use]
    pub fn edge(&self, protocol: Protocol, names: [Option<&str>; 3]) -> Option<EdgeReport> {
        let mut key = Vec::new();
        write_key(protocol, names.map(|name| name.map(str::as_bytes)), &mut key);
        let history = self.lock().edges.pair(&key);
        history.map(|it| report::edge(&it, self.started.elapsed()))
    }

    /// All that a service has asked for or answered; `None` when nothing is known of it.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<EdgeReport> {
        let history = self.lock().edges.service(name);
        history.map(|it| report::edge(&it, self.started.elapsed()))
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
