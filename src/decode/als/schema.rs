//! Which field of which message is what.
//!
//! Source of facts: Envoy API v3, `envoy/service/accesslog/v3/als.proto`,
//! `envoy/data/accesslog/v3/accesslog.proto`, `envoy/config/core/v3/{base,address}.proto`, and
//! `google/protobuf/{timestamp,duration,wrappers,struct}.proto`.

/// Field numbers of `StreamAccessLogsMessage`.
pub(super) mod message {
    pub(in super::super) const IDENTIFIER: u32 = 1;
    pub(in super::super) const HTTP_LOGS: u32 = 2;
    pub(in super::super) const TCP_LOGS: u32 = 3;
}

/// Field number of the entries in `HTTPAccessLogEntries` and `TCPAccessLogEntries`.
pub(super) const LOG_ENTRY: u32 = 1;

/// Field numbers of `StreamAccessLogsMessage.Identifier`.
pub(super) mod identifier {
    pub(in super::super) const NODE: u32 = 1;
    pub(in super::super) const LOG_NAME: u32 = 2;
}

/// Field numbers of `Node`.
pub(super) mod node {
    pub(in super::super) const ID: u32 = 1;
    pub(in super::super) const CLUSTER: u32 = 2;
    pub(in super::super) const LOCALITY: u32 = 4;
}

/// Field number of the zone in `Locality`.
pub(super) const LOCALITY_ZONE: u32 = 2;

/// Field numbers of `HTTPAccessLogEntry` and, as far as it has them, `TCPAccessLogEntry`.
pub(super) mod entry {
    pub(in super::super) const COMMON: u32 = 1;
    pub(in super::super) const PROTOCOL_VERSION: u32 = 2;
    pub(in super::super) const REQUEST: u32 = 3;
    pub(in super::super) const RESPONSE: u32 = 4;
    /// Of a TCP entry.
    pub(in super::super) const CONNECTION: u32 = 2;
}

/// Field numbers of `ConnectionProperties`.
pub(super) mod connection {
    pub(in super::super) const RECEIVED_BYTES: u32 = 1;
    pub(in super::super) const SENT_BYTES: u32 = 2;
}

/// Field numbers of `AccessLogCommon`.
pub(super) mod common {
    pub(in super::super) const DOWNSTREAM_REMOTE_ADDRESS: u32 = 2;
    pub(in super::super) const DOWNSTREAM_LOCAL_ADDRESS: u32 = 3;
    pub(in super::super) const TLS_PROPERTIES: u32 = 4;
    pub(in super::super) const START_TIME: u32 = 5;
    pub(in super::super) const TIME_TO_LAST_RX_BYTE: u32 = 6;
    pub(in super::super) const TIME_TO_FIRST_UPSTREAM_TX_BYTE: u32 = 7;
    pub(in super::super) const TIME_TO_LAST_UPSTREAM_TX_BYTE: u32 = 8;
    pub(in super::super) const TIME_TO_FIRST_UPSTREAM_RX_BYTE: u32 = 9;
    pub(in super::super) const TIME_TO_LAST_UPSTREAM_RX_BYTE: u32 = 10;
    pub(in super::super) const TIME_TO_FIRST_DOWNSTREAM_TX_BYTE: u32 = 11;
    pub(in super::super) const TIME_TO_LAST_DOWNSTREAM_TX_BYTE: u32 = 12;
    pub(in super::super) const UPSTREAM_REMOTE_ADDRESS: u32 = 13;
    pub(in super::super) const UPSTREAM_LOCAL_ADDRESS: u32 = 14;
    pub(in super::super) const UPSTREAM_CLUSTER: u32 = 15;
    pub(in super::super) const RESPONSE_FLAGS: u32 = 16;
    pub(in super::super) const METADATA: u32 = 17;
    pub(in super::super) const UPSTREAM_FAILURE: u32 = 18;
    pub(in super::super) const ROUTE_NAME: u32 = 19;
    pub(in super::super) const DIRECT_REMOTE_ADDRESS: u32 = 20;
    pub(in super::super) const FILTER_STATE: u32 = 21;
    pub(in super::super) const CUSTOM_TAGS: u32 = 22;
    pub(in super::super) const DURATION: u32 = 23;
    pub(in super::super) const ATTEMPTS: u32 = 24;
    pub(in super::super) const TERMINATION_DETAILS: u32 = 25;
    pub(in super::super) const INTERMEDIATE: u32 = 26;
}

