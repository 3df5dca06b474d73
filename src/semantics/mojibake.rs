//! Text in which every byte has become a character of its own.
//!
//! Envoy writes a value that is not valid UTF-8 with each byte 00-FF as the character U+0000 to
//! U+00FF, valid parts included: `bad \xff 日` arrives as `bad ÿ æ\u{97}¥`. The result is valid
//! UTF-8, so nothing downstream notices.

use crate::record::{Span, Tree};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Text as it was sent.
    Clean,
    /// Bytes that Envoy may have mapped, or a text that somebody sent: `café` is both.
    Possible,
    /// Bytes that Envoy has mapped: nobody sends C1 control characters in a header.
    Certain,
}

/// Decides by the characters: mapped text has none above U+00FF, and its bytes were not UTF-8, else
/// Envoy would have left them alone.
#[inline]
pub(super) fn look(text: &[u8]) -> Finding {
    if text.is_ascii() { Finding::Clean } else { look_closer(text) }
}

#[cold]
fn look_closer(text: &[u8]) -> Finding {
    let (mut bytes, mut control) = (Utf8::default(), false);
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let byte = match byte {
            ..0x80 => byte,
            0xc2 | 0xc3 => match rest.next() {
                Some(&low @ 0x80..0xc0) => byte << 6 | low & 0x3f,
                _ => return Finding::Clean,
            },
            _ => return Finding::Clean,
        };
        control |= matches!(byte, 0x80..0xa0);
        bytes.push(byte);
    }
    match (bytes.is_valid(), control) {
        (true, _) => Finding::Clean,
        (false, true) => Finding::Certain,
        (false, false) => Finding::Possible,
    }
}

/// The bytes that were mapped, as side text. Only for text that [`look`] called certain.
#[cold]
pub(super) fn undo(text: Span, raw: &[u8], tree: &mut Tree) -> Span {
    let position = tree.side_position();
    let length = tree.text(raw, text).len();
    let (mut at, mut chunk) = (0, [0; 256]);
    while at < length {
        // Text and result may stand in the same buffer, so bytes cross over in portions.
        let (source, mut filled) = (tree.text(raw, text), 0);
        while at < length && filled < chunk.len() {
            let byte = source[at];
            at += 1;
            chunk[filled] = match source.get(at) {
                Some(low) if byte >= 0x80 => {
                    at += 1;
                    byte << 6 | low & 0x3f
                }
                _ => byte,
            };
            filled += 1;
        }
        let _: Span = tree.side_text(&chunk[..filled]);
    }
    tree.side_since(position)
}

/// Tells whether bytes that come one by one are UTF-8.
#[derive(Clone, Copy, Debug)]
struct Utf8 {
    missing: u8,
    low: u8,
    high: u8,
    broken: bool,
}

impl Default for Utf8 {
    fn default() -> Self {
        Utf8 { missing: 0, low: 0x80, high: 0xbf, broken: false }
    }
}

impl Utf8 {
    fn push(&mut self, byte: u8) {
        if self.missing > 0 {
            self.broken |= !(self.low..=self.high).contains(&byte);
            *self = Utf8 { missing: self.missing - 1, broken: self.broken, ..Utf8::default() };
            return;
        }
        // Table 3-7 of the Unicode standard: the second byte of some is narrower than 80-BF.
        let (missing, low, high) = match byte {
            ..0x80 => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => {
                self.broken = true;
                return;
            }
        };
        *self = Utf8 { missing, low, high, broken: self.broken };
    }

    fn is_valid(self) -> bool {
        !self.broken && self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mapped(bytes: &[u8]) -> String {
        bytes.iter().map(|it| char::from(*it)).collect()
    }

    #[test]
    fn findings() {
        for (text, expected) in [
            ("curl/8.1", Finding::Clean),
            ("", Finding::Clean),
            ("日本", Finding::Clean),
            ("ÿ日", Finding::Clean),
            ("café", Finding::Possible),
            ("bad ÿ", Finding::Possible),
            ("Ã©", Finding::Clean),
            (&mapped("bad \u{65e5}".as_bytes()), Finding::Clean),
            (&mapped(b"bad \xff \xe6\x97\xa5"), Finding::Certain),
            (&mapped(b"\x80"), Finding::Certain),
            (&mapped(b"\xe6\x97"), Finding::Certain),
        ] {
            assert_eq!(look(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(look(b"\xff"), Finding::Clean, "raw bytes are not mapped ones");
        assert_eq!(look(b"\xc3"), Finding::Clean);
    }

    proptest! {
        #[test]
        fn mapped_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..700), in_side: bool) {
            let text = mapped(&bytes);
            let finding = look(text.as_bytes());
            prop_assert_eq!(finding == Finding::Clean, std::str::from_utf8(&bytes).is_ok());
            if finding == Finding::Certain {
                let mut tree = Tree::default();
                let (raw, span) = if in_side {
                    (&[][..], tree.side_text(text.as_bytes()))
                } else {
                    (text.as_bytes(), Span::raw(0, text.len()))
                };
                let undone = undo(span, raw, &mut tree);
                prop_assert_eq!(tree.text(raw, undone), &bytes[..]);
            }
        }
    }
}
