//! The command operators of Envoy 1.40 and of Kuma: what they take, how their values look, and
//! where these go.
//!
//! Source: envoy `substitution_formatter.rst`; every name was accepted by the real binary. Kuma
//! substitutes its own operators when it configures the proxy (`access_log_configurer.go`), so that
//! in a line there is only their value.

use crate::semantics::{Field, Kind, Target};

/// What an operator takes in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Params {
    /// Nothing.
    None,
    /// Something, or no parentheses.
    Optional,
    /// Something.
    Required,
}

/// How values look, apart from `-` and nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A whole number.
    Int,
    /// A time.
    Time,
    /// Response flags.
    Flags,
    /// Names and addresses out of configurations.
    Name,
    /// No spaces and quotes: what Envoy has checked.
    Token,
    /// No spaces: text in which Envoy replaces them.
    Word,
    /// Anything: text that a client or an upstream chooses.
    Text,
}

/// What is known of an operator by its name and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub params: Params,
    /// A length may follow.
    pub max: bool,
    pub shape: Shape,
    pub target: Target,
}

/// An operator by name; `None` when there is none of that name.
pub(super) fn operator(name: &str, params: Option<&str>) -> Option<Operator> {
    use Params::{None, Optional, Required};
    let make = |params, max, shape, target| Some(Operator { params, max, shape, target });
    let field = |params, shape, field| make(params, false, shape, Target::Field(field));
    let own =
        |takes, max, shape, kind| make(takes, max, shape, Target::Attribute { name: own_name(name, params), kind });
    match name {
        "START_TIME" | "START_TIME_LOCAL" => field(Optional, Shape::Time, Field::StartTime),
        "EMIT_TIME" | "EMIT_TIME_LOCAL" => field(Optional, Shape::Time, Field::EmitTime),
        "BYTES_RECEIVED" => field(None, Shape::Int, Field::BytesReceived),
        "BYTES_SENT" => field(None, Shape::Int, Field::BytesSent),
        "DURATION" => field(None, Shape::Int, Field::Duration),
        "RESPONSE_CODE" => field(None, Shape::Int, Field::StatusCode),
        "RESPONSE_CODE_DETAILS" => {
            let shape = if params == Some("ALLOW_WHITESPACES") { Shape::Text } else { Shape::Word };
            field(Optional, shape, Field::CodeDetails)
        }
        "RESPONSE_FLAGS" => field(None, Shape::Flags, Field::Flags),
        "RESPONSE_FLAGS_LONG" => field(None, Shape::Flags, Field::FlagsLong),
        "CONNECTION_TERMINATION_DETAILS" => field(None, Shape::Text, Field::TerminationDetails),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => field(None, Shape::Text, Field::UpstreamFailure),
        "PROTOCOL" => field(None, Shape::Token, Field::Protocol),
        "UPSTREAM_HOST" => field(None, Shape::Name, Field::UpstreamHost),
        "UPSTREAM_CLUSTER" => field(None, Shape::Token, Field::UpstreamCluster),
        "GRPC_STATUS" => field(Optional, Shape::Token, Field::GrpcStatus),
        "GRPC_STATUS_NUMBER" => field(None, Shape::Int, Field::GrpcStatus),
        "TRACE_ID" => field(None, Shape::Token, Field::TraceId),
        "SPAN_ID" => field(None, Shape::Token, Field::SpanId),
        "PATH" => make(Optional, true, Shape::Token, Target::Field(Field::Path)),
        "QUERY_PARAMS" => {
            let shape = if params == Some("DECODED") { Shape::Text } else { Shape::Token };
            make(Optional, true, shape, Target::Field(Field::Query))
        }
        "REQ" | "REQUEST_HEADER" | "REQ_WITHOUT_QUERY" => Some(request_header(params.unwrap_or_default())),
        "RESP" | "RESPONSE_HEADER" => Some(response_header(params.unwrap_or_default())),
        "TRAILER" | "RESPONSE_TRAILER" => {
            let name = format!("envoy.response_trailer.{}", header_name(params.unwrap_or_default()));
            make(Required, true, Shape::Text, Target::Attribute { name, kind: Kind::Text })
        }
        "KUMA_MESH" => field(None, Shape::Name, Field::Mesh),
        "KUMA_ZONE" => field(None, Shape::Name, Field::Zone),
        "KUMA_WORKLOAD" => field(None, Shape::Name, Field::Workload),
        "KUMA_SOURCE_SERVICE" => field(None, Shape::Name, Field::SourceService),
        "KUMA_DESTINATION_SERVICE" => field(None, Shape::Name, Field::DestinationService),
        "KUMA_SOURCE_ADDRESS" | "KUMA_SOURCE_ADDRESS_WITHOUT_PORT" => field(None, Shape::Name, Field::SourceAddress),
        "KUMA_TRAFFIC_DIRECTION" => field(None, Shape::Name, Field::Direction),
        "COMMON_DURATION" => own(Required, false, Shape::Int, Kind::Int),
        "REQUESTED_SERVER_NAME" => own(Optional, false, Shape::Token, Kind::Text),
        "QUERY_PARAM" | "ENVIRONMENT" | "COALESCE" | "CEL" => own(Required, true, Shape::Text, Kind::Text),
        "TYPED_CEL" => own(Required, true, Shape::Text, Kind::Any),
        "DYNAMIC_METADATA"
        | "CLUSTER_METADATA"
        | "UPSTREAM_METADATA"
        | "METADATA"
        | "FILTER_STATE"
        | "UPSTREAM_FILTER_STATE" => own(Required, true, Shape::Text, Kind::Any),
        _ if NUMBERS.contains(&name) => own(None, false, Shape::Int, Kind::Int),
        _ if TOKENS.contains(&name) => own(None, false, Shape::Token, Kind::Text),
        _ if TEXTS.contains(&name) => own(None, false, Shape::Text, Kind::Text),
        _ if DATES.contains(&name) => own(Optional, false, Shape::Text, Kind::Text),
        _ if name.ends_with("_ADDRESS_WITHOUT_PORT") && is_address(name.strip_suffix("_WITHOUT_PORT")?) => {
            own(Optional, false, Shape::Name, Kind::Text)
        }
        _ if is_address(name) => own(None, false, Shape::Name, Kind::Text),
        _ if name.ends_with("_PORT") && is_address(&format!("{}_ADDRESS", name.strip_suffix("_PORT")?)) => {
            own(None, false, Shape::Int, Kind::Int)
        }
        _ => Option::None,
    }
}

