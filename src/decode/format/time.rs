//! The forms of `%START_TIME(form)%`: strftime as Envoy has it, read and written.
//!
//! Beyond strftime Envoy knows `%s` (seconds since the epoch), `%f` and `%1f` to `%9f` (fraction
//! of the second). Source: envoy `date_utility` and its documentation, tried against Envoy 1.40.

use crate::semantics::parse_rfc3339;

const NANOS: u64 = 1_000_000_000;
/// The last whole second that is a number of 64 bits with a sign.
const LAST_NANO: u64 = i64::MAX as u64 / NANOS * NANOS;
/// Digits of seconds since the epoch.
const EPOCH_LEN: usize = 10;
/// Longest name of a time zone.
const ZONE_LEN_MAX: usize = 6;

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// `2026-11-20T11:46:21.934Z`.
    Utc,
    /// `2026-11-20T11:46:21.934+0200`.
    Local,
    /// A form of one's own.
    Own {
        /// Its pieces.
        items: Vec<Item>,
        /// They say enough for a point in time.
        complete: bool,
    },
}

/// One piece of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// This byte.
    Byte(u8),
    /// `%Y`.
    Year,
    /// `%y`.
    YearOfCentury,
    /// `%m`.
    Month,
    /// `%b`, `%h`: `Nov`.
    MonthName,
    /// `%d`.
    Day,
    /// `%e`: padded with a space.
    DayPadded,
    /// `%H`.
    Hour,
    /// `%I`: 01 to 12.
    HourOfHalf,
    /// `%p`: `AM` or `PM`.
    Half,
    /// `%M`.
    Minute,
    /// `%S`.
    Second,
    /// `%s`: seconds since the epoch, ten digits from 2001 to 2286.
    Epoch,
    /// `%f` (nine digits), `%3f`, …
    Fraction(u8),
    /// `%z`: `+0200`.
    Offset,
    /// `%Z`: a name, which is understood when it is UTC.
    ZoneName,
    /// `%a`: `Fri`.
    WeekdayName,
    /// `%j`: day of the year.
    DayOfYear,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Bytes of the form without parameters.
const UTC_LEN: usize = "2026-11-20T11:46:21.934Z".len();
const UTC_SECOND_LEN: usize = "2026-11-20T11:46:21".len();
const LOCAL_LEN: usize = "2026-11-20T11:46:21.934+0000".len();

/// What was read of a time.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    year: Option<u64>,
    month: Option<u64>,
    day: Option<u64>,
    day_of_year: Option<u64>,
    hour: u64,
    hour_of_half: Option<u64>,
    afternoon: bool,
    minute: u64,
    second: u64,
    epoch: Option<u64>,
    nanos: u64,
    offset_seconds: i64,
    has_offset: bool,
    foreign_zone: bool,
}

impl TimeForm {
    /// The form that the operator's parameters ask for; `None` for one that is only text to us, such
    /// as `%c`.
    pub(super) fn compile(local: bool, params: Option<&str>) -> Option<TimeForm> {
        match params {
            None | Some("") if local => Some(TimeForm::Local),
            None | Some("") => Some(TimeForm::Utc),
            Some(text) => {
                let items = items(text)?;
                // Where a name of unknown length ends must be seen.
                let ends =
                    |pair: &[Item]| pair[0] != Item::ZoneName || matches!(pair[1], Item::Byte(it) if !is_zone(it));
                items.windows(2).all(ends).then(|| TimeForm::Own { complete: is_complete(&items, local), items })
            }
        }
    }

    /// False for bytes that no time of this form holds.
    pub(super) fn may_hold(&self, byte: u8) -> bool {
        match self {
            TimeForm::Utc | TimeForm::Local => byte.is_ascii_digit() || b"-:.TZ+".contains(&byte),
            TimeForm::Own { items, .. } => items.iter().any(|item| match item {
                Item::Byte(own) => *own == byte,
                Item::MonthName | Item::WeekdayName | Item::Half => byte.is_ascii_alphabetic(),
                Item::ZoneName => is_zone(byte),
                Item::Offset => byte.is_ascii_digit() || b"+-".contains(&byte),
                Item::DayPadded => byte.is_ascii_digit() || byte == b' ',
                _ => byte.is_ascii_digit(),
            }),
        }
    }

