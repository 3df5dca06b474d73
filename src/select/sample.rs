//! Every Nth record.

use std::fmt;
use std::str::FromStr;

use crate::config::units::written_as_text;

/// One record of so many: `1/20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    every: u64,
}

impl Sample {
    /// One of how many; at least 1.
    #[must_use]
    pub fn every(self) -> u64 {
        self.every
    }
}

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('/') {
            Some(("1", every)) if digits(every) => match every.parse() {
                Ok(every @ 1..=1_000_000_000) => Ok(Sample { every }),
                _ => Err(format!("'{text}' is out of range: write 1/1 to 1/1000000000")),
            },
            Some((some, every)) if digits(some) && digits(every) => {
                Err(format!("'{text}' is not one of so many: write 1/N, such as 1/20 for every 20th record"))
            }
            _ => Err(format!("'{text}' is not a share: write 1/20 for every 20th record")),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.every)
    }
}

written_as_text!(Sample, "Sample", "^1/[0-9]+$", "1/20");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = text.parse::<Sample>().map_or_else(|error| error, |sample| sample.to_string());
        assert!(got.contains(expected), "{text}: {got}");
    }

    #[test]
    fn shares() {
        check("1/20", "1/20");
        check("1/1", "1/1");
        check("1/007", "1/7");
        check("0/5", "not one of so many");
        check("2/3", "not one of so many");
        check("1/0", "out of range");
        check("1/99999999999999999999", "out of range");
        check("20", "not a share");
        check("1/", "not a share");
        check("1/-2", "not a share");
        check("5%", "not a share");
        check("", "not a share");
    }
}