/// An operator that is not known: text, with its own name.
pub(super) fn unknown(name: &str, params: Option<&str>) -> Operator {
    let target = Target::Attribute { name: own_name(name, params), kind: Kind::Text };
    Operator { params: Params::Optional, max: true, shape: Shape::Text, target }
}

/// Where the value of an operator goes, by its name: for keys that are named like operators. `None`
/// when there is none of that name.
#[must_use]
pub fn target(name: &str, params: Option<&str>) -> Option<Target> {
    operator(name, params).map(|it| it.target)
}

fn request_header(params: &str) -> Operator {
    let header = params.to_ascii_lowercase();
    let (shape, field) = match header.as_str() {
        ":method" => (Shape::Token, Field::Method),
        ":path" | "x-envoy-original-path" | "x-envoy-original-path?:path" | ":path?x-envoy-original-path" => {
            (Shape::Token, Field::Path)
        }
        ":scheme" => (Shape::Token, Field::Scheme),
        ":authority" | "host" | ":authority?host" | "host?:authority" => (Shape::Token, Field::Authority),
        "x-forwarded-for" => (Shape::Text, Field::ForwardedFor),
        "user-agent" => (Shape::Text, Field::UserAgent),
        "x-request-id" => (Shape::Text, Field::RequestId),
        "x-b3-traceid"
        | "x-datadog-traceid"
        | "x-datadog-trace-id"
        | "x-b3-traceid?x-datadog-traceid"
        | "x-b3-traceid?x-datadog-trace-id" => (Shape::Text, Field::TraceHeader),
        "x-b3-spanid" => (Shape::Text, Field::SpanHeader),
        "b3" => (Shape::Text, Field::B3Single),
        "traceparent" => (Shape::Text, Field::TraceParent),
        _ => {
            let target = header_target("http.request.header", "envoy.req", params);
            return Operator { params: Params::Required, max: true, shape: Shape::Text, target };
        }
    };
    Operator { params: Params::Required, max: true, shape, target: Target::Field(field) }
}

fn response_header(params: &str) -> Operator {
    let target = match params.to_ascii_lowercase().as_str() {
        "x-envoy-upstream-service-time" => Target::Field(Field::UpstreamServiceTime),
        "grpc-status" => Target::Field(Field::GrpcStatus),
        _ => header_target("http.response.header", "envoy.resp", params),
    };
    let shape = if matches!(target, Target::Field(_)) { Shape::Token } else { Shape::Text };
    Operator { params: Params::Required, max: true, shape, target }
}

/// A header that is no field. The value of two alternatives may be that of either, so it does not
/// have the name of one.
fn header_target(of_one: &str, of_two: &str, params: &str) -> Target {
    let (prefix, kind) = if params.contains('?') { (of_two, Kind::Text) } else { (of_one, Kind::Header) };
    Target::Attribute { name: format!("{prefix}.{}", header_name(params)), kind }
}

