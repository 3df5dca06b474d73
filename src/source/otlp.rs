//! Source `otlp`: OTLP logs over gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio_util::task::TaskTracker;

use super::accept::{Acceptor, Listeners};
use super::flow::{Flow, Wide};
use super::live::Live;
use super::logs_service::{LogsService, OtlpStage};
use super::prefixed::Prefixed;
use super::stop::Stop;
use super::stream::Stream;
use crate::config::units::{ByteSize, Period};
use crate::decode::reader::FormatSetting;
use crate::telemetry::{OpenConnection, Quiet, SourceStats};

/// How every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A connection that has not sent its preface by then is closed.
const PREFACE_MAX: Duration = Duration::from_secs(10);
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
    not_http2: Quiet,
}

impl OtlpSource {
    /// A source on bound listeners.
    #[must_use]
    pub fn new(listeners: Listeners, connections_max: u32, stats: Arc<SourceStats>, stage: OtlpStage) -> OtlpSource {
        let acceptor = Acceptor::new(listeners, connections_max, Arc::clone(&stats));
        let service = Arc::new(LogsService::new(stats, stage));
        OtlpSource { acceptor, service, wide: Wide::default(), not_http2: Quiet::default() }
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

    async fn serve(self: Arc<Self>, mut stream: Stream, peer: Option<SocketAddr>, _open: OpenConnection, stop: Stop) {
        let mut preface = [0; PREFACE.len()];
        let arrived = tokio::select! {
            arrived = tokio::time::timeout(PREFACE_MAX, stream.read_exact(&mut preface)) => arrived,
            () = stop.told() => return,
        };
        if !matches!(arrived, Ok(Ok(_))) || preface != *PREFACE {
            self.refuse(peer, &preface, arrived.is_err());
            return;
        }
        let service = Arc::clone(&self.service);
        let told = stop.clone();
        let serve = hyper::service::service_fn(move |request| {
            let (service, stop) = (Arc::clone(&service), told.clone());
            async move { Ok::<_, Infallible>(service.call(request, peer, &stop).await) }
        });
        let stream = Prefixed::new(PREFACE, stream);
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
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.told() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // A peer that hangs up is no error; a broken one ends its own connection only.
            tracing::debug!(source = %self.service.stats().name(), ?peer, %error, "connection ended");
        }
    }

    fn refuse(&self, peer: Option<SocketAddr>, start: &[u8], late: bool) {
        self.service.stats().count_accept_error();
        let hint = if late {
            "nothing was sent"
        } else if start.starts_with(b"POST ") || start.starts_with(b"GET ") {
            "it speaks HTTP/1: this port takes OTLP over gRPC"
        } else {
            "it does not speak HTTP/2: access-log lines go to a lines source"
        };
        if let Some(suppressed) = self.not_http2.allow() {
            tracing::warn!(source = %self.service.stats().name(), ?peer, hint, suppressed, "connection closed");
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
