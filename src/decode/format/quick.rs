//! Lines as nearly all are: each value ends at the first byte that it cannot hold, or at the first quote.
//!
//! Where a line has as many quotes as its format, they are those of the format, and there is one way to read
//! it at most. It is found here from the left to the right in one pass, each value in blocks; what is not
//! certain then is left to the matcher.

use super::Places;
use super::bytes::Bytes;
use super::class::Class;
use super::literal::Literal;
use super::matcher::{Element, Place};
use super::number::int_at;
use super::time::Clock;
use super::values::{Move, Values};
use crate::block::{BLOCK, Block};

mod steps;

pub(super) use steps::Quick;
use steps::{Find, Put, Step};

/// So much of a literal is compared at once.
const HEAD: usize = 8;
/// Longest line that is copied, so that there is something behind it.
const COPIED_LEN_MAX: usize = 4096;
/// So many bytes behind a line are enough.
const BEHIND: usize = 2 * BLOCK;

/// How a line fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quickly {
    /// In one way.
    Unique,
    /// Not; so many slots fit from the left.
    No(usize),
    /// Perhaps.
    Unknown,
}

impl Quick {
    /// Reads the line that is the first `len` bytes of `onwards` and begins with the literal before all slots.
    /// What stands behind it may be looked at, and does not count. Where the line does not fit, values may
    /// hold something.
    #[inline(always)]
    pub(super) fn read(
        &self,
        slots: &[Element],
        onwards: &[u8],
        len: usize,
        places: &mut Places,
        values: &mut Values<'_>,
    ) -> Quickly {
        if onwards.len() >= len.wrapping_add(BEHIND) {
            return self.read_within(slots, onwards, len, places, values);
        }
        let Some(line) = onwards.get(..len).filter(|it| it.len() <= COPIED_LEN_MAX) else { return Quickly::Unknown };
        let mut copy = std::mem::take(&mut places.copy);
        copy.clear();
        copy.extend_from_slice(line);
        copy.extend_from_slice(&[0; BEHIND]);
        let read = self.read_copy(slots, &copy, len, places, values);
        places.copy = copy;
        read
    }

    #[cold]
    #[inline(never)]
    fn read_copy(
        &self,
        slots: &[Element],
        copy: &[u8],
        len: usize,
        places: &mut Places,
        values: &mut Values<'_>,
    ) -> Quickly {
        self.read_within(slots, copy, len, places, values)
    }

    #[inline(always)]
    fn read_within(
        &self,
        slots: &[Element],
        onwards: &[u8],
        len: usize,
        places: &mut Places,
        values: &mut Values<'_>,
    ) -> Quickly {
        let Places { slots: places, clock, quotes, .. } = places;
        let (lead, quotes_of_lead) = &self.lead;
        quotes.forget();
        quotes.push(quotes_of_lead.at(0), quotes_of_lead.count);
        let Some(mut rest) = onwards.get(*lead..) else { return Quickly::Unknown };
        let behind_line = onwards.len().wrapping_sub(len);
        for (step, place) in self.steps.iter().zip(places) {
            let Some(block) = rest.first_chunk::<BLOCK>() else { return Quickly::Unknown };
            let mut found = match step.find {
                Find::Name => match Block::new(block).rare_in_name() {
                    0 => self.slowly(step, slots, rest, behind_line),
                    rare => rare.trailing_zeros() as usize,
                },
                Find::Token => token(rest, behind_line),
                Find::Text => text(rest, behind_line),
                Find::Int => match int_at(rest) {
                    Some((len, number)) => {
                        if let Some(number) = number {
                            values.number(&step.to, step.index as usize, number);
                        }
                        len
                    }
                    None => return Quickly::Unknown,
                },
                Find::Time => match clock.same_second(rest) {
                    Some((len, nanos)) => {
                        values.number(&step.to, step.index as usize, nanos);
                        len
                    }
                    None => time(slots, step, clock, values, onwards, rest),
                },
                Find::OtherTime => time(slots, step, clock, values, onwards, rest),
                Find::Flags => flags(block),
                Find::TraceId => trace_id(block),
                Find::Other => self.slowly(step, slots, rest, behind_line),
            };
            let behind = loop {
                if let Some(behind) = rest.get(found..)
                    && let Some(word) = behind.first_chunk()
                    && u64::from_le_bytes(*word) & step.mask == step.head
                {
                    break behind;
                }
                // Nothing looks like the head of a long literal.
                if step.after > HEAD
                    && let Some(slot) = slots.get(step.index as usize)
                    && let Some(behind) = rest.get(found..).filter(|it| slot.after.begins(it))
                {
                    break behind;
                }
                // What names and tokens seldom hold may not be where they end.
                let exact = self.slowly(step, slots, rest, behind_line);
                if exact <= found || exact == usize::MAX {
                    let is_within =
                        rest.len() >= found.saturating_add(step.after.max(HEAD)).saturating_add(behind_line);
                    let index = step.index as usize;
                    return if is_within && index < self.certain { Quickly::No(index) } else { Quickly::Unknown };
                }
                found = exact;
            };
            let start = onwards.len().wrapping_sub(rest.len());
            let end = start.wrapping_add(found);
            *place = Place::new(start, end);
            if step.quotes.count > 0 {
                quotes.push(step.quotes.at(end as u32), step.quotes.count);
            }
            let is_absent = found <= 1 && (found == 0 || block.first() == Some(&b'-'));
            match step.put {
                Put::Done => {}
                Put::Text if is_absent => {}
                Put::Flags if found == 0 => {}
                Put::Text | Put::Flags => values.span(&step.to, step.index as usize, start, found),
                Put::Slowly => number_slowly(values, slots, step, rest, start, found),
            }
            let Some(next) = behind.get(step.after..) else { return Quickly::Unknown };
            rest = next;
        }
        if rest.len() != behind_line {
            return Quickly::Unknown;
        }
        quotes.look(onwards.get(..len).unwrap_or_default());
        Quickly::Unique
    }

