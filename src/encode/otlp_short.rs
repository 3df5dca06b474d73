//! Attributes whose lengths all take one byte, as nearly all do, in one piece.
//!
//! A vector looks at its length and capacity for each part, a copy of unknown length is a call, and a
//! text is looked through before it is copied: for texts of a few bytes that was more than all the rest.
//! Here they are copied as blocks into a room of fixed length, and looked at on the way.

use crate::decode::otlp::schema::{any_value, key_value};
use crate::decode::wire::varint_len;
use crate::record::ValueRef;

/// Longest attribute with its tag and length; so all lengths take one byte.
const ROOM: usize = 128;
const BLOCK: usize = 16;

/// Writes the attribute as a field with that tag of one byte, where it is short, and ASCII, which is
/// UTF-8 without another look. Otherwise nothing is written.
#[inline]
pub(super) fn put_short(out: &mut Vec<u8>, tag: u8, key: &[u8], value: ValueRef<'_>) -> bool {
    let (kind, content_len) = match value {
        ValueRef::Text(text) => (const { bytes_tag(any_value::STRING) }, 1 + text.len()),
        ValueRef::Int(number) => (const { varint_tag(any_value::INT) }, varint_len(number as u64)),
        _ => return false,
    };
    // Of what is too long a sum may wrap, and the length is looked at first.
    let value_len = content_len.wrapping_add(1);
    let len = key.len().wrapping_add(value_len).wrapping_add(4);
    let end = len.wrapping_add(2);
    if key.is_empty() || key.len() > ROOM || content_len > ROOM || end > ROOM {
        return false;
    }
    let mut room = [0; ROOM];
    put(&mut room, 0, &[tag, len as u8, const { bytes_tag(key_value::KEY) }, key.len() as u8]);
    let at = key.len().wrapping_add(4);
    put(&mut room, at, &[const { bytes_tag(key_value::VALUE) }, value_len as u8, kind]);
    let mut high = copy(&mut room, 4, key);
    let content_at = at.wrapping_add(3);
    match value {
        ValueRef::Text(text) => {
            put(&mut room, content_at, &[text.len() as u8]);
            high |= copy(&mut room, content_at.wrapping_add(1), text);
        }
        ValueRef::Int(number @ 0..0x80) => put(&mut room, content_at, &[number as u8]),
        ValueRef::Int(number) => {
            let mut left = number as u64;
            for place in content_at..end.wrapping_sub(1) {
                put(&mut room, place, &[left as u8 | 0x80]);
                left >>= 7;
            }
            put(&mut room, end.wrapping_sub(1), &[left as u8]);
        }
        _ => {}
    }
    if high & 0x8080_8080_8080_8080 != 0 {
        return false;
    }
    // A whole array is copied without a call.
    out.extend_from_slice(&room);
    out.truncate(out.len() - (ROOM - end));
    true
}

/// Copies an array. There is room for it, or nothing is copied.
#[inline(always)]
fn put<const N: usize>(room: &mut [u8; ROOM], at: usize, bytes: &[u8; N]) {
    if let Some(place) = room.get_mut(at..).and_then(|it| it.first_chunk_mut()) {
        *place = *bytes;
    }
}

/// Copies bytes, for which there is room, as blocks of which the last two overlap. The high bit of a
/// byte of what it returns is set where one of a byte of them is.
#[inline(always)]
fn copy(room: &mut [u8; ROOM], at: usize, bytes: &[u8]) -> u64 {
    let end = at.wrapping_add(bytes.len());
    if let Some(last) = bytes.last_chunk::<BLOCK>() {
        let mut all = u128::from_le_bytes(*last);
        let mut place = at;
        for block in bytes.as_chunks::<BLOCK>().0 {
            put(room, place, block);
            all |= u128::from_le_bytes(*block);
            place = place.wrapping_add(BLOCK);
        }
        put(room, end.wrapping_sub(BLOCK), last);
        return all as u64 | (all >> 64) as u64;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        put(room, at, first);
        put(room, end.wrapping_sub(8), last);
        return u64::from_le_bytes(*first) | u64::from_le_bytes(*last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        put(room, at, first);
        put(room, end.wrapping_sub(4), last);
        return u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last));
    }
    let mut all = 0;
    for (place, byte) in (at..end).zip(bytes) {
        put(room, place, &[*byte]);
        all |= u64::from(*byte);
    }
    all
}

/// The tag of a field with a length, and of a number: all fields here have a tag of one byte.
pub(super) const fn bytes_tag(number: u32) -> u8 {
    assert!(number < 16);
    (number << 3 | 2) as u8
}

const fn varint_tag(number: u32) -> u8 {
    assert!(number < 16);
    (number << 3) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::wire::{put_tag_bytes, put_varint};

    fn field(number: u32, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_tag_bytes(&mut out, number);
        put_varint(&mut out, content.len() as u64);
        [out, content.to_vec()].concat()
    }

    fn written(key: &[u8], value: ValueRef<'_>) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let done = put_short(&mut out, bytes_tag(6), key, value);
        assert!(done || out == b"before");
        done.then(|| out.split_off(6))
    }

    fn expected(key: &[u8], value: &[u8], is_ascii: bool) -> Option<Vec<u8>> {
        let attribute = field(6, &[field(key_value::KEY, key), field(key_value::VALUE, value)].concat());
        (attribute.len() <= ROOM && !key.is_empty() && is_ascii).then_some(attribute)
    }

    proptest! {
        #[test]
        fn texts(key in "[ -~]{0,130}|é", text in "[ -~]{0,130}|[ -~]{0,40}é?[ -~]{0,40}") {
            let value = field(any_value::STRING, text.as_bytes());
            prop_assert_eq!(
                written(key.as_bytes(), ValueRef::Text(text.as_bytes())),
                expected(key.as_bytes(), &value, key.is_ascii() && text.is_ascii())
            );
        }

        #[test]
        fn numbers(key in "[a-z.]{0,130}", number: i64, bits in 0u32..64) {
            let number = number >> bits;
            let mut value = vec![varint_tag(any_value::INT)];
            put_varint(&mut value, number as u64);
            prop_assert_eq!(written(key.as_bytes(), ValueRef::Int(number)), expected(key.as_bytes(), &value, true));
        }
    }

    #[test]
    fn other_values_go_another_way() {
        for value in [ValueRef::Empty, ValueRef::Bool(true), ValueRef::Double(1.0), ValueRef::Bytes(b"x")] {
            assert_eq!(written(b"key", value), None);
        }
    }
}
