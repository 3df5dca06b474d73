//! The default formats of meshes and proxies.

use super::{Format, FormatError};

/// Kuma's default for HTTP, in all releases looked at (1.8 to 2.14). Source: kuma
/// `meshaccesslog/plugin/xds/configurer.go`; a real proxy sends exactly this.
pub const KUMA_HTTP: &str = r#"[%START_TIME%] %KUMA_MESH% "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%KUMA_SOURCE_SERVICE%" "%KUMA_DESTINATION_SERVICE%" "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%" "%UPSTREAM_HOST%""#;

/// The same as Kuma's documentation shows it, without the trace id. Only who pasted it sends it.
pub const KUMA_HTTP_DOCUMENTED: &str = r#"[%START_TIME%] %KUMA_MESH% "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%KUMA_SOURCE_SERVICE%" "%KUMA_DESTINATION_SERVICE%" "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%" "%UPSTREAM_HOST%""#;

/// Kuma's default for TCP; the same source.
pub const KUMA_TCP: &str = "[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH% %KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)->%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes";

/// Envoy's default. Source: envoy `access_log/usage.rst`.
pub const ENVOY: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%""#;

/// Istio's default. Source: istio `pilot/pkg/model/telemetry_logging.go`.
pub const ISTIO: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%"#;

/// [`KUMA_HTTP`], of which the trace id must look like one: it is what tells it from
/// [`KUMA_HTTP_DOCUMENTED`] where a client has put quotes into a header.
///
/// # Errors
/// None: the formats compile.
pub fn kuma_http() -> Result<Format, FormatError> {
    Format::compile_with_trace_id(KUMA_HTTP)
}

/// [`KUMA_HTTP_DOCUMENTED`].
///
/// # Errors
/// None: the formats compile.
pub fn kuma_http_documented() -> Result<Format, FormatError> {
    Format::compile(KUMA_HTTP_DOCUMENTED)
}

/// [`KUMA_TCP`].
///
/// # Errors
/// None: the formats compile.
pub fn kuma_tcp() -> Result<Format, FormatError> {
    Format::compile(KUMA_TCP)
}

/// [`ENVOY`].
///
/// # Errors
/// None: the formats compile.
pub fn envoy() -> Result<Format, FormatError> {
    Format::compile(ENVOY)
}

/// [`ISTIO`].
///
/// # Errors
/// None: the formats compile.
pub fn istio() -> Result<Format, FormatError> {
    Format::compile(ISTIO)
}
