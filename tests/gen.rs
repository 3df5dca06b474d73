//! `logboom gen`: what it renders, and what arrives on real sockets.

// The lints know tests by their attribute, and their helpers not at all.
#![allow(clippy::unwrap_used, clippy::panic)]

mod util;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use clap::Parser;
use logboom::generate::{GenArgs, Pool, Report, generate};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use prost::Message;
use tonic::{Request, Response, Status};
use util::Server;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: GenArgs,
}

fn args(flags: &str) -> GenArgs {
    Cli::try_parse_from(std::iter::once("gen").chain(flags.split_whitespace())).unwrap().args
}

/// All lines of a pool, and of one turn around it.
fn lines(flags: &str, index: u32) -> Vec<u8> {
    all_lines(&args(flags), index)
}

fn all_lines(args: &GenArgs, index: u32) -> Vec<u8> {
    let mut pool = Pool::new(args, index).unwrap();
    let (number, bytes) = pool.next_lines(u32::MAX, usize::MAX);
    assert!(number >= 500);
    bytes.to_vec()
}

fn text_lines(flags: &str, index: u32) -> Vec<String> {
    String::from_utf8(lines(flags, index)).unwrap().lines().map(str::to_owned).collect()
}

fn request(pool: &mut Pool, records: u32) -> Vec<u8> {
    let request = pool.next_request(records).unwrap();
    let mut bytes = Vec::new();
    let expected = request.bytes_len();
    request.write(&mut bytes);
    assert_eq!(bytes.len(), expected);
    bytes
}

fn is_time(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn http_lines_have_the_20_fields(seed: u64, index in 0u32..1000) {
        for line in text_lines(&format!("--connections 1000 --seed {seed}"), index) {
            // Ten quoted fields: the odd parts between quotes.
            let parts: Vec<&str> = line.split('"').collect();
            prop_assert_eq!(parts.len(), 21, "{}", &line);
            let (time, mesh) = parts[0].split_once(' ').unwrap();
            prop_assert!(is_time(time.trim_matches(['[', ']'])), "{}", &line);
            prop_assert_eq!(mesh, "default ");
            prop_assert_eq!(parts[1].split(' ').count(), 3, "{}", &line);
            prop_assert_eq!(parts[2].split_whitespace().count(), 6, "{}", &line);
            prop_assert!(parts[4..].iter().step_by(2).all(|gap| gap.trim().is_empty()), "{}", &line);
        }
    }

    #[test]
    fn json_lines_parse_and_their_keys_are_sorted(seed: u64, index in 0u32..1000) {
        for line in text_lines(&format!("--format kuma-json --connections 1000 --seed {seed}"), index) {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(object.len(), 19);
            let places: Vec<usize> = object.keys().map(|key| line.find(&format!("\"{key}\":")).unwrap()).collect();
            prop_assert!(places.is_sorted(), "{}", &line);
            prop_assert!(object.keys().is_sorted());
            prop_assert!(is_time(object["start_time"].as_str().unwrap()));
            prop_assert!(object["response_code"].is_u64() && object["duration_ms"].is_u64());
            prop_assert!(!line.contains(['<', '>', '&']), "{}", &line);
        }
    }

    #[test]
    fn any_slicing_gives_the_same_lines(takes in prop::collection::vec((1u32..300, 1usize..100_000), 1..40)) {
        let flags = "--format mixed --hostile --connections 1000";
        let whole = lines(flags, 0);
        let endings = whole.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
        let mut pool = Pool::new(&args(flags), 0).unwrap();
        let mut seen = Vec::new();
        for (lines_max, bytes_max) in takes {
            let (number, bytes) = pool.next_lines(lines_max, bytes_max);
            prop_assert!(number >= 1 && number <= lines_max);
            prop_assert!(number == 1 || bytes.len() <= bytes_max);
            prop_assert!(bytes.ends_with(b"\n"));
            seen.extend_from_slice(bytes);
        }
        // Times differ, lengths do not.
        let lengths = |lines: &[&[u8]]| lines.iter().map(|line| line.len()).collect::<Vec<_>>();
        let seen: Vec<&[u8]> = seen.split_inclusive(|byte| *byte == b'\n').collect();
        let expected: Vec<&[u8]> = endings.iter().copied().cycle().take(seen.len()).collect();
        prop_assert_eq!(lengths(&seen), lengths(&expected));
    }
}

