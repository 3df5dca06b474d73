//! A text as it is meant, and what is replaced in it.

use std::ops::Range;

use super::REDACTED;

/// A text to look at: of JSON what its escapes stand for, of anything else the text itself.
pub struct View<'a> {
    plain: &'a [u8],
    /// The text without escapes, and for each of its bytes, and its end, the place in the original.
    unescaped: Option<(Vec<u8>, Vec<u32>)>,
}

impl<'a> View<'a> {
    pub fn new(text: &'a [u8]) -> View<'a> {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = matches!(first, Some(b'{' | b'[')) && memchr::memchr(b'\\', text).is_some();
        View { plain: text, unescaped: is_json.then(|| unescape(text)) }
    }

    /// The text itself, whatever it looks like.
    pub fn plain(text: &'a [u8]) -> View<'a> {
        View { plain: text, unescaped: None }
    }

    /// True when escapes were undone.
    pub fn is_unescaped(&self) -> bool {
        self.unescaped.is_some()
    }

    /// What is looked at.
    pub fn text(&self) -> &[u8] {
        self.unescaped.as_ref().map_or(self.plain, |(text, _)| text)
    }

    /// Where that is in the original.
    fn original(&self, range: Range<usize>) -> Range<usize> {
        let place = |at: usize| match &self.unescaped {
            Some((_, places)) => places.get(at).map_or(self.plain.len(), |it| *it as usize),
            None => at,
        };
        place(range.start)..place(range.end)
    }
}

fn unescape(text: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let (mut out, mut places) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let (character, next) = if byte == b'\\' { escape(text, at) } else { (None, at + 1) };
        let from = out.len();
        match character {
            Some(it) => out.extend_from_slice(it.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.extend_from_slice(&text[at..next]),
        }
        // All bytes of one character begin where its escape begins: it is replaced as a whole.
        if character.is_some() {
            places.extend(std::iter::repeat_n(at as u32, out.len() - from));
        } else {
            places.extend((at..next).map(|it| it as u32));
        }
        at = next;
    }
    places.push(text.len() as u32);
    (out, places)
}

/// The character an escape stands for, and where the text goes on.
fn escape(text: &[u8], at: usize) -> (Option<char>, usize) {
    let short = |it: char| (Some(it), at + 2);
    match text.get(at + 1) {
        Some(b'n') => short('\n'),
        Some(b't') => short('\t'),
        Some(b'r') => short('\r'),
        Some(b'b') => short('\u{8}'),
        Some(b'f') => short('\u{c}'),
        Some(it @ (b'"' | b'\\' | b'/')) => short(char::from(*it)),
        Some(b'u') => match unit(text, at) {
            Some(high @ 0xd800..0xdc00) => match unit(text, at + 6) {
                Some(low @ 0xdc00..0xe000) => {
                    let character = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(character), at + 12)
                }
                _ => (Some(char::REPLACEMENT_CHARACTER), at + 6),
            },
            Some(unit) => (Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)), at + 6),
            None => (None, at + 1),
        },
        _ => (None, at + 1),
    }
}

/// The number that the four hex digits of a JSON escape are.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let escape = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = escape.iter().map(|byte| char::from(*byte).to_digit(16));
    digits.into_iter().try_fold(0, |sum, digit| Some(sum * 16 + digit?))
}

/// What is replaced in a view.
#[derive(Default)]
pub struct Edits {
    /// `None` is [`REDACTED`].
    edits: Vec<(Range<usize>, Option<String>)>,
}

impl Edits {
    /// A secret.
    pub fn redact(&mut self, range: Range<usize>) {
        self.edits.push((range, None));
    }

    /// An address.
    pub fn replace(&mut self, range: Range<usize>, by: String) {
        self.edits.push((range, Some(by)));
    }

    /// The text with all of it replaced; `None` when nothing is. Where edits overlap, all that any
    /// of them covers is redacted.
    pub fn apply(mut self, view: &View<'_>, original: &[u8]) -> Option<Vec<u8>> {
        self.edits.sort_by_key(|(range, by)| (range.start, by.is_some()));
        let mut merged: Vec<(Range<usize>, Option<String>)> = Vec::with_capacity(self.edits.len());
        for (range, by) in self.edits {
            match merged.last_mut() {
                Some((last, last_by)) if range.start < last.end => {
                    last.end = last.end.max(range.end);
                    *last_by = None;
                }
                _ => merged.push((range, by)),
            }
        }
        let mut out = Vec::with_capacity(original.len());
        let (mut from, mut changed) = (0, false);
        for (range, by) in merged {
            let Range { start, end } = view.original(range);
            let by = by.as_deref().unwrap_or(REDACTED).as_bytes();
            changed |= original[start..end] != *by;
            out.extend_from_slice(&original[from..start]);
            out.extend_from_slice(by);
            from = end;
        }
        out.extend_from_slice(&original[from..]);
        changed.then_some(out)
    }
}
