//! What was sent, what was answered, and what the user reads at the end.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::Serialize;
use tonic::Code;

use super::args::{GenArgs, Plan};

/// What one connection did. It is locked for each write or answer, never for longer, so that the
/// report can be made while a connection hangs.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    records: u64,
    bytes: u64,
    refused: u64,
    requests: BTreeMap<String, u64>,
    latency: Latency,
    errors: BTreeMap<String, u64>,
    ids: Option<(String, String)>,
    ended: Option<Instant>,
}

/// Distinct error texts kept of each connection.
const ERRORS_MAX: usize = 8;

impl Tally {
    pub fn sent(&self, records: u64, bytes: u64) {
        let mut counts = self.lock();
        counts.records += records;
        counts.bytes += bytes;
    }

    pub fn answered(&self, code: Code, records: u64, refused: u64, latency: Duration) {
        let mut counts = self.lock();
        counts.refused += refused.min(records);
        let name = if code == Code::Ok && refused > 0 { "PARTIAL_SUCCESS" } else { code_name(code) };
        match counts.requests.get_mut(name) {
            Some(number) => *number += 1,
            None => drop(counts.requests.insert(name.to_owned(), 1)),
        }
        counts.latency.add(latency);
    }

    /// Keeps why a request was refused.
    pub fn explain(&self, code: Code, message: &str) {
        self.fail(format!("{}: {message}", code_name(code)));
    }

    pub fn fail(&self, error: String) {
        let mut counts = self.lock();
        if counts.errors.len() < ERRORS_MAX || counts.errors.contains_key(&error) {
            *counts.errors.entry(error).or_default() += 1;
        }
    }

    /// Notes the end and the numbers given.
    pub fn finish(&self, ids: Option<(String, String)>) {
        let mut counts = self.lock();
        counts.ids = ids;
        counts.ended = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A count is whole after each of its additions, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the records went.
    pub target: String,
    /// Connections that were made.
    pub connections: u32,
    /// Records sent, refused ones included.
    pub records: u64,
    /// Bytes of lines with their newlines, or of requests without framing.
    pub bytes: u64,
    /// Seconds from the first record to the end of the last connection.
    pub seconds: f64,
    /// Records sent in a second.
    pub records_per_second: u64,
    /// CPU seconds that sending took this process, rendering before it left out.
    pub cpu_seconds: f64,
    /// Records in requests that were not answered OK, and those a partial success rejected.
    pub refused: u64,
    /// OTLP requests by gRPC code; `PARTIAL_SUCCESS` is OK with rejected records.
    pub requests: BTreeMap<String, u64>,
    /// Time from request to answer; absent for lines, which are never answered.
    pub latency_ms: Option<LatencyReport>,
    /// First and last number of each connection, with `--id`.
    pub ids: Vec<(String, String)>,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u64>,
    /// True when Ctrl-C ended the run.
    pub interrupted: bool,
}

/// Milliseconds, at most 3 % above the truth.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyReport {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// Longest.
    pub max: f64,
}

impl Report {
    pub(super) fn new(
        args: &GenArgs,
        plan: &Plan,
        started: Instant,
        cpu: Duration,
        tallies: &[Arc<Tally>],
        interrupted: bool,
    ) -> Report {
        let mut sum = Counts::default();
        let mut ended = started;
        let mut ids = Vec::new();
        for tally in tallies {
            let counts = tally.lock();
            sum.records += counts.records;
            sum.bytes += counts.bytes;
            sum.refused += counts.refused;
            sum.latency.merge(&counts.latency);
            for (from, to) in [(&counts.requests, &mut sum.requests), (&counts.errors, &mut sum.errors)] {
                for (name, number) in from {
                    *to.entry(name.clone()).or_default() += number;
                }
            }
            ids.extend(counts.ids.clone());
            ended = ended.max(counts.ended.unwrap_or_else(Instant::now));
        }
        let seconds = (ended - started).as_secs_f64();
        Report {
            target: args.target().to_string(),
            connections: plan.connections,
            records: sum.records,
            bytes: sum.bytes,
            seconds,
            records_per_second: (sum.records as f64 / seconds.max(1e-9)) as u64,
            cpu_seconds: cpu.as_secs_f64(),
            refused: sum.refused,
            requests: sum.requests,
            latency_ms: sum.latency.report(),
            ids,
            errors: sum.errors,
            interrupted,
        }
    }

