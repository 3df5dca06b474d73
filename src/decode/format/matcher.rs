//! Reading a line by a compiled format.
//!
//! Most slots of an access log end at a byte that they cannot hold. These are read directly, from
//! the left as far as possible, then from the right. What is left in the middle are the texts that
//! clients choose: where the literals between them occur just as often as they should, there is one
//! way to read it, else all ways are looked for (see `boundaries`).

use std::ops::Range;

use memchr::memchr;

use super::boundaries::{Boundaries, Step};
use super::class::{Bytes, Class};

/// Most literals between the slots of the middle that are read by counting.
const COUNTED_MAX: usize = 15;

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
    /// The literal between all slots of the middle, when it is the same one.
    separator: Option<Vec<u8>>,
}

/// A slot and the literal behind it.
#[derive(Clone, Debug)]
struct Element {
    class: Class,
    after: Vec<u8>,
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
        let slots: Vec<Element> = slots.into_iter().map(|(class, after)| Element { class, after }).collect();
        let from_left = |it: &&Element| match &it.class {
            // A time can also be absent, which it has in common with nothing that follows it.
            Class::Time(_) => it.after.first().is_some_and(|byte| *byte != b'-'),
            class => it.after.first().is_some_and(|byte| class.excludes(*byte)),
        };
        let count = slots.len();
        let prefix = slots.iter().take_while(from_left).count();
        let before = |index: usize| index.checked_sub(1).map_or(&lead, |it| &slots[it].after);
        let from_right = |index: &usize| before(*index).last().is_some_and(|byte| slots[*index].class.excludes(*byte));
        let suffix = count - (prefix..count).rev().take_while(from_right).count();
        let mut between = slots[prefix..suffix].split_last().map_or(&[][..], |(_, it)| it).iter().map(|it| &it.after);
        let separator = between.next().filter(|first| !first.is_empty() && between.all(|it| it == *first)).cloned();
        Matcher { lead, slots, prefix, suffix, separator }
    }

    /// Reads `line`: the place of each slot that is certain.
    pub(super) fn read(&self, line: &[u8], boundaries: &mut Boundaries, places: &mut Vec<Option<Range<u32>>>) -> Match {
        places.clear();
        if !line.starts_with(&self.lead) {
            return Match::No(0);
        }
        let mut start = self.lead.len();
        for (index, Element { class, after }) in self.slots[..self.prefix].iter().enumerate() {
            let Some(end) = class.end(line, start).filter(|end| line[*end..].starts_with(after)) else {
                return Match::No(index);
            };
            places.push(Some(start as u32..end as u32));
            start = end + after.len();
        }
        if self.prefix == self.slots.len() {
            return if start == line.len() { Match::Unique } else { Match::No(self.prefix.saturating_sub(1)) };
        }
        places.resize(self.slots.len(), None);
        let last = self.slots.last().map_or(&[][..], |it| &it.after);
        let Some(mut end) = line.len().checked_sub(last.len()).filter(|end| *end >= start && line.ends_with(last))
        else {
            return Match::No(self.prefix);
        };
        debug_assert!(end <= line.len());
        for index in (self.suffix..self.slots.len()).rev() {
            let before = if index == 0 { &self.lead } else { &self.slots[index - 1].after };
            // The first slot of all that are not in the prefix begins where that ends.
            let begin = self.slots[index].class.begin(line, start, end);
            places[index] = Some(begin as u32..end as u32);
            if index == self.prefix {
                return if begin == start { Match::Unique } else { Match::No(self.prefix) };
            }
            let literal = begin.checked_sub(before.len()).filter(|it| *it >= start);
            match literal.filter(|it| line[*it..begin] == **before) {
                Some(literal) => end = literal,
                None => return Match::No(self.prefix),
            }
        }
        self.middle(line, start, end, boundaries, places)
    }

    /// Reads the slots of the middle, which stand in `line[start..end]`.
    fn middle(
        &self,
        line: &[u8],
        start: usize,
        end: usize,
        boundaries: &mut Boundaries,
        places: &mut [Option<Range<u32>>],
    ) -> Match {
        let slots = &self.slots[self.prefix..self.suffix];
        let places = &mut places[self.prefix..self.suffix];
        if slots.len() == 1 {
            places[0] = Some(start as u32..end as u32);
            return if slots[0].class.fits(line, start, end) { Match::Unique } else { Match::No(self.prefix) };
        }
        if let Some(separator) = &self.separator
            && let Some(count) = counted(line, start, end, separator, slots.len() - 1, places)
        {
            let fits = |(slot, place): (&Element, &Option<Range<u32>>)| {
                place.as_ref().is_some_and(|it| slot.class.fits(line, it.start as usize, it.end as usize))
            };
            if count < slots.len() - 1 {
                return Match::No(self.prefix);
            }
            let fitted = slots.iter().zip(places.iter()).take_while(|it| fits((it.0, it.1))).count();
            return if fitted == slots.len() { Match::Unique } else { Match::No(self.prefix + fitted) };
        }
        let steps: Vec<Step<'_>> = slots.iter().map(|Element { class, after }| Step { class, after }).collect();
        let mut certain = true;
        let read = boundaries.read(line, start, end, &steps, |slot, place| {
            certain &= place.is_some();
            places[slot] = place.map(|(start, end)| start as u32..end as u32);
        });
        let wrong = |(slot, place): (&Element, &Option<Range<u32>>)| {
            place.as_ref().is_some_and(|it| !slot.class.fits(line, it.start as usize, it.end as usize))
        };
        match (read, certain) {
            (false, _) => Match::No(self.prefix),
            // The boundaries know runs only.
            _ if slots.iter().zip(places.iter()).any(wrong) => Match::No(self.prefix),
            (true, true) => Match::Unique,
            (true, false) => Match::Ambiguous,
        }
    }
}

