//! Where quotes stand around all values that clients choose.

use super::literal::Literal;
use super::matcher::Element;
use crate::block::{BLOCK, Block};
use crate::quotes::QUOTES_MAX;

/// A quote of a literal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quote {
    /// The slot that the literal stands behind; `None` for the one before all slots.
    pub slot: Option<usize>,
    /// Its place in the literal.
    pub at: u32,
}

/// The quotes of all literals, where the literals from there on begin and end with a quote and have no other,
/// but the last one, which begins with its only one.
pub(super) fn quotes(lead: &Literal, slots: &[Element], prefix: usize) -> Option<Vec<Quote>> {
    let count = |literal: &Literal| literal.bytes().iter().filter(|it| **it == b'"').count();
    let (last, between) = slots.get(prefix..)?.split_last()?;
    let is_between = |it: &Element| it.after.bytes().ends_with(b"\"") && count(&it.after) == 2;
    let begins = slots.get(prefix..)?.iter().all(|it| it.after.bytes().starts_with(b"\""));
    let fits = begins && count(&last.after) == 1 && between.iter().all(is_between);
    let literals = slots.iter().zip(0..).map(|(slot, index)| (Some(index), &slot.after));
    let quotes: Vec<Quote> =
        std::iter::once((None, lead)).chain(literals).flat_map(|it| quotes_of(it.0, it.1)).collect();
    (fits && quotes.len() <= QUOTES_MAX).then_some(quotes)
}

fn quotes_of(slot: Option<usize>, literal: &Literal) -> impl Iterator<Item = Quote> {
    literal.bytes().iter().zip(0..).filter(|(byte, _)| **byte == b'"').map(move |(_, at)| Quote { slot, at })
}

/// The first quote of the line from a place on. What stands behind the line may be looked at.
#[inline(always)]
pub(super) fn quote_from(onwards: &[u8], line: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < line.len() {
        let Some(block) = onwards.get(at..).and_then(|it| it.first_chunk::<BLOCK>()) else {
            return line.get(at..)?.iter().position(|byte| *byte == b'"').map(|len| at + len);
        };
        // Places are within a payload.
        match Block::new(block).equal(b'"') {
            0 => at = at.wrapping_add(BLOCK),
            quotes => return Some(at.wrapping_add(quotes.trailing_zeros() as usize)),
        }
    }
    None
}