#[test]
fn sizes_are_those_of_the_real_thing() {
    let check = |flags: &str, expected: usize| {
        let lines = lines(&format!("{flags} --connections 1"), 0);
        let mean = lines.len() / lines.iter().filter(|byte| **byte == b'\n').count();
        assert!(mean.abs_diff(expected) * 20 <= expected, "{flags}: {mean} bytes");
    };
    check("--format kuma-http", 360);
    check("--format kuma-json", 654);
    check("--format kuma-tcp", 127);
    let check = |flags: &str, expected: usize| {
        let mut pool = Pool::new(&args(&format!("{flags} --format otlp --batch 500")), 0).unwrap();
        let mean = request(&mut pool, 500).len() / 500;
        assert!(mean.abs_diff(expected) * 10 <= expected, "{flags}: {mean} bytes");
    };
    check("--body string", 640);
    check("--body kvlist", 971);
}

#[test]
fn tcp_lines_read_back() {
    for line in text_lines("--format kuma-tcp", 3) {
        let (time, rest) = line.strip_prefix('[').unwrap().split_once("] ").unwrap();
        assert!(is_time(time));
        let words: Vec<&str> = rest.split(' ').collect();
        assert_eq!(words.len(), 11, "{line}");
        assert!(words[2].contains(")->") && words[2].ends_with(')'), "{line}");
        assert_eq!((words[3], words[5], words[8]), ("took", "sent", "received:"), "{line}");
    }
}

/// A format string of one's own: times in forms of their own, header, number, address, cut values,
/// and an operator that nobody knows.
const OWN: &str = "%START_TIME% %START_TIME(%s.%3f)% %START_TIME_LOCAL% %RESPONSE_CODE% %RESPONSE_FLAGS_LONG% \
    %REQ(:PATH)% %PATH(NQ)% %GRPC_STATUS% %KUMA_SOURCE_ADDRESS% %KUMA_ZONE% %CONNECTION_ID% %REQ(X-TENANT)% \
    \"%REQ(USER-AGENT):20%\" %REQ(TRACEPARENT)% %UPSTREAM_REMOTE_ADDRESS% 100%% %REQ(X-REQUEST-ID)% %WHAT%";

#[test]
fn one_seed_gives_the_same_records_and_another_does_not() {
    for format in ["kuma-http", "envoy", "istio", OWN] {
        // The times are those of now.
        let records = |seed: &str| -> Vec<String> {
            let flags = ["gen", "--seed", seed, "--format", format];
            let lines = all_lines(&Cli::try_parse_from(flags).unwrap().args, 0);
            let times = if format == OWN { 3 } else { 1 };
            let without_times = |line: &str| line.splitn(times + 1, ' ').last().unwrap().to_owned();
            String::from_utf8_lossy(&lines).lines().map(without_times).collect()
        };
        assert_eq!(records("7"), records("7"), "{format}");
        assert_ne!(records("7"), records("8"), "{format}");
    }
}

fn logboom_gen(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_logboom")).arg("gen").args(flags).output().unwrap()
}

