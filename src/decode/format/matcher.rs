//! Reading a line by a compiled format.
//!
//! Most slots of an access log end at a byte that they cannot hold. These are read directly, from
//! the left as far as possible, then from the right. What is left in the middle are the texts that
//! clients choose: where the literals between them leave one way to be found, that is it, else all
//! ways are looked for (see `boundaries`).

use std::ops::Range;

use memchr::memchr;

use super::boundaries::Boundaries;
use super::class::Class;

/// What a format looks like to the matcher.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    /// The literal before the first slot.
    lead: Vec<u8>,
    slots: Vec<Element>,
    /// Slots before this one are read from the left.
    prefix: usize,
    /// Slots from this one on are read from the right.
    suffix: usize,
}

/// A slot and the literal behind it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub class: Class,
    pub after: Vec<u8>,
    /// The literal as one word, when it is not longer: comparing it costs no call.
    word: Option<Word>,
}

/// Up to eight bytes in the low end of a word, and which of its bits they are.
#[derive(Clone, Copy, Debug)]
struct Word {
    bytes: u64,
    mask: u64,
}

impl Element {
    fn new(class: Class, after: Vec<u8>) -> Element {
        let mut word = [[0; 8]; 2];
        let fits = after.len() <= 8;
        if fits {
            word[0][..after.len()].copy_from_slice(&after);
            word[1][..after.len()].fill(0xFF);
        }
        let [bytes, mask] = word.map(u64::from_le_bytes);
        Element { class, after, word: fits.then_some(Word { bytes, mask }) }
    }

    /// True when the literal stands at `at`.
    #[inline]
    fn literal_at(&self, line: &[u8], at: usize) -> bool {
        let rest = line.get(at..).unwrap_or_default();
        match (self.word, rest.first_chunk()) {
            (Some(Word { bytes, mask }), Some(chunk)) => u64::from_le_bytes(*chunk) & mask == bytes,
            _ => rest.starts_with(&self.after),
        }
    }
}

/// How a line fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// In one way.
    Unique,
    /// In several.
    Ambiguous,
    /// Not; so many slots fit from the left.
    No(usize),
}

impl Matcher {
    /// A matcher for a literal, and slots with the literal behind each.
    pub(super) fn new(lead: Vec<u8>, slots: Vec<(Class, Vec<u8>)>) -> Matcher {
        let slots: Vec<Element> = slots.into_iter().map(|(class, after)| Element::new(class, after)).collect();
        let from_left = |it: &&Element| it.after.first().is_some_and(|byte| it.class.excludes(*byte));
        let count = slots.len();
        let prefix = slots.iter().take_while(from_left).count();
        let before = |index: usize| index.checked_sub(1).map_or(&lead, |it| &slots[it].after);
        let from_right =
            |index: &usize| before(*index).last().is_some_and(|byte| !slots[*index].class.bytes().has(*byte));
        let suffix = count - (prefix..count).rev().take_while(from_right).count();
        Matcher { lead, slots, prefix, suffix }
    }

    /// Reads `line`: the place of each slot that is certain.
    pub(super) fn read(&self, line: &[u8], boundaries: &mut Boundaries, places: &mut Vec<Option<Range<u32>>>) -> Match {
        places.clear();
        if !line.starts_with(&self.lead) {
            return Match::No(0);
        }
        let mut start = self.lead.len();
        for (index, element) in self.slots[..self.prefix].iter().enumerate() {
            let end = element.class.end(line, start).filter(|end| element.literal_at(line, *end));
            let Some(end) = end else { return Match::No(index) };
            places.push(Some(start as u32..end as u32));
            start = end + element.after.len();
        }
        if self.prefix == self.slots.len() {
            return if start == line.len() { Match::Unique } else { Match::No(self.prefix.saturating_sub(1)) };
        }
        places.resize(self.slots.len(), None);
        let last = self.slots.last().map_or(&[][..], |it| &it.after);
        let end = line.len().checked_sub(last.len()).filter(|end| *end >= start && line.ends_with(last));
        let Some(mut end) = end else { return Match::No(self.prefix) };
        for index in (self.suffix..self.slots.len()).rev() {
            let class = &self.slots[index].class;
            let begin = class.bytes().run_start(line, start, end);
            if !class.is_run() && !class.fits(&line[begin..end]) {
                return Match::No(self.prefix);
            }
            places[index] = Some(begin as u32..end as u32);
            // The first slot of all that are not in the prefix begins where that ends.
            if index == self.prefix {
                return if begin == start { Match::Unique } else { Match::No(self.prefix) };
            }
            let before = &self.slots[index - 1];
            let literal = begin.checked_sub(before.after.len()).filter(|it| *it >= start);
            match literal.filter(|it| before.literal_at(line, *it)) {
                Some(literal) => end = literal,
                None => return Match::No(self.prefix),
            }
        }
        let places = &mut places[self.prefix..self.suffix];
        match middle(&self.slots[self.prefix..self.suffix], line, start, end, boundaries, places) {
            Match::No(fitted) => Match::No(self.prefix + fitted),
            read => read,
        }
    }
}

