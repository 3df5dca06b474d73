//! Trouble that repeats is logged once, then counted.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a call site is silent after a line.
const SILENCE: Duration = Duration::from_secs(10);

/// One call site of the own log, as a `static` or a field: at most one line in ten seconds.
///
/// ```
/// # use logboom::telemetry::Quiet;
/// static TROUBLE: Quiet = Quiet::new();
/// if let Some(suppressed) = TROUBLE.allow() {
///     tracing::warn!(suppressed, "cannot accept a connection");
/// }
/// ```
///
/// Lock-free, without allocation. Repeats after the last line of all are never told; whatever
/// matters is also a metric.
#[derive(Debug, Default)]
pub struct Quiet {
    /// Milliseconds on the clock of [`now_ms`] from which a line may be written.
    next_ms: AtomicU64,
    suppressed: AtomicU64,
}

impl Quiet {
    /// A call site that has not spoken yet.
    #[must_use]
    pub const fn new() -> Quiet {
        Quiet { next_ms: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// `Some` when the line may be written, with the number of lines that were not since the
    /// last one. Of callers at the same time, one gets it.
    #[must_use]
    pub fn allow(&self) -> Option<u64> {
        self.allow_at(now_ms())
    }

    fn allow_at(&self, now_ms: u64) -> Option<u64> {
        let next_ms = self.next_ms.load(Ordering::Relaxed);
        let after = now_ms.saturating_add(SILENCE.as_millis() as u64);
        let mine = now_ms >= next_ms
            && self.next_ms.compare_exchange(next_ms, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Milliseconds on a clock that never goes back and begins with its first use.
fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds() {
        let quiet = Quiet::new();
        let check = |now_ms, expected| assert_eq!(quiet.allow_at(now_ms), expected, "{now_ms}");
        check(0, Some(0));
        check(0, None);
        check(5_000, None);
        check(9_999, None);
        check(10_000, Some(3));
        check(19_999, None);
        check(60_000, Some(1));
        check(70_000, Some(0));
    }

    #[test]
    fn one_of_many_speaks_and_none_is_forgotten() {
        let quiet = Quiet::new();
        let count = |now_ms| {
            std::thread::scope(|scope| {
                let speakers: Vec<_> = (0..8).map(|_| scope.spawn(|| quiet.allow_at(now_ms))).collect();
                speakers.into_iter().filter_map(|it| it.join().unwrap()).count()
            })
        };
        assert_eq!(count(0), 1);
        assert_eq!(quiet.allow_at(10_000), Some(7));
    }
}
