//! Arbitrary bytes as harmless text: the inside of a JSON string, or a part of one line.
//!
//! Escaped in every form: C0 controls, DEL, the C1 controls U+0080 to U+009F, the line and
//! paragraph separators U+2028 and U+2029, the bidirectional controls U+202A to U+202E and U+2066
//! to U+2069, and U+FEFF. The first three can drive a terminal, the separators end a line for
//! many readers, the others make a line read differently from what it says.

use crate::block::{BLOCK, Block};
use crate::record::Text;

/// Writes the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, in the same places
/// as in [`String::from_utf8_lossy`]; a JSON parser gets exactly that string back.
pub fn escape_json(bytes: &[u8], out: &mut Vec<u8>) {
    escape::<true, true>(bytes, out);
}

/// Writes text for people: as [`escape_json`], but quotes and backslashes stay as they are, so
/// the original cannot always be told from the result.
pub fn escape_text(bytes: &[u8], out: &mut Vec<u8>) {
    escape::<false, true>(bytes, out);
}

/// Writes text as one line: as [`escape_text`], but bytes that are not UTF-8 stay as they are,
/// except 0x80 to 0x9F, which a terminal without UTF-8 takes for controls: they become `\x80` to
/// `\x9f`. A line without controls is written unchanged.
pub fn escape_line(bytes: &[u8], out: &mut Vec<u8>) {
    escape::<false, false>(bytes, out);
}

const WORD: usize = 8;
const EACH: u64 = u64::from_ne_bytes([1; WORD]);
const HIGH: u64 = EACH << 7;
/// Bytes that are read at once: a block, and what may have to be moved of it.
const READ: usize = 2 * BLOCK;
const HALF: usize = BLOCK / 2;
/// Places that the bytes of a block can have when each has a backslash before it, and room for a block behind.
const WINDOW_PLACES: usize = 2 * BLOCK;
const WINDOW: usize = WINDOW_PLACES + BLOCK;
/// Bytes that are escaped before they are moved on.
const BUFFER: usize = 512 + WINDOW;

#[inline]
fn escape<const QUOTED: bool, const REPAIR: bool>(bytes: &[u8], out: &mut Vec<u8>) {
    if (1..WORD).contains(&bytes.len()) {
        let word = last_word(bytes);
        if special::<QUOTED>(word) == 0 {
            // Some spaces too many cost less than a copy of unknown length.
            out.extend_from_slice(&word.to_le_bytes());
            out.truncate(out.len() - (WORD - bytes.len()));
            return;
        }
    }
    escape_mixed::<QUOTED, REPAIR>(bytes, out);
}

/// Places of bytes that need a backslash before them, and of others that need an escape.
#[inline(always)]
pub(super) fn to_escape<const QUOTED: bool>(block: &[u8; BLOCK]) -> (u32, u32) {
    let block = Block::new(block);
    if QUOTED { (block.equal(b'"') | block.equal(b'\\'), block.unprintable()) } else { (0, block.unprintable()) }
}

/// A text with no more than quotes and backslashes, as most bodies are, in one go.
fn escape_mixed<const QUOTED: bool, const REPAIR: bool>(mut rest: &[u8], out: &mut Vec<u8>) {
    // An array first, because a vector looks at its length and capacity for each piece, and because what it has
    // to be cleared of is bounded: this goes on behind each byte that needs another escape.
    let mut buffer = [0; BUFFER];
    while !rest.is_empty() {
        let (read, written) = escape_quotes::<QUOTED>(rest, &mut buffer);
        out.extend_from_slice(&buffer[..written]);
        rest = &rest[read..];
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None if rest.is_empty() => return,
            None => last_word(rest),
        };
        // There was no more room, or a byte among the next needs another escape.
        let found = special::<QUOTED>(word);
        let plain = ((found.trailing_zeros() / 8) as usize).min(rest.len());
        let (plain, behind) = rest.split_at(plain);
        out.extend_from_slice(plain);
        rest = if found == 0 { behind } else { escape_first::<REPAIR>(behind, out) };
    }
}

