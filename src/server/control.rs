//! What the control socket asks of the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::{Ask, Asks, Finished};
use crate::source::listen::Listener;
use crate::telemetry::Telemetry;

/// How long whoever waits for the end may take to hear of it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The control socket, and who listens for what it asks.
#[derive(Debug)]
pub struct Control {
    /// `None` when there is none.
    pub listener: Option<Listener>,
    asks: Asks,
    asked: mpsc::Receiver<Ask>,
    finished: watch::Sender<Option<Finished>>,
    serving: Option<JoinHandle<()>>,
}

impl Control {
    /// Nobody is answered before [`Control::start`].
    pub fn new(listener: Option<Listener>) -> Control {
        let (asks, asked, finished) = Asks::new();
        Control { listener, asks, asked, finished, serving: None }
    }

    /// Answers until `stop`.
    pub fn start(&mut self, telemetry: &Arc<Telemetry>, stop: &CancellationToken) {
        let listener = self.listener.as_ref().and_then(|it| it.try_clone().ok()?.into_unix());
        self.serving = listener.map(|listener| {
            let (telemetry, asks) = (Arc::clone(telemetry), self.asks.clone());
            tokio::spawn(crate::admin::serve_control(listener, telemetry, asks, stop.clone()))
        });
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

    /// Waits until they have heard it, after they were told to stop.
    pub async fn end(&mut self) {
        if let Some(serving) = self.serving.take() {
            let _late = tokio::time::timeout(LAST_WORDS, serving).await;
        }
    }
}
