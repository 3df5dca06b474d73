//! One gRPC message out of a request body, within the memory reserved for it.
//!
//! Memory is reserved once, when the length is known, for all that the message is going to need:
//! who held a part and waited for more could wait for ever. In return a message must arrive at a
//! minimal speed, so that nobody holds memory by announcing much and sending little.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::Code;

use super::inflate::expected_bytes;
use super::logs_service::{Refusal, overloaded};
use crate::budget::{Reservation, Shares};
use crate::telemetry::{RejectReason, SourceStats};

/// The length of a message must have arrived by then; until then it holds nothing.
const LENGTH_WITHIN: Duration = Duration::from_secs(10);
/// A message must arrive within a second and as long as this many bytes a second take: 33 seconds
/// for 16 MiB.
const BYTES_PER_SECOND_MIN: u64 = 512 << 10;
/// Compression flag and length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(super) const HEADER_BYTES: usize = 5;

/// How messages are received.
#[derive(Clone, Copy, Debug)]
pub struct MessageSettings {
    /// Largest message, compressed or not.
    pub message_max: usize,
    /// Bytes needed beyond the message, to decode and encode it.
    pub work_bytes: usize,
}

/// A received message.
#[derive(Debug)]
pub struct Message {
    /// As it came.
    pub bytes: Bytes,
    /// It has to be inflated.
    pub compressed: bool,
    /// Memory for it, for what it is expected to inflate to, and for the work on it.
    pub held: Reservation,
    /// How long it waited for that memory.
    pub waited: Duration,
}

/// Receives the one message of a unary request, waiting for memory until `hold_until`. Cancel-safe:
/// what is dropped was not taken.
pub async fn receive(
    mut body: Incoming,
    settings: MessageSettings,
    shares: &Shares,
    stats: &SourceStats,
    hold_until: Instant,
) -> Result<Message, Refusal> {
    let mut start = BytesMut::new();
    let deadline = Instant::now() + LENGTH_WITHIN;
    let first = loop {
        let Some(data) = next_data(&mut body, deadline, stats).await? else { return Err(too_short()) };
        if start.is_empty() && data.len() >= HEADER_BYTES {
            break data;
        }
        start.extend_from_slice(&data);
        if start.len() >= HEADER_BYTES {
            break start.split().freeze();
        }
    };
    let (compressed, length) = header(&first, settings.message_max)?;
    let inflated = if compressed { expected_bytes(length, settings.message_max) } else { 0 };
    let began = Instant::now();
    let share = shares.for_request(length.max(inflated));
    let reserve = share.reserve(length + inflated + settings.work_bytes);
    let held = tokio::time::timeout_at(hold_until.into(), reserve)
        .await
        .map_err(|_| overloaded("the memory for requests is in use"))?;
    let waited = began.elapsed();

    let deadline = arrives_by(length);
    let mut first = first.slice(HEADER_BYTES..);
    if first.is_empty() && length > 0 {
        // The header in a frame of its own: the message may still come in one.
        first = next_data(&mut body, deadline, stats).await?.ok_or_else(too_short)?;
    }
    let bytes = if first.len() >= length {
        first
    } else {
        let mut collected = BytesMut::with_capacity(length);
        collected.extend_from_slice(&first);
        while collected.len() < length {
            let Some(data) = next_data(&mut body, deadline, stats).await? else { return Err(too_short()) };
            if collected.len() + data.len() > length {
                return Err(more_than_one());
            }
            collected.extend_from_slice(&data);
        }
        collected.freeze()
    };
    if bytes.len() > length || next_data(&mut body, deadline, stats).await?.is_some_and(|data| !data.is_empty()) {
        return Err(more_than_one());
    }
    Ok(Message { bytes, compressed, held, waited })
}

/// When a message that begins now must have arrived.
pub(super) fn arrives_by(length: usize) -> Instant {
    Instant::now() + Duration::from_secs(1) + Duration::from_secs(length as u64 / BYTES_PER_SECOND_MIN)
}

/// The next bytes of the body; `None` at its end.
pub(super) async fn next_data(
    body: &mut Incoming,
    deadline: Instant,
    stats: &SourceStats,
) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = tokio::time::timeout_at(deadline.into(), body.frame()).await.map_err(|_| {
            Refusal::new(Code::DeadlineExceeded, RejectReason::Other, "the message did not arrive in time")
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    stats.count_bytes(data.len() as u64);
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                return Err(Refusal::new(Code::Cancelled, RejectReason::Other, &error.to_string()));
            }
        }
    }
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
