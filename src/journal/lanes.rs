//! All lanes of one journal: how an entry gets into it, and what happens when it is full.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::lane::Lane;
use super::{AppendError, Entry, Journal, JournalConfig, Mode, Read, Seq};
use crate::config::units::WaitMax;
use crate::gap::{Missing, Reason};
use crate::inbox::Inbox;
use crate::source::lines::unix_nano_now;
use crate::telemetry::Quiet;

/// How long an append waits between two looks at who holds the journal up.
const LOOK: Duration = Duration::from_millis(100);

/// Of a full journal, so much expires at a time: one part in eight.
const EXPIRE_SHARE: u64 = 8;

/// The journal, and the sinks that read it.
#[derive(Debug)]
pub struct Lanes {
    journal: Journal,
    mode: Mode,
    max_bytes: u64,
    lanes: RwLock<Vec<Arc<Lane>>>,
    announced: Announced,
    /// One looks for what can be given up at a time.
    expiring: tokio::sync::Mutex<()>,
    not_stored: Quiet,
    expiry: Quiet,
    /// The process stops: nobody waits for room any more.
    stopping: CancellationToken,
}

/// Entries that have been counted, and that every lane knows of: who reads the journal stops
/// before the first that has not. So nothing is offered before it was received.
#[derive(Debug)]
struct Announced {
    state: Mutex<(Seq, VecDeque<bool>)>,
    end: watch::Sender<Seq>,
}

/// An entry that has been written, and that is announced when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it tells those who read the journal that the entry is there"]
pub struct Stored<'a> {
    lanes: &'a Lanes,
    /// Its number.
    pub seq: Seq,
}

impl Drop for Stored<'_> {
    fn drop(&mut self) {
        self.lanes.announced.announce(self.seq);
    }
}

impl Announced {
    fn new(end: Seq) -> Announced {
        Announced { state: Mutex::new((end, VecDeque::new())), end: watch::Sender::new(end) }
    }

    fn announce(&self, seq: Seq) {
        // Nothing under this lock panics.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, ahead) = &mut *state;
        let Some(at) = seq.checked_sub(*base).and_then(|at| usize::try_from(at).ok()) else { return };
        if at >= ahead.len() {
            ahead.resize(at + 1, false);
        }
        ahead[at] = true;
        while ahead.front() == Some(&true) {
            ahead.pop_front();
            *base += 1;
        }
        self.end.send_replace(*base);
    }
}

impl Lanes {
    /// Without lanes at first.
    #[must_use]
    pub fn new(journal: Journal, config: &JournalConfig) -> Arc<Lanes> {
        let announced = Announced::new(journal.end());
        Arc::new(Lanes {
            journal,
            mode: config.mode,
            max_bytes: config.max.0,
            lanes: RwLock::default(),
            announced,
            expiring: tokio::sync::Mutex::new(()),
            not_stored: Quiet::new(),
            expiry: Quiet::new(),
            stopping: CancellationToken::new(),
        })
    }

