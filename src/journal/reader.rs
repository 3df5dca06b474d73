//! Reading entries in order, across segments and over what is broken.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::block::BLOCK;
use super::damage::Damage;
use super::disk::{Disk, DiskFile};
use super::entry::{Header, Names};
use super::index::{Index, Place, Segment};
use super::segment::{HeaderFound, SegmentHeader, Tallies};
use super::walk::{Step, Walk};
use super::{Entry, Seq};

/// Something read.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// An entry as it was appended.
    Entry(Seq, Entry),
    /// Entries that are damaged, or whose segment is gone.
    Lost {
        /// The first.
        from: Seq,
        /// One past the last.
        to: Seq,
        /// Records in them, where that can still be read.
        records: Option<u64>,
    },
}

/// Most pieces returned at once.
const READS_MAX: usize = 4096;
/// How often a segment may be replaced while it is opened.
const TRIES: usize = 4;

/// Reads entries in order, from a position of its own.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    index: Arc<Index>,
    damage: Arc<Damage>,
    names: Names,
    open: Option<Open>,
}

/// The segment that was read last.
#[derive(Debug)]
struct Open {
    id: u64,
    file: Arc<dyn DiskFile>,
    walk: Walk,
    /// The entry that the walk comes to next, or a later one.
    next: Seq,
    /// An entry that was met and did not fit.
    met: Option<(u64, Header)>,
}

impl Reader {
    pub(super) fn new(disk: Arc<dyn Disk>, index: Arc<Index>, damage: Arc<Damage>) -> Reader {
        Reader { disk, index, damage, names: Names::default(), open: None }
    }

