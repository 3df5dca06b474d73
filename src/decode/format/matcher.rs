//! Reading a line by a compiled format.
//!
//! Most slots of an access log end at a byte that they cannot hold. These are read directly, from
//! the left as far as possible, then from the right. What is left in the middle are the texts that
//! clients choose: where the literals between them leave one way to be found, that is it, else all
//! ways are looked for (see `boundaries`).

use std::ops::Range;

use super::boundaries::Boundaries;
use super::class::Class;
use super::int;
use super::literal::Literal;

/// Digits of any number that fits 64 bits.
const DIGITS_SAFE: usize = 18;

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
}

/// A slot and the literal behind it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub class: Class,
    pub after: Literal,
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
    pub(super) fn new(lead: &str, slots: impl Iterator<Item = (Class, Literal)>) -> Matcher {
        let lead = Literal::new(lead);
        let slots: Vec<Element> = slots.map(|(class, after)| Element { class, after }).collect();
        let from_left = |it: &&Element| it.after.bytes().first().is_some_and(|byte| it.class.excludes(*byte));
        let count = slots.len();
        let prefix = slots.iter().take_while(from_left).count();
        let before = |index: usize| index.checked_sub(1).map_or(&lead, |it| &slots[it].after);
        let from_right =
            |index: &usize| before(*index).bytes().last().is_some_and(|byte| !slots[*index].class.bytes().has(*byte));
        let suffix = count - (prefix..count).rev().take_while(from_right).count();
        Matcher { lead, slots, prefix, suffix }
    }

    /// Reads `line`: the place of each slot that is certain.
    pub(super) fn read(&self, line: &[u8], boundaries: &mut Boundaries, places: &mut Vec<Option<Range<u32>>>) -> Match {
        places.clear();
        boundaries.numbers.clear();
        if !self.lead.stands_at(line, 0, line.len()) {
            return Match::No(0);
        }
        let mut start = self.lead.len();
        for (index, Element { class, after }) in self.slots[..self.prefix].iter().enumerate() {
            let end = match class {
                Class::Time(form) => {
                    let rest = line.get(start..).unwrap_or_default();
                    let read = form.read(rest);
                    boundaries.numbers.push(read.and_then(|(_, nanos)| i64::try_from(nanos?).ok()));
                    Some(start + read.map_or(usize::from(rest.starts_with(b"-")), |(len, _)| len))
                }
                Class::Int => int_at(line, start).map(|(end, number)| {
                    boundaries.numbers.push(number);
                    end
                }),
                class => {
                    boundaries.numbers.push(None);
                    let end = class.bytes().run_end(line, start);
                    (class.is_run() || class.fits(&line[start..end])).then_some(end)
                }
            };
            let end = end.filter(|end| after.stands_at(line, *end, line.len()));
            let Some(end) = end else { return Match::No(index) };
            places.push(Some(start as u32..end as u32));
            start = end + after.len();
        }
        if self.prefix == self.slots.len() {
            return if start == line.len() { Match::Unique } else { Match::No(self.prefix.saturating_sub(1)) };
        }
        places.resize(self.slots.len(), None);
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
            places[index] = Some(begin as u32..end as u32);
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
    let read = match by_literals(slots, line, start, end, places) {
        Match::Ambiguous => boundaries.read(line, start, end, slots, places),
        read => read,
    };
    if let Match::No(_) = read {
        return read;
    }
    // Literals alone say nothing about values, and ways are looked for with the longest values there are.
    let fits = |(slot, place): (&Element, &Option<Range<u32>>)| {
        place.as_ref().is_none_or(|it| slot.class.fits(&line[it.start as usize..it.end as usize]))
    };
    let fitted = slots.iter().zip(places.iter()).take_while(|it| fits((it.0, it.1))).count();
    if fitted == slots.len() { read } else { Match::No(fitted) }
}

/// Looks at the literals between the slots only: the places of the slots when each literal stands
/// as far to the left as it can. It is the only way when none can stand farther to the right.
fn by_literals(slots: &[Element], line: &[u8], start: usize, end: usize, places: &mut [Option<Range<u32>>]) -> Match {
    let Some((last, between)) = slots.split_last() else { return Match::Unique };
    let mut begin = start;
    for (index, slot) in between.iter().enumerate() {
        let Some(at) = slot.after.find(line, begin, end) else { return Match::No(index) };
        places[index] = Some(begin as u32..at as u32);
        begin = at + slot.after.len();
    }
    places[between.len()] = Some(begin as u32..end as u32);
    let mut limit = end;
    let mut next = last;
    for (slot, place) in between.iter().zip(places.iter()).rev() {
        let at = place.as_ref().map_or(end, |it| it.end as usize);
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

/// Where the number, or the minus, or nothing ends that stands there, and the number.
#[inline]
fn int_at(line: &[u8], start: usize) -> Option<(usize, Option<i64>)> {
    let rest = line.get(start..)?;
    let negative = rest.first() == Some(&b'-');
    let (mut number, mut digits) = (0i64, 0);
    for byte in &rest[usize::from(negative)..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        digits += 1;
        if digits > DIGITS_SAFE {
            let end = Class::Int.bytes().run_end(line, start);
            return int(&line[start..end]).filter(|_| Class::Int.fits(&line[start..end])).map(|it| (end, Some(it)));
        }
        // No more digits than fit.
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    let number = if negative { -number } else { number };
    Some((start + usize::from(negative) + digits, (digits > 0).then_some(number)))
}
