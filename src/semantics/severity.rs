//! How bad a record is.

use super::flags::{Blame, flag, names};
use super::keys::Key;

/// Severities an access log can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// It went as it should.
    Info,
    /// The client, or a rule, is the reason that it did not.
    Warn,
    /// The mesh or the service failed.
    Error,
}

impl Severity {
    /// Severity number of the log data model.
    pub(super) fn number(self) -> i32 {
        match self {
            Severity::Info => 9,
            Severity::Warn => 13,
            Severity::Error => 17,
        }
    }

    pub(super) fn text(self) -> Key {
        match self {
            Severity::Info => Key::Info,
            Severity::Warn => Key::Warn,
            Severity::Error => Key::Error,
        }
    }
}

/// By the HTTP status. Zero is a request without a response: who asked went away.
pub(super) fn of_status(status: i64) -> Severity {
    match status {
        500.. => Severity::Error,
        400.. | 0 => Severity::Warn,
        _ => Severity::Info,
    }
}

/// By the worst of the flags. A flag is stronger than a good status: with `200 UPE` or `200 UC` the
/// status was on its way before the upstream failed, and the client has half a response.
#[inline]
pub(super) fn of_flags(list: &[u8]) -> Severity {
    if list == b"-" { Severity::Info } else { of_some_flags(list) }
}

#[inline(never)]
fn of_some_flags(list: &[u8]) -> Severity {
    let one = |name| match flag(name).map(|it| it.blame) {
        None | Some(Blame::Nobody) => Severity::Info,
        Some(blame) if blame.is_failure() => Severity::Error,
        Some(_) => Severity::Warn,
    };
    names(list).map(one).max().unwrap_or(Severity::Info)
}

/// By the gRPC code. The codes that the conventions count as errors of a server are errors.
pub(super) fn of_grpc(code: u8) -> Severity {
    match code {
        0 => Severity::Info,
        2 | 4 | 12..=15 => Severity::Error,
        _ => Severity::Warn,
    }
}

#[cfg(test)]
mod tests {
    use super::Severity::{Error, Info, Warn};
    use super::*;

    #[test]
    fn statuses() {
        let cases = [(200, Info), (101, Info), (304, Info), (400, Warn), (499, Warn), (500, Error), (599, Error)];
        for (status, expected) in cases.into_iter().chain([(0, Warn), (999, Error), (-1, Info)]) {
            assert_eq!(of_status(status), expected, "{status}");
        }
    }

    #[test]
    fn flags() {
        for (list, expected) in [
            ("-", Info),
            ("", Info),
            ("DI", Info),
            ("FI", Info),
            ("RFCF", Info),
            ("X-OWN", Info),
            ("DC", Warn),
            ("NR", Warn),
            ("RL", Warn),
            ("UAEX,X-OWN", Warn),
            ("UF,URX", Error),
            ("URX,UF", Error),
            ("DI,URX,UF", Error),
            ("DC,UT", Error),
            ("UPE", Error),
            ("NC", Error),
            ("UpstreamConnectionFailure", Error),
        ] {
            assert_eq!(of_flags(list.as_bytes()), expected, "{list}");
        }
    }

    #[test]
    fn grpc_codes() {
        for code in 0..=16 {
            let expected = match code {
                0 => Info,
                1 | 3 | 5..=11 | 16 => Warn,
                _ => Error,
            };
            assert_eq!(of_grpc(code), expected, "{code}");
        }
    }
}
