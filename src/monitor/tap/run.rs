//! What one who watches sees of one payload.

use std::sync::Arc;

use super::{QUEUE_BYTES, RECORD_BYTES_MAX, Subscriber};
use crate::encode::Encoder;
use crate::record::RecordRef;

/// The records of one payload on their way to one who watches.
#[derive(Debug)]
pub struct TapRun {
    subscriber: Arc<Subscriber>,
    /// The sink that is watched takes all of the payload, or none is watched.
    takes_all: bool,
    second: u64,
    encoder: Encoder,
    lines: Vec<u8>,
    records: u64,
    skipped: u64,
}

impl TapRun {
    pub(super) fn new(subscriber: Arc<Subscriber>, takes_all: bool, second: u64) -> TapRun {
        let encoder = Encoder::new(subscriber.wish.encoding);
        TapRun { subscriber, takes_all, second, encoder, lines: Vec::new(), records: 0, skipped: 0 }
    }

    /// True when it needs no sink to say what it takes.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.takes_all
    }

    /// The next record; `taken` says whether a sink has taken it.
    pub fn record(&mut self, record: &RecordRef<'_>, taken: impl FnOnce(&str) -> bool) {
        let wish = &self.subscriber.wish;
        if !self.takes_all && !wish.sink.as_deref().is_some_and(taken) {
            return;
        }
        if wish.condition.as_ref().is_some_and(|condition| !condition.matches(record)) {
            return;
        }
        if self.subscriber.shown.take(self.second, 1, wish.rate.into()) == 0 {
            self.skipped += 1;
            return;
        }
        self.encoder.envelope(record.envelope());
        self.encoder.record(*record);
        let line = self.encoder.finish();
        if line.len() > RECORD_BYTES_MAX || self.lines.len() + line.len() > QUEUE_BYTES {
            self.skipped += 1;
            return;
        }
        self.lines.extend_from_slice(&line);
        self.records += 1;
    }

    /// Records that nobody looks at.
    pub fn pass(&mut self, records: u64) {
        self.skipped += records;
    }

    /// Hands on what there is. Never waits for who watches.
    pub fn hand_on(&mut self) {
        if self.records + self.skipped > 0 {
            let lines = std::mem::take(&mut self.lines);
            self.subscriber.put(lines, std::mem::take(&mut self.records), std::mem::take(&mut self.skipped));
        }
    }
}
