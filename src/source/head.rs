//! How long the head of a request over HTTP/1.1 may take.
//!
//! hyper has one timer for it and for the pause before it, and clients pause for minutes: so the head is timed here, from its
//! first byte on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

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

    /// Something has arrived.
    fn arrived(&self) {
        if !self.handling.load(Ordering::Relaxed) && self.begun.borrow().is_none() {
            self.begun.send_replace(Some(Instant::now()));
        }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.handling.store(false, Ordering::Relaxed);
    }
}

/// A stream that heads are read from.
#[derive(Debug)]
pub struct Timed<S> {
    stream: S,
    heads: Arc<Heads>,
}

impl<S> Timed<S> {
    /// The stream of these heads.
    pub fn new(stream: S, heads: Arc<Heads>) -> Timed<S> {
        Timed { stream, heads }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.heads.arrived();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
