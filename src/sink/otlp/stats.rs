//! What is known about the upstream, for metrics and status pages.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tonic::Code;

/// Why a request was repeated, or why records failed. A closed set, fit for a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "the names of the gRPC codes say it")]
pub enum Reason {
    /// No connection, or it ended without an answer.
    Connection,
    /// No answer within the timeout.
    Timeout,
    /// The upstream accepted a request but for some records.
    PartialSuccess,
    /// logboom ended before the upstream had answered.
    Shutdown,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Reason; 20] = [
        Reason::Connection,
        Reason::Timeout,
        Reason::PartialSuccess,
        Reason::Shutdown,
        Reason::Cancelled,
        Reason::Unknown,
        Reason::InvalidArgument,
        Reason::DeadlineExceeded,
        Reason::NotFound,
        Reason::AlreadyExists,
        Reason::PermissionDenied,
        Reason::ResourceExhausted,
        Reason::FailedPrecondition,
        Reason::Aborted,
        Reason::OutOfRange,
        Reason::Unimplemented,
        Reason::Internal,
        Reason::Unavailable,
        Reason::DataLoss,
        Reason::Unauthenticated,
    ];

    /// The value of the metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Connection => "connection",
            Reason::Timeout => "timeout",
            Reason::PartialSuccess => "partial_success",
            Reason::Shutdown => "shutdown",
            Reason::Cancelled => "cancelled",
            Reason::Unknown => "unknown",
            Reason::InvalidArgument => "invalid_argument",
            Reason::DeadlineExceeded => "deadline_exceeded",
            Reason::NotFound => "not_found",
            Reason::AlreadyExists => "already_exists",
            Reason::PermissionDenied => "permission_denied",
            Reason::ResourceExhausted => "resource_exhausted",
            Reason::FailedPrecondition => "failed_precondition",
            Reason::Aborted => "aborted",
            Reason::OutOfRange => "out_of_range",
            Reason::Unimplemented => "unimplemented",
            Reason::Internal => "internal",
            Reason::Unavailable => "unavailable",
            Reason::DataLoss => "data_loss",
            Reason::Unauthenticated => "unauthenticated",
        }
    }
}

impl From<Code> for Reason {
    fn from(code: Code) -> Reason {
        match code {
            Code::Cancelled => Reason::Cancelled,
            Code::InvalidArgument => Reason::InvalidArgument,
            Code::DeadlineExceeded => Reason::DeadlineExceeded,
            Code::NotFound => Reason::NotFound,
            Code::AlreadyExists => Reason::AlreadyExists,
            Code::PermissionDenied => Reason::PermissionDenied,
            Code::ResourceExhausted => Reason::ResourceExhausted,
            Code::FailedPrecondition => Reason::FailedPrecondition,
            Code::Aborted => Reason::Aborted,
            Code::OutOfRange => Reason::OutOfRange,
            Code::Unimplemented => Reason::Unimplemented,
            Code::Internal => Reason::Internal,
            Code::Unavailable => Reason::Unavailable,
            Code::DataLoss => Reason::DataLoss,
            Code::Unauthenticated => Reason::Unauthenticated,
            Code::Ok | Code::Unknown => Reason::Unknown,
        }
    }
}

/// Counters of one upstream; they only grow. Each is true by itself, several read together may be
/// a request apart.
#[derive(Debug)]
pub struct UpstreamStats {
    requests: AtomicU64,
    retries: [AtomicU64; Reason::ALL.len()],
    failed: [AtomicU64; Reason::ALL.len()],
    healthy: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Default for UpstreamStats {
    fn default() -> Self {
        UpstreamStats {
            requests: AtomicU64::new(0),
            retries: Default::default(),
            failed: Default::default(),
            healthy: AtomicBool::new(true),
            last_error: Mutex::default(),
        }
    }
}

impl UpstreamStats {
    /// Requests sent, repetitions included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Requests that had to be sent again for this reason.
    #[must_use]
    pub fn retries(&self, reason: Reason) -> u64 {
        self.retries[reason as usize].load(Relaxed)
    }

    /// Records that failed for this reason.
    #[must_use]
    pub fn failed(&self, reason: Reason) -> u64 {
        self.failed[reason as usize].load(Relaxed)
    }

    /// Records that failed.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.iter().map(|it| it.load(Relaxed)).sum()
    }

    /// False from the first attempt that no endpoint answered to the next that one did. True
    /// before the first attempt.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// The last trouble, at most 16 KiB, control characters escaped. It stays after recovery.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn add_retry(&self, reason: Reason) {
        self.retries[reason as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn add_failed(&self, reason: Reason, records: u64) {
        self.failed[reason as usize].fetch_add(records, Relaxed);
    }

    pub(super) fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Relaxed);
    }

    pub(super) fn set_last_error(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_where_their_number_says() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        for code in (1..17).map(Code::from) {
            assert_ne!(Reason::from(code).as_str(), "connection");
        }
    }
}
