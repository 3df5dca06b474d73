//! The two shapes that nearly all bytes of a request have: text, and an attribute that is text.
//!
//! Every encoder writes them in one way, which a few comparisons recognise. `None` is never an
//! error: whatever is written otherwise, well-formed or not, is for the walk over all fields.

use std::ops::Range;

use super::schema::{any_value, key_value};
use crate::decode::wire::{Fields, Piece};

// Forced inline below, for a call costs as much as the comparisons; but not where nothing is
// optimised, since the callers recurse and their frames would grow by all that is inlined.

const KEY: u8 = tag(key_value::KEY);
const VALUE: u8 = tag(key_value::VALUE);
const STRING: u8 = tag(any_value::STRING);

/// An attribute with a text, where all lengths take one byte, at the front of some fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShortAttribute {
    pub(super) key: Range<usize>,
    pub(super) text: Range<usize>,
}

/// The next field, if it has that tag and is such an attribute; otherwise nothing happens. The lengths
/// of the key and of the whole tell all others, so that what stands around the text is one comparison.
#[inline(always)]
pub(super) fn next_short_attribute(fields: &mut Fields<'_>, tag: u8) -> Option<ShortAttribute> {
    // Places are within the rest, so sums do not wrap.
    let (at, rest) = fields.rest();
    let head = u32::from_le_bytes(*rest.first_chunk()?);
    if head & 0x80ff_80ff != u32::from_le_bytes([tag, 0, KEY, 0]) {
        return None;
    }
    let (len, key_len) = ((head >> 8 & 0x7f) as usize, (head >> 24) as usize);
    let text_len = len.wrapping_sub(key_len).wrapping_sub(6);
    let end = len.wrapping_add(2);
    if text_len > len || end > rest.len() {
        return None;
    }
    let around = u32::from_le_bytes(*rest.get(key_len.wrapping_add(4)..)?.first_chunk()?);
    if around != u32::from_le_bytes([VALUE, 2, STRING, 0]).wrapping_add((text_len as u32).wrapping_mul(0x0100_0100)) {
        return None;
    }
    fields.skip(end);
    let (start, end) = (at.wrapping_add(4), at.wrapping_add(end));
    let (key, text) = (start..start.wrapping_add(key_len), end.wrapping_sub(text_len)..end);
    Some(ShortAttribute { key, text })
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::wire::put_varint;

    fn field(number: u32, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag(number)];
        put_varint(&mut out, content.len() as u64);
        [out, content.to_vec()].concat()
    }

    proptest! {
        #[test]
        fn a_short_attribute_is_an_attribute(
            key in proptest::collection::vec(any::<u8>(), 0..140),
            text in proptest::collection::vec(any::<u8>(), 0..140),
            change in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let value = field(any_value::STRING, &text);
            let content = [field(key_value::KEY, &key), field(key_value::VALUE, &value)].concat();
            let is_short = content.len() < 0x80;
            let mut bytes = [b"..".to_vec(), field(6, &content), b"behind".to_vec()].concat();
            let end = bytes.len() - b"behind".len();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(at) = cut {
                bytes.truncate(at.index(bytes.len()).max(2));
            }
            let mut fields = Fields::new(&bytes, 2, bytes.len());
            let mut slowly = fields.clone();
            match next_short_attribute(&mut fields, tag(6)) {
                Some(short) => {
                    let Some(Ok(it)) = slowly.next() else { panic!("no field") };
                    let crate::decode::wire::Value::Bytes(piece) = it.value else { panic!("no bytes") };
                    prop_assert_eq!(it.number, 6);
                    prop_assert_eq!(text_attribute(&bytes, piece), Some((short.key, short.text)));
                    prop_assert_eq!(fields.rest(), slowly.rest());
                }
                None => {
                    prop_assert!(!is_short || change.is_some() || bytes.len() < end);
                    prop_assert_eq!(fields.rest().0, 2);
                }
            }
        }
    }
}
