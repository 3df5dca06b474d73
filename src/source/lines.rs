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
use tokio::io::AsyncWriteExt as _;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::accept::{Acceptor, Listeners};
use super::allow::Network;
use super::framing::Framer;
use super::live::Live;
use super::stop::Stop;
use super::stream::Stream;
use super::trickle::{REST, Trickle};
use crate::batch::Origin;
use crate::budget::{Budget, Reservation};
use crate::config::units::ByteSize;
use crate::decode::line::Frame;
use crate::decode::reader::FormatSetting;
use crate::intake::Intake;
use crate::telemetry::{LineResult, OpenConnection, Quiet, SourceStats};
use crate::tls::{ListenerTlsConfig, is_client_hello};

/// First read of a connection. It grows while reads fill it and shrinks while they do not: a
/// mesh proxy sends one record per write, a load test sends megabytes.
const READ_MIN: usize = 8 << 10;
/// Largest read. Above it nothing is gained (measured: 64 KiB to 256 KiB is half as much again
/// per CPU second, 1 MiB nothing more).
pub const READ_MAX: usize = 256 << 10;
/// Once shutdown begins, a connection from which nothing has come for so long has nothing left in
/// its socket buffer.
const QUIET: Duration = Duration::from_millis(50);
/// How long saying goodbye may take, where the protocol has a word for it: a client that never reads does not hear
/// it.
const GOODBYE: Duration = Duration::from_secs(1);

/// A `lines` source, bound and ready.
#[derive(Debug)]
pub struct LinesSource {
    stats: Arc<SourceStats>,
    acceptor: Acceptor,
    live: Live<LinesStage>,
    http2: Quiet,
}

/// What a reload replaces: each connection looks it up at each read.
#[derive(Debug)]
pub struct LinesStage {
    /// Where lines go.
    pub intake: Intake,
    /// A longer line is truncated.
    pub line_max: usize,
    /// The memory to read and decode in.
    pub work: Budget,
    /// The memory for lines whose end has not come yet, all connections together; beyond it lines
    /// are truncated early.
    pub unfinished: Budget,
    /// At the end a connection is read until it is empty, at most for so long.
    pub drain_max: Duration,
}

/// Connections that were told to stay open and stop.
#[derive(Debug, Default)]
pub struct Parked {
    /// Those that have stopped.
    pub connections: Vec<Connection>,
    /// Those that could not in time. They stop as soon as they can.
    pub late: JoinSet<Option<Connection>>,
}

impl LinesSource {
    /// A source on bound listeners.
    #[must_use]
    pub fn new(listeners: Listeners, connections_max: u32, stats: Arc<SourceStats>, stage: LinesStage) -> LinesSource {
        let acceptor = Acceptor::new(listeners, connections_max, Arc::clone(&stats));
        LinesSource { stats, acceptor, live: Live::new(stage), http2: Quiet::new() }
    }

    /// Where connections come from.
    #[must_use]
    pub fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    /// What connections look up.
    #[must_use]
    pub fn live(&self) -> &Live<LinesStage> {
        &self.live
    }

