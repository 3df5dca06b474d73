//! Eight bytes at once, the first in the lowest byte of a word.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// This byte eight times.
#[inline(always)]
#[must_use]
pub fn each(byte: u8) -> u64 {
    ONES.wrapping_mul(byte as u64)
}

/// The high bit of bytes that are zero, and nothing else.
#[inline(always)]
#[must_use]
pub fn zeros(word: u64) -> u64 {
    !((word & !HIGHS).wrapping_add(!HIGHS) | word) & HIGHS
}

/// For digits as the numbers that they are: the high bit of the first byte that is more than 9. What is set
/// above it may be wrong.
#[inline(always)]
#[must_use]
pub fn above_nine(digits: u64) -> u64 {
    (digits.wrapping_add(each(0x80 - 10)) | digits) & HIGHS
}

/// The number of eight digits, each as the number that it is.
#[inline(always)]
#[must_use]
pub fn decimal(digits: u64) -> u64 {
    // Pairs, fours, and all eight in the lowest half, with no carry between them.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_of_a_word(bytes in proptest::array::uniform8(prop_oneof![any::<u8>(), Just(0), 0u8..12]), byte: u8) {
            let word = u64::from_le_bytes(bytes);
            let marks = |word: u64| word.to_le_bytes().map(|it| it == 0x80);
            prop_assert_eq!(each(byte).to_le_bytes(), [byte; 8]);
            prop_assert_eq!(marks(zeros(word)), bytes.map(|it| it == 0));
            let first = bytes.iter().position(|it| *it > 9).unwrap_or(8);
            prop_assert_eq!(above_nine(word).trailing_zeros() as usize / 8, first);
        }

        #[test]
        fn eight_digits(number in 0u64..100_000_000) {
            let text: Vec<u8> = format!("{number:08}").bytes().map(|it| it - b'0').collect();
            prop_assert_eq!(text.first_chunk().map(|it| decimal(u64::from_le_bytes(*it))), Some(number));
        }
    }
}
