//! What must hold of a journal, whatever happens to its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::sim::SimDisk;
use super::{entry, settings};
use crate::journal::engine::Engine;
use crate::journal::{Entry, JournalSettings, Read, Recovered, Seq};

pub const SINKS: [&str; 2] = ["file", "otlp"];

/// What is known about a journal from the outside.
#[derive(Debug)]
pub struct Model {
    settings: JournalSettings,
    /// Entries made so far; each is made once.
    made: u64,
    /// Which entries may stand under a number: those it was tried with.
    tried: BTreeMap<Seq, Vec<u64>>,
    /// Which one stands there as long as the process lives.
    written: BTreeMap<Seq, u64>,
    /// Numbers whose sync has returned.
    acked: BTreeSet<Seq>,
    /// Numbers that may be missing, since a test destroyed them.
    pub destroyed: BTreeSet<Seq>,
    has_sync_failed: bool,
    /// Below it all numbers have been seen by somebody.
    seen: Seq,
    /// How far each sink has come, and how much of that was on the disk for sure.
    sinks: [(Seq, Seq); SINKS.len()],
}

impl Model {
    pub fn new(max_bytes: u64, segment_bytes: u64) -> Model {
        Model {
            settings: settings(max_bytes, segment_bytes, &SINKS),
            made: 0,
            tried: BTreeMap::new(),
            written: BTreeMap::new(),
            acked: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            has_sync_failed: false,
            seen: 1,
            sinks: [(1, 1); SINKS.len()],
        }
    }

    /// Opens the journal and checks all that is promised about what is in it.
    pub fn open(&mut self, disk: &SimDisk) -> Engine {
        let (engine, recovered) = Engine::open(&self.settings, Arc::new(disk.clone())).expect("it opens");
        self.check_opened(&engine, &recovered);
        engine
    }

    fn check_opened(&mut self, engine: &Engine, recovered: &Recovered) {
        let end = engine.end();
        assert_eq!(end, recovered.end);
        assert!(end >= self.seen, "number {end} is given again, all below {} were seen", self.seen);
        for (cursor, (reached, durable)) in engine.cursors.iter().zip(&mut self.sinks) {
            let start = cursor.start();
            // Without a cursor on the disk it is the oldest entry there is.
            assert!(
                start <= (*reached).max(recovered.oldest),
                "{} starts at {start} and had come to {reached}",
                cursor.sink()
            );
            assert!(start >= *durable, "{} starts at {start}, {durable} was on the disk", cursor.sink());
            // What was not on the disk before need not be now.
            (*reached, *durable) = (start, *durable);
        }
        self.written = self.read(engine);
        self.has_sync_failed |= engine.stats.sync_failures.load(Relaxed) > 0;
        // A file whose sync failed in an earlier life is synced in this one without an error, and
        // without effect. Nobody was told that what is in it is safe.
        let from = if self.has_sync_failed { engine.end() } else { 1 };
        self.note_acked(engine, from);
        self.note_durable(engine);
    }

    /// Reads everything that any sink still wants.
    pub fn read(&self, engine: &Engine) -> BTreeMap<Seq, u64> {
        let from = self.sinks.iter().map(|(reached, _)| *reached).min().unwrap_or(1);
        let mut found = BTreeMap::new();
        let (mut reader, mut at) = (engine.reader(), from);
        while at < engine.end() {
            let reads = reader.next(at, 10_000).expect("it can be read");
            assert!(!reads.is_empty(), "nothing at {at}, and the end is {}", engine.end());
            for read in reads {
                match read {
                    Read::Entry(seq, entry) => {
                        assert_eq!(seq, at);
                        found.insert(seq, self.identify(seq, &entry));
                        at += 1;
                    }
                    Read::Lost { from, to, .. } => {
                        assert_eq!(from, at);
                        assert!(to > from);
                        at = to;
                    }
                }
            }
        }
        assert_eq!(at, engine.end().max(from));
        let missing = |seq: &&Seq| !found.contains_key(seq) && !self.destroyed.contains(seq);
        let lost: Vec<&Seq> = self.acked.range(from..).filter(missing).collect();
        assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
        found
    }

    /// Which of the entries it is; all of its bytes must be the same.
    fn identify(&self, seq: Seq, found: &Entry) -> u64 {
        let tried = self.tried.get(&seq).map(Vec::as_slice).unwrap_or_default();
        let known = tried.iter().rev().find(|made| super::entry(**made) == *found).copied();
        let Some(known) = known else { panic!("entry {seq} was invented or altered: {found:?}") };
        // What was acknowledged stands for one entry only.
        let is_settled = self.acked.contains(&seq) && self.written.contains_key(&seq);
        assert!(!is_settled || self.written[&seq] == known, "entry {seq} has become another one");
        known
    }

    pub fn append(&mut self, engine: &Engine, count: u64) {
        let entries: Vec<Entry> = (self.made..self.made + count).map(entry).collect();
        let first = engine.end();
        // What fails may stand there all the same after a power cut, where it fails being unknown.
        for (n, made) in (self.made..self.made + count).enumerate() {
            for seq in first..=first + n as u64 {
                self.tried.entry(seq).or_default().push(made);
            }
        }
        let appended = engine.log().append(&entries);
        assert_eq!(appended.first, first);
        assert_eq!(engine.end(), first + appended.written as u64);
        assert!(appended.written == entries.len() || appended.error.is_some());
        for n in 0..appended.written as u64 {
            self.written.insert(first + n, self.made + n);
        }
        self.made += count;
    }

    pub fn sync(&mut self, engine: &Engine) {
        let before = engine.progress.synced();
        engine.sync();
        self.has_sync_failed |= engine.stats.sync_failures.load(Relaxed) > 0;
        self.note_acked(engine, before);
    }

    fn note_acked(&mut self, engine: &Engine, from: Seq) {
        for (seq, _) in self.written.range(from..engine.progress.synced().max(from)) {
            if engine.progress.outcome(*seq).is_ok() {
                self.acked.insert(*seq);
                self.seen = self.seen.max(seq + 1);
            }
        }
    }

    fn note_durable(&mut self, engine: &Engine) {
        for (sink, durable) in engine.durable_cursors().into_iter().enumerate() {
            self.sinks[sink].1 = self.sinks[sink].1.max(durable);
            self.seen = self.seen.max(durable);
        }
    }

    /// A sink settles some of what there is.
    pub fn advance(&mut self, engine: &Engine, sink: usize, by: u64) {
        let next = (self.sinks[sink].0 + by).min(engine.end());
        engine.cursors[sink].advance(next);
        self.sinks[sink].0 = next.max(self.sinks[sink].0);
    }

    pub fn keep(&mut self, engine: &Engine) {
        engine.keep(false);
        self.note_durable(engine);
    }

    /// Reads all of it in the same life: what was written is there.
    pub fn check_live(&self, engine: &Engine) {
        let found = self.read(engine);
        let from = self.sinks.iter().map(|(reached, _)| *reached).min().unwrap_or(1);
        for (seq, made) in self.written.range(from..) {
            // Two failures in a row may take what was not acknowledged.
            let is_excused = self.has_sync_failed;
            assert!(is_excused || found.get(seq) == Some(made), "entry {seq} was written and is not read");
        }
    }
}
