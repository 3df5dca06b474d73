//! What the control socket asks of the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::{Ask, Asks, Finished};
use crate::source::listen::Listener;
use crate::telemetry::Telemetry;

/// How long whoever asks may take to hear the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The control socket, and who listens for what it asks.
#[derive(Debug)]
pub struct Control {
    /// `None` when there is none.
    pub listener: Option<Listener>,
    asks: Asks,
    asked: mpsc::Receiver<Ask>,
    finished: watch::Sender<Option<Finished>>,
    /// Those who answer, here and on the admin listener.
    serving: Vec<JoinHandle<()>>,
}

impl Control {
    /// Nobody is answered before [`Control::start`].
    pub fn new(listener: Option<Listener>) -> Control {
        let (asks, asked, finished) = Asks::new();
        Control { listener, asks, asked, finished, serving: Vec::new() }
    }

    /// Answers until `stop`.
    pub fn start(&mut self, telemetry: &Arc<Telemetry>, stop: &CancellationToken) {
        let listener = self.listener.as_ref().and_then(|it| it.try_clone().ok()?.into_unix());
        self.serving.extend(listener.map(|listener| {
            let (telemetry, asks) = (Arc::clone(telemetry), self.asks.clone());
            tokio::spawn(crate::admin::serve_control(listener, telemetry, asks, stop.clone()))
        }));
    }

    /// Others who answer until the same end.
    pub fn serves(&mut self, serving: JoinHandle<()>) {
        self.serving.push(serving);
    }

    /// The next request. Cancel-safe.
    pub async fn next(&mut self) -> Ask {
        match self.asked.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }

    /// Tells whoever waits that all has ended.
    pub fn finish(&self, finished: Finished) {
        self.finished.send_replace(Some(finished));
    }

    /// Waits until they have heard it, after all who answer were told to stop.
    pub async fn end(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        for serving in self.serving.drain(..) {
            let _late = tokio::time::timeout_at(until, serving).await;
        }
    }
}
