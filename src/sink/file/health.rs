//! Whether writing works: a row of failures, what is told of it, and how long to wait after each.

use std::time::{Duration, Instant};

use super::context::Trouble;
use super::stats::FileStats;

/// First and longest pause between attempts while writing fails.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often it is told that writing still fails.
const REMIND: Duration = Duration::from_secs(60);

/// The state of health of a sink.
#[derive(Debug, Default)]
pub struct Health {
    failing: Option<Failing>,
}

/// A row of failures without a success.
#[derive(Debug)]
struct Failing {
    since: Instant,
    told: Instant,
    failures: u64,
    pause: Duration,
}

impl Health {
    /// True since a failure, until the next success.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Takes note of what an attempt of `sink` came to. True when it was a success.
    pub fn note(&mut self, result: Result<(), Trouble>, sink: &str, stats: &FileStats) -> bool {
        let Err(trouble) = result else {
            if let Some(failing) = self.failing.take() {
                stats.set_healthy(true);
                let (failures, seconds) = (failing.failures, failing.since.elapsed().as_secs());
                tracing::info!(%sink, failures, seconds, "writing works again");
            }
            return true;
        };
        stats.write_errors.add(1);
        stats.set_healthy(false);
        stats.set_last_error(trouble.to_string());
        let now = Instant::now();
        let is_first = self.failing.is_none();
        let failing = self.failing.get_or_insert(Failing { since: now, told: now, failures: 0, pause: PAUSE_MIN });
        failing.failures += 1;
        if is_first || failing.told.elapsed() >= REMIND {
            failing.told = now;
            let failures = failing.failures;
            tracing::error!(%sink, failures, error = %trouble, "cannot write, holding the records and trying again");
        }
        false
    }

    /// How long to wait before the next attempt: longer after each failure.
    pub fn pause(&mut self) -> Duration {
        self.failing.as_mut().map_or(PAUSE_MIN, |failing| {
            let longer = (failing.pause * 2).min(PAUSE_MAX);
            std::mem::replace(&mut failing.pause, longer)
        })
    }
}
