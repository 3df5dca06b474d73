//! JSON lines with the keys of Kuma's documentation.

use serde_json::Value;

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

/// What a line says that is a JSON object; `Err` with the reason where it is kept as text.
pub fn object(line: &str) -> Result<Said, &'static str> {
    let Ok(value) = serde_json::from_str::<Value>(line) else { return Err("invalid_json") };
    let Value::Object(members) = value else { return Err("no_values") };
    let mut said = Said::default();
    for (key, value) in members {
        match KEYS.iter().find(|(known, _)| *known == key) {
            Some((_, part)) => said.add(*part, &text(&value)),
            None => drop(said.others.insert(key, value)),
        }
    }
    if said == Said::default() { Err("no_values") } else { Ok(said) }
}

/// A value as text, without the quotes that the documented formats wrap around some.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let text = text.strip_prefix('"').unwrap_or(text);
            text.strip_suffix('"').unwrap_or(text).to_owned()
        }
        other => other.to_string(),
    }
}