    /// Length of the value that a step finds, looked for byte by byte; `usize::MAX` where there is none.
    #[cold]
    #[inline(never)]
    fn slowly(&self, step: &Step, slots: &[Element], rest: &[u8], behind_line: usize) -> usize {
        let line = rest.get(..rest.len().saturating_sub(behind_line)).unwrap_or_default();
        let Some(slot) = slots.get(step.index as usize) else { return usize::MAX };
        let len = match step.find {
            Find::Name => Bytes::Name.run_end(line, 0),
            Find::Token => Bytes::Token.run_end(line, 0),
            Find::Flags => Bytes::Flags.run_end(line, 0),
            Find::Other if step.is_from_left => slot.class.bytes().run_end(line, 0),
            Find::Other | Find::TraceId => line.iter().position(|byte| *byte == b'"').unwrap_or(usize::MAX),
            Find::Text | Find::Int | Find::Time | Find::OtherTime => usize::MAX,
        };
        match (step.find, line.get(..len)) {
            (Find::Name | Find::Token | Find::Flags, _) => len,
            (_, Some(text)) if slot.class.fits(text) => len,
            _ => usize::MAX,
        }
    }
}

/// Takes a time, if it is none of the second that the clock remembers: its length.
#[cold]
#[inline(never)]
fn time(
    slots: &[Element],
    step: &Step,
    clock: &mut Clock,
    values: &mut Values<'_>,
    onwards: &[u8],
    rest: &[u8],
) -> usize {
    let Some(slot) = slots.get(step.index as usize) else { return usize::MAX };
    let Class::Time(form) = &slot.class else { return usize::MAX };
    let (len, nanos) = match clock.read(form, rest) {
        Some((len, nanos)) => (len, nanos.and_then(|it| i64::try_from(it).ok())),
        None => (usize::from(rest.first() == Some(&b'-')), None),
    };
    match nanos {
        Some(nanos) => values.number(&step.to, step.index as usize, nanos),
        None => {
            let start = onwards.len().wrapping_sub(rest.len());
            values.text(slot, step.index as usize, rest.get(..len).unwrap_or_default(), start);
        }
    }
    len
}

/// Takes a number that stands where numbers are not looked for.
#[cold]
#[inline(never)]
fn number_slowly(values: &mut Values<'_>, slots: &[Element], step: &Step, rest: &[u8], start: usize, found: usize) {
    if let Some((slot, text)) = slots.get(step.index as usize).zip(rest.get(..found)) {
        values.text(slot, step.index as usize, text, start);
    }
}

/// Length of the text before the first quote, or something beyond the line.
#[inline(always)]
fn text(rest: &[u8], behind_line: usize) -> usize {
    first(rest, behind_line, |block| block.equal(b'"'))
}

/// Length of the text before the first byte that tokens do not hold, or seldom, or something beyond the line.
#[inline(always)]
fn token(rest: &[u8], behind_line: usize) -> usize {
    match rest.first_chunk::<BLOCK>().map(|block| Block::new(block).rare_in_token()) {
        Some(rare) if rare != 0 => rare.trailing_zeros() as usize,
        _ => first(rest, behind_line, Block::rare_in_token),
    }
}

/// Two blocks at once, which hold most values: how many are looked at is a guess of the processor.
#[inline(always)]
fn first(rest: &[u8], behind_line: usize, places: impl Fn(Block) -> u32) -> usize {
    let mut left = rest;
    while let Some((blocks, behind)) = left.split_first_chunk::<{ 2 * BLOCK }>()
        && let [low, high] = blocks.as_chunks::<BLOCK>().0
    {
        let found = u64::from(places(Block::new(low))) | u64::from(places(Block::new(high))) << BLOCK;
        if found != 0 || left.len() <= behind_line {
            return rest.len().wrapping_sub(left.len()).wrapping_add(found.trailing_zeros() as usize);
        }
        left = behind;
    }
    rest.len()
}

/// Length of what is a trace id of hex digits if a quote stands behind it.
#[inline(always)]
fn trace_id(block: &[u8; BLOCK]) -> usize {
    match Block::new(block).foreign_to_hex().trailing_zeros() as usize {
        len @ (16 | BLOCK) => len,
        0 if block.first() == Some(&b'-') => 1,
        _ => 0,
    }
}

/// Flags, mostly none or one.
#[inline(always)]
fn flags(block: &[u8; BLOCK]) -> usize {
    block.iter().position(|byte| !Bytes::Flags.has(*byte)).unwrap_or(BLOCK)
}

#[cfg(test)]
mod tests;
