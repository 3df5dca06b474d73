//! What a page may know of the connection it answers on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The control socket: of the same user, or root.
    Control,
    /// This machine, whoever it is.
    Local,
    /// Another machine.
    Remote,
}

/// One connection, for as long as it lasts.
#[derive(Clone, Debug)]
pub struct Conversation {
    caller: Caller,
    peer: Option<SocketAddr>,
    is_long: Arc<AtomicBool>,
    has_token: Arc<AtomicBool>,
    hang_up: CancellationToken,
    shutdown: CancellationToken,
}

impl Conversation {
    /// A connection that is to end with `shutdown`. A unix socket has no address.
    #[must_use]
    pub fn new(caller: Caller, peer: Option<SocketAddr>, shutdown: CancellationToken) -> Conversation {
        Conversation {
            caller,
            peer,
            is_long: Arc::default(),
            has_token: Arc::default(),
            hang_up: CancellationToken::new(),
            shutdown,
        }
    }

    /// The address of the other end, where it has one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The other end has shown a valid token.
    pub fn vouch(&self) {
        self.has_token.store(true, Ordering::Relaxed);
    }

    /// Whether records may be shown: on this machine, and to whoever has a token.
    #[must_use]
    pub fn may_see_records(&self) -> bool {
        self.caller != Caller::Remote || self.has_token.load(Ordering::Relaxed)
    }

    /// The answer takes as long as it takes: the deadline of connections does not hold for it. Whoever
    /// asks for this answers for its end, see [`Conversation::hang_up`].
    pub fn become_long(&self) {
        self.is_long.store(true, Ordering::Relaxed);
    }

    /// Ends the connection of a long answer whatever is under way: its reader does not read.
    pub fn hang_up(&self) {
        self.hang_up.cancel();
    }

    /// Waits until the process stops to answer: long answers are to end.
    pub async fn shutdown(&self) {
        self.shutdown.cancelled().await;
    }

    /// Waits until the connection is to be cut: at its deadline, or when a long answer is hung up on.
    pub async fn overdue(&self, deadline: Instant) {
        let late = async {
            sleep_until(deadline).await;
            if self.is_long.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = late => {}
            () = self.hang_up.cancelled() => {}
        }
    }
}
