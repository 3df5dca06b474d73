//! The exact way to read a stretch of a line: every place where each slot can begin and end.
//!
//! From the left, the places where a slot can end when all slots before it fit; from the right,
//! those of them from which the rest can be reached. A slot with one beginning and one end is
//! certain. Places are bits, one per byte of the stretch; each slot costs one pass over them.

use super::bytes::Bytes;
use super::class::{Class, Lengths};
use super::literal::Literal;
use super::matcher::{Element, Match, Place};

/// Most bytes of bits for one line: 32 slots over 1 MiB. What needs more is not read.
pub(super) const BYTES_MAX: usize = 4 << 20;
const WORDS_MAX: usize = BYTES_MAX / size_of::<u64>();
/// Words that are kept from line to line: a hostile one must not leave its memory behind.
const WORDS_KEPT: usize = 1 << 13;

/// Places, reused from line to line.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries {
    /// Where the first slot begins, then where each slot can end: equally many words for each.
    bits: Vec<u64>,
}

impl Boundaries {
    /// Reads `line[start..end]` as slots, of which the last ends at `end` (the literal behind it is
    /// not looked at), and notes the place of each slot where that is the same in all ways.
    pub(super) fn read(
        &mut self,
        line: &[u8],
        start: usize,
        end: usize,
        slots: &[Element],
        places: &mut [Place],
    ) -> Match {
        let text = &line[start..end];
        let words = text.len() / 64 + 1;
        let needed = (slots.len() + 1).saturating_mul(words);
        if needed > WORDS_MAX {
            return Match::No(0);
        }
        self.bits.clear();
        self.bits.resize(needed, 0);
        let read = self.places(text, start, slots, places, words);
        if self.bits.capacity() > WORDS_KEPT {
            self.bits = Vec::new();
        }
        read
    }

    fn places(&mut self, text: &[u8], start: usize, slots: &[Element], places: &mut [Place], words: usize) -> Match {
        set(&mut self.bits, 0);
        for (index, slot) in slots.iter().enumerate() {
            let (begins, ends) = neighbours(&mut self.bits, words, index);
            let shift = index.checked_sub(1).map_or(0, |before| slots[before].after.len());
            let after = (index + 1 < slots.len()).then_some(&slot.after);
            if !forward(text, &slot.class, begins, shift, after, ends) {
                return Match::No(index);
            }
        }
        for (index, slot) in slots.iter().enumerate().rev() {
            let (begins, ends) = neighbours(&mut self.bits, words, index);
            let shift = index.checked_sub(1).map_or(0, |before| slots[before].after.len());
            backward(text, &slot.class, begins, shift, ends);
        }
        let mut sets = self.bits.chunks_exact(words).map(one);
        let mut begin = sets.next().flatten();
        let mut certain = true;
        for ((place, slot), end) in places.iter_mut().zip(slots).zip(sets) {
            *place = begin.zip(end).map_or(Place::UNKNOWN, |(begin, end)| Place::new(start + begin, start + end));
            certain &= place.is_known();
            begin = end.map(|end| end + slot.after.len());
        }
        if certain { Match::Unique } else { Match::Ambiguous }
    }
}

