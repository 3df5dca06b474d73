//! How long the head of a request over HTTP/1.1 may take.
//!
//! hyper has one timer for it and for the pause before it, and clients pause for minutes: so the head is timed here, from its
//! first byte on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::io::InspectReader;

/// From the first byte of a head to its last.
pub const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The heads of one connection.
#[derive(Debug)]
pub struct Heads {
    /// When the one began that is not complete.
    begun: watch::Sender<Option<Instant>>,
    /// A request is handled: what arrives is its body.
    handling: AtomicBool,
}

/// A request that is handled, until this is dropped.
#[derive(Debug)]
pub struct Handling(Arc<Heads>);

impl Heads {
    /// Of a connection on which the first one has begun.
    #[must_use]
    pub fn new() -> Arc<Heads> {
        Arc::new(Heads { begun: watch::Sender::new(Some(Instant::now())), handling: AtomicBool::new(false) })
    }

    /// A head is complete, and its request is handled.
    #[must_use]
    pub fn handle(self: &Arc<Self>) -> Handling {
        self.handling.store(true, Ordering::Relaxed);
        self.begun.send_replace(None);
        Handling(Arc::clone(self))
    }

    /// Waits until a head has taken too long. Cancel-safe.
    pub async fn late(&self) {
        let mut begun = self.begun.subscribe();
        loop {
            let since = *begun.borrow_and_update();
            let late = async {
                match since {
                    Some(since) => sleep_until(since + HEAD_WITHIN).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = late => return,
                // It lives as long as this does.
                _ = begun.changed() => {}
            }
        }
    }

    /// The stream that they are read from.
    pub fn timed<S: AsyncRead>(self: &Arc<Self>, stream: S) -> InspectReader<S, impl FnMut(&[u8])> {
        let heads = Arc::clone(self);
        InspectReader::new(stream, move |bytes| heads.arrived(bytes))
    }

    fn arrived(&self, bytes: &[u8]) {
        if !bytes.is_empty() && !self.handling.load(Ordering::Relaxed) && self.begun.borrow().is_none() {
            self.begun.send_replace(Some(Instant::now()));
        }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.handling.store(false, Ordering::Relaxed);
    }
}
