//! The status of a gRPC call.

/// Names of the codes 0 to 16, as the conventions want them.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a code.
pub(super) fn name(code: u8) -> Option<&'static str> {
    NAMES.get(usize::from(code)).copied()
}

/// The code of a name in any of Envoy's spellings (`NotFound`, `NOT_FOUND`, `Canceled`) or of a
/// number in decimal.
pub(super) fn code(text: &[u8]) -> Option<u8> {
    if let Some(number) = super::number::int(text) {
        return u8::try_from(number).ok().filter(|it| name(*it).is_some());
    }
    if text.eq_ignore_ascii_case(b"Canceled") {
        return Some(1);
    }
    NAMES.iter().position(|it| same(it.as_bytes(), text)).map(|it| it as u8)
}

fn same(name: &[u8], text: &[u8]) -> bool {
    let letters = |it: &u8| *it != b'_';
    let mut text = text.iter().copied().filter(letters);
    name.iter().copied().filter(letters).all(|it| text.next().is_some_and(|other| it.eq_ignore_ascii_case(&other)))
        && text.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (text, expected) in [
            ("OK", Some(0)),
            ("0", Some(0)),
            ("NotFound", Some(5)),
            ("NOT_FOUND", Some(5)),
            ("Canceled", Some(1)),
            ("CANCELLED", Some(1)),
            ("16", Some(16)),
            ("Unauthenticated", Some(16)),
            ("DataLoss", Some(15)),
            ("17", None),
            ("-1", None),
            ("Not Found", None),
            ("OKAY", None),
            ("O", None),
            ("", None),
        ] {
            assert_eq!(code(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(name(5), Some("NOT_FOUND"));
        assert_eq!(name(17), None);
    }
}
