//! The end, in order: sources first, so that what they have received reaches the inboxes, then
//! the inboxes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::journal::CatchUps;
use super::{Request, SOURCES_SHARE};
use crate::inbox::Inbox;
use crate::sink::Running;

/// Requests to stop within so long are one: who signals a process and its group signals twice.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// Waits for the sources, which were told to stop, then closes the inboxes and waits for the sinks.
pub async fn drain(
    mut tasks: JoinSet<()>,
    inboxes: &[Arc<Inbox>],
    running: &mut Vec<Running>,
    catch_ups: Option<CatchUps>,
    grace: Duration,
    drain_until: Instant,
) {
    if let Some(catch_ups) = catch_ups {
        catch_ups.stop().await;
    }
    let sources_ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(grace.mul_f32(SOURCES_SHARE), sources_ended).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    for sink in running.iter() {
        sink.stop(drain_until);
    }
    for inbox in inboxes {
        inbox.close();
    }
    for sink in running.drain(..) {
        let left = drain_until.saturating_duration_since(Instant::now());
        if tokio::time::timeout(left, sink.ended()).await.is_err() {
            tracing::warn!("a sink did not end in time");
        }
    }
}

/// Waits for another request to stop.
pub async fn stop_again(requests: &mut Receiver<Request>) {
    let first = Instant::now();
    loop {
        match requests.recv().await {
            Some(Request::Stop) if first.elapsed() > ONE_REQUEST => return,
            Some(Request::Stop | Request::Reopen) => {}
            None => return std::future::pending().await,
        }
    }
}
