//! Requests without a valid token, answered before anything of their bodies is read.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use tonic::Status;

use super::grpc_call::is_grpc;
use super::http_call::{Form, refused};
use super::reply::Reply;
use crate::auth::{Bearer, CHALLENGE};
use crate::telemetry::{GrpcCode, RejectReason, SourceStats};

/// The answer to a request that is not let in, which has been counted; `None` for one that is. A stream is asked
/// once, when it begins.
pub(super) fn refusal(
    bearer: Option<&Bearer>,
    request: &Request<Incoming>,
    stats: &SourceStats,
) -> Option<Response<Reply>> {
    if bearer?.admits(request.headers()) {
        return None;
    }
    stats.count_rejected(RejectReason::Unauthenticated, 1);
    stats.count_request(GrpcCode::Unauthenticated);
    let status = Status::unauthenticated("a valid token is needed: authorization: Bearer TOKEN");
    if is_grpc(request) {
        return Some(status.into_http());
    }
    let mut response = refused(Form::of(request.headers()), &status);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    Some(response)
}
