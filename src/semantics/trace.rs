//! Trace and span ids out of the headers that carry them.

use core::num::NonZero;

/// A trace id as the number that its bytes are, the first the highest: in registers, where bytes would go
/// through memory.
pub(super) type TraceId = NonZero<u128>;
/// As [`TraceId`].
pub(super) type SpanId = NonZero<u64>;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: TraceId,
    pub(super) span: Option<SpanId>,
    /// W3C trace flags.
    pub(super) flags: u8,
}

const INVALID: u8 = 0xff;

const DIGITS: [u8; 256] = {
    let mut digits = [INVALID; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// The number of sixteen hex digits, and whether they are such digits.
#[inline(always)]
fn sixteen_digits(text: &[u8; 16]) -> (u64, bool) {
    let text = u128::from_le_bytes(*text);
    let (high, low) = (eight_digits(text as u64), eight_digits((text >> 64) as u64));
    (u64::from(high.0) << 32 | u64::from(low.0), high.1 & low.1)
}

/// The number of eight hex digits, the first in the lowest byte, and whether they are such digits.
#[inline(always)]
fn eight_digits(word: u64) -> (u32, bool) {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    // The high bit of each byte that is at least this one; right for bytes that are ASCII.
    let from = |word: u64, first: u8| (word & !HIGH).wrapping_add(EACH * u64::from(0x80 - first));
    let lower = word | (EACH * 0x20);
    let letters = from(lower, b'a') & !from(lower, b'g') & HIGH;
    let numbers = from(word, b'0') & !from(word, b'9' + 1) & HIGH;
    let is_hex = (letters | numbers) & !word & HIGH == HIGH;
    let nibbles = (word & (EACH * 0x0F)).wrapping_add((letters >> 7) * 9);
    let bytes = (nibbles << 4 | nibbles >> 8) & 0x00FF_00FF_00FF_00FF;
    let pairs = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF;
    (((pairs | pairs >> 16) as u32).swap_bytes(), is_hex)
}

/// A trace id in 32 or 16 hex digits; the shorter form is padded on the left.
#[inline(always)]
pub(super) fn trace_id(text: &[u8]) -> Option<TraceId> {
    let halves = match text.as_chunks() {
        ([high, low], []) => (sixteen_digits(high), sixteen_digits(low)),
        ([low], []) => ((0, true), sixteen_digits(low)),
        _ => return None,
    };
    let ((high, high_is_hex), (low, low_is_hex)) = halves;
    NonZero::new(u128::from(high) << 64 | u128::from(low)).filter(|_| high_is_hex & low_is_hex)
}

/// A span id in 16 hex digits.
#[inline]
pub(super) fn span_id(text: &[u8]) -> Option<SpanId> {
    let (id, is_hex) = sixteen_digits(text.try_into().ok()?);
    NonZero::new(id).filter(|_| is_hex)
}

/// `x-b3-traceid` or `x-datadog-traceid`. Sixteen digits are hex, for a random 64-bit number has as
/// few decimals once in a thousand times; other decimals up to 64 bits are Datadog's.
#[inline]
pub(super) fn trace_header(text: &[u8]) -> Option<TraceId> {
    match trace_id(text) {
        None => datadog(text),
        id => id,
    }
}

#[inline(never)]
fn datadog(text: &[u8]) -> Option<TraceId> {
    let plain = matches!(text.len(), 1..=20) && text.iter().all(u8::is_ascii_digit);
    let number: u64 = plain.then(|| std::str::from_utf8(text).ok()?.parse().ok())??;
    NonZero::new(number.into())
}

/// `traceparent`: `00-<trace>-<span>-<flags>`; a later version may have more behind it.
pub(super) fn trace_parent(text: &[u8]) -> Option<Context> {
    let (head, rest) = text.split_at_checked(55)?;
    let dashes = [head[2], head[35], head[52]] == [b'-'; 3];
    let digit = |at: usize| DIGITS[usize::from(head[at])];
    let version = digit(0) << 4 | digit(1) & 0xf;
    let known = digit(0) != INVALID && digit(1) != INVALID && version != INVALID;
    let ends = rest.is_empty() || (version > 0 && rest[0] == b'-');
    let (high, low) = (digit(53), digit(54));
    if !dashes || !known || !ends || high == INVALID || low == INVALID {
        return None;
    }
    Some(Context { trace: trace_id(&head[3..35])?, span: Some(span_id(&head[36..52])?), flags: high << 4 | low })
}

/// `b3`: `<trace>-<span>`, `-<sampled>` (`0`, `1`, `d`) and `-<parent span>` if they are there.
pub(super) fn b3(text: &[u8]) -> Option<Context> {
    let mut parts = text.split(|it| *it == b'-');
    let (trace, span) = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    let flags = match parts.next() {
        None | Some(b"0") => 0,
        Some(b"1" | b"d") => 1,
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        span_id(parent)?;
    }
    parts.next().is_none().then_some(Context { trace, span: Some(span), flags })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: u128 = 0x834c_687a_3acb_6266_1122_3344_5566_7788;

    #[test]
    fn headers() {
        for (text, expected) in [
            ("834c687a3acb62661122334455667788", Some(LONG)),
            ("834C687A3ACB62661122334455667788", Some(LONG)),
            ("834c687a3acb6266", Some(0x834c_687a_3acb_6266)),
            ("1234567890123456", Some(0x1234_5678_9012_3456)),
            ("1421647406169267924", Some(1_421_647_406_169_267_924)),
            ("18446744073709551615", Some(u128::from(u64::MAX))),
            ("7", Some(7)),
            ("18446744073709551616", None),
            ("0000000000000000", None),
            ("00000000000000000000000000000000", None),
            ("0", None),
            ("834c687a3acb626", None),
            ("834c687a3acb626g", None),
            ("+1", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(trace_header(text.as_bytes()).map(TraceId::get), expected, "{text}");
        }
        assert_eq!(trace_id(b"1421647406169267924"), None);
    }

    #[test]
    fn contexts() {
        let long = "834c687a3acb62661122334455667788";
        let span = NonZero::new(0x0102_0304_0506_0708);
        let sampled = NonZero::new(LONG).map(|trace| Context { trace, span, flags: 1 });
        let unsampled = sampled.map(|it| Context { flags: 0, ..it });
        for (text, expected) in [
            (format!("00-{long}-0102030405060708-01"), sampled),
            (format!("00-{long}-0102030405060708-00"), unsampled),
            (format!("01-{long}-0102030405060708-01-more"), sampled),
            (format!("00-{long}-0102030405060708-01-more"), None),
            (format!("ff-{long}-0102030405060708-01"), None),
            (format!("00-{long}-0000000000000000-01"), None),
            (format!("00-{long}-0102030405060708-0x"), None),
            (format!("00-{long}-0102030405060708-"), None),
            (String::new(), None),
        ] {
            assert_eq!(trace_parent(text.as_bytes()), expected, "{text}");
        }
        for (text, expected) in [
            (format!("{long}-0102030405060708-1-00000000000000ab"), sampled),
            (format!("{long}-0102030405060708-d"), sampled),
            (format!("{long}-0102030405060708-0"), unsampled),
            (format!("{long}-0102030405060708"), unsampled),
            (format!("{long}-0102030405060708-1-ab"), None),
            (format!("{long}-0102030405060708-1-00000000000000ab-x"), None),
            (format!("{long}-0102030405060708-2"), None),
            ("0".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(b3(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn hex_reads_back(id: u128, upper: bool) {
            prop_assume!(id != 0);
            let text = if upper { format!("{id:032X}") } else { format!("{id:032x}") };
            prop_assert_eq!(trace_id(text.as_bytes()).map(TraceId::get), Some(id));
        }

        #[test]
        fn any_bytes(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'-'), Just(b'0')], 0..70)) {
            let _ = (trace_header(&text), trace_parent(&text), b3(&text));
        }
    }
}
