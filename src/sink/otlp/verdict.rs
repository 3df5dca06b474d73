//! What an answer means: the retry table of the OTLP specification, and how long to wait.

use std::time::Duration;

use http::StatusCode;
use tonic::Code;

use super::RetryConfig;
use super::stats::Reason;

/// Longest pause an upstream may ask for.
const RETRY_INFO_MAX: Duration = Duration::from_secs(300);

/// Size in bytes above which OUT_OF_RANGE is taken as "too large": the message limit that gRPC
/// implementations have by default.
pub(super) const MESSAGE_BYTES_COMMON_MAX: usize = 4 << 20;

/// What becomes of a request that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it again: the trouble passes.
    Again {
        /// How long the upstream wants us to wait; zero when it named no time.
        after: Option<Duration>,
        /// Another endpoint may do better.
        elsewhere: bool,
    },
    /// Send it again, seldom: the upstream does not let *us* in, or there is no such service.
    /// The specification calls these codes permanent. They say nothing about the records, though:
    /// in a mesh they are what a missing permission or a missing route answers, until somebody
    /// adds it. Dropping everything that arrives until then would lose what waiting keeps; what
    /// does not fit into the inbox is counted either way.
    Hold,
    /// Never send it again as it is.
    Refused,
}

/// The verdict on a gRPC status that the upstream itself sent, for a request of `bytes` bytes.
/// `retry_info` is the delay in its RetryInfo, zero when it names none.
pub(super) fn verdict(code: Code, retry_info: Option<Duration>, bytes: usize) -> Verdict {
    match code {
        // How tonic, unlike the specification, says that a message is too large.
        Code::OutOfRange if bytes > MESSAGE_BYTES_COMMON_MAX => Verdict::Refused,
        // A proxy in between answers for an upstream that is not there; one that is there and
        // merely busy says when to come back.
        Code::Unavailable => Verdict::Again { after: retry_info, elsewhere: retry_info.is_none() },
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange | Code::DataLoss => {
            Verdict::Again { after: retry_info, elsewhere: false }
        }
        Code::ResourceExhausted if retry_info.is_some() => Verdict::Again { after: retry_info, elsewhere: false },
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => Verdict::Hold,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Internal => Verdict::Refused,
    }
}

/// The same for a status over HTTP (OTLP specification, "OTLP/HTTP Response"), with what it counts as: the
/// gRPC code that says the same. `after` is its `Retry-After`.
///
/// As over gRPC, what says nothing about the records is waited out: a path that nobody serves, a
/// method or an encoding that is not taken, a redirect.
pub(super) fn http_verdict(status: StatusCode, after: Option<Duration>) -> (Verdict, Reason) {
    let elsewhere = Verdict::Again { after, elsewhere: after.is_none() };
    match status.as_u16() {
        401 | 407 => (Verdict::Hold, Reason::Unauthenticated),
        403 => (Verdict::Hold, Reason::PermissionDenied),
        404 => (Verdict::Hold, Reason::NotFound),
        300..=399 | 405 | 406 | 415 | 421 | 426 | 501 | 505 => (Verdict::Hold, Reason::Unimplemented),
        408 => (elsewhere, Reason::DeadlineExceeded),
        413 => (Verdict::Refused, Reason::ResourceExhausted),
        429 => (Verdict::Again { after, elsewhere: false }, Reason::ResourceExhausted),
        502..=504 => (elsewhere, Reason::Unavailable),
        400 | 422 => (Verdict::Refused, Reason::InvalidArgument),
        500 => (Verdict::Refused, Reason::Internal),
        _ => (Verdict::Refused, Reason::Unknown),
    }
}

/// The pause before the next attempt, after `failures` failures in a row. `random` is from 0 to 1.
///
/// Without a wish of the upstream: anything up to a ceiling that doubles from `initial` to `max`,
/// so that many collectors do not come back at once. With one: what it asked for, give or take a
/// tenth, at most five minutes. [`Verdict::Hold`] waits `max`, give or take a tenth.
pub(super) fn pause(verdict: Verdict, failures: u32, retry: &RetryConfig, random: f64) -> Duration {
    let tenth = 0.9 + 0.2 * random.clamp(0.0, 1.0);
    match verdict {
        Verdict::Again { after: Some(after), .. } if !after.is_zero() => {
            after.min(RETRY_INFO_MAX).mul_f64(tenth).min(RETRY_INFO_MAX)
        }
        Verdict::Hold => retry.max.0.mul_f64(tenth),
        Verdict::Again { .. } | Verdict::Refused => {
            let doublings = failures.saturating_sub(1).min(31);
            let ceiling = retry.initial.0.saturating_mul(1 << doublings).min(retry.max.0);
            ceiling.mul_f64(random.clamp(0.0, 1.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::Period;

    const ASKED: Duration = Duration::from_secs(7);

    #[test]
    fn the_retry_table() {
        let again = |after, elsewhere| Verdict::Again { after, elsewhere };
        let check = |code: Code, plain: Verdict, with_retry_info: Verdict| {
            assert_eq!(verdict(code, None, 1000), plain, "{code:?}");
            assert_eq!(verdict(code, Some(ASKED), 1000), with_retry_info, "{code:?} with RetryInfo");
        };
        for code in [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::OutOfRange, Code::DataLoss] {
            check(code, again(None, false), again(Some(ASKED), false));
        }
        check(Code::Unavailable, again(None, true), again(Some(ASKED), false));
        check(Code::ResourceExhausted, Verdict::Refused, again(Some(ASKED), false));
        for code in [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented] {
            check(code, Verdict::Hold, Verdict::Hold);
        }
        for code in [
            Code::Unknown,
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::FailedPrecondition,
            Code::Internal,
        ] {
            check(code, Verdict::Refused, Verdict::Refused);
        }
        assert_eq!(verdict(Code::OutOfRange, None, MESSAGE_BYTES_COMMON_MAX + 1), Verdict::Refused);
    }

    #[test]
    fn pauses() {
        let retry = RetryConfig { initial: Period::millis(500), max: Period::seconds(30) };
        let check = |verdict: Verdict, failures: u32, least_ms: u64, most_ms: u64| {
            let at = |random| pause(verdict, failures, &retry, random).as_millis() as u64;
            assert_eq!((at(0.0), at(1.0)), (least_ms, most_ms), "{verdict:?} after {failures}");
        };
        let plain = Verdict::Again { after: None, elsewhere: true };
        check(plain, 1, 0, 500);
        check(plain, 2, 0, 1_000);
        check(plain, 6, 0, 16_000);
        check(plain, 7, 0, 30_000);
        check(plain, u32::MAX, 0, 30_000);
        let asked = |seconds| Verdict::Again { after: Some(Duration::from_secs(seconds)), elsewhere: false };
        check(asked(10), 9, 9_000, 11_000);
        check(asked(100_000), 1, 270_000, 300_000);
        check(asked(0), 1, 0, 500);
        check(Verdict::Hold, 1, 27_000, 33_000);
    }
}
