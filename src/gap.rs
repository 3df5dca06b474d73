//! What a sink missed, told to the sink itself: the hole is visible in the data, not only in
//! metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Batch, Origin};
use crate::encode::{Encoder, Encoding};
use crate::record::{Envelope, Range, Record, RecordRef, Span, Value};

/// Gaps of one sink since it last had room: one per source and reason, so there are never more than a few.
#[derive(Debug, Default)]
pub struct Gaps {
    gaps: Vec<Gap>,
}

/// Records of one source that are missing.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Name of the source.
    pub source: Arc<str>,
    /// The peer, where it is known.
    pub peer: Option<SocketAddr>,
    /// How many.
    pub records: u64,
    /// When the first of them was received, nanoseconds since the epoch.
    pub first_unix_nano: u64,
    /// When the last of them was received.
    pub last_unix_nano: u64,
    /// Why they are missing.
    pub reason: Reason,
}

/// Why records did not reach a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its inbox had no room, and there is no journal.
    Full,
    /// The journal had no room, and this sink was behind.
    Expired,
    /// The journal is damaged.
    Damaged,
}

impl Reason {
    const fn in_words(self) -> &'static str {
        match self {
            Reason::Full => "it was full",
            Reason::Expired => "it was behind, and the journal was full",
            Reason::Damaged => "the journal was damaged",
        }
    }
}

#[derive(Debug)]
struct Gap {
    source: Arc<str>,
    reason: Reason,
    /// The peer whose records are missing, while it is only one.
    peer: Option<SocketAddr>,
    several_peers: bool,
    records: u64,
    first_unix_nano: u64,
    last_unix_nano: u64,
}

impl Gaps {
    /// Counts a batch as missed.
    pub fn add(&mut self, batch: &Batch) {
        let Origin { source, peer, received_unix_nano } = &batch.origin;
        self.add_missing(&Missing {
            source: Arc::clone(source),
            peer: *peer,
            records: batch.records,
            first_unix_nano: *received_unix_nano,
            last_unix_nano: *received_unix_nano,
            reason: Reason::Full,
        });
    }

    /// Counts records as missed.
    pub fn add_missing(&mut self, missing: &Missing) {
        let Missing { source, peer, first_unix_nano, last_unix_nano, reason, .. } = missing;
        let gap = match self.gaps.iter_mut().find(|gap| gap.source == *source && gap.reason == *reason) {
            Some(gap) => gap,
            None => {
                self.gaps.push(Gap {
                    source: Arc::clone(source),
                    reason: *reason,
                    peer: *peer,
                    several_peers: false,
                    records: 0,
                    first_unix_nano: *first_unix_nano,
                    last_unix_nano: *last_unix_nano,
                });
                let last = self.gaps.len() - 1;
                &mut self.gaps[last]
            }
        };
        gap.records += missing.records;
        gap.several_peers |= gap.peer != *peer;
        gap.first_unix_nano = gap.first_unix_nano.min(*first_unix_nano);
        gap.last_unix_nano = gap.last_unix_nano.max(*last_unix_nano);
    }

    /// Records missed.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.records).sum()
    }

    /// The gap records as a batch for the sink; forgets the gaps. `None` when
    /// there are none.
    pub fn take(&mut self, sink: &str, encoding: Option<Encoding>) -> Option<Batch> {
        let gaps = std::mem::take(&mut self.gaps);
        let last = gaps.last()?;
        let origin = Origin { source: Arc::clone(&last.source), peer: None, received_unix_nano: last.last_unix_nano };
        let payload = encoding.map_or_else(Vec::new, |encoding| {
            let mut encoder = Encoder::new(encoding);
            let mut record = Record::default();
            let envelope = Envelope::default();
            encoder.envelope(envelope.view(&[]));
            for gap in &gaps {
                gap.write(sink, &mut record);
                encoder.record(RecordRef::new(&[], &record, &envelope));
            }
            encoder.finish()
        });
        Some(Batch { payload: Bytes::from(payload), records: gaps.len() as u64, routes: None, origin })
    }
}

impl Gap {
    fn write(&self, sink: &str, record: &mut Record) {
        record.clear();
        record.observed_time_unix_nano = self.last_unix_nano;
        record.severity_number = 13;
        let tree = &mut record.tree;
        record.severity_text = tree.side_text(b"WARN");
        let Gap { source, records, .. } = self;
        let body = format!("{records} records from {source} did not reach {sink}: {}", self.reason.in_words());
        let body = tree.side_text(body.as_bytes());
        record.body = Range { start: tree.position(), end: tree.position() + 1 };
        tree.push(Span::EMPTY, Value::Text(body));

        let start = tree.position();
        let peer = match self.peer {
            _ if self.several_peers => Some("several".to_owned()),
            peer => peer.map(|peer| peer.to_string()),
        };
        let texts = [
            ("logboom.gap.sink", Some(sink.to_owned())),
            ("logboom.gap.source", Some(source.to_string())),
            ("logboom.gap.peer", peer),
            ("logboom.gap.first_time", Some(rfc3339(self.first_unix_nano))),
            ("logboom.gap.last_time", Some(rfc3339(self.last_unix_nano))),
        ];
        for (key, value) in texts.iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value))) {
            let (key, value) = (tree.side_text(key.as_bytes()), tree.side_text(value.as_bytes()));
            tree.push(key, Value::Text(value));
        }
        let key = tree.side_text(b"logboom.gap.count");
        tree.push(key, Value::Int(i64::try_from(*records).unwrap_or(i64::MAX)));
        record.attributes = Range { start, end: tree.position() };
    }
}

fn rfc3339(unix_nano: u64) -> String {
    // Every u64 of nanoseconds is a year that jiff knows; were it not, the number itself is true.
    jiff::Timestamp::from_nanosecond(i128::from(unix_nano)).map_or_else(|_| unix_nano.to_string(), |it| it.to_string())
}