    /// Bytes of the longest time.
    pub(super) fn len_max(&self) -> usize {
        match self {
            TimeForm::Utc => UTC_LEN,
            TimeForm::Local => LOCAL_LEN,
            TimeForm::Own { items, .. } => items.iter().map(|it| it.len_max()).sum(),
        }
    }

    /// How fine it is: digits of the fraction of a second, and nothing when it says too little for a
    /// point in time.
    pub(super) fn precision(&self) -> Option<u8> {
        match self {
            TimeForm::Utc | TimeForm::Local => Some(3),
            TimeForm::Own { complete: false, .. } => None,
            TimeForm::Own { items, .. } => {
                let digits = |item: &Item| if let Item::Fraction(len) = item { *len } else { 0 };
                Some(items.iter().map(digits).max().unwrap_or_default())
            }
        }
    }

    /// Reads a time at the beginning of `text`: its length, and nanoseconds since the epoch. These are
    /// `None` only where the form does not say enough; what is no time is not read.
    #[inline]
    pub(super) fn read(&self, text: &[u8]) -> Option<(usize, Option<u64>)> {
        match self {
            TimeForm::Utc => {
                let time = text.get(..UTC_LEN).filter(|it| it[UTC_LEN - 1] == b'Z')?;
                Some((UTC_LEN, Some(parse_rfc3339(time)?)))
            }
            TimeForm::Local => Some((LOCAL_LEN, Some(parse_rfc3339(text.get(..LOCAL_LEN)?)?))),
            TimeForm::Own { items, complete } => {
                read_items(items, text).filter(|(_, nanos)| nanos.is_some() || !complete)
            }
        }
    }

    /// Writes a time, in UTC.
    pub(super) fn write(&self, unix_nano: u64, out: &mut Vec<u8>) {
        const UTC: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";
        const LOCAL: &str = "%Y-%m-%dT%H:%M:%S.%3f%z";
        match self {
            TimeForm::Utc => write_items(&items(UTC).unwrap_or_default(), unix_nano, out),
            TimeForm::Local => write_items(&items(LOCAL).unwrap_or_default(), unix_nano, out),
            TimeForm::Own { items, .. } => write_items(items, unix_nano, out),
        }
    }
}

/// Reads times, and remembers the second of the last one in Envoy's default form: lines that come
/// together mostly share it.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    second: [u8; UTC_SECOND_LEN],
    unix_nano: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { second: *b"1970-01-01T00:00:00", unix_nano: 0 }
    }
}

impl Clock {
    /// As [`TimeForm::read`].
    #[inline]
    pub(super) fn read(&mut self, form: &TimeForm, text: &[u8]) -> Option<(usize, Option<u64>)> {
        if let (TimeForm::Utc, Some((second, [b'.', _, _, _, b'Z', ..]))) = (form, text.split_first_chunk()) {
            let nanos = parse_rfc3339(&text[..UTC_LEN])?;
            // Further off are times that are no number of 64 bits with a sign.
            if nanos < LAST_NANO {
                (self.second, self.unix_nano) = (*second, nanos / NANOS * NANOS);
            }
            return Some((UTC_LEN, Some(nanos)));
        }
        form.read(text)
    }

    /// As [`Clock::read`] in Envoy's default form, for a time within the second of the last one.
    #[inline(always)]
    pub(super) fn same_second(&self, text: &[u8]) -> Option<(usize, i64)> {
        let (second, fraction) = text.split_first_chunk()?;
        let [b'.', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'Z', ..] = fraction else { return None };
        if self.second != *second {
            return None;
        }
        // Of three digits: a few hundreds of millions, beside seconds that were read as a number of 64 bits.
        let digit = |byte: u8, unit: u64| u64::from(byte & 0xF).wrapping_mul(unit);
        let nanos = digit(*a, 100_000_000).wrapping_add(digit(*b, 10_000_000)).wrapping_add(digit(*c, 1_000_000));
        Some((UTC_LEN, self.unix_nano.wrapping_add(nanos) as i64))
    }
}

