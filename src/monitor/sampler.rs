//! Which records are looked at, so that looking costs the same at any rate: all up to a budget, one of
//! so many above it, each for those that were not looked at since the last one.
//!
//! Which one is left to chance: proxies log in patterns, such as each request once where it leaves and
//! once where it arrives, and every Nth would see one half of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Records that are looked at within a second, as an aim: when the rate jumps it takes a tenth of a
/// second, and some thousand looks more, to follow.
pub const LOOKS_PER_SECOND: u64 = 5_000;
/// How often the rate is looked at.
const TICKS_PER_SECOND: u64 = 10;
const LOOKS_PER_TICK: u64 = LOOKS_PER_SECOND / TICKS_PER_SECOND;
const TICK_NANOS: u64 = 1_000_000_000 / TICKS_PER_SECOND;

/// Shared by all that look. Lock-free; a payload costs a few counts.
#[derive(Debug, Default)]
pub struct Sampler {
    tick: AtomicU64,
    /// Records since the tick began.
    arrived: AtomicU64,
    /// Records looked at since the tick began.
    looked: AtomicU64,
    /// One of so many is looked at, as the tick before had it; 0 at first.
    stride: AtomicU64,
    /// Records that nobody stands for yet.
    pending: AtomicU64,
}

impl Sampler {
    /// Begins a payload of so many records that came at `unix_nano`. It borrows what is pending; of
    /// payloads at the same time one has it.
    #[must_use]
    pub fn begin(&self, records: u64, unix_nano: u64) -> Looks<'_> {
        let tick = unix_nano / TICK_NANOS;
        let before = self.tick.load(Ordering::Relaxed);
        if tick != before && self.tick.compare_exchange(before, tick, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let arrived = self.arrived.swap(0, Ordering::Relaxed);
            // After a pause the rate of before says nothing.
            let follows = before + 1 == tick;
            let stride = if follows { arrived.div_ceil(LOOKS_PER_TICK) } else { 1 };
            self.stride.store(stride, Ordering::Relaxed);
            self.looked.store(0, Ordering::Relaxed);
        }
        self.arrived.fetch_add(records, Ordering::Relaxed);
        // A rate that jumps within the tick doubles the stride again and again.
        let doubled = (self.looked.load(Ordering::Relaxed) / LOOKS_PER_TICK).min(16);
        let stride = self.stride.load(Ordering::Relaxed).max(1) << doubled;
        let stride = stride.max(records.div_ceil(LOOKS_PER_SECOND));
        let pending =
            if self.pending.load(Ordering::Relaxed) > 0 { self.pending.swap(0, Ordering::Relaxed) } else { 0 };
        let mut looks = Looks { sampler: self, stride, due: 1, left: records, pending, looked: 0 };
        looks.due = looks.draw();
        looks
    }
}

/// The looks at one payload.
#[derive(Debug)]
pub struct Looks<'a> {
    sampler: &'a Sampler,
    stride: u64,
    /// How many are pending when the next look comes.
    due: u64,
    /// Records of the payload that were not passed yet.
    left: u64,
    pending: u64,
    looked: u64,
}

impl Looks<'_> {
    /// The next record: `Some` when it is to be looked at, for so many records.
    #[inline]
    pub fn next(&mut self) -> Option<u64> {
        self.left = self.left.saturating_sub(1);
        self.pending += 1;
        if self.pending < self.due {
            return None;
        }
        self.looked += 1;
        self.due = self.draw();
        Some(std::mem::take(&mut self.pending))
    }

    /// As many as the stride on average, and any number up to twice of it.
    fn draw(&self) -> u64 {
        if self.stride == 1 { 1 } else { fastrand::u64(1..2 * self.stride) }
    }

    /// How many of the records that are left would be looked at, one after the other.
    #[must_use]
    pub fn coming(&self) -> u64 {
        // What is pending can be much, when many payloads ended early.
        ((self.pending.min(self.stride - 1) + self.left) / self.stride).min(self.left)
    }

    /// The same for `count` looks at whatever records of those that are left: for how many each
    /// stands. Nothing is left then.
    pub fn spread(&mut self, count: u64) -> impl Iterator<Item = u64> + use<> {
        let all = if count == 0 { 0 } else { self.pending + self.left };
        if count > 0 {
            (self.pending, self.left) = (0, 0);
            self.looked += count;
        }
        (0..count).map(move |at| {
            let upto = |at: u64| (u128::from(all) * u128::from(at) / u128::from(count.max(1))) as u64;
            upto(at + 1) - upto(at)
        })
    }
}

