//! From reads to whole lines.
//!
//! The framer owns the bytes of one connection that do not yet end in a line feed. Each read is
//! appended, cut at the last line feed and handed on without copying. Lines over the limit are
//! truncated as soon as they pass it, so that a stream without line feeds costs the limit and
//! no more. Any split of the same bytes into reads gives the same lines.

use bytes::{Bytes, BytesMut};

use crate::decode::line::{Frame, Mark};

/// The framing state of one connection.
#[derive(Debug)]
pub struct Framer {
    line_max: usize,
    buffer: BytesMut,
    /// Bytes at the start of the buffer that are known to hold no line feed.
    searched: usize,
    /// The current line was truncated; the rest of it is dropped.
    skipping: bool,
}

impl Framer {
    /// A framer that truncates lines longer than `line_max` bytes.
    #[must_use]
    pub fn new(line_max: usize) -> Framer {
        Framer { line_max, buffer: BytesMut::new(), searched: 0, skipping: false }
    }

    /// Goes on where another one was, with the unfinished line it had and whether it was skipping.
    #[must_use]
    pub fn resume(line_max: usize, unfinished: &[u8], is_skipping: bool) -> Framer {
        let searched = unfinished.len();
        Framer { line_max, buffer: BytesMut::from(unfinished), searched, skipping: is_skipping }
    }

