//! Source `lines`: newline-delimited records over TCP or a unix socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BufMut;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::framing::Framer;
use super::listen::{Acceptor, Admission, Listener, Stream};
use crate::batch::Origin;
use crate::budget::{Budget, Reservation};
use crate::config::units::ByteSize;
use crate::decode::line::Frame;
use crate::decode::reader::FormatSetting;
use crate::intake::Intake;
use crate::telemetry::{LineResult, Quiet};

/// First read of a connection. It grows while reads fill it and shrinks while they do not: a
/// mesh proxy sends one record per write, a load test sends megabytes.
const READ_MIN: usize = 8 << 10;
/// Largest read. Above it nothing is gained (measured: 64 KiB to 256 KiB is half as much again
/// per CPU second, 1 MiB nothing more).
pub const READ_MAX: usize = 256 << 10;
/// Once shutdown begins, a connection from which nothing has come for so long has nothing left in
/// its socket buffer.
const QUIET: Duration = Duration::from_millis(50);

/// A `lines` source, bound and ready.
#[derive(Debug)]
pub struct LinesSource {
    settings: LinesConfig,
    acceptor: Acceptor,
    intake: Arc<Intake>,
    work: Budget,
    unfinished: Budget,
    drain_max: Duration,
    http2: Quiet,
}

impl LinesSource {
    /// A source on a bound listener. `work` is the memory to read and decode in; `unfinished` is the
    /// memory for lines whose end has not come yet, all connections together; beyond it lines are
    /// truncated early. At shutdown a connection is read until it is empty, at most for `drain_max`.
    #[must_use]
    pub fn new(
        settings: LinesConfig,
        listener: Listener,
        intake: Arc<Intake>,
        work: Budget,
        unfinished: Budget,
        drain_max: Duration,
    ) -> LinesSource {
        let acceptor = Acceptor::new(listener, settings.connections_max, Arc::clone(intake.stats()));
        LinesSource { settings, acceptor, intake, work, unfinished, drain_max, http2: Quiet::new() }
    }

    /// Accepts connections until `shutdown`, then lets each deliver what has already arrived,
    /// and returns when the last one has closed.
    pub async fn run(self, shutdown: CancellationToken) {
        let source = Arc::new(self);
        let connections = TaskTracker::new();
        loop {
            let (stream, peer, admission) = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                next = source.acceptor.next() => next,
            };
            let connection = Connection {
                framer: Framer::new(source.settings.line_max.bytes()),
                source: Arc::clone(&source),
                stream,
                peer,
                _admission: admission,
                read_bytes: READ_MIN,
                unfinished: Reservation::default(),
                account: Account::default(),
            };
            connections.spawn(connection.run(shutdown.clone()));
        }
        connections.close();
        connections.wait().await;
    }
}

impl LinesSource {
    /// A sender of OTLP has the wrong port: what it sends is kept, and makes no sense.
    fn tell_http2(&self, peer: Option<SocketAddr>) {
        if let Some(suppressed) = self.http2.allow() {
            let (source, peer) = (self.intake.stats().name(), peer_name(peer));
            tracing::warn!(%source, peer, suppressed, "a connection speaks HTTP/2, not lines: OTLP goes to an otlp source");
        }
    }
}

/// What one connection brought, logged once when it closes.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    bytes: u64,
    lines: u64,
    blank: u64,
    truncated: u64,
    partial: u64,
}

struct Connection {
    source: Arc<LinesSource>,
    stream: Stream,
    peer: Option<SocketAddr>,
    framer: Framer,
    read_bytes: usize,
    unfinished: Reservation,
    account: Account,
    _admission: Admission,
}

