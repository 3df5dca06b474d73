//! One request, one answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use prost::Message as _;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::transport::{self, Error};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service;

use super::endpoint::Channel;
use super::http;
use super::stats::Reason;
use super::upstream::{Upstream, chain};
use super::verdict::{Verdict, verdict};
use crate::grpc::{MessageBody, RawCodec, Segments};

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Largest answer.
pub(super) const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Most characters kept of a text that the upstream sends.
const TEXT_CHARS_MAX: usize = 4096;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The upstream has it, but for so many records.
    Accepted {
        rejected: u64,
        /// What it has to say about that, escaped.
        text: String,
    },
    /// It was not accepted.
    Failed(Failure),
}

impl Answer {
    /// The task that waited for the answer has failed: a bug must cost an attempt, not the records.
    pub(super) fn bug(error: tokio::task::JoinError) -> Answer {
        Answer::Failed(Failure::unanswered(Reason::Connection, &error.to_string()))
    }
}

/// Why a request was not accepted, and what is to be done.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    /// For people: bounded, escaped.
    pub(super) text: String,
}

impl Failure {
    /// No answer, and none will come: another attempt may get one.
    pub(super) fn unanswered(reason: Reason, text: &str) -> Failure {
        Failure { verdict: Verdict::Again { after: None, elsewhere: true }, reason, text: escaped(text) }
    }
}

/// Sends one request over `channel` and waits for the answer, at most the timeout of the upstream.
/// Dropped early, it takes the request back if it is not out yet.
pub(super) fn export(
    upstream: &Upstream,
    channel: Channel,
    request: Segments,
) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    match channel {
        Channel::Grpc(channel) => Box::pin(call(upstream, channel, request)),
        Channel::Http(channel) => Box::pin(http::export(upstream, *channel, request)),
    }
}

/// The same over gRPC.
fn call(
    upstream: &Upstream,
    channel: transport::Channel,
    request: Segments,
) -> impl Future<Output = Answer> + Send + use<> {
    let seen = Arc::new(Seen::default());
    let timeout = upstream.timeout;
    let bytes = request.remaining();
    let (message, uncopied) = match upstream.compression {
        Some(_) => (request, None),
        None => (Segments::default(), Some(MessageBody::new(request))),
    };
    let watched = Watched { channel, seen: Arc::clone(&seen), uncopied };
    let mut grpc = Grpc::new(watched).max_decoding_message_size(RESPONSE_BYTES_MAX);
    if let Some(encoding) = upstream.compression {
        grpc = grpc.send_compressed(encoding);
    }
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = upstream.headers.clone();
    request.set_timeout(timeout);
    async move {
        let exchange = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            let path = ::http::uri::PathAndQuery::from_static(EXPORT);
            grpc.unary(request, path, RawCodec::<Segments>::default()).await
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(response)) => accepted(&response.into_inner()),
            Ok(Err(status)) => not_accepted(&status, &seen, timeout, bytes),
            Err(_elapsed) => Answer::Failed(timed_out(timeout)),
        }
    }
}

/// `ExportLogsServiceResponse`, from opentelemetry/proto/collector/logs/v1/logs_service.proto.
#[derive(Clone, PartialEq, prost::Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The status was OK, so the request is accepted whatever the message looks like.
pub(super) fn accepted(message: &Bytes) -> Answer {
    let partial = ExportResponse::decode(message.clone()).ok().and_then(|it| it.partial_success).unwrap_or_default();
    Answer::Accepted {
        rejected: u64::try_from(partial.rejected_log_records).unwrap_or(0),
        text: escaped(&partial.error_message),
    }
}

