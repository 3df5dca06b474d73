//! Sink `stdout` against pipes that are slow, unread, closed or full.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use logboom::batch::{Batch, Origin};
use logboom::config::units::WaitMax;
use logboom::inbox::{Inbox, InboxSettings, Put};
use logboom::sink::stdout::{StdoutConfig, StdoutEncoding, run};
use tokio::runtime::Handle;

fn inbox() -> Arc<Inbox> {
    let wait_max = WaitMax::Forever;
    Inbox::new(InboxSettings { sink: "console".into(), capacity_bytes: 16 << 20, wait_max, encoding: None })
}

fn lines(text: impl Into<Vec<u8>>) -> Batch {
    let text = text.into();
    Batch {
        records: text.iter().filter(|it| **it == b'\n').count() as u64,
        payload: text.into(),
        routes: None,
        origin: Origin { source: "test".into(), peer: None, received_unix_nano: 1 },
    }
}

fn start(inbox: &Arc<Inbox>, encoding: StdoutEncoding, out: impl Write + AsFd + Send + 'static) -> JoinHandle<()> {
    let (inbox, runtime) = (Arc::clone(inbox), Handle::current());
    std::thread::spawn(move || run(inbox, StdoutConfig { encoding }, out, runtime))
}

async fn put(inbox: &Inbox, text: impl Into<Vec<u8>>) {
    assert_eq!(inbox.put(lines(text), None).await, Put::Accepted);
}

/// Delivered, failed, shed; the ledger balances.
fn tally(inbox: &Inbox) -> (u64, u64, u64) {
    let tally = inbox.tally();
    assert_eq!((tally.imbalance(), tally.in_flight), (0, 0));
    (tally.delivered, tally.failed + tally.abandoned, tally.shed())
}

/// Scenario: much more than a pipe holds, blocking and non-blocking. Guarantee: every byte
/// arrives, in order.
#[tokio::test]
async fn a_slow_reader_gets_everything() {
    for nonblocking in [false, true] {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, nonblocking).unwrap();
        let inbox = inbox();
        let thread = start(&inbox, StdoutEncoding::Json, writer);
        let mut expected = Vec::new();
        for at in 0..300 {
            let text = format!("{{\"body\":\"{}{at}\"}}\n", "x".repeat(5_000)).repeat(3);
            expected.extend_from_slice(text.as_bytes());
            put(&inbox, text).await;
        }
        inbox.close();
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        thread.join().unwrap();
        assert!(got == expected);
        assert_eq!(tally(&inbox), (900, 0, 0));
    }
}

/// Scenario: raw lines that try to drive the terminal. Guarantee: they cannot.
#[tokio::test]
async fn raw_lines_are_escaped() {
    let (mut reader, writer) = io::pipe().unwrap();
    let inbox = inbox();
    put(&inbox, b"ok\n".to_vec()).await;
    put(&inbox, b"\x1b]0;pwned\x07 \xff\x9b\n".to_vec()).await;
    inbox.close();
    start(&inbox, StdoutEncoding::Raw, writer).join().unwrap();
    let mut got = String::new();
    reader.read_to_string(&mut got).unwrap();
    assert_eq!(got, "ok\n\\u001b]0;pwned\\u0007 \\xff\\x9b\n");
    assert_eq!(tally(&inbox), (2, 0, 0));
}

/// Scenario: nobody reads, then the reader goes away. Guarantee: only the thread of the sink is
/// held up; then it ends, and what the sink misses is counted.
#[tokio::test]
async fn a_reader_that_goes_away_stops_only_this_sink() {
    let (reader, writer) = io::pipe().unwrap();
    let inbox = inbox();
    let thread = start(&inbox, StdoutEncoding::Json, writer);
    for _ in 0..100 {
        put(&inbox, "x".repeat(9_999) + "\n").await;
    }
    // A pipe holds 64 KiB unless told otherwise: the rest cannot have been delivered.
    assert!(!inbox.drained(Duration::ZERO).await);
    drop(reader);
    thread.join().unwrap();
    assert_eq!(inbox.put(lines("late\n"), None).await, Put::Shed);
    let (delivered, failed, shed) = tally(&inbox);
    assert_eq!((delivered + failed, shed), (100, 1));
    assert!(failed > 90);
}

/// Scenario: standard output leads to a full disk. Guarantee: the records are counted as failed,
/// and the sink goes on.
#[tokio::test]
async fn a_full_disk_fails_what_is_not_written() {
    let inbox = inbox();
    let thread = start(&inbox, StdoutEncoding::Json, File::options().write(true).open("/dev/full").unwrap());
    put(&inbox, "one\n").await;
    assert!(inbox.drained(Duration::from_secs(60)).await);
    put(&inbox, "two\n").await;
    assert!(inbox.drained(Duration::from_secs(60)).await);
    inbox.close();
    thread.join().unwrap();
    assert_eq!(tally(&inbox), (0, 2, 0));
}

/// Answers each write from a script: so many bytes taken, or an error; then takes everything.
struct Scripted {
    script: Vec<Result<usize, io::ErrorKind>>,
    written: Arc<Mutex<Vec<u8>>>,
    writable: File,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let next = if self.script.is_empty() { Ok(usize::MAX) } else { self.script.remove(0) };
        let count = next?.min(bytes.len());
        self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Scripted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writable.as_fd()
    }
}

#[tokio::test]
async fn interrupted_blocked_short_and_torn_writes() {
    async fn check(script: &[Result<usize, io::ErrorKind>], expected: &str, delivered: u64, failed: u64) {
        let written = Arc::default();
        let out = Scripted {
            script: script.to_vec(),
            written: Arc::clone(&written),
            writable: File::options().write(true).open("/dev/null").unwrap(),
        };
        let inbox = inbox();
        let thread = start(&inbox, StdoutEncoding::Json, out);
        for text in ["first\nsecond\nthird\n", "fourth\n"] {
            put(&inbox, text).await;
            assert!(inbox.drained(Duration::from_secs(60)).await);
        }
        inbox.close();
        thread.join().unwrap();
        assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), expected, "{script:?}");
        assert_eq!(tally(&inbox), (delivered, failed, 0), "{script:?}");
    }
    use io::ErrorKind::{Interrupted, StorageFull, WouldBlock};
    let all = "first\nsecond\nthird\nfourth\n";
    check(&[], all, 4, 0).await;
    check(&[Err(Interrupted), Err(WouldBlock), Ok(3), Err(WouldBlock), Ok(1)], all, 4, 0).await;
    // Torn in the middle of the second line: the next begins on a line of its own.
    check(&[Ok(9), Err(StorageFull)], "first\nsec\nfourth\n", 2, 2).await;
    check(&[Ok(6), Err(StorageFull)], "first\nfourth\n", 2, 2).await;
    check(&[Err(StorageFull)], "fourth\n", 1, 3).await;
    // Torn, and not even the line end that mends it goes out.
    check(&[Ok(9), Err(StorageFull), Err(StorageFull)], "first\nsec", 1, 3).await;
    // Torn, mended, and torn before the next line began.
    check(&[Ok(9), Err(StorageFull), Ok(1), Err(StorageFull)], "first\nsec\n", 1, 3).await;
}
