//! Reading a line by a compiled format.
//!
//! Most slots of an access log end at a byte that they cannot hold. These are read directly, from
//! the left as far as possible, then from the right. What is left in the middle are the texts that
//! clients choose: where the literals between them leave one way to be found, that is it, else all
//! ways are looked for (see `boundaries`).

use super::Places;
use super::boundaries::Boundaries;
use super::class::Class;
use super::literal::Literal;
use super::number::int_at;
use super::quick::{Quick, Quickly};
use super::values::{Move, Values};
use crate::word::{each, zeros};

/// What a format looks like to the matcher.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    /// The literal before the first slot.
    lead: Literal,
    slots: Vec<Element>,
    /// Slots before this one are read from the left.
    prefix: usize,
    /// Slots from this one on are read from the right.
    suffix: usize,
    /// What stands between all slots of the middle, where that is one and the same.
    between: Option<Literal>,
    quick: Option<Quick>,
}

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub start: u32,
    pub end: u32,
}

impl Place {
    /// In several places.
    pub(super) const UNKNOWN: Place = Place { start: u32::MAX, end: 0 };

    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Place {
        Place { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub(super) fn is_known(self) -> bool {
        self.start <= self.end
    }
}

/// A slot and the literal behind it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub class: Class,
    pub after: Literal,
    /// What becomes of its value.
    pub to: Move,
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
    pub(super) fn new(lead: &str, slots: Vec<Element>) -> Matcher {
        let lead = Literal::new(lead);
        let from_left = |it: &&Element| it.after.bytes().first().is_some_and(|byte| it.class.excludes(*byte));
        let count = slots.len();
        let prefix = slots.iter().take_while(from_left).count();
        let before = |index: usize| index.checked_sub(1).map_or(&lead, |it| &slots[it].after);
        let from_right =
            |index: &usize| before(*index).bytes().last().is_some_and(|byte| !slots[*index].class.bytes().has(*byte));
        let suffix = count - (prefix..count).rev().take_while(from_right).count();
        let mut between = slots.get(prefix..suffix.saturating_sub(1)).unwrap_or_default().iter().map(|it| &it.after);
        let first = between.next().cloned();
        let between = first.filter(|first| first.len() > 0 && between.all(|it| it == first));
        let quick = Quick::new(&lead, &slots, prefix);
        Matcher { lead, slots, prefix, suffix, between, quick }
    }

    /// Leaves the way out that most lines take.
    #[cfg(test)]
    pub(super) fn read_only_slowly(&mut self) {
        self.quick = None;
    }

    /// Reads the line that is the first `len` bytes of `onwards`: the place of each slot that is certain, and
    /// what stands there into `values`, as soon as it is found, so also of a line that turns out not to fit.
    pub(super) fn read(&self, onwards: &[u8], len: usize, places: &mut Places, values: &mut Values<'_>) -> Match {
        let Some(line) = onwards.get(..len) else { return Match::No(0) };
        places.by_quotes = false;
        places.slots.resize(self.slots.len(), Place::UNKNOWN);
        if !self.lead.begins(line) {
            return Match::No(0);
        }
        if let Some(quick) = &self.quick {
            match quick.read(&self.slots, onwards, len, places, values) {
                Quickly::Unique => {
                    places.by_quotes = true;
                    return Match::Unique;
                }
                Quickly::No(fitted) => return Match::No(fitted),
                Quickly::Unknown => values.fields.clear(),
            }
        }
        self.read_slowly(line, places, values)
    }

    #[inline(never)]
    fn read_slowly(&self, line: &[u8], places: &mut Places, values: &mut Values<'_>) -> Match {
        let Places { slots: places, boundaries, clock, .. } = places;
        let (from_left, others) = places.split_at_mut(self.prefix);
        let mut start = self.lead.len();
        // By number, because that is the shortest code for two lists at once.
        let (slots, from_left) = (&self.slots[..self.prefix], &mut from_left[..self.prefix]);
        for index in 0..self.prefix {
            let slot = &slots[index];
            let Element { class, after, to } = slot;
            let Some(rest) = line.get(start..) else { return Match::No(index) };
            let (len, number) = match class {
                Class::Time(form) => match clock.read(form, rest) {
                    Some((len, nanos)) => (len, nanos.and_then(|it| i64::try_from(it).ok())),
                    None => (usize::from(rest.first() == Some(&b'-')), None),
                },
                Class::Int => match int_at(rest) {
                    Some(read) => read,
                    None => return Match::No(index),
                },
                class => {
                    let len = class.bytes().run_end(rest, 0);
                    if !(class.is_run() || class.fits(&rest[..len])) {
                        return Match::No(index);
                    }
                    (len, None)
                }
            };
            if !rest.get(len..).is_some_and(|rest| after.begins(rest)) {
                return Match::No(index);
            }
            // A line is shorter than 2 GiB.
            let end = start.wrapping_add(len);
            from_left[index] = Place::new(start, end);
            match number {
                Some(number) => values.number(to, index, number),
                None => values.text(slot, index, &rest[..len], start),
            }
            start = end.wrapping_add(after.len());
        }
        if others.is_empty() {
            return if start == line.len() { Match::Unique } else { Match::No(self.prefix.saturating_sub(1)) };
        }
        let read = self.read_others(line, start, boundaries, others);
        if !matches!(read, Match::No(_)) {
            for (index, (slot, place)) in (self.prefix..).zip(self.slots[self.prefix..].iter().zip(others)) {
                if let Some(text) = line.get(place.start as usize..place.end as usize) {
                    values.text(slot, index, text, place.start as usize);
                }
            }
        }
        read
    }

    /// Reads the slots that are not read from the left, in `line[start..]`.
    fn read_others(&self, line: &[u8], start: usize, boundaries: &mut Boundaries, places: &mut [Place]) -> Match {
        places.fill(Place::UNKNOWN);
        let last = self.slots.last().map_or(&self.lead, |it| &it.after);
        let end = line.len().checked_sub(last.len()).filter(|end| *end >= start);
        let end = end.filter(|end| last.stands_at(line, *end, line.len()));
        let Some(mut end) = end else { return Match::No(self.prefix) };
        for index in (self.suffix..self.slots.len()).rev() {
            let class = &self.slots[index].class;
            let begin = class.bytes().run_start(line, start, end);
            if !(class.is_run() || class.fits(&line[begin..end])) {
                return Match::No(self.prefix);
            }
            places[index - self.prefix] = Place::new(begin, end);
            // The first slot of all that are not in the prefix begins where that ends.
            if index == self.prefix {
                return if begin == start { Match::Unique } else { Match::No(self.prefix) };
            }
            let before = &self.slots[index - 1].after;
            let literal = begin.checked_sub(before.len()).filter(|it| *it >= start);
            match literal.filter(|it| before.stands_at(line, *it, begin)) {
                Some(literal) => end = literal,
                None => return Match::No(self.prefix),
            }
        }
        let count = self.suffix - self.prefix;
        match self.middle(&self.slots[self.prefix..self.suffix], line, start, end, boundaries, &mut places[..count]) {
            Match::No(fitted) => Match::No(self.prefix + fitted),
            read => read,
        }
    }

    /// Reads the slots of the middle, which stand in `line[start..end]`.
    fn middle(
        &self,
        slots: &[Element],
        line: &[u8],
        start: usize,
        end: usize,
        boundaries: &mut Boundaries,
        places: &mut [Place],
    ) -> Match {
        let between = self.between.as_ref();
        if between.is_some_and(|it| by_one_literal(it, line, start, end, places)) {
            return all_fit(slots, line, places, Match::Unique);
        }
        let read = match by_literals(slots, line, start, end, places) {
            Match::Ambiguous => boundaries.read(line, start, end, slots, places),
            read => read,
        };
        if let Match::No(_) = read {
            return read;
        }
        all_fit(slots, line, places, read)
    }
}

/// Literals alone say nothing about values, and ways are looked for with the longest values there are.
#[inline]
fn all_fit(slots: &[Element], line: &[u8], places: &[Place], read: Match) -> Match {
    let fits = |(slot, place): (&Element, &Place)| {
        slot.class.takes_all() || !place.is_known() || slot.class.fits(&line[place.start as usize..place.end as usize])
    };
    match slots.iter().zip(places).position(|it| !fits(it)) {
        None => read,
        Some(fitted) => Match::No(fitted),
    }
}

/// Where the literal that separates all slots stands as often between them as there has to be one,
/// there is one way. False when that is not so, or not known.
#[inline]
fn by_one_literal(between: &Literal, line: &[u8], start: usize, end: usize, places: &mut [Place]) -> bool {
    let (Some(first), Some(stretch)) = (between.bytes().first(), line.get(start..end)) else { return false };
    let (Some((last, before)), Some(last_word)) = (places.split_last_mut(), stretch.last_chunk()) else { return false };
    let (mut begin, mut found, pattern) = (start, 0usize, each(*first));
    let (words, rest) = stretch.as_chunks::<8>();
    for index in 0..=words.len() {
        // What is left over by whole words is in the word that ends there.
        let (word, seen) = words.get(index).map_or((last_word, 8 - rest.len()), |word| (word, 0));
        let mut left = zeros(u64::from_le_bytes(*word) ^ pattern);
        if seen > 0 {
            left &= u64::MAX.checked_shl(8 * seen as u32).unwrap_or_default();
        }
        while left != 0 {
            // Sums do not wrap: they are within the line.
            let at = start.wrapping_add(8 * index).wrapping_add(left.trailing_zeros() as usize / 8).wrapping_sub(seen);
            left &= left.wrapping_sub(1);
            if !between.stands_at(line, at, end) {
                continue;
            }
            // Two that overlap may be read as either.
            let (Some(place), true) = (before.get_mut(found), at >= begin) else { return false };
            *place = Place::new(begin, at);
            begin = at.wrapping_add(between.len());
            found = found.wrapping_add(1);
        }
    }
    *last = Place::new(begin, end);
    found == before.len()
}

/// Looks at the literals between the slots only: the places of the slots when each literal stands
/// as far to the left as it can. It is the only way when none can stand farther to the right.
fn by_literals(slots: &[Element], line: &[u8], start: usize, end: usize, places: &mut [Place]) -> Match {
    let Some((last, between)) = slots.split_last() else { return Match::Unique };
    let mut begin = start;
    for (index, slot) in between.iter().enumerate() {
        let Some(at) = slot.after.find(line, begin, end) else { return Match::No(index) };
        places[index] = Place::new(begin, at);
        begin = at + slot.after.len();
    }
    places[between.len()] = Place::new(begin, end);
    let mut limit = end;
    let mut next = last;
    for (slot, place) in between.iter().zip(places.iter()).rev() {
        let at = place.end as usize;
        // Where the next literal is the same, it was the first one behind this one.
        let near = at + 2 * slot.after.len();
        let until = if slot.after == next.after && limit < end { limit.min(near) } else { limit };
        let farther = match slot.after.len() {
            0 => at < limit,
            _ => slot.after.find(line, at + 1, until).is_some(),
        };
        if farther {
            return Match::Ambiguous;
        }
        limit = at;
        next = slot;
    }
    Match::Unique
}
