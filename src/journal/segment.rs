//! How a segment lies on the disk: a header, entries, and, once nothing more is written to it, a
//! footer with what is in it.
//!
//! ```text
//! header: 0 magic  8 version  16 base seq  24 created  32 salt  60 checksum
//! footer: 0 magic  8 base seq  16 end seq  24 entries  32 number of sources  36 for each source:
//!         2 length, name, 8 entries, 8 records; zeros to a multiple of eight;
//!         then 0 magic  8 offset of the footer  16 salt  24 zero  28 checksum of all of the footer
//! ```

use std::io;
use std::sync::Arc;

use super::Seq;
use super::block::{ALIGNMENT, BLOCK, BlockWriter, Take, aligned, is_intact};
use super::disk::DiskFile;

const MAGIC: [u8; 8] = *b"LOGBJSEG";
/// The newest format this version reads, and the one it writes.
pub const VERSION: u32 = 1;
pub const FOOTER_MAGIC: [u8; 8] = *b"LOGBJFOO";
const TRAILER_MAGIC: [u8; 8] = *b"LOGBJEND";
const TRAILER: usize = 32;
/// Largest footer that is looked at: the names of more sources than a configuration can have.
const FOOTER_BYTES_MAX: u64 = 1 << 20;

/// Name of the file that begins with entry `base`.
pub fn file_name(base: Seq) -> String {
    format!("{base:016x}.seg")
}

/// The first entry of the segment of that name; `None` when it is no name of a segment.
pub fn base_of(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".seg")?;
    let is_plain = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // Half of all numbers is out of reach, so that no arithmetic on a number from a file overflows.
    u64::from_str_radix(digits, 16).ok().filter(|base| is_plain && (1..SEQ_END).contains(base))
}

/// No number reaches it; what does, in a file, is damage.
pub const SEQ_END: Seq = 1 << 62;

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub base: Seq,
    pub created_unix_nano: u64,
    pub salt: u64,
}

/// What stands where a header should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFound {
    Known(SegmentHeader),
    /// Written by a later version.
    Newer(u32),
    /// Nothing that can be read.
    Damaged,
}

impl SegmentHeader {
    pub fn to_bytes(self) -> [u8; BLOCK] {
        BlockWriter::new(&MAGIC)
            .put(&VERSION.to_le_bytes())
            .put(&[0; 4])
            .put(&self.base.to_le_bytes())
            .put(&self.created_unix_nano.to_le_bytes())
            .put(&self.salt.to_le_bytes())
            .finish()
    }

    pub fn read(block: &[u8]) -> HeaderFound {
        Self::found(block).unwrap_or(HeaderFound::Damaged)
    }

    fn found(block: &[u8]) -> Option<HeaderFound> {
        let block = block.first_chunk::<BLOCK>()?;
        let mut take = Take(block);
        if take.octets()? != MAGIC || !is_intact(block) {
            return None;
        }
        let version = take.u32()?;
        if version > VERSION {
            return Some(HeaderFound::Newer(version));
        }
        take.u32()?;
        let (base, created_unix_nano, salt) = (take.u64()?, take.u64()?, take.u64()?);
        Some(HeaderFound::Known(SegmentHeader { base, created_unix_nano, salt }))
    }

    /// Of an open file.
    pub fn of(file: &dyn DiskFile) -> io::Result<HeaderFound> {
        let mut block = [0; BLOCK];
        let len = file.read_at(&mut block, 0)?;
        Ok(Self::read(block.get(..len).unwrap_or_default()))
    }
}

/// How much of one source is in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub source: Arc<str>,
    pub entries: u64,
    pub records: u64,
}

/// How much of each source is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(pub Vec<Tally>);

impl Tallies {
    pub fn add(&mut self, source: &Arc<str>, entries: u64, records: u64) {
        match self.0.iter_mut().find(|tally| tally.source == *source) {
            Some(tally) => {
                tally.entries = tally.entries.saturating_add(entries);
                tally.records = tally.records.saturating_add(records);
            }
            None => self.0.push(Tally { source: Arc::clone(source), entries, records }),
        }
    }

