//! Sends lines: blocking sockets, as large writes as are wanted.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::pace::{Pacer, Turn};
use super::pool::Pool;
use super::report::Tally;
use super::tls;

/// Most bytes in one write.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// Most lines in one turn: the pacer is asked again after so many.
const TURN_LINES_MAX: u32 = 4096;
/// How long a write may wait for the collector before we look whether the run has ended.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Where lines go.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<tls::Stream>),
    Unix(UnixStream),
    Stdout(io::Stdout),
}

/// Sends until the pacer says it is over or the connection breaks; what was sent and what went
/// wrong is in the tally.
pub(super) fn send(mut stream: Stream, mut pool: Pool, mut pacer: Pacer, per_write: u32, tally: &Tally) {
    let outcome = send_all(&mut stream, &mut pool, &mut pacer, per_write, tally);
    tally.finish(pool.ids());
    match outcome {
        Ok(()) => stream.close(),
        // A reader of standard output that has seen enough, such as `head`, is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe && matches!(stream, Stream::Stdout(_)) => {}
        Err(error) => tally.fail(format!("the connection broke: {error}")),
    }
}

fn send_all(stream: &mut Stream, pool: &mut Pool, pacer: &mut Pacer, per_write: u32, tally: &Tally) -> io::Result<()> {
    stream.look_up_every(LOOK_UP)?;
    let (lines_max, bytes_max) = match per_write {
        0 => (u32::MAX, WRITE_BYTES_MAX),
        number => (number, usize::MAX),
    };
    loop {
        let mut left = match pacer.turn(TURN_LINES_MAX) {
            Turn::Send(number) => number,
            Turn::Wait(time) => {
                std::thread::sleep(time);
                continue;
            }
            Turn::Over => return Ok(()),
        };
        while left > 0 {
            let (lines, bytes) = pool.next_lines(left.min(lines_max), bytes_max);
            let written = stream.write_unless(bytes, || pacer.ended())?;
            if written < bytes.len() {
                tally.sent(u64::from(pool.cut(written)), written as u64);
                return Ok(());
            }
            tally.sent(u64::from(lines), written as u64);
            left -= lines;
        }
    }
}

impl Stream {
    /// Writes all of `bytes`, unless the run ends while the reader takes nothing. Returns how much
    /// was written.
    fn write_unless(&mut self, bytes: &[u8], ended: impl Fn() -> bool) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.unless(&ended, |it| it.write(&bytes[written..]))? {
                Some(0) => return Err(ErrorKind::WriteZero.into()),
                Some(number) => written += number,
                None => return Ok(written),
            }
        }
        // What TLS has taken need not be on its way.
        if matches!(self, Stream::Tls(_)) {
            self.unless(&ended, Stream::flush)?;
        }
        Ok(written)
    }

    /// Does `work` until it is done, or the run ends while the reader takes nothing.
    fn unless<T>(
        &mut self,
        ended: impl Fn() -> bool,
        mut work: impl FnMut(&mut Stream) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        loop {
            match work(self) {
                Ok(done) => return Ok(Some(done)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if ended() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
            Stream::Stdout(stream) => stream.flush(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Stdout(stream) => stream.write(bytes),
        }
    }

    fn look_up_every(&self, time: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(time)),
            Stream::Tls(stream) => stream.sock.set_write_timeout(Some(time)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(time)),
            Stream::Stdout(_) => Ok(()),
        }
    }

    /// Tells the reader that nothing follows. Whether it has read everything cannot be known: the
    /// protocol has no answers.
    fn close(mut self) {
        let _gone_already = match &mut self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tls(stream) => tls::close(stream),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            Stream::Stdout(stream) => stream.flush(),
        };
    }
}
