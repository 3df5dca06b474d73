//! Bytes that were not UTF-8, which Envoy turned into a character each.

/// What a client sent, as far as it can be known.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// This text.
    Text(String),
    /// This text, or bytes that became it.
    Doubtful(String),
}

/// Undoes it where it certainly happened.
pub fn sent(text: &str) -> Sent {
    let bytes: Option<Vec<u8>> = text.chars().map(|it| u8::try_from(u32::from(it)).ok()).collect();
    match bytes {
        // A character that is no byte; or nothing that could have been one.
        None => Sent::Text(text.to_owned()),
        Some(_) if text.is_ascii() => Sent::Text(text.to_owned()),
        // Envoy leaves alone what is UTF-8.
        Some(bytes) if std::str::from_utf8(&bytes).is_ok() => Sent::Text(text.to_owned()),
        // Nobody writes these on purpose.
        Some(bytes) if text.chars().any(|it| ('\u{80}'..='\u{9f}').contains(&it)) => {
            Sent::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        Some(_) => Sent::Doubtful(text.to_owned()),
    }
}
