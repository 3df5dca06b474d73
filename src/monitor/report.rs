//! The traffic of some time, as it is told: the JSON of `/api/traffic`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use super::cell::{CLASSES, Cell};
use super::edges::{History, STEP_SECONDS, STEPS, read_key};
use super::sighting::Protocol;
use super::traffic::{SECONDS, Second};
use crate::semantics::{Blame, FLAGS};

/// Longest and shortest window, in seconds.
const WINDOW_MAX: u64 = 300;
/// Flags that are told of a pair.
const EDGE_FLAGS_MAX: usize = 8;

/// The traffic of a window. Fields may be added; those that are here stay.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficReport {
    now: u64,
    enabled: bool,
    window_s: f64,
    sampled: f64,
    records: f64,
    services: usize,
    edges: Vec<Edge>,
    other: Option<Edge>,
    totals: Edge,
    /// All of it: told from where it is asked for.
    #[serde(skip)]
    series: Series,
    flags: Vec<Flag>,
    statuses: BTreeMap<&'static str, f64>,
}

/// Traffic between two services.
#[derive(Clone, Debug, Default, Serialize)]
struct Edge {
    mesh: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    protocol: Option<Protocol>,
    rps: f64,
    error_rps: f64,
    client_error_rps: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<u32>,
    bytes_in_s: f64,
    bytes_out_s: f64,
    flags: BTreeMap<&'static str, f64>,
    total: u64,
}

/// Counts and durations step by step, of equal length.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Series {
    step_s: u64,
    start: u64,
    requests: Vec<u64>,
    errors: Vec<u64>,
    client_errors: Vec<u64>,
    p50_ms: Vec<Option<f64>>,
    p99_ms: Vec<Option<f64>>,
}

#[derive(Clone, Debug, Serialize)]
struct Flag {
    flag: &'static str,
    long: &'static str,
    what: &'static str,
    causes: &'static [&'static str],
    check: &'static [&'static str],
    blame: &'static str,
    rps: f64,
}

/// One pair of services over time.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeReport {
    now: u64,
    #[serde(flatten)]
    series: Series,
}

/// A report with the series from some time on: what one who has the rest asks for.
#[derive(Clone, Debug)]
pub struct TrafficSince {
    pub(super) report: Arc<TrafficReport>,
    since_unix_ms: u64,
}

impl TrafficSince {
    pub(super) fn new(report: Arc<TrafficReport>, since_unix_ms: u64) -> TrafficSince {
        TrafficSince { report, since_unix_ms }
    }

    /// Nothing is known, because nothing is gathered.
    #[must_use]
    pub fn disabled() -> TrafficSince {
        let mut report = traffic(Gathered::new(Duration::ZERO), Duration::ZERO, steps(WINDOW_MAX));
        report.enabled = false;
        TrafficSince::new(Arc::new(report), 0)
    }
}

impl Serialize for TrafficSince {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            report: &'a TrafficReport,
            series: Series,
        }
        let series = self.report.series.since(self.since_unix_ms);
        Told { report: &self.report, series }.serialize(serializer)
    }
}

/// What a report is made of.
#[derive(Debug)]
pub(super) struct Gathered {
    /// All of the window.
    all: Second,
    /// The seconds that are over.
    series: Series,
    /// The second that is not.
    now: u64,
    /// Pairs by key, with what they had in the window.
    pub(super) edges: Vec<(Box<[u8]>, Cell)>,
    pub(super) rest: Option<Cell>,
}

impl Gathered {
    /// Nothing yet, `elapsed` after the view began.
    pub(super) fn new(elapsed: Duration) -> Gathered {
        let now = elapsed.as_secs();
        let first = now.saturating_sub(SECONDS as u64 - 1);
        let series = Series::new(1, clock(elapsed).0 + first * 1000);
        Gathered { all: Second::default(), series, now, edges: Vec::new(), rest: None }
    }

    /// The next second, with what came in it. The window begins at `from`.
    pub(super) fn second(&mut self, at: u64, from: u64, second: Option<&Second>) {
        if let Some(it) = second.filter(|_| at >= from) {
            self.all.cell.merge(&it.cell);
            self.all.records += it.records;
            self.all.looked += it.looked;
        }
        if at < self.now {
            self.series.push(second.map(|it| &it.cell));
        }
    }
}

fn unix_ms(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as u64)
}

/// When the clock of the view began, in unix milliseconds, and now.
fn clock(elapsed: Duration) -> (u64, u64) {
    let now = unix_ms(SystemTime::now());
    (now.saturating_sub(elapsed.as_millis() as u64), now)
}

/// Steps of a window: whole ones, to which the one comes that is not over.
pub(super) fn steps(window_s: u64) -> u64 {
    window_s.clamp(STEP_SECONDS, WINDOW_MAX).div_ceil(STEP_SECONDS)
}

/// Where a window of so many steps begins.
pub(super) fn first_second(elapsed: Duration, steps: u64) -> u64 {
    (elapsed.as_secs() / STEP_SECONDS).saturating_sub(steps) * STEP_SECONDS
}

