//! Sink `stdout`: records on standard output.
//!
//! A thread of its own, since a pipe that nobody reads blocks whoever writes to it, and must
//! block nobody else.
//!
//! | Standard output | The records |
//! |---|---|
//! | takes them | delivered |
//! | is not read | wait; the inbox fills up and the sink is passed over |
//! | was closed by its reader | failed, and so is what comes later: the sink stops, the process goes on |
//! | fails otherwise (disk full) | those not written are failed, the next ones are tried |

use std::borrow::Cow;
use std::io::{self, ErrorKind, IoSlice, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::inbox::{Inbox, Outcome};

/// Settings of a `stdout` sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutConfig {
    /// How records are written.
    pub encoding: StdoutEncoding,
}

/// How records are written to standard output. Control characters are escaped in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StdoutEncoding {
    /// One JSON object a line.
    #[default]
    Json,
    /// One line for people.
    Pretty,
    /// The line as received, or the body as text.
    Raw,
}

/// Bytes taken from the inbox for one write. A single batch may be larger.
const WRITE_BYTES_MAX: usize = 256 << 10;
/// Trouble that goes on is logged so often.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// True when somebody looks at standard output who can see colours: it is a terminal, `TERM` is not
/// `dumb`, and `NO_COLOR` is not set.
#[must_use]
pub fn shows_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|it| !it.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Standard output without the line buffer of the standard library: every write goes out whole.
///
/// # Errors
/// When there is no standard output, or no descriptor left.
pub fn stdout() -> io::Result<std::fs::File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Writes what the inbox holds to `out` until the inbox is closed and empty, or the reader of
/// `out` is gone. Blocks its thread, which is to be detached: a write into a pipe that nobody
/// reads may never return. Who must not wait for ever waits for [`Inbox::drained`] instead.
///
/// `out` may be non-blocking. `runtime` is only asked to wait for the inbox.
pub fn run(inbox: Arc<Inbox>, settings: StdoutConfig, mut out: impl Write + AsFd, runtime: Handle) {
    let mut logged = None;
    let mut last = b'\n';
    while let Some(deliveries) = runtime.block_on(inbox.take(WRITE_BYTES_MAX)) {
        let texts: Vec<Bytes> = deliveries.iter().map(|it| text(settings.encoding, &it.batch.payload)).collect();
        // What was cut short in the middle of a line must not be the beginning of the next.
        let mend: &[u8] = if last == b'\n' { b"" } else { b"\n" };
        let mut slices: Vec<IoSlice<'_>> =
            std::iter::once(mend).chain(texts.iter().map(Bytes::as_ref)).map(IoSlice::new).collect();
        let (written, result) = write_slices(&mut out, &mut slices);

        let mut left = written.saturating_sub(mend.len());
        if written >= mend.len() {
            last = b'\n';
        }
        for (delivery, text) in deliveries.into_iter().zip(&texts) {
            let written = &text[..left.min(text.len())];
            left -= written.len();
            last = written.last().copied().unwrap_or(last);
            if written.len() == text.len() {
                delivery.settle(Outcome::Done);
            } else {
                let lines = memchr::memchr_iter(b'\n', written).count() as u64;
                let records = delivery.batch.records.saturating_sub(lines);
                delivery.settle(Outcome::Refused { records });
            }
        }
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                inbox.close();
                while !inbox.try_take(usize::MAX).is_empty() {}
                tracing::error!(
                    sink = %inbox.sink(),
                    "the reader of standard output is gone, this sink stops; what it misses is counted"
                );
                return;
            }
            Err(error) => {
                if logged.is_none_or(|at: Instant| at.elapsed() >= LOG_PAUSE) {
                    logged = Some(Instant::now());
                    tracing::error!(
                        sink = %inbox.sink(), %error,
                        "cannot write to standard output, records are lost; make room where it leads to"
                    );
                }
            }
        }
    }
}

fn text(encoding: StdoutEncoding, payload: &Bytes) -> Bytes {
    match encoding {
        // Escaped when they were encoded.
        StdoutEncoding::Json | StdoutEncoding::Pretty => payload.clone(),
        StdoutEncoding::Raw => match escaped(payload) {
            Cow::Borrowed(_) => payload.clone(),
            Cow::Owned(text) => text.into(),
        },
    }
}

/// Writes all of it, however many calls it takes. Returns how many bytes are out, also after an
/// error.
fn write_slices(out: &mut (impl Write + AsFd), mut slices: &mut [IoSlice<'_>]) -> (usize, io::Result<()>) {
    let mut written = 0;
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match out.write_vectored(slices) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => {
                written += count;
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Err(error) = wait_writable(out) {
                    return (written, Err(error));
                }
            }
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Waits until a write would not block, without end: the inbox in front is what is bounded.
fn wait_writable(out: &impl AsFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lines fit for a terminal: control characters but line feed and tab, line and paragraph
/// separators as `\u001b`, bytes that are not UTF-8 as `\xff`. Borrowed when there is nothing
/// to do.
fn escaped(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    // Everything before is in `out`, unless `out` is empty and nothing had to be escaped yet.
    let mut copied = 0;
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for (offset, character) in chunk.valid().char_indices() {
            if is_unsafe(character) {
                out.extend_from_slice(&bytes[copied..at + offset]);
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
                copied = at + offset + character.len_utf8();
            }
        }
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(&bytes[copied..at]);
            for byte in chunk.invalid() {
                out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
            }
            at += chunk.invalid().len();
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(&bytes[copied..]);
    Cow::Owned(out)
}

fn is_unsafe(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{2028}' | '\u{2029}' => true,
        character => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &[u8], expected: &str) {
        assert_eq!(String::from_utf8(escaped(input).into_owned()).unwrap(), expected);
    }

    #[test]
    fn escapes() {
        check(b"", "");
        check(b"plain\ttext\n", "plain\ttext\n");
        check("žluťoučký 🐎\n".as_bytes(), "žluťoučký 🐎\n");
        check(b"\x1b[31mred\x1b[0m\r\n", "\\u001b[31mred\\u001b[0m\\u000d\n");
        check(b"\0\x7f", "\\u0000\\u007f");
        check("\u{9b}31m \u{2028}".as_bytes(), "\\u009b31m \\u2028");
        check(b"a\xffb\xe2\x82\n", "a\\xffb\\xe2\\x82\n");
        check(b"\x9b31m", "\\x9b31m");
    }

    proptest! {
        #[test]
        fn no_control_character_comes_through(bytes: Vec<u8>) {
            let out = escaped(&bytes);
            let text = std::str::from_utf8(&out).unwrap();
            prop_assert!(text.chars().all(|it| it == '\n' || it == '\t' || !it.is_control()));
            prop_assert_eq!(text.matches('\n').count(), bytes.iter().filter(|it| **it == b'\n').count());
        }

        #[test]
        fn harmless_text_is_left_alone(text in "[a-z\u{e0}-\u{17f}🐎 \n\t]{0,40}") {
            prop_assert!(matches!(escaped(text.as_bytes()), Cow::Borrowed(it) if it == text.as_bytes()));
        }
    }
}
