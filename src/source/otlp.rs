//! Source `otlp`: OTLP logs over gRPC and over HTTP.
//!
//! Each listener takes both, and HTTP/1.1 as well as HTTP/2: how a connection begins and what a request
//! says decide, so that a client that has the wrong port is served all the same.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio_util::task::TaskTracker;

use super::accept::{Acceptor, Listeners};
use super::admit::refusal;
use super::allow::Network;
use super::body::leave;
use super::flow::{Flow, Wide};
use super::head::Heads;
use super::live::Live;
use super::logs_service::{LogsService, OtlpStage};
use super::prefixed::Prefixed;
use super::reply::{Reply, is_refusal};
use super::stop::Stop;
use super::stream::Stream;
use crate::auth::AuthConfig;
use crate::config::units::{ByteSize, Period};
use crate::decode::reader::FormatSetting;
use crate::telemetry::{OpenConnection, Quiet, SourceStats};
use crate::tls::{FIRST_BYTE, ListenerTlsConfig};

/// How every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A connection that has not said by then what it speaks is closed.
const START_MAX: Duration = Duration::from_secs(10);
/// An HTTP/1.1 connection on which no request has come for so long is closed. It is more than clients
/// pause that send every minute: a connection that is closed while they send costs them a retry. What
/// has begun to come has less, see [`Heads`].
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// What HTTP/1.1 reads at a time, and the largest head of a request.
const HTTP1_BUFFER: usize = 64 << 10;
/// Requests of one connection at a time. Envoy has had 134 in flight from one worker; what it
/// cannot send at once it sends a little later.
const STREAMS_MAX: u32 = 256;
/// A dead peer is noticed after 40 seconds.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// An `otlp` source, bound and ready.
#[derive(Debug)]
pub struct OtlpSource {
    acceptor: Acceptor,
    service: Arc<LogsService>,
    wide: Wide,
    /// One for each reason to close a connection.
    refusals: [Quiet; 3],
}

/// Why a connection is closed.
#[derive(Clone, Copy)]
enum Closed {
    Silent,
    NotHttp,
    SlowHead,
}

impl Closed {
    fn hint(self) -> &'static str {
        match self {
            Closed::Silent => "it did not say what it speaks",
            Closed::NotHttp => "it does not speak HTTP: access-log lines go to a lines source",
            Closed::SlowHead => "the head of a request was not complete within 10s",
        }
    }
}

impl OtlpSource {
    /// A source on bound listeners.
    #[must_use]
    pub fn new(listeners: Listeners, connections_max: u32, stats: Arc<SourceStats>, stage: OtlpStage) -> OtlpSource {
        let acceptor = Acceptor::new(listeners, connections_max, Arc::clone(&stats));
        let service = Arc::new(LogsService::new(stats, stage));
        OtlpSource { acceptor, service, wide: Wide::default(), refusals: Default::default() }
    }

    /// Where connections come from.
    #[must_use]
    pub fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    /// What requests look up.
    #[must_use]
    pub fn live(&self) -> &Live<OtlpStage> {
        self.service.live()
    }

