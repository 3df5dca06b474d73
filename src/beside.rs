//! Work that may block for as long as a file system likes, beside the tasks that must not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// One piece of such work at a time, so that what hangs holds one thread, however often it is asked for.
#[derive(Clone, Debug)]
pub struct Beside {
    turn: Arc<Semaphore>,
}

impl Default for Beside {
    fn default() -> Self {
        Beside { turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Beside {
    /// Does it and waits for it; `None` when it was not done within `patience`, or has panicked. What has begun goes
    /// on all the same, and what waits for its turn until then is never begun. Dropped, it is the same.
    pub async fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let done = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
            let work = tokio::task::spawn_blocking(move || {
                let done = work();
                drop(turn);
                done
            });
            work.await.ok()
        };
        tokio::time::timeout(patience, done).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    /// Guarantee: what hangs is waited for no longer than that, holds one thread, and once it is over all is well.
    #[tokio::test]
    async fn what_hangs_holds_one_thread() {
        let beside = Beside::default();
        let (let_go, hanging) = channel::<()>();
        let begun = Arc::new(AtomicU32::new(0));
        let work = || {
            let begun = Arc::clone(&begun);
            move || begun.fetch_add(1, Ordering::Relaxed)
        };
        let first = work();
        let hangs = move || {
            first();
            let _ = hanging.recv();
        };
        let moment = Duration::from_millis(20);
        assert_eq!(beside.run(moment, hangs).await, None);
        for _ in 0..5 {
            assert_eq!(beside.run(moment, work()).await, None);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        drop(let_go);
        assert_eq!(beside.run(Duration::from_secs(60), work()).await, Some(1));
    }
}
