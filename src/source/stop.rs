//! How a source is told to leave off.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tells one run of a source, and all its connections, to leave off. Clones tell the same run.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    park_until: Arc<OnceLock<Instant>>,
}

impl Stop {
    /// Not yet told.
    #[must_use]
    pub fn new() -> Stop {
        Stop::default()
    }

    /// For good: what has arrived is taken in, then connections are closed.
    pub fn drain(&self) {
        self.token.cancel();
    }

    /// For now: connections stop between two reads and stay open, to go on here or in another
    /// process. Who cannot stop by then is late.
    pub fn park(&self, until: Instant) {
        let _first = self.park_until.set(until);
        self.token.cancel();
    }

    /// Waits until it is told. Cancel-safe.
    pub async fn told(&self) {
        self.token.cancelled().await;
    }

    /// True once it was told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Until when connections may stop, if they are to stay open.
    #[must_use]
    pub fn park_until(&self) -> Option<Instant> {
        self.park_until.get().copied()
    }
}