    /// Accepts connections until it is told to stop; then clients are told to go away, requests in
    /// flight are finished, and this returns when the last connection has closed, or when it is
    /// late. A client that is told to go away connects again and repeats nothing, so connections
    /// are not parked.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let connections = TaskTracker::new();
        loop {
            let (stream, peer, open) = tokio::select! {
                biased;
                () = stop.told() => break,
                next = self.acceptor.next() => next,
            };
            connections.spawn(Arc::clone(&self).serve(stream, peer, open, stop.clone()));
        }
        connections.close();
        let ended = async {
            connections.wait().await;
            self.service.finish().await;
        };
        match stop.park_until() {
            None => ended.await,
            Some(until) => drop(tokio::time::timeout_at(until, ended).await),
        }
    }

    async fn serve(self: Arc<Self>, stream: Stream, peer: Option<SocketAddr>, _open: OpenConnection, stop: Stop) {
        let Some((mut stream, peer)) = self.acceptor.door().pass(stream, peer, &stop).await else { return };
        let mut buffer = [0; PREFACE.len()];
        let arrived = tokio::select! {
            arrived = tokio::time::timeout(START_MAX, start(&mut stream, &mut buffer)) => arrived,
            () = stop.told() => return,
        };
        let start = match &arrived {
            Ok(Ok(length)) => &buffer[..*length],
            // A peer that hangs up at once is no error: so do checks of health.
            Ok(Err(_)) => return,
            Err(_late) => return self.refuse(peer, Closed::Silent),
        };
        if start.first() == Some(&FIRST_BYTE) && !stream.is_tls() {
            return self.acceptor.door().tell_tls(peer);
        }
        if !start.first().is_none_or(u8::is_ascii_uppercase) {
            return self.refuse(peer, Closed::NotHttp);
        }
        // HTTP/2 has no heads that come byte by byte: they are frames, within its keep-alive.
        let heads = (start != PREFACE).then(Heads::new);
        let (source, told, read) = (Arc::clone(&self), stop.clone(), heads.clone());
        let serve = hyper::service::service_fn(move |request| {
            let handling = read.as_ref().map(Heads::handle);
            let (source, stop) = (Arc::clone(&source), told.clone());
            async move {
                let response = source.answer(request, peer, &stop).await;
                drop(handling);
                Ok::<_, Infallible>(response)
            }
        });
        let stream = Prefixed::new(Bytes::copy_from_slice(start), stream);
        let ended = if let Some(heads) = heads {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PAUSE_MAX)
                .max_buf_size(HTTP1_BUFFER)
                .serve_connection(TokioIo::new(heads.timed(stream)), serve);
            tokio::select! {
                ended = until_stopped(connection, &stop, |it| it.graceful_shutdown()) => ended,
                () = heads.late() => return self.refuse(peer, Closed::SlowHead),
            }
        } else {
            let allowed = self.wide.allow(self.acceptor.connections_max());
            let Flow { window, frame } = allowed.flow;
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(window)
                .initial_connection_window_size(window)
                .max_frame_size(frame)
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(16 << 10)
                .keep_alive_interval(KEEP_ALIVE.0)
                .keep_alive_timeout(KEEP_ALIVE.1)
                .serve_connection(TokioIo::new(stream), serve);
            until_stopped(connection, &stop, |it| it.graceful_shutdown()).await
        };
        match ended {
            Ok(()) => {}
            Err(error) if error.is_parse() => self.refuse(peer, Closed::NotHttp),
            // A peer that hangs up is no error; a broken one ends its own connection only.
            Err(error) => {
                tracing::debug!(source = %self.service.stats().name(), ?peer, %error, "connection ended");
            }
        }
    }

    /// Answers a request, if it is let in.
    async fn answer(&self, request: Request<Incoming>, peer: Option<SocketAddr>, stop: &Stop) -> Response<Reply> {
        let (head, mut body) = request.into_parts();
        let request = Request::from_parts(head, ());
        let response = match refusal(self.acceptor.door().bearer(), &request, &self.service, peer) {
            Some(refused) => refused,
            None => self.service.call(&request, &mut body, peer, stop).await,
        };
        // Who waits for 100 sends nothing, and is told to by the first look at its body.
        if is_refusal(&response) && !request.headers().contains_key(EXPECT) {
            leave(body);
        }
        response
    }

    fn refuse(&self, peer: Option<SocketAddr>, why: Closed) {
        self.service.stats().count_accept_error();
        if let Some(suppressed) = self.refusals[why as usize].allow() {
            tracing::warn!(source = %self.service.stats().name(), ?peer, hint = why.hint(), suppressed, "connection closed");
        }
    }
}

/// Reads until it shows whether this is HTTP/2, and returns how much that was: the whole preface, or
/// less of something else. Nothing at all is a peer that has hung up.
async fn start(stream: &mut Stream, buffer: &mut [u8; PREFACE.len()]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() && buffer[..length] == PREFACE[..length] {
        match stream.read(&mut buffer[length..]).await? {
            0 if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// Serves a connection to its end. Once `stop` is told, what is in flight is finished.
async fn until_stopped<C: Future>(connection: C, stop: &Stop, leave_off: impl FnOnce(Pin<&mut C>)) -> C::Output {
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => ended,
        () = stop.told() => {
            leave_off(connection.as_mut());
            connection.await
        }
    }
}

/// Settings of an `otlp` source.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// `host:port` of the listener for OTLP over gRPC, or `systemd:NAME`: an inherited socket. One of
    /// `grpc` and `http` is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// The same for OTLP over HTTP. Limits are for both together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// How a record is read.
    #[serde(default)]
    pub format: FormatSetting,
    /// Largest request, after decompression.
    #[serde(default = "message_max_default")]
    pub message_max: ByteSize,
    /// Most records in one request, counted before anything is allocated.
    #[serde(default = "records_max_default")]
    pub records_max: u32,
    /// How long a request may wait for room before it is answered UNAVAILABLE with RetryInfo.
    #[serde(default = "hold_max_default")]
    pub hold_max: Period,
    /// Further connections are closed at once and counted.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
    /// TLS, and whose clients are let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTlsConfig>,
    /// Only requests with one of these tokens are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthConfig>,
    /// Only peers of these networks may connect; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Network>,
    /// Other machines may send without TLS.
    #[serde(default)]
    pub allow_plaintext: bool,
}

fn message_max_default() -> ByteSize {
    ByteSize::mib(16)
}

fn records_max_default() -> u32 {
    100_000
}

fn hold_max_default() -> Period {
    Period::seconds(2)
}

fn connections_max_default() -> u32 {
    512
}