/// Scenario: the built program sends each format to a source that has this format.
/// Guarantee: every record is read, and in one way; the times are those of now.
#[test]
fn what_is_sent_in_a_format_is_read_by_it() {
    let plain = format!("{{type: Plain, plain: '{OWN}'}}");
    let cases = [
        ("kuma-http", "kuma-http", "kuma-http"),
        ("kuma-tcp", "kuma-tcp", "kuma-tcp"),
        ("kuma-json", "kuma-json", "json"),
        ("mixed", "mixed", "auto"),
        ("envoy", "envoy", "envoy"),
        ("istio", "istio", "istio"),
        ("own", OWN, &*plain),
    ];
    let sources =
        cases.map(|(name, _, format)| format!("{name}: {{type: lines, listen: 127.0.0.1:0, format: {format}}}"));
    let sinks = cases
        .map(|(name, ..)| format!("{name}: {{type: file, path: '{{dir}}/{name}', encoding: json, from: [{name}]}}"));
    let server = Server::start(&format!("sources:\n  {}\nsinks:\n  {}", sources.join("\n  "), sinks.join("\n  ")));
    let started = jiff::Timestamp::now() - jiff::SignedDuration::from_millis(1);
    for (name, format, _) in cases {
        let to = format!("lines://{}", server.address(name));
        let flags = ["--format", format, "--to", &to, "--rate", "max", "--count", "1000", "--connections", "2", "--id"];
        let output = logboom_gen(&flags);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        util::eventually("all of it has come", || server.source(name, "received_records") == 1_000);
    }
    let ended = server.stop();
    ended.assert_clean();
    for (name, ..) in cases {
        let records = ended.json(name);
        assert_eq!(records.len(), 1_000, "{name}");
        for record in records {
            assert!(record["attributes"].get("logboom.parse_error").is_none(), "{name}: {record}");
            let time: jiff::Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
            assert!(time >= started, "{name}: {record}");
            assert!(record["body"].as_str().unwrap().contains("-00000000"), "{name}: {record}");
        }
    }
}

