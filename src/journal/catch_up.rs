//! Feeds one sink from the journal while it is behind.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::lane::{Lane, Next};
use super::lanes::Lanes;
use super::{Entry, Kind, Read, Seq};
use crate::gap::Reason;
use crate::intake::Intake;

/// Bytes of entries that are read at a time; one entry may exceed it.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Pause after the journal could not be read.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// The way from a source to one sink: how its records are read, and written for that sink.
pub type MakeIntake = Box<dyn Fn(&str, Kind) -> anyhow::Result<Arc<Intake>> + Send + Sync>;

/// One task per sink.
pub struct CatchUp {
    lanes: Arc<Lanes>,
    lane: Arc<Lane>,
    /// One reads and decodes at a time: a large entry is in memory once.
    turn: Arc<tokio::sync::Mutex<()>>,
    make_intake: MakeIntake,
    intakes: HashMap<Arc<str>, Arc<Intake>>,
}

impl CatchUp {
    /// For the sink of `lane`; all that share a `turn` take turns.
    #[must_use]
    pub fn new(
        lanes: Arc<Lanes>,
        lane: Arc<Lane>,
        turn: Arc<tokio::sync::Mutex<()>>,
        make_intake: MakeIntake,
    ) -> CatchUp {
        CatchUp { lanes, lane, turn, make_intake, intakes: HashMap::new() }
    }

    /// Works until `stop`, or until the inbox is closed. What has not been offered by then stays in
    /// the journal. Only waits are cut short: an entry that is claimed is handed on.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut announced = self.lanes.announced();
        let mut reader = self.lanes.journal().reader();
        while let Some(Some((from, bytes_max, end))) = stop.run_until_cancelled(self.next(&mut announced)).await {
            let turn = Arc::clone(&self.turn);
            let Some(_turn) = stop.run_until_cancelled(turn.lock()).await else { return };
            let read = tokio::task::spawn_blocking(move || {
                let read = reader.next(from, bytes_max);
                (reader, read)
            });
            let Some(Ok((same, read))) = stop.run_until_cancelled(read).await else { return };
            reader = same;
            match read {
                Ok(read) => self.take(read, end, &stop).await,
                Err(error) => {
                    tracing::error!(sink = %self.lane.inbox().sink(), %error, "the journal cannot be read");
                    stop.run_until_cancelled(tokio::time::sleep(READ_PAUSE)).await;
                }
            }
        }
    }

    /// Waits until there is something to read and room for it: from where on, how many bytes, and
    /// where to stop. `None` when the inbox is closed. Cancel-safe.
    async fn next(&self, announced: &mut watch::Receiver<Seq>) -> Option<(Seq, usize, Seq)> {
        loop {
            self.lane.behind().await;
            if !self.lane.inbox().half_empty().await {
                return None;
            }
            let end = *announced.borrow_and_update();
            match self.lane.next(end) {
                Next::Entry(seq) => return Some((seq, CHUNK_BYTES, end)),
                Next::SetAside(seq) => return Some((seq, 1, end)),
                Next::Nothing => {}
                Next::Later => announced.changed().await.ok()?,
            }
        }
    }

    /// Offers what was read, in order, until there is no more room.
    async fn take(&mut self, read: Vec<Read>, end: Seq, stop: &CancellationToken) {
        for read in read {
            match read {
                Read::Entry(seq, _) if seq >= end => return,
                Read::Entry(seq, entry) => {
                    if !self.offer(seq, entry).await {
                        return;
                    }
                }
                Read::Lost { from, to, .. } => {
                    if stop.run_until_cancelled(self.lost(from, to.min(end))).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// False when the sink has no room for all of it.
    async fn offer(&mut self, seq: Seq, entry: Entry) -> bool {
        let Some((ticket, done)) = self.lane.claim(seq) else { return true };
        if !self.lane.takes_from(&entry.source) {
            return true;
        }
        match self.intake(&entry) {
            Ok(intake) => intake.again(entry, ticket, done).await,
            Err(error) => {
                let (sink, source) = (self.lane.inbox().sink(), &entry.source);
                tracing::error!(%sink, %source, seq, %error, "an entry of the journal cannot be read, it stays there");
                let _stays = ticket.keep();
                true
            }
        }
    }

    fn intake(&mut self, entry: &Entry) -> anyhow::Result<Arc<Intake>> {
        if let Some(intake) = self.intakes.get(&entry.source) {
            return Ok(Arc::clone(intake));
        }
        let intake = (self.make_intake)(&entry.source, entry.kind)?;
        self.intakes.insert(Arc::clone(&entry.source), Arc::clone(&intake));
        Ok(intake)
    }

    /// Cancel-safe: counted first, then passed and told in one go.
    async fn lost(&self, from: Seq, to: Seq) {
        if from >= to {
            return;
        }
        let counted = self.lanes.count(from, to, Reason::Damaged).await;
        self.lane.pass_lost(from, to);
        for missing in counted.iter().filter(|missing| self.lane.takes_from(&missing.source)) {
            self.lane.inbox().give_up(missing);
        }
    }
}

impl fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchUp").field("lane", &self.lane).finish_non_exhaustive()
    }
}