fn items(text: &str) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            items.push(Item::Byte(byte));
            continue;
        }
        let iso_date = [Item::Year, Item::Byte(b'-'), Item::Month, Item::Byte(b'-'), Item::Day];
        let clock = [Item::Hour, Item::Byte(b':'), Item::Minute];
        match bytes.next()? {
            b'Y' => items.push(Item::Year),
            b'y' => items.push(Item::YearOfCentury),
            b'm' => items.push(Item::Month),
            b'b' | b'h' => items.push(Item::MonthName),
            b'd' => items.push(Item::Day),
            b'e' => items.push(Item::DayPadded),
            b'H' => items.push(Item::Hour),
            b'I' => items.push(Item::HourOfHalf),
            b'p' => items.push(Item::Half),
            b'M' => items.push(Item::Minute),
            b'S' => items.push(Item::Second),
            b's' => items.push(Item::Epoch),
            b'f' => items.push(Item::Fraction(9)),
            digit @ b'1'..=b'9' if bytes.next() == Some(b'f') => items.push(Item::Fraction(digit - b'0')),
            b'z' => items.push(Item::Offset),
            b'Z' => items.push(Item::ZoneName),
            b'a' => items.push(Item::WeekdayName),
            b'j' => items.push(Item::DayOfYear),
            b'F' => items.extend(iso_date),
            b'T' => items.extend(clock.into_iter().chain([Item::Byte(b':'), Item::Second])),
            b'R' => items.extend(clock),
            b'%' => items.push(Item::Byte(b'%')),
            b'n' => items.push(Item::Byte(b'\n')),
            b't' => items.push(Item::Byte(b'\t')),
            _ => return None,
        }
    }
    Some(items)
}

impl Item {
    fn len_max(self) -> usize {
        match self {
            Item::Byte(_) => 1,
            Item::MonthName | Item::WeekdayName | Item::DayOfYear => 3,
            Item::Year => 4,
            Item::Offset => 5,
            Item::ZoneName => ZONE_LEN_MAX,
            Item::Epoch => EPOCH_LEN,
            Item::Fraction(len) => usize::from(len),
            _ => 2,
        }
    }
}

/// True when the pieces say enough for a point in time.
fn is_complete(items: &[Item], local: bool) -> bool {
    let has = |any: &[Item]| items.iter().any(|item| any.contains(item));
    let date = has(&[Item::DayOfYear]) || has(&[Item::Month, Item::MonthName]) && has(&[Item::Day, Item::DayPadded]);
    let hour = has(&[Item::Hour]) || has(&[Item::HourOfHalf]) && has(&[Item::Half]);
    let zone = !local || has(&[Item::Offset]);
    has(&[Item::Epoch]) || has(&[Item::Year, Item::YearOfCentury]) && date && hour && has(&[Item::Minute]) && zone
}

fn is_zone(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-".contains(&byte)
}

fn read_items(items: &[Item], text: &[u8]) -> Option<(usize, Option<u64>)> {
    let mut parts = Parts::default();
    let mut rest = text;
    for item in items {
        match item {
            Item::Byte(byte) => rest = rest.strip_prefix(&[*byte])?,
            Item::Year => parts.year = Some(digits(&mut rest, 4)?),
            Item::YearOfCentury => parts.year = Some(2000 + digits(&mut rest, 2)?),
            Item::Month => parts.month = Some(digits(&mut rest, 2)?),
            Item::MonthName => parts.month = Some(name(&mut rest, &MONTHS)? + 1),
            Item::Day => parts.day = Some(digits(&mut rest, 2)?),
            Item::DayPadded => {
                let padded = rest.first() == Some(&b' ');
                rest = &rest[usize::from(padded)..];
                parts.day = Some(digits(&mut rest, if padded { 1 } else { 2 })?);
            }
            Item::HourOfHalf => parts.hour_of_half = Some(digits(&mut rest, 2).filter(|it| (1..=12).contains(it))?),
            Item::Half => parts.afternoon = name(&mut rest, &["AM", "PM"])? == 1,
            Item::Hour => parts.hour = digits(&mut rest, 2)?,
            Item::Minute => parts.minute = digits(&mut rest, 2)?,
            Item::Second => parts.second = digits(&mut rest, 2)?,
            Item::Epoch => {
                parts.epoch = Some(digits(&mut rest, EPOCH_LEN)?);
            }
            Item::Fraction(len) => {
                parts.nanos = digits(&mut rest, usize::from(*len))? * 10u64.pow(9 - u32::from(*len));
            }
            Item::Offset => {
                parts.offset_seconds = offset(&mut rest)?;
                parts.has_offset = true;
            }
            Item::ZoneName => {
                let len = rest.iter().take_while(|byte| is_zone(**byte)).count();
                let (zone, behind) = rest.split_at(len);
                parts.foreign_zone = !matches!(zone, b"UTC" | b"GMT" | b"Z");
                rest = (1..=ZONE_LEN_MAX).contains(&len).then_some(behind)?;
            }
            Item::WeekdayName => {
                let _weekday = name(&mut rest, &WEEKDAYS)?;
            }
            Item::DayOfYear => parts.day_of_year = Some(digits(&mut rest, 3)?),
        }
    }
    Some((text.len() - rest.len(), parts.unix_nano()))
}

