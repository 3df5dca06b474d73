//! The gRPC method `LogsService/Export`, and how its requests are answered.
//!
//! The framing is done here and not by tonic's codec, for three reasons: memory is reserved
//! while a message arrives and not after it has; a message over the limit is answered
//! RESOURCE_EXHAUSTED, which clients must not retry (OTLP specification, "Failures"), where
//! tonic says OUT_OF_RANGE, which they do; and inflating stops at the limit and at the budget.
//! A message that came in one HTTP/2 frame is never copied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::als::{STREAM_ACCESS_LOGS, STREAMS_MAX, is_access_logs};
use super::inflate::Inflate;
use super::lines::unix_nano_now;
use super::live::{Live, Stage};
use super::message::{Message, MessageSettings, receive};
use super::otlp::OtlpConfig;
use super::reply::Reply;
use super::stop::Stop;
use crate::batch::Origin;
use crate::budget::{Reservation, Shares};
use crate::decode::otlp::{self, CheckError, CheckErrorKind, Limits, Summary};
use crate::intake::{Intake, Receipt};
use crate::telemetry::{GrpcCode, Quiet, RejectReason, RepairReason, SourceStats};

/// The method, as HTTP/2 spells it.
pub const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Requests handled at a time, all connections together. Each waiting one costs a few KiB.
const REQUESTS_MAX: usize = 4096;
/// What a client is told to wait when there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers `Export`.
#[derive(Debug)]
pub struct LogsService {
    stats: Arc<SourceStats>,
    live: Live<OtlpStage>,
    free: Semaphore,
    /// Streams of access logs that may begin.
    pub(super) streams: Semaphore,
    in_flight: TaskTracker,
    malformed: Quiet,
    over_limit: Quiet,
    overloaded: Quiet,
}

/// What a reload replaces: each request looks it up when it begins.
#[derive(Debug)]
pub struct OtlpStage {
    pub(super) intake: Intake,
    pub(super) shares: Shares,
    pub(super) message_max: usize,
    limits: Limits,
    hold_max: Duration,
}

impl OtlpStage {
    /// Requests go to `intake`, their memory is taken from `shares`.
    #[must_use]
    pub fn new(settings: &OtlpConfig, intake: Intake, shares: Shares) -> OtlpStage {
        OtlpStage {
            intake,
            shares,
            message_max: settings.message_max.bytes(),
            limits: Limits { records_max: settings.records_max, ..Limits::default() },
            hold_max: settings.hold_max.0,
        }
    }
}

/// Why a request was not taken.
#[derive(Debug)]
pub struct Refusal {
    /// The answer.
    pub status: Status,
    /// For the counters.
    pub reason: RejectReason,
    /// Records that were not taken in; one for a request that could not be counted.
    pub records: u64,
}

impl LogsService {
    /// A service of the source with these counters.
    #[must_use]
    pub fn new(stats: Arc<SourceStats>, stage: OtlpStage) -> LogsService {
        LogsService {
            stats,
            live: Live::new(stage),
            free: Semaphore::new(REQUESTS_MAX),
            streams: Semaphore::new(STREAMS_MAX),
            in_flight: TaskTracker::new(),
            malformed: Quiet::default(),
            over_limit: Quiet::default(),
            overloaded: Quiet::default(),
        }
    }

    /// What requests look up.
    #[must_use]
    pub fn live(&self) -> &Live<OtlpStage> {
        &self.live
    }

    /// Counters of the source.
    #[must_use]
    pub fn stats(&self) -> &Arc<SourceStats> {
        &self.stats
    }

    /// Waits for what was still on its way to the sinks when its client hung up.
    pub async fn finish(&self) {
        self.in_flight.close();
        self.in_flight.wait().await;
        self.in_flight.reopen();
    }

    /// Answers one request. A stream ends when `stop` says so, a request when it is answered. Cancel-safe: what
    /// has been received goes on to the sinks.
    pub async fn call(&self, request: Request<Incoming>, peer: Option<SocketAddr>, stop: &Stop) -> Response<Reply> {
        if let Some(wrong) = wrong_request(&request) {
            return wrong;
        }
        let answer = if is_access_logs(request.uri().path()) {
            self.access_logs(request, peer, stop).await.map(|()| Rejected::default())
        } else {
            self.export(request, peer).await
        };
        match answer {
            Ok(rejected) => {
                self.stats().count_request(GrpcCode::Ok);
                Reply::message(&rejected)
            }
            Err(refusal) => {
                let status = self.refused(refusal, peer);
                self.stats().count_request(GrpcCode::from_number(status.code() as i32));
                status.into_http()
            }
        }
    }