/// As [`escape_json`], for a text of which nothing but the quotes at these places needs an escape: what
/// stands between two of them is copied as blocks.
#[inline(never)]
pub(super) fn escape_quotes_at(text: Text<'_>, quotes: &[u32], out: &mut Vec<u8>) {
    let Text { onwards, len } = text;
    let start = out.len();
    out.resize(start + len + quotes.len() + BLOCK, 0);
    match copy_stretches(out.get_mut(start..).unwrap_or_default(), text, quotes) {
        Some(written) => out.truncate(start.wrapping_add(written)),
        None => {
            // So close to the end of the buffer it stands in no block can be read.
            out.truncate(start);
            escape_json(onwards.get(..len).unwrap_or_default(), out);
        }
    }
}

/// Returns how much was written; `None` where there was no room, or no block to read.
#[inline(always)]
pub(super) fn copy_stretches(room: &mut [u8], Text { onwards, len }: Text<'_>, quotes: &[u32]) -> Option<usize> {
    // Sums do not wrap: they are within the text, and the room.
    let (mut at, mut begin) = (0usize, 0usize);
    for quote in quotes {
        let end = *quote as usize;
        at = copy_blocks(room, at, onwards, begin, end)?;
        *room.get_mut(at)? = b'\\';
        (at, begin) = (at.wrapping_add(1), end);
    }
    copy_blocks(room, at, onwards, begin, len)
}

/// Copies `from[begin..end]` to a place in blocks, and says where it ends; `None` where there is no whole
/// block to read, or to write.
#[inline(always)]
fn copy_blocks(room: &mut [u8], at: usize, from: &[u8], begin: usize, end: usize) -> Option<usize> {
    let (mut room, mut from) = (room.get_mut(at..)?, from.get(begin..)?);
    let len = end.wrapping_sub(begin);
    // Nearly always between two values, and each copy less is one less that waits to be written.
    if len <= HALF {
        *room.first_chunk_mut::<HALF>()? = *from.first_chunk()?;
        return Some(at.wrapping_add(len));
    }
    let mut left = len;
    loop {
        let (block, behind) = from.split_first_chunk::<BLOCK>()?;
        let place;
        (place, room) = room.split_first_chunk_mut::<BLOCK>()?;
        *place = *block;
        if left <= BLOCK {
            return Some(at.wrapping_add(len));
        }
        (left, from) = (left.wrapping_sub(BLOCK), behind);
    }
}

/// A block at a time: it is copied first and looked at after, and for each quote and backslash in it
/// what is left of it is copied once more behind a backslash; so a text full of quotes costs no call
/// per quote. Ends before bytes of which one needs another escape, and when there may be no more room.
/// Returns how many bytes it read, and wrote.
fn escape_quotes<const QUOTED: bool>(text: &[u8], out: &mut [u8; BUFFER]) -> (usize, usize) {
    // Sums do not wrap: they are within the text, and the array.
    let (mut read, mut written) = (0usize, 0usize);
    let mut padded;
    while let Some(rest) = text.get(read..) {
        let (bytes, len) = match rest.first_chunk::<READ>() {
            Some(bytes) => (bytes, BLOCK),
            None if rest.is_empty() => break,
            None => {
                padded = [b' '; READ];
                padded[..rest.len()].copy_from_slice(rest);
                (&padded, rest.len().min(BLOCK))
            }
        };
        let window = out.get_mut(written..).and_then(|it| it.first_chunk_mut::<WINDOW>());
        let (Some(window), Some(block)) = (window, bytes.first_chunk()) else { break };
        let (mut quoted, others) = to_escape::<QUOTED>(block);
        if others != 0 {
            break;
        }
        put(window, 0, block);
        (read, written) = (read.wrapping_add(len), written.wrapping_add(len));
        let mut before = 0usize;
        while quoted != 0 {
            let at = quoted.trailing_zeros() as usize % BLOCK;
            quoted &= quoted.wrapping_sub(1);
            let place = at.wrapping_add(before);
            window[place % WINDOW_PLACES] = b'\\';
            before = before.wrapping_add(1);
            if let Some(behind) = bytes[at..].first_chunk() {
                put(window, place.wrapping_add(1), behind);
            }
        }
        written = written.wrapping_add(before);
    }
    (read, written)
}

/// Copies a block to a place among [`WINDOW_PLACES`].
#[inline(always)]
fn put(window: &mut [u8; WINDOW], at: usize, block: &[u8; BLOCK]) {
    if let Some(place) = window[at % WINDOW_PLACES..].first_chunk_mut() {
        *place = *block;
    }
}