pub(super) fn traffic(gathered: Gathered, elapsed: Duration, steps: u64) -> TrafficReport {
    let Gathered { all, series, edges, rest, .. } = gathered;
    let (_, now) = clock(elapsed);
    // Of a process that has just started nothing else can be said than that all came within a second.
    let window = (elapsed.as_secs_f64() - first_second(elapsed, steps) as f64).max(1.0);
    let mut edges: Vec<Edge> = edges.iter().filter_map(|(key, cell)| edge_of(key, cell, window)).collect();
    // The busiest first.
    let names = |it: &Edge| (it.mesh.clone(), it.source.clone(), it.destination.clone());
    edges.sort_by(|one, other| other.rps.total_cmp(&one.rps).then_with(|| names(one).cmp(&names(other))));
    let mut services = BTreeSet::new();
    for edge in &edges {
        services.extend(edge.source.iter().chain(&edge.destination).map(String::as_str));
    }
    TrafficReport {
        now,
        enabled: true,
        window_s: window,
        sampled: if all.records == 0 { 1.0 } else { all.looked as f64 / all.records as f64 },
        records: all.records as f64 / window,
        services: services.len(),
        other: rest.map(|cell| measured(&cell, window)),
        totals: measured(&all.cell, window),
        series,
        flags: flags(&all.cell, window),
        statuses: ["1xx", "2xx", "3xx", "4xx", "5xx", "none"]
            .into_iter()
            .zip(all.cell.classes)
            .map(|(class, count)| (class, count as f64 / window))
            .collect(),
        edges,
    }
}

const _: () = assert!(CLASSES == 6);

fn edge_of(key: &[u8], cell: &Cell, window: f64) -> Option<Edge> {
    let (protocol, [mesh, source, destination]) = read_key(key)?;
    Some(Edge { mesh, source, destination, protocol: Some(protocol), ..measured(cell, window) })
}

fn measured(cell: &Cell, window: f64) -> Edge {
    let per_second = |count: u64| count as f64 / window;
    let mut flags: Vec<_> = FLAGS.iter().zip(cell.flags).filter(|(_, count)| *count > 0).collect();
    flags.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Edge {
        mesh: None,
        source: None,
        destination: None,
        protocol: None,
        rps: per_second(cell.requests),
        error_rps: per_second(cell.errors),
        client_error_rps: per_second(cell.client_errors),
        p50_ms: cell.durations.quantile_ms(0.5),
        p99_ms: cell.durations.quantile_ms(0.99),
        max_ms: cell.durations.max_ms(),
        bytes_in_s: per_second(cell.bytes_in),
        bytes_out_s: per_second(cell.bytes_out),
        flags: flags.iter().take(EDGE_FLAGS_MAX).map(|(it, count)| (it.short, per_second(u64::from(*count)))).collect(),
        total: cell.requests,
    }
}

fn flags(cell: &Cell, window: f64) -> Vec<Flag> {
    let mut flags: Vec<Flag> = FLAGS
        .iter()
        .zip(cell.flags)
        .filter(|(_, count)| *count > 0)
        .map(|(it, count)| Flag {
            flag: it.short,
            long: it.long,
            what: it.meaning,
            causes: it.causes,
            check: it.check,
            blame: match it.blame {
                Blame::Nobody => "nobody",
                Blame::Client => "client",
                Blame::Upstream => "upstream",
                Blame::Proxy => "proxy",
                Blame::Policy => "policy",
            },
            rps: f64::from(count) / window,
        })
        .collect();
    flags.sort_by(|one, other| other.rps.total_cmp(&one.rps));
    flags
}

impl Series {
    fn new(step_s: u64, start: u64) -> Series {
        Series { step_s, start, ..Series::default() }
    }

    fn push(&mut self, cell: Option<&Cell>) {
        self.requests.push(cell.map_or(0, |it| it.requests));
        self.errors.push(cell.map_or(0, |it| it.errors));
        self.client_errors.push(cell.map_or(0, |it| it.client_errors));
        self.p50_ms.push(cell.and_then(|it| it.durations.quantile_ms(0.5)));
        self.p99_ms.push(cell.and_then(|it| it.durations.quantile_ms(0.99)));
    }

    /// The steps that begin at this time or later.
    fn since(&self, unix_ms: u64) -> Series {
        let step_ms = self.step_s * 1000;
        let skipped = unix_ms.saturating_sub(self.start).div_ceil(step_ms.max(1));
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(self.requests.len());
        Series {
            step_s: self.step_s,
            start: self.start + skipped as u64 * step_ms,
            requests: self.requests[skipped..].to_vec(),
            errors: self.errors[skipped..].to_vec(),
            client_errors: self.client_errors[skipped..].to_vec(),
            p50_ms: self.p50_ms[skipped..].to_vec(),
            p99_ms: self.p99_ms[skipped..].to_vec(),
        }
    }
}

/// What a pair, or a service, had step by step.
pub(super) fn edge(history: &History, elapsed: Duration) -> EdgeReport {
    let (began, now) = clock(elapsed);
    let step = elapsed.as_secs() / STEP_SECONDS;
    let first = step.saturating_sub(STEPS as u64 - 1);
    let mut series = Series::new(STEP_SECONDS, began + first * STEP_SECONDS * 1000);
    (first..step).for_each(|at| series.push(history.get(at)));
    EdgeReport { now, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_from_a_time_on() {
        let mut series = Series::new(1, 10_000);
        for requests in 1..=3 {
            series.push(Some(&Cell { requests, ..Cell::default() }));
        }
        let check = |since: u64, start: u64, requests: &[u64]| {
            let got = series.since(since);
            assert_eq!((got.start, &*got.requests), (start, requests), "{since}");
            let lengths = [got.errors.len(), got.client_errors.len(), got.p50_ms.len(), got.p99_ms.len()];
            assert_eq!(lengths, [requests.len(); 4]);
        };
        check(0, 10_000, &[1, 2, 3]);
        check(10_000, 10_000, &[1, 2, 3]);
        check(10_001, 11_000, &[2, 3]);
        check(11_000, 11_000, &[2, 3]);
        check(12_500, 13_000, &[]);
        check(u64::MAX, 13_000, &[]);
    }
}
