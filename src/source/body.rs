//! What a request carries, received within the memory reserved for it.
//!
//! Memory is reserved once, when the length is known, for all that the message is going to need:
//! who held a part and waited for more could wait for ever. In return a message must arrive at a
//! minimal speed, so that nobody holds memory by announcing much and sending little.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tonic::Code;

use super::inflate::expected_bytes;
use super::logs_service::{Refusal, overloaded};
use crate::budget::{Reservation, Shares};
use crate::telemetry::{RejectReason, SourceStats};

/// A message must arrive within a second and as long as this many bytes a second take: 33 seconds
/// for 16 MiB.
const BYTES_PER_SECOND_MIN: u64 = 512 << 10;
/// What is reserved for a body that does not say how long it is. One that turns out longer gets as
/// much as a body may have.
const UNSIZED_BYTES: usize = 64 << 10;
/// Bodies that wait for more than they have at a time. Each has [`UNSIZED_BYTES`] in hand that
/// nobody counts.
const GROWING_MAX: usize = 2;
static GROWING: Semaphore = Semaphore::const_new(GROWING_MAX);
/// Memory that such bodies take beside what is reserved.
pub const UNSIZED_BYTES_MAX: usize = GROWING_MAX * UNSIZED_BYTES;

/// How messages are received.
#[derive(Clone, Copy, Debug)]
pub struct MessageSettings {
    /// Largest message, compressed or not.
    pub message_max: usize,
    /// Bytes needed beyond the message, to decode and encode it.
    pub work_bytes: usize,
    /// How often the whole message, inflated, is in memory at a time: twice when it is rewritten.
    pub copies: usize,
}

impl MessageSettings {
    /// Bytes to reserve for a message of `length` bytes that inflates to `inflated`, or is not
    /// compressed.
    #[must_use]
    pub fn needed(&self, length: usize, inflated: Option<usize>) -> usize {
        let whole = inflated.unwrap_or(length);
        let compressed = if inflated.is_some() { length } else { 0 };
        compressed + self.copies * whole + self.work_bytes
    }
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

/// Reserves what a message of this length needs, waiting until `hold_until`. Returns how long it
/// waited, too.
pub(super) async fn reserve(
    length: usize,
    compressed: bool,
    settings: MessageSettings,
    shares: &Shares,
    hold_until: Instant,
) -> Result<(Reservation, Duration), Refusal> {
    let inflated = compressed.then(|| expected_bytes(length, settings.message_max));
    let began = Instant::now();
    let share = shares.for_request(length.max(inflated.unwrap_or(0)));
    let reserve = share.reserve(settings.needed(length, inflated));
    let held = tokio::time::timeout_at(hold_until.into(), reserve)
        .await
        .map_err(|_| overloaded("the memory for requests is in use"))?;
    Ok((held, began.elapsed()))
}

/// When a message of this length must have arrived, if it begins now.
pub(super) fn arrives_by(length: usize) -> Instant {
    Instant::now() + Duration::from_secs(1) + Duration::from_secs(length as u64 / BYTES_PER_SECOND_MIN)
}

/// Receives the whole body as one message, waiting for memory until `hold_until`. Cancel-safe: what
/// is dropped was not taken.
pub(super) async fn receive(
    body: &mut Incoming,
    compressed: bool,
    settings: MessageSettings,
    shares: &Shares,
    stats: &SourceStats,
    hold_until: Instant,
) -> Result<Message, Refusal> {
    let announced = body.size_hint().exact().map(|it| usize::try_from(it).unwrap_or(usize::MAX));
    let mut room = announced.unwrap_or(UNSIZED_BYTES.min(settings.message_max));
    if room > settings.message_max {
        return Err(too_large(settings.message_max));
    }
    let (mut held, mut waited) = reserve(room, compressed, settings, shares, hold_until).await?;
    let mut deadline = arrives_by(room);
    let mut collected = BytesMut::new();
    while let Some(data) = next_data(body, deadline, stats).await? {
        if collected.len() + data.len() > room {
            if room == settings.message_max || announced.is_some() {
                return Err(too_large(settings.message_max));
            }
            let _turn = tokio::time::timeout_at(hold_until.into(), GROWING.acquire())
                .await
                .map_err(|_| overloaded("other requests without a length are received"))?;
            // Given back first: who holds a part and waits for more can wait for itself.
            drop(std::mem::take(&mut held));
            room = settings.message_max;
            let more;
            (held, more) = reserve(room, compressed, settings, shares, hold_until).await?;
            waited += more;
            deadline = arrives_by(room);
            if collected.len() + data.len() > room {
                return Err(too_large(settings.message_max));
            }
        }
        if announced == Some(data.len()) && collected.is_empty() {
            // In one piece: nothing to put together. What follows is the end, or an error.
            match next_data(body, deadline, stats).await? {
                None => return Ok(Message { bytes: data, compressed, held, waited }),
                Some(more) if more.is_empty() => collected.extend_from_slice(&data),
                Some(_) => return Err(too_large(settings.message_max)),
            }
            continue;
        }
        // What has no length grows by doubling, and never beyond its room.
        let wanted = announced.unwrap_or(collected.len().max(data.len())).min(room - collected.len());
        if collected.capacity() - collected.len() < data.len() {
            collected.reserve(wanted.max(data.len()));
        }
        collected.extend_from_slice(&data);
    }
    Ok(Message { bytes: collected.freeze(), compressed, held, waited })
}

/// Reads and forgets what is left of a body, within bounds: a client that is still sending when its
/// connection is closed may never see the answer.
pub(super) async fn discard(body: &mut Incoming) {
    const BYTES_MAX: usize = 64 << 20;
    const WITHIN: Duration = Duration::from_secs(2);
    let rest = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > BYTES_MAX {
                return;
            }
        }
    };
    let _late = tokio::time::timeout(WITHIN, rest).await;
}

/// Bodies that are left, at a time; what comes beyond is ended at once.
const LEFT_MAX: usize = 1024;
static LEFT: Semaphore = Semaphore::const_new(LEFT_MAX);

/// Ends what a refused client sends, though not before it can have read the answer: a stream of HTTP/2 that ends while its
/// client sends ends with a reset, and there are clients (curl 7.88) that then forget the answer they have. A small rest is
/// read and forgotten; of a large one no more comes than the window allows.
pub(super) fn leave(mut body: Incoming) {
    const BYTES_MAX: usize = 64 << 10;
    const WITHIN: Duration = Duration::from_secs(1);
    if body.is_end_stream() {
        return;
    }
    let Ok(left) = LEFT.try_acquire() else { return };
    tokio::spawn(async move {
        let rest = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > BYTES_MAX {
                    return std::future::pending().await;
                }
            }
        };
        let _late = tokio::time::timeout(WITHIN, rest).await;
        drop(left);
    });
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

fn too_large(message_max: usize) -> Refusal {
    let why = format!("a body of more than message_max, {message_max} bytes");
    Refusal::new(Code::ResourceExhausted, RejectReason::TooLarge, &why)
}
