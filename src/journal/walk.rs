//! From entry to entry through a segment whose bytes may be anything.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::block::{ALIGNMENT, BLOCK};
use super::disk::DiskFile;
use super::entry::{Header, MAGIC};
use super::segment::FOOTER_MAGIC;
use super::{Seq, segment::SEQ_END};

/// A part of a file in memory.
#[derive(Debug)]
pub struct Window {
    file: Arc<dyn DiskFile>,
    start: u64,
    bytes: Bytes,
}

impl Window {
    pub fn new(file: Arc<dyn DiskFile>) -> Window {
        Window { file, start: 0, bytes: Bytes::new() }
    }

    /// The bytes of a range; fewer at the end of the file. Reads up to `ahead` bytes at once, never past
    /// `limit`.
    pub fn at(&mut self, range: Range<u64>, ahead: u64, limit: u64) -> io::Result<Bytes> {
        let range = range.start..range.end.min(limit).max(range.start);
        if range.start < self.start || range.end > self.start + self.bytes.len() as u64 {
            let len = (range.end - range.start).max(ahead).min(limit.saturating_sub(range.start));
            let mut buffer = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?];
            let read = self.file.read_at(&mut buffer, range.start)?;
            buffer.truncate(read);
            self.start = range.start;
            self.bytes = buffer.into();
        }
        let have = self.bytes.len() as u64;
        let from = (range.start - self.start).min(have) as usize;
        let to = (range.end - self.start).min(have) as usize;
        Ok(self.bytes.slice(from..to))
    }
}

/// What comes next in a segment.
#[derive(Debug)]
pub enum Step {
    /// An entry whose header is intact; its body has not been looked at.
    Entry {
        /// Where it begins.
        offset: u64,
        /// Its header.
        header: Header,
    },
    /// Bytes between two entries that are no entry.
    Damaged(Range<u64>),
    /// No entry behind this offset, only so many bytes that are not zero, up to the last of them.
    End {
        /// Where the entries end.
        offset: u64,
        /// Bytes of rubbish there.
        rubbish: u64,
    },
}

/// Walks over the headers of a segment.
#[derive(Debug)]
pub struct Walk {
    window: Window,
    position: u64,
    limit: u64,
    seqs: Range<Seq>,
    salt: Option<u64>,
    ahead: u64,
}

/// How much is searched through at once.
const SEARCH_BYTES: u64 = 256 << 10;

impl Walk {
    /// Of the entries `seqs` before the offset `limit`. Without a salt that of the first intact
    /// entry counts. `ahead` is how much to read at once.
    pub fn new(file: Arc<dyn DiskFile>, limit: u64, seqs: Range<Seq>, salt: Option<u64>, ahead: u64) -> Walk {
        let seqs = seqs.start..seqs.end.min(SEQ_END);
        Walk { window: Window::new(file), position: BLOCK as u64, limit, seqs, salt, ahead }
    }

    /// Where the next step begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What has become known of a segment that is still written to.
    pub fn extend(&mut self, limit: u64, end: Seq) {
        self.limit = self.limit.max(limit);
        self.seqs.end = self.seqs.end.max(end);
    }

    /// The next entry, or what is in its place.
    pub fn step(&mut self) -> io::Result<Step> {
        let at = self.position;
        let block = self.window.at(at..at + BLOCK as u64, self.ahead, self.limit)?;
        if let Some(header) = self.accept(&block, at) {
            return Ok(self.entry(at, header));
        }
        if block.starts_with(&FOOTER_MAGIC) {
            return Ok(Step::End { offset: at, rubbish: 0 });
        }
        let mut rubbish_end = at;
        let mut from = at;
        while from < self.limit {
            // Overlapping by a block, so that no header lies across the end of a chunk.
            let chunk = self.window.at(from..from + SEARCH_BYTES, 0, self.limit)?;
            if let Some(found) = self.search(&chunk, from) {
                self.position = found;
                return Ok(Step::Damaged(at..found));
            }
            if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
                rubbish_end = from + last as u64 + 1;
            }
            if (chunk.len() as u64) < SEARCH_BYTES {
                break;
            }
            from += SEARCH_BYTES - BLOCK as u64;
        }
        Ok(Step::End { offset: at, rubbish: rubbish_end - at })
    }

    fn entry(&mut self, offset: u64, header: Header) -> Step {
        self.position = offset + header.total();
        self.seqs.start = header.seq + 1;
        self.salt = Some(header.salt);
        Step::Entry { offset, header }
    }

    /// A header that can stand here: of this segment, later than the one before, and whole.
    fn accept(&self, block: &[u8], offset: u64) -> Option<Header> {
        let header = Header::read(block)?;
        let is_ours = self.salt.is_none_or(|salt| salt == header.salt);
        let fits = offset.checked_add(header.total()).is_some_and(|end| end <= self.limit);
        (is_ours && fits && self.seqs.contains(&header.seq)).then_some(header)
    }

    fn search(&self, chunk: &[u8], from: u64) -> Option<u64> {
        let step = ALIGNMENT as usize;
        (0..chunk.len().saturating_sub(BLOCK - 1))
            .step_by(step)
            .filter(|at| chunk.get(*at..).is_some_and(|rest| rest.starts_with(&MAGIC)))
            .map(|at| (from + at as u64, chunk.get(at..).unwrap_or_default()))
            .find(|(offset, block)| self.accept(block, *offset).is_some())
            .map(|(offset, _)| offset)
    }

    /// What stands behind the header of an entry, `len` bytes of it, fewer at the end of the file.
    pub fn body(&mut self, offset: u64, len: u64) -> io::Result<Bytes> {
        let start = offset + BLOCK as u64;
        self.window.at(start..start + len, self.ahead, self.limit)
    }
}
