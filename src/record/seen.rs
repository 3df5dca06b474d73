//! Keys that were seen before in the same payload.
//!
//! The records of one sender have the same keys, mostly in the same order. Each key is written once
//! behind the kept text of a tree, as the beginning of a JSON member; a key that comes again points
//! there. So an encoder of JSON copies it as one block, and that no key of an object comes twice is
//! seen from the places alone.

use super::{FRAGMENT_BLOCK, FRAGMENT_END, FRAGMENT_START, Node, SIDE, Values, is_plain};

/// Keys that are remembered: as many as a word has bits.
pub(crate) const KEYS_MAX: usize = 64;
const SLOTS: usize = KEYS_MAX;
const SLOT: usize = FRAGMENT_BLOCK;
/// Longest key that is remembered: its slot is one block.
const KEY_MAX: usize = SLOT - FRAGMENT_START.len() - FRAGMENT_END.len();
/// Bytes behind the kept text for all of them.
pub(super) const BYTES: usize = SLOTS * SLOT;
/// Keys in vain after which only guesses are looked at: the keys of this payload do not come again.
const MISSES_MAX: u8 = 200;
const WORD: usize = 8;

/// The keys of one payload so far, in the order they came first.
#[derive(Clone, Debug)]
pub(super) struct SeenKeys {
    /// Where the slots begin in the side text; `None` when nothing is remembered.
    base: Option<u32>,
    count: u8,
    /// The slot of the key before, and for each slot the one that came after it last.
    last: u8,
    next: [u8; SLOTS],
    misses: u8,
    lens: [u8; SLOTS],
    /// How each begins, the rest zeros.
    heads: [Head; SLOTS],
}

/// Longest key that is compared at once.
const HEAD: usize = 32;
type Head = [u64; HEAD / WORD];

/// For each length what of a head counts.
static MASKS: [Head; HEAD + 1] = {
    let mut masks = [[0; HEAD / WORD]; HEAD + 1];
    let mut len = 0;
    while len <= HEAD {
        let mut at = 0;
        while at < len {
            masks[len][at / WORD] |= 0xff << (8 * (at % WORD));
            at += 1;
        }
        len += 1;
    }
    masks
};

impl Default for SeenKeys {
    fn default() -> Self {
        SeenKeys {
            base: None,
            count: 0,
            last: 0,
            next: [0; SLOTS],
            misses: 0,
            lens: [0; SLOTS],
            heads: [[0; HEAD / WORD]; SLOTS],
        }
    }
}

impl SeenKeys {
    /// Forgets all keys.
    pub(super) fn clear(&mut self) {
        self.base = None;
        self.count = 0;
        self.last = 0;
        self.misses = 0;
    }

    /// From now on keys are remembered, in [`BYTES`] of side text that begin there.
    pub(super) fn begin(&mut self, base: usize) {
        self.base = Some(base as u32);
    }

    /// Where the key `raw[start..end]` stands in the side text, as written now or when it came first,
    /// and its bit. `None` for one that is too long, or needs an escape, or is one too many.
    #[inline(always)]
    pub(super) fn place(&mut self, raw: &[u8], start: usize, end: usize, side: &mut [u8]) -> Option<(usize, u64)> {
        let base = self.base? as usize;
        let guess = usize::from(self.next[usize::from(self.last) % SLOTS]) % SLOTS;
        let slot = if self.is(guess, raw, start, end) { guess } else { self.search(raw.get(start..end)?, base, side)? };
        self.last = slot as u8;
        let place = base.wrapping_add(slot.wrapping_mul(SLOT)).wrapping_add(FRAGMENT_START.len());
        Some((place, 1 << (slot % SLOTS)))
    }

    /// Whether the key is in that slot; no for long ones and at the end of the payload, where another look
    /// is taken. As many bytes as a head has, of which those of the key count: a call for a comparison of
    /// unknown length costs more than all of it.
    #[inline(always)]
    fn is(&self, slot: usize, raw: &[u8], start: usize, end: usize) -> bool {
        let len = end.wrapping_sub(start);
        let Some(bytes) = raw.get(start..).and_then(|it| it.first_chunk::<HEAD>()) else { return false };
        let Some(mask) = MASKS.get(len) else { return false };
        let words = bytes.as_chunks::<WORD>().0.iter().map(|it| u64::from_le_bytes(*it));
        let different = words.zip(self.heads[slot]).zip(mask).map(|((one, other), mask)| (one ^ other) & mask);
        // A slot that was not used in this payload may have a length of an earlier one.
        usize::from(self.lens[slot]) == len
            && slot < usize::from(self.count)
            && different.fold(0, |all, it| all | it) == 0
    }

