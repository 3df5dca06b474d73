//! One gRPC message out of a request body, within the memory reserved for it.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use hyper::body::Incoming;
use tonic::Code;

use super::body::{Message, MessageSettings, arrives_by, next_data, reserve};
use super::logs_service::Refusal;
use crate::budget::Shares;
use crate::telemetry::{RejectReason, SourceStats};

/// The length of a message must have arrived by then; until then it holds nothing.
const LENGTH_WITHIN: Duration = Duration::from_secs(10);
/// Compression flag and length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(super) const HEADER_BYTES: usize = 5;

/// Receives the one message of a unary request, waiting for memory until `hold_until`. Cancel-safe:
/// what is dropped was not taken.
pub(super) async fn receive(
    body: &mut Incoming,
    settings: MessageSettings,
    shares: &Shares,
    stats: &SourceStats,
    hold_until: Instant,
) -> Result<Message, Refusal> {
    let mut start = BytesMut::new();
    let deadline = Instant::now() + LENGTH_WITHIN;
    let first = loop {
        let Some(data) = next_data(body, deadline, stats).await? else { return Err(too_short()) };
        if start.is_empty() && data.len() >= HEADER_BYTES {
            break data;
        }
        start.extend_from_slice(&data);
        if start.len() >= HEADER_BYTES {
            break start.split().freeze();
        }
    };
    let (compressed, length) = header(&first, settings.message_max)?;
    let (held, waited) = reserve(length, compressed, settings, shares, hold_until).await?;

    let deadline = arrives_by(length);
    let mut first = first.slice(HEADER_BYTES..);
    if first.is_empty() && length > 0 {
        // The header in a frame of its own: the message may still come in one.
        first = next_data(body, deadline, stats).await?.ok_or_else(too_short)?;
    }
    let bytes = if first.len() >= length {
        first
    } else {
        let mut collected = BytesMut::with_capacity(length);
        collected.extend_from_slice(&first);
        while collected.len() < length {
            let Some(data) = next_data(body, deadline, stats).await? else { return Err(too_short()) };
            if collected.len() + data.len() > length {
                return Err(more_than_one());
            }
            collected.extend_from_slice(&data);
        }
        collected.freeze()
    };
    if bytes.len() > length || next_data(body, deadline, stats).await?.is_some_and(|data| !data.is_empty()) {
        return Err(more_than_one());
    }
    Ok(Message { bytes, compressed, held, waited })
}

/// Whether the message is compressed, and its length.
pub(super) fn header(bytes: &[u8], message_max: usize) -> Result<(bool, usize), Refusal> {
    let (flag, length) = match bytes {
        [flag, a, b, c, d, ..] => (*flag, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        _ => return Err(too_short()),
    };
    if flag > 1 {
        let why = "the message does not begin with a gRPC length";
        return Err(Refusal::new(Code::InvalidArgument, RejectReason::Malformed, why));
    }
    if length > message_max {
        let why = format!("a message of {length} bytes is over message_max, {message_max} bytes");
        return Err(Refusal::new(Code::ResourceExhausted, RejectReason::TooLarge, &why));
    }
    Ok((flag == 1, length))
}

pub(super) fn too_short() -> Refusal {
    Refusal::new(Code::InvalidArgument, RejectReason::Malformed, "the message is shorter than its length says")
}

fn more_than_one() -> Refusal {
    Refusal::new(Code::InvalidArgument, RejectReason::Malformed, "the request holds more than one message")
}
