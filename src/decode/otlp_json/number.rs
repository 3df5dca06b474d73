//! Numbers as ProtoJSON spells them.

/// A number in JSON, or a text in its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

/// 2^63, the first that no `i64` holds.
const SIGNED_END: f64 = 9_223_372_036_854_775_808.0;
/// 2^64, the first that no `u64` holds.
const UNSIGNED_END: f64 = 18_446_744_073_709_551_616.0;

impl Number<'_> {
    /// As an integer, if it is one: `5`, `"5"`, `5.0`, `5e0`.
    pub(super) fn signed(&self) -> Option<i64> {
        match *self {
            Number::Unsigned(it) => i64::try_from(it).ok(),
            Number::Signed(it) => Some(it),
            Number::Float(it) => (it.fract() == 0.0 && (-SIGNED_END..SIGNED_END).contains(&it)).then_some(it as i64),
            Number::Text(text) => match decimal(text)?.parse() {
                Ok(it) => Some(it),
                Err(_) => Number::Float(text.parse().ok()?).signed(),
            },
        }
    }

    /// The same, not below zero.
    pub(super) fn unsigned(&self) -> Option<u64> {
        match *self {
            Number::Unsigned(it) => Some(it),
            Number::Signed(it) => u64::try_from(it).ok(),
            Number::Float(it) => (it.fract() == 0.0 && (0.0..UNSIGNED_END).contains(&it)).then_some(it as u64),
            Number::Text(text) => match decimal(text)?.parse() {
                Ok(it) => Some(it),
                Err(_) => Number::Float(text.parse().ok()?).unsigned(),
            },
        }
    }

    /// Any number.
    pub(super) fn double(&self) -> Option<f64> {
        match *self {
            Number::Unsigned(it) => Some(it as f64),
            Number::Signed(it) => Some(it as f64),
            Number::Float(it) => Some(it),
            Number::Text("NaN") => Some(f64::NAN),
            Number::Text("Infinity") => Some(f64::INFINITY),
            Number::Text("-Infinity") => Some(f64::NEG_INFINITY),
            // What overflows is no number that could be meant.
            Number::Text(text) => decimal(text)?.parse().ok().filter(|it: &f64| it.is_finite()),
        }
    }
}

/// The text, if it has the letters of a JSON number: no words, no spaces, no plus in front.
fn decimal(text: &str) -> Option<&str> {
    let first = text.bytes().next()?;
    let letters = text.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'-' | b'+' | b'e' | b'E'));
    (letters && (first.is_ascii_digit() || first == b'-')).then_some(text)
}