/// One to seven bytes as a word, filled up with spaces; overlapping loads, because a copy of
/// unknown length costs more than all the rest for the short strings that keys are.
#[inline]
pub(super) fn last_word(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let at = |index: usize| u64::from(bytes[index]) << (8 * index);
    let word = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => at(0) | at(len / 2) | at(len - 1),
    };
    word | (EACH * 0x20) << (8 * len)
}

/// Marks, in the high bit of its byte, the lowest byte of the word that is not plain ASCII text;
/// marks above it may be wrong. Bytes that are not ASCII are marked already, so the sums and
/// differences need to be right for the others only, and carry nothing out of them unmarked.
#[inline(always)]
pub(super) fn special<const QUOTED: bool>(word: u64) -> u64 {
    let is_zero = |word: u64| word.wrapping_sub(EACH);
    let control = word.wrapping_sub(EACH * 0x20);
    let delete = word.wrapping_add(EACH);
    let quoted = if QUOTED { is_zero(word ^ (EACH * 0x22)) | is_zero(word ^ (EACH * 0x5C)) } else { 0 };
    (word | control | delete | quoted) & HIGH
}

/// Writes the escape of the first byte, or of all the bytes before the next ASCII byte, and
/// returns what follows.
fn escape_first<'a, const REPAIR: bool>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    match bytes[0] {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0C => out.extend_from_slice(b"\\f"),
        byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
        byte @ ..0x80 => escape_code(u16::from(byte), out),
        0x80.. => {
            let len = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
            let (run, rest) = bytes.split_at(len);
            escape_not_ascii::<REPAIR>(run, out);
            return rest;
        }
    }
    &bytes[1..]
}

fn escape_not_ascii<const REPAIR: bool>(run: &[u8], out: &mut Vec<u8>) {
    if let Ok(valid) = std::str::from_utf8(run) {
        return escape_hidden(valid, out);
    }
    for chunk in run.utf8_chunks() {
        escape_hidden(chunk.valid(), out);
        match chunk.invalid() {
            [] => {}
            _ if REPAIR => out.extend_from_slice("\u{FFFD}".as_bytes()),
            invalid => invalid.iter().for_each(|&byte| escape_stray(byte, out)),
        }
    }
}

fn escape_hidden(text: &str, out: &mut Vec<u8>) {
    // The characters to hide begin with one of three bytes, which most text does not have.
    let suspect = text.bytes().position(|byte| matches!(byte, 0xC2 | 0xE2 | 0xEF)).unwrap_or(text.len());
    let mut written = 0;
    for (at, char) in text[suspect..].char_indices() {
        if let '\u{80}'..='\u{9F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' = char {
            out.extend_from_slice(&text.as_bytes()[written..suspect + at]);
            // All of these are below U+10000.
            escape_code(char as u16, out);
            written = suspect + at + char.len_utf8();
        }
    }
    out.extend_from_slice(&text.as_bytes()[written..]);
}

fn escape_stray(byte: u8, out: &mut Vec<u8>) {
    if (0x80..=0x9F).contains(&byte) {
        out.extend_from_slice(&[b'\\', b'x', hex_digit(byte >> 4), hex_digit(byte & 15)]);
    } else {
        out.push(byte);
    }
}

