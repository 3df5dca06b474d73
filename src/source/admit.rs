//! Requests without a valid token, answered before anything of their bodies is read.

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tonic::Status;

use super::reply::Reply;
use crate::auth::{Bearer, CHALLENGE};
use crate::telemetry::{GrpcCode, RejectReason, SourceStats};

/// The answer to a request that is not let in, which has been counted; `None` for one that is. A stream is asked
/// once, when it begins.
pub fn refusal(bearer: Option<&Bearer>, headers: &HeaderMap, stats: &SourceStats) -> Option<Response<Reply>> {
    if bearer?.admits(headers) {
        return None;
    }
    stats.count_rejected(RejectReason::Unauthenticated, 1);
    stats.count_request(GrpcCode::Unauthenticated);
    let content = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if content.starts_with(b"application/grpc") {
        return Some(Status::unauthenticated("a valid token is needed: authorization: Bearer TOKEN").into_http());
    }
    let mut response = Response::new(Reply::default());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    Some(response)
}
