//! Durations in few numbers: buckets that are exact below 16 ms and an eighth of a power of two wide
//! from there.

/// Buckets of an octave.
const PARTS: u64 = 8;
/// Longest duration that is told from longer ones: about an hour and ten minutes.
const MS_MAX: u64 = (1 << 22) - 1;
/// One bucket for each number below 16, then eight for each octave.
pub const BUCKETS: usize = 16 + 18 * PARTS as usize;

/// How often which duration came, in whole milliseconds. What it says of a quantile is the middle of a
/// bucket: exact below 16 ms, else at most a sixteenth too high or too low.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    max_ms: u32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; BUCKETS], max_ms: 0 }
    }
}

fn bucket(ms: u64) -> usize {
    let ms = ms.min(MS_MAX);
    if ms < 16 {
        return ms as usize;
    }
    let octave = u64::from(ms.ilog2());
    let part = (ms >> (octave - 3)) - PARTS;
    (16 + (octave - 4) * PARTS + part) as usize
}

/// The smallest number in a bucket, and how many it holds.
fn range(bucket: usize) -> (u64, u64) {
    if bucket < 16 {
        return (bucket as u64, 1);
    }
    let above = bucket as u64 - 16;
    let octave = 4 + above / PARTS;
    let width = 1 << (octave - 3);
    ((PARTS + above % PARTS) * width, width)
}

impl Histogram {
    /// So many records took so long. Counts stay at their highest value.
    pub fn add(&mut self, ms: u64, count: u64) {
        let slot = &mut self.counts[bucket(ms)];
        *slot = slot.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.max_ms = self.max_ms.max(ms.min(MS_MAX) as u32);
    }

    /// What the other one has too.
    pub fn merge(&mut self, other: &Histogram) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*other);
        }
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    /// The longest, in milliseconds; `None` when nothing was added.
    #[must_use]
    pub fn max_ms(&self) -> Option<u32> {
        self.counts.iter().any(|it| *it > 0).then_some(self.max_ms)
    }

    /// The duration that the share `quantile` of all took at most, in milliseconds; `None` when nothing
    /// was added.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().map(|it| u64::from(*it)).sum();
        let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        let at = self.counts.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        let (low, width) = range(at);
        let middle = low as f64 + (width - 1) as f64 / 2.0;
        Some(middle.min(f64::from(self.max_ms)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for at in 0..BUCKETS {
            let (low, width) = range(at);
            assert_eq!(low, next, "{at}");
            assert_eq!((bucket(low), bucket(low + width - 1)), (at, at));
            next = low + width;
        }
        assert_eq!(next, MS_MAX + 1);
    }

    #[test]
    fn nothing_has_no_quantile() {
        let none = Histogram::default();
        assert_eq!((none.quantile_ms(0.5), none.max_ms()), (None, None));
    }

    proptest! {
        /// Guarantee: a quantile is within a sixteenth of the one of the numbers themselves, and exact
        /// below 16 ms.
        #[test]
        fn a_quantile_is_within_its_bound(
            mut values in proptest::collection::vec(prop_oneof![0..40u64, 0..5_000u64, 0..MS_MAX], 1..200),
            share in 0.0..1.0f64,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|it| histogram.add(*it, 1));
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let said = histogram.quantile_ms(share).unwrap();
            let bound = if exact < 16.0 { 0.0 } else { exact / 16.0 };
            prop_assert!((said - exact).abs() <= bound, "{said} for {exact}");
            prop_assert_eq!(histogram.max_ms(), values.last().map(|it| *it as u32));
        }

        #[test]
        fn merging_is_adding(values in proptest::collection::vec((0..u64::MAX, 0..9u64), 0..50), at in 0..50usize) {
            let fill = |values: &[(u64, u64)]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|(ms, count)| histogram.add(*ms, *count));
                histogram
            };
            let (some, rest) = values.split_at(at.min(values.len()));
            let mut merged = fill(some);
            merged.merge(&fill(rest));
            prop_assert_eq!(merged, fill(&values));
        }
    }
}
