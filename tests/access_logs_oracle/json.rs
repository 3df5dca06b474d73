//! JSON lines with the keys of Kuma's documentation.

use serde_json::{Map, Value};

use super::said::{Part, Said};

/// The keys of the two documented JSON formats and of the documented TrafficLog template.
const KEYS: &[(&str, Part)] = &[
    ("start_time", Part::StartTime),
    ("kuma_mesh", Part::Mesh),
    ("method", Part::Method),
    ("path", Part::Path),
    ("protocol", Part::Protocol),
    ("response_code", Part::Status),
    ("response_flags", Part::Flags),
    ("bytes_received", Part::Received),
    ("bytes_sent", Part::Sent),
    ("duration_ms", Part::Duration),
    ("duration_millis", Part::Duration),
    ("upstream_service_time", Part::ServiceTime),
    ("x_forwarded_for", Part::ForwardedFor),
    ("user_agent", Part::UserAgent),
    ("request_id", Part::RequestId),
    ("authority", Part::Authority),
    ("kuma_source_service", Part::Source),
    ("source", Part::Source),
    ("kuma_destination_service", Part::Destination),
    ("destination", Part::Destination),
    ("kuma_source_address_without_port", Part::SourceAddress),
    ("source_address", Part::SourceAddress),
    ("upstream_host", Part::Upstream),
    ("destination_address", Part::Upstream),
];

/// Names of operators, which people use as keys.
const OPERATORS: &[(&str, Part)] = &[
    ("START_TIME", Part::StartTime),
    ("EMIT_TIME", Part::EmitTime),
    ("PATH", Part::Path),
    ("PROTOCOL", Part::Protocol),
    ("RESPONSE_CODE", Part::Status),
    ("RESPONSE_CODE_DETAILS", Part::CodeDetails),
    ("CONNECTION_TERMINATION_DETAILS", Part::Termination),
    ("UPSTREAM_TRANSPORT_FAILURE_REASON", Part::Failure),
    ("UPSTREAM_CLUSTER", Part::Cluster),
    ("UPSTREAM_HOST", Part::Upstream),
    ("RESPONSE_FLAGS", Part::Flags),
    ("BYTES_RECEIVED", Part::Received),
    ("BYTES_SENT", Part::Sent),
    ("DURATION", Part::Duration),
    ("GRPC_STATUS", Part::Grpc),
    ("TRACE_ID", Part::EnvoyTrace),
    ("SPAN_ID", Part::EnvoySpan),
];

/// Names of operators that are attributes as they are.
const NAMED: &[(&str, &str)] = &[
    ("ROUTE_NAME", "envoy.route_name"),
    // On TCP no x-request-id, so it has a name of its own.
    ("STREAM_ID", "envoy.stream_id"),
    ("REQUESTED_SERVER_NAME", "envoy.requested_server_name"),
    ("DOWNSTREAM_REMOTE_ADDRESS", "envoy.downstream_remote_address"),
    ("DOWNSTREAM_LOCAL_ADDRESS", "envoy.downstream_local_address"),
    ("UPSTREAM_LOCAL_ADDRESS", "envoy.upstream_local_address"),
];

/// Names of the conventions, which the attributes of policies have.
const CONVENTIONS: &[(&str, Part)] =
    &[("http.response.status_code", Part::Status), ("user_agent.original", Part::UserAgent)];

/// The same as others say: a name and a number.
const REPEATED: &[&str] = &["RESPONSE_FLAGS_LONG", "GRPC_STATUS_NUMBER"];

/// What a line says that is a JSON object; `Err` with the reason where it is kept as text.
pub fn object(line: &[u8]) -> Result<Said, &'static str> {
    let Ok(value) = serde_json::from_str::<Value>(&String::from_utf8_lossy(line)) else { return Err("invalid_json") };
    if std::str::from_utf8(line).is_err() {
        return Err("invalid_utf8");
    }
    let Value::Object(object) = value else { return Err("no_values") };
    let said = members(object);
    if said == Said::default() { Err("no_values") } else { Ok(said) }
}

/// True for a key that means something.
pub fn is_known(key: &str) -> bool {
    let named = NAMED.iter().any(|(known, _)| *known == key) || REPEATED.contains(&key);
    named || KEYS.iter().chain(OPERATORS).any(|(known, _)| *known == key)
}

/// What the members of an object say, or the attributes of an OTLP record.
pub fn members(members: Map<String, Value>) -> Said {
    let mut said = Said::default();
    for (key, value) in members {
        if let Some((_, part)) = KEYS.iter().chain(OPERATORS).chain(CONVENTIONS).find(|(known, _)| *known == key) {
            said.add(*part, &text(&key, &value));
        } else if let Some((_, name)) = NAMED.iter().find(|(known, _)| *known == key) {
            said.others.extend((!value.is_null()).then(|| ((*name).to_owned(), value)));
        } else if !REPEATED.contains(&key.as_str()) {
            said.others.insert(key, own(value));
        }
    }
    said
}

/// A value as text, without the quotes that the documented format wraps around some: around the
/// whole, or before the method only.
fn text(key: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let inner = text.strip_prefix('"');
            let bare = match key {
                "method" => inner,
                "x_forwarded_for" | "user_agent" | "request_id" | "authority" => {
                    inner.and_then(|it| it.strip_suffix('"'))
                }
                _ => None,
            };
            bare.unwrap_or(text).to_owned()
        }
        other => other.to_string(),
    }
}

/// A member that is nobody's: as it is, but for whole numbers that do not fit 64 bits with a sign.
pub fn own(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(own).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, own(value))).collect(),
        other => other,
    }
}
