//! How an entry lies in a segment: a header of 64 bytes, what is known about the payload, the
//! payload, and zeros up to the next multiple of eight.
//!
//! ```text
//! 0 magic  4 version  5 kind  8 seq  16 received  24 records  32 meta length  36 payload length
//! 40 meta checksum  44 payload checksum  48 salt of the segment  60 header checksum
//! ```
//!
//! The header has a checksum of its own, so that a damaged payload can be stepped over. Behind a
//! damaged header the next entry is searched for by its magic; the salt, a random number of the
//! segment, keeps a payload that holds something like an entry from being taken for one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::block::{BLOCK, BlockWriter, Take, aligned, is_intact};
use super::{Entry, Kind, Seq};
use crate::decode::line::Mark;

pub const MAGIC: [u8; 4] = *b"\xb5LBe";
const VERSION: u8 = 1;
/// Longest name of a source that is kept.
const SOURCE_BYTES_MAX: usize = 1024;
/// Largest payload, and most bytes of marks.
const PART_BYTES_MAX: usize = 1 << 30;

/// The header of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: u8,
    pub seq: Seq,
    received: u64,
    pub records: u64,
    meta_len: u32,
    payload_len: u32,
    meta_checksum: u32,
    payload_checksum: u32,
    pub salt: u64,
}

impl Header {
    /// Reads a header; `None` when it is damaged, or none.
    pub fn read(block: &[u8]) -> Option<Header> {
        let block = block.first_chunk::<BLOCK>()?;
        let mut take = Take(block);
        if take.octets()? != MAGIC || !is_intact(block) || take.u8()? != VERSION {
            return None;
        }
        let kind = take.u8()?;
        take.u16()?;
        let header = Header {
            kind,
            seq: take.u64()?,
            received: take.u64()?,
            records: take.u64()?,
            meta_len: take.u32()?,
            payload_len: take.u32()?,
            meta_checksum: take.u32()?,
            payload_checksum: take.u32()?,
            salt: take.u64()?,
        };
        (header.seq > 0).then_some(header)
    }

    /// The header as it lies on the disk.
    pub fn to_bytes(self) -> [u8; BLOCK] {
        BlockWriter::new(&MAGIC)
            .put(&[VERSION, self.kind, 0, 0])
            .put(&self.seq.to_le_bytes())
            .put(&self.received.to_le_bytes())
            .put(&self.records.to_le_bytes())
            .put(&self.meta_len.to_le_bytes())
            .put(&self.payload_len.to_le_bytes())
            .put(&self.meta_checksum.to_le_bytes())
            .put(&self.payload_checksum.to_le_bytes())
            .put(&self.salt.to_le_bytes())
            .finish()
    }

    /// Bytes of the whole entry.
    pub fn total(&self) -> u64 {
        aligned(BLOCK as u64 + u64::from(self.meta_len) + u64::from(self.payload_len))
    }

    /// Zeros behind the payload.
    pub fn padding(&self) -> usize {
        (self.total() - BLOCK as u64 - u64::from(self.meta_len) - u64::from(self.payload_len)) as usize
    }

    /// Bytes between the header and the payload.
    pub fn meta_len(&self) -> u64 {
        u64::from(self.meta_len)
    }

    /// The name of the source, from the bytes behind the header; `None` when they are damaged.
    pub fn source<'a>(&self, meta: &'a [u8]) -> Option<&'a str> {
        let (source, _) = self.split_source(meta)?;
        std::str::from_utf8(source).ok()
    }

    fn split_source<'a>(&self, meta: &'a [u8]) -> Option<(&'a [u8], Take<'a>)> {
        if meta.len() != self.meta_len as usize || crc32fast::hash(meta) != self.meta_checksum {
            return None;
        }
        let mut take = Take(meta);
        let len = take.u16()?;
        Some((take.bytes(usize::from(len))?, take))
    }

    /// The entry, from the bytes behind the header; `None` when they are damaged.
    pub fn entry(&self, body: &Bytes, names: &mut Names) -> Option<Entry> {
        let (meta, rest) = body.split_at_checked(self.meta_len as usize)?;
        let payload = rest.get(..self.payload_len as usize)?;
        if crc32fast::hash(payload) != self.payload_checksum {
            return None;
        }
        let (source, mut take) = self.split_source(meta)?;
        let kind = match self.kind {
            1 => Kind::Lines,
            2 => Kind::Otlp,
            _ => return None,
        };
        let source = names.get(std::str::from_utf8(source).ok()?);
        let peer = read_peer(&mut take)?;
        let marks = take.u32()?;
        // Five bytes each, so what there is bounds how many there can be.
        let mut list = Vec::with_capacity((marks as usize).min(take.0.len() / 5));
        for _ in 0..marks {
            let (start, flags) = (take.u32()?, take.u8()?);
            list.push(Mark { start, truncated: flags & 1 != 0, partial: flags & 2 != 0 });
        }
        let payload = body.slice_ref(payload);
        let (received_unix_nano, records) = (self.received, self.records);
        Some(Entry { kind, source, peer, received_unix_nano, records, marks: list, payload })
    }
}

