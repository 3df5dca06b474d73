//! An accept loop that survives a lack of file descriptors, never exceeds its connection limit, and
//! may be given other listeners at any time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;

use super::listen::Listener;
use super::stream::Stream;
use crate::telemetry::{OpenConnection, Quiet, SourceStats};

/// Pause after the process ran out of descriptors or memory for another connection. Long enough
/// not to spin, short enough that accepting resumes within a second.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// What a source listens on, by the keys of its settings.
pub type Listeners = BTreeMap<&'static str, Arc<Listener>>;

/// Accepts connections up to a limit, from all listeners together; one more is closed at once and
/// counted.
#[derive(Debug)]
pub struct Acceptor {
    listeners: watch::Sender<Arc<Listeners>>,
    connections_max: AtomicU32,
    stats: Arc<SourceStats>,
    exhausted: Quiet,
    refused: Quiet,
}

impl Acceptor {
    /// Accepts from `listeners`, at most `connections_max` at a time.
    #[must_use]
    pub fn new(listeners: Listeners, connections_max: u32, stats: Arc<SourceStats>) -> Acceptor {
        Acceptor {
            listeners: watch::Sender::new(Arc::new(listeners)),
            connections_max: AtomicU32::new(connections_max),
            stats,
            exhausted: Quiet::default(),
            refused: Quiet::default(),
        }
    }

    /// What is listened on.
    #[must_use]
    pub fn listeners(&self) -> Arc<Listeners> {
        Arc::clone(&self.listeners.borrow())
    }

    /// From now on accepts from `listeners`; those of before that are not among them are closed. Open
    /// connections stay.
    pub fn listen_on(&self, listeners: Listeners) {
        self.listeners.send_replace(Arc::new(listeners));
    }

    /// The limit of connections.
    #[must_use]
    pub fn connections_max(&self) -> u32 {
        self.connections_max.load(Ordering::Relaxed)
    }

    /// Another limit, for connections to come.
    pub fn limit(&self, connections_max: u32) {
        self.connections_max.store(connections_max, Ordering::Relaxed);
    }

    /// The next connection within the limit. Never fails: what goes wrong is counted, logged
    /// seldom, and waited out. Cancel-safe. For one task at a time.
    pub async fn next(&self) -> (Stream, Option<SocketAddr>, OpenConnection) {
        let mut changes = self.listeners.subscribe();
        loop {
            let listeners = Arc::clone(&changes.borrow_and_update());
            let accepted = tokio::select! {
                accepted = std::future::poll_fn(|context| poll_any(&listeners, context)) => accepted,
                Ok(()) = changes.changed() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Nobody else opens connections of this source, so none comes in between.
                    if self.stats.connections_open() < u64::from(self.connections_max()) {
                        return (stream, peer, self.stats.count_accepted());
                    }
                    self.stats.count_refused();
                    if let Some(suppressed) = self.refused.allow() {
                        tracing::warn!(source = %self.stats.name(), ?peer, suppressed, "connection limit reached, connection closed; raise connections_max");
                    }
                }
                Err(error) if is_exhausted(&error) => {
                    self.stats.count_accept_error();
                    if let Some(suppressed) = self.exhausted.allow() {
                        tracing::warn!(source = %self.stats.name(), %error, suppressed, "cannot accept connections for want of resources, trying again; raise the limit of open files");
                    }
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // The peer was gone before it was accepted.
                Err(error) => {
                    self.stats.count_accept_error();
                    tracing::debug!(source = %self.stats.name(), %error, "a connection ended before it was accepted");
                }
            }
        }
    }
}

/// The next connection of any listener. They are asked in an order of chance, so that a crowd at one
/// does not keep the others waiting.
fn poll_any(listeners: &Listeners, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
    let first = fastrand::usize(..listeners.len().max(1));
    for listener in listeners.values().cycle().skip(first).take(listeners.len()) {
        if let Poll::Ready(accepted) = listener.poll_accept(context) {
            return Poll::Ready(accepted);
        }
    }
    Poll::Pending
}

/// Too many open files, here or in the system, or no memory for a socket.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|errno| errno.raw_os_error() == code))
}