    /// The unfinished line, as far as it has come.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        &self.buffer
    }

    /// True while the rest of a truncated line is dropped.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Another limit, from the next line that ends or passes it on.
    pub fn limit(&mut self, line_max: usize) {
        self.line_max = line_max;
    }

    /// The buffer to append a read to, with room for `bytes` more.
    pub fn buffer(&mut self, bytes: usize) -> &mut BytesMut {
        self.buffer.reserve(bytes);
        &mut self.buffer
    }

    /// Gives back memory while the connection is idle: an unfinished line is copied to where it
    /// just fits, and without one nothing is held.
    pub fn rest(&mut self) {
        if self.buffer.capacity() > 2 * self.buffer.len() {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// Drops what was appended: it is no text.
    pub fn forget(&mut self) {
        self.buffer = BytesMut::new();
        self.searched = 0;
    }

    /// The lines that were finished by what was appended since the last call.
    pub fn frame(&mut self) -> Frame {
        if self.skipping && !self.skip() {
            return Frame::default();
        }
        let end = memchr::memrchr(b'\n', &self.buffer[self.searched..]).map(|at| self.searched + at + 1);
        let mut frame = end.map_or_else(Frame::default, |end| {
            self.searched = 0;
            self.whole_lines(end)
        });
        self.searched = self.buffer.len();
        if self.buffer.len() > self.line_max {
            self.truncate_unfinished(&mut frame);
        }
        frame
    }

    /// The unterminated last line, at the end of the connection.
    pub fn finish(&mut self) -> Frame {
        let mut rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        if std::mem::take(&mut self.skipping) || rest.is_empty() {
            return Frame::default();
        }
        if is_blank(&rest) {
            return Frame { blank: 1, ..Frame::default() };
        }
        rest.extend_from_slice(b"\n");
        let marks = vec![Mark { start: 0, truncated: false, partial: true }];
        Frame { payload: rest.freeze(), marks, lines: 1, blank: 0 }
    }

    /// Drops the rest of a truncated line; false while its end has not come.
    fn skip(&mut self) -> bool {
        self.searched = 0;
        match memchr::memchr(b'\n', &self.buffer) {
            Some(at) => {
                drop(self.buffer.split_to(at + 1));
                self.skipping = false;
                true
            }
            None => {
                self.buffer.clear();
                false
            }
        }
    }

    fn whole_lines(&mut self, end: usize) -> Frame {
        // A small read in a large buffer is copied out, so that what waits in an inbox does not
        // hold the whole buffer.
        let whole = if end < self.buffer.capacity() / 4 * 3 {
            let copy = Bytes::copy_from_slice(&self.buffer[..end]);
            bytes::Buf::advance(&mut self.buffer, end);
            copy
        } else {
            self.buffer.split_to(end).freeze()
        };
        let mut lines = 0;
        let mut exceptional = false;
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', &whole) {
            let length = at - start;
            exceptional |= length <= 1 || length > self.line_max;
            lines += 1;
            start = at + 1;
        }
        if exceptional {
            return self.rewrite(&whole);
        }
        Frame { payload: whole, marks: Vec::new(), lines, blank: 0 }
    }

    /// Leaves out blank lines and truncates long ones.
    fn rewrite(&self, whole: &[u8]) -> Frame {
        let mut frame = Frame::default();
        let mut kept = BytesMut::with_capacity(whole.len());
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', whole) {
            let line = &whole[start..at];
            start = at + 1;
            if is_blank(line) {
                frame.blank += 1;
                continue;
            }
            frame.lines += 1;
            if line.len() > self.line_max {
                frame.marks.push(Mark { start: kept.len() as u32, truncated: true, partial: false });
            }
            kept.extend_from_slice(&line[..line.len().min(self.line_max)]);
            kept.extend_from_slice(b"\n");
        }
        frame.payload = kept.freeze();
        frame
    }

    /// The unfinished line has passed the limit: its beginning goes out now.
    fn truncate_unfinished(&mut self, frame: &mut Frame) {
        let mut payload = BytesMut::with_capacity(frame.payload.len() + self.line_max + 1);
        payload.extend_from_slice(&frame.payload);
        frame.marks.push(Mark { start: payload.len() as u32, truncated: true, partial: false });
        payload.extend_from_slice(&self.buffer[..self.line_max]);
        payload.extend_from_slice(b"\n");
        frame.payload = payload.freeze();
        frame.lines += 1;
        self.buffer = BytesMut::new();
        self.searched = 0;
        self.skipping = true;
    }

    /// Ends the unfinished line early, as if it had passed the limit: there is no memory for
    /// more of it.
    pub fn truncate_now(&mut self) -> Frame {
        let mut frame = Frame::default();
        if !self.skipping && !self.buffer.is_empty() {
            let mut payload = std::mem::take(&mut self.buffer);
            payload.extend_from_slice(b"\n");
            frame = Frame {
                payload: payload.freeze(),
                marks: vec![Mark { start: 0, truncated: true, partial: false }],
                lines: 1,
                blank: 0,
            };
            self.searched = 0;
            self.skipping = true;
        }
        frame
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, [] | b"\r")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE_MAX: usize = 8;

    /// All lines that come out when the pieces arrive one by one, marks in brackets.
    fn lines(pieces: &[&[u8]]) -> (Vec<String>, u64) {
        let mut framer = Framer::new(LINE_MAX);
        let mut out = Vec::new();
        let mut blank = 0;
        let mut collect = |frame: Frame| {
            blank += frame.blank;
            let mut start = 0;
            for line in frame.payload.split_inclusive(|byte| *byte == b'\n') {
                let mark = frame.marks.iter().find(|mark| mark.start as usize == start);
                start += line.len();
                let mut text = String::from_utf8_lossy(line).into_owned();
                assert_eq!(text.pop(), Some('\n'));
                if let Some(mark) = mark {
                    text += if mark.truncated { "[truncated]" } else { "[partial]" };
                }
                out.push(text);
            }
            assert_eq!(frame.lines as usize, frame.payload.iter().filter(|byte| **byte == b'\n').count());
        };
        for piece in pieces {
            framer.buffer(piece.len()).extend_from_slice(piece);
            collect(framer.frame());
            framer.rest();
            // Each piece may come to another process.
            framer = Framer::resume(LINE_MAX, framer.unfinished(), framer.is_skipping());
        }
        collect(framer.finish());
        (out, blank)
    }

    fn check(input: &[u8], expected: &[&str]) {
        assert_eq!(lines(&[input]).0, expected, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn cuts_at_line_feeds() {
        check(b"", &[]);
        check(b"one\ntwo\n", &["one", "two"]);
        check(b"\n\r\n\none\n\n", &["one"]);
        check(b"one\nlast", &["one", "last[partial]"]);
        check(b"12345678\n", &["12345678"]);
        check(b"123456789\nnext\n", &["12345678[truncated]", "next"]);
        check(b"123456789 and no end", &["12345678[truncated]"]);
        check(b"a\r\nb\r", &["a\r", "b\r[partial]"]);
        check(b"one\n\r", &["one"]);
        check(b"\xff\xfe\n", &["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_holds_no_more_than_the_limit() {
        let mut framer = Framer::new(1024);
        for _ in 0..10_000 {
            framer.buffer(512).extend_from_slice(&[b'x'; 512]);
            let _ = framer.frame();
            assert!(framer.unfinished().len() <= 1024);
        }
        framer.rest();
        assert!(framer.buffer.capacity() <= 2048);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in proptest::collection::vec(prop_oneof![3 => Just(b'a'), 1 => Just(b'\n'), 1 => Just(b'\r'), 1 => any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&pieces), lines(&[&input]));
        }
    }
}
