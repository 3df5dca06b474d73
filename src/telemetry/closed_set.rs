//! The values that labels may have. A client can choose among them but never add one, so the
//! number of time series is known before the first byte arrives.

/// An enum whose variants are all the values of one label.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of the discriminants.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The value as it stands in a label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }
    };
}

closed_set! {
    /// How a line was read.
    LineResult {
        /// In the expected format.
        Ok = "ok",
        /// In no known format: kept as the body.
        Raw = "raw",
        /// A format fits in more than one way: only what all ways have in common was read.
        Ambiguous = "ambiguous",
        /// Longer than `line_max`: cut and flagged.
        Truncated = "truncated",
        /// Nothing before the line feed, or a lone carriage return: no record.
        Blank = "blank",
        /// The connection ended before the line did.
        Partial = "partial",
    }
}

closed_set! {
    /// Why records were refused, with an answer that says so where the protocol has one.
    RejectReason {
        /// Not what the protocol or the encoding says it should be.
        Malformed = "malformed",
        /// Nested deeper than the limit.
        TooDeep = "too_deep",
        /// A message larger than `message_max`, compressed or not.
        TooLarge = "too_large",
        /// More records in a request than `records_max`.
        TooManyRecords = "too_many_records",
        /// More attributes or array members than the limit.
        TooManyValues = "too_many_values",
        /// One record of a request larger than the limit; the rest was taken.
        RecordTooLarge = "record_too_large",
        /// No room within `hold_max`.
        Overloaded = "overloaded",
        /// Without a valid token or certificate.
        Unauthenticated = "unauthenticated",
        /// Arrived while the process was stopping.
        Shutdown = "shutdown",
        /// Anything else.
        Other = "other",
    }
}

closed_set! {
    /// Why a connection was closed before it was a connection of the source.
    DeniedReason {
        /// The peer is in no network of `allow`.
        NotAllowed = "not_allowed",
        /// The PROXY header is missing, broken, or late.
        ProxyHeader = "proxy_header",
    }
}

closed_set! {
    /// Why a TLS handshake came to nothing.
    HandshakeFailure {
        /// The client said nothing, or was too slow.
        Timeout = "timeout",
        /// Too many others were under way.
        Busy = "busy",
        /// The client does not speak TLS.
        Plaintext = "plaintext",
        /// The client speaks TLS to a port without.
        UnexpectedTls = "unexpected_tls",
        /// Nothing in common: TLS 1.1 or older, or only ciphers and protocols that are not spoken here.
        Incompatible = "incompatible",
        /// A certificate is needed, and the client has shown none.
        NoCertificate = "no_certificate",
        /// The certificate of the client is of an unknown authority, has expired, or is no client's.
        BadCertificate = "bad_certificate",
        /// The client has refused our certificate, or something else.
        Alert = "alert",
        /// The client does not keep to the protocol.
        Malformed = "malformed",
        /// The client hung up.
        Closed = "closed",
    }
}

closed_set! {
    /// What had to be changed in a record so that it could be passed on.
    RepairReason {
        /// Bytes that are not UTF-8 became U+FFFD.
        InvalidUtf8 = "invalid_utf8",
        /// A key came twice; its last value was kept.
        RepeatedKey = "repeated_key",
        /// A trace or span id of a wrong length was left out.
        InvalidId = "invalid_id",
        /// A value whose bytes Envoy had made characters got its bytes back.
        Mojibake = "mojibake",
        /// The quotes of Kuma's documented JSON were stripped.
        StrayQuotes = "stray_quotes",
        /// A time that cannot be was left out.
        InvalidTime = "invalid_time",
        /// Anything else.
        Other = "other",
    }
}

closed_set! {
    /// The answer to a request. The values are the canonical names of gRPC status codes, also
    /// for requests over HTTP; source: the status code list of the gRPC core documentation.
    GrpcCode {
        /// 0
        Ok = "OK",
        /// 1
        Cancelled = "CANCELLED",
        /// 2
        Unknown = "UNKNOWN",
        /// 3
        InvalidArgument = "INVALID_ARGUMENT",
        /// 4
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// 5
        NotFound = "NOT_FOUND",
        /// 6
        AlreadyExists = "ALREADY_EXISTS",
        /// 7
        PermissionDenied = "PERMISSION_DENIED",
        /// 8
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// 9
        FailedPrecondition = "FAILED_PRECONDITION",
        /// 10
        Aborted = "ABORTED",
        /// 11
        OutOfRange = "OUT_OF_RANGE",
        /// 12
        Unimplemented = "UNIMPLEMENTED",
        /// 13
        Internal = "INTERNAL",
        /// 14
        Unavailable = "UNAVAILABLE",
        /// 15
        DataLoss = "DATA_LOSS",
        /// 16
        Unauthenticated = "UNAUTHENTICATED",
        /// Any number beyond.
        Other = "other",
    }
}

impl GrpcCode {
    /// The code with this number on the wire; `Other` for numbers that gRPC does not define.
    #[must_use]
    pub fn from_number(number: i32) -> GrpcCode {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied().unwrap_or(GrpcCode::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_codes_by_number() {
        let check = |number, expected: &str| assert_eq!(GrpcCode::from_number(number).as_str(), expected, "{number}");
        check(0, "OK");
        check(3, "INVALID_ARGUMENT");
        check(8, "RESOURCE_EXHAUSTED");
        check(14, "UNAVAILABLE");
        check(16, "UNAUTHENTICATED");
        check(17, "other");
        check(99, "other");
        check(-1, "other");
        assert_eq!(GrpcCode::from_number(14), GrpcCode::Unavailable);
    }

    #[test]
    fn position_is_discriminant() {
        assert!(LineResult::ALL.iter().enumerate().all(|(i, it)| *it as usize == i));
        assert!(RejectReason::ALL.iter().enumerate().all(|(i, it)| *it as usize == i));
        assert!(DeniedReason::ALL.iter().enumerate().all(|(i, it)| *it as usize == i));
        assert!(HandshakeFailure::ALL.iter().enumerate().all(|(i, it)| *it as usize == i));
        assert!(RepairReason::ALL.iter().enumerate().all(|(i, it)| *it as usize == i));
        assert!(GrpcCode::ALL.iter().enumerate().all(|(i, it)| *it as usize == i));
    }
}
