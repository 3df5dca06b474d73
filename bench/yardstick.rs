//! The physical yardstick: the least that a collector of lines can do.
//!
//! Reads 256 KiB at a time from each connection, counts the newlines, and writes whole lines to
//! one file. No record is looked at. What a collector costs above this is what it does for its
//! users; what it costs below this would be a mistake in the measurement. With `escaped` each line
//! becomes a JSON text on its way, which is the least that a file of JSON objects takes.
//!
//! Usage: `yardstick FILE [escaped]`. Prints `ready 127.0.0.1:PORT`; when every connection of a run
//! has ended, `done LINES`, and waits for the next run. Standard library only: `rustc -O` builds it.

mod escape;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const BUFFER_BYTES: usize = 256 << 10;

#[derive(Default)]
struct Run {
    connections: usize,
    lines: usize,
}

fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: yardstick FILE"))?;
    let escaped = std::env::args().nth(2).is_some_and(|it| it == "escaped");
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let file = Arc::new(Mutex::new(file));
    let run = Arc::new(Mutex::new(Run::default()));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    eprintln!("ready {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        let (file, run) = (file.clone(), run.clone());
        lock(&run).connections += 1;
        std::thread::spawn(move || {
            let outcome = relay(stream, &file, escaped);
            let mut run = lock(&run);
            match outcome {
                Ok(lines) => run.lines += lines,
                Err(error) => eprintln!("failed {error}"),
            }
            run.connections -= 1;
            if run.connections == 0 {
                eprintln!("done {}", std::mem::take(&mut run.lines));
            }
        });
    }
    Ok(())
}

fn relay(mut stream: TcpStream, file: &Mutex<File>, escaped: bool) -> io::Result<usize> {
    let mut buffer = vec![0; BUFFER_BYTES];
    // Of pages that are never touched nothing is taken.
    let mut text = vec![0; if escaped { escape::room(BUFFER_BYTES) } else { 0 }];
    let (mut held, mut lines) = (0, 0);
    loop {
        let read = stream.read(&mut buffer[held..])?;
        if read == 0 {
            return Ok(lines);
        }
        let filled = held + read;
        // Counts in runs of bytes, which the compiler turns into wide instructions.
        lines += buffer[held..filled].chunks(128).map(newlines).sum::<usize>();
        // A line longer than the buffer goes out in parts.
        let whole = match buffer[..filled].iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if filled == buffer.len() => filled,
            None => 0,
        };
        let out = match escaped && whole > 0 {
            true => {
                let length = escape::escape(&buffer[..whole], &mut text);
                &text[..length]
            }
            false => &buffer[..whole],
        };
        lock(file).write_all(out)?;
        buffer.copy_within(whole..filled, 0);
        held = filled - whole;
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>().into()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
