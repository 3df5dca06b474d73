//! Values as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::escape::{escape_json, hex_digit};
use super::lane::{Lane, ROOM, Shorts};
use super::repeats::Repeats;
use crate::record::{Member, ValueRef, Values};
use crate::word::each;

/// Writes values as plain JSON: a list of keys and values is an object, a repeated key keeps its
/// last value, bytes are base64, numbers that JSON does not know are strings.
#[derive(Debug, Default)]
pub(super) struct ValueWriter {
    repeats: Repeats,
    /// Where short members are written first: one for each object under way, kept for the next.
    rooms: Vec<Vec<u8>>,
}

impl ValueWriter {
    /// Values replaced by a later one with the same key.
    pub(super) fn repeated_keys(&self) -> u64 {
        self.repeats.count()
    }

    /// Writes one value. Recursion ends at the depth the decoders allow.
    pub(super) fn value(&mut self, value: ValueRef<'_>, out: &mut Vec<u8>) {
        match value {
            ValueRef::Empty => out.extend_from_slice(b"null"),
            ValueRef::Bool(it) => bool(it, out),
            ValueRef::Int(it) => int(it, out),
            ValueRef::Double(it) => double(it, out),
            ValueRef::Text(it) => string(it, out),
            ValueRef::Bytes(it) => bytes(it, out),
            ValueRef::Array(items) => {
                out.push(b'[');
                for (index, (_, item)) in items.enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.value(item, out);
                }
                out.push(b']');
            }
            ValueRef::Kvlist(members) => self.object(members, out),
        }
    }

    /// Writes keys and values as an object.
    pub(super) fn object(&mut self, members: Values<'_>, out: &mut Vec<u8>) {
        if members.are_distinct() || members.are_seen_once() {
            let mut room = self.rooms.pop().unwrap_or_else(|| vec![0; ROOM]);
            let mut lane = Lane::new(&mut room, out);
            self.distinct(members, &mut lane);
            let _moved = lane.out();
            self.rooms.push(room);
            return;
        }
        let mut replaced = self.repeats.find(members);
        let mut first = true;
        for ((key, value), index) in members.zip(0..) {
            if self.repeats.is_replaced(&mut replaced, index) {
                continue;
            }
            out.extend_from_slice(if std::mem::take(&mut first) { b"{\"" } else { b",\"" });
            escape_json(key, out);
            self.member(value, out);
        }
        out.extend_from_slice(if first { b"{}" } else { b"}" });
        self.repeats.release(replaced);
    }

    /// As [`ValueWriter::object`], on a lane.
    #[inline]
    pub(super) fn object_on(&mut self, members: Values<'_>, lane: &mut Lane<'_>) {
        if members.are_distinct() || members.are_seen_once() {
            self.distinct(members, lane);
        } else {
            self.object(members, lane.out());
        }
    }

    /// An object no key of which comes twice. Most members are short: texts that need no escape, and numbers,
    /// behind keys that stand ready. A vector looks at its length and capacity for each piece; on a lane pieces
    /// are copied as blocks of which only a part counts.
    fn distinct(&mut self, mut members: Values<'_>, lane: &mut Lane<'_>) {
        let start = lane.position();
        let plain = members.are_plain();
        loop {
            members.write_shorts(&mut Shorts(lane, plain));
            let Some((member, value)) = members.next_member() else { break };
            self.long_member(member, value, lane.out());
        }
        lane.begin_object(start);
        lane.put(b"}");
    }

    #[inline(never)]
    fn long_member(&mut self, member: Member<'_>, value: ValueRef<'_>, out: &mut Vec<u8>) {
        match (member, value) {
            (Member::Fragment(fragment), ValueRef::Text(text)) => {
                out.extend_from_slice(fragment);
                escape_json(text, out);
                out.push(b'"');
            }
            (Member::Fragment(fragment), value) => {
                // The quote is for text.
                out.extend_from_slice(fragment.split_last().map_or(&[], |(_, it)| it));
                self.value(value, out);
            }
            (Member::Key(key), value) => {
                out.extend_from_slice(b",\"");
                escape_json(key, out);
                self.member(value, out);
            }
        }
    }

    /// The rest of a member, behind its key.
    #[inline]
    fn member(&mut self, value: ValueRef<'_>, out: &mut Vec<u8>) {
        // Here and not in `value`: handing a value on goes through memory.
        if let ValueRef::Text(it) = value {
            out.extend_from_slice(b"\":\"");
            escape_json(it, out);
            out.push(b'"');
        } else {
            out.extend_from_slice(b"\":");
            self.value(value, out);
        }
    }
}

/// The members written from `start` on, each with a comma before it, become the inside of an
/// object: a member need not know whether it is the first.
pub(super) fn begin_object(start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
}

/// A JSON string of bytes that should be text.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape_json(text, out);
    out.push(b'"');
}

/// `true` or `false`.
pub(super) fn bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// An integer, all digits.
pub(super) fn int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest number that reads back as the same double, always with a point or an exponent so
/// that it stays a double; `"NaN"`, `"Infinity"` and `"-Infinity"` as ProtoJSON spells them.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value > 0.0 {
        out.extend_from_slice(b"\"Infinity\"");
    } else {
        out.extend_from_slice(b"\"-Infinity\"");
    }
}

/// A JSON string of the base64 of bytes.
pub(super) fn bytes(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    // Three bytes become four, the rest is padded to four.
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(value, &mut out[start..]);
    debug_assert_eq!(written, Ok(out.len() - start));
    out.push(b'"');
}

/// A JSON string of the lowercase hex of bytes: trace and span ids.
pub(super) fn hex(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let (words, rest) = value.as_chunks();
    for word in words {
        out.extend_from_slice(&hex_digits(*word));
    }
    for byte in rest {
        out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    out.push(b'"');
}

/// The digits of four bytes.
#[inline(always)]
pub(super) fn hex_digits(bytes: [u8; 4]) -> [u8; 8] {
    let spread = u64::from(u32::from_le_bytes(bytes));
    let spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF;
    let spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF;
    let nibbles = (spread >> 4 | spread << 8) & each(0x0F);
    // Above 9 are letters, which stand behind the digits at some distance.
    let letters = nibbles.wrapping_add(each(0x80 - 10)) >> 7 & each(1);
    let digits = (nibbles | each(b'0')).wrapping_add(letters.wrapping_mul(u64::from(b'a' - b'0' - 10)));
    digits.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_of_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let (mut out, mut expected) = (Vec::new(), String::from("\""));
            hex(&bytes, &mut out);
            bytes.iter().for_each(|byte| expected.push_str(&format!("{byte:02x}")));
            prop_assert_eq!(String::from_utf8_lossy(&out), expected + "\"");
        }
    }
}