impl Connection {
    async fn run(mut self, shutdown: CancellationToken) {
        tracing::debug!(source = %self.source.intake.stats().name(), peer = ?self.peer, "connection opened");
        let reason = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break self.drain().await,
                ready = self.stream.readable() => match ready {
                    Ok(()) => {}
                    Err(error) => break error.to_string(),
                },
            }
            if let Some(reason) = self.read().await {
                break reason;
            }
        };
        let last = self.framer.finish();
        self.take(last, Reservation::default()).await;
        let Account { bytes, lines, blank, truncated, partial } = self.account;
        let source = self.source.intake.stats().name();
        let peer = peer_name(self.peer);
        if bytes > 0 {
            tracing::info!(%source, peer, lines, bytes, blank, truncated, partial, reason, "connection closed");
        } else {
            // A probe, or a connection that was never needed.
            tracing::debug!(%source, peer, reason, "connection closed, nothing was sent");
        }
    }

    /// Reads once and hands on what was read; the reason when the connection has ended.
    async fn read(&mut self) -> Option<String> {
        let intake = Arc::clone(&self.source.intake);
        // An unfinished line may come along with the read, so the payload can be both.
        let payload_max = self.read_bytes + self.framer.unfinished_bytes();
        let held = self.source.work.reserve(payload_max + intake.work_bytes()).await;
        let buffer = self.framer.buffer(self.read_bytes);
        let mut space = buffer.limit(self.read_bytes);
        let length = match read_now(&mut self.stream, &mut space).await {
            Ok(0) => return Some("closed by peer".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            // A peer that resets is no error of ours; what came before it counts.
            Err(error) => return Some(error.to_string()),
        };
        self.account.bytes += length as u64;
        intake.stats().count_bytes(length as u64);
        if length == self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(READ_MAX);
        } else if length < self.read_bytes / 8 {
            self.read_bytes = (self.read_bytes / 2).max(READ_MIN);
        }
        let frame = self.framer.frame();
        self.framer.rest();
        if self.account.lines == 0 && frame.payload.starts_with(b"PRI * HTTP/2.0") {
            self.source.tell_http2(self.peer);
        }
        self.take(frame, held).await;
        self.keep_unfinished().await;
        None
    }

    /// An unfinished line is paid for from its own budget; when that is spent it ends here.
    async fn keep_unfinished(&mut self) {
        self.unfinished = Reservation::default();
        let bytes = self.framer.unfinished_bytes();
        if bytes == 0 {
            return;
        }
        match self.source.unfinished.try_reserve(bytes) {
            Some(reservation) => self.unfinished = reservation,
            None => {
                let cut = self.framer.truncate_now();
                self.take(cut, Reservation::default()).await;
            }
        }
    }

    async fn take(&mut self, frame: Frame, held: Reservation) {
        let intake = &self.source.intake;
        self.account.lines += frame.lines;
        self.account.blank += frame.blank;
        self.account.truncated += frame.truncated();
        self.account.partial += frame.partial();
        for (result, lines) in [
            (LineResult::Blank, frame.blank),
            (LineResult::Truncated, frame.truncated()),
            (LineResult::Partial, frame.partial()),
        ] {
            if lines > 0 {
                intake.stats().count_lines(result, lines);
            }
        }
        let source = Arc::clone(intake.stats().name());
        let origin = Origin { source, peer: self.peer, received_unix_nano: unix_nano_now() };
        intake.lines(frame, origin, held).await;
    }

    /// Takes what the peer has sent before shutdown: closing with unread bytes would reset the
    /// connection and lose them.
    async fn drain(&mut self) -> String {
        // What is already in the socket buffer comes at once; but the peer may go on for ever. Only
        // the wait is cut short, never what has been read.
        let until = Instant::now() + self.source.drain_max;
        while Instant::now() < until {
            let readable = tokio::time::timeout(QUIET, self.stream.readable()).await;
            if !matches!(readable, Ok(Ok(()))) || self.read().await.is_some() {
                break;
            }
        }
        "shutdown".to_owned()
    }
}

/// The other end as the log shows it.
fn peer_name(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string())
}

/// Reads what is there, or fails with `WouldBlock`. Unlike `try_read` it lets the runtime see that
/// a short read has emptied the socket, which saves a system call per read.
async fn read_now(stream: &mut Stream, space: &mut impl BufMut) -> io::Result<usize> {
    std::future::poll_fn(|context| match poll_read_buf(Pin::new(stream), context, space) {
        Poll::Pending => Poll::Ready(Err(io::ErrorKind::WouldBlock.into())),
        ready => ready,
    })
    .await
}

/// Now, in nanoseconds since the epoch.
pub fn unix_nano_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Settings of a `lines` source.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinesConfig {
    /// `host:port`, or `unix:/path/of.sock`.
    pub listen: String,
    /// How a line is read.
    #[serde(default)]
    pub format: FormatSetting,
    /// A longer line is truncated and flagged; the connection lives on.
    #[serde(default = "line_max_default")]
    pub line_max: ByteSize,
    /// Further connections are closed at once and counted.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
}

fn line_max_default() -> ByteSize {
    ByteSize::mib(1)
}

fn connections_max_default() -> u32 {
    4096
}
