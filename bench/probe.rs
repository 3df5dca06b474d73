//! How long a line takes to stand in the file, while others are on their way.
//!
//! Sends numbered lines of its own on a connection of its own, and looks for them in what the file grows by. It searches
//! faster than any server writes: a probe that falls behind would measure itself.
//!
//! Usage: `probe ADDRESS FILE PER_SECOND BEFORE AFTER`, with what stands in a line before its number and behind. Ends when
//! standard input does, and its last line was found; then prints the milliseconds of each, one a line.

// A program for people who measure: its output is for them, and what it cannot do ends it.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;

const MARK: &[u8] = b"probe-";
const DIGITS: usize = 9;
/// Read at once. It stays in the processor's cache until it was searched.
const READ_BYTES: usize = 256 << 10;
/// How often it looks while nothing comes.
const LOOK: Duration = Duration::from_micros(100);
/// When nothing comes for so long while lines are missing, they will not come.
const LATE_MAX: Duration = Duration::from_secs(10);

struct Probe {
    stream: TcpStream,
    before: Vec<u8>,
    after: Vec<u8>,
    next: u32,
    sent: BTreeMap<u32, Instant>,
    samples_ms: Vec<f64>,
}

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: probe ADDRESS FILE PER_SECOND BEFORE AFTER");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, per_second, before, after] = arguments.as_slice() else { return Err(usage()) };
    let every = Duration::from_secs_f64(1.0 / per_second.parse::<f64>().map_err(|_| usage())?);
    let stream = TcpStream::connect(address.as_str())?;
    stream.set_nodelay(true)?;
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(0))?;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        let _all = io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let (before, after) = (before.as_bytes().to_vec(), after.as_bytes().to_vec());
    let mut probe = Probe { stream, before, after, next: 0, sent: BTreeMap::new(), samples_ms: Vec::new() };
    probe.run(&mut file, every, &over)?;
    let text: Vec<String> = probe.samples_ms.iter().map(|it| format!("{it:.4}")).collect();
    println!("{}", text.join("\n"));
    Ok(())
}

impl Probe {
    fn run(&mut self, file: &mut File, every: Duration, over: &AtomicBool) -> io::Result<()> {
        let finder = Finder::new(MARK);
        let (mut due, mut moved) = (Instant::now(), Instant::now());
        // What was read last and may be the beginning of a mark is kept in front.
        let (mut window, mut kept) = (vec![0; MARK.len() + DIGITS + READ_BYTES], 0);
        loop {
            let is_over = over.load(Ordering::Relaxed);
            if is_over && self.sent.is_empty() {
                return Ok(());
            }
            let now = Instant::now();
            if now >= due && !is_over {
                self.send()?;
                due = (due + every).max(now);
            }
            let read = file.read(&mut window[kept..kept + READ_BYTES])?;
            if read == 0 {
                if moved.elapsed() > LATE_MAX {
                    return Err(io::Error::other(format!("{} lines were not in the file after 10 s", self.sent.len())));
                }
                std::thread::sleep(LOOK);
                continue;
            }
            moved = Instant::now();
            let all = kept + read;
            for at in finder.find_iter(&window[..all]) {
                self.found(&window[at + MARK.len()..all], moved);
            }
            kept = all.min(MARK.len() + DIGITS - 1);
            window.copy_within(all - kept..all, 0);
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let number = self.next;
        self.next += 1;
        let line = [&self.before, format!("probe-{number:09}").as_bytes(), &self.after].concat();
        self.stream.write_all(&line)?;
        // The last byte is sent now.
        self.sent.insert(number, Instant::now());
        Ok(())
    }

    /// A record may name its number more than once.
    fn found(&mut self, behind: &[u8], at: Instant) {
        let number = behind.get(..DIGITS).and_then(|it| std::str::from_utf8(it).ok()).and_then(|it| it.parse().ok());
        if let Some(sent) = number.and_then(|it: u32| self.sent.remove(&it)) {
            self.samples_ms.push(at.duration_since(sent).as_secs_f64() * 1e3);
        }
    }
}
