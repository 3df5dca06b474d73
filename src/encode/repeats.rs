//! Repeated keys of an object: which members a later one replaces.
//!
//! This is the one place where repeated keys collapse. Decoders keep them, because OTLP can carry
//! them and a forwarded record should leave as it came; a JSON object cannot, without leaving it
//! to each reader which one counts.

use std::cmp::Ordering;

use crate::record::Values;

/// Objects of up to this many members are checked with a bitmap of hashes and, for the few that
/// fall on the same bit, by comparison: a handful of operations a key. Larger ones are sorted, so
/// that a hundred thousand keys cost `n log n` and not `n²`.
const MEMBERS_MAX: usize = 64;

/// Finds repeated keys; reuses its memory from object to object.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Members replaced by later ones, of each object being written, outermost first.
    replaced: Vec<u32>,
    /// Space for sorting.
    sorted: Vec<(&'static [u8], u32)>,
    count: u64,
}

/// The replaced members of one object.
#[derive(Debug)]
#[must_use = "replaced members must be released"]
pub(super) struct Replaced {
    start: usize,
    next: usize,
    end: usize,
}

impl Repeats {
    /// How many members were replaced, in all objects so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Looks through the keys of one object. Keys are the same when they are the same after the
    /// repair of bytes that are not UTF-8, for that is how they are written.
    pub(super) fn find(&mut self, members: Values<'_>) -> Replaced {
        let start = self.replaced.len();
        if !self.find_by_hash(members) {
            self.replaced.truncate(start);
            self.find_by_sorting(members);
        }
        let end = self.replaced.len();
        self.replaced[start..].sort_unstable();
        self.count += (end - start) as u64;
        Replaced { start, next: start, end }
    }

    /// Whether the member at `index` is replaced; asked for each member once, in order.
    #[inline]
    pub(super) fn is_replaced(&self, replaced: &mut Replaced, index: u32) -> bool {
        let found = replaced.next < replaced.end && self.replaced[replaced.next] == index;
        replaced.next += usize::from(found);
        found
    }

    /// The object is written. Objects are released innermost first.
    pub(super) fn release(&mut self, replaced: Replaced) {
        debug_assert_eq!(self.replaced.len(), replaced.end);
        self.replaced.truncate(replaced.start);
    }

    /// Returns false when the object is not for this way: too many members, or a key to repair.
    fn find_by_hash(&mut self, members: Values<'_>) -> bool {
        let mut seen = [0u64; 4];
        for (index, key) in members.keys().enumerate() {
            if index == MEMBERS_MAX || (!key.is_ascii() && std::str::from_utf8(key).is_err()) {
                return false;
            }
            let hash = hash(key);
            let (word, bit) = (usize::from(hash >> 6), 1 << (hash & 63));
            if seen[word] & bit == 0 {
                seen[word] |= bit;
                continue;
            }
            let earlier = members.keys().take(index).enumerate().filter(|(_, it)| *it == key).last();
            self.replaced.extend(earlier.map(|(it, _)| it as u32));
        }
        true
    }

    fn find_by_sorting<'a>(&mut self, members: Values<'a>) {
        let mut sorted: Vec<(&'a [u8], u32)> = std::mem::take(&mut self.sorted);
        sorted.extend(members.keys().zip(0..));
        if sorted.iter().all(|(key, _)| std::str::from_utf8(key).is_ok()) {
            sorted.sort_unstable();
            self.replaced.extend(sorted.windows(2).filter(|it| it[0].0 == it[1].0).map(|it| it[0].1));
        } else {
            sorted.sort_unstable_by(|a, b| compare_repaired(a.0, b.0).then(a.1.cmp(&b.1)));
            let same = |it: &&[(&[u8], u32)]| compare_repaired(it[0].0, it[1].0) == Ordering::Equal;
            self.replaced.extend(sorted.windows(2).filter(same).map(|it| it[0].1));
        }
        sorted.clear();
        // Of an empty vector this maps nothing and keeps the memory; only the lifetime changes.
        self.sorted = sorted.into_iter().map(|(_, index)| (&[][..], index)).collect();
    }
}

/// Eight bits of the length and both ends of a key: dotted names differ at one of them.
#[inline]
fn hash(key: &[u8]) -> u8 {
    let ends = match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29),
        _ => key.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    };
    ((ends ^ key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn compare_repaired(a: &[u8], b: &[u8]) -> Ordering {
    fn repaired(key: &[u8]) -> impl Iterator<Item = char> {
        key.utf8_chunks()
            .flat_map(|chunk| chunk.valid().chars().chain((!chunk.invalid().is_empty()).then_some('\u{FFFD}')))
    }
    repaired(a).cmp(repaired(b))
}