    /// Accepts connections, beside those of `parked`, until it is told to stop. Then each delivers
    /// what has already arrived, and this returns when the last one has closed; or they are
    /// parked and returned.
    pub async fn run(self: Arc<Self>, parked: Parked, stop: Stop) -> Parked {
        let mut connections = parked.late;
        for connection in parked.connections {
            connections.spawn(connection.run(stop.clone()));
        }
        loop {
            tokio::select! {
                biased;
                () = stop.told() => break,
                Some(ended) = connections.join_next() => if let Some(late) = still_open(ended) {
                    connections.spawn(late.run(stop.clone()));
                },
                (stream, peer, open) = self.acceptor.next() => {
                    connections.spawn(Arc::clone(&self).welcome(stream, peer, open, stop.clone()));
                }
            }
        }
        let mut parked = Vec::new();
        let until = stop.park_until();
        loop {
            let ended = match until {
                None => connections.join_next().await,
                Some(until) => match tokio::time::timeout_at(until, connections.join_next()).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => break,
                },
            };
            let Some(ended) = ended else { break };
            match (still_open(ended), until) {
                (Some(connection), Some(_)) => parked.push(connection),
                // It was parked late, and now it is to end.
                (Some(connection), None) => drop(connections.spawn(connection.run(stop.clone()))),
                (None, _) => {}
            }
        }
        Parked { connections: parked, late: connections }
    }

    /// A new connection, from the door to its end, or until it is parked.
    async fn welcome(
        self: Arc<Self>,
        stream: Stream,
        peer: Option<SocketAddr>,
        open: OpenConnection,
        stop: Stop,
    ) -> Option<Connection> {
        let (stream, peer) = self.acceptor.door().pass(stream, peer, &stop).await?;
        Connection::new(&self, stream, peer, open).run(stop).await
    }

    /// Goes on with a connection that another process had.
    #[must_use]
    pub async fn adopt(self: &Arc<Self>, stream: Stream, state: Unfinished<'_>) -> Connection {
        let stage = self.live.load().await;
        let mut connection = Connection::new(self, stream, state.peer, self.stats.count_accepted());
        connection.framer = Framer::resume(stage.line_max, state.bytes, state.is_skipping);
        connection.account = state.account;
        connection.keep_unfinished(&stage).await;
        connection
    }

    /// A sender of OTLP has the wrong port: what it sends is kept, and makes no sense.
    fn tell_http2(&self, peer: Option<SocketAddr>) {
        if let Some(suppressed) = self.http2.allow() {
            let (source, peer) = (self.stats.name(), peer_name(peer));
            tracing::warn!(%source, peer, suppressed, "a connection speaks HTTP/2, not lines: OTLP goes to an otlp source");
        }
    }
}

/// A connection that has stopped without having ended.
fn still_open(ended: Result<Option<Connection>, JoinError>) -> Option<Connection> {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "a connection has crashed; this is a bug, please report it");
        None
    })
}

/// What a connection brought, logged once when it closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    bytes: u64,
    lines: u64,
    blank: u64,
    truncated: u64,
    partial: u64,
}

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished<'a> {
    /// The other end.
    pub peer: Option<SocketAddr>,
    /// The line whose end has not come yet.
    pub bytes: &'a [u8],
    /// That line was truncated: the rest of it is dropped.
    pub is_skipping: bool,
    /// What it has brought so far.
    pub account: Account,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    source: Arc<LinesSource>,
    stream: Stream,
    peer: Option<SocketAddr>,
    framer: Framer,
    read_bytes: usize,
    trickle: Trickle,
    unfinished: Reservation,
    account: Account,
    _open: OpenConnection,
}

impl Connection {
    fn new(source: &Arc<LinesSource>, stream: Stream, peer: Option<SocketAddr>, open: OpenConnection) -> Connection {
        Connection {
            source: Arc::clone(source),
            stream,
            peer,
            // Each read sets the limit.
            framer: Framer::new(0),
            read_bytes: READ_MIN,
            trickle: Trickle::default(),
            unfinished: Reservation::default(),
            account: Account::default(),
            _open: open,
        }
    }

