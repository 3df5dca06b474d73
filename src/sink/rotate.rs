//! When a file is finished, and what it is called then.
//!
//! `access.log` becomes `access@00000001-20261120T114837.123Z.log`, and `.gz` or `.zst` is
//! appended when it has been compressed. The number comes first, so that names sort in the order
//! written even when the clock goes back; it is one more than the highest found on disk at start
//! and never goes back while the process runs. When every finished file has been taken away
//! between two runs it starts again at 1, and only the time tells the names apart. The `@` is the
//! one character of the name that no value of a path template can hold, so that no record can
//! forge the name of a finished file.

use std::time::Duration;

use crate::config::units::Period;
use crate::sink::file::Compression;

/// A finished file, as its path says it; round trip with [`Finished::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Path of the file it was while it was written.
    pub current: String,
    /// Number in the order written, from 1.
    pub sequence: u64,
    /// When it was finished, milliseconds since the epoch.
    pub unix_ms: u64,
    /// How it is compressed.
    pub packing: Compression,
}

/// Appended to the name of a compressed file until it is complete.
pub const TEMPORARY: &str = ".tmp";

impl Finished {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        let (stem, ending) = split_ending(&self.current);
        // Milliseconds that jiff does not know are beyond the year 9999; 0 is then as good.
        let time = jiff::Timestamp::from_millisecond(i64::try_from(self.unix_ms).unwrap_or(0)).unwrap_or_default();
        let time = time.strftime("%Y%m%dT%H%M%S.%3fZ");
        format!("{stem}@{:08}-{time}{ending}{}", self.sequence, packing_ending(self.packing))
    }

    /// Reads the path of a finished file; `None` for any other. Only what [`Finished::path`]
    /// writes is taken, byte for byte.
    #[must_use]
    pub fn parse(path: &str) -> Option<Finished> {
        let (plain, packing) = [Compression::Gzip, Compression::Zstd]
            .into_iter()
            .find_map(|packing| Some((path.strip_suffix(packing_ending(packing))?, packing)))
            .unwrap_or((path, Compression::None));
        let (stem, rest) = plain.rsplit_once('@')?;
        let (sequence, rest) = rest.split_once('-')?;
        let (time, ending) = rest.split_at_checked("20261120T114837.123Z".len())?;
        let finished = Finished {
            current: format!("{stem}{ending}"),
            sequence: sequence.parse().ok()?,
            unix_ms: unix_ms(time)?,
            packing,
        };
        (finished.path() == path).then_some(finished)
    }

    /// The same file in another packing.
    #[must_use]
    pub fn packed(&self, packing: Compression) -> Finished {
        Finished { packing, ..self.clone() }
    }
}

fn packing_ending(packing: Compression) -> &'static str {
    match packing {
        Compression::None => "",
        Compression::Gzip => ".gz",
        Compression::Zstd => ".zst",
    }
}

/// Splits `dir/access.log` into `dir/access` and `.log`.
fn split_ending(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => path.split_at(name + dot),
        _ => (path, ""),
    }
}

fn unix_ms(time: &str) -> Option<u64> {
    let part = |range| time.get(range);
    let (date, clock, rest) = (part(0..8)?, part(9..15)?, part(15..20)?);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date) || !digits(clock) {
        return None;
    }
    let text =
        format!("{}-{}-{}T{}:{}:{}{rest}", &date[..4], &date[4..6], &date[6..], &clock[..2], &clock[2..4], &clock[4..]);
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

/// Number of the rotation period that a time falls into; always 0 without a period.
#[must_use]
pub fn period_of(every: Option<Period>, unix_ms: u64) -> u64 {
    every.map_or(0, |every| unix_ms / period_ms(every))
}

/// How long until the next period begins; `None` without a period.
#[must_use]
pub fn until_next_period(every: Option<Period>, unix_ms: u64) -> Option<Duration> {
    let every = period_ms(every?);
    Some(Duration::from_millis(every - unix_ms % every))
}

fn period_ms(every: Period) -> u64 {
    u64::try_from(every.0.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Length of the whole lines at the beginning of `lines` that fit into `room` bytes.
#[must_use]
pub fn whole_lines(lines: &[u8], room: usize) -> usize {
    memchr::memrchr(b'\n', &lines[..room.min(lines.len())]).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(current: &str, packing: Compression, expected: &str) {
        let finished = Finished { current: current.to_owned(), sequence: 7, unix_ms: 1_795_175_317_123, packing };
        assert_eq!(finished.path(), expected);
        assert_eq!(Finished::parse(expected), Some(finished), "{expected}");
    }

    #[test]
    fn names() {
        check("access.log", Compression::None, "access@00000007-20261120T114837.123Z.log");
        check("a.b/access", Compression::None, "a.b/access@00000007-20261120T114837.123Z");
        check("a/b.c.log", Compression::Zstd, "a/b.c@00000007-20261120T114837.123Z.log.zst");
        check("a@b.log", Compression::Gzip, "a@b@00000007-20261120T114837.123Z.log.gz");
        check(".log", Compression::None, ".log@00000007-20261120T114837.123Z");
    }

    #[test]
    fn other_names_are_not_ours() {
        for other in [
            "access.log",
            "access@7-20261120T114837.123Z.log",
            "access@00000007-20261320T114837.123Z.log",
            "access@00000007-20261120T114837.123+.log",
            "access@00000007-20261120T114837.123Z.log.zst.tmp",
            "access@00000007-20261120T114837.123Zlog",
            "access-20261120.log",
        ] {
            assert_eq!(Finished::parse(other), None, "{other}");
        }
    }

    #[test]
    fn periods_begin_at_midnight() {
        let day = Some(Period::seconds(86_400));
        assert_eq!(period_of(day, 86_399_999), 0);
        assert_eq!(period_of(day, 86_400_000), 1);
        assert_eq!(until_next_period(day, 86_399_999), Some(Duration::from_millis(1)));
        assert_eq!(until_next_period(day, 86_400_000), Some(Duration::from_secs(86_400)));
        assert_eq!((period_of(None, 5), until_next_period(None, 5)), (0, None));
    }

    #[test]
    fn lines_are_cut_after_a_line_feed() {
        assert_eq!(whole_lines(b"a\nbb\nc\n", 100), 7);
        assert_eq!(whole_lines(b"a\nbb\nc\n", 5), 5);
        assert_eq!(whole_lines(b"a\nbb\nc\n", 4), 2);
        assert_eq!(whole_lines(b"aaaa\n", 4), 0);
    }

    proptest! {
        #[test]
        fn any_name_is_read_or_refused(name in ".{0,60}", tail in "@[0-9]{8}-[0-9TZ.]{20}(.log)?(.gz|.zst)?") {
            let _ = Finished::parse(&name);
            let _ = Finished::parse(&format!("{name}{tail}"));
        }

        #[test]
        fn names_sort_in_the_order_written(a in 1u64..99_999_999, b in 1u64..99_999_999, at in 0u64..4_000_000_000_000, bt in 0u64..4_000_000_000_000) {
            let path = |sequence, unix_ms| Finished { current: "x.log".into(), sequence, unix_ms, packing: Compression::None }.path();
            prop_assert_eq!(a.cmp(&b), if a == b { std::cmp::Ordering::Equal } else { path(a, at).cmp(&path(b, bt)) });
        }
    }
}
