//! Inflating a request in bounded steps: neither the message limit nor the memory budget is
//! exceeded by more than one step, whatever the compressed bytes promise.

use std::io::{self, Read};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::HeaderValue;
use tonic::{Code, Status};

use super::logs_service::Refusal;
use crate::budget::{Budget, Reservation};
use crate::telemetry::RejectReason;

/// Bytes inflated between two looks at limit and budget.
const STEP: usize = 64 << 10;
/// Largest zstd window accepted, as a power of two: 8 MiB, what `zstd -19` uses. The decoder
/// allocates it before the first byte comes out.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inflate {
    /// gzip, also several members in a row.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// What came out.
#[derive(Debug)]
pub struct Inflated {
    /// The message.
    pub bytes: Bytes,
    /// The memory it occupies.
    pub reservation: Reservation,
}

impl Inflate {
    /// What the `grpc-encoding` header asks for; `None` for no compression.
    pub fn from_header(header: Option<&HeaderValue>) -> Result<Option<Inflate>, Refusal> {
        match header.map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(None),
            Some(b"gzip") => Ok(Some(Inflate::Gzip)),
            Some(b"zstd") => Ok(Some(Inflate::Zstd)),
            Some(other) => {
                let other = String::from_utf8_lossy(&other[..other.len().min(32)]).escape_debug().to_string();
                let mut status =
                    Status::unimplemented(format!("grpc-encoding {other} is not among identity, gzip, zstd"));
                status
                    .metadata_mut()
                    .insert("grpc-accept-encoding", tonic::metadata::MetadataValue::from_static("identity,gzip,zstd"));
                Err(Refusal { status, reason: RejectReason::Malformed, records: 1 })
            }
        }
    }

    /// Inflates `bytes` to at most `message_max`, reserving as it goes and waiting for memory
    /// until `hold_until`.
    pub async fn run(
        self,
        bytes: &[u8],
        message_max: usize,
        budget: &Budget,
        hold_until: Instant,
    ) -> Result<Inflated, Refusal> {
        match self {
            Inflate::Gzip => steps(MultiGzDecoder::new(bytes), message_max, budget, hold_until).await,
            Inflate::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(bytes).and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    Ok(decoder)
                });
                steps(decoder.map_err(|error| broken(&error))?, message_max, budget, hold_until).await
            }
        }
    }
}

async fn steps(
    mut decoder: impl Read,
    message_max: usize,
    budget: &Budget,
    hold_until: Instant,
) -> Result<Inflated, Refusal> {
    let mut out = BytesMut::new();
    let mut reservation = Reservation::default();
    loop {
        if out.len() + STEP > reservation.bytes() {
            // Growing is copying: for a moment both are there, so for that long both are paid for.
            let bytes = (2 * out.len()).clamp(STEP, message_max + STEP);
            let larger = tokio::time::timeout_at(hold_until.into(), budget.reserve(bytes))
                .await
                .map_err(|_| super::logs_service::overloaded("the memory budget is in use"))?;
            let mut grown = BytesMut::with_capacity(bytes);
            grown.extend_from_slice(&out);
            out = grown;
            reservation = larger;
        }
        let filled = out.len();
        out.resize(filled + STEP, 0);
        let length = fill(&mut decoder, &mut out[filled..]).map_err(|error| broken(&error))?;
        out.truncate(filled + length);
        if out.len() > message_max {
            let why = format!("the message inflates to more than message_max, {message_max} bytes");
            return Err(Refusal::new(Code::ResourceExhausted, RejectReason::TooLarge, &why));
        }
        if length < STEP {
            reservation.shrink_to(out.len());
            return Ok(Inflated { bytes: out.freeze(), reservation });
        }
        // A bomb is worth milliseconds of computing; others may run in between.
        tokio::task::yield_now().await;
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(decoder: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match decoder.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn broken(error: &io::Error) -> Refusal {
    Refusal::new(Code::InvalidArgument, RejectReason::Malformed, &format!("the message does not inflate: {error}"))
}