    /// Any slot, or a new one. As many comparisons of lengths as there are keys, for a key that
    /// comes out of its order.
    #[inline(never)]
    fn search(&mut self, key: &[u8], base: usize, side: &mut [u8]) -> Option<usize> {
        if self.misses == MISSES_MAX {
            return None;
        }
        let slots = side.get_mut(base..)?.first_chunk_mut::<BYTES>()?.as_chunks_mut::<SLOT>().0;
        let count = usize::from(self.count);
        let holds = |slot: &usize| {
            usize::from(self.lens[*slot]) == key.len() && slots[*slot][FRAGMENT_START.len()..].starts_with(key)
        };
        let slot = match (0..count).find(holds) {
            Some(slot) => slot,
            None if count < SLOTS && (1..=KEY_MAX).contains(&key.len()) && key.iter().all(|it| is_plain(*it)) => {
                let (start, rest) = slots[count].split_at_mut(FRAGMENT_START.len());
                let (text, rest) = rest.split_at_mut(key.len());
                start.copy_from_slice(FRAGMENT_START);
                text.copy_from_slice(key);
                rest[..FRAGMENT_END.len()].copy_from_slice(FRAGMENT_END);
                let mut head = [0; HEAD];
                let len = key.len().min(HEAD);
                head[..len].copy_from_slice(&key[..len]);
                let words = head.as_chunks().0.iter().map(|it| u64::from_le_bytes(*it));
                self.heads[count].iter_mut().zip(words).for_each(|(place, word)| *place = word);
                self.lens[count] = key.len() as u8;
                self.next[count] = 0;
                self.count += 1;
                count
            }
            None => {
                self.misses += 1;
                return None;
            }
        };
        self.next[usize::from(self.last) % SLOTS] = slot as u8;
        Some(slot)
    }

    /// The bit of the slot that a key at this place in the side text has; none for other places.
    #[inline]
    pub(super) fn bit(&self, place: u32) -> u64 {
        let Some(base) = self.base else { return 0 };
        match place.wrapping_sub(base) as usize / SLOT {
            slot @ 0..SLOTS => 1 << slot,
            _ => 0,
        }
    }
}

/// The keys of one object, by their bits: whether none comes twice.
#[derive(Debug, Default)]
pub(crate) struct SeenOnce {
    seen: u64,
    is_doubtful: bool,
}

impl SeenOnce {
    /// The next key. One that is not remembered has no bit, and may come twice.
    #[inline(always)]
    pub(crate) fn add(&mut self, bit: u64) {
        self.is_doubtful |= bit & !self.seen == 0;
        self.seen |= bit;
    }

    /// True when no key came twice.
    #[inline(always)]
    pub(crate) fn is_sure(&self) -> bool {
        !self.is_doubtful
    }
}

impl Values<'_> {
    /// True when all keys came from [`Tree::key`] and none comes twice, which costs no look at them.
    pub(crate) fn are_seen_once(&self) -> bool {
        let Some(mut nodes) = self.tree.nodes.get(self.at as usize..self.end as usize) else { return false };
        let mut once = SeenOnce::default();
        while let [Node { key, value }, rest @ ..] = nodes {
            once.add(self.tree.seen.bit(key.start.wrapping_sub(SIDE)));
            if !once.is_sure() {
                return false;
            }
            nodes = rest.get(value.below() as usize..).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen() -> (SeenKeys, Vec<u8>) {
        let mut seen = SeenKeys::default();
        seen.begin(3);
        (seen, vec![b' '; 3 + BYTES])
    }

    fn place(seen: &mut SeenKeys, key: &str, side: &mut [u8]) -> Option<usize> {
        // Near the end of the payload, and far from it.
        let places = [key.to_owned() + "\0", format!("..{key}{}", "x".repeat(40))];
        let mut found = places.into_iter().zip([0, 2]).map(|(raw, start)| {
            let (place, bit) = seen.place(raw.as_bytes(), start, start + key.len(), side)?;
            assert_eq!(seen.bit(place as u32), bit);
            Some(place)
        });
        let first = found.next().flatten();
        assert_eq!(found.next().flatten(), first);
        first
    }

    proptest! {
        #[test]
        fn a_key_has_one_place_and_stands_there(keys in proptest::collection::vec("[a-c.]{0,61}|[a-d]|\"", 0..200)) {
            let (mut seen, mut side) = seen();
            let mut places = std::collections::BTreeMap::new();
            for key in &keys {
                let Some(place) = place(&mut seen, key, &mut side) else {
                    prop_assert!(key.is_empty() || key.len() > KEY_MAX || key == "\"" || places.len() == SLOTS);
                    continue;
                };
                let member = format!(",\"{key}\":\"");
                prop_assert_eq!(&side[place - 2..][..member.len()], member.as_bytes());
                prop_assert_eq!(*places.entry(key).or_insert(place), place);
            }
            let bits: Vec<u64> = places.values().map(|it| seen.bit(*it as u32)).collect();
            prop_assert_eq!(bits.iter().fold(0, |all, it| all | it).count_ones() as usize, bits.len());
        }
    }

    #[test]
    fn nothing_is_remembered_before_it_begins_and_no_other_place_has_a_bit() {
        let (mut seen, mut side) = seen();
        assert_eq!((seen.bit(2), seen.bit(3 + BYTES as u32)), (0, 0));
        let first = place(&mut seen, "key", &mut side);
        assert!(first.is_some());
        seen.clear();
        assert_eq!((place(&mut seen, "key", &mut side), seen.bit(3)), (None, 0));
        // What the slots held before is not taken for what they hold.
        seen.begin(3);
        side.fill(b' ');
        assert_eq!(place(&mut seen, "other", &mut side), first);
        assert!(place(&mut seen, "key", &mut side) > first);
    }
}
