//! The exporters `otlp` and `otlphttp`: where they send to.

use http::Uri;

use crate::config::tree::{Entry, Node};

use super::exporters::Sink;
use super::findings::Findings;
use super::look;
use super::substitute;
use super::upstream;
use super::write::{Part, Value};

/// An exporter over gRPC; `None` without an address that can be dialled.
pub fn grpc(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Option<Sink> {
    let mut part = Part::default();
    part.set("type", Value::word("otlp"), "");
    let settings = &entry.value;
    let Some(endpoint) = look::at(settings, &["endpoint"]) else {
        let help = "write `endpoint: host:4317`";
        findings.dropped(entry.key_span.clone(), format!("exporters.{id} has no endpoint"), help);
        return None;
    };
    let written = look::text(&endpoint.value).unwrap_or_default();
    if written.starts_with("unix:") {
        let help = "give the upstream a TCP address";
        findings.dropped(look::place(endpoint), "an upstream on a unix socket has no counterpart", help);
        return None;
    }
    let insecure = look::truth(settings, &["tls", "insecure"]) == Some(true);
    let (scheme, rest) = match written.split_once("://") {
        Some(("http", rest)) => ("http", rest),
        Some(("https", rest)) => ("https", rest),
        // A resolver of gRPC.
        Some((_, rest)) => (if insecure { "http" } else { "https" }, rest.trim_start_matches('/')),
        None => (if insecure { "http" } else { "https" }, written),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']')) || host.contains("${");
    // What gRPC takes for a host alone.
    let address = if has_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:443") };
    part.set(
        "endpoint",
        Value::text(address),
        if written.contains("://") { "endpoint" } else { "endpoint, tls.insecure" },
    );
    if written.starts_with("${") {
        let help = "where the variable has a scheme of its own, write `endpoint:` without the one in front";
        findings.changed(look::place(endpoint), format!("{scheme}:// stands in front of the variable"), help);
    }
    part.set("compression", compression(settings, findings), "compression; gzip is the Collector's default");
    Some(upstream::read(id, entry, scheme == "https", part, root, findings))
}

/// The same over HTTP.
pub fn http(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Option<Sink> {
    let mut part = Part::default();
    part.set("type", Value::word("otlp"), "");
    let settings = &entry.value;
    let place = ["logs_endpoint", "endpoint"].iter().find_map(|key| look::at(settings, &[key])).unwrap_or(entry);
    let (written, from) = match (look::word(settings, &["logs_endpoint"]), look::word(settings, &["endpoint"])) {
        (Some(whole), _) => (whole.to_owned(), "logs_endpoint"),
        (None, Some(base)) => (format!("{}/v1/logs", base.trim_end_matches('/')), "endpoint, and the path of logs"),
        (None, None) => {
            let help = "write `endpoint: http://host:4318`";
            findings.dropped(entry.key_span.clone(), format!("exporters.{id} has no endpoint"), help);
            return None;
        }
    };
    let is_https = !written.starts_with("http://");
    let endpoint = with_port(&written);
    reachable(&endpoint, true, place, findings)?;
    part.set("endpoint", Value::text(endpoint), from);
    part.set("protocol", Value::word("http"), "otlphttp");
    part.set("compression", compression(settings, findings), "compression; gzip is the Collector's default");
    if look::word(settings, &["encoding"]) == Some("json") {
        let help = "every server of OTLP over HTTP takes protobuf";
        let place = look::at(settings, &["encoding"]).map(look::place).unwrap_or_default();
        findings.changed(place, "requests are protobuf, not JSON", help);
    }
    Some(upstream::read(id, entry, is_https, part, root, findings))
}

/// Told, and `None`, when nothing can be dialled there. What variables hold nobody knows yet.
fn reachable(url: &str, has_path: bool, entry: &Entry, findings: &mut Findings) -> Option<()> {
    let uri: Option<Uri> = substitute::filled(url).parse().ok();
    let is_right = uri.is_some_and(|uri| {
        let port = uri.port_u16().is_some_and(|port| port > 0);
        let host = uri.host().is_some_and(|host| !host.is_empty());
        let user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
        port && host
            && !user
            && matches!(uri.scheme_str(), Some("http" | "https"))
            && (has_path || uri.path().len() < 2)
    });
    if !is_right {
        let help = "a host and a port are needed; a user and a password belong into `headers`";
        findings.dropped(look::place(entry), "this is no address of an upstream", help);
    }
    is_right.then_some(())
}

/// A URL has the port of its scheme where it says none; a sink wants it written.
fn with_port(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']')) || host.contains("${");
    match (has_port, scheme) {
        (true, _) => url.to_owned(),
        (_, "http") => format!("{scheme}://{host}:80{path}"),
        _ => format!("{scheme}://{host}:443{path}"),
    }
}

fn compression(settings: &Node, findings: &mut Findings) -> Value {
    let Some(entry) = look::at(settings, &["compression"]) else { return Value::word("gzip") };
    match look::text(&entry.value).unwrap_or_default() {
        word @ ("gzip" | "zstd" | "none") => Value::word(word),
        "" => Value::word("none"),
        other => {
            let message = format!("the compression {other} becomes gzip");
            findings.changed(look::place(entry), message, "none, gzip and zstd are what logboom has");
            Value::word("gzip")
        }
    }
}