/// A header, or two with a question mark between, in lower case without the colons of pseudo headers.
fn header_name(params: &str) -> String {
    params.to_ascii_lowercase().replace(':', "")
}

/// `envoy.` and the operator's name, then its parameters, in lower case; `:` becomes a dot.
fn own_name(name: &str, params: Option<&str>) -> String {
    let mut own = format!("envoy.{}", name.to_ascii_lowercase());
    if let Some(params) = params.filter(|it| !it.is_empty()) {
        own.push('.');
        own.push_str(&params.to_ascii_lowercase().replace(':', "."));
    }
    own
}

fn is_address(name: &str) -> bool {
    matches!(
        name,
        "UPSTREAM_LOCAL_ADDRESS"
            | "UPSTREAM_REMOTE_ADDRESS"
            | "DOWNSTREAM_REMOTE_ADDRESS"
            | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"
            | "DOWNSTREAM_LOCAL_ADDRESS"
            | "DOWNSTREAM_DIRECT_LOCAL_ADDRESS"
    )
}

const NUMBERS: &[&str] = &[
    "REQUEST_HEADERS_BYTES",
    "RESPONSE_HEADERS_BYTES",
    "RESPONSE_TRAILERS_BYTES",
    "BYTES_RETRANSMITTED",
    "PACKETS_RETRANSMITTED",
    "UPSTREAM_WIRE_BYTES_SENT",
    "UPSTREAM_WIRE_BYTES_RECEIVED",
    "UPSTREAM_HEADER_BYTES_SENT",
    "UPSTREAM_HEADER_BYTES_RECEIVED",
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_WIRE_BYTES_SENT",
    "DOWNSTREAM_WIRE_BYTES_RECEIVED",
    "DOWNSTREAM_HEADER_BYTES_SENT",
    "DOWNSTREAM_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
    "REQUEST_DURATION",
    "REQUEST_TX_DURATION",
    "RESPONSE_DURATION",
    "RESPONSE_TX_DURATION",
    "ROUNDTRIP_DURATION",
    "DOWNSTREAM_HANDSHAKE_DURATION",
    "UPSTREAM_CONNECTION_POOL_READY_DURATION",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "CONNECTION_ID",
    "UPSTREAM_CONNECTION_ID",
];

const TOKENS: &[&str] = &[
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_HOST_NAME",
    "UPSTREAM_HOST_NAME_WITHOUT_PORT",
    "UPSTREAM_HOSTS_ATTEMPTED",
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_HOST_NAMES_ATTEMPTED",
    "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_DETECTED_CLOSE_TYPE",
    "DOWNSTREAM_DETECTED_CLOSE_TYPE",
    "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID",
    "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID",
    "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_GROUP",
    "DOWNSTREAM_TLS_VERSION",
    "UPSTREAM_TLS_SESSION_ID",
    "UPSTREAM_TLS_CIPHER",
    "UPSTREAM_TLS_GROUP",
    "UPSTREAM_TLS_VERSION",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256",
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1",
    "DOWNSTREAM_PEER_CHAIN_SERIALS",
    "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_ISSUER_SERIAL",
    "DOWNSTREAM_PEER_CERT",
    "UPSTREAM_PEER_CERT",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
    "ACCESS_LOG_TYPE",
    "HOSTNAME",
    "UNIQUE_ID",
];

const TEXTS: &[&str] = &[
    "ROUTE_NAME",
    "VIRTUAL_CLUSTER_NAME",
    "FILTER_CHAIN_NAME",
    "STREAM_ID",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "UPSTREAM_LOCAL_CLOSE_REASON",
    "DOWNSTREAM_LOCAL_CLOSE_REASON",
    "UPSTREAM_SERVER_NAME",
    "DOWNSTREAM_LOCAL_IP_SAN",
    "DOWNSTREAM_PEER_IP_SAN",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_LOCAL_EMAIL_SAN",
    "DOWNSTREAM_PEER_EMAIL_SAN",
    "DOWNSTREAM_LOCAL_OTHERNAME_SAN",
    "DOWNSTREAM_PEER_OTHERNAME_SAN",
    "UPSTREAM_PEER_URI_SAN",
    "UPSTREAM_PEER_DNS_SAN",
    "UPSTREAM_PEER_IP_SAN",
    "UPSTREAM_LOCAL_URI_SAN",
    "UPSTREAM_LOCAL_DNS_SAN",
    "UPSTREAM_LOCAL_IP_SAN",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_ISSUER",
    "UPSTREAM_PEER_SUBJECT",
    "UPSTREAM_PEER_ISSUER",
    "LOCAL_REPLY_BODY",
    "CUSTOM_FLAGS",
];

const DATES: &[&str] = &[
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_CERT_V_END",
    "UPSTREAM_PEER_CERT_V_START",
    "UPSTREAM_PEER_CERT_V_END",
];
