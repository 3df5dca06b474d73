//! What a line or a response flag means, for people. Knows no sockets, files, clocks or tasks.

mod flags;
mod line;
mod members;
mod part;
mod probe;
mod ruler;
pub mod single;

pub use flags::{are_flags, flags};
pub use line::line;
pub use probe::Probe;

use crate::encode::escape::escape_text;

/// Text of others, in which nothing ends a line or drives a terminal.
#[must_use]
pub fn tame(text: &str) -> String {
    let mut out = Vec::new();
    escape_text(text.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The same, cut to so many characters.
#[must_use]
pub fn short(text: &str, characters: usize) -> String {
    let tame = tame(text);
    match tame.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", &tame[..at]),
        None => tame,
    }
}
