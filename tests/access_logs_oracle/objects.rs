//! Objects and directions as nobody documents them.

use serde_json::{Value, json};

use super::expect::{Expected, Verdict, expected};
use super::json;
use super::said::{Part, Said};

/// Lines under `auto`, and what becomes of each.
pub fn objects() -> Vec<(String, Verdict)> {
    let logs = [
        // Numbers as text, keys in no order.
        json!({"response_flags": "UF,URX", "response_code": "503", "bytes_sent": "9", "bytes_received": "5",
            "duration_ms": "14", "method": "GET", "path": "/a?b=%22", "start_time": "2026-11-20T11:48:37.057Z"}),
        // Absence in all its forms.
        json!({"response_code": 200, "response_flags": "-", "method": "\"-", "path": null, "user_agent": "\"-\"",
            "x_forwarded_for": "\"\"", "request_id": "-", "authority": "", "upstream_host": null, "duration_ms": 0}),
        // Quotes that belong to the header, and some that do not close.
        json!({"response_code": 200, "response_flags": "-", "method": "\"GET", "path": "/",
            "user_agent": "\"\"both\"\"", "request_id": "not a uuid \"q\""}),
        // A client's text that looks like more members.
        json!({"response_code": 404, "response_flags": "NR", "method": "GET", "path": "/x",
            "user_agent": "a\",\"response_code\":200,\"kuma_mesh\":\"evil"}),
        // Members of nobody stay, whatever they are.
        json!({"response_code": 418, "response_flags": "-", "method": "BREW", "path": "/pot", "team": "tea",
            "nested": {"a": [1, 2.5, true, null, {"b": "c"}]}, "big": 9_007_199_254_740_993_i64}),
        // What is TCP has no status.
        json!({"response_code": 0, "response_flags": "UH", "bytes_received": 3, "bytes_sent": 4, "duration_ms": -1,
            "kuma_source_service": "unknown", "kuma_source_address_without_port": "fd00::1",
            "kuma_destination_service": "kri_msvc_default_zone-1_ns_name_80", "upstream_host": "[fd00::2]:80"}),
        json!({"response_code": 0, "response_flags": "DC", "method": "GET", "path": "/gone", "protocol": "HTTP/2",
            "duration_ms": 30_000}),
    ];
    // Words of every log: nothing here says that it is an access log.
    let others = [
        json!({"method": "charge", "duration": 3}),
        json!({"path": "/var/log", "level": "info", "source": "disk", "message": "full"}),
        json!({"status": 500, "method": "GET", "message": "it failed"}),
        json!({"team": "tea"}),
    ];
    let log = |value: Value| {
        let line = value.to_string();
        let verdict = json::object(line.as_bytes()).map_or_else(Verdict::Raw, Verdict::from);
        (line, verdict)
    };
    let other = |value: Value| {
        let nothing = expected(&Said::default());
        let attributes = value.as_object().unwrap().clone();
        (value.to_string(), Verdict::Read(Box::new(Expected { attributes, ..nothing })))
    };
    logs.into_iter().map(log).chain(others.into_iter().map(other)).collect()
}

/// Lines of a template that escapes nothing, with what a client wrote into its user agent; and the
/// ways to read each. What the collector says of itself nobody else says.
pub fn injected() -> Vec<(String, Vec<Expected>)> {
    let line = |agent: &str| {
        format!(
            "{{\"start_time\": \"2026-11-20T11:48:37.057Z\", \"source\": \"web\", \"destination\": \"backend\", \
             \"duration_millis\": \"1\", \"user_agent\": \"{agent}\", \"path\": \"/ok\", \"bytes_sent\": \"9\"}}"
        )
    };
    let plain = json::object(line("x").as_bytes()).unwrap();
    let admin = plain.clone().with(Part::Source, "admin");
    let more = plain.clone().with(Part::Sent, "666");
    let zone = plain.clone().with(Part::Mesh, "evil");
    let ways = |all: &[&Said]| all.iter().map(|it| expected(it)).collect();
    vec![
        (line("x\", \"source\": \"admin"), ways(&[&plain, &admin])),
        (line("x\", \"kuma_source_service\": \"admin"), ways(&[&plain, &admin])),
        (line("x\", \"bytes_sent\": \"666"), ways(&[&plain, &more])),
        (line("x\", \"logboom.parse_error\": \"forged"), ways(&[&plain])),
        (line("x\", \"logboom.partial\": \"true"), ways(&[&plain])),
        // Nothing tells this from a format that has the key.
        (line("x\", \"kuma_mesh\": \"evil"), ways(&[&zone])),
    ]
}

/// A format with all that Kuma knows about both sides.
pub const SIDES: &str = "%START_TIME% %KUMA_TRAFFIC_DIRECTION% %KUMA_ZONE% %KUMA_MESH% %KUMA_SOURCE_SERVICE% %KUMA_SOURCE_ADDRESS% \
    %KUMA_DESTINATION_SERVICE% %RESPONSE_FLAGS%";

/// Lines in that format: on which side they were written decides what the source address is.
pub fn sides() -> Vec<(String, Verdict)> {
    let table = [
        ("OUTBOUND", "web", "10.42.0.7:0"),
        ("OUTBOUND", "web", "[fd00::1]:0"),
        ("INBOUND", "unknown", "10.42.0.7:0"),
        ("INBOUND", "unknown", "[fd00::1]:0"),
        ("INBOUND", "web", "10.42.0.7:0"),
        ("UNSPECIFIED", "unknown", "10.42.0.7:0"),
        ("UNSPECIFIED", "web", "10.42.0.7:0"),
    ];
    let line = |(direction, source, address): (&str, &str, &str)| {
        let start = "2026-11-20T11:48:37.057Z";
        let said = [
            (Part::StartTime, start),
            (Part::Direction, direction),
            (Part::Zone, "zone-1"),
            (Part::Mesh, "default"),
            (Part::Source, source),
            (Part::SourceAddress, address),
            (Part::Destination, "kri_msvc_default_zone-1_ns_name_80"),
            (Part::Flags, "-"),
        ];
        let text: Vec<&str> = said.iter().map(|(_, text)| *text).collect();
        (text.join(" "), said.iter().fold(Said::default(), |all, (part, text)| all.with(*part, text)).into())
    };
    table.map(line).to_vec()
}
