use std::collections::HashMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::decode::otlp::{self, Limits, RecordCounts, RecordSettings};
use crate::decode::reader::{FormatSetting, Origin, Reader};
use crate::decode::{Scratch, Visitor};
use crate::encode::{Encoder, Encoding};
use crate::record::{EnvelopeRef, RecordRef};

/// As much of Envoy's messages as the tests need; tags as in `accesslog.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct HttpEntry {
    #[prost(message, optional, tag = "1")]
    common: Option<Common>,
    #[prost(int32, tag = "2")]
    protocol_version: i32,
    #[prost(message, optional, tag = "3")]
    request: Option<Request>,
    #[prost(message, optional, tag = "4")]
    response: Option<Response>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TcpEntry {
    #[prost(message, optional, tag = "1")]
    common: Option<Common>,
    #[prost(message, optional, tag = "2")]
    connection: Option<Connection>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Connection {
    #[prost(uint64, tag = "1")]
    received: u64,
    #[prost(uint64, tag = "2")]
    sent: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Common {
    #[prost(message, optional, tag = "2")]
    downstream_remote: Option<Address>,
    #[prost(message, optional, tag = "4")]
    tls: Option<Tls>,
    #[prost(message, optional, tag = "5")]
    start_time: Option<Time>,
    #[prost(message, optional, tag = "12")]
    last_byte: Option<Time>,
    #[prost(message, optional, tag = "13")]
    upstream: Option<Address>,
    #[prost(string, tag = "15")]
    cluster: String,
    #[prost(message, optional, tag = "16")]
    flags: Option<Flags>,
    #[prost(message, optional, tag = "17")]
    metadata: Option<Metadata>,
    #[prost(map = "string, string", tag = "22")]
    tags: HashMap<String, String>,
    #[prost(message, optional, tag = "23")]
    duration: Option<Time>,
    #[prost(uint32, tag = "24")]
    attempts: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(map = "string, message", tag = "1")]
    filters: HashMap<String, Object>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Object {
    #[prost(map = "string, message", tag = "1")]
    fields: HashMap<String, Json>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Json {
    #[prost(double, optional, tag = "2")]
    number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    text: Option<String>,
    #[prost(message, optional, tag = "5")]
    object: Option<Object>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tls {
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(string, tag = "3")]
    sni: String,
    #[prost(message, optional, tag = "5")]
    peer: Option<Certificate>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Certificate {
    #[prost(message, repeated, tag = "1")]
    names: Vec<Name>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    uri: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Flags {
    #[prost(bool, tag = "6")]
    upstream_connection_failure: bool,
    #[prost(message, optional, tag = "13")]
    unauthorized: Option<Time>,
    #[prost(bool, tag = "16")]
    retry_limit: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket: Option<Socket>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Socket {
    #[prost(string, tag = "2")]
    address: String,
    #[prost(uint32, tag = "3")]
    port: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(int32, tag = "1")]
    method: i32,
    #[prost(string, tag = "3")]
    authority: String,
    #[prost(string, tag = "5")]
    path: String,
    #[prost(string, tag = "10")]
    original_path: String,
    #[prost(uint64, tag = "12")]
    body_bytes: u64,
    #[prost(map = "string, string", tag = "13")]
    headers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    code: Option<Wrapped>,
    #[prost(uint64, tag = "3")]
    body_bytes: u64,
    #[prost(map = "string, string", tag = "5")]
    trailers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wrapped {
    #[prost(uint32, tag = "1")]
    value: u32,
}

fn message(field: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut group = Vec::new();
    entries.iter().for_each(|entry| put_bytes(&mut group, LOG_ENTRY, entry));
    let mut out = Vec::new();
    put_bytes(&mut out, field, &group);
    out
}

fn identifier(log_name: &str, node: &str) -> Vec<u8> {
    let (mut inner, mut out) = (Vec::new(), Vec::new());
    let mut id = Vec::new();
    put_bytes(&mut id, node::ID, node.as_bytes());
    put_bytes(&mut inner, identifier::NODE, &id);
    put_bytes(&mut inner, identifier::LOG_NAME, log_name.as_bytes());
    put_bytes(&mut out, message::IDENTIFIER, &inner);
    out
}

fn parts(stream: &mut Stream, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut entries = stream.begin(bytes)?;
    let mut parts = Vec::new();
    while let Some(part) = stream.part(&mut entries)? {
        parts.push(part);
    }
    Ok(parts)
}

fn records(request: &[u8]) -> u32 {
    otlp::check(request, &Limits::default()).unwrap().records
}

struct Written(Encoder);

impl Visitor for Written {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.0.envelope(envelope);
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        self.0.record(record);
        ControlFlow::Continue(())
    }
}

/// The records as the sink `file` writes them.
fn json(request: &[u8]) -> Vec<serde_json::Value> {
    let reader = Reader::compile(&FormatSetting::default(), Origin::Otlp).unwrap();
    let settings = RecordSettings { reader: &reader, observed_unix_nano: 7, redactor: None };
    let mut written = Written(Encoder::new(Encoding::Json));
    otlp::check(request, &Limits::default()).unwrap();
    let (mut scratch, mut counts) = (Scratch::default(), RecordCounts::default());
    assert_eq!(otlp::decode(request, 0, &settings, &mut scratch, &mut written, &mut counts), None);
    let lines = String::from_utf8(written.0.finish()).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn address(address: &str, port: u32) -> Option<Address> {
    Some(Address { socket: Some(Socket { address: address.to_owned(), port }) })
}

#[test]
fn an_http_entry_is_typed_like_a_line() {
    let entry = HttpEntry {
        common: Some(Common {
            downstream_remote: address("::1", 41000),
            tls: Some(Tls {
                version: 4,
                sni: "web.mesh".to_owned(),
                peer: Some(Certificate { names: vec![Name { uri: "spiffe://default/client".to_owned() }] }),
            }),
            start_time: Some(Time { seconds: 1_700_000_000, nanos: 5_000_000 }),
            last_byte: Some(Time { seconds: 0, nanos: 1_500_000 }),
            upstream: address("10.0.0.9", 8080),
            cluster: "outbound|80||web".to_owned(),
            flags: Some(Flags { upstream_connection_failure: true, unauthorized: None, retry_limit: true }),
            metadata: Some(Metadata {
                filters: HashMap::from([(
                    "envoy.lb".to_owned(),
                    Object {
                        fields: HashMap::from([(
                            "canary".to_owned(),
                            Json { number: Some(3.0), text: None, object: None },
                        )]),
                    },
                )]),
            }),
            tags: map(&[("cluster_id", "east")]),
            duration: Some(Time { seconds: 2, nanos: 999_999 }),
            attempts: 2,
        }),
        protocol_version: 3,
        request: Some(Request {
            method: 3,
            authority: "web.mesh:80".to_owned(),
            path: "/rewritten".to_owned(),
            original_path: "/cart?id=7".to_owned(),
            body_bytes: 0,
            headers: map(&[
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                ("x-tenant", "a"),
                (":path", "/forged"),
            ]),
        }),
        response: Some(Response {
            code: Some(Wrapped { value: 503 }),
            body_bytes: 91,
            trailers: map(&[("grpc-status", "14")]),
        }),
    };
    let bytes = [identifier("mesh-log", "pod-1"), message(message::HTTP_LOGS, &[entry.encode_to_vec()])].concat();
    let parts = parts(&mut Stream::default(), &bytes).unwrap();
    assert_eq!(parts.len(), 1);
    let record = &json(&parts[0])[0];
    let attributes = &record["attributes"];
    for (key, expected) in [
        ("http.request.method", json!("POST")),
        ("url.path", json!("/cart")),
        ("url.query", json!("id=7")),
        ("network.protocol.version", json!("2")),
        ("http.response.status_code", json!(503)),
        ("http.request.body.size", json!(0)),
        ("http.response.body.size", json!(91)),
        ("server.address", json!("web.mesh")),
        ("server.port", json!(80)),
        ("envoy.response_flags", json!(["UF", "URX"])),
        ("envoy.duration_ms", json!(2000)),
        ("envoy.upstream.address", json!("10.0.0.9")),
        ("envoy.upstream.port", json!(8080)),
        ("envoy.upstream.cluster", json!("outbound|80||web")),
        ("envoy.downstream_remote_address", json!("[::1]:41000")),
        ("envoy.requested_server_name", json!("web.mesh")),
        ("envoy.tls.client.uri_san", json!("spiffe://default/client")),
        ("tls.protocol.version", json!("1.3")),
        ("envoy.time_to_last_downstream_tx_byte_ms", json!(1.5)),
        ("envoy.upstream.request_attempt_count", json!(2)),
        ("envoy.metadata", json!({"envoy.lb": {"canary": 3}})),
        ("http.request.header.x-tenant", json!(["a"])),
        ("cluster_id", json!("east")),
        ("rpc.response.status_code", json!("UNAVAILABLE")),
    ] {
        assert_eq!(attributes[key], expected, "{key}: {record:#}");
    }
    assert_eq!(record["timestamp"], "2023-11-14T22:13:20.005Z");
    assert_eq!(record["severity_text"], "ERROR");
    assert_eq!(record["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(record["span_id"], "00f067aa0ba902b7");
    assert_eq!(record["resource"]["log_name"], "mesh-log");
    assert_eq!(record["resource"]["node_name"], "pod-1");
    assert!(!record.to_string().contains("forged"), "{record:#}");
}

#[test]
fn a_tcp_entry() {
    let entry = TcpEntry {
        common: Some(Common { upstream: address("10.0.0.9", 6379), ..Common::default() }),
        connection: Some(Connection { received: 0, sent: 6195 }),
    };
    let bytes = message(message::TCP_LOGS, &[entry.encode_to_vec(), entry.encode_to_vec()]);
    let parts = parts(&mut Stream::default(), &bytes).unwrap();
    let records = json(&parts[0]);
    assert_eq!(records.len(), 2);
    let attributes = &records[0]["attributes"];
    assert_eq!(attributes["envoy.bytes_received"], 0, "{attributes:#}");
    assert_eq!(attributes["envoy.bytes_sent"], 6195, "{attributes:#}");
    assert_eq!(attributes["envoy.upstream.port"], 6379, "{attributes:#}");
    assert_eq!(records[0]["severity_text"], "INFO");
}

#[test]
fn a_flag_that_is_a_message_counts_by_being_there() {
    let flags = Flags { unauthorized: Some(Time::default()), ..Flags::default() };
    let common = Some(Common { flags: Some(flags), ..Common::default() });
    let bytes = message(message::HTTP_LOGS, &[HttpEntry { common, ..HttpEntry::default() }.encode_to_vec()]);
    let record = &json(&parts(&mut Stream::default(), &bytes).unwrap()[0])[0];
    assert_eq!(record["attributes"]["envoy.response_flags"], json!(["UAEX"]), "{record:#}");
}

#[test]
fn the_identifier_counts_for_later_messages() {
    let mut stream = Stream::default();
    assert!(parts(&mut stream, &identifier("first", "n")).unwrap().is_empty());
    let bytes = message(message::TCP_LOGS, &[Vec::new()]);
    let record = &json(&parts(&mut stream, &bytes).unwrap()[0])[0];
    assert_eq!(record["resource"]["log_name"], "first");
}

#[test]
fn a_message_of_empty_entries_is_written_in_parts() {
    let entries = vec![Vec::new(); 50_000];
    let bytes = message(message::HTTP_LOGS, &entries);
    let parts = parts(&mut Stream::default(), &bytes).unwrap();
    assert!(parts.len() > 1);
    assert!(parts.iter().all(|part| part.len() < PART_BYTES + 1024));
    let grown: usize = parts.iter().map(Vec::len).sum();
    assert!(grown < GROWTH_MAX * bytes.len(), "{grown} of {}", bytes.len());
    assert_eq!(parts.iter().map(|part| records(part)).sum::<u32>(), 50_000);
}

#[test]
fn what_would_make_a_record_too_large_is_counted() {
    let request = Request { path: "/x".repeat(1 << 20), authority: "web".to_owned(), ..Request::default() };
    let entry = HttpEntry { request: Some(request), ..HttpEntry::default() };
    let bytes = message(message::HTTP_LOGS, &[entry.encode_to_vec()]);
    let part = parts(&mut Stream::default(), &bytes).unwrap().remove(0);
    assert!(part.len() < 1024);
    let record = &json(&part)[0];
    assert_eq!(record["attributes"]["server.address"], "web", "{record:#}");
}

#[test]
fn entries_before_a_malformed_one_are_kept() {
    let entry = HttpEntry { protocol_version: 2, ..HttpEntry::default() }.encode_to_vec();
    let bytes = message(message::HTTP_LOGS, &[entry, vec![0x0a, 0x7f]]);
    let mut stream = Stream::default();
    let mut entries = stream.begin(&bytes).unwrap();
    assert_eq!(records(&stream.part(&mut entries).unwrap().unwrap()), 1);
    assert!(stream.part(&mut entries).is_err());
    assert_eq!(stream.part(&mut entries).unwrap(), None);
}

/// Bytes that look like nested messages.
fn nested() -> impl Strategy<Value = Vec<u8>> {
    let leaf = proptest::collection::vec(any::<u8>(), 0..24);
    leaf.prop_recursive(6, 96, 6, |inner| {
        proptest::collection::vec((1u32..30, inner, any::<bool>(), any::<u8>()), 0..6).prop_map(|fields| {
            let mut out = Vec::new();
            for (number, bytes, is_number, value) in fields {
                if is_number {
                    crate::decode::wire::put_tag_varint(&mut out, number);
                    out.push(value & 0x7f);
                } else {
                    put_bytes(&mut out, number, &bytes);
                }
            }
            out
        })
    })
}

proptest! {
    #[test]
    fn any_entry_is_a_request_that_passes(entries in proptest::collection::vec(nested(), 0..6), tcp: bool) {
        let bytes = message(if tcp { message::TCP_LOGS } else { message::HTTP_LOGS }, &entries);
        let mut stream = Stream::default();
        let mut rest = stream.begin(&bytes).unwrap();
        let mut taken = 0;
        while let Ok(Some(part)) = stream.part(&mut rest) {
            prop_assert!(part.len() < WORK_BYTES);
            prop_assert_eq!(otlp::check(&part, &Limits::default()).unwrap().oversized_records, 0);
            taken += records(&part);
        }
        prop_assert!(taken as usize <= entries.len());
    }

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parts(&mut Stream::default(), &bytes);
    }
}
