//! Text that is not UTF-8, replaced inside the request it came in.

use super::check::CheckErrorKind;
use super::schema::Message;
use super::walk::{Watcher, walk};
use crate::decode::wire::{Piece, patch_varint, put_varint, varint_len};

/// The same request with the text that is not UTF-8 replaced as `String::from_utf8_lossy` does
/// it, and without the log records of more than `record_bytes_max` bytes. All other bytes stay as they are, in order, unknown fields included; only the lengths of
/// what contains a change change. What did not pass [`check`](super::check()) comes back
/// unchanged.
///
/// A byte of bad text becomes three, so the result can be up to three times as long.
#[must_use]
pub fn repair(raw: &[u8], record_bytes_max: usize) -> Vec<u8> {
    let out = Vec::with_capacity(raw.len() + raw.len() / 8);
    let mut splice = Splice { raw, record_bytes_max, done: 0, out, open: Vec::new(), changed: 0 };
    if walk(raw, &mut splice).is_err() {
        return raw.to_vec();
    }
    splice.copy_to(raw.len());
    splice.out
}

/// Copies lazily: a message gets a new length only when text in it changes, and until then it may
/// still be copied in one go. So every byte is copied once, at any depth.
struct Splice<'a> {
    raw: &'a [u8],
    record_bytes_max: usize,
    /// How far `raw` has been copied or left out.
    done: usize,
    out: Vec<u8>,
    /// The messages around the place of the walk, outermost first.
    open: Vec<Open>,
    /// How many of those, counted from the outermost, contain a change.
    changed: usize,
}

struct Open {
    piece: Piece,
    /// Where the new length stands in `out`; known when the message contains a change.
    length: std::ops::Range<usize>,
}

impl Splice<'_> {
    fn copy_to(&mut self, end: usize) {
        self.out.extend_from_slice(&self.raw[self.done..end]);
        self.done = end;
    }

    /// Leaves room for the lengths of all messages around a change. One byte more than the
    /// old length needs always holds the new one, at most three times as long; a padded varint is
    /// legal, and moving the content to save that byte would be quadratic in the depth.
    fn mark_changed(&mut self) {
        while let Some(Open { piece, .. }) = self.open.get(self.changed) {
            let piece = *piece;
            self.copy_to(piece.length_at);
            let start = self.out.len();
            let end = start + varint_len((piece.end - piece.start) as u64) + 1;
            self.out.resize(end, 0);
            self.done = piece.start;
            self.open[self.changed].length = start..end;
            self.changed += 1;
        }
    }
}

impl Watcher for Splice<'_> {
    fn enter(&mut self, _: Message, message: Message, at: usize, piece: Piece) -> Result<(), CheckErrorKind> {
        if message == Message::LogRecord && piece.end - piece.start > self.record_bytes_max {
            self.mark_changed();
            self.copy_to(at);
            self.done = piece.end;
        }
        self.open.push(Open { piece, length: 0..0 });
        Ok(())
    }

    fn leave(&mut self, _: Message) {
        let Some(Open { piece, length }) = self.open.pop() else { return };
        if self.changed > self.open.len() {
            self.changed = self.open.len();
            self.copy_to(piece.end);
            let content = (self.out.len() - length.end) as u64;
            patch_varint(&mut self.out[length], content);
        }
    }

    fn text(&mut self, piece: Piece) {
        let bytes = &self.raw[piece.start..piece.end];
        // What stands before `done` is left out.
        if piece.start >= self.done && std::str::from_utf8(bytes).is_err() {
            self.mark_changed();
            self.copy_to(piece.length_at);
            let text = String::from_utf8_lossy(bytes);
            put_varint(&mut self.out, text.len() as u64);
            self.out.extend_from_slice(text.as_bytes());
            self.done = piece.end;
        }
    }
}