impl Drop for Looks<'_> {
    fn drop(&mut self) {
        // Records that were not even passed count for the next look as well.
        let pending = self.pending + self.left;
        if pending > 0 {
            self.sampler.pending.fetch_add(pending, Ordering::Relaxed);
        }
        if self.looked > 0 {
            self.sampler.looked.fetch_add(self.looked, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_795_175_317_000_000_000;

    /// Passes all records of a payload: looks, and for how many they stand.
    fn pass(sampler: &Sampler, records: u64, at: u64) -> (u64, u64) {
        let mut looks = sampler.begin(records, at);
        let weights: Vec<u64> = (0..records).filter_map(|_| looks.next()).collect();
        (weights.len() as u64, weights.iter().sum())
    }

    #[test]
    fn all_are_looked_at_within_the_budget() {
        let sampler = Sampler::default();
        for tick in 0..50 {
            let within = LOOKS_PER_TICK * 9 / 10;
            assert_eq!(pass(&sampler, within, START + tick * TICK_NANOS), (within, within));
        }
    }

    #[test]
    fn a_rate_above_the_budget_costs_the_budget() {
        let sampler = Sampler::default();
        let mut looked = 0;
        for tick in 0..20 {
            for part in 0..100 {
                let (looks, _) = pass(&sampler, 1_000, START + tick * TICK_NANOS + part);
                looked += if tick < 10 { 0 } else { looks };
            }
        }
        // A million a second.
        assert!((LOOKS_PER_SECOND * 9 / 10..=LOOKS_PER_SECOND * 11 / 10).contains(&looked), "{looked}");
    }

    #[test]
    fn a_jump_is_caught_within_the_tick() {
        let sampler = Sampler::default();
        let looked: u64 = (0..100).map(|_| pass(&sampler, 1_000, START).0).sum();
        assert!(looked < LOOKS_PER_SECOND, "{looked}");
        // A pause, and a few again: all of them.
        pass(&sampler, 1, START + 50 * TICK_NANOS);
        assert_eq!(pass(&sampler, 10, START + 50 * TICK_NANOS).0, 10);
    }

    /// Guarantee: a pattern in the records is not taken for what they are.
    #[test]
    fn a_pattern_does_not_deceive() {
        let sampler = Sampler::default();
        let (mut even, mut all) = (0, 0);
        for tick in 0..20 {
            let mut looks = sampler.begin(40_000, START + tick * TICK_NANOS);
            for at in 0..40_000 {
                let weight = looks.next().unwrap_or(0);
                even += if at % 2 == 0 { weight } else { 0 };
                all += weight;
            }
        }
        assert!((all * 45 / 100..=all * 55 / 100).contains(&even), "{even} of {all}");
    }

    proptest! {
        /// Guarantee: the looks stand for all records, but for those that the next look will stand for.
        #[test]
        fn weights_are_the_records(
            payloads in proptest::collection::vec((0..40_000u64, 0..20u64, 0..4u8), 0..60),
        ) {
            let sampler = Sampler::default();
            let (mut all, mut weights, mut now) = (0, 0, START);
            for (records, ticks, how) in payloads {
                now += ticks * TICK_NANOS / 7;
                all += records;
                let mut looks = sampler.begin(records, now);
                let passed = if how == 0 { records / 2 } else { records };
                if how == 3 {
                    let count = looks.coming();
                    prop_assert!(count <= LOOKS_PER_SECOND.min(records));
                    weights += looks.spread(count).inspect(|it| assert!(*it > 0)).sum::<u64>();
                } else {
                    weights += (0..passed).filter_map(|_| looks.next()).sum::<u64>();
                }
            }
            prop_assert_eq!(weights + sampler.pending.load(Ordering::Relaxed), all);
        }
    }
}
