//! The two shapes that nearly all bytes of a request have: text, and an attribute that is text.
//!
//! Every encoder writes them in one way, which a few comparisons recognise. `None` is never an
//! error: whatever is written otherwise, well-formed or not, is for the walk over all fields.

use std::ops::Range;

use super::schema::{any_value, key_value};
use crate::decode::wire::Piece;

// Forced inline below, for a call costs as much as the comparisons; but not where nothing is
// optimised, since the callers recurse and their frames would grow by all that is inlined.

const KEY: u8 = tag(key_value::KEY);
const VALUE: u8 = tag(key_value::VALUE);
const STRING: u8 = tag(any_value::STRING);

/// Key and text of a `KeyValue` of exactly these two.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn text_attribute(raw: &[u8], piece: Piece) -> Option<(Range<usize>, Range<usize>)> {
    let [KEY, key_len @ 0..0x80, rest @ ..] = raw.get(piece.start..piece.end)? else { return None };
    let key_len = usize::from(*key_len);
    let value = content(VALUE, rest.get(key_len..)?)?;
    let text = content(STRING, value)?;
    let key_start = piece.start + 2;
    Some((key_start..key_start + key_len, piece.end - text.len()..piece.end))
}

/// The text of an `AnyValue` of exactly that.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn text_value(raw: &[u8], piece: Piece) -> Option<Range<usize>> {
    let text = content(STRING, raw.get(piece.start..piece.end)?)?;
    Some(piece.end - text.len()..piece.end)
}

/// The content of the one field that fills `bytes` to the end, with a length of one or two bytes.
#[cfg_attr(not(debug_assertions), inline(always))]
fn content(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [first, len @ 0..0x80, rest @ ..] if *first == tag && usize::from(*len) == rest.len() => Some(rest),
        [first, low @ 0x80..=0xff, high @ 0..0x80, rest @ ..]
            if *first == tag && usize::from(*low & 0x7f) | usize::from(*high) << 7 == rest.len() =>
        {
            Some(rest)
        }
        _ => None,
    }
}

/// The tag of a field that has a length.
pub(super) const fn tag(number: u32) -> u8 {
    assert!(number < 16);
    (number << 3 | 2) as u8
}
