//! What came within some time: counts, never records.

use super::histogram::Histogram;
use super::sighting::Measures;
use crate::semantics::FLAGS;

/// Classes of status: 1xx to 5xx, and none.
pub const CLASSES: usize = 6;

/// Some records, added up.
#[derive(Clone, Debug)]
pub struct Cell {
    pub requests: u64,
    pub errors: u64,
    pub client_errors: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub classes: [u64; CLASSES],
    /// In the order of [`FLAGS`].
    pub flags: [u32; FLAGS.len()],
    pub durations: Histogram,
}

impl Default for Cell {
    fn default() -> Self {
        Cell {
            requests: 0,
            errors: 0,
            client_errors: 0,
            bytes_in: 0,
            bytes_out: 0,
            classes: [0; CLASSES],
            flags: [0; FLAGS.len()],
            durations: Histogram::default(),
        }
    }
}

impl Cell {
    /// One that was looked at, for `weight` records. Sums stay at their highest value.
    pub fn add(&mut self, measures: &Measures, weight: u64) {
        self.requests = self.requests.saturating_add(weight);
        self.errors = self.errors.saturating_add(u64::from(measures.error) * weight);
        self.client_errors = self.client_errors.saturating_add(u64::from(measures.client_error) * weight);
        self.bytes_in = self.bytes_in.saturating_add(measures.bytes_in.saturating_mul(weight));
        self.bytes_out = self.bytes_out.saturating_add(measures.bytes_out.saturating_mul(weight));
        let class = match measures.status {
            Some(status @ 100..600) => usize::from(status / 100 - 1),
            Some(600..) => CLASSES - 2,
            _ => CLASSES - 1,
        };
        self.classes[class] = self.classes[class].saturating_add(weight);
        let mut flags = measures.flags;
        while flags != 0 {
            if let Some(count) = self.flags.get_mut(flags.trailing_zeros() as usize) {
                *count = count.saturating_add(u32::try_from(weight).unwrap_or(u32::MAX));
            }
            flags &= flags - 1;
        }
        if let Some(ms) = measures.duration_ms {
            self.durations.add(ms, weight);
        }
    }

    /// What the other one has too.
    pub fn merge(&mut self, other: &Cell) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.client_errors = self.client_errors.saturating_add(other.client_errors);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.classes.iter_mut().zip(other.classes).for_each(|(own, other)| *own = own.saturating_add(other));
        self.flags.iter_mut().zip(other.flags).for_each(|(own, other)| *own = own.saturating_add(other));
        self.durations.merge(&other.durations);
    }
}
