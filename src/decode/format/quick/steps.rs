//! What reading in one pass needs of each slot, in few bytes.

use super::{Bytes, Class, Element, HEAD, Literal, Move};
use crate::decode::format::time::TimeForm;
use crate::quotes::QUOTES_MAX;

/// How to read those lines.
#[derive(Clone, Debug)]
pub(in crate::decode::format) struct Quick {
    /// Length of the literal before all slots, and its quotes.
    pub(super) lead: (usize, Quotes),
    pub(super) steps: Vec<Step>,
    /// Of the steps before this one, none finds less than what its slot may hold.
    pub(super) certain: usize,
}

/// One slot, and the literal behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) find: Find,
    pub(super) after: usize,
    pub(super) head: u64,
    pub(super) mask: u64,
    pub(super) quotes: Quotes,
    pub(super) to: Move,
    pub(super) put: Put,
    pub(super) index: u32,
    pub(super) is_from_left: bool,
}

/// Quotes of a literal: where, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quotes {
    pub(super) places: [u32; 2],
    pub(super) count: u32,
}

/// How the end of a value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// Of Envoy's default form.
    Time,
    OtherTime,
    Int,
    Name,
    Token,
    Flags,
    TraceId,
    /// Up to the first quote.
    Text,
    Other,
}

/// How a value that was found is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It was.
    Done,
    Text,
    Flags,
    Slowly,
}

impl Quick {
    /// For slots of which those before `prefix` end at a byte that they cannot hold. `None` where the
    /// literals behind are not such that a quote ends each value.
    pub(in crate::decode::format) fn new(lead: &Literal, slots: &[Element], prefix: usize) -> Option<Quick> {
        let (from_left, others) = slots.split_at_checked(prefix)?;
        let of_lead = Quotes::new(lead)?;
        let steps: Vec<Step> =
            slots.iter().zip(0..).map(|it| Step::new(it.0, it.1, it.1 < prefix)).collect::<Option<_>>()?;
        let all = steps.iter().map(|it| it.quotes.count).sum::<u32>().checked_add(of_lead.count)?;
        let are_between = |(index, slot): (usize, &Element)| {
            let is_last = index + 1 == others.len();
            let literal = slot.after.bytes();
            let quotes = if is_last { 1 } else { 2 };
            literal.starts_with(b"\"")
                && Quotes::new(&slot.after).is_some_and(|it| it.count == quotes)
                && (is_last || literal.ends_with(b"\""))
        };
        // A time may hold quotes where its form has some.
        let is_known = |slot: &Element| slot.class.excludes(b'"') || slot.class.bytes() == Bytes::Word;
        let fits = others.iter().enumerate().all(|(index, slot)| are_between((index, slot)));
        let certain = from_left.iter().take_while(|it| it.class.excludes(b'"')).count();
        let fits = fits && from_left.iter().all(is_known) && all as usize <= QUOTES_MAX;
        fits.then_some(Quick { lead: (lead.len(), of_lead), steps, certain })
    }
}

impl Step {
    fn new(slot: &Element, index: usize, is_from_left: bool) -> Option<Step> {
        let find = match (&slot.class, is_from_left) {
            (Class::Run { bytes: Bytes::Name, max: usize::MAX }, _) => Find::Name,
            (Class::Run { bytes: Bytes::Token | Bytes::Word, max: usize::MAX }, _) => Find::Token,
            (Class::Run { bytes: Bytes::Flags, max: usize::MAX }, true) => Find::Flags,
            (Class::Run { bytes: Bytes::Any, max: usize::MAX }, false) => Find::Text,
            (Class::Time(TimeForm::Utc), true) => Find::Time,
            (Class::Time(_), true) => Find::OtherTime,
            (Class::Int, true) => Find::Int,
            (Class::TraceId, false) => Find::TraceId,
            _ => Find::Other,
        };
        let put = match find {
            Find::Int | Find::Time | Find::OtherTime => Put::Done,
            _ if slot.to.takes_minus() => Put::Flags,
            _ if slot.to.is_text() => Put::Text,
            _ => Put::Slowly,
        };
        let after = slot.after.len();
        let (head, mask) = if after > HEAD { (1, 0) } else { slot.after.head() };
        Quotes::new(&slot.after).filter(|_| after > 0).map(|quotes| Step {
            find,
            after,
            head,
            mask,
            quotes,
            to: slot.to,
            put,
            index: index as u32,
            is_from_left,
        })
    }
}

impl Quotes {
    fn new(literal: &Literal) -> Option<Quotes> {
        let mut quotes = Quotes::default();
        for (_, at) in literal.bytes().iter().zip(0..).filter(|(byte, _)| **byte == b'"') {
            *quotes.places.get_mut(quotes.count as usize)? = at;
            quotes.count += 1;
        }
        Some(quotes)
    }

    /// Where they stand, when the literal stands there.
    #[inline(always)]
    pub(super) fn at(&self, place: u32) -> [u32; 2] {
        self.places.map(|it| place.wrapping_add(it))
    }
}