    /// Counts and logs what was not taken.
    pub(super) fn refused(&self, refusal: Refusal, peer: Option<SocketAddr>) -> Status {
        let Refusal { status, reason, records } = refusal;
        self.stats().count_rejected(reason, records);
        self.log(&status, peer);
        status
    }

    async fn export(&self, request: Request<Incoming>, peer: Option<SocketAddr>) -> Result<Rejected, Refusal> {
        let Ok(_permit) = self.free.try_acquire() else { return Err(overloaded("too many requests are waiting")) };
        let inflate = Inflate::from_header(request.headers().get("grpc-encoding"))?;
        let stage = self.live.load().await;
        let patience = Patience::new(&request, stage.hold_max);
        let settings = MessageSettings { message_max: stage.message_max, work_bytes: stage.intake.work_bytes() };
        let message = receive(request.into_body(), settings, &stage.shares, self.stats(), patience.until());
        let Message { bytes, compressed, mut held, waited } = message.await?;
        let hold_until = patience.less(waited).until();
        let payload = match (compressed, inflate) {
            (false, _) => bytes,
            (true, Some(inflate)) => inflate.run(&bytes, settings, &stage.shares, &mut held, hold_until).await?,
            (true, None) => {
                let why = "the message says it is compressed and grpc-encoding does not say how";
                return Err(Refusal::new(Code::InvalidArgument, RejectReason::Malformed, why));
            }
        };
        self.taken(payload, peer, stage, held, Some(hold_until)).await
    }

    /// Hands a payload on to the sinks, whatever protocol brought it. `held` has room for it and for the work on it;
    /// `hold_until` is what [`Intake::otlp`] makes of it.
    pub(super) async fn taken(
        &self,
        payload: Bytes,
        peer: Option<SocketAddr>,
        stage: Arc<Stage<OtlpStage>>,
        held: Reservation,
        hold_until: Option<Instant>,
    ) -> Result<Rejected, Refusal> {
        let summary = otlp::check(&payload, &stage.limits).map_err(Refusal::from)?;
        if summary.records == 0 {
            return Ok(Rejected::default());
        }
        let origin = Origin { source: Arc::clone(self.stats().name()), peer, received_unix_nano: unix_nano_now() };
        self.stats().count_repaired(RepairReason::InvalidUtf8, u64::from(summary.repaired_records));
        self.stats().count_repaired(RepairReason::InvalidId, u64::from(summary.invalid_ids));
        let rejected = self.oversized(&summary, &stage.limits, peer);
        let records = u64::from(summary.records) - rejected.records;
        let payload = if summary.needs_repair() { repair(&payload, &stage)? } else { payload };
        let taking = async move { stage.intake.otlp(payload, records, origin, held, hold_until).await };
        match self.finish_even_if_cancelled(taking).await {
            Ok(Receipt::Accepted) => Ok(rejected),
            // The records were received, and the sink has counted what it missed.
            Ok(Receipt::Missed) => Err(Refusal { records: 0, ..overloaded("a sink has no room") }),
            Ok(Receipt::NotStored(error)) => Err(Refusal { records, ..overloaded(&error.to_string()) }),
            // They count as received, and a sink may have them.
            Ok(Receipt::NotKept(error)) => Err(Refusal { records: 0, ..overloaded(&error.to_string()) }),
            Err(error) => Err(Refusal::new(Code::Internal, RejectReason::Other, &error.to_string())),
        }
    }

    /// Takes what needs no waiting at once; the rest in a task of its own: a client that hangs up
    /// takes its request down, not its records.
    async fn finish_even_if_cancelled(
        &self,
        taking: impl Future<Output = Receipt> + Send + 'static,
    ) -> Result<Receipt, tokio::task::JoinError> {
        let mut taking = Box::pin(taking);
        let first = std::future::poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        match first {
            Poll::Ready(receipt) => Ok(receipt),
            Poll::Pending => self.in_flight.spawn(taking).await,
        }
    }

    /// Records that are refused for good, while the rest of the request is taken.
    fn oversized(&self, summary: &Summary, limits: &Limits, peer: Option<SocketAddr>) -> Rejected {
        let records = u64::from(summary.oversized_records);
        if records == 0 {
            return Rejected::default();
        }
        self.stats().count_rejected(RejectReason::RecordTooLarge, records);
        let why = format!("log records of more than {} bytes are not taken", limits.record_bytes_max);
        if let Some(suppressed) = self.over_limit.allow() {
            tracing::warn!(source = %self.stats().name(), ?peer, records, why, suppressed, "records refused");
        }
        Rejected { records, why }
    }

