//! Headers that a user may add to what is sent upstream.

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

/// Most headers of one upstream.
pub const COUNT_MAX: usize = 64;

/// The name of a header of a request over gRPC; or what to do about it. gRPC sets some headers itself, HTTP/2 forbids
/// those of a connection, and a `-bin` header needs base64 that nobody writes by hand.
pub fn over_grpc(name: &str) -> Result<AsciiMetadataKey, &'static str> {
    const RESERVED: &[&str] = &[
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("grpc-") || lower.ends_with("-bin") {
        return Err("gRPC sets this header itself, or gives it another meaning: remove it");
    }
    lower.parse().map_err(|_| "write letters, digits and `-`, such as x-tenant")
}

/// The same for a request over HTTP, which sets two more.
pub fn over_http(name: &str) -> Result<AsciiMetadataKey, &'static str> {
    if ["content-encoding", "expect"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err("HTTP sets this header itself: remove it; `compression:` says how requests are compressed");
    }
    over_grpc(name)
}

/// The value of a header: printable ASCII.
#[must_use]
pub fn value(text: &str) -> Option<AsciiMetadataValue> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    printable.then(|| text.parse().ok())?
}
