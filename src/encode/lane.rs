//! A stretch of bytes that many small pieces are written into, on their way into a vector.
//!
//! Each piece is copied as whole blocks, as far as its last byte and beyond it; the next piece
//! overwrites what was too much. So a piece costs a few instructions and no call, whatever its
//! length. What does not fit, or is not plain, is not written: the caller knows a slower way.

use super::escape::{copy_stretches, to_escape};
use crate::block::{BLOCK, Block};
use crate::record::{FRAGMENT_BLOCK, Text, WriteShorts};

/// Bytes of a lane: a record of an access log with its line, and room for one more member.
pub(super) const ROOM: usize = 4096;

/// Bytes that are moved on at once.
const PORTION: usize = 320;

const WORD: usize = 8;
/// Longest beginning of a member that is copied at once, and bytes of a text that are.
const KEY: usize = FRAGMENT_BLOCK;
/// Longest text that is short.
const TEXT: usize = 192;
/// Places where a value may begin: a power of two, so that the remainder of a division by it is what keeps
/// a place inside.
const VALUE_PLACES: usize = 128;
/// Places in a member; behind the last is room for a block.
const PLACES: usize = 512;
const MEMBER: usize = PLACES + KEY;

/// The stretch, how much of it is written, and what it goes on to.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    room: &'a mut [u8],
    at: usize,
    out: &'a mut Vec<u8>,
}

impl<'a> Lane<'a> {
    /// An empty lane.
    #[inline(always)]
    pub(super) fn new(room: &'a mut [u8], out: &'a mut Vec<u8>) -> Self {
        Lane { room, at: 0, out }
    }

    /// Moves on what is written, for what is written another way.
    #[inline]
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.out.extend_from_slice(self.room.get(..self.at).unwrap_or_default());
        self.at = 0;
        self.out
    }

    /// Moves on what is written, when it is much. In small portions: the vector is memory that nobody has touched for
    /// long, and many writes that wait for it hold up all that come behind.
    #[inline(always)]
    fn move_on(&mut self) {
        if self.at >= PORTION {
            let _moved = self.out();
        }
    }

    /// How much there is with what was moved on.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.out.len().wrapping_add(self.at)
    }

    /// The members written from `start` on, each with a comma before it, become the inside of an object: a
    /// member need not know whether it is the first.
    #[inline]
    pub(super) fn begin_object(&mut self, start: usize) {
        if start == self.position() {
            return self.put(b"{");
        }
        let comma = match start.checked_sub(self.out.len()) {
            Some(at) => self.room.get_mut(at),
            None => self.out.get_mut(start),
        };
        if let Some(comma) = comma {
            *comma = b'{';
        }
    }

    /// Writes these bytes.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.put_part(bytes, N);
    }

    /// Writes the first of these bytes, so many of them.
    #[inline(always)]
    pub(super) fn put_part<const N: usize>(&mut self, bytes: &[u8; N], len: usize) {
        match self.room.get_mut(self.at..).and_then(|it| it.first_chunk_mut()) {
            Some(place) => {
                *place = *bytes;
                self.at = self.at.wrapping_add(len);
            }
            None => self.out().extend_from_slice(bytes.get(..len).unwrap_or_default()),
        }
    }

    /// Room for one more member. All places in it are known to be in it, so that each costs no look.
    #[inline(always)]
    fn member(&mut self) -> Option<&mut [u8; MEMBER]> {
        self.room.get_mut(self.at..)?.first_chunk_mut()
    }

    /// Writes the first `len` bytes of a beginning that ends with a quote, a text that is plain and
    /// short, and a quote. Whether it is plain need not be looked at where `is_plain` says so.
    #[inline(always)]
    pub(super) fn put_text<const N: usize>(
        &mut self,
        key: &[u8; N],
        len: usize,
        text: Text<'_>,
        is_plain: bool,
    ) -> bool {
        let Some(member) = self.member() else { return false };
        put_key(member, key, len);
        let len = len % VALUE_PLACES;
        let Some(end) = put_plain(member, len, text, is_plain) else { return false };
        member[end % PLACES] = b'"';
        self.at = self.at.wrapping_add(end).wrapping_add(1);
        true
    }

    /// As [`Lane::put_text`], as a list of one.
    #[inline(always)]
    pub(super) fn put_list(&mut self, key: &[u8; KEY], len: usize, text: Text<'_>, is_plain: bool) -> bool {
        let Some(member) = self.member() else { return false };
        put_key(member, key, len);
        let len = len.wrapping_sub(1) % VALUE_PLACES;
        put(member, len, b"[\"");
        let Some(end) = put_plain(member, len.wrapping_add(2), text, is_plain) else { return false };
        put(member, end % PLACES, b"\"]");
        self.at = self.at.wrapping_add(end).wrapping_add(2);
        true
    }

    /// As [`Lane::put_text`] with a whole number, without quotes.
    #[inline(always)]
    pub(super) fn put_int<const N: usize>(&mut self, key: &[u8; N], len: usize, value: i64) -> bool {
        let Some(member) = self.member() else { return false };
        put_key(member, key, len);
        let len = len.wrapping_sub(1) % VALUE_PLACES;
        let Some(value) = u32::try_from(value).ok().filter(|it| *it < 100_000_000) else { return false };
        let (digits, count) = decimal(value);
        put(member, len, &digits.to_le_bytes());
        self.at = self.at.wrapping_add(len).wrapping_add(count);
        true
    }

    /// Writes a text of which nothing but the quotes at these places needs an escape, see
    /// [`escape_quotes_at`](super::escape::escape_quotes_at).
    #[inline(always)]
    pub(super) fn put_quoted_at(&mut self, text: Text<'_>, quotes: &[u32]) -> bool {
        let room = self.room.get_mut(self.at..).unwrap_or_default();
        let Some(written) = copy_stretches(room, text, quotes) else { return false };
        self.at = self.at.wrapping_add(written);
        true
    }
}

