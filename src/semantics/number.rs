//! Numbers that arrive as text, or as the doubles that JSON made of them.

use crate::record::{Text, Value};
use crate::word::{above_nine, decimal, each};

/// A whole number: digits, perhaps behind a minus sign.
#[inline]
pub(super) fn int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !(1..=19).contains(&digits.len()) {
        return None;
    }
    // 19 digits fit into 64 bits without a sign.
    let mut value = 0u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// As [`int`], for one to eight digits and nothing else, where a word can be read. Without a look at each, for how
/// many there are is never known.
#[inline(always)]
pub(super) fn short(text: Text<'_>) -> Option<i64> {
    const WORD: usize = 8;
    let Text { onwards, len } = text;
    let word = u64::from_le_bytes(*onwards.first_chunk()?);
    let missing = WORD.checked_sub(len).filter(|it| *it < WORD)?;
    let digits = (word ^ each(b'0')) << (8 * missing);
    (above_nine(digits) == 0).then(|| decimal(digits) as i64)
}

/// The integer that a double is, within the range where doubles are exact.
pub(super) fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.abs() <= EXACT && value.fract() == 0.0).then_some(value as i64)
}

/// A scalar of JSON that is not text: a number or a boolean.
pub(super) fn json_scalar(text: &[u8]) -> Option<Value> {
    match text {
        b"true" => return Some(Value::Bool(true)),
        b"false" => return Some(Value::Bool(false)),
        _ => {}
    }
    // JSON has no leading zeros, and what has them is mostly an identifier.
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let begins = match digits {
        [b'0', b'0'..=b'9', ..] => false,
        [b'0'..=b'9', ..] => true,
        _ => false,
    };
    if !begins || digits.len() > 64 {
        return None;
    }
    if let Some(value) = int(text) {
        return Some(Value::Int(value));
    }
    let json = |it: &u8| matches!(it, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let dotted = !digits.ends_with(b".") && !digits.windows(2).any(|it| it[0] == b'.' && !it[1].is_ascii_digit());
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = (dotted && digits.iter().all(json)).then(|| text.parse().ok())??;
    value.is_finite().then_some(Value::Double(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("-40", Some(-40)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("", None),
            ("-", None),
            ("1.5", None),
            ("+1", None),
            (" 1", None),
        ] {
            assert_eq!(int(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(whole(200.0), Some(200));
        assert_eq!(whole(0.5), None);
        assert_eq!(whole(1e300), None);
        assert_eq!(whole(f64::NAN), None);
    }

    #[test]
    fn scalars_of_json() {
        for (text, expected) in [
            ("true", Some(Value::Bool(true))),
            ("false", Some(Value::Bool(false))),
            ("12", Some(Value::Int(12))),
            ("-1.5e3", Some(Value::Double(-1500.0))),
            ("0", Some(Value::Int(0))),
            ("0.25", Some(Value::Double(0.25))),
            ("12345678901234567890", Some(Value::Double(12_345_678_901_234_567_890.0))),
            ("007", None),
            ("1.", None),
            (".5", None),
            ("1e999", None),
            ("+1", None),
            ("inf", None),
            ("NaN", None),
            ("1.2.3", None),
            ("10.0.0.1", None),
            ("null", None),
            ("\"a\"", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(json_scalar(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn short_numbers(text in "[0-9]{0,9}|[-+0-9.\u{7f}-\u{ff}]{0,9}", behind in "[0-9 ]{0,9}") {
            let onwards = text.clone() + &behind;
            let found = short(Text { onwards: onwards.as_bytes(), len: text.len() });
            let is_short = (1..=8).contains(&text.len()) && !text.starts_with('-') && onwards.len() >= 8;
            prop_assert_eq!(found, if is_short { int(text.as_bytes()) } else { None });
        }

        #[test]
        fn agrees_with_a_json_parser(text in "-?[0-9]{0,5}(\\.[0-9]{0,4})?([eE][+-]?[0-9]{0,2})?") {
            let ours = json_scalar(text.as_bytes());
            let theirs = serde_json::from_str::<f64>(&text).ok();
            let ours = ours.map(|it| match it {
                Value::Int(it) => it as f64,
                Value::Double(it) => it,
                _ => f64::NAN,
            });
            prop_assert_eq!(ours, theirs);
        }
    }
}
