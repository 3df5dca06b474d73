//! Inflating a request within its limit and within what was reserved for it, whatever the
//! compressed bytes promise.

use std::io::{self, Read};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use tokio::sync::Semaphore;
use tonic::Code;

use super::body::MessageSettings;
use super::logs_service::{Refusal, overloaded};
use crate::budget::{Reservation, Shares};
use crate::telemetry::RejectReason;

/// Bytes inflated between two looks at limit and budget.
const STEP: usize = 64 << 10;
/// Largest zstd window accepted, as a power of two: 8 MiB, what `zstd -19` uses. The decoder
/// allocates it before the first byte comes out.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Messages that are inflated at a time. Each may need a window beside what comes out.
const TURNS_MAX: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(TURNS_MAX);
/// Memory that inflating takes beside the messages.
pub const INFLATE_BYTES_MAX: usize = TURNS_MAX * ((1 << ZSTD_WINDOW_LOG_MAX) + 8 * STEP);

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inflate {
    /// gzip, also several members in a row.
    Gzip,
    /// Zstandard.
    Zstd,
    /// zlib, which HTTP calls deflate (RFC 9110, section 8.4.1.2), or deflate alone, which some clients
    /// send under that name.
    Deflate,
}

impl Inflate {
    /// Inflates a message. `held` has room for it, for [`expected_bytes`] and for the work. A message
    /// that turns out larger is first measured, without keeping it: one over the limit is refused
    /// having cost time and no memory, another exchanges `held` for what it needs, waiting until
    /// `hold_until`. At most two wait so, each with at most a twelfth of the limit in hand.
    pub async fn run(
        self,
        bytes: &Bytes,
        settings: MessageSettings,
        shares: &Shares,
        held: &mut Reservation,
        hold_until: Instant,
    ) -> Result<Bytes, Refusal> {
        let message_max = settings.message_max;
        let _turn = tokio::time::timeout_at(hold_until.into(), TURNS.acquire())
            .await
            .map_err(|_| overloaded("other messages are being inflated"))?;
        let expected = expected_bytes(bytes.len(), message_max);
        if let Whole::Yes(message) = read(&mut self.decoder(bytes)?, expected).await? {
            return Ok(message);
        }
        let Some(length) = measure(&mut self.decoder(bytes)?, message_max).await? else {
            let why = format!("the message inflates to more than message_max, {message_max} bytes");
            return Err(Refusal::new(Code::ResourceExhausted, RejectReason::TooLarge, &why));
        };
        // Given back first: who holds a part and waits for more can wait for itself.
        *held = Reservation::default();
        let reserve = shares.for_request(length).reserve(settings.needed(bytes.len(), Some(length)));
        *held = tokio::time::timeout_at(hold_until.into(), reserve)
            .await
            .map_err(|_| overloaded("the memory for requests is in use"))?;
        match read(&mut self.decoder(bytes)?, length).await? {
            Whole::Yes(message) => Ok(message),
            Whole::No => Err(Refusal::new(Code::Internal, RejectReason::Other, "the message changed its length")),
        }
    }

    fn decoder(self, bytes: &Bytes) -> Result<Box<dyn Read + Send + '_>, Refusal> {
        Ok(match self {
            Inflate::Gzip => Box::new(MultiGzDecoder::new(&bytes[..])),
            Inflate::Deflate if is_zlib(bytes) => Box::new(ZlibDecoder::new(&bytes[..])),
            Inflate::Deflate => Box::new(DeflateDecoder::new(&bytes[..])),
            Inflate::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..]).and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    Ok(decoder)
                });
                Box::new(decoder.map_err(|error| broken(&error))?)
            }
        })
    }
}

/// True for the two bytes that zlib begins with (RFC 1950, section 2.2). As the beginning of deflate
/// alone they would be a block that no encoder writes.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

/// What a compressed message of so many bytes usually becomes, and no more than it may: access logs
/// shrink to a tenth.
#[must_use]
pub fn expected_bytes(compressed: usize, message_max: usize) -> usize {
    (STEP + 12 * compressed).min(message_max)
}

enum Whole {
    Yes(Bytes),
    No,
}

/// The message, if it has at most `length` bytes.
async fn read(decoder: &mut (dyn Read + Send + '_), length: usize) -> Result<Whole, Refusal> {
    let mut out = BytesMut::with_capacity(length + 1);
    loop {
        let filled = out.len();
        // One byte more than the message may have shows whether there is more.
        let step = STEP.min(length + 1 - filled);
        out.resize(filled + step, 0);
        let read = fill(decoder, &mut out[filled..]).map_err(|error| broken(&error))?;
        out.truncate(filled + read);
        if out.len() > length {
            return Ok(Whole::No);
        }
        if read < step {
            return Ok(Whole::Yes(out.freeze()));
        }
        // A bomb is worth milliseconds of computing; others may run in between.
        tokio::task::yield_now().await;
    }
}

/// How long the message is, or `None` when it is longer than `length_max`.
async fn measure(decoder: &mut (dyn Read + Send + '_), length_max: usize) -> Result<Option<usize>, Refusal> {
    let mut scratch = vec![0; STEP];
    let mut length = 0;
    loop {
        let read = fill(decoder, &mut scratch).map_err(|error| broken(&error))?;
        length += read;
        if length > length_max {
            return Ok(None);
        }
        if read < STEP {
            return Ok(Some(length));
        }
        tokio::task::yield_now().await;
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(decoder: &mut (dyn Read + Send + '_), buffer: &mut [u8]) -> io::Result<usize> {
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