/// Counts the separators in `line[start..end]`, overlapping ones too, and notes the places between
/// them; `None` when there are more than `wanted`, or too many to count so.
fn counted(
    line: &[u8],
    start: usize,
    end: usize,
    separator: &[u8],
    wanted: usize,
    places: &mut [Option<Range<u32>>],
) -> Option<usize> {
    let first = *separator.first().filter(|_| wanted <= COUNTED_MAX)?;
    let (mut begin, mut at, mut count) = (start, start, 0);
    while let Some(found) = memchr(first, &line[at..end]) {
        at += found;
        if line[at..end].starts_with(separator) {
            // The second one overlaps the first: which of them counts is to be found out.
            if count == wanted || at < begin {
                return None;
            }
            places[count] = Some(begin as u32..at as u32);
            begin = at + separator.len();
            count += 1;
        }
        at += 1;
    }
    if let Some(place) = places.get_mut(count) {
        *place = Some(begin as u32..end as u32);
    }
    Some(count)
}

impl Class {
    /// Where a slot that begins there ends, when what it cannot hold follows.
    #[inline]
    fn end(&self, line: &[u8], start: usize) -> Option<usize> {
        match self {
            Class::Run { bytes, max } => {
                let end = bytes.run_end(line, start);
                (end - start <= *max).then_some(end)
            }
            Class::Time(form) => {
                let rest = line.get(start..)?;
                match form.read(rest) {
                    Some((len, _)) => Some(start + len),
                    None => Some(start + usize::from(rest.starts_with(b"-"))),
                }
            }
        }
    }

    /// Where a slot that ends there begins, when what it cannot hold stands before it.
    #[inline]
    fn begin(&self, line: &[u8], from: usize, end: usize) -> usize {
        match self {
            Class::Run { bytes, max } => {
                let begin = bytes.run_start(line, from, end);
                // Longer than it can be: nothing that it cannot hold stands before it.
                if end - begin <= *max { begin } else { end - *max }
            }
            Class::Time(_) => end,
        }
    }

    /// True when exactly this can stand in the slot.
    fn fits(&self, line: &[u8], start: usize, end: usize) -> bool {
        match self {
            Class::Run { bytes: Bytes::Hex, .. } => is_trace_id(&line[start..end]),
            Class::Run { bytes, max } => end - start <= *max && bytes.run_end(&line[..end], start) == end,
            Class::Time(form) => {
                let text = &line[start..end];
                matches!(text, b"" | b"-") || form.read(text).is_some_and(|(len, _)| len == text.len())
            }
        }
    }
}

/// A trace id of B3 (16 or 32 hex digits) or Datadog (a decimal number of 64 bits), or none.
fn is_trace_id(text: &[u8]) -> bool {
    match text {
        b"" | b"-" => true,
        _ if text.len() == 16 || text.len() == 32 => text.iter().all(u8::is_ascii_hexdigit),
        _ => text.len() <= 20 && text.iter().all(u8::is_ascii_digit),
    }
}
