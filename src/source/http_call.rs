//! OTLP over HTTP: `POST /v1/logs` with a body in protobuf or JSON, and its answers.
//!
//! Source of facts: the OTLP specification, "OTLP/HTTP". A failure is answered with a
//! `google.rpc.Status` in the encoding of the request. Its status follows from the gRPC code that the
//! same failure has over gRPC, so that both protocols decide alike:
//!
//! | gRPC | HTTP | the client |
//! |---|---|---|
//! | INVALID_ARGUMENT, CANCELLED | 400 | does not send it again |
//! | RESOURCE_EXHAUSTED | 413 | does not send it again |
//! | UNIMPLEMENTED | 415 | does not send it again |
//! | UNAVAILABLE, DEADLINE_EXCEEDED | 503, with `Retry-After` | sends it again |
//! | INTERNAL and the rest | 500 | does not send it again |

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::body::{Message, discard, receive};
use super::grpc_call::has_grpc_type;
use super::inflate::Inflate;
use super::logs_service::{EXPORT, LogsService, Patience, Refusal, Rejected};
use super::reply::{Reply, partial_success};
use crate::decode::otlp_json::{JsonError, to_protobuf};
use crate::decode::wire;
use crate::telemetry::RejectReason;

/// The path, as the specification has it. What stands before it is not looked at: clients and gateways put
/// a path of their own there.
pub const PATH: &str = "/v1/logs";
/// What a client is told to wait that was too slow, or sent nothing about it.
const RETRY_SECONDS: u64 = 1;

/// How a body is written. The answer is written in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/x-protobuf`, or the name it was registered under later.
    Protobuf(&'static str),
    Json,
}

/// Answers one request.
pub(super) async fn answer(
    service: &LogsService,
    request: &Request<()>,
    body: &mut Incoming,
    peer: Option<SocketAddr>,
) -> Response<Reply> {
    if let Some(wrong) = wrong_request(request) {
        return wrong;
    }
    let form = Form::of(request.headers());
    let outcome = match form {
        Some(form) => export(service, request.headers(), form, body, peer).await,
        None => Err(unsupported_type()),
    };
    match service.settle(outcome, peer) {
        Ok(rejected) => accepted(form.unwrap_or(Form::Json), &rejected),
        Err(status) => {
            // HTTP/2 ends one stream and not the connection; who waits for 100 sends nothing.
            if request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT) {
                discard(body).await;
            }
            refused(form, &status)
        }
    }
}

async fn export(
    service: &LogsService,
    headers: &HeaderMap,
    form: Form,
    body: &mut Incoming,
    peer: Option<SocketAddr>,
) -> Result<Rejected, Refusal> {
    let _permit = service.admit()?;
    let inflate = encoding(headers)?;
    let stage = service.live().load().await;
    let patience = Patience::new(None, stage.hold_max);
    let settings = stage.message_settings(if form == Form::Json { 4 } else { 1 });
    let message = receive(body, inflate.is_some(), settings, &stage.shares, service.stats(), patience.until());
    let Message { mut bytes, mut held, waited, .. } = message.await?;
    let hold_until = patience.less(waited).until();
    if let Some(inflate) = inflate {
        bytes = inflate.run(&bytes, settings, &stage.shares, &mut held, hold_until).await?;
    }
    if form == Form::Json {
        bytes = Bytes::from(to_protobuf(&bytes).map_err(not_json)?);
    }
    service.taken(bytes, peer, stage, held, Some(hold_until)).await
}

impl Form {
    /// What the content type says, parameters aside.
    pub(super) fn of(headers: &HeaderMap) -> Option<Form> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let name = text.split(';').next().unwrap_or_default().trim();
        let protobuf = ["application/x-protobuf", "application/protobuf"];
        if let Some(same) = protobuf.into_iter().find(|it| name.eq_ignore_ascii_case(it)) {
            return Some(Form::Protobuf(same));
        }
        name.eq_ignore_ascii_case("application/json").then_some(Form::Json)
    }

    fn content_type(self) -> &'static str {
        match self {
            Form::Protobuf(name) => name,
            Form::Json => "application/json",
        }
    }
}

/// What `Content-Encoding` asks for; `None` for no compression.
fn encoding(headers: &HeaderMap) -> Result<Option<Inflate>, Refusal> {
    let mut all = headers.get_all(CONTENT_ENCODING).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return if headers.contains_key(CONTENT_ENCODING) { Err(unsupported_encoding()) } else { Ok(None) };
    };
    let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Inflate::Gzip)),
        "zstd" => Ok(Some(Inflate::Zstd)),
        "deflate" => Ok(Some(Inflate::Deflate)),
        _ => Err(unsupported_encoding()),
    }
}