/// Bytes an entry takes. `None` when it is too large for the format.
pub fn size(entry: &Entry) -> Option<u64> {
    let marks = entry.marks.len().checked_mul(5)?;
    if entry.source.len() > SOURCE_BYTES_MAX || marks > PART_BYTES_MAX || entry.payload.len() > PART_BYTES_MAX {
        return None;
    }
    let peer = match entry.peer {
        None => 1,
        Some(SocketAddr::V4(_)) => 7,
        Some(SocketAddr::V6(_)) => 27,
    };
    Some(aligned((BLOCK + 2 + entry.source.len() + peer + 4 + marks + entry.payload.len()) as u64))
}

/// Appends what stands before the payload. `None` when the entry is too large for the format.
pub fn write_prefix(entry: &Entry, seq: Seq, salt: u64, out: &mut Vec<u8>) -> Option<Header> {
    size(entry)?;
    let source = entry.source.as_bytes();
    let start = out.len();
    out.extend([0; BLOCK]);
    out.extend(u16::try_from(source.len()).ok()?.to_le_bytes());
    out.extend(source);
    write_peer(entry.peer, out);
    out.extend(u32::try_from(entry.marks.len()).ok()?.to_le_bytes());
    for mark in &entry.marks {
        out.extend(mark.start.to_le_bytes());
        out.push(u8::from(mark.truncated) | u8::from(mark.partial) << 1);
    }
    let meta = out.get(start + BLOCK..)?;
    let header = Header {
        kind: match entry.kind {
            Kind::Lines => 1,
            Kind::Otlp => 2,
        },
        seq,
        received: entry.received_unix_nano,
        records: entry.records,
        meta_len: u32::try_from(meta.len()).ok()?,
        payload_len: u32::try_from(entry.payload.len()).ok()?,
        meta_checksum: crc32fast::hash(meta),
        payload_checksum: crc32fast::hash(&entry.payload),
        salt,
    };
    out.get_mut(start..start + BLOCK)?.copy_from_slice(&header.to_bytes());
    Some(header)
}

fn write_peer(peer: Option<SocketAddr>, out: &mut Vec<u8>) {
    match peer {
        None => out.push(0),
        Some(SocketAddr::V4(peer)) => {
            out.push(4);
            out.extend(peer.ip().octets());
            out.extend(peer.port().to_le_bytes());
        }
        Some(SocketAddr::V6(peer)) => {
            out.push(6);
            out.extend(peer.ip().octets());
            out.extend(peer.port().to_le_bytes());
            out.extend(peer.flowinfo().to_le_bytes());
            out.extend(peer.scope_id().to_le_bytes());
        }
    }
}

#[allow(clippy::option_option, reason = "no peer, or no way to read it")]
fn read_peer(take: &mut Take<'_>) -> Option<Option<SocketAddr>> {
    Some(match take.u8()? {
        0 => None,
        4 => {
            let ip = Ipv4Addr::from(take.octets::<4>()?);
            Some(SocketAddr::new(IpAddr::V4(ip), take.u16()?))
        }
        6 => {
            let ip = Ipv6Addr::from(take.octets::<16>()?);
            Some(std::net::SocketAddrV6::new(ip, take.u16()?, take.u32()?, take.u32()?).into())
        }
        _ => return None,
    })
}

/// The names of sources, each allocated once.
#[derive(Debug, Default)]
pub struct Names(Vec<Arc<str>>);

impl Names {
    /// At most this many are remembered.
    const MAX: usize = 256;

    pub fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        if self.0.len() < Self::MAX {
            self.0.push(Arc::clone(&new));
        }
        new
    }
}