    /// The socket.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What another process needs to go on with it.
    #[must_use]
    pub fn state(&self) -> Unfinished<'_> {
        Unfinished {
            peer: self.peer,
            bytes: self.framer.unfinished(),
            is_skipping: self.framer.is_skipping(),
            account: self.account,
        }
    }

    /// Until it ends, or is parked: then it is returned.
    async fn run(mut self, stop: Stop) -> Option<Connection> {
        tracing::debug!(source = %self.source.stats.name(), peer = ?self.peer, "connection opened");
        let reason = loop {
            tokio::select! {
                biased;
                () = stop.told() => match stop.park_until() {
                    // The state of TLS is in this process and cannot leave it.
                    Some(_) if !self.stream.is_tls() => return Some(self),
                    _ => break self.drain().await,
                },
                ready = self.ready() => match ready {
                    Ok(()) => {}
                    Err(error) => break error.to_string(),
                },
            }
            if let Some(reason) = self.read().await {
                break reason;
            }
        };
        let last = self.framer.finish();
        let stage = self.source.live.load().await;
        self.take(last, Reservation::default(), &stage).await;
        if self.stream.is_tls() {
            // Without this the client could not tell an end from an attack.
            let _ = tokio::time::timeout(GOODBYE, self.stream.shutdown()).await;
        }
        let Account { bytes, lines, blank, truncated, partial } = self.account;
        let source = self.source.stats.name();
        let peer = peer_name(self.peer);
        if bytes > 0 {
            tracing::info!(%source, peer, lines, bytes, blank, truncated, partial, reason, "connection closed");
        } else {
            // A probe, or a connection that was never needed.
            tracing::debug!(%source, peer, reason, "connection closed, nothing was sent");
        }
        None
    }

    /// Waits until it is time to read. Cancel-safe.
    async fn ready(&mut self) -> io::Result<()> {
        if self.trickle.rests() && self.stream.unwatch() {
            tokio::time::sleep(REST).await;
            return Ok(());
        }
        self.stream.readable().await
    }

    /// Reads once and hands on what was read; the reason when the connection has ended.
    async fn read(&mut self) -> Option<String> {
        let stage = self.source.live.load().await;
        self.framer.limit(stage.line_max);
        // An unfinished line may come along with the read, so the payload can be both.
        let payload_max = self.read_bytes + self.framer.unfinished().len();
        let held = stage.work.reserve(payload_max + stage.intake.work_bytes()).await;
        let buffer = self.framer.buffer(self.read_bytes);
        let mut space = buffer.limit(self.read_bytes);
        let length = match read_now(&mut self.stream, &mut space).await {
            Ok(0) => return Some("closed by peer".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.trickle.brought_nothing();
                return None;
            }
            // A peer that resets is no error of ours; what came before it counts.
            Err(error) => return Some(error.to_string()),
        };
        if self.account.bytes == 0 && is_client_hello(self.framer.unfinished()) && !self.stream.is_tls() {
            self.framer.forget();
            self.source.acceptor.door().tell_tls(self.peer);
            return Some("the client speaks TLS".to_owned());
        }
        self.account.bytes += length as u64;
        self.source.stats.count_bytes(length as u64);
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
        self.take(frame, held, &stage).await;
        self.keep_unfinished(&stage).await;
        self.trickle.brought(length, std::time::Instant::now());
        None
    }

    /// An unfinished line is paid for from its own budget; when that is spent it ends here.
    async fn keep_unfinished(&mut self, stage: &LinesStage) {
        self.unfinished = Reservation::default();
        let bytes = self.framer.unfinished().len();
        if bytes == 0 {
            return;
        }
        match stage.unfinished.try_reserve(bytes) {
            Some(reservation) => self.unfinished = reservation,
            None => {
                let cut = self.framer.truncate_now();
                self.take(cut, Reservation::default(), stage).await;
            }
        }
    }

    async fn take(&mut self, frame: Frame, held: Reservation, stage: &LinesStage) {
        let stats = &self.source.stats;
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
                stats.count_lines(result, lines);
            }
        }
        let origin = Origin { source: Arc::clone(stats.name()), peer: self.peer, received_unix_nano: unix_nano_now() };
        stage.intake.lines(frame, origin, held).await;
    }

    /// Takes what the peer has sent before shutdown: closing with unread bytes would reset the
    /// connection and lose them.
    async fn drain(&mut self) -> String {
        // What is already in the socket buffer comes at once; but the peer may go on for ever. Only
        // the wait is cut short, never what has been read.
        let until = Instant::now() + self.source.live.load().await.drain_max;
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
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinesConfig {
    /// `host:port`, `unix:/path/of.sock`, or `systemd:NAME`: an inherited socket.
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
    /// TLS, and whose clients are let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTlsConfig>,
    /// Only peers of these networks may connect; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Network>,
    /// Other machines may send without TLS.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// A load balancer puts a PROXY header in front of each connection.
    #[serde(default)]
    pub proxy_protocol: bool,
}

fn line_max_default() -> ByteSize {
    ByteSize::mib(1)
}

fn connections_max_default() -> u32 {
    4096
}
