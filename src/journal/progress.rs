//! How far the journal has come: what is written, and what has reached the disk.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{AppendError, Seq};

/// So many ranges are told apart; above, neighbours become one.
const FAILED_MAX: usize = 1024;

#[derive(Debug)]
pub struct Progress {
    written: watch::Sender<Seq>,
    synced: watch::Sender<Seq>,
    closed: watch::Sender<bool>,
    failed: Mutex<Vec<Failed>>,
}

/// Entries that did not reach the disk.
#[derive(Clone, Debug)]
struct Failed {
    from: Seq,
    to: Seq,
    why: Arc<str>,
}

impl Progress {
    pub fn new(written: Seq, synced: Seq) -> Progress {
        Progress {
            written: watch::Sender::new(written),
            synced: watch::Sender::new(synced),
            closed: watch::Sender::new(false),
            failed: Mutex::default(),
        }
    }

    /// One past the last entry written.
    pub fn written(&self) -> Seq {
        *self.written.borrow()
    }

    /// Waits until the entry `seen` is written, or nothing more will be.
    pub async fn written_past(&self, seen: Seq) {
        self.wait(&self.written, seen).await;
    }

    pub fn set_written(&self, end: Seq) {
        self.written.send_replace(end);
    }

    /// Everything before this has reached the disk, or failed to.
    pub fn synced(&self) -> Seq {
        *self.synced.borrow()
    }

    /// Waits until it is known what became of an entry.
    pub async fn synced_past(&self, seq: Seq) -> Result<(), AppendError> {
        self.wait(&self.synced, seq).await;
        if self.synced() > seq { self.outcome(seq) } else { Err(AppendError::Closed) }
    }

    async fn wait(&self, number: &watch::Sender<Seq>, seen: Seq) {
        let (mut number, mut closed) = (number.subscribe(), self.closed.subscribe());
        // Neither sender goes away while this is borrowed.
        tokio::select! {
            biased;
            _ = number.wait_for(|end| *end > seen) => {}
            _ = closed.wait_for(|is_closed| *is_closed) => {}
        }
    }

    /// Nothing more will be written, nor reach the disk.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    pub fn set_synced(&self, end: Seq) {
        self.synced.send_if_modified(|known| {
            let is_more = *known < end;
            *known = end.max(*known);
            is_more
        });
    }

    /// These will not reach the disk. To be said before `set_synced` passes them.
    pub fn set_failed(&self, from: Seq, to: Seq, why: &Arc<str>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.push(Failed { from, to, why: Arc::clone(why) });
        if failed.len() > FAILED_MAX {
            // Too many rather than too few: nobody is told that an entry is safe which is not.
            let first = failed.remove(0);
            if let Some(second) = failed.first_mut() {
                second.from = second.from.min(first.from);
            }
        }
    }

    /// What became of an entry that `synced` has passed.
    pub fn outcome(&self, seq: Seq) -> Result<(), AppendError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.iter().find(|range| (range.from..range.to).contains(&seq)) {
            Some(range) => Err(AppendError::Failed(Arc::clone(&range.why))),
            None => Ok(()),
        }
    }
}