/// Reads the slots of the middle, which stand in `line[start..end]`.
fn middle(
    slots: &[Element],
    line: &[u8],
    start: usize,
    end: usize,
    boundaries: &mut Boundaries,
    places: &mut [Option<Range<u32>>],
) -> Match {
    match by_literals(slots, line, start, end, places) {
        Match::Unique => {
            let fits = |(slot, place): (&Element, &Option<Range<u32>>)| {
                place.as_ref().is_some_and(|it| slot.class.fits(&line[it.start as usize..it.end as usize]))
            };
            let fitted = slots.iter().zip(places.iter()).take_while(|it| fits((it.0, it.1))).count();
            if fitted == slots.len() { Match::Unique } else { Match::No(fitted) }
        }
        Match::Ambiguous => boundaries.read(line, start, end, slots, places),
        none => none,
    }
}

/// Looks at the literals between the slots only: the places of the slots when each literal stands
/// as far to the left as it can. It is the only way when none can stand farther to the right.
fn by_literals(slots: &[Element], line: &[u8], start: usize, end: usize, places: &mut [Option<Range<u32>>]) -> Match {
    let Some((last, between)) = slots.split_last() else { return Match::Unique };
    let mut begin = start;
    for (index, slot) in between.iter().enumerate() {
        let Some(at) = find(&slot.after, line, begin, end) else { return Match::No(index) };
        places[index] = Some(begin as u32..at as u32);
        begin = at + slot.after.len();
    }
    places[between.len()] = Some(begin as u32..end as u32);
    let mut limit = end;
    let mut next = last;
    for (slot, place) in between.iter().zip(places.iter()).rev() {
        let at = place.as_ref().map_or(end, |it| it.end as usize);
        // Where the next literal is the same, it was the first one behind this one.
        let until =
            if slot.after == next.after && limit < end { limit.min(at + 2 * slot.after.len() - 1) } else { limit };
        if slot.after.is_empty() && at < limit || find(&slot.after, line, at + 1, until).is_some() {
            return Match::Ambiguous;
        }
        limit = at;
        next = slot;
    }
    Match::Unique
}

/// The first place of a literal in `line[from..end]`.
#[inline]
fn find(literal: &[u8], line: &[u8], from: usize, end: usize) -> Option<usize> {
    let Some(first) = literal.first() else { return (from <= end).then_some(from) };
    let mut at = from;
    loop {
        at += memchr(*first, line.get(at..end)?)?;
        if line[at..end].starts_with(literal) {
            return Some(at);
        }
        at += 1;
    }
}

impl Class {
    /// Where a slot that begins there ends, when what it cannot hold follows.
    #[inline]
    fn end(&self, line: &[u8], start: usize) -> Option<usize> {
        match self {
            Class::Time(form) => {
                let rest = line.get(start..)?;
                let len = form.read(rest).map_or(usize::from(rest.starts_with(b"-")), |(len, _)| len);
                Some(start + len)
            }
            class => {
                let end = class.bytes().run_end(line, start);
                (class.is_run() || class.fits(&line[start..end])).then_some(end)
            }
        }
    }
}
