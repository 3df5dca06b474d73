//! The traffic of some time, as it is told: the JSON of `/api/traffic`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::cell::{CLASSES, Cell};
use super::edges::{History, STEP_SECONDS, STEPS, read_key};
use super::sighting::Protocol;
use super::traffic::{Board, SECONDS, Second};
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

impl TrafficReport {
    /// Nothing is known, because nothing is gathered.
    #[must_use]
    pub fn disabled() -> TrafficReport {
        let mut report = traffic(&Board::default(), Duration::ZERO, WINDOW_MAX, 0);
        report.enabled = false;
        report
    }

    /// The busiest first.
    pub(super) fn sort(&mut self) {
        let names = |it: &Edge| (it.mesh.clone(), it.source.clone(), it.destination.clone());
        self.edges.sort_by(|one, other| other.rps.total_cmp(&one.rps).then_with(|| names(one).cmp(&names(other))));
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

pub(super) fn traffic(board: &Board, elapsed: Duration, window_s: u64, since_unix_ms: u64) -> TrafficReport {
    let (began, now) = clock(elapsed);
    let second = elapsed.as_secs();
    // Whole steps, and the one that is not over.
    let steps = window_s.clamp(STEP_SECONDS, WINDOW_MAX).div_ceil(STEP_SECONDS);
    let from = (second / STEP_SECONDS).saturating_sub(steps) * STEP_SECONDS;
    // Of a process that has just started nothing else can be said than that all came within a second.
    let window = (elapsed.as_secs_f64() - from as f64).max(1.0);
    let mut all = Second::default();
    for (_, it) in board.seconds.since(from) {
        all.cell.merge(&it.cell);
        all.records += it.records;
        all.looked += it.looked;
    }
    let (cells, rest) = board.edges.since(from);
    let mut services = BTreeSet::new();
    let edges: Vec<Edge> = cells.iter().filter_map(|(key, cell)| edge_of(key, cell, window)).collect();
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
        series: seconds(board, began, second, since_unix_ms),
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
}

/// The seconds that are over.
fn seconds(board: &Board, began: u64, second: u64, since_unix_ms: u64) -> Series {
    let asked = since_unix_ms.saturating_sub(began).div_ceil(1000);
    let first = second.saturating_sub(SECONDS as u64 - 1).max(asked.min(second));
    let mut series = Series::new(1, began + first * 1000);
    (first..second).for_each(|at| series.push(board.seconds.get(at).map(|it| &it.cell)));
    series
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