/// Short members, and whether all texts are known to be plain.
pub(super) struct Shorts<'a, 'b>(pub(super) &'a mut Lane<'b>, pub(super) bool);

impl WriteShorts for Shorts<'_, '_> {
    #[inline(always)]
    fn text(&mut self, key: &[u8; KEY], len: usize, text: Text<'_>) -> bool {
        self.0.move_on();
        self.0.put_text(key, len, text, self.1)
    }

    #[inline(always)]
    fn int(&mut self, key: &[u8; KEY], len: usize, value: i64) -> bool {
        self.0.put_int(key, len, value)
    }

    #[inline(always)]
    fn list(&mut self, key: &[u8; KEY], len: usize, text: Text<'_>) -> bool {
        self.0.put_list(key, len, text, self.1)
    }
}

/// Copies a beginning of which so many bytes count: of a large block nearly always half, for what is too much has
/// to be written too, and for so many pieces that is what takes the time.
#[inline(always)]
fn put_key<const N: usize>(member: &mut [u8; MEMBER], key: &[u8; N], len: usize) {
    match key.first_chunk::<BLOCK>() {
        Some(first) if len <= BLOCK => put(member, 0, first),
        _ => put(member, 0, key),
    }
}

/// Copies a block. There is room for it, or nothing is copied.
#[inline(always)]
fn put<const N: usize>(member: &mut [u8; MEMBER], at: usize, block: &[u8; N]) {
    if let Some(place) = member.get_mut(at..).and_then(|it| it.first_chunk_mut()) {
        *place = *block;
    }
}

/// Writes a text at a place among [`VALUE_PLACES`], where it is plain and short; returns where it
/// ends.
#[inline(always)]
fn put_plain(member: &mut [u8; MEMBER], at: usize, text: Text<'_>, is_plain: bool) -> Option<usize> {
    let Text { mut onwards, len } = text;
    if len > TEXT {
        return None;
    }
    let (mut place, mut left) = (at, len);
    if is_plain && len <= BLOCK {
        put(member, place, onwards.first_chunk::<BLOCK>()?);
        return Some(at.wrapping_add(len));
    }
    // A large block more often holds all of a longer text: where it ends is guessed wrong less often.
    while is_plain && let Some(block) = onwards.first_chunk::<KEY>() {
        put(member, place, block);
        if left <= KEY {
            return Some(at.wrapping_add(len));
        }
        left = left.wrapping_sub(KEY);
        place = place.wrapping_add(KEY);
        onwards = &onwards[KEY..];
    }
    loop {
        let block = onwards.first_chunk::<BLOCK>()?;
        put(member, place, block);
        let (quoted, others) = to_escape::<true>(block);
        if (quoted | others) & Block::first(left) != 0 {
            return None;
        }
        if left <= BLOCK {
            return Some(at.wrapping_add(len));
        }
        left = left.wrapping_sub(BLOCK);
        place = place.wrapping_add(BLOCK);
        onwards = &onwards[BLOCK..];
    }
}

