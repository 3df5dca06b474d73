//! Requests without a valid token, answered before anything of their bodies is read.

use std::net::SocketAddr;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Request, Response};
use tonic::Code;

use super::grpc_call::is_grpc;
use super::http_call::{Form, refused};
use super::logs_service::{LogsService, Refusal};
use super::reply::Reply;
use crate::auth::{Bearer, CHALLENGE};
use crate::telemetry::{GrpcCode, RejectReason};

/// The answer to a request that is not let in, which has been counted and logged; `None` for one that is. A stream is asked
/// once, when it begins.
pub(super) fn refusal(
    bearer: Option<&Bearer>,
    request: &Request<()>,
    service: &LogsService,
    peer: Option<SocketAddr>,
) -> Option<Response<Reply>> {
    if bearer?.admits(request.headers()) {
        return None;
    }
    let why = "a valid token is needed: authorization: Bearer TOKEN";
    let status = service.refused(Refusal::new(Code::Unauthenticated, RejectReason::Unauthenticated, why), peer);
    service.stats().count_request(GrpcCode::Unauthenticated);
    if is_grpc(request) {
        return Some(status.into_http());
    }
    let mut response = refused(Form::of(request.headers()), &status);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    Some(response)
}
