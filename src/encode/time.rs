//! Nanoseconds since the epoch as RFC 3339 in UTC.

use jiff::{Timestamp, tz::Offset};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const PREFIX: usize = "1970-01-01T00:00:00".len();
/// Bytes of a time with all its digits.
pub const FULL: usize = "1970-01-01T00:00:00.000000000Z".len();

/// Writes times, and remembers the last one: neighbouring records mostly share its second, and the
/// records of a batch all of the time they were observed.
#[derive(Debug)]
pub struct TimeWriter {
    unix_nano: u64,
    /// Date and time of day are always those of `unix_nano`.
    text: [u8; FULL],
    len: usize,
}

impl Default for TimeWriter {
    fn default() -> Self {
        TimeWriter { unix_nano: 0, text: *b"1970-01-01T00:00:00Z          ", len: PREFIX + 1 }
    }
}

impl TimeWriter {
    /// Writes the time with 0, 3, 6 or 9 fraction digits, the fewest that lose nothing.
    #[inline]
    pub fn write(&mut self, unix_nano: u64, out: &mut Vec<u8>) {
        let (text, len) = self.text(unix_nano);
        // A whole array is copied without a call.
        out.extend_from_slice(text);
        out.truncate(out.len() - (FULL - len));
    }

    /// The time as [`TimeWriter::write`] writes it: bytes of which so many count.
    #[inline]
    pub fn text(&mut self, unix_nano: u64) -> (&[u8; FULL], usize) {
        if unix_nano != self.unix_nano {
            self.render(unix_nano);
        }
        (&self.text, self.len)
    }

    fn render(&mut self, unix_nano: u64) {
        let second = unix_nano / NANOS_PER_SECOND;
        if second != self.unix_nano / NANOS_PER_SECOND {
            self.text[..PREFIX].copy_from_slice(&date_and_time(second));
        }
        self.unix_nano = unix_nano;
        let nanos = (unix_nano % NANOS_PER_SECOND) as u32;
        let (fraction, digits) = match nanos {
            0 => (0, 0),
            _ if nanos.is_multiple_of(1_000_000) => (nanos / 1_000_000, 3),
            _ if nanos.is_multiple_of(1_000) => (nanos / 1_000, 6),
            _ => (nanos, 9),
        };
        let mut end = PREFIX;
        if digits > 0 {
            self.text[end] = b'.';
            end += 1 + digits;
            decimal(fraction, &mut self.text[PREFIX + 1..end]);
        }
        self.text[end] = b'Z';
        self.len = end + 1;
    }
}

fn date_and_time(second: u64) -> [u8; PREFIX] {
    // Nanoseconds in 64 bits end in the year 2554, well inside what the calendar here can hold.
    let timestamp = Timestamp::from_second(second as i64).unwrap_or(Timestamp::MAX);
    let it = Offset::UTC.to_datetime(timestamp);
    let mut text = *b"0000-00-00T00:00:00";
    decimal(it.year() as u32, &mut text[..4]);
    for (at, number) in [(5, it.month()), (8, it.day()), (11, it.hour()), (14, it.minute()), (17, it.second())] {
        decimal(number as u32, &mut text[at..at + 2]);
    }
    text
}

fn decimal(mut number: u32, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(writer: &mut TimeWriter, unix_nano: u64) -> String {
        let mut out = Vec::new();
        writer.write(unix_nano, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_many_digits_as_are_known() {
        let mut writer = TimeWriter::default();
        let mut check = |unix_nano, expected: &str| assert_eq!(written(&mut writer, unix_nano), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(1, "1970-01-01T00:00:00.000000001Z");
        check(1_000, "1970-01-01T00:00:00.000001Z");
        check(1_000_000, "1970-01-01T00:00:00.001Z");
        check(999_999_999, "1970-01-01T00:00:00.999999999Z");
        check(NANOS_PER_SECOND, "1970-01-01T00:00:01Z");
        check(951_782_399_100_000_000, "2000-02-28T23:59:59.100Z");
        check(951_782_400_000_000_000, "2000-02-29T00:00:00Z");
        check(1_709_164_800_120_000_000, "2024-02-29T00:00:00.120Z");
        check(1_795_175_317_057_000_000, "2026-11-20T11:48:37.057Z");
        check(1_795_175_317_101_223_000, "2026-11-20T11:48:37.101223Z");
        check(4_107_542_400_000_000_000, "2100-03-01T00:00:00Z");
        check(4_107_542_399_000_000_000, "2100-02-28T23:59:59Z");
        check(u64::MAX, "2554-07-21T23:34:33.709551615Z");
    }

    proptest! {
        #[test]
        fn reads_back_as_the_same_nanosecond(
            times in proptest::collection::vec((any::<u64>(), prop_oneof![Just(1u64), Just(1_000), Just(1_000_000), Just(NANOS_PER_SECOND)]), 1..4)
        ) {
            let mut writer = TimeWriter::default();
            for (time, unit) in times {
                let time = time / unit * unit;
                let read: Timestamp = written(&mut writer, time).parse().unwrap();
                prop_assert_eq!(read.as_nanosecond(), i128::from(time));
            }
        }
    }
}
