//! The protobuf wire format: varints, tags and fields, over borrowed bytes.
//!
//! Nothing here knows a schema and nothing allocates. What is refused: varints of more than ten
//! bytes or more than 64 bits, field number 0, lengths past the end, and the wire types 3 and 4
//! (groups, which OTLP never had), 6 and 7 (which do not exist).
//! Source of facts: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

/// One field as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Field number, never 0.
    pub number: u32,
    /// Offset of the tag.
    pub at: usize,
    /// What follows the tag.
    pub value: Value,
}

/// What follows a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: text, bytes or a message.
    Bytes(Piece),
    /// Wire type 5.
    Fixed32(u32),
}

/// Where the bytes of a field with a length stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset of the length, which ends where the bytes start.
    pub length_at: usize,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset one past the last byte.
    pub end: usize,
}

/// Why bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A varint that runs past the end, past ten bytes, or past 64 bits.
    Varint,
    /// Field number 0, or a tag of more than 32 bits.
    Tag,
    /// A group or one of the two wire types that do not exist.
    WireType(u8),
    /// A length or a fixed number that runs past the end of its message.
    PastEnd,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::Varint => f.write_str("a varint that is cut off or longer than 64 bits"),
            Defect::Tag => f.write_str("a tag with an impossible field number"),
            Defect::WireType(it) => write!(f, "wire type {it}, which OTLP does not use"),
            Defect::PastEnd => f.write_str("a field that runs past the end of its message"),
        }
    }
}

/// A defect and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub defect: Defect,
    /// Offset of the field it is in.
    pub at: usize,
}

/// Iterates over the fields of the message in `raw[start..end]`, with offsets into `raw`. It ends
/// after the first defect.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// Cut at the end of the message, so that no read can leave it.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of `raw[start..end]`; none when the range is not inside `raw`.
    #[must_use]
    #[inline]
    pub fn new(raw: &'a [u8], start: usize, end: usize) -> Self {
        let bytes = raw.get(..end).unwrap_or_default();
        Fields { bytes, at: start.min(bytes.len()) }
    }

    /// Where the next field begins, and all that is left.
    #[inline(always)]
    pub fn rest(&self) -> (usize, &'a [u8]) {
        (self.at, self.bytes.get(self.at..).unwrap_or_default())
    }

    /// Passes so many bytes of the rest: whole fields that were read from there.
    #[inline(always)]
    pub fn skip(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes).min(self.bytes.len());
    }

    /// The next field, if it begins with this tag of one byte, which must be one of a field with a
    /// length; otherwise nothing happens. For the field that nearly all are.
    #[inline]
    pub fn next_if(&mut self, tag: u8) -> Option<Piece> {
        let length_at = self.at + 1;
        let (start, len) = match self.bytes.get(self.at..)? {
            [first, len @ 0..0x80, ..] if *first == tag => (length_at + 1, usize::from(*len)),
            [first, low, high @ 0..0x80, ..] if *first == tag => {
                (length_at + 2, usize::from(*low & 0x7f) | usize::from(*high) << 7)
            }
            _ => return None,
        };
        if len > self.bytes.len() - start {
            return None;
        }
        self.at = start + len;
        Some(Piece { length_at, start, end: self.at })
    }

    /// Forced inline, with what it calls: a call per field, with the result through memory, made
    /// the decoder half as fast again.
    #[inline(always)]
    fn field(&mut self) -> Result<Field, Defect> {
        let at = self.at;
        let tag = self.varint()?;
        let number = u32::try_from(tag).map_err(|_| Defect::Tag)? >> 3;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length_at = self.at;
                let length = self.varint()?;
                let start = self.at;
                if length > (self.bytes.len() - start) as u64 {
                    return Err(Defect::PastEnd);
                }
                self.at = start + length as usize;
                Value::Bytes(Piece { length_at, start, end: self.at })
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            other => return Err(Defect::WireType(other as u8)),
        };
        if number == 0 {
            return Err(Defect::Tag);
        }
        Ok(Field { number, at, value })
    }

    /// Nearly every tag and length of a log record fits in one byte.
    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Defect> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.varint_long(),
        }
    }

    fn varint_long(&mut self) -> Result<u64, Defect> {
        let (value, len) = varint(&self.bytes[self.at..]).ok_or(Defect::Varint)?;
        self.at += len;
        Ok(value)
    }

    #[inline(always)]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Defect> {
        let bytes = self.bytes[self.at..].first_chunk::<N>().ok_or(Defect::PastEnd)?;
        self.at += N;
        Ok(*bytes)
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, Malformed>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let at = self.at;
        match self.field() {
            Ok(field) => Some(Ok(field)),
            Err(defect) => {
                self.at = self.bytes.len();
                Some(Err(Malformed { defect, at }))
            }
        }
    }
}

