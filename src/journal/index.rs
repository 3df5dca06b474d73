//! Which segments there are. The log changes it, readers look; nobody waits for a disk under its lock.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Seq;
use super::segment::{Tallies, file_name};

/// A segment as a reader needs it.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Never given twice while the journal is open, other than the name of the file.
    pub id: u64,
    /// The first entry, and the name of the file.
    pub base: Seq,
    /// One past the last entry.
    pub end: Seq,
    /// Where the entries end in the file.
    pub limit: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// `None` when its header is damaged.
    pub salt: Option<u64>,
    /// Nothing is written to it any more.
    pub is_sealed: bool,
    /// How much is in it; of sealed ones, where it is known.
    pub tallies: Option<Arc<Tallies>>,
}

impl Segment {
    pub fn name(&self) -> String {
        file_name(self.base)
    }
}

/// Where an entry is.
#[derive(Debug)]
pub enum Place {
    /// Nowhere yet.
    Ahead,
    /// In no segment, nor are those before this one.
    Gap(Seq),
    In(Segment),
}

#[derive(Debug)]
pub struct Index(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    segments: VecDeque<Segment>,
    end: Seq,
    /// All below it is settled by every sink, and may be deleted.
    settled: Seq,
}

impl Index {
    pub fn new(segments: Vec<Segment>, end: Seq) -> Index {
        Index(Mutex::new(Inner { segments: segments.into(), end, settled: 0 }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All below it may be deleted at any moment: who still looks for it no longer needs it.
    pub fn settled(&self) -> Seq {
        self.inner().settled
    }

    /// Every sink has settled all below `seq`.
    pub fn set_settled(&self, seq: Seq) {
        let settled = &mut self.inner().settled;
        *settled = seq.max(*settled);
    }

    /// One past the last entry.
    pub fn end(&self) -> Seq {
        self.inner().end
    }

    pub fn locate(&self, seq: Seq) -> Place {
        let inner = self.inner();
        if seq >= inner.end {
            return Place::Ahead;
        }
        let later = inner.segments.partition_point(|segment| segment.end <= seq);
        match inner.segments.get(later) {
            Some(segment) if segment.base <= seq => Place::In(segment.clone()),
            Some(segment) => Place::Gap(segment.base),
            None => Place::Gap(inner.end),
        }
    }

    /// The segments that hold some of the entries.
    pub fn overlapping(&self, seqs: &Range<Seq>) -> Vec<Segment> {
        let inner = self.inner();
        inner.segments.iter().filter(|s| s.base < seqs.end && seqs.start < s.end).cloned().collect()
    }

    pub fn oldest(&self) -> Option<Segment> {
        self.inner().segments.front().cloned()
    }

    /// One past the last entry of the oldest sealed segments that have so many bytes together, or of
    /// all.
    pub fn oldest_end(&self, bytes: u64) -> Option<Seq> {
        let inner = self.inner();
        let (mut sum, mut end) = (0, None);
        for segment in inner.segments.iter().take_while(|segment| segment.is_sealed) {
            if sum >= bytes && end.is_some() {
                break;
            }
            sum += segment.bytes;
            end = Some(segment.end);
        }
        end
    }

    pub fn get(&self, id: u64) -> Option<Segment> {
        self.inner().segments.iter().rev().find(|segment| segment.id == id).cloned()
    }

    /// Puts a segment in its place.
    pub fn insert(&self, segment: Segment) {
        let mut inner = self.inner();
        let at = inner.segments.partition_point(|known| known.base < segment.base);
        inner.segments.insert(at, segment);
    }

    pub fn change(&self, id: u64, change: impl FnOnce(&mut Segment)) {
        if let Some(segment) = self.inner().segments.iter_mut().rev().find(|segment| segment.id == id) {
            change(segment);
        }
    }

    pub fn remove(&self, id: u64) {
        self.inner().segments.retain(|segment| segment.id != id);
    }

    /// Entries were written to the last segment, up to `end`, up to the offset `limit`.
    pub fn grow(&self, id: u64, end: Seq, limit: u64) {
        let mut inner = self.inner();
        inner.end = end;
        if let Some(segment) = inner.segments.back_mut().filter(|segment| segment.id == id) {
            (segment.end, segment.limit) = (end, limit);
        }
    }
}
