//! The `otlp` sink: endpoints, headers, retry.

use http::{HeaderName, HeaderValue, Uri};

use super::Findings;
use crate::config::problem::shown;
use crate::sink::otlp::{OtlpConfig, TlsConfig};

const ENDPOINTS_MAX: usize = 16;
const HEADERS_MAX: usize = 64;

pub fn check(name: &str, otlp: &OtlpConfig, findings: &mut Findings<'_>) {
    let at = |key| ["sinks", name, key];
    let endpoints = otlp.endpoint.as_slice();
    if endpoints.is_empty() {
        findings.refuse(&at("endpoint"), "a list of no endpoints", "write one, such as http://otel-collector:4317");
    }
    if endpoints.len() > ENDPOINTS_MAX {
        findings.refuse(
            &at("endpoint"),
            format!("{} endpoints are too many", endpoints.len()),
            format!("write at most {ENDPOINTS_MAX}"),
        );
    }
    if otlp.headers.len() > HEADERS_MAX {
        findings.refuse(
            &at("headers"),
            format!("{} headers are too many", otlp.headers.len()),
            format!("write at most {HEADERS_MAX}"),
        );
    }
    for (index, endpoint) in endpoints.iter().enumerate().take(ENDPOINTS_MAX) {
        let index = index.to_string();
        let path = ["sinks", name, "endpoint", &index];
        let path = if endpoints.len() == 1 { &path[..3] } else { &path };
        check_endpoint(path, endpoint, otlp.tls.is_some(), findings);
    }
    for (header, value) in otlp.headers.iter().take(HEADERS_MAX) {
        let path = ["sinks", name, "headers", header.as_str()];
        if let Err(help) = check_header_name(header) {
            findings.refuse(&path, format!("{} is not a header that can be set", shown(header)), help);
        } else if HeaderValue::from_str(value.expose()).is_err() {
            findings.refuse(
                &path,
                "the value of this header has control characters",
                "remove them; a file may end in one newline",
            );
        }
    }
    findings.above_zero(&at("timeout"), otlp.timeout.0);
    findings.above_zero(&["sinks", name, "retry", "initial"], otlp.retry.initial.0);
    if otlp.retry.initial > otlp.retry.max {
        let message =
            format!("the first pause ({}) is longer than the longest ({})", otlp.retry.initial, otlp.retry.max);
        findings.refuse(&["sinks", name, "retry"], message, "write `initial` at most as large as `max`");
    }
    if let Some(TlsConfig { cert, key, .. }) = &otlp.tls
        && cert.is_some() != key.is_some()
    {
        findings.refuse(
            &at("tls"),
            "a certificate needs its key, and a key its certificate",
            "write both `cert` and `key`, or neither",
        );
    }
}

/// Values of an endpoint never show in a message: they may hold a password.
fn check_endpoint(path: &[&str], endpoint: &str, tls: bool, findings: &mut Findings<'_>) {
    const EXAMPLE: &str = "write it as http://otel-collector:4317";
    let Ok(uri) = endpoint.parse::<Uri>() else {
        findings.refuse(path, "the endpoint is not a URL", EXAMPLE);
        return;
    };
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        findings.refuse(path, "the endpoint needs the scheme http or https, and a host", EXAMPLE);
        return;
    };
    if authority.as_str().contains('@') {
        findings.refuse(
            path,
            "a user or password has no place in an endpoint",
            "write it under `headers:`, such as `authorization: ${file:/run/secrets/token}`",
        );
        return;
    }
    if authority.host().is_empty() {
        findings.refuse(path, "the endpoint has no host", EXAMPLE);
        return;
    }
    // A port that is no number between 1 and 65535 is read as no port at all.
    let bare = authority.as_str() == authority.host();
    if !bare && authority.port_u16().is_none_or(|port| port == 0) {
        findings.refuse(path, "the port of the endpoint is not a port", EXAMPLE);
        return;
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        findings.refuse(path, "OTLP over gRPC has its own path, none can be given", EXAMPLE);
    }
    if tls && scheme == "http" {
        findings.refuse(path, "`tls` is set, but the endpoint is plaintext http", "write https://, or remove `tls`");
    }
    if bare && scheme == "http" {
        findings.warn(path, "no port is given, so 80 is used; the usual one for OTLP is 4317");
    }
}

/// gRPC sets some headers itself, and a `-bin` header needs base64 that nobody writes by hand.
fn check_header_name(name: &str) -> Result<(), String> {
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err("letters, digits and `-`, such as x-tenant".to_owned());
    };
    let parsed = parsed.as_str();
    let reserved = ["content-type", "te", "user-agent", "host", "connection", "transfer-encoding", "content-length"];
    if reserved.contains(&parsed) || parsed.starts_with("grpc-") || parsed.ends_with("-bin") {
        return Err("gRPC sets this header itself, or gives it another meaning".to_owned());
    }
    Ok(())
}
