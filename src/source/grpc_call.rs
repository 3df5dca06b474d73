//! Calls over gRPC: their framing, and their answers.
//!
//! The framing is done here and not by tonic's codec, for three reasons: memory is reserved
//! while a message arrives and not after it has; a message over the limit is answered
//! RESOURCE_EXHAUSTED, which clients must not retry (OTLP specification, "Failures"), where
//! tonic says OUT_OF_RANGE, which they do; and inflating stops at the limit and at the budget.
//! A message that came in one HTTP/2 frame is never copied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::als::{STREAM_ACCESS_LOGS, is_access_logs};
use super::body::Message;
use super::inflate::Inflate;
use super::logs_service::{EXPORT, LogsService, Patience, Refusal, Rejected};
use super::message::receive;
use super::reply::Reply;
use super::stop::Stop;
use crate::telemetry::RejectReason;

/// True for what only gRPC is.
pub(super) fn is_grpc(request: &Request<()>) -> bool {
    request.version() == Version::HTTP_2 && has_grpc_type(request.headers())
}

/// True for a body that is framed as gRPC does it.
pub(super) fn has_grpc_type(headers: &HeaderMap) -> bool {
    let content_type = headers.get("content-type").map_or(&[][..], HeaderValue::as_bytes);
    content_type.starts_with(b"application/grpc")
}

/// Answers one call.
pub(super) async fn answer(
    service: &Arc<LogsService>,
    request: &Request<()>,
    body: &mut Incoming,
    peer: Option<SocketAddr>,
    stop: &Stop,
) -> Response<Reply> {
    if request.method() != Method::POST {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let outcome = match request.uri().path() {
        EXPORT => export(service, request, body, peer).await,
        path if is_access_logs(path) => {
            service.access_logs(request, body, peer, stop).await.map(|()| Rejected::default())
        }
        _ => {
            return Status::unimplemented(format!("logboom takes logs: {EXPORT}, {STREAM_ACCESS_LOGS}")).into_http();
        }
    };
    match service.settle(outcome, peer) {
        Ok(rejected) => Reply::message(&rejected),
        Err(status) => status.into_http(),
    }
}

async fn export(
    service: &LogsService,
    request: &Request<()>,
    body: &mut Incoming,
    peer: Option<SocketAddr>,
) -> Result<Rejected, Refusal> {
    let _permit = service.admit()?;
    let inflate = encoding(request.headers().get("grpc-encoding"))?;
    let stage = service.live().load().await;
    let timeout = request.headers().get("grpc-timeout").and_then(|it| grpc_timeout(it.to_str().ok()?));
    let patience = Patience::new(timeout, stage.hold_max);
    let settings = stage.message_settings(1);
    let message = receive(body, settings, &stage.shares, service.stats(), patience.until());
    let Message { bytes, compressed, mut held, waited } = message.await?;
    let hold_until = patience.less(waited).until();
    let bytes = match (compressed, inflate) {
        (false, _) => bytes,
        (true, Some(inflate)) => inflate.run(&bytes, settings, &stage.shares, &mut held, hold_until).await?,
        (true, None) => {
            let why = "the message says it is compressed and grpc-encoding does not say how";
            return Err(Refusal::new(Code::InvalidArgument, RejectReason::Malformed, why));
        }
    };
    service.taken(bytes, peer, stage, held, Some(hold_until)).await
}

/// What the `grpc-encoding` header asks for; `None` for no compression.
pub(super) fn encoding(header: Option<&HeaderValue>) -> Result<Option<Inflate>, Refusal> {
    match header.map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip") => Ok(Some(Inflate::Gzip)),
        Some(b"zstd") => Ok(Some(Inflate::Zstd)),
        Some(other) => {
            let other = String::from_utf8_lossy(&other[..other.len().min(32)]).escape_debug().to_string();
            let mut status = Status::unimplemented(format!("grpc-encoding {other} is not among identity, gzip, zstd"));
            status.metadata_mut().insert("grpc-accept-encoding", MetadataValue::from_static("identity,gzip,zstd"));
            Err(Refusal { status, reason: RejectReason::Malformed, records: 1 })
        }
    }
}

/// The client's timeout (gRPC over HTTP/2, "Timeout"): up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