fn digits(rest: &mut &[u8], len: usize) -> Option<u64> {
    let (number, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    number.iter().try_fold(0, |sum: u64, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

fn name(rest: &mut &[u8], names: &[&str]) -> Option<u64> {
    let index = names.iter().position(|name| rest.starts_with(name.as_bytes()))?;
    *rest = &rest[names[index].len()..];
    Some(index as u64)
}

fn offset(rest: &mut &[u8]) -> Option<i64> {
    let (sign, behind) = rest.split_first()?;
    *rest = behind;
    let seconds = (digits(rest, 2)? * 3600 + digits(rest, 2)? * 60) as i64;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

impl Parts {
    fn unix_nano(&self) -> Option<u64> {
        if self.foreign_zone && self.epoch.is_none() && !self.has_offset {
            return None;
        }
        let seconds = match (self.epoch, self.year, self.month, self.day, self.day_of_year) {
            (Some(epoch), ..) => i64::try_from(epoch).ok()?,
            (None, Some(year), Some(month), Some(day), _) => self.seconds(year, month, day)?,
            (None, Some(year), _, _, Some(day)) => {
                self.seconds(year, 1, 1)? + (i64::try_from(day).ok()? - 1).checked_mul(86_400)?
            }
            _ => return None,
        };
        u64::try_from(seconds).ok()?.checked_mul(NANOS)?.checked_add(self.nanos)
    }

    fn seconds(&self, year: u64, month: u64, day: u64) -> Option<i64> {
        let date = jiff::civil::date(
            i16::try_from(year).ok().filter(|it| *it <= 9999)?,
            i8::try_from(month).ok().filter(|it| (1..=12).contains(it))?,
            1,
        );
        let date = date.with().day(i8::try_from(day).ok()?).build().ok()?;
        let hour = self.hour_of_half.map_or(self.hour, |it| it % 12 + if self.afternoon { 12 } else { 0 });
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let days = i64::from(date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days());
        let clock = (hour * 3600 + self.minute * 60 + self.second) as i64;
        Some(days * 86_400 + clock - self.offset_seconds)
    }
}

fn write_items(items: &[Item], unix_nano: u64, out: &mut Vec<u8>) {
    let seconds = unix_nano / NANOS;
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or_default()).unwrap_or_default();
    let time = jiff::tz::Offset::UTC.to_datetime(time);
    for item in items {
        let text = match item {
            Item::Byte(byte) => {
                out.push(*byte);
                continue;
            }
            Item::Year => format!("{:04}", time.year()),
            Item::YearOfCentury => format!("{:02}", time.year() % 100),
            Item::Month => format!("{:02}", time.month()),
            Item::MonthName => MONTHS[time.month() as usize - 1].to_owned(),
            Item::Day => format!("{:02}", time.day()),
            Item::DayPadded => format!("{:2}", time.day()),
            Item::Hour => format!("{:02}", time.hour()),
            Item::HourOfHalf => format!("{:02}", (time.hour() + 11) % 12 + 1),
            Item::Half => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            Item::Minute => format!("{:02}", time.minute()),
            Item::Second => format!("{:02}", time.second()),
            Item::Epoch => seconds.to_string(),
            Item::Fraction(len) => format!("{:09}", unix_nano % NANOS)[..usize::from(*len)].to_owned(),
            Item::Offset => "+0000".to_owned(),
            Item::ZoneName => "UTC".to_owned(),
            Item::WeekdayName => WEEKDAYS[(seconds / 86_400 % 7) as usize].to_owned(),
            Item::DayOfYear => format!("{:03}", time.day_of_year()),
        };
        out.extend_from_slice(text.as_bytes());
    }
}
