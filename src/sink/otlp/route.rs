//! Which of several endpoints is used: the first that works, in the order they are written.

use std::time::Duration;

use tokio::time::Instant;

/// How long another endpoint is used before the first is tried again.
pub(super) const RETURN_PAUSE: Duration = Duration::from_secs(60);

/// The endpoint in use, by its place in the list.
#[derive(Debug)]
pub(super) struct Route {
    endpoints: usize,
    current: usize,
    failed_in_row: usize,
    left_first: Option<Instant>,
}

impl Route {
    /// The first of `endpoints`.
    pub(super) fn new(endpoints: usize) -> Route {
        Route { endpoints: endpoints.max(1), current: 0, failed_in_row: 0, left_first: None }
    }

    /// The endpoint in use.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// Goes back to the first endpoint when it has been left long enough. To be called before a
    /// request, while none is in flight.
    pub(super) fn maybe_return(&mut self, now: Instant) {
        if self.left_first.is_some_and(|left| now.duration_since(left) >= RETURN_PAUSE) {
            self.current = 0;
            self.left_first = None;
        }
    }

    /// The endpoint in use works.
    pub(super) fn works(&mut self) {
        self.failed_in_row = 0;
    }

    /// The endpoint in use does not: the next one is. False when all have failed in a row, and it
    /// is time for a pause.
    pub(super) fn fails(&mut self, now: Instant) -> bool {
        self.failed_in_row += 1;
        self.current = (self.current + 1) % self.endpoints;
        self.left_first = (self.current != 0).then_some(self.left_first.unwrap_or(now));
        !self.failed_in_row.is_multiple_of(self.endpoints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn in_order_then_a_pause_then_the_first_again() {
        let start = Instant::now();
        let mut route = Route::new(3);
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push((route.current(), route.fails(start)));
        }
        assert_eq!(seen, [(0, true), (1, true), (2, false), (0, true), (1, true), (2, false)]);

        assert!(route.fails(start));
        route.works();
        route.maybe_return(start + RETURN_PAUSE / 2);
        assert_eq!(route.current(), 1);
        route.maybe_return(start + RETURN_PAUSE);
        assert_eq!(route.current(), 0);
        assert!(route.fails(start + RETURN_PAUSE));
        assert_eq!(route.current(), 1);
    }

    #[tokio::test]
    async fn one_endpoint_is_always_the_one() {
        let mut route = Route::new(1);
        assert!(!route.fails(Instant::now()));
        assert!(!route.fails(Instant::now()));
        assert_eq!(route.current(), 0);
    }
}