    pub fn has(&self, source: &str) -> bool {
        self.0.iter().any(|tally| *tally.source == *source)
    }

    /// Bytes one source takes in a footer.
    pub fn bytes_of(source: &str) -> u64 {
        source.len() as u64 + 18
    }

    /// Bytes of a footer with these, at most.
    pub fn footer_bytes(&self) -> u64 {
        let sources: u64 = self.0.iter().map(|tally| Self::bytes_of(&tally.source)).sum();
        36 + sources + ALIGNMENT + TRAILER as u64
    }
}

/// What the footer of a segment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    pub base: Seq,
    /// One past the last entry.
    pub end: Seq,
    pub entries: u64,
    pub tallies: Tallies,
    pub salt: u64,
    /// Where it begins, and the entries end.
    pub offset: u64,
}

impl Footer {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(FOOTER_MAGIC);
        for number in [self.base, self.end, self.entries] {
            out.extend(number.to_le_bytes());
        }
        out.extend((self.tallies.0.len() as u32).to_le_bytes());
        for tally in &self.tallies.0 {
            out.extend((tally.source.len() as u16).to_le_bytes());
            out.extend(tally.source.as_bytes());
            out.extend(tally.entries.to_le_bytes());
            out.extend(tally.records.to_le_bytes());
        }
        out.resize(aligned(out.len() as u64) as usize, 0);
        out.extend(TRAILER_MAGIC);
        out.extend(self.offset.to_le_bytes());
        out.extend(self.salt.to_le_bytes());
        out.extend([0; 4]);
        let checksum = crc32fast::hash(&out);
        out.extend(checksum.to_le_bytes());
        out
    }

    /// The footer that ends a file of `len` bytes; `None` when there is no intact one.
    pub fn of(file: &dyn DiskFile, len: u64) -> io::Result<Option<Footer>> {
        let Some(at) = len.checked_sub(TRAILER as u64) else { return Ok(None) };
        let mut trailer = [0; TRAILER];
        if file.read_at(&mut trailer, at)? < TRAILER {
            return Ok(None);
        }
        let mut take = Take(&trailer);
        let is_trailer = take.octets() == Some(TRAILER_MAGIC);
        let offset = take.u64().unwrap_or(len);
        if !is_trailer || offset < BLOCK as u64 || len.saturating_sub(offset) > FOOTER_BYTES_MAX || offset > at {
            return Ok(None);
        }
        let mut bytes = vec![0; (len - offset) as usize];
        let is_whole = file.read_at(&mut bytes, offset)? == bytes.len();
        Ok(Self::read(&bytes, offset).filter(|_| is_whole))
    }

    fn read(bytes: &[u8], offset: u64) -> Option<Footer> {
        let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if checksum != crc32fast::hash(content).to_le_bytes() {
            return None;
        }
        let mut take = Take(content);
        if take.octets()? != FOOTER_MAGIC {
            return None;
        }
        let (base, end, entries, sources) = (take.u64()?, take.u64()?, take.u64()?, take.u32()?);
        let mut tallies = Tallies::default();
        for _ in 0..sources {
            let len = take.u16()?;
            let source = std::str::from_utf8(take.bytes(usize::from(len))?).ok()?;
            let (entries, records) = (take.u64()?, take.u64()?);
            tallies.0.push(Tally { source: source.into(), entries, records });
        }
        let mut trailer = Take(content.get(content.len().checked_sub(TRAILER - 4)?..)?);
        trailer.u64()?;
        let is_here = trailer.u64()? == offset;
        let salt = trailer.u64()?;
        let is_sound = is_here && base >= 1 && base <= end && end < SEQ_END;
        is_sound.then_some(Footer { base, end, entries, tallies, salt, offset })
    }
}
