//! Numbers with units, as they are written in a configuration: `256MiB`, `250ms`, `"0640"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `512`, `64KiB`, `256MiB`, `20GiB`, also `kB`, `MB`, `GB` (powers of ten).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// `n` mebibytes.
    #[must_use]
    pub const fn mib(n: u64) -> ByteSize {
        ByteSize(n << 20)
    }

    /// As a length in memory.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = split_unit(text);
        let factor = match unit {
            "" => Some(1),
            unit => SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
        };
        let number = digits.parse::<u64>().ok();
        let bytes = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        bytes.map(ByteSize).ok_or_else(|| match factor {
            Some(_) if !digits.is_empty() => format!("'{text}' is too large: write {}GiB at most", u64::MAX >> 30),
            _ => format!("'{text}' is not a size: write a whole number and a unit, such as 512KiB, 64MiB or 20GiB"),
        })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            SIZES[..3].iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// A span of time: `250ms`, `10s`, `5m`, `12h`, `7d`. `0s` is allowed where the key says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Period {
        Period(Duration::from_secs(n))
    }

    /// `n` milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Period {
        Period(Duration::from_millis(n))
    }
}

const PERIODS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = split_unit(text);
        let factor = PERIODS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let number = digits.parse::<u64>().ok();
        number
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor))
            .map(|millis| Period(Duration::from_millis(millis)))
            .ok_or_else(|| {
                format!(
                    "'{text}' is not a duration: write a whole number and a unit, such as 250ms, 10s, 5m, 12h or 7d"
                )
            })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis() as u64;
        let (unit, factor) = match millis {
            0 => ("s", 1_000),
            _ => *PERIODS.iter().find(|(_, factor)| millis.is_multiple_of(*factor)).unwrap_or(&("ms", 1)),
        };
        write!(f, "{}{unit}", millis / factor)
    }
}

/// How long a full sink may hold the sources back: `0s`, a duration, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitMax {
    /// At most so long; zero passes the sink over at once.
    Bounded(Duration),
    /// Until there is room. A dead sink then stops every source that feeds it.
    Forever,
}

impl WaitMax {
    /// True when the sink may hold a source back at all.
    #[must_use]
    pub fn holds(self) -> bool {
        self != WaitMax::Bounded(Duration::ZERO)
    }
}

impl FromStr for WaitMax {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(WaitMax::Forever);
        }
        let period: Period = text.parse().map_err(|error| format!("{error}; or 'forever'"))?;
        Ok(WaitMax::Bounded(period.0))
    }
}

impl fmt::Display for WaitMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitMax::Forever => f.write_str("forever"),
            WaitMax::Bounded(duration) => Period(*duration).fmt(f),
        }
    }
}

/// Permission bits of the files written, three octal digits behind a zero: `"0640"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('0').unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if digits.len() == 3 && mode & 0o111 == 0 && mode & 0o200 != 0 => Ok(FileMode(mode)),
            _ => Err(format!(
                "'{text}' is not a file mode: write it as \"0640\" (octal, in quotes, writable by the owner, executable by nobody)"
            )),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Splits `256MiB` into its digits and its unit.
fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// A unit type is text in a configuration, and its schema is a pattern.
macro_rules! written_as_text {
    ($type:ty, $name:literal, $pattern:literal, $example:literal $(, or $other:literal)?) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": ["string" $(, $other)?], "pattern": $pattern, "examples": [$example]})
            }
        }
    };
}
pub(crate) use written_as_text;

written_as_text!(ByteSize, "ByteSize", "^[0-9]+(B|kB|MB|GB|KiB|MiB|GiB)?$", "64MiB", or "integer");
written_as_text!(Period, "Period", "^[0-9]+(ms|s|m|h|d)$", "10s");
written_as_text!(WaitMax, "WaitMax", "^([0-9]+(ms|s|m|h|d)|forever)$", "5s");
written_as_text!(FileMode, "FileMode", "^0?[0-7]{3}$", "0640");

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = String> + fmt::Display>(text: &str, expected: &str) {
        let got = match text.parse::<T>() {
            Ok(value) => value.to_string(),
            Err(_) => "refused".to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn sizes() {
        check::<ByteSize>("512", "512B");
        check::<ByteSize>("1KiB", "1KiB");
        check::<ByteSize>("1024KiB", "1MiB");
        check::<ByteSize>("3MB", "3000000B");
        check::<ByteSize>("0", "0B");
        check::<ByteSize>("1.5MiB", "refused");
        check::<ByteSize>("1 MiB", "refused");
        check::<ByteSize>("99999999999GiB", "refused");
        check::<ByteSize>("", "refused");
    }

    #[test]
    fn periods() {
        check::<Period>("250ms", "250ms");
        check::<Period>("60s", "1m");
        check::<Period>("7d", "7d");
        check::<Period>("0s", "0s");
        check::<Period>("5", "refused");
        check::<Period>("-5s", "refused");
        check::<WaitMax>("forever", "forever");
        check::<WaitMax>("5s", "5s");
        check::<WaitMax>("for ever", "refused");
    }

    #[test]
    fn file_modes() {
        check::<FileMode>("0640", "0640");
        check::<FileMode>("600", "0600");
        check::<FileMode>("0755", "refused");
        check::<FileMode>("0440", "refused");
        check::<FileMode>("rw-r-----", "refused");
    }
}
