//! Bytes in flight: one number for the whole process, divided so that no one can take it all.
//!
//! A source reserves before it reads or inflates, once and for all it is going to need: who held
//! a part and waited for more would, in a crowd, wait for ever. It gives back when the last sink
//! has taken what came of the bytes; from then on they count in the sink's inbox, which has a
//! share of its own. Waiting is fair: a large reservation is not starved by small ones.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// A share of the budget. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    total: usize,
}

impl Budget {
    /// A share of `total` bytes, at most 4 GiB.
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

/// The budget of the process, divided. What the inboxes hold is the rest of it.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Lines being read, decoded and encoded.
    pub lines: Budget,
    /// Requests up to [`Shares::LARGE_REQUEST`]: all that a mesh proxy sends. Large ones cannot
    /// take their place.
    pub requests: Budget,
    /// Larger requests, and those whose size shows only when they are inflated.
    pub large_requests: Budget,
    inboxes: u64,
}

impl Shares {
    /// Bytes above which a request is large. Envoy sends 16 KiB, or one record of up to its limit
    /// for headers.
    pub const LARGE_REQUEST: usize = 256 << 10;
    /// Smallest share for lines, and for small requests.
    pub const SHARE_MIN: u64 = 4 << 20;

    /// Divides `total` bytes of which the inboxes have `inboxes`, for requests of at most
    /// `message_max`; `None` when there are no requests.
    #[must_use]
    pub fn new(total: u64, inboxes: u64, message_max: Option<u64>) -> Shares {
        let left = total.saturating_sub(inboxes);
        let share = |bytes: u64| Budget::new(usize::try_from(bytes.max(Shares::SHARE_MIN)).unwrap_or(usize::MAX));
        let Some(message_max) = message_max else {
            let (requests, large_requests) = (Budget::new(0), Budget::new(0));
            return Shares { lines: share(left), requests, large_requests, inboxes };
        };
        let large = message_max.max(left / 8 * 3);
        let lines = (left / 4).min(left.saturating_sub(large + Shares::SHARE_MIN));
        let small = left.saturating_sub(lines + large);
        Shares { lines: share(lines), requests: share(small), large_requests: share(large), inboxes }
    }

    /// The share for a request of so many bytes.
    #[must_use]
    pub fn for_request(&self, bytes: usize) -> &Budget {
        if bytes <= Shares::LARGE_REQUEST { &self.requests } else { &self.large_requests }
    }

    /// Bytes that are reserved now, inboxes aside.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.lines.reserved() + self.requests.reserved() + self.large_requests.reserved()
    }

    /// The whole budget in bytes, inboxes included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.inboxes + self.lines.total() + self.requests.total() + self.large_requests.total()
    }
}

/// Bytes taken from a share until this is dropped.
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
        drop(second);
        assert_eq!(budget.reserved(), 20);
        drop(first);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn shares_add_up_and_leave_room_for_everyone() {
        let check = |total: u64, inboxes: u64, message_max: Option<u64>, expected: [u64; 3]| {
            let shares = Shares::new(total << 20, inboxes << 20, message_max.map(|it| it << 20));
            let got = [&shares.lines, &shares.requests, &shares.large_requests].map(|it| it.total() >> 20);
            assert_eq!(got, expected, "{total} {inboxes} {message_max:?}");
            assert_eq!(shares.total() >> 20, total);
        };
        check(64, 16, None, [48, 0, 0]);
        check(64, 16, Some(16), [12, 18, 18]);
        check(32, 8, Some(16), [4, 4, 16]);
        check(1024, 256, Some(16), [192, 288, 288]);
    }

    #[tokio::test]
    async fn more_than_all_is_all() {
        let budget = Budget::new(100);
        let all = budget.reserve(1_000_000).await;
        assert_eq!(all.bytes(), 100);
    }
}
