//! When the next records may go, and when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::args::Plan;

/// Shortest sleep: at high rates records go in slices of a millisecond, because waking for each
/// record would cost more than sending it.
const SLICE: Duration = Duration::from_millis(1);
/// Longest sleep, so that Ctrl-C is seen.
const NAP_MAX: Duration = Duration::from_millis(100);

/// What a connection should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send so many records.
    Send(u32),
    /// Come back after this time.
    Wait(Duration),
    /// Nothing more is to be sent.
    Over,
}

/// Hands out one connection's share of the records along the monotonic clock. A connection that
/// fell behind (a slow collector) catches up as fast as it can: the load is what was asked for,
/// not what the collector likes.
#[derive(Debug)]
pub(super) struct Pacer {
    started: Instant,
    deadline: Option<Instant>,
    per_second: Option<f64>,
    left: u64,
    given: u64,
    /// Fewest records worth a turn.
    batch: u32,
    stop: Arc<AtomicBool>,
}

impl Pacer {
    pub fn new(started: Instant, plan: &Plan, index: u32, stop: Arc<AtomicBool>) -> Pacer {
        let connections = u64::from(plan.connections);
        let share = |all: u64| all / connections + u64::from(u64::from(index) < all % connections);
        Pacer {
            started,
            deadline: plan.duration.map(|duration| started + duration),
            per_second: plan.per_second.map(|rate| rate as f64 / connections as f64),
            left: plan.count.map_or(u64::MAX, share),
            given: 0,
            batch: plan.batch,
            stop,
        }
    }

    /// True when the run has ended whatever is left: the time is up or the user stopped it.
    pub fn ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// [`Pacer::turn`] for one request.
    pub fn request(&mut self) -> Turn {
        self.turn(self.batch)
    }

    /// What to do now; at most `most` records, which are then accounted as sent. `most` must be at
    /// least the batch.
    pub fn turn(&mut self, most: u32) -> Turn {
        if self.left == 0 || self.ended() {
            return Turn::Over;
        }
        let most = self.left.min(u64::from(most));
        let batch = self.left.min(u64::from(self.batch));
        let number = match self.per_second {
            None => most,
            Some(per_second) => {
                let elapsed = self.started.elapsed().as_secs_f64();
                let due = ((elapsed * per_second) as u64).saturating_sub(self.given);
                if due < batch {
                    let wait = (self.given + batch) as f64 / per_second - elapsed;
                    return Turn::Wait(Duration::from_secs_f64(wait.max(0.0)).clamp(SLICE, NAP_MAX));
                }
                due.min(most)
            }
        };
        self.left -= number;
        self.given += number;
        Turn::Send(number as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Target;

    fn plan(per_second: Option<u64>, count: Option<u64>, batch: u32) -> Plan {
        let target = Target::Stdout;
        Plan { target, connections: 3, per_write: 0, per_second, count, duration: None, batch }
    }

    fn drain(mut pacer: Pacer, most: u32) -> Vec<u32> {
        let mut sent = Vec::new();
        while let Turn::Send(number) = pacer.turn(most) {
            sent.push(number);
        }
        sent
    }

    #[test]
    fn the_count_is_shared_without_a_rest() {
        let plan = plan(None, Some(50), 7);
        let stop = Arc::new(AtomicBool::new(false));
        let of = |index| drain(Pacer::new(Instant::now(), &plan, index, stop.clone()), 7);
        assert_eq!(of(0), [7, 7, 3]);
        assert_eq!(of(1), [7, 7, 3]);
        assert_eq!(of(2), [7, 7, 2]);
    }

    #[test]
    fn a_rate_follows_the_clock_and_never_runs_ahead_of_it() {
        let plan = plan(Some(3_000), Some(1_000_000), 17);
        let stop = Arc::new(AtomicBool::new(false));
        // Ten seconds late: ten thousand are due at once, in turns of at most 4096.
        let late = Instant::now() - Duration::from_secs(10);
        let mut pacer = Pacer::new(late, &plan, 0, stop.clone());
        assert_eq!(pacer.turn(4096), Turn::Send(4096));
        assert_eq!(pacer.turn(4096), Turn::Send(4096));
        // At the start nothing is due.
        let mut pacer = Pacer::new(Instant::now() + Duration::from_secs(1), &plan, 0, stop.clone());
        assert!(matches!(pacer.turn(17), Turn::Wait(_)));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(pacer.turn(17), Turn::Over);
    }
}