/// Sets the places where a slot can end that begins at one of `begins`, each `shift` farther: at
/// `after`, or at the end of the text. False when there is none.
fn forward(
    text: &[u8],
    class: &Class,
    begins: &[u64],
    shift: usize,
    after: Option<&Literal>,
    ends: &mut [u64],
) -> bool {
    let mut nearest = None;
    let mut rest = ascending(begins).map(|it| it + shift).peekable();
    // Bytes up to `seen` were looked at; what the slot cannot hold ends at `wall`.
    let (mut seen, mut wall) = (0, 0);
    let mut lengths = Lengths::default();
    let mut reached = |at: usize| {
        if !class.is_closed() {
            let mut lens = 0..=class.len_max().min(at.saturating_sub(shift));
            return at >= shift && lens.any(|len| has(begins, at - len - shift) && class.fits(&text[at - len..at]));
        }
        while let Some(begin) = rest.next_if(|it| *it <= at) {
            nearest = Some(begin);
        }
        let Some(begin) = nearest else { return false };
        match class {
            Class::Run { bytes, max } if *bytes != Bytes::Any => {
                seen = seen.max(begin);
                if let Some(foreign) = text[seen..at].iter().rposition(|byte| !bytes.has(*byte)) {
                    wall = seen + foreign + 1;
                }
                seen = at;
                begin >= wall && lengths.fit(text, begin..at, *max)
            }
            Class::Run { max, .. } => lengths.fit(text, begin..at, *max),
            _ => at - begin <= class.len_max() && class.fits(&text[begin..at]),
        }
    };
    let mut any = false;
    let mut note = |at: usize| {
        if reached(at) {
            set(ends, at);
            any = true;
        }
    };
    let Some(after) = after else {
        note(text.len());
        return any;
    };
    let mut from = 0;
    while let Some(at) = after.find(text, from, text.len()) {
        note(at);
        from = at + 1;
    }
    any
}

/// Keeps those of `begins`, each `shift` farther, from which a slot reaches one of `ends`.
fn backward(text: &[u8], class: &Class, begins: &mut [u64], shift: usize, ends: &[u64]) {
    let mut nearest = None;
    let mut rest = descending(ends).peekable();
    let (mut seen, mut wall) = (text.len(), usize::MAX);
    let mut lengths = Lengths::default();
    let mut reaches = |at: usize| {
        if !class.is_closed() {
            let mut lens = 0..=class.len_max().min(text.len() - at);
            return lens.any(|len| has(ends, at + len) && class.fits(&text[at..at + len]));
        }
        while let Some(end) = rest.next_if(|it| *it >= at) {
            nearest = Some(end);
        }
        let Some(end) = nearest else { return false };
        match class {
            Class::Run { bytes, max } if *bytes != Bytes::Any => {
                seen = seen.min(end);
                if let Some(foreign) = text[at..seen].iter().position(|byte| !bytes.has(*byte)) {
                    wall = at + foreign;
                }
                seen = at;
                end <= wall && lengths.fit(text, at..end, *max)
            }
            Class::Run { max, .. } => lengths.fit(text, at..end, *max),
            _ => end - at <= class.len_max() && class.fits(&text[at..end]),
        }
    };
    for (index, word) in begins.iter_mut().enumerate().rev() {
        let mut left = *word;
        while left != 0 {
            let bit = 63 - left.leading_zeros();
            left ^= 1 << bit;
            if !reaches(index * 64 + bit as usize + shift) {
                *word ^= 1 << bit;
            }
        }
    }
}

/// The places where a slot begins (to be moved behind the literal) and where it ends.
fn neighbours(bits: &mut [u64], words: usize, index: usize) -> (&mut [u64], &mut [u64]) {
    let (begins, ends) = bits.split_at_mut((index + 1) * words);
    (&mut begins[index * words..], &mut ends[..words])
}

fn has(bits: &[u64], at: usize) -> bool {
    bits[at / 64] & 1 << (at % 64) != 0
}

fn set(bits: &mut [u64], at: usize) {
    bits[at / 64] |= 1 << (at % 64);
}

fn ascending(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(|(index, word)| {
        let next = |left: &u64| Some(left & (left - 1)).filter(|it| *it != 0);
        std::iter::successors(Some(*word), next).map(move |left| index * 64 + left.trailing_zeros() as usize)
    })
}

fn descending(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().rev().filter(|(_, word)| **word != 0).flat_map(|(index, word)| {
        let next = |left: &u64| Some(left ^ (1 << (63 - left.leading_zeros()))).filter(|it| *it != 0);
        std::iter::successors(Some(*word), next).map(move |left| index * 64 + 63 - left.leading_zeros() as usize)
    })
}

/// The only place.
fn one(bits: &[u64]) -> Option<usize> {
    let mut places = ascending(bits);
    places.next().filter(|_| places.next().is_none())
}
