//! The physical yardstick for lines: the least that a collector can do.
//!
//! One thread reads up to 256 KiB from whichever connection has something, counts the newlines, and
//! writes whole lines to one file. No record is looked at. What a collector costs above this is what it
//! does for its users; what it costs below this would be a mistake in the measurement. With `escaped`
//! each line becomes a JSON text on its way, which is the least that a file of JSON objects takes.
//!
//! Usage: `yardstick FILE [escaped]`. Prints `ready 127.0.0.1:PORT`; when the last open connection has
//! ended, `done LINES`, and waits for the next run.

// A program for people who measure: its output is for them, and what it cannot do ends it.
#![allow(clippy::print_stderr)]

mod escape;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use memchr::{memchr_iter, memrchr};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};

const BUFFER_BYTES: usize = 256 << 10;
/// The token of the listener; connections have their index.
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
}

struct Loop {
    file: File,
    buffer: Vec<u8>,
    /// Where lines are escaped to; empty when they are not. Of pages that are never touched nothing is taken.
    text: Vec<u8>,
    lines: usize,
}

fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: yardstick FILE [escaped]"))?;
    let is_escaped = std::env::args_os().nth(2).is_some_and(|it| it == "escaped");
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let text = vec![0; if is_escaped { escape::room(BUFFER_BYTES) } else { 0 }];
    let mut run = Loop { file, buffer: vec![0; BUFFER_BYTES], text, lines: 0 };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    eprintln!("ready {}", listener.local_addr()?);
    let (mut connections, mut open) = (Vec::new(), 0);
    let mut events = Vec::with_capacity(64);
    loop {
        epoll::wait(&poll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let token = event.data.u64();
            if token == LISTENER {
                let stream = listener.accept()?.0;
                epoll::add(&poll, &stream, EventData::new_u64(connections.len() as u64), EventFlags::IN)?;
                connections.push(Some(Connection { stream, held: Vec::new() }));
                open += 1;
                continue;
            }
            let place = &mut connections[token as usize];
            let Some(connection) = place else { continue };
            if !run.read(connection)? {
                // Dropping the stream takes it out of the poll.
                *place = None;
                open -= 1;
                if open == 0 {
                    connections.clear();
                    eprintln!("done {}", std::mem::take(&mut run.lines));
                }
            }
        }
    }
}

impl Loop {
    /// One read, and one write of the whole lines that there are now; false at the end.
    fn read(&mut self, from: &mut Connection) -> io::Result<bool> {
        let held = from.held.len();
        self.buffer[..held].copy_from_slice(&from.held);
        let read = from.stream.read(&mut self.buffer[held..])?;
        let filled = held + read;
        self.lines += memchr_iter(b'\n', &self.buffer[held..filled]).count();
        // A line longer than the buffer goes out in parts.
        let whole = match memrchr(b'\n', &self.buffer[..filled]) {
            Some(at) => at + 1,
            None if filled == self.buffer.len() => filled,
            None => 0,
        };
        if self.text.is_empty() {
            self.file.write_all(&self.buffer[..whole])?;
        } else if whole > 0 {
            let length = escape::escape(&self.buffer[..whole], &mut self.text);
            self.file.write_all(&self.text[..length])?;
        }
        from.held.clear();
        from.held.extend_from_slice(&self.buffer[whole..filled]);
        Ok(read > 0)
    }
}