    /// What there is from `from` on: in order, without holes, at most about `bytes_max` bytes and
    /// 4096 pieces, but at least one piece; nothing when `from` is the end, and nothing of what
    /// every sink has settled and is deleted. Blocks. Payloads share
    /// buffers of up to 1 MiB.
    ///
    /// # Errors
    /// When a segment cannot be read; a later call may work.
    pub fn next(&mut self, from: Seq, bytes_max: usize) -> io::Result<Vec<Read>> {
        let mut batch = Batch { from: from.max(1), reads: Vec::new(), bytes: 0, bytes_max: bytes_max as u64 };
        let mut tries = 0;
        while !batch.is_full() {
            match self.index.locate(batch.from) {
                Place::Ahead => break,
                Place::Gap(to) => self.gone(to, &mut batch),
                Place::In(segment) => match self.read_segment(&segment, &mut batch) {
                    Ok(true) => tries = 0,
                    Ok(false) if tries < TRIES => tries += 1,
                    Ok(false) => return Err(io::Error::other("a segment is replaced again and again")),
                    // What has been read is not held back by what has not.
                    Err(_) if !batch.reads.is_empty() => break,
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(batch.reads)
    }

    /// There is no segment with what is below `to`: deleted while somebody was about to read it, or lost.
    fn gone(&self, to: Seq, batch: &mut Batch) {
        let settled = self.index.settled().min(to);
        if batch.from < settled {
            batch.from = settled;
        } else {
            batch.lost(to, None, &self.damage);
        }
    }

    /// Reads on in one segment until it or the batch ends. False when the file is no longer the one
    /// that the index named.
    fn read_segment(&mut self, segment: &Segment, batch: &mut Batch) -> io::Result<bool> {
        let mut open = match self.open.take().filter(|open| open.id == segment.id && open.next <= batch.from) {
            Some(open) => open,
            None => match self.open(segment, batch.bytes_max)? {
                Opened::Open(open) => *open,
                Opened::Gone => {
                    self.gone(segment.end, batch);
                    return Ok(true);
                }
                Opened::Replaced => return Ok(false),
            },
        };
        open.walk.extend(segment.limit, segment.end);
        while batch.from < segment.end && !batch.is_full() {
            let step = match open.met.take() {
                Some((offset, header)) => Step::Entry { offset, header },
                None => open.walk.step()?,
            };
            match step {
                Step::Entry { header, .. } if header.seq < batch.from => open.next = header.seq + 1,
                // It has moved to a later segment.
                Step::Entry { header, .. } if header.seq >= segment.end => {
                    batch.lost(segment.end, None, &self.damage);
                }
                Step::Entry { offset, header } => {
                    if header.seq > batch.from {
                        batch.lost(header.seq, None, &self.damage);
                    }
                    if !batch.takes(header.total()) {
                        open.met = Some((offset, header));
                        open.next = header.seq;
                        break;
                    }
                    let body = open.walk.body(offset, header.total() - BLOCK as u64)?;
                    match header.entry(&body, &mut self.names) {
                        Some(entry) => batch.push(header, entry),
                        None => {
                            self.damage.corrupt(&*open.file, segment.base, offset..offset + header.total());
                            batch.lost(header.seq + 1, Some(header.records), &self.damage);
                        }
                    }
                    open.next = header.seq + 1;
                }
                Step::Damaged(bytes) => self.damage.corrupt(&*open.file, segment.base, bytes),
                Step::End { offset, rubbish } => {
                    if rubbish > 0 {
                        self.damage.corrupt(&*open.file, segment.base, offset..offset + rubbish);
                    }
                    batch.lost(segment.end, None, &self.damage);
                }
            }
        }
        self.open = Some(open);
        Ok(true)
    }

    fn open(&self, segment: &Segment, bytes_max: u64) -> io::Result<Opened> {
        let file = match self.disk.open(&segment.name(), false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Deleted by the journal, or by somebody else?
                let is_known = self.index.get(segment.id).is_some();
                return Ok(if is_known { Opened::Gone } else { Opened::Replaced });
            }
            file => file?,
        };
        if let (HeaderFound::Known(header), Some(salt)) = (SegmentHeader::of(&*file)?, segment.salt)
            && header.salt != salt
        {
            return Ok(Opened::Replaced);
        }
        let ahead = bytes_max.clamp(64 << 10, 1 << 20);
        let seqs = segment.base..segment.end;
        let walk = Walk::new(Arc::clone(&file), segment.limit, seqs, segment.salt, ahead);
        Ok(Opened::Open(Box::new(Open { id: segment.id, file, walk, next: segment.base, met: None })))
    }
}

enum Opened {
    Open(Box<Open>),
    /// The file is missing.
    Gone,
    /// Another file has its name.
    Replaced,
}

/// What is returned by one call.
struct Batch {
    from: Seq,
    reads: Vec<Read>,
    bytes: u64,
    bytes_max: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.reads.len() >= READS_MAX || (!self.reads.is_empty() && self.bytes >= self.bytes_max)
    }

    /// True when so many bytes more go into it; else it is full.
    fn takes(&mut self, bytes: u64) -> bool {
        let fits = self.reads.is_empty() || self.bytes.saturating_add(bytes) <= self.bytes_max;
        if !fits {
            self.bytes = self.bytes_max;
        }
        fits
    }

    fn push(&mut self, header: Header, entry: Entry) {
        self.bytes += header.total();
        self.from = header.seq + 1;
        self.reads.push(Read::Entry(header.seq, entry));
    }

    /// Everything up to `to` is lost.
    fn lost(&mut self, to: Seq, records: Option<u64>, damage: &Damage) {
        if self.from >= to {
            return;
        }
        damage.lost(self.from..to);
        let from = std::mem::replace(&mut self.from, to);
        match self.reads.last_mut() {
            // One hole, one piece; but what is known of a part is not given up for the whole.
            Some(Read::Lost { to: end, records: known, .. }) if known.is_some() == records.is_some() => {
                *end = to;
                *known = known.zip(records).map(|(a, b)| a.saturating_add(b));
            }
            _ => self.reads.push(Read::Lost { from, to, records }),
        }
    }
}

/// Records in some entries, by source. Damaged entries are left out.
pub fn count(disk: &dyn Disk, index: &Index, seqs: &Range<Seq>) -> io::Result<Tallies> {
    let mut sum = Tallies::default();
    for segment in index.overlapping(seqs) {
        let is_whole = seqs.start <= segment.base && segment.end <= seqs.end;
        if let Some(tallies) = segment.tallies.as_ref().filter(|_| is_whole) {
            tallies.0.iter().for_each(|tally| sum.add(&tally.source, tally.entries, tally.records));
            continue;
        }
        let file = match disk.open(&segment.name(), false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let mut walk = Walk::new(file, segment.limit, segment.base..segment.end, segment.salt, 16 << 10);
        let mut names = Names::default();
        loop {
            match walk.step()? {
                Step::Entry { header, .. } if header.seq >= seqs.end => break,
                Step::Entry { header, .. } if header.seq < seqs.start => {}
                Step::Entry { offset, header } => {
                    let meta = walk.body(offset, header.meta_len())?;
                    if let Some(source) = header.source(&meta) {
                        sum.add(&names.get(source), 1, header.records);
                    }
                }
                Step::Damaged(_) => {}
                Step::End { .. } => break,
            }
        }
    }
    Ok(sum)
}
