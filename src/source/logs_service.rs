//! What becomes of a request, whichever protocol it came by: the protocols frame and answer, see
//! `grpc_call` and `http_call`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::als::STREAMS_MAX;
use super::body::MessageSettings;
use super::lines::unix_nano_now;
use super::live::{Live, Stage};
use super::otlp::OtlpConfig;
use super::reply::Reply;
use super::stop::Stop;
use super::{grpc_call, http_call};
use crate::batch::Origin;
use crate::budget::{Reservation, Shares};
use crate::decode::otlp::{self, CheckError, CheckErrorKind, Limits, Summary};
use crate::intake::{Intake, Receipt};
use crate::telemetry::{GrpcCode, Quiet, RejectReason, RepairReason, SourceStats};

/// The gRPC method, as HTTP/2 spells it.
pub const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Requests handled at a time, all connections together. Each waiting one costs a few KiB.
const REQUESTS_MAX: usize = 4096;
/// What a client is told to wait when there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes the requests of a source.
#[derive(Debug)]
pub struct LogsService {
    stats: Arc<SourceStats>,
    live: Live<OtlpStage>,
    free: Semaphore,
    /// Streams of access logs that may begin.
    pub(super) streams: Semaphore,
    pub(super) in_flight: TaskTracker,
    /// One for each reason: a crowd with one trouble does not hide another.
    refusals: [Quiet; RejectReason::ALL.len()],
}

/// What a reload replaces: each request looks it up when it begins.
#[derive(Debug)]
pub struct OtlpStage {
    intake: Intake,
    pub(super) shares: Shares,
    message_max: usize,
    pub(super) limits: Limits,
    pub(super) hold_max: Duration,
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

    /// How messages are received of which so many copies are in memory at a time.
    pub(super) fn message_settings(&self, copies: usize) -> MessageSettings {
        MessageSettings { message_max: self.message_max, work_bytes: self.intake.work_bytes(), copies }
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
            refusals: Default::default(),
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
    pub async fn call(
        self: &Arc<Self>,
        request: &Request<()>,
        body: &mut Incoming,
        peer: Option<SocketAddr>,
        stop: &Stop,
    ) -> Response<Reply> {
        match grpc_call::is_grpc(request) {
            true => grpc_call::answer(self, request, body, peer, stop).await,
            false => http_call::answer(self, request, body, peer).await,
        }
    }

    /// A place among the requests that are handled, if there is one.
    pub(super) fn admit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.free.try_acquire().map_err(|_| overloaded("too many requests are waiting"))
    }

    /// Counts what became of a request.
    pub(super) fn settle(
        &self,
        outcome: Result<Rejected, Refusal>,
        peer: Option<SocketAddr>,
    ) -> Result<Rejected, Status> {
        let outcome = outcome.map_err(|refusal| self.refused(refusal, peer));
        let code = outcome.as_ref().map_or_else(|it| GrpcCode::from_number(it.code() as i32), |_| GrpcCode::Ok);
        self.stats().count_request(code);
        outcome
    }

    /// Counts and logs what was not taken.
    pub(super) fn refused(&self, refusal: Refusal, peer: Option<SocketAddr>) -> Status {
        let Refusal { status, reason, records } = refusal;
        self.stats().count_rejected(reason, records);
        if let Some(suppressed) = self.refusals[reason as usize].allow() {
            tracing::warn!(source = %self.stats().name(), ?peer, code = ?status.code(), why = status.message(), suppressed, "request refused");
        }
        status
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
        if let Some(suppressed) = self.refusals[RejectReason::RecordTooLarge as usize].allow() {
            tracing::warn!(source = %self.stats().name(), ?peer, records, why, suppressed, "records refused");
        }
        Rejected { records, why }
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
pub(super) struct Patience {
    hold_max: Duration,
    client_until: Option<Instant>,
}

impl Patience {
    /// For a client that waits for `timeout`, if it says so.
    pub(super) fn new(timeout: Option<Duration>, hold_max: Duration) -> Patience {
        // A little before the client gives up, so that it hears the answer.
        Patience { hold_max, client_until: timeout.map(|timeout| Instant::now() + timeout.mul_f32(0.9)) }
    }

    /// What is left after a wait.
    pub(super) fn less(self, waited: Duration) -> Patience {
        Patience { hold_max: self.hold_max.saturating_sub(waited), ..self }
    }

    /// Until when a wait that begins now may last.
    pub(super) fn until(self) -> Instant {
        let until = Instant::now() + self.hold_max;
        self.client_until.map_or(until, |client_until| client_until.min(until))
    }
}
