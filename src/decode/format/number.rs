//! Numbers at the place where they begin.

use super::bytes::Bytes;
use super::class::Class;
use super::int;
use crate::word::{above_nine, decimal, each};

/// Digits of any number that fits 64 bits.
const DIGITS_SAFE: usize = 18;

/// How long the number, or the minus, or nothing is that begins there, and the number.
#[inline(always)]
pub(super) fn int_at(rest: &[u8]) -> Option<(usize, Option<i64>)> {
    match rest.first_chunk().and_then(|word| short_int(u64::from_le_bytes(*word))) {
        Some((len, number)) => Some((len, Some(number))),
        None => any_int_at(rest),
    }
}

/// The number that begins a word, the first byte in the lowest, and its digits: one to seven. Without a look
/// at each, for how many there are is never known.
#[inline(always)]
fn short_int(word: u64) -> Option<(usize, i64)> {
    let digits = word ^ each(b'0');
    let bits = above_nine(digits).trailing_zeros() & !7;
    if !(8..64).contains(&bits) {
        return None;
    }
    // Behind zeros.
    Some((bits as usize / 8, decimal(digits << (64 - bits)) as i64))
}

#[inline(never)]
fn any_int_at(rest: &[u8]) -> Option<(usize, Option<i64>)> {
    let negative = rest.first() == Some(&b'-');
    let (mut number, mut digits) = (0i64, 0usize);
    for byte in &rest[usize::from(negative)..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        digits = digits.wrapping_add(1);
        if digits > DIGITS_SAFE {
            let len = Bytes::Int.run_end(rest, 0);
            return int(&rest[..len]).filter(|_| Class::Int.fits(&rest[..len])).map(|it| (len, Some(it)));
        }
        // No more digits than fit.
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    let number = if negative { number.wrapping_neg() } else { number };
    Some((digits.wrapping_add(usize::from(negative)), (digits > 0).then_some(number)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_read_in_one_way(text in "-?[0-9]{0,22}[ -~]{0,9}") {
            prop_assert_eq!(int_at(text.as_bytes()), any_int_at(text.as_bytes()));
        }
    }
}
