//! The body of an answer. Over gRPC it is at most one message, then the status as a trailer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};

use super::logs_service::Rejected;
use crate::decode::wire;

/// The body of an answer. Over gRPC it is empty for errors, whose status stands in the headers
/// ("trailers-only", which clients understand best).
#[derive(Debug, Default)]
pub struct Reply {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// These bytes, of which the length is told.
    pub(super) fn whole(bytes: Bytes) -> Reply {
        Reply { message: Some(bytes), trailers: None }
    }

    /// OK over gRPC with an `ExportLogsServiceResponse`; partial success is set only when records were
    /// refused for good (OTLP specification, "Partial Success").
    #[must_use]
    pub fn message(rejected: &Rejected) -> Response<Reply> {
        const EMPTY: &[u8] = &[0; 5];
        let message = if rejected.records == 0 {
            Bytes::from_static(EMPTY)
        } else {
            let message = partial_success(rejected.records, &rejected.why);
            let mut framed = BytesMut::with_capacity(5 + message.len());
            framed.put_u8(0);
            framed.put_u32(message.len() as u32);
            framed.put_slice(&message);
            framed.freeze()
        };
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let mut response = Response::new(Reply { message: Some(message), trailers: Some(trailers) });
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        response
    }
}

/// True for an answer that says that nothing was taken.
pub(super) fn is_refusal(response: &Response<Reply>) -> bool {
    // Over gRPC only then the status is in the headers.
    !response.status().is_success() || response.headers().contains_key("grpc-status")
}

/// `ExportLogsServiceResponse { partial_success: { rejected_log_records, error_message } }`.
pub(super) fn partial_success(records: u64, why: &str) -> Vec<u8> {
    let mut partial = Vec::new();
    wire::put_tag_varint(&mut partial, 1);
    wire::put_varint(&mut partial, records);
    wire::put_tag_bytes(&mut partial, 2);
    wire::put_varint(&mut partial, why.len() as u64);
    partial.extend_from_slice(why.as_bytes());
    let mut message = Vec::new();
    wire::put_tag_bytes(&mut message, 1);
    wire::put_varint(&mut message, partial.len() as u64);
    message.extend_from_slice(&partial);
    message
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.message, &self.trailers) {
            (Some(whole), None) => SizeHint::with_exact(whole.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
