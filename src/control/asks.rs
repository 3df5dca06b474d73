//! What the control socket asks of the server, and what it hears.

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that wait for the server. What comes beyond is refused.
const WAITING_MAX: usize = 16;

/// A request.
#[derive(Debug)]
pub enum Ask {
    /// Read the configuration again, and say what came of it.
    Reload(oneshot::Sender<Reloaded>),
    /// Drain and end.
    Stop,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Another configuration is in force.
    Reloaded,
    /// It is the same as before, or there is no file.
    Unchanged,
    /// It cannot be put into force, and that of before runs on.
    Refused,
}

/// What came of a reload.
#[derive(Clone, Debug, Serialize)]
pub struct Reloaded {
    /// In one word.
    pub outcome: Outcome,
    /// What is different now, such as `sinks added: files`.
    pub changes: Vec<String>,
    /// What holds but should be known.
    pub warnings: Vec<String>,
    /// Keys that stay as they are until a restart.
    pub needs_restart: Vec<&'static str>,
    /// Certificates that cannot be used, and why; those of before stay in use.
    pub certificates_refused: Vec<String>,
    /// Why it was refused: every mistake, with its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a drain ended.
#[derive(Clone, Debug, Serialize)]
pub struct Finished {
    /// Records that no sink took in time.
    pub undelivered: u64,
    /// A part of the process panicked, and the rest was drained.
    pub crashed: bool,
    /// The line that accounts for every record.
    pub ledger: String,
}

/// The way to the server, for whoever asks.
#[derive(Clone, Debug)]
pub struct Asks {
    asks: mpsc::Sender<Ask>,
    finished: watch::Receiver<Option<Finished>>,
}

impl Asks {
    /// A way, and what the server hears and tells by it.
    #[must_use]
    pub fn new() -> (Asks, mpsc::Receiver<Ask>, watch::Sender<Option<Finished>>) {
        let (asks, receiver) = mpsc::channel(WAITING_MAX);
        let (tell, finished) = watch::channel(None);
        (Asks { asks, finished }, receiver, tell)
    }

    /// Has the configuration read again. `None` when the server is busy or stops meanwhile.
    pub async fn reload(&self) -> Option<Reloaded> {
        let (answer, reloaded) = oneshot::channel();
        self.asks.try_send(Ask::Reload(answer)).ok()?;
        tokio::select! {
            reloaded = reloaded => reloaded.ok(),
            _ = self.finished() => None,
        }
    }

    /// Has the server drain and end. One that is at it already goes on.
    pub fn stop(&self) {
        // A server that is behind with so many requests is stopping.
        let _ = self.asks.try_send(Ask::Stop);
    }

    /// Waits until everything has ended; `None` when that never comes to be told.
    pub async fn finished(&self) -> Option<Finished> {
        self.finished.clone().wait_for(Option::is_some).await.ok()?.clone()
    }
}