fn unsupported_encoding() -> Refusal {
    unsupported(
        "Content-Encoding is not one of gzip, zstd, deflate, identity",
        "accept-encoding",
        "gzip, zstd, deflate, identity",
    )
}

fn unsupported_type() -> Refusal {
    let both = "application/x-protobuf, application/json";
    unsupported("Content-Type is neither application/x-protobuf nor application/json", "accept", both)
}

/// Answered with 415 and a header that says what would be taken.
fn unsupported(why: &str, header: &'static str, accepted: &'static str) -> Refusal {
    let mut status = Status::unimplemented(why);
    status.metadata_mut().insert(header, MetadataValue::from_static(accepted));
    Refusal { status, reason: RejectReason::Malformed, records: 1 }
}

fn not_json(error: JsonError) -> Refusal {
    let reason = match error {
        JsonError::TooDeep => RejectReason::TooDeep,
        JsonError::Malformed(_) => RejectReason::Malformed,
    };
    Refusal::new(Code::InvalidArgument, reason, &error.to_string())
}

/// `ExportLogsServiceResponse`; partial success is set only when records were refused for good.
fn accepted(form: Form, rejected: &Rejected) -> Response<Reply> {
    let body = match form {
        Form::Protobuf(_) if rejected.records == 0 => Vec::new(),
        Form::Protobuf(_) => partial_success(rejected.records, &rejected.why),
        Form::Json if rejected.records == 0 => b"{}".to_vec(),
        Form::Json => serde_json::json!({
            "partialSuccess": {"rejectedLogRecords": rejected.records.to_string(), "errorMessage": rejected.why}
        })
        .to_string()
        .into_bytes(),
    };
    respond(StatusCode::OK, form.content_type(), body)
}

/// `google.rpc.Status`, in JSON where the request had no encoding that we know.
pub(super) fn refused(form: Option<Form>, status: &Status) -> Response<Reply> {
    let form = form.unwrap_or(Form::Json);
    let body = match form {
        // With details it is there already.
        Form::Protobuf(_) if !status.details().is_empty() => status.details().to_vec(),
        Form::Protobuf(_) => {
            let mut body = Vec::new();
            wire::put_tag_varint(&mut body, 1);
            wire::put_varint(&mut body, status.code() as u64);
            wire::put_tag_bytes(&mut body, 2);
            wire::put_varint(&mut body, status.message().len() as u64);
            body.extend_from_slice(status.message().as_bytes());
            body
        }
        Form::Json => {
            serde_json::json!({"code": status.code() as i32, "message": status.message()}).to_string().into_bytes()
        }
    };
    let http = match status.code() {
        Code::InvalidArgument | Code::Cancelled => StatusCode::BAD_REQUEST,
        Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unimplemented => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unavailable | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = respond(http, form.content_type(), body);
    response.headers_mut().extend(status.metadata().clone().into_headers());
    if http == StatusCode::SERVICE_UNAVAILABLE {
        let wait = status.get_details_retry_info().and_then(|it| it.retry_delay);
        // Whole seconds: sooner would be too soon.
        let seconds = wait.map_or(RETRY_SECONDS, |it: Duration| it.as_secs_f32().ceil() as u64);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer to what is not an export, in plain text for whoever looks at it.
fn wrong_request(request: &Request<()>) -> Option<Response<Reply>> {
    let say = |status, text: &str| respond(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes());
    let with = |mut response: Response<Reply>, name: HeaderName, value| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
        response
    };
    if has_grpc_type(request.headers()) {
        return Some(say(StatusCode::UNSUPPORTED_MEDIA_TYPE, "gRPC needs HTTP/2; OTLP over HTTP/1.1 is POST /v1/logs"));
    }
    match request.uri().path() {
        path if path.ends_with(PATH) && request.method() == Method::POST => None,
        path if path.ends_with(PATH) => {
            Some(with(say(StatusCode::METHOD_NOT_ALLOWED, "send logs with POST"), ALLOW, "POST"))
        }
        EXPORT => {
            let response = say(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is a gRPC method: send application/grpc");
            Some(with(response, ACCEPT, "application/grpc"))
        }
        path if path.ends_with("/v1/traces") || path.ends_with("/v1/metrics") => {
            Some(say(StatusCode::NOT_FOUND, "logboom takes logs and neither traces nor metrics: POST /v1/logs"))
        }
        _ => Some(say(StatusCode::NOT_FOUND, "logboom takes logs: POST /v1/logs")),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