/// Field numbers of `TLSProperties`.
pub(super) mod tls {
    pub(in super::super) const VERSION: u32 = 1;
    pub(in super::super) const CIPHER_SUITE: u32 = 2;
    pub(in super::super) const SNI: u32 = 3;
    pub(in super::super) const LOCAL_CERTIFICATE: u32 = 4;
    pub(in super::super) const PEER_CERTIFICATE: u32 = 5;
    pub(in super::super) const JA3: u32 = 7;
}

/// Field numbers of `TLSProperties.CertificateProperties`.
pub(super) mod certificate {
    pub(in super::super) const SUBJECT_ALT_NAME: u32 = 1;
    pub(in super::super) const SUBJECT: u32 = 2;
}

/// Field number of the URI in `SubjectAltName`.
pub(super) const SAN_URI: u32 = 1;

/// Field numbers of `HTTPRequestProperties`.
pub(super) mod request {
    pub(in super::super) const METHOD: u32 = 1;
    pub(in super::super) const SCHEME: u32 = 2;
    pub(in super::super) const AUTHORITY: u32 = 3;
    pub(in super::super) const PATH: u32 = 5;
    pub(in super::super) const USER_AGENT: u32 = 6;
    pub(in super::super) const REFERER: u32 = 7;
    pub(in super::super) const FORWARDED_FOR: u32 = 8;
    pub(in super::super) const REQUEST_ID: u32 = 9;
    pub(in super::super) const ORIGINAL_PATH: u32 = 10;
    pub(in super::super) const HEADERS_BYTES: u32 = 11;
    pub(in super::super) const BODY_BYTES: u32 = 12;
    pub(in super::super) const HEADERS: u32 = 13;
}

/// Field numbers of `HTTPResponseProperties`.
pub(super) mod response {
    pub(in super::super) const CODE: u32 = 1;
    pub(in super::super) const HEADERS_BYTES: u32 = 2;
    pub(in super::super) const BODY_BYTES: u32 = 3;
    pub(in super::super) const HEADERS: u32 = 4;
    pub(in super::super) const TRAILERS: u32 = 5;
    pub(in super::super) const CODE_DETAILS: u32 = 6;
}

/// Field numbers of `Address`, all members of one oneof, and of what they hold.
pub(super) mod address {
    pub(in super::super) const SOCKET: u32 = 1;
    pub(in super::super) const PIPE: u32 = 2;
    pub(in super::super) const INTERNAL: u32 = 3;
    pub(in super::super) const SOCKET_ADDRESS: u32 = 2;
    pub(in super::super) const SOCKET_PORT: u32 = 3;
    pub(in super::super) const PIPE_PATH: u32 = 1;
    pub(in super::super) const INTERNAL_LISTENER: u32 = 1;
    pub(in super::super) const INTERNAL_ENDPOINT: u32 = 2;
}

/// Field numbers of `Timestamp` and `Duration`.
pub(super) mod time {
    pub(in super::super) const SECONDS: u32 = 1;
    pub(in super::super) const NANOS: u32 = 2;
}

/// Field number of the value in `UInt32Value`.
pub(super) const WRAPPED: u32 = 1;

/// Field numbers of the entries of a map.
pub(super) mod map {
    pub(in super::super) const KEY: u32 = 1;
    pub(in super::super) const VALUE: u32 = 2;
}

/// Field number of `filter_metadata` in `Metadata`, of `fields` in `Struct` and of `values` in
/// `ListValue`.
pub(super) const MEMBERS: u32 = 1;

/// Field numbers of `google.protobuf.Value`, all members of one oneof.
pub(super) mod value {
    pub(in super::super) const NUMBER: u32 = 2;
    pub(in super::super) const STRING: u32 = 3;
    pub(in super::super) const BOOL: u32 = 4;
    pub(in super::super) const STRUCT: u32 = 5;
    pub(in super::super) const LIST: u32 = 6;
}

/// HTTP methods by their number in `RequestMethod`; 0 is unspecified.
pub(super) const METHODS: [&str; 10] =
    ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// HTTP versions by their number in `HTTPVersion`, as `%PROTOCOL%` writes them; 0 is unspecified.
pub(super) const PROTOCOLS: [&str; 5] = ["", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];

/// TLS versions by their number in `TLSVersion`, as the conventions write them; 0 is unspecified.
pub(super) const TLS_VERSIONS: [&str; 5] = ["", "1.0", "1.1", "1.2", "1.3"];

/// Response flags by their field number in `ResponseFlags`, as `%RESPONSE_FLAGS%` writes them; there
/// is no field 0.
pub(super) const FLAGS: [&str; 28] = [
    "", "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI",
    "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF",
];
