//! RFC 3339 into nanoseconds, exactly and without allocating. The inverse is in `encode`.

const NANOS: u64 = 1_000_000_000;

/// Nanoseconds since the epoch from a date and time of RFC 3339: `2026-11-20T11:48:37.057Z`, with 0
/// to 9 digits of the second's fraction, and `Z` or an offset (`+02:00`, also `+0200`, as Envoy
/// writes local times). `None` for everything else: other forms, dates that do not exist, leap
/// seconds, times before 1970 or after 2554, which nanoseconds in 64 bits do not reach.
#[must_use]
#[inline]
pub fn parse_rfc3339(text: &[u8]) -> Option<u64> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let separators = [head[4], head[7], head[10], head[13], head[16]];
    if !matches!(separators, [b'-', b'-', b'T' | b't', b':', b':']) {
        return None;
    }
    let year = pair(head[0], head[1])? * 100 + pair(head[2], head[3])?;
    let (month, day) = (pair(head[5], head[6])?, pair(head[8], head[9])?);
    let (hour, minute, second) = (pair(head[11], head[12])?, pair(head[14], head[15])?, pair(head[17], head[18])?);
    if day == 0 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let seconds = days_before(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let seconds = u64::try_from(seconds - offset(zone)?).ok()?;
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

#[inline]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens * 10 + ones))
}

#[inline]
fn days_in(year: u32, month: u32) -> Option<u32> {
    const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = *DAYS.get(month.wrapping_sub(1) as usize)?;
    Some(if leap && month == 2 { 29 } else { days })
}

/// Days from 1970-01-01, by years that begin in March, so that the leap day is their last.
#[inline]
fn days_before(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.wrapping_sub(1), month + 9) };
    // The year 0 has no January to step back from; it is far before 1970 and refused by the caller.
    let year = i64::from(year as i32);
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + i64::from((153 * month + 2) / 5 + day - 1) - 719_468
}

#[inline]
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some((b'.', text)) = text.split_first() else {
        return Some((0, text));
    };
    if let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', zone @ ..] = text
        && !matches!(zone, [b'0'..=b'9', ..])
    {
        let millis = u64::from(a - b'0') * 100 + u64::from(b - b'0') * 10 + u64::from(c - b'0');
        return Some((millis * 1_000_000, zone));
    }
    let digits = text.iter().take_while(|it| it.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (digits, zone) = text.split_at(digits);
    let value = digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some((value * 10u64.pow(9 - digits.len() as u32), zone))
}

#[inline]
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *zone {
        [b'Z' | b'z'] => return Some(0),
        [sign, a, b, b':', c, d] | [sign, a, b, c, d] => (sign, pair(a, b)?, pair(c, d)?),
        _ => return None,
    };
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::time::TimeWriter;

    #[test]
    fn forms() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-20T11:48:37.057Z", Some(1_795_175_317_057_000_000)),
            ("2026-11-20T11:48:37Z", Some(1_795_175_317_000_000_000)),
            ("2026-11-20T11:48:37.5Z", Some(1_795_175_317_500_000_000)),
            ("2026-11-20t11:48:37.101223z", Some(1_795_175_317_101_223_000)),
            ("2026-11-20T11:48:37.101223456Z", Some(1_795_175_317_101_223_456)),
            ("2026-11-20T11:48:37.057+00:00", Some(1_795_175_317_057_000_000)),
            ("2026-11-20T11:48:37.057+0000", Some(1_795_175_317_057_000_000)),
            ("2026-11-20T13:48:37.057+02:00", Some(1_795_175_317_057_000_000)),
            ("2026-11-20T06:18:37.057-05:30", Some(1_795_175_317_057_000_000)),
            ("1969-12-31T23:00:00-01:00", Some(0)),
            ("2024-02-29T00:00:00.120Z", Some(1_709_164_800_120_000_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000_000_000)),
            ("2554-07-21T23:34:33.709551615Z", Some(u64::MAX)),
            ("2554-07-21T23:34:33.709551616Z", None),
            ("9999-12-31T23:59:59Z", None),
            ("1969-12-31T23:59:59.999Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("2100-02-29T00:00:00Z", None),
            ("2026-02-29T00:00:00Z", None),
            ("2026-00-10T00:00:00Z", None),
            ("2026-13-10T00:00:00Z", None),
            ("2026-01-00T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:60:00Z", None),
            ("2026-01-01T00:00:60Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01 00:00:00Z", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00.1234567890Z", None),
            ("2026-01-01T00:00:00.12", None),
            ("2026-01-01T00:00:00+24:00", None),
            ("2026-01-01T00:00:00*01:00", None),
            ("2026-01-01T00:00:00Zulu", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_the_encoders_write(time: u64, unit in prop_oneof![Just(1u64), Just(1_000_000), Just(NANOS)]) {
            let (time, mut text) = (time / unit * unit, Vec::new());
            TimeWriter::default().write(time, &mut text);
            prop_assert_eq!(parse_rfc3339(&text), Some(time));
        }

        #[test]
        fn any_bytes(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}[.,]?[0-9]{0,10}[Zz+-]?[0-9:]{0,6}") {
            let ours = parse_rfc3339(text.as_bytes());
            if let (Some(ours), Ok(theirs)) = (ours, text.parse::<jiff::Timestamp>()) {
                prop_assert_eq!(i128::from(ours), theirs.as_nanosecond());
            }
        }
    }
}
