//! From what a record says to the record: names and types of the public contract.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value, json};

use super::bytes::{Sent, sent};
use super::flags::severity;
use super::said::{Part, Said};

/// What a record must be, as far as its text decides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub attributes: Map<String, Value>,
    pub timestamp: Option<String>,
    pub severity: Option<&'static str>,
    /// `logboom.mojibake`: some text may be bytes that became characters.
    pub doubtful: bool,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
}

/// What a record must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Read, in full.
    Read(Box<Expected>),
    /// Kept as the text it is, and why.
    Raw(&'static str),
}

impl From<Said> for Verdict {
    fn from(said: Said) -> Verdict {
        Verdict::Read(Box::new(expected(&said)))
    }
}

/// The meaning of what was said.
pub fn expected(said: &Said) -> Expected {
    let (said, doubtful) = &as_sent(said);
    let mut out = Map::new();
    let status = said.get(Part::Status).and_then(number);
    let http = [Part::Method, Part::Path, Part::Protocol].iter().any(|part| said.get(*part).is_some())
        || status.is_some_and(|it| it > 0);
    let put = |out: &mut Map<String, Value>, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    };
    let text = |part| said.get(part).map(Value::from);
    let int = |part| said.get(part).and_then(number).map(Value::from);

    put(&mut out, "http.request.method", text(Part::Method));
    path(&mut out, said.get(Part::Path));
    put(&mut out, "url.query", text(Part::Query));
    if let Some((name, version)) = said.get(Part::Protocol).and_then(|it| it.split_once('/')) {
        out.insert("network.protocol.name".into(), name.to_ascii_lowercase().into());
        out.insert("network.protocol.version".into(), version.into());
    }
    // Envoy writes 0 for TCP too.
    let status = status.filter(|it| *it > 0 || said.get(Part::Method).is_some());
    put(&mut out, "http.response.status_code", status.map(Value::from));
    let sizes = if http {
        ["http.request.body.size", "http.response.body.size"]
    } else {
        ["envoy.bytes_received", "envoy.bytes_sent"]
    };
    put(&mut out, sizes[0], int(Part::Received));
    put(&mut out, sizes[1], int(Part::Sent));
    put(&mut out, "user_agent.original", text(Part::UserAgent));
    if let Some(forwarded) = said.get(Part::ForwardedFor) {
        let first = forwarded.split(',').next().unwrap_or("").trim();
        put(&mut out, "client.address", client(first).map(|it| it.to_string().into()));
        out.insert("http.request.header.x-forwarded-for".into(), json!([forwarded]));
    }
    endpoint(&mut out, "server", said.get(Part::Authority));
    endpoint(&mut out, "envoy.upstream", said.get(Part::Upstream));
    put(&mut out, "envoy.request_id", text(Part::RequestId));
    let flags: Option<Vec<&str>> = said.get(Part::Flags).map(|it| it.split(',').filter(|it| *it != "-").collect());
    put(&mut out, "envoy.response_flags", flags.as_ref().filter(|it| !it.is_empty()).map(|it| json!(it)));
    put(&mut out, "envoy.response_code_details", text(Part::CodeDetails));
    put(&mut out, "envoy.connection.termination_details", text(Part::Termination));
    put(&mut out, "envoy.upstream.failure_reason", text(Part::Failure));
    put(&mut out, "envoy.upstream.cluster", text(Part::Cluster));
    put(&mut out, "envoy.emit_time", text(Part::EmitTime));
    let grpc = said.get(Part::Grpc).map(constant);
    put(&mut out, "rpc.response.status_code", grpc.clone().map(Value::from));
    put(&mut out, "envoy.duration_ms", int(Part::Duration));
    put(&mut out, "envoy.upstream.service_time_ms", int(Part::ServiceTime));
    put(&mut out, "kuma.mesh", text(Part::Mesh));
    put(&mut out, "kuma.zone", text(Part::Zone));
    put(&mut out, "kuma.destination.service", text(Part::Destination));
    put(&mut out, "kuma.traffic.direction", text(Part::Direction));
    // On inbound listeners Kuma does not know the source: it gives the proxy that writes the log.
    let source = said.get(Part::Source).filter(|it| *it != "unknown");
    put(&mut out, "kuma.source.service", source.map(Value::from));
    let inbound = said.get(Part::Direction) == Some("INBOUND");
    if !inbound && said.get(Part::Source) != Some("unknown") {
        put(&mut out, "kuma.source.address", said.get(Part::SourceAddress).map(|it| host(it).into()));
    }
    out.extend(said.others.clone());
    let timestamp = said.get(Part::StartTime).map(str::to_owned);
    let trace_id = said.get(Part::EnvoyTrace).or(said.get(Part::Trace)).and_then(trace);
    let span_id = said.get(Part::EnvoySpan).map(str::to_owned);
    if let (None, Some(text)) = (&trace_id, said.get(Part::Trace)) {
        out.insert("http.request.header.x-b3-traceid".into(), json!([text]));
    }
    let severity = severity(status, flags.as_deref(), grpc.as_deref());
    Expected { attributes: out, timestamp, severity, doubtful: *doubtful, trace_id, span_id }
}

