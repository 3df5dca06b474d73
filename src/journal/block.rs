//! Little-endian numbers in bytes that may be anything.

/// Bytes of every header and of a cursor slot; the last four are their checksum, in all versions.
pub const BLOCK: usize = 64;

/// What entries and footers begin at a multiple of.
pub const ALIGNMENT: u64 = 8;

/// The next multiple of [`ALIGNMENT`].
pub const fn aligned(len: u64) -> u64 {
    len.next_multiple_of(ALIGNMENT)
}

/// A block that is filled from its beginning.
pub struct BlockWriter {
    bytes: [u8; BLOCK],
    filled: usize,
}

impl BlockWriter {
    pub fn new(magic: &[u8]) -> BlockWriter {
        BlockWriter { bytes: [0; BLOCK], filled: 0 }.put(magic)
    }

    /// What does not fit is left out.
    #[must_use]
    pub fn put(mut self, bytes: &[u8]) -> Self {
        if let Some(place) = self.bytes.get_mut(self.filled..self.filled + bytes.len()) {
            place.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
        self
    }

    /// The block with its checksum.
    pub fn finish(mut self) -> [u8; BLOCK] {
        let checksum = crc32fast::hash(&self.bytes[..BLOCK - 4]);
        self.bytes[BLOCK - 4..].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// True when the last four bytes of a block are the checksum of the others.
pub fn is_intact(block: &[u8; BLOCK]) -> bool {
    let (content, checksum) = block.split_at(BLOCK - 4);
    checksum == crc32fast::hash(content).to_le_bytes()
}

/// Takes numbers from the front of bytes; `None` when they end.
#[derive(Clone, Copy)]
pub struct Take<'a>(pub &'a [u8]);

impl<'a> Take<'a> {
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.array()
    }
}
