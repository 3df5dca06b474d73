//! How a cursor lies on the disk: two slots that are written in turn, so that one of them is
//! whole at any time.
//!
//! ```text
//! slot: 0 magic  8 version  16 generation  24 next  32 durable end  40 journal  60 checksum
//! ```

use std::io;

use super::Seq;
use super::block::{BLOCK, BlockWriter, Take, is_intact};
use super::disk::DiskFile;
use super::segment::SEQ_END;

const MAGIC: [u8; 8] = *b"LOGBJCUR";
const VERSION: u32 = 1;
/// Where the second slot is: on another page, and on another sector of any disk.
const SECOND: u64 = 4096;
/// Length of the file.
pub const FILE_BYTES: u64 = 2 * SECOND;

/// What a slot says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Counts the writes; the larger one counts.
    pub generation: u64,
    /// The first entry that is not settled.
    pub next: Seq,
    /// The end of the journal that had reached the disk when this was written. What is missing
    /// below it was damaged later, not interrupted.
    pub durable_end: Seq,
    /// Which journal it is of, see [`super::identity`].
    pub journal: u64,
}

/// What is in a cursor file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorFound {
    Known(Slot),
    /// Written by a later version.
    Newer(u32),
    /// Neither slot can be read.
    Damaged,
}

impl Slot {
    fn to_bytes(self) -> [u8; BLOCK] {
        BlockWriter::new(&MAGIC)
            .put(&VERSION.to_le_bytes())
            .put(&[0; 4])
            .put(&self.generation.to_le_bytes())
            .put(&self.next.to_le_bytes())
            .put(&self.durable_end.to_le_bytes())
            .put(&self.journal.to_le_bytes())
            .finish()
    }

    fn read(block: &[u8; BLOCK]) -> Option<Result<Slot, u32>> {
        let mut take = Take(block);
        if take.octets()? != MAGIC || !is_intact(block) {
            return None;
        }
        let version = take.u32()?;
        if version > VERSION {
            return Some(Err(version));
        }
        take.u32()?;
        let (generation, next, durable_end) = (take.u64()?, take.u64()?, take.u64()?);
        let slot = Slot { generation, next, durable_end, journal: take.u64()? };
        let is_sound = (1..SEQ_END).contains(&slot.next) && slot.durable_end < SEQ_END;
        is_sound.then_some(Ok(slot))
    }

    /// Writes the slot that its generation names.
    pub fn write(self, file: &dyn DiskFile) -> io::Result<()> {
        let offset = if self.generation.is_multiple_of(2) { 0 } else { SECOND };
        match file.write_at(&[io::IoSlice::new(&self.to_bytes())], offset)? {
            BLOCK => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// The slot written last.
    pub fn of(file: &dyn DiskFile) -> io::Result<CursorFound> {
        let mut newest: Option<Slot> = None;
        for offset in [0, SECOND] {
            let mut block = [0; BLOCK];
            if file.read_at(&mut block, offset)? < BLOCK {
                continue;
            }
            match Slot::read(&block) {
                Some(Err(version)) => return Ok(CursorFound::Newer(version)),
                Some(Ok(slot)) if newest.is_none_or(|known| known.generation < slot.generation) => newest = Some(slot),
                _ => {}
            }
        }
        Ok(newest.map_or(CursorFound::Damaged, CursorFound::Known))
    }
}

/// Name of the file of a sink's cursor.
pub fn file_name(sink: &str) -> String {
    let mut name = String::new();
    for byte in sink.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name + ".cursor"
}

/// The sink a cursor file belongs to, as far as its name says; `None` when it is no name of a cursor.
pub fn sink_of(name: &str) -> Option<&str> {
    name.strip_suffix(".cursor").filter(|sink| !sink.is_empty())
}