    /// The journal itself.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Adds the sink that eats `inbox` and takes from the sources `from`, all if `None`: it goes on
    /// where it stopped. Blocking.
    pub fn open_lane(&self, inbox: &Arc<Inbox>, from: Option<Vec<String>>) -> std::io::Result<Arc<Lane>> {
        let end = self.journal.end();
        let cursor = self.journal.cursor(inbox.sink()).ok_or(std::io::ErrorKind::NotFound)?;
        let waiting = if cursor.start() < end { self.journal.count(cursor.start(), end)? } else { Vec::new() };
        let lane = Lane::new(Arc::clone(inbox), from, cursor, end);
        let waiting = waiting.iter().filter(|(source, _)| lane.takes_from(source));
        inbox.recover(waiting.map(|(_, records)| records).sum());
        self.lanes.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&lane));
        Ok(lane)
    }

    /// All sinks.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Lane>> {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One past the last entry that may be read.
    pub fn announced(&self) -> watch::Receiver<Seq> {
        self.announced.end.subscribe()
    }

    /// Writes an entry; when the journal is full, waits until `hold_until`, or as long as the
    /// sinks that hold it up may hold it up. To be called from a task that runs to its end: an
    /// entry that was written and is not announced holds all readers up.
    pub async fn append(&self, entry: Entry, hold_until: Option<Instant>) -> Result<Stored<'_>, AppendError> {
        loop {
            if self.journal.full_since().is_some() {
                self.make_room().await;
            }
            let is_stopping = self.stopping.is_cancelled();
            let look = if is_stopping { Instant::now() } else { Instant::now() + LOOK };
            let until = hold_until.map_or(look, |hold_until| hold_until.min(look));
            match self.journal.append(entry.clone(), Some(until.into())).await {
                Err(AppendError::Full) if is_stopping => return Err(AppendError::Full),
                Ok(seq) => {
                    let stored = Stored { lanes: self, seq };
                    self.pass(&entry.source, seq);
                    return Ok(stored);
                }
                Err(AppendError::Full) if hold_until.is_none_or(|hold_until| hold_until > Instant::now()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The process stops: who waits for room is told that there is none while the sinks that have
    /// room still take records.
    pub fn wait_no_longer(&self) {
        self.stopping.cancel();
    }

    /// Waits until an entry is as safe as the mode of the journal promises.
    pub async fn kept(&self, seq: Seq) -> Result<(), AppendError> {
        match self.mode {
            Mode::Buffered => Ok(()),
            Mode::Durable => self.journal.synced(seq).await,
        }
    }

    /// Records that were received and are in memory only.
    pub fn not_stored(&self, source: &str, records: u64, error: &AppendError) {
        if let Some(suppressed) = self.not_stored.allow() {
            tracing::error!(source, records, suppressed, %error, "records are not in the journal; sinks that have room get them");
        }
    }

    /// Tells the sinks that do not take from this source.
    fn pass(&self, source: &str, seq: Seq) {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        for lane in lanes.iter().filter(|lane| !lane.takes_from(source)) {
            lane.pass(seq);
        }
    }

    /// Gives up the oldest segments for the sinks that still need them, when all of them have held
    /// the journal up for as long as they may.
    async fn make_room(&self) {
        let Ok(_one) = self.expiring.try_lock() else { return };
        let share = self.max_bytes / EXPIRE_SHARE;
        let (Some(since), Some(to)) = (self.journal.full_since(), self.journal.oldest_end(share)) else { return };
        let lanes: Vec<_> = self.all().into_iter().filter(|lane| lane.base() < to).collect();
        let due = |lane: &Arc<Lane>| match lane.inbox().settings().wait_max {
            WaitMax::Forever => false,
            WaitMax::Bounded(wait) => lane.is_passed_over() || since.elapsed() >= wait,
        };
        if !lanes.iter().all(due) {
            return;
        }
        for lane in lanes {
            self.expire(&lane, to).await;
        }
    }

    async fn expire(&self, lane: &Arc<Lane>, to: Seq) {
        let expired = lane.expire(to);
        let mut ranges: Vec<_> = expired.set_aside.iter().map(|(seq, rest)| (*seq..*seq + 1, rest.done)).collect();
        ranges.push((expired.unread, 0));
        let mut records = 0;
        for (range, done) in ranges.into_iter().filter(|(range, _)| !range.is_empty()) {
            for mut missing in self.count(range.start, range.end, Reason::Expired).await {
                if lane.takes_from(&missing.source) {
                    missing.records = missing.records.saturating_sub(done);
                    records += missing.records;
                    lane.inbox().give_up(&missing);
                }
            }
        }
        lane.counted();
        let sink = lane.inbox().sink();
        if records > 0
            && let Some(suppressed) = self.expiry.allow()
        {
            tracing::warn!(
                %sink, records, suppressed,
                "the journal is full, and the sink that is furthest behind loses its oldest records until it has caught up"
            );
        }
    }

    /// What entries hold, by source.
    pub async fn count(&self, from: Seq, to: Seq, reason: Reason) -> Vec<Missing> {
        let journal = self.journal.clone();
        let counted = tokio::task::spawn_blocking(move || {
            let counts = journal.count(from, to)?;
            Ok::<_, std::io::Error>((counts, received(&journal, from), received(&journal, to - 1)))
        });
        let (counts, first, last) = match counted.await {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => {
                tracing::error!(%error, from, to, "entries of the journal cannot be counted");
                Default::default()
            }
            Err(error) => {
                tracing::error!(%error, "counting entries of the journal");
                Default::default()
            }
        };
        let (first, last) =
            (first.or(last).unwrap_or_else(unix_nano_now), last.or(first).unwrap_or_else(unix_nano_now));
        let missing = |(source, records)| Missing {
            source,
            peer: None,
            records,
            first_unix_nano: first,
            last_unix_nano: last,
            reason,
        };
        counts.into_iter().map(missing).collect()
    }
}

/// When an entry was received; `None` when it cannot be read any more.
fn received(journal: &Journal, seq: Seq) -> Option<u64> {
    let read = journal.reader().next(seq, 1).ok()?;
    read.into_iter().find_map(|read| match read {
        Read::Entry(_, entry) => Some(entry.received_unix_nano),
        Read::Lost { .. } => None,
    })
}