/// The texts of clients as they sent them, and whether some of that is in doubt.
fn as_sent(said: &Said) -> (Said, bool) {
    const OF_CLIENTS: [Part; 5] = [Part::Path, Part::ForwardedFor, Part::UserAgent, Part::Trace, Part::RequestId];
    let (mut out, mut doubtful) = (said.clone(), false);
    for part in OF_CLIENTS {
        match said.get(part).map(sent) {
            Some(Sent::Text(text)) => out = out.with(part, &text),
            Some(Sent::Doubtful(_)) => doubtful = true,
            None => {}
        }
    }
    (out, doubtful)
}

/// `NotFound` as `NOT_FOUND`.
fn constant(name: &str) -> String {
    if name == "OK" {
        return name.to_owned();
    }
    let words = name
        .char_indices()
        .map(|(at, it)| if at > 0 && it.is_ascii_uppercase() { format!("_{it}") } else { it.to_string() });
    words.collect::<String>().to_ascii_uppercase()
}

/// The address of a client, bare or with a port, in brackets or quotes.
fn client(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    text.parse().or_else(|_| text.parse::<SocketAddr>().map(|it| it.ip())).or_else(|_| host(text).parse()).ok()
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn path(out: &mut Map<String, Value>, path: Option<&str>) {
    let Some(path) = path else { return };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    out.insert("url.path".into(), path.into());
    if let Some(query) = query.filter(|it| !it.is_empty()) {
        out.insert("url.query".into(), query.into());
    }
}

/// `host`, `host:port`, `[v6]:port`.
fn endpoint(out: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    let after = text.rsplit_once(']').map_or(text, |(_, after)| after);
    let port = after.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|it| *it > 0);
    out.insert(format!("{name}.address"), host(text).into());
    if let Some(port) = port {
        out.insert(format!("{name}.port"), port.into());
    }
}

/// The host of `host:port`; an IPv6 address without its brackets.
fn host(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((host, _)) => host,
        None if text.matches(':').count() == 1 => text.split(':').next().unwrap_or(text),
        None => text,
    }
}

/// A B3 id of 64 or 128 bits as the 128 bits of OpenTelemetry; a Datadog id is a decimal number
/// of 64 bits.
fn trace(text: &str) -> Option<String> {
    let hex = text.bytes().all(|it| it.is_ascii_hexdigit());
    let id = match text.len() {
        16 | 32 if hex => format!("{:0>32}", text.to_ascii_lowercase()),
        _ => format!("{:032x}", text.parse::<u64>().ok()?),
    };
    (id.bytes().any(|it| it != b'0')).then_some(id)
}