fn escape_code(code: u16, out: &mut Vec<u8>) {
    let digit = |shift: u16| hex_digit((code >> shift) as u8 & 15);
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// The lowercase hexadecimal digit of a number below 16.
pub(super) const fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[(nibble & 15) as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quotes::{QUOTES_MAX, Quotes};

    fn written(escape: fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> Vec<u8> {
        let mut out = b"before ".to_vec();
        escape(bytes, &mut out);
        out.split_off(7)
    }

    #[test]
    fn json_strings() {
        fn check(input: impl AsRef<[u8]>, expected: &str) {
            assert_eq!(String::from_utf8(written(escape_json, input.as_ref())).unwrap(), expected);
        }
        check("", "");
        check("plain text, longer than a word / with a slash", "plain text, longer than a word / with a slash");
        check("say \"hi\" \\ \n\r\t\x08\x0C", r#"say \"hi\" \\ \n\r\t\b\f"#);
        check("\0\x1b[31m\x7f", r"\u0000\u001b[31m\u007f");
        check("日本語 ÿ 🦀", "日本語 ÿ 🦀");
        check("\u{85}\u{9b}\u{a0}", "\\u0085\\u009b\u{a0}");
        check("a\u{2028}b\u{202e}c\u{2066}d\u{2069}e\u{feff}f", r"a\u2028b\u202ec\u2066d\u2069e\ufefff");
        check(b"bad \xff\xfe end", "bad \u{fffd}\u{fffd} end");
        check(b"cut \xe6\x97", "cut \u{fffd}");
        check(b"cut \xe6\x97 then text", "cut \u{fffd} then text");
    }

    #[test]
    fn lines() {
        fn check(input: &[u8], expected: &[u8]) {
            assert_eq!(written(escape_line, input), expected);
        }
        check(br#"say "hi" \ there"#, br#"say "hi" \ there"#);
        check(b"two\nlines\r\n", br"two\nlines\r\n");
        check(b"bad \xff \xe6\x97", b"bad \xff \xe6\\x97");
        check(b"\x9b31m", b"\\x9b31m");
        check("\u{9b}31m\u{2028}".as_bytes(), br"\u009b31m\u2028");
    }

    #[test]
    fn text() {
        assert_eq!(written(escape_text, b"\"q\" \\ \x1b \xff"), "\"q\" \\ \\u001b \u{fffd}".as_bytes());
    }

    /// No form lets a byte through that ends a line or drives a terminal.
    fn is_harmless(out: &[u8]) -> bool {
        let ascii = out.iter().all(|&byte| byte >= 0x20 && byte != 0x7F);
        let c1 = out.utf8_chunks().any(|chunk| {
            chunk.valid().chars().any(|char| matches!(char, '\u{80}'..='\u{9F}' | '\u{2028}'..='\u{202E}'))
                || chunk.invalid().iter().any(|byte| (0x80..=0x9F).contains(byte))
        });
        ascii && !c1
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..12),
            any::<String>().prop_map(String::into_bytes),
            "[ -~]{0,40}".prop_map(String::into_bytes),
            prop_oneof![Just("\u{9b}"), Just("\u{2028}"), Just("\u{202e}"), Just("\u{2068}"), Just("\u{feff}")]
                .prop_map(|it| it.as_bytes().to_vec()),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn quotes_of(text: &str) -> Quotes {
        let mut quotes = Quotes::default();
        quotes.look(text.as_bytes());
        text.bytes().zip(0..).filter(|(byte, _)| *byte == b'"').for_each(|(_, place)| quotes.push([place; 2], 1));
        quotes
    }

    proptest! {
        #[test]
        fn a_json_parser_reads_the_repaired_text_back(input in bytes()) {
            let out = written(escape_json, &input);
            prop_assert!(is_harmless(&out));
            let quoted = [b"\"".as_slice(), &out, b"\""].concat();
            let read: String = serde_json::from_slice(&quoted).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&input).into_owned());
        }

        #[test]
        fn quotes_at_known_places(text in prop_oneof!["[ -!#-\\[\\]-~\"]{0,300}", "([ -~]{0,30}\"?\\PC?){0,9}"], behind in 0usize..100) {
            let quotes = quotes_of(&text);
            prop_assume!(quotes.places().len() < QUOTES_MAX && quotes.are_all_to_escape());
            let onwards = text.clone() + &"\"".repeat(behind);
            let mut out = b"before".to_vec();
            escape_quotes_at(Text { onwards: onwards.as_bytes(), len: text.len() }, quotes.places(), &mut out);
            prop_assert_eq!(&out[6..], written(escape_json, text.as_bytes()));
        }

        #[test]
        fn what_needs_no_escape_gets_none(text in "[ !#-~¡-\u{3000}\u{D7FF}\u{FEFE}-\u{FFFD}🦀]{0,9}") {
            if quotes_of(&text).are_all_to_escape() {
                prop_assert_eq!(written(escape_json, text.as_bytes()), text.as_bytes());
                prop_assert_eq!(written(escape_text, text.as_bytes()), text.as_bytes());
            }
        }

        #[test]
        fn text_and_lines_are_harmless(input in bytes()) {
            prop_assert!(is_harmless(&written(escape_line, &input)));
            let text = written(escape_text, &input);
            prop_assert!(is_harmless(&text));
            prop_assert!(std::str::from_utf8(&text).is_ok());
        }

        #[test]
        fn a_line_without_controls_is_unchanged(input in proptest::collection::vec(
            prop_oneof![0x20u8..=0x7E, 0xA0u8..=0xC1, 0xF5u8..=0xFF], 0..40)) {
            prop_assert_eq!(written(escape_line, &input), input);
        }
    }
}