/// Reads a varint from the front: its value and its length, or `None` when there is none.
/// Encodings longer than needed are accepted, as every decoder does.
#[must_use]
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(VARINT_LEN_MAX).enumerate() {
        if index == VARINT_LEN_MAX - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Most bytes of a varint: ten times seven bits hold 64.
pub const VARINT_LEN_MAX: usize = 10;

/// How many bytes [`put_varint`] writes for it.
#[must_use]
#[inline]
pub fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes a varint in its shortest form.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Overwrites `place` with a varint padded to its full length. Only for values that fit:
/// seven bits for every byte.
pub fn patch_varint(place: &mut [u8], mut value: u64) {
    debug_assert!(varint_len(value) <= place.len());
    let Some((last, front)) = place.split_last_mut() else { return };
    for byte in front {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    *last = value as u8;
}

/// Writes the tag of a varint field.
pub fn put_tag_varint(out: &mut Vec<u8>, number: u32) {
    put_varint(out, u64::from(number) << 3);
}

/// Writes the tag of a fixed64 field.
pub fn put_tag_fixed64(out: &mut Vec<u8>, number: u32) {
    put_varint(out, u64::from(number) << 3 | 1);
}

/// Writes the tag of a field that has a length.
pub fn put_tag_bytes(out: &mut Vec<u8>, number: u32) {
    put_varint(out, u64::from(number) << 3 | 2);
}

/// Writes the tag of a fixed32 field.
pub fn put_tag_fixed32(out: &mut Vec<u8>, number: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn varints() {
        fn check(bytes: &[u8], expected: Option<(u64, usize)>) {
            assert_eq!(varint(bytes), expected, "{bytes:x?}");
        }
        check(&[], None);
        check(&[0], Some((0, 1)));
        check(&[0x7f, 9], Some((127, 1)));
        check(&[0x80, 1], Some((128, 2)));
        check(&[0x80], None);
        check(&[0x80, 0x80, 0], Some((0, 3)));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some((u64::MAX, 10)));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None);
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], None);
    }

    #[test]
    fn one_field() {
        fn check(bytes: &[u8], expected: Result<(u32, Value), Defect>) {
            let got = Fields::new(bytes, 0, bytes.len()).next().expect("not empty");
            assert_eq!(got.map(|it| (it.number, it.value)).map_err(|it| it.defect), expected, "{bytes:x?}");
        }
        check(&[0x08, 5], Ok((1, Value::Varint(5))));
        check(&[0x08], Err(Defect::Varint));
        check(&[0x80], Err(Defect::Varint));
        check(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0x80], Ok((1, Value::Fixed64(0x8000_0000_0000_0001))));
        check(&[0x09, 1, 0, 0, 0, 0, 0, 0], Err(Defect::PastEnd));
        check(&[0x15, 1, 2, 0, 0], Ok((2, Value::Fixed32(0x201))));
        check(&[0x15, 1, 2, 0], Err(Defect::PastEnd));
        check(&[0x0a, 0], Ok((1, Value::Bytes(Piece { length_at: 1, start: 2, end: 2 }))));
        check(&[0x0a, 2, 7, 7], Ok((1, Value::Bytes(Piece { length_at: 1, start: 2, end: 4 }))));
        check(&[0x0a, 3, 7, 7], Err(Defect::PastEnd));
        check(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7], Err(Defect::PastEnd));
        let number = 0x1fff_ffff;
        check(&[0xfa, 0xff, 0xff, 0xff, 0x0f, 0], Ok((number, Value::Bytes(Piece { length_at: 5, start: 6, end: 6 }))));
        check(&[0xfa, 0xff, 0xff, 0xff, 0x1f, 0], Err(Defect::Tag));
        check(&[0x00, 0], Err(Defect::Tag));
        check(&[0x02, 0], Err(Defect::Tag));
        for wire_type in [3, 4, 6, 7] {
            check(&[0x08 | wire_type, 0], Err(Defect::WireType(wire_type)));
        }
    }

    #[test]
    fn fields_stop_at_the_first_defect_and_inside_their_message() {
        let bytes = [0x08, 1, 0x12, 2, 9, 9, 0x1b, 0x08, 1];
        let fields: Vec<_> = Fields::new(&bytes, 0, bytes.len()).collect();
        assert_eq!(fields.len(), 3);
        assert_eq!(fields[1].map(|it| it.at), Ok(2));
        assert_eq!(fields[2], Err(Malformed { defect: Defect::WireType(3), at: 6 }));
        assert_eq!(Fields::new(&bytes, 2, 5).next(), Some(Err(Malformed { defect: Defect::PastEnd, at: 2 })));
        assert_eq!(Fields::new(&bytes, 3, 99).next(), None);
        assert_eq!(Fields::new(&bytes, 99, 3).next(), None);
    }

    #[test]
    fn next_if_it_has_the_tag() {
        fn check(bytes: &[u8], expected: Option<(usize, usize)>) {
            let mut fields = Fields::new(bytes, 0, bytes.len());
            let got = fields.next_if(0x0a);
            assert_eq!(got.map(|it| (it.start, it.end)), expected, "{bytes:x?}");
            if let Some(piece) = got {
                let same = Field { number: 1, at: 0, value: Value::Bytes(piece) };
                assert_eq!(Fields::new(bytes, 0, bytes.len()).next(), Some(Ok(same)));
            } else {
                assert_eq!(fields.at, 0);
            }
        }
        check(&[], None);
        check(&[0x0a], None);
        check(&[0x0a, 0], Some((2, 2)));
        check(&[0x12, 0], None);
        check(&[0x0a, 2, 7, 7, 7], Some((2, 4)));
        check(&[0x0a, 2, 7], None);
        check(&[0x0a, 0x81, 0, 7], Some((3, 4)));
        check(&[0x0a, 0x81, 1, 7], None);
        check(&[0x0a, 0x81], None);
        check(&[0x0a, 0x81, 0x80, 0, 7], None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<u64>(), bits in 0u32..64, spare in 0usize..5) {
            let value = value >> bits;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(varint(&out), Some((value, out.len())));
            let mut padded = vec![0xaa; (out.len() + spare).min(VARINT_LEN_MAX)];
            patch_varint(&mut padded, value);
            prop_assert_eq!(varint(&padded), Some((value, padded.len())));
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Fields::new(&bytes, 0, bytes.len()).count() <= bytes.len());
        }
    }
}
