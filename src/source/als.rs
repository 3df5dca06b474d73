//! Envoy's access-log service: messages stream in, no answer goes out until the end
//! (envoy.service.accesslog.v3). It comes to the ports of OTLP.
//!
//! Envoy waits for nothing and repeats nothing: what is on its way when a connection breaks is lost, and
//! what it cannot send for want of window it drops and counts (`logs_dropped`). So a full sink holds a
//! stream back as it does a connection of lines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::Code;

use super::inflate::{Inflate, expected_bytes};
use super::logs_service::{LogsService, Refusal, overloaded};
use super::message::{HEADER_BYTES, MessageSettings, arrives_by, header, next_data, too_short};
use super::stop::Stop;
use crate::budget::Reservation;
use crate::decode::als;
use crate::decode::wire::Malformed;
use crate::telemetry::{RejectReason, SourceStats};

/// The method.
pub const STREAM_ACCESS_LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/// As Envoy before 1.18 may call it: the messages are the same.
const STREAM_ACCESS_LOGS_V2: &str = "/envoy.service.accesslog.v2.AccessLogService/StreamAccessLogs";
/// Streams of one source at a time. An Envoy has one for each log and worker thread.
pub(super) const STREAMS_MAX: usize = 4096;
/// Once the source is to stop, a stream on which nothing comes for so long has nothing on its way.
const QUIET: Duration = Duration::from_millis(50);
/// Then a stream is read until it is quiet, at most for so long.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// How long a compressed message may wait for its turn to be inflated.
const INFLATE_WAIT_MAX: Duration = Duration::from_secs(30);

/// True for the path of the method.
pub(super) fn is_access_logs(path: &str) -> bool {
    [STREAM_ACCESS_LOGS, STREAM_ACCESS_LOGS_V2].contains(&path)
}

impl LogsService {
    /// Takes the entries of a stream until its client ends it, or until `stop` is told: Envoy opens another
    /// one, perhaps elsewhere.
    ///
    /// # Errors
    /// A message is not what it should be; the entries before it have been taken.
    pub(super) async fn access_logs(
        &self,
        request: Request<Incoming>,
        peer: Option<SocketAddr>,
        stop: &Stop,
    ) -> Result<(), Refusal> {
        let Ok(_permit) = self.streams.try_acquire() else { return Err(overloaded("too many streams are open")) };
        let inflate = Inflate::from_header(request.headers().get("grpc-encoding"))?;
        let mut messages = Messages { body: request.into_body(), rest: BytesMut::new() };
        let mut stream = als::Stream::default();
        let mut until = None;
        loop {
            let begun = tokio::select! {
                begun = messages.begun(self.stats()) => begun?,
                () = stop.told(), if until.is_none() => {
                    until = Some(Instant::now() + DRAIN_MAX);
                    continue;
                }
                () = quiet(until) => false,
            };
            if !begun {
                return Ok(());
            }
            self.entries(&mut messages, inflate, &mut stream, peer).await?;
        }
    }

    /// Takes one message. Waiting for memory and sinks holds the stream back.
    async fn entries(
        &self,
        messages: &mut Messages,
        inflate: Option<Inflate>,
        stream: &mut als::Stream,
        peer: Option<SocketAddr>,
    ) -> Result<(), Refusal> {
        let stage = self.live().load().await;
        let settings = MessageSettings { message_max: stage.message_max, work_bytes: stage.intake.work_bytes() };
        let (compressed, length) = header(&messages.rest, settings.message_max)?;
        let inflated = if compressed { expected_bytes(length, settings.message_max) } else { 0 };
        // The parts beside the message: at most so much, and of a small message a part is small.
        let work_bytes = settings.work_bytes + als::WORK_BYTES.min(als::GROWTH_MAX * length.max(inflated) + 4096);
        let settings = MessageSettings { work_bytes, ..settings };
        let share = stage.shares.for_request(length.max(inflated));
        let mut held = share.reserve(length + inflated + work_bytes).await;
        let bytes = messages.message(length, self.stats()).await?;
        let bytes = match (compressed, inflate) {
            (false, _) => bytes,
            (true, Some(inflate)) => {
                let until = Instant::now() + INFLATE_WAIT_MAX;
                inflate.run(&bytes, settings, &stage.shares, &mut held, until).await?
            }
            (true, None) => {
                let why = "the message says it is compressed and grpc-encoding does not say how";
                return Err(Refusal::new(Code::InvalidArgument, RejectReason::Malformed, why));
            }
        };
        let mut entries = stream.begin(&bytes).map_err(malformed)?;
        while let Some(part) = stream.part(&mut entries).map_err(malformed)? {
            // What is held covers all parts, one after the other.
            let held = Reservation::default();
            if let Err(refusal) = self.taken(Bytes::from(part), peer, Arc::clone(&stage), held, None).await {
                // Nobody waits for an answer; the entries that follow may be taken.
                self.refused(refusal, peer);
            }
        }
        drop(held);
        Ok(())
    }
}

fn malformed(error: Malformed) -> Refusal {
    let why = format!("not a StreamAccessLogsMessage: {} at byte {}", error.defect, error.at);
    Refusal::new(Code::InvalidArgument, RejectReason::Malformed, &why)
}

/// Ends when nothing has come for a while and the stream is to end; never before.
async fn quiet(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.min(Instant::now() + QUIET).into()).await,
        None => std::future::pending().await,
    }
}

/// The messages of a stream, one after the other.
struct Messages {
    body: Incoming,
    /// Received and not read yet: at most a frame of HTTP/2, and what of a message was there before.
    rest: BytesMut,
}

impl Messages {
    /// Waits for the beginning of the next message, for ever: an idle stream is nothing unusual. False when there
    /// is none any more. Cancel-safe.
    async fn begun(&mut self, stats: &SourceStats) -> Result<bool, Refusal> {
        while self.rest.len() < HEADER_BYTES {
            let Some(frame) = self.body.frame().await else {
                return if self.rest.is_empty() { Ok(false) } else { Err(too_short()) };
            };
            let frame =
                frame.map_err(|error| Refusal::new(Code::Cancelled, RejectReason::Other, &error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                stats.count_bytes(data.len() as u64);
                self.rest.extend_from_slice(&data);
            }
        }
        Ok(true)
    }

    /// The message that has begun, of so many bytes. It must go on arriving.
    async fn message(&mut self, length: usize, stats: &SourceStats) -> Result<Bytes, Refusal> {
        let deadline = arrives_by(length);
        while self.rest.len() < HEADER_BYTES + length {
            let data = next_data(&mut self.body, deadline, stats).await?.ok_or_else(too_short)?;
            self.rest.extend_from_slice(&data);
        }
        self.rest.advance(HEADER_BYTES);
        Ok(self.rest.split_to(length).freeze())
    }
}
