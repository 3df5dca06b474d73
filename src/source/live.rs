//! What a source looks up at each read or request, and a reload replaces under it.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A value that is replaced while it is in use. Looking it up costs a read lock and a count.
#[derive(Debug)]
pub struct Live<T> {
    /// `None` while it is held.
    current: watch::Sender<Option<Arc<Stage<T>>>>,
}

/// The value of a while. Who began with it ends with it.
#[derive(Debug)]
pub struct Stage<T> {
    value: T,
    gone: CancellationToken,
    _tell: DropGuard,
}

/// Cancelled once nobody uses what was replaced.
pub type Gone = CancellationToken;

impl<T> Stage<T> {
    fn new(value: T) -> Arc<Stage<T>> {
        let gone = CancellationToken::new();
        Arc::new(Stage { value, _tell: gone.clone().drop_guard(), gone })
    }
}

impl<T> Deref for Stage<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Live<T> {
    /// Begins with `value`.
    #[must_use]
    pub fn new(value: T) -> Live<T> {
        Live { current: watch::Sender::new(Some(Stage::new(value))) }
    }

    /// The value now. While it is held this waits. Cancel-safe.
    pub async fn load(&self) -> Arc<Stage<T>> {
        if let Some(stage) = &*self.current.borrow() {
            return Arc::clone(stage);
        }
        let mut changes = self.current.subscribe();
        loop {
            if let Some(stage) = &*changes.borrow_and_update() {
                return Arc::clone(stage);
            }
            if changes.changed().await.is_err() {
                // The sender is in `self`, so this is never reached.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Replaces the value, and ends a hold.
    pub fn set(&self, value: T) -> Option<Gone> {
        self.replace(Some(Stage::new(value)))
    }

    /// Takes the value away until the next [`Live::set`]: who looks it up waits.
    pub fn hold(&self) -> Option<Gone> {
        self.replace(None)
    }

    /// When the value of now is not in use any more, and neither looked up again.
    #[must_use]
    pub fn gone(&self) -> Option<Gone> {
        self.current.borrow().as_ref().map(|stage| stage.gone.clone())
    }

    fn replace(&self, stage: Option<Arc<Stage<T>>>) -> Option<Gone> {
        self.current.send_replace(stage).map(|old| old.gone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_in_use_is_not_gone() {
        let live = Live::new(1);
        let in_use = live.load().await;
        let gone = live.set(2).unwrap();
        assert_eq!((**in_use, **live.load().await, gone.is_cancelled()), (1, 2, false));
        drop(in_use);
        assert!(gone.is_cancelled());
    }

    #[tokio::test]
    async fn who_looks_up_what_is_held_waits() {
        let live = Arc::new(Live::new(1));
        assert!(live.hold().unwrap().is_cancelled());
        assert!(live.gone().is_none());
        let mut waiting = found_at_once(&live);
        assert!(waiting.is_none());
        live.set(2);
        waiting = found_at_once(&live);
        assert_eq!(waiting, Some(2));
    }

    /// What a look-up finds at once.
    fn found_at_once(live: &Live<i32>) -> Option<i32> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(live.load()).poll(&mut context) {
            std::task::Poll::Ready(stage) => Some(**stage),
            std::task::Poll::Pending => None,
        }
    }
}