    /// Writes the report for people.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        writeln!(
            out,
            "sent {} records, {} bytes to {} over {} connections in {:.3} s: {} records/s, {:.1} MB/s{interrupted}",
            self.records,
            self.bytes,
            self.target,
            self.connections,
            self.seconds,
            self.records_per_second,
            self.bytes as f64 / self.seconds.max(1e-9) / 1e6,
        )?;
        if !self.requests.is_empty() {
            let codes: Vec<String> = self.requests.iter().map(|(code, number)| format!("{code} {number}")).collect();
            writeln!(out, "requests: {}; records refused: {}", codes.join(", "), self.refused)?;
        }
        if let Some(latency) = self.latency_ms {
            writeln!(
                out,
                "answer after: p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms",
                latency.p50, latency.p99, latency.p99_9, latency.max
            )?;
        }
        for (first, last) in &self.ids {
            writeln!(out, "ids: {first} to {last}")?;
        }
        for (error, number) in &self.errors {
            writeln!(out, "error, {number} times: {error}")?;
        }
        Ok(())
    }

    /// Writes the report for programs, one JSON object and a newline.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn print_json(&self, out: &mut impl Write) -> anyhow::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        Ok(writeln!(out)?)
    }

    /// Whether everything was taken.
    ///
    /// # Errors
    ///
    /// When records were refused or a connection broke.
    pub fn verdict(&self) -> anyhow::Result<()> {
        if self.refused > 0 {
            bail!("{} of {} records were refused: the collector's log says why", self.refused, self.records);
        }
        if let Some(error) = self.errors.keys().next() {
            bail!("not everything could be sent: {error}");
        }
        Ok(())
    }
}

/// Latencies in buckets that are 3 % wide, so that a long run needs no more memory than a short
/// one.
#[derive(Debug)]
pub struct Latency {
    /// Numbers below 32 µs have buckets of their own; each further power of two has 32.
    buckets: Vec<u64>,
    number: u64,
    max: Duration,
}

const STEPS: usize = 32;
const BUCKETS: usize = STEPS * 60;

impl Default for Latency {
    fn default() -> Latency {
        Latency { buckets: vec![0; BUCKETS], number: 0, max: Duration::ZERO }
    }
}

impl Latency {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(STEPS.ilog2() + 1);
        // The top bit of the shifted number is the one that makes it 32 to 63.
        let bucket = shift as usize * STEPS + (micros >> shift) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.number += 1;
        self.max = self.max.max(latency);
    }

    fn merge(&mut self, other: &Latency) {
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to += from;
        }
        self.number += other.number;
        self.max = self.max.max(other.max);
    }

    /// The time that `part` (0 to 1) of the latencies do not exceed.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = ((self.number as f64 * part).ceil() as u64).max(1);
        if rank >= self.number {
            return self.max;
        }
        let mut seen = 0;
        for (bucket, number) in self.buckets.iter().enumerate() {
            seen += number;
            if seen >= rank {
                let shift = (bucket / STEPS).saturating_sub(1);
                let bottom = ((bucket - shift * STEPS) as u64) << shift;
                return Duration::from_micros(bottom + ((1 << shift) - 1)).min(self.max);
            }
        }
        self.max
    }

    fn report(&self) -> Option<LatencyReport> {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        (self.number > 0).then(|| LatencyReport {
            p50: ms(self.quantile(0.5)),
            p99: ms(self.quantile(0.99)),
            p99_9: ms(self.quantile(0.999)),
            max: ms(self.max),
        })
    }
}

/// The name that the gRPC specification gives a code.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_a_bucket_above_the_truth() {
        let mut latency = Latency::default();
        for micros in 1..=10_000 {
            latency.add(Duration::from_micros(micros));
        }
        let check = |part: f64, micros: u64| {
            let got = latency.quantile(part).as_micros() as u64;
            assert!((micros..=micros + micros / STEPS as u64 + 1).contains(&got), "{part}: {got}");
        };
        check(0.001, 10);
        check(0.5, 5_000);
        check(0.99, 9_900);
        check(1.0, 10_000);
    }

    #[test]
    fn no_latency_is_too_long_or_too_short() {
        let mut latency = Latency::default();
        for shift in 0..64 {
            latency.add(Duration::from_micros(1 << shift));
        }
        latency.add(Duration::ZERO);
        latency.add(Duration::MAX);
        assert_eq!(latency.quantile(1.0), Duration::MAX);
        assert_eq!(latency.quantile(0.0), Duration::ZERO);
    }
}
