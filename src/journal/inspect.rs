//! A look into the directory of a journal, also of one at work. Nothing is written or locked.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::block::BLOCK;
use super::cursor_file::sink_of;
use super::damage::DIRECTORY;
use super::disk::Disk;
use super::entry::Names;
use super::identity;
use super::segment::SEQ_END;
use super::settings::OpenError;
use super::survey::{Found, Survey};
use super::walk::{Step, Walk};
use super::{Entry, Seq};

/// What is in the directory of a journal.
#[derive(Debug)]
pub struct Inspection {
    survey: Survey,
    /// Which it is, where that can be read.
    journal: Option<u64>,
    /// Bytes of damaged entries that were put aside.
    pub quarantined: u64,
}

/// A cursor on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorSeen {
    /// Name of the sink; bytes other than letters, digits, `-` and `_` as `%xx`.
    pub sink: String,
    /// The first entry that it has not settled; `None` when the file is damaged.
    pub next: Option<Seq>,
    /// It was copied from another journal, and is not believed.
    pub is_foreign: bool,
}

/// A segment that is about to be looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSeen {
    /// The first entry, and the name of the file.
    pub base: Seq,
    /// One past the last entry, where that is known: of the last one before it is sealed it is not.
    pub end: Option<Seq>,
    /// Length of the file.
    pub bytes: u64,
    /// It has a footer: nothing is written to it any more.
    pub is_sealed: bool,
    /// Its header can be read.
    pub has_header: bool,
    /// It is the last one.
    pub is_last: bool,
}

/// A piece of a segment, in order.
#[derive(Debug)]
pub enum Piece {
    /// An entry, whole.
    Entry(Seq, Entry),
    /// An entry whose header is whole and whose content is not.
    Spoilt {
        /// Its number.
        seq: Seq,
        /// Records in it.
        records: u64,
    },
    /// Bytes in the place of entries that are none.
    Damaged(Range<u64>),
    /// Entries that should be there.
    Missing(Range<Seq>),
    /// Bytes behind the last whole entry of the last segment: being written, or torn by the end of
    /// the process.
    Tail(u64),
}

impl Inspection {
    /// Looks at what there is.
    ///
    /// # Errors
    /// When a later version wrote it, there is none, or the directory cannot be read.
    pub fn of(disk: &dyn Disk) -> Result<Inspection, OpenError> {
        let survey = Survey::of(disk, false)?;
        let journal = identity::seen(disk);
        if survey.segments.is_empty() && survey.cursors.is_empty() && journal.is_none() {
            return Err(OpenError::NoJournal);
        }
        let quarantined = disk.list(DIRECTORY).unwrap_or_default().iter().map(|file| file.len).sum();
        Ok(Inspection { survey, journal, quarantined })
    }

    /// The cursors, by name.
    pub fn cursors(&self) -> impl Iterator<Item = CursorSeen> + '_ {
        self.survey.cursors.iter().map(|(name, slot)| CursorSeen {
            sink: sink_of(name).unwrap_or(name).to_owned(),
            next: slot.map(|slot| slot.next),
            is_foreign: slot.is_some_and(|slot| slot.journal != 0 && self.journal.is_some_and(|it| it != slot.journal)),
        })
    }

    /// One past the last entry that had reached the disk, as far as the cursors say: what is missing
    /// below was damaged later, not torn by the end of the process.
    #[must_use]
    pub fn durable_end(&self) -> Seq {
        self.survey.cursors.iter().filter_map(|(_, slot)| *slot).map(|slot| slot.durable_end).max().unwrap_or(0)
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = SegmentSeen> + '_ {
        self.survey.segments.iter().enumerate().map(|(at, found)| SegmentSeen {
            base: found.base,
            end: self.end(at),
            bytes: found.len,
            is_sealed: found.footer.is_some(),
            has_header: found.header.is_some(),
            is_last: at + 1 == self.survey.segments.len(),
        })
    }

    /// What its footer says, but no further than to the next one.
    fn end(&self, at: usize) -> Option<Seq> {
        let own = self.survey.segments.get(at).and_then(|found| found.footer.as_ref()).map(|footer| footer.end);
        let later = self.survey.segments.get(at + 1).map(|later| later.base);
        own.into_iter().chain(later).min()
    }

    /// Entries between a segment and the next one that are in neither.
    #[must_use]
    pub fn gap_behind(&self, segment: &SegmentSeen) -> Option<Range<Seq>> {
        let later = self.survey.segments.iter().map(|found| found.base).find(|base| *base > segment.base)?;
        segment.end.filter(|end| *end < later).map(|end| end..later)
    }

    /// Looks through a segment, its content included, until `visit` has had enough.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn walk(&self, segment: &SegmentSeen, mut visit: impl FnMut(Piece) -> ControlFlow<()>) -> io::Result<()> {
        let Some(found) = self.survey.segments.iter().find(|found| found.base == segment.base) else { return Ok(()) };
        // Told to go away, it goes.
        let _ = walk(found, segment, &mut visit)?;
        Ok(())
    }
}

fn walk(
    found: &Found,
    segment: &SegmentSeen,
    visit: &mut impl FnMut(Piece) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    macro_rules! tell {
        ($piece:expr) => {
            if visit($piece).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        };
    }
    let seqs = found.base..segment.end.unwrap_or(SEQ_END);
    let mut walk = Walk::new(Arc::clone(&found.file), found.limit(), seqs, found.salt(), 1 << 20);
    let (mut next, mut names) = (found.base, Names::default());
    // What may be the torn end is told only when something whole follows.
    let mut doubtful: Vec<Piece> = Vec::new();
    let mut whole_end = BLOCK as u64;
    loop {
        match walk.step()? {
            Step::Entry { offset, header } => {
                if header.seq > next {
                    doubtful.push(Piece::Missing(next..header.seq));
                }
                next = header.seq + 1;
                let body = walk.body(offset, header.total() - BLOCK as u64)?;
                let Some(entry) = header.entry(&body, &mut names) else {
                    doubtful.push(Piece::Spoilt { seq: header.seq, records: header.records });
                    continue;
                };
                for piece in doubtful.drain(..) {
                    tell!(piece);
                }
                whole_end = walk.position();
                tell!(Piece::Entry(header.seq, entry));
            }
            Step::Damaged(bytes) => doubtful.push(Piece::Damaged(bytes)),
            Step::End { offset, rubbish } => {
                let end = offset + rubbish;
                match segment.end {
                    None if end > whole_end => tell!(Piece::Tail(end - whole_end)),
                    None => {}
                    Some(last) => {
                        for piece in doubtful {
                            tell!(piece);
                        }
                        // Behind the last entry that counts there may be what was written again elsewhere.
                        if next < last && rubbish > 0 {
                            tell!(Piece::Damaged(offset..end));
                        }
                        if next < last {
                            tell!(Piece::Missing(next..last));
                        }
                    }
                }
                return Ok(ControlFlow::Continue(()));
            }
        }
    }
}