    fn log(&self, status: &Status, peer: Option<SocketAddr>) {
        let quiet = match status.code() {
            Code::Unavailable => &self.overloaded,
            Code::ResourceExhausted => &self.over_limit,
            _ => &self.malformed,
        };
        if let Some(suppressed) = quiet.allow() {
            tracing::warn!(source = %self.stats().name(), ?peer, code = ?status.code(), why = status.message(), suppressed, "request refused");
        }
    }
}

/// Text that is not UTF-8 grows when it is repaired, at most to three times its length; beyond the
/// limit for messages it has not been text at all.
fn repair(payload: &[u8], stage: &OtlpStage) -> Result<Bytes, Refusal> {
    let repaired = otlp::repair(payload, stage.limits.record_bytes_max);
    if repaired.len() > stage.message_max {
        let why = format!("the message has more than message_max, {} bytes, once its text is UTF-8", stage.message_max);
        return Err(Refusal::new(Code::ResourceExhausted, RejectReason::TooLarge, &why));
    }
    Ok(Bytes::from(repaired))
}

/// Records of a request that were refused for good while the rest was taken.
#[derive(Debug, Default)]
pub struct Rejected {
    /// How many.
    pub records: u64,
    /// Why.
    pub why: String,
}

impl Refusal {
    /// A refusal; `why` goes to the client.
    #[must_use]
    pub fn new(code: Code, reason: RejectReason, why: &str) -> Refusal {
        Refusal { status: Status::new(code, why), reason, records: 1 }
    }
}

impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Refusal {
        let reason = match error.kind {
            CheckErrorKind::Malformed(_) | CheckErrorKind::WrongType => RejectReason::Malformed,
            CheckErrorKind::TooDeep => RejectReason::TooDeep,
            CheckErrorKind::TooLong | CheckErrorKind::Envelope(_) | CheckErrorKind::Expanded(_) => {
                RejectReason::TooLarge
            }
            CheckErrorKind::Records(_) => RejectReason::TooManyRecords,
            CheckErrorKind::Values(_) => RejectReason::TooManyValues,
        };
        let code = if error.is_over_limit() { Code::ResourceExhausted } else { Code::InvalidArgument };
        Refusal::new(code, reason, &error.to_string())
    }
}

/// There is no room now; the client is told when to try again.
pub fn overloaded(why: &str) -> Refusal {
    let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER.mul_f32(0.5 + fastrand::f32())));
    Refusal {
        status: Status::with_error_details(Code::Unavailable, why, details),
        reason: RejectReason::Overloaded,
        records: 1,
    }
}

/// How long a client may be held.
#[derive(Clone, Copy, Debug)]
struct Patience {
    hold_max: Duration,
    client_until: Option<Instant>,
}

impl Patience {
    fn new(request: &Request<Incoming>, hold_max: Duration) -> Patience {
        let timeout = request.headers().get("grpc-timeout").and_then(|it| grpc_timeout(it.to_str().ok()?));
        // A little before the client gives up, so that it hears the answer.
        Patience { hold_max, client_until: timeout.map(|timeout| Instant::now() + timeout.mul_f32(0.9)) }
    }

    /// What is left after a wait.
    fn less(self, waited: Duration) -> Patience {
        Patience { hold_max: self.hold_max.saturating_sub(waited), ..self }
    }

    /// Until when a wait that begins now may last.
    fn until(self) -> Instant {
        let until = Instant::now() + self.hold_max;
        self.client_until.map_or(until, |client_until| client_until.min(until))
    }
}

/// The answer to what is not an `Export` call.
fn wrong_request(request: &Request<Incoming>) -> Option<Response<Reply>> {
    let header = |name| request.headers().get(name).map_or(&[][..], http::HeaderValue::as_bytes);
    if request.method() != Method::POST || !header("content-type").starts_with(b"application/grpc") {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Some(response);
    }
    let path = request.uri().path();
    if path != EXPORT && !is_access_logs(path) {
        return Some(Status::unimplemented(format!("logboom takes logs: {EXPORT}, {STREAM_ACCESS_LOGS}")).into_http());
    }
    None
}

/// The client's timeout (gRPC over HTTP/2, "Timeout"): up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
