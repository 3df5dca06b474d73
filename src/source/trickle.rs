//! Whether what comes is little and often.
//!
//! A proxy writes a line at a time. To be woken for each, to read it, and to hand it on costs several times what is done
//! with it. Where reads bring little and follow each other closely, a connection is left alone for [`REST`] after each: the
//! lines of that time come with one read. What was read is handed on before, so nothing but the socket holds anything back,
//! and a line comes at most 2 ms later; the first one after a silence is not delayed at all.

use std::time::{Duration, Instant};

/// How long a connection is left alone. Timers have milliseconds, so it may be twice as long.
pub const REST: Duration = Duration::from_millis(1);
/// A read of fewer bytes is little.
const LITTLE_BYTES: usize = 16 << 10;
/// Reads are often when so many in a row come so closely after one another that a rest will probably bring something.
const OFTEN_READS: u32 = 4;
const OFTEN: Duration = Duration::from_micros(1500);

/// What the last reads of one connection were like.
#[derive(Debug, Default)]
pub struct Trickle {
    read_at: Option<Instant>,
    /// So many little ones came closely after one another.
    reads: u32,
}

impl Trickle {
    /// A read brought so many bytes.
    pub fn brought(&mut self, bytes: usize, now: Instant) {
        let passed = self.read_at.replace(now).map_or(Duration::MAX, |before| now.saturating_duration_since(before));
        // While it is left alone they are as far apart as that takes.
        let is_often = passed < OFTEN || self.rests();
        self.reads = if bytes < LITTLE_BYTES && is_often { (self.reads + 1).min(OFTEN_READS) } else { 0 };
    }

    /// A read brought nothing: it is waited for the next line.
    pub fn brought_nothing(&mut self) {
        self.reads = 0;
    }

    /// True when it is better to leave the connection alone for [`REST`] before the next read.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.reads >= OFTEN_READS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After which of these reads it rests: microseconds since the one before, and bytes.
    fn rests(reads: &[(u64, usize)]) -> Vec<bool> {
        let (mut trickle, mut now) = (Trickle::default(), Instant::now());
        let rest = |(micros, bytes): &(u64, usize)| {
            now += Duration::from_micros(*micros);
            match bytes {
                0 => trickle.brought_nothing(),
                bytes => trickle.brought(*bytes, now),
            }
            trickle.rests()
        };
        reads.iter().map(rest).collect()
    }

    #[test]
    fn what_is_little_and_often_rests() {
        let (no, yes) = (false, true);
        assert_eq!(rests(&[(0, 9), (100, 9), (100, 9), (100, 9), (100, 9)]), [no, no, no, no, yes], "often");
        assert_eq!(
            rests(&[(9, 9), (1499, 9), (1499, 9), (1499, 9), (1499, 9), (2500, 9)])[4..],
            [yes, yes],
            "rests on"
        );
        assert_eq!(rests(&[(0, 9), (9, 9), (9, 9), (9, 9), (9, 9), (2000, 0), (9, 9)])[4..], [yes, no, no], "nothing");
        assert_eq!(rests(&[(0, 9), (9, 9), (9, 9), (9, 9), (9, 9), (2000, 16 << 10)])[4..], [yes, no], "much");
        assert_eq!(rests(&[(0, 9), (9, 9), (9, 9), (9, 9), (1500, 9), (9, 9)]), [no; 6], "a silence");
    }
}
