//! The end, in order: sources first, so that what they have received reaches the inboxes, then
//! the inboxes.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::{Request, SOURCES_SHARE, Server};

/// Requests to stop within so long are one: who signals a process and its group signals twice.
const ONE_REQUEST: Duration = Duration::from_millis(500);

impl Server {
    /// Waits for the sources, which were told to leave off, then closes the inboxes and waits for the
    /// sinks.
    pub(super) async fn drain(&mut self, until: Instant) {
        let grace = self.checked.config().shutdown.grace.0;
        if let Some(catch_ups) = self.catch_ups.take() {
            catch_ups.stop().await;
        }
        let sources_ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(grace.mul_f32(SOURCES_SHARE), sources_ended).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        for sink in self.sinks.values() {
            sink.stop(until);
        }
        while let Some((_, sink)) = self.sinks.pop_first() {
            sink.ended(until).await;
        }
        let replaced_ended = async { while self.ending.join_next().await.is_some() {} };
        let _late = tokio::time::timeout_at(until, replaced_ended).await;
    }
}

/// Waits for another request to stop.
pub async fn stop_again(requests: &mut Receiver<Request>) {
    let first = Instant::now();
    loop {
        match requests.recv().await {
            Some(Request::Stop) if first.elapsed() > ONE_REQUEST => return,
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}