fn not_accepted(status: &Status, seen: &Seen, timeout: Duration, bytes: usize) -> Answer {
    match seen.grpc_status() {
        // OK without a message, or with one that cannot be read: it said OK.
        Some(Code::Ok) => return accepted(&Bytes::new()),
        Some(code) => {
            let retry_info = status.get_details_retry_info().map(|it| it.retry_delay.unwrap_or_default());
            let verdict = verdict(code, retry_info, bytes);
            return Answer::Failed(Failure { verdict, reason: code.into(), text: escaped(status.message()) });
        }
        None => {}
    }
    let code = status.code();
    Answer::Failed(match seen.http_status() {
        // Somebody answered that does not speak gRPC.
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => {
            Failure { verdict: Verdict::Hold, reason: code.into(), text: escaped(status.message()) }
        }
        Some(StatusCode::PAYLOAD_TOO_LARGE) => {
            let reason = Reason::ResourceExhausted;
            Failure { verdict: Verdict::Refused, reason, text: escaped(status.message()) }
        }
        _ if is_timeout(status) => timed_out(timeout),
        _ => Failure::unanswered(Reason::Connection, &explained(status)),
    })
}

pub(super) fn timed_out(timeout: Duration) -> Failure {
    Failure::unanswered(Reason::Timeout, &format!("no answer within {timeout:?}"))
}

/// tonic keeps the same time as we do, and sometimes wins.
fn is_timeout(status: &Status) -> bool {
    let first = std::error::Error::source(status);
    std::iter::successors(first, |it| it.source()).any(|it| it.is::<tonic::TimeoutExpired>())
}

fn explained(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => chain(source),
        None => status.message().to_owned(),
    }
}

/// Text from outside, fit for a terminal: control and invisible characters escaped, cut.
pub(super) fn escaped(text: &str) -> String {
    text.escape_debug().take(TEXT_CHARS_MAX).collect()
}

/// What came over the line, as opposed to what tonic makes of an error.
#[derive(Debug)]
struct Seen {
    grpc_status: AtomicU16,
    http_status: AtomicU16,
}

const NOT_SEEN: u16 = u16::MAX;

impl Default for Seen {
    fn default() -> Self {
        Seen { grpc_status: AtomicU16::new(NOT_SEEN), http_status: AtomicU16::new(NOT_SEEN) }
    }
}

impl Seen {
    /// The status the upstream sent, if it sent one.
    fn grpc_status(&self) -> Option<Code> {
        let code = self.grpc_status.load(Relaxed);
        (code != NOT_SEEN).then(|| Code::from(i32::from(code)))
    }

    fn http_status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.http_status.load(Relaxed)).ok()
    }

    /// Notes the status in headers or trailers, and takes out what tonic 0.14 would panic over:
    /// details that are not base64 (`Status::from_header_map` expects them to be).
    fn look(&self, headers: &mut HeaderMap) {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        if let Some(status) = headers.get(Status::GRPC_STATUS) {
            self.grpc_status.store(Code::from_bytes(status.as_bytes()) as u16, Relaxed);
        }
        let details = headers.get("grpc-status-details-bin");
        if details.is_some_and(|details| LENIENT.decode(details.as_bytes()).is_err()) {
            headers.remove("grpc-status-details-bin");
        }
    }
}

/// A channel that keeps an eye on the answer.
struct Watched {
    channel: transport::Channel,
    seen: Arc<Seen>,
    /// What goes out in place of what tonic would make of the request: a copy.
    uncopied: Option<MessageBody>,
}

impl Service<::http::Request<Body>> for Watched {
    type Response = ::http::Response<WatchedBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: ::http::Request<Body>) -> Self::Future {
        let seen = Arc::clone(&self.seen);
        let request = match self.uncopied.take() {
            Some(message) => request.map(|_| Body::new(message)),
            None => request,
        };
        let response = self.channel.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            seen.http_status.store(response.status().as_u16(), Relaxed);
            seen.look(response.headers_mut());
            Ok(response.map(|body| WatchedBody { body, seen }))
        })
    }
}

struct WatchedBody {
    body: Body,
    seen: Arc<Seen>,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    self.seen.look(trailers);
                }
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
