//! Bytes in flight: one number for the whole process.
//!
//! A source reserves before it reads or inflates; what it made of the bytes carries the
//! reservation to the sinks, and the last drop gives it back. Waiting is fair: a large
//! reservation is not starved by small ones.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The budget. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    total: usize,
}

impl Budget {
    /// A budget of `total` bytes, at most 4 GiB.
    #[must_use]
    pub fn new(total: usize) -> Budget {
        let total = total.min(u32::MAX as usize);
        Budget { free: Arc::new(Semaphore::new(total)), total }
    }

    /// Waits until `bytes` are free and takes them; more than the whole budget counts as the
    /// whole budget. Cancel-safe: a dropped wait takes nothing and loses its place.
    pub async fn reserve(&self, bytes: usize) -> Reservation {
        // The semaphore is never closed; were it, nothing would be taken and nothing given back.
        let permit = Arc::clone(&self.free).acquire_many_owned(self.clamp(bytes)).await.ok();
        Reservation { permit }
    }

    /// Takes `bytes` if they are free now.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        match Arc::clone(&self.free).try_acquire_many_owned(self.clamp(bytes)) {
            Ok(permit) => Some(Reservation { permit: Some(permit) }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Bytes that are reserved now.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        (self.total - self.free.available_permits().min(self.total)) as u64
    }

    /// The whole budget in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total as u64
    }

    fn clamp(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.total)).unwrap_or(u32::MAX)
    }
}

/// Bytes taken from the budget until this is dropped.
#[derive(Debug, Default)]
pub struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let extra = self.bytes().saturating_sub(bytes);
        if let Some(permit) = &mut self.permit {
            drop(permit.split(extra));
        }
    }

    /// Takes over what `other`, of the same budget, holds.
    pub fn merge(&mut self, other: Reservation) {
        match (&mut self.permit, other.permit) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }

    /// Splits off `bytes`, or as much as there is.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Reservation {
        let bytes = bytes.min(self.bytes());
        Reservation { permit: self.permit.as_mut().and_then(|permit| permit.split(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_comes_back() {
        let budget = Budget::new(100);
        let mut first = budget.try_reserve(60).unwrap();
        assert!(budget.try_reserve(50).is_none());
        first.shrink_to(20);
        let second = budget.try_reserve(80).unwrap();
        assert_eq!(budget.reserved(), 100);
        first.merge(second);
        assert_eq!(first.bytes(), 100);
        drop(first.split(30));
        assert_eq!(budget.reserved(), 70);
        drop(first);
        assert_eq!(budget.reserved(), 0);
    }

    #[tokio::test]
    async fn more_than_all_is_all() {
        let budget = Budget::new(100);
        let all = budget.reserve(1_000_000).await;
        assert_eq!(all.bytes(), 100);
    }
}