/// The digits of a number of at most eight, the first in the lowest byte, and how many there are.
#[inline(always)]
fn decimal(value: u32) -> (u64, usize) {
    // Not from the digits: where the next piece begins is known before they are.
    const POWERS: [u32; WORD] = [0, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    let count = POWERS.iter().map(|it| usize::from(value >= *it)).fold(0usize, usize::wrapping_add);
    // Halves of the digits, in halves of the word: four, two, then one in each.
    let value = u64::from(value);
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x7F_0000_007F;
    let twos = hundreds | fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    let ones = tens | twos.wrapping_sub(tens.wrapping_mul(10)) << 8;
    let missing = WORD.wrapping_sub(count) as u32;
    ((ones | 0x3030_3030_3030_3030).wrapping_shr(8 * missing), count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::escape::escape_json;
    use super::*;

    const KEY_BLOCK: &[u8; KEY] = b",\"key\":\"                                                        ";

    fn written(put: impl FnOnce(&mut Lane<'_>) -> bool) -> Option<String> {
        let (mut room, mut out) = ([0; 2 * MEMBER], Vec::new());
        let mut lane = Lane::new(&mut room, &mut out);
        let done = put(&mut lane);
        done.then(|| String::from_utf8_lossy(lane.out()).into_owned())
    }

    #[test]
    fn numbers() {
        let powers = (0..8).map(|it| 10i64.pow(it)).flat_map(|it| [it - 1, it, it + 1]);
        for value in (0..10_100).chain(powers).chain([99_999_999]) {
            assert_eq!(written(|lane| lane.put_int(KEY_BLOCK, 8, value)), Some(format!(",\"key\":{value}")));
        }
        for value in [-1, 100_000_000, i64::MAX, i64::MIN] {
            assert_eq!(written(|lane| lane.put_int(KEY_BLOCK, 8, value)), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let (mut room, mut out) = ([0; MEMBER + 16], Vec::new());
        let mut lane = Lane::new(&mut room, &mut out);
        let text = |len| Text { onwards: &[b'a'; BLOCK], len };
        assert!(!lane.put_text(KEY_BLOCK, 8, Text { onwards: b"short", len: 5 }, false));
        assert!(lane.put_text(KEY_BLOCK, 8, text(0), false));
        assert_eq!(lane.position(), 9);
        assert!(lane.put_int(KEY_BLOCK, 8, 1));
        assert!(!lane.put_int(KEY_BLOCK, 8, 1));
        assert!(!lane.put_text(KEY_BLOCK, 8, text(1), false) && !lane.put_list(KEY_BLOCK, 8, text(1), false));
        assert_eq!(lane.out(), b",\"key\":\"\",\"key\":1");
        // There is room again.
        assert!(lane.put_int(KEY_BLOCK, 8, 2));
        assert_eq!(lane.out(), b",\"key\":\"\",\"key\":1,\"key\":2");
    }

    #[test]
    fn pieces_go_on_in_order_whatever_the_room_is() {
        for room in 0..20 {
            let (mut room, mut out) = (vec![0; room], b"before".to_vec());
            let mut lane = Lane::new(&mut room, &mut out);
            lane.begin_object(6);
            lane.put(b"}");
            let start = lane.position();
            lane.put(b",\"key\":");
            lane.put_part(b"12345", 3);
            lane.begin_object(start);
            lane.put(b"}");
            assert_eq!(lane.out(), b"before{}{\"key\":123}");
        }
    }

    proptest! {
        #[test]
        fn quotes_at_known_places(text in "[ !#-\\[\\]-~\"]{0,90}", behind in 0usize..50) {
            let quotes: Vec<u32> = text.bytes().zip(0..).filter(|it| it.0 == b'"').map(|it| it.1).collect();
            let onwards = text.clone() + &"\"".repeat(behind);
            let piece = Text { onwards: onwards.as_bytes(), len: text.len() };
            let mut escaped = Vec::new();
            escape_json(text.as_bytes(), &mut escaped);
            match written(|lane| lane.put_quoted_at(piece, &quotes)) {
                Some(text) => prop_assert_eq!(text.as_bytes(), escaped),
                None => prop_assert!(behind < BLOCK),
            }
        }

        #[test]
        fn number(value in 0u32..100_000_000) {
            prop_assert_eq!(written(|lane| lane.put_int(KEY_BLOCK, 8, value.into())), Some(format!(",\"key\":{value}")));
        }

        #[test]
        fn plain_text_and_no_other(len in 8..=KEY, text in proptest::collection::vec(
            prop_oneof![150 => 0x23u8..0x5C, 1 => any::<u8>()], 0..250), behind in BLOCK..200) {
            let mut escaped = Vec::new();
            escape_json(&text, &mut escaped);
            let is_plain = escaped == text && text.is_ascii() && text.len() <= TEXT;
            let key = String::from_utf8_lossy(&KEY_BLOCK[..len]);
            let list = String::from_utf8_lossy(&KEY_BLOCK[..len - 1]);
            let text_of = String::from_utf8_lossy(&text);
            let onwards = [&text[..], &vec![b'"'; behind]].concat();
            let text = Text { onwards: &onwards, len: text.len() };
            if is_plain {
                prop_assert_eq!(
                    written(|lane| lane.put_text(KEY_BLOCK, len, text, true)),
                    Some(format!("{key}{text_of}\""))
                );
            }
            prop_assert_eq!(
                written(|lane| lane.put_text(KEY_BLOCK, len, text, false)),
                is_plain.then(|| format!("{key}{text_of}\""))
            );
            prop_assert_eq!(
                written(|lane| lane.put_list(KEY_BLOCK, len, text, false)),
                is_plain.then(|| format!("{list}[\"{text_of}\"]"))
            );
        }
    }
}