#[test]
fn a_wrong_format_is_refused_at_its_place() {
    let check = |format: &str, expected: &[&str]| {
        let output = logboom_gen(&["--format", format, "--to", "-", "--count", "1"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{format}: {error}");
        for part in expected {
            assert!(error.contains(part), "{format}: no {part} in {error}");
        }
    };
    check("kuma-htp", &["possible values: kuma-http, kuma-tcp", "'kuma-http'"]);
    check("%START_TIME% 5 %", &["error: a percent sign that begins no operator", "--format:1:16", "help: write %%"]);
    check("%PROTOCOL% %REQ%", &["needs something in parentheses", "--format:1:12", " ^^^^^\n"]);
    check("%PROTOCOL%\n%DURATION%", &["a line feed inside of the format"]);
}

#[test]
fn requests_decode_and_are_shaped_as_envoy_shapes_them() {
    for body in ["string", "kvlist"] {
        let mut pool = Pool::new(&args(&format!("--format otlp --batch 17 --id --body {body}")), 3).unwrap();
        let mut next_id = 0;
        for records in [17, 17, 5] {
            let request = ExportLogsServiceRequest::decode(&*request(&mut pool, records)).unwrap();
            let [resource_logs] = &request.resource_logs[..] else { panic!("one ResourceLogs") };
            let [scope_logs] = &resource_logs.scope_logs[..] else { panic!("one ScopeLogs") };
            assert!(scope_logs.scope.is_none());
            let attributes = &resource_logs.resource.as_ref().unwrap().attributes;
            let keys: Vec<&str> = attributes.iter().map(|attribute| &*attribute.key).collect();
            let expected =
                ["log_name", "zone_name", "cluster_name", "node_name", "kuma.mesh", "kuma.zone", "kuma.workload"];
            assert_eq!(keys, expected);
            assert_eq!(scope_logs.log_records.len(), records as usize);
            for record in &scope_logs.log_records {
                assert_eq!(id_of(record), format!("c3-{next_id:012}"));
                next_id += 1;
                assert!(record.time_unix_nano > 1_700_000_000_000_000_000);
                assert_eq!(record.observed_time_unix_nano, 0);
                assert_eq!(record.attributes.len(), 6);
                for attribute in &record.attributes {
                    let value = attribute.value.as_ref().unwrap().value.as_ref().unwrap();
                    assert!(matches!(value, Value::StringValue(_)));
                }
                assert!(matches!((record.trace_id.len(), record.span_id.len()), (16, 8) | (0, 0)));
            }
        }
        assert_eq!(pool.ids(), Some(("c3-000000000000".to_owned(), format!("c3-{:012}", next_id - 1))));
    }
}

fn id_of(record: &LogRecord) -> String {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(line)) => line.split('"').nth(9).unwrap().to_owned(),
        Some(Value::KvlistValue(list)) => {
            assert_eq!(list.values.len(), 20);
            let pair = list.values.iter().find(|pair| pair.key == "request_id").unwrap();
            match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
                Value::StringValue(id) => id.clone(),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn hostile_requests_are_whole_except_for_their_text() {
    let mut pool = Pool::new(&args("--format otlp --batch 50 --hostile"), 0).unwrap();
    let requests: Vec<_> = (0..16).map(|_| request(&mut pool, 50)).collect();
    // A strict decoder loses whole requests to one bad byte, ...
    assert!(requests.iter().any(|request| ExportLogsServiceRequest::decode(&**request).is_err()));
    for request in requests {
        // ... one that reads text as bytes loses nothing.
        let list = lenient::Request::decode(&*request).unwrap();
        assert_eq!(list.resource_logs[0].scope_logs[0].log_records.len(), 50);
    }
}

/// The protocol with its text as bytes.
mod lenient {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Request {
        #[prost(message, repeated, tag = "1")]
        pub resource_logs: Vec<ResourceLogs>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ResourceLogs {
        #[prost(message, repeated, tag = "2")]
        pub scope_logs: Vec<ScopeLogs>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ScopeLogs {
        #[prost(message, repeated, tag = "2")]
        pub log_records: Vec<LogRecord>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LogRecord {
        #[prost(message, repeated, tag = "6")]
        pub attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct KeyValue {
        #[prost(bytes = "vec", tag = "1")]
        pub key: Vec<u8>,
        #[prost(message, optional, tag = "2")]
        pub value: Option<AnyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct AnyValue {
        #[prost(bytes = "vec", tag = "1")]
        pub string_value: Vec<u8>,
    }
}

/// Accepts `connections` and reads each to its end.
fn accept_all(listener: TcpListener, connections: usize) -> JoinHandle<Vec<Vec<u8>>> {
    std::thread::spawn(move || {
        let readers: Vec<JoinHandle<Vec<u8>>> = (0..connections)
            .map(|_| {
                let mut stream = listener.accept().unwrap().0;
                std::thread::spawn(move || {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    all
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    })
}

#[test]
fn every_line_arrives_once_and_in_order() {
    for format in ["kuma-http", "kuma-json --per-write 1", "kuma-tcp --per-write 7"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let reader = accept_all(listener, 3);
        let flags = format!("--format {format} --to lines://{to} --rate max --connections 3 --count 50k --id");
        let report = generate(&args(&flags)).unwrap();
        report.verdict().unwrap();
        let received = reader.join().unwrap();
        assert_eq!(report.records, 50_000);
        assert_eq!(report.bytes, received.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
        let mut connections: BTreeMap<String, u64> = BTreeMap::new();
        for line in received.iter().flat_map(|bytes| bytes.lines()) {
            let line = line.unwrap();
            let at = line.find("-000").unwrap();
            let start = line[..at].rfind(['"', '(']).unwrap() + 1;
            let next = connections.entry(line[start..at].to_owned()).or_default();
            assert_eq!(line[at + 1..at + 13], format!("{next:012}"));
            *next += 1;
        }
        let expected = [("c0", 16_667), ("c1", 16_667), ("c2", 16_666)];
        assert_eq!(connections, expected.map(|(name, number)| (name.to_owned(), number)).into());
        assert_eq!(report.ids[1], ("c1-000000000000".to_owned(), "c1-000000016666".to_owned()));
    }
}

#[test]
fn hostile_lines_are_counted_as_a_reader_counts_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flags = format!(
        "--format mixed --hostile --rate max --connections 2 --count 30k --to lines://{}",
        listener.local_addr().unwrap()
    );
    let reader = accept_all(listener, 2);
    let report = generate(&args(&flags)).unwrap();
    let received = reader.join().unwrap().concat();
    let lines: Vec<&[u8]> = received.split(|byte| *byte == b'\n').collect();
    let records = lines.iter().filter(|line| !line.is_empty()).count();
    assert_eq!(records as u64, report.records);
    assert!(lines.len() > records + 100, "blank lines between them");
    for odd in [&b"null"[..], b"{}", b"tcp"] {
        assert!(lines.contains(&odd));
    }
    assert!(lines.iter().any(|line| line.len() > 70_000));
    assert!(lines.iter().any(|line| str::from_utf8(line).is_err()));
}

#[test]
fn a_rate_sends_the_count_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mesh.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let reader = std::thread::spawn(move || BufReader::new(listener.accept().unwrap().0).lines().count());
    let flags = format!("--rate 20k --connections 1 --count 2k --to lines+unix://{}", path.display());
    let report = generate(&args(&flags)).unwrap();
    assert_eq!((reader.join().unwrap(), report.records), (2_000, 2_000));
}

#[test]
fn a_reader_that_takes_nothing_does_not_hold_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let flags = format!("--rate max --duration 300ms --connections 1 --id --to lines://{to}");
    let report = generate(&args(&flags)).unwrap();
    let mut held = listener.accept().unwrap().0;
    let mut received = Vec::new();
    held.read_to_end(&mut received).unwrap();
    // The last line may be cut; only whole ones are counted.
    assert_eq!(received.iter().filter(|byte| **byte == b'\n').count() as u64, report.records);
    assert_eq!(report.ids[0].1, format!("c0-{:012}", report.records - 1));
}

#[test]
fn a_cut_write_takes_back_what_was_not_whole() {
    let check = |bytes: fn(&[u8]) -> usize, lines: u32| {
        let mut pool = Pool::new(&args("--id"), 0).unwrap();
        let cut = bytes(pool.next_lines(3, usize::MAX).1);
        assert_eq!(pool.cut(cut), lines);
        let last = lines.checked_sub(1).map(|last| ("c0-000000000000".to_owned(), format!("c0-{last:012}")));
        assert_eq!(pool.ids(), last);
    };
    check(|all| all.len(), 3);
    check(|all| all.len() - 1, 2);
    check(|all| all.iter().position(|byte| *byte == b'\n').unwrap() + 1, 1);
    check(|all| all.iter().position(|byte| *byte == b'\n').unwrap(), 0);
    check(|_| 0, 0);
}

#[test]
fn a_broken_connection_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || drop::<TcpStream>(listener.accept().unwrap().0));
    let report = generate(&args(&format!("--rate max --connections 1 --to lines://{to}"))).unwrap();
    reader.join().unwrap();
    assert!(report.verdict().is_err());
    assert!(report.errors.keys().next().unwrap().starts_with("the connection broke"));
}

#[test]
fn nobody_listening_and_contradicting_flags_are_refused() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let check = |flags: &str, expected: &str| {
        let error = format!("{:#}", generate(&args(flags)).unwrap_err());
        assert!(error.contains(expected), "{flags}: {error}");
    };
    check(&format!("--to lines://{unused}"), "is a collector listening there?");
    check(&format!("--format otlp --to otlp://{unused}"), "is a collector listening there?");
    check("--to lines+unix:///nowhere/mesh.sock", "is a collector listening there?");
    check("--format otlp --to -", "--format otlp cannot go to -");
    check("--to otlp://127.0.0.1:4317", "lines cannot go to otlp://");
    check("--to - --json", "standard output");
    check("--duration 0s", "sends nothing");
    check("--format %START_TIME% --id", "--id finds no place for the numbers");
    check("--format %START_TIME% --to otlp://127.0.0.1:4317", "lines cannot go to otlp://");
}

/// Answers as told, keeps what came.
#[derive(Clone)]
struct Collector {
    answer: fn(usize) -> Result<ExportLogsServiceResponse, Status>,
    requests: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut requests = self.requests.lock().unwrap();
        requests.push(request.into_inner());
        (self.answer)(requests.len()).map(Response::new)
    }
}

/// Runs `flags` against a collector that gives `answer` to the nth request.
fn export(
    flags: &str,
    answer: fn(usize) -> Result<ExportLogsServiceResponse, Status>,
) -> (Report, Vec<ExportLogsServiceRequest>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let collector = Collector { answer, requests: requests.clone() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let to = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let service = LogsServiceServer::new(collector).max_decoding_message_size(64 << 20);
    runtime.spawn(tonic::transport::Server::builder().serve_with_incoming(service, incoming));
    let report = generate(&args(&format!("--format otlp --rate max --to otlp://{to} {flags}"))).unwrap();
    let requests = std::mem::take(&mut *requests.lock().unwrap());
    (report, requests)
}

fn ok() -> ExportLogsServiceResponse {
    ExportLogsServiceResponse::default()
}

#[test]
fn every_otlp_record_arrives_once() {
    let (report, requests) = export("--connections 2 --streams 8 --batch 100 --count 4230 --id", |_| Ok(ok()));
    report.verdict().unwrap();
    assert_eq!(report.records, 4_230);
    assert_eq!(report.requests, [("OK".to_owned(), requests.len() as u64)].into());
    assert!(report.latency_ms.is_some());
    let mut ids: Vec<String> =
        requests.iter().flat_map(|request| &request.resource_logs[0].scope_logs[0].log_records).map(id_of).collect();
    ids.sort();
    let expected = ["c0", "c1"].map(|name| (0..2_115).map(move |number| format!("{name}-{number:012}")));
    assert_eq!(ids, expected.into_iter().flatten().collect::<Vec<_>>());
    let bytes: usize = requests.iter().map(Message::encoded_len).sum();
    assert_eq!(report.bytes, bytes as u64);
}

#[test]
fn one_stream_keeps_the_order_and_large_requests_pass() {
    let (report, requests) = export("--connections 1 --streams 1 --batch 2000 --count 6000 --id", |_| Ok(ok()));
    report.verdict().unwrap();
    let ids: Vec<String> =
        requests.iter().flat_map(|request| &request.resource_logs[0].scope_logs[0].log_records).map(id_of).collect();
    assert_eq!(ids, (0..6_000).map(|number| format!("c0-{number:012}")).collect::<Vec<_>>());
}

#[test]
fn refusals_are_counted_by_code_and_fail_the_run() {
    let (report, requests) = export("--connections 1 --streams 1 --batch 10 --count 60", |number| match number {
        2 => Err(Status::unavailable("full")),
        3 => Err(Status::invalid_argument("odd")),
        4 => {
            let partial = ExportLogsPartialSuccess { rejected_log_records: 4, error_message: "four too many".into() };
            Ok(ExportLogsServiceResponse { partial_success: Some(partial) })
        }
        _ => Ok(ok()),
    });
    assert_eq!(requests.len(), 6);
    assert_eq!((report.records, report.refused), (60, 24));
    let expected = [("INVALID_ARGUMENT", 1), ("OK", 3), ("PARTIAL_SUCCESS", 1), ("UNAVAILABLE", 1)];
    assert_eq!(report.requests, expected.map(|(code, number)| (code.to_owned(), number)).into());
    assert!(report.errors.contains_key("UNAVAILABLE: full"));
    assert!(report.verdict().unwrap_err().to_string().starts_with("24 of 60 records were refused"));
}
