//! OTLP over HTTP as a client meets it, well-behaved or not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use logboom::source::http_call::PATH;
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use prost::Message as _;
use util::http::{Answer, Client};
use util::otlp::{bodies, encoded, field, otlp_json, request, request_around};
use util::{Server, eventually, random, split};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Both listeners in front of a file.
fn server(settings: &str) -> Server {
    Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0, http: 127.0.0.1:0, connections_max: 64{settings}}}}}\n\
         sinks: {{out: {{type: file, path: '{{dir}}/out', encoding: otlp-json}}}}\n"
    ))
}

fn client(server: &Server) -> Client {
    Client::connect(server.address_of("otlp", "http"))
}

/// The same request in JSON, by somebody else's encoder.
fn json(texts: &[&str]) -> Vec<u8> {
    serde_json::to_vec(&request(texts.iter().copied())).unwrap()
}

fn written(out: &[u8]) -> Vec<String> {
    otlp_json(out).iter().flat_map(bodies).collect()
}

fn requests(server: &Server, code: &str) -> f64 {
    server.metric(&format!("logboom_otlp_requests_total{{source=\"otlp\",code=\"{code}\"}}"))
}

/// Code and text of a `google.rpc.Status`.
fn status(answer: &Answer) -> (i32, String) {
    match answer.header("content-type") {
        Some(JSON) => {
            let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            (value["code"].as_i64().unwrap() as i32, value["message"].as_str().unwrap().to_owned())
        }
        _ => {
            let status = tonic_types::pb::Status::decode(&answer.body[..]).unwrap();
            (status.code, status.message)
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn chunked(bytes: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in split(bytes, random) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Scenario: one connection, both encodings of a request, every compression, with a length and in
/// chunks, on either listener. Guarantee: 200 in the encoding of the request; every record once.
#[test]
fn every_encoding_on_one_connection() {
    let server = server("");
    let mut random = random();
    let mut sent = Vec::new();
    for key in ["grpc", "http"] {
        let mut client = Client::connect(server.address_of("otlp", key));
        for (content_type, empty) in
            [(PROTOBUF, ""), ("application/protobuf", ""), (JSON, "{}"), ("Application/JSON; charset=utf-8", "{}")]
        {
            for encoding in ["", "identity", "gzip", "x-gzip", "zstd", "deflate", "raw"] {
                let text = format!("{key} {content_type} {encoding} {}", "x".repeat(random.usize(0..200_000)));
                let plain = if empty.is_empty() { encoded([text.clone()]) } else { json(&[&text]) };
                let body = match encoding {
                    "gzip" | "x-gzip" => gzip(&plain),
                    "zstd" => zstd::encode_all(&plain[..], 3).unwrap(),
                    "deflate" => zlib(&plain),
                    "raw" => deflate(&plain),
                    _ => plain,
                };
                let encoding = if encoding == "raw" { "deflate" } else { encoding };
                let answer = client.export(content_type, &[("content-encoding", encoding)], &body);
                assert_eq!((answer.status, answer.text()), (200, empty), "{content_type} {encoding}");
                assert!(content_type.to_ascii_lowercase().starts_with(answer.header("content-type").unwrap()));
                sent.push(text.clone());
                let head = format!(
                    "POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: {content_type}\r\n\
                     content-encoding: {encoding}\r\n\r\n"
                );
                client.write(&[head.as_bytes(), &chunked(&body, &mut random)].concat()).unwrap();
                assert_eq!(client.answer().unwrap().status, 200);
                sent.push(text);
            }
        }
    }
    assert_eq!(server.source("otlp", "connections_accepted"), 2);
    assert_eq!(requests(&server, "OK"), sent.len() as f64);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(written(&ended.file("out")), sent);
}

/// Scenario: HTTP/2 without TLS, gRPC and OTLP/HTTP on one connection. Guarantee: both are served.
#[test]
fn both_protocols_on_one_http2_connection() {
    let server = server("");
    let client = util::grpc::Client::connect(server.address_of("otlp", "http"));
    client.export(encoded(["grpc"])).unwrap();
    assert_eq!(client.raw(PATH, &[("content-type", JSON)], json(&["http"])), (200, None));
    assert_eq!(client.raw(PATH, &[("content-type", "text/plain")], "x"), (415, None));
    assert_eq!(client.raw("/otlp/v1/logs", &[("content-type", JSON)], json(&["below"])), (200, None));
    assert_eq!(client.raw("/v1/traces", &[("content-type", JSON)], "{}"), (404, None));
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(written(&ended.file("out")), ["grpc", "http", "below"]);
}

/// Scenario: requests that cannot be taken. Guarantee: the status that the specification asks for, a
/// body in the encoding of the request, and the connection lives on.
#[test]
fn what_is_refused() {
    let server = server(", message_max: 64KiB, records_max: 3");
    let mut client = client(&server);
    let mut check = |content_type: &str, encoding: &str, body: &[u8], expected: (u16, i32), why: &str| {
        let answer = client.export(content_type, &[("content-encoding", encoding)], body);
        let (code, message) = status(&answer);
        assert_eq!((answer.status, code), expected, "{content_type} {encoding}: {message}");
        assert!(message.contains(why), "{message}");
        let same = if content_type == JSON { JSON } else { PROTOBUF };
        assert_eq!(answer.header("content-type"), Some(same));
        answer
    };
    check(PROTOBUF, "", b"\xff\xff", (400, 3), "malformed protobuf");
    check(JSON, "", b"{", (400, 3), "malformed OTLP/JSON: EOF while parsing an object at line 1 column 1");
    check(
        JSON,
        "",
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"flags":-1}]}]}]}"#,
        (400, 3),
        "an integer from 0",
    );
    check(PROTOBUF, "gzip", b"nonsense", (400, 3), "does not inflate");
    check(PROTOBUF, "deflate", b"\xff\xff", (400, 3), "does not inflate");
    check(PROTOBUF, "", &encoded(["a", "b", "c", "d"]), (413, 8), "more than 3 log records");
    check(JSON, "", &json(&["a", "b", "c", "d"]), (413, 8), "more than 3 log records");
    check(PROTOBUF, "gzip", &gzip(&encoded(["x".repeat(70 << 10)])), (413, 8), "message_max");
    check(JSON, "gzip", &gzip(&json(&[&"x".repeat(70 << 10)])), (413, 8), "message_max");
    let answer = check(JSON, "br", b"x", (415, 12), "Content-Encoding");
    assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd, deflate, identity"));
    let nested = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"value":{}"#,
        r#"{"arrayValue":{"values":["#.repeat(500)
    );
    check(JSON, "", nested.as_bytes(), (400, 3), "nested deeper than 32 levels");
    let empty = client.export(JSON, &[], b"{}");
    assert_eq!((empty.status, empty.text()), (200, "{}"));
    let answer = client.export("text/plain", &[], b"x");
    assert_eq!((answer.status, answer.header("accept")), (415, Some("application/x-protobuf, application/json")));
    for (line, status, hint) in [
        ("GET /v1/logs", 405, "send logs with POST"),
        ("OPTIONS /v1/logs", 405, "send logs with POST"),
        ("GET /otlp/v1/logs", 405, "send logs with POST"),
        ("POST /otlp/v1/traces", 404, "neither traces nor metrics"),
        ("POST /v1/traces", 404, "neither traces nor metrics"),
        ("POST /v1/metrics", 404, "neither traces nor metrics"),
        ("GET /", 404, "POST /v1/logs"),
        ("POST /v1/logs/", 404, "POST /v1/logs"),
    ] {
        let answer = client.request(line, &[], b"");
        assert_eq!(answer.status, status, "{line}");
        assert!(answer.text().contains(hint), "{line}: {}", answer.text());
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"));
    }
    let answer = client.export("application/grpc", &[], b"");
    assert!(answer.status == 415 && answer.text().contains("gRPC needs HTTP/2"), "{answer:?}");
    // The length alone is enough; the answer is there although nobody has read the body.
    let answer = client.export(PROTOBUF, &[], &encoded(["x".repeat(300 << 10)]));
    assert_eq!((answer.status, status_code(&answer)), (413, 8));
    assert_eq!(client.export(PROTOBUF, &[], &encoded(["good"])).status, 200);
    assert_eq!(server.source("otlp", "connections_accepted"), 1);
    assert_eq!(requests(&server, "INVALID_ARGUMENT"), 6.0);
    assert_eq!(requests(&server, "RESOURCE_EXHAUSTED"), 5.0);
    assert_eq!(requests(&server, "UNIMPLEMENTED"), 2.0);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(written(&ended.file("out")), ["good"]);
}

fn status_code(answer: &Answer) -> i32 {
    status(answer).0
}

/// Scenario: one record of three is larger than a record may be, and one has text that is no text.
/// Guarantee: partial success in the encoding of the request, the rest is taken and repaired.
#[test]
fn partial_success() {
    let server = server("");
    let mut client = client(&server);
    let large = "x".repeat((1 << 20) + 1);
    let answer = client.export(PROTOBUF, &[], &encoded(["a", &large, "b"]));
    let partial = ExportLogsServiceResponse::decode(&answer.body[..]).unwrap().partial_success.unwrap();
    assert_eq!((answer.status, partial.rejected_log_records), (200, 1));
    assert!(partial.error_message.contains("more than 1048576 bytes"), "{}", partial.error_message);
    let answer = client.export(JSON, &[], &json(&["c", &large, "d"]));
    let partial: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &partial["partialSuccess"]["rejectedLogRecords"]), (200, &"1".into()));
    let text = request_around(&field(2, &field(5, &field(1, b"\xff"))));
    assert_eq!(client.export(PROTOBUF, &[], &text).status, 200);
    let half = br#"{"resource_logs":[{"scope_logs":[{"log_records":[{"body":{"string_value":"\udc00"}}]}]}]}"#;
    assert_eq!(client.export(JSON, &[], half).status, 200);
    assert_eq!(server.metric("logboom_repaired_records_total{source=\"otlp\",reason=\"invalid_utf8\"}"), 2.0);
    let ended = server.stop();
    ended.assert_clean();
    let got = written(&ended.file("out"));
    assert_eq!(got[..5], ["a", "b", "c", "d", "\u{fffd}"]);
    assert!(got[5].chars().all(|it| it == '\u{fffd}'), "{got:?}");
}

/// Scenario: nobody takes what is sent, and the inbox is full. Guarantee: 503 with the time to try
/// again, as over gRPC; the records of a request that was taken are kept.
#[test]
fn no_room() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(&format!(
        "sources: {{otlp: {{type: otlp, http: 127.0.0.1:0, hold_max: 200ms}}}}\n\
         sinks: {{upstream: {{type: otlp, endpoint: 'http://{free}', inbox: 1MiB, wait_max: 1h}}}}\nshutdown: {{grace: 200ms}}"
    ));
    let mut client = client(&server);
    let large = "x".repeat(600 << 10);
    assert_eq!(client.export(JSON, &[], &json(&[&large])).status, 200);
    for _ in 0..2 {
        let answer = client.export(JSON, &[], &json(&[&large]));
        assert_eq!((answer.status, status_code(&answer)), (503, 14));
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&seconds));
    }
    assert_eq!(requests(&server, "UNAVAILABLE"), 2.0);
}

/// Scenario: a client asks before it sends. Guarantee: it is told to go on, or is refused without
/// having sent anything.
#[test]
fn a_client_that_asks_first() {
    let server = server(", message_max: 64KiB");
    let mut client = client(&server);
    let body = encoded(["asked"]);
    let head = |length: usize| {
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    client.write(head(body.len()).as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 100);
    client.write(&body).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    client.write(head(100 << 10).as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 413);
    server.stop().assert_clean();
}

/// Scenario: many requests are sent before the first answer is read. Guarantee: all are answered, in
/// order.
#[test]
fn pipelining() {
    let server = server("");
    let mut client = client(&server);
    let one = |text: &str| {
        let body = encoded([text]);
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    };
    let texts: Vec<String> = (0..200).map(|it| format!("pipelined {it}")).collect();
    client.write(&texts.iter().flat_map(|it| one(it)).collect::<Vec<u8>>()).unwrap();
    for _ in &texts {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    drop(client);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(written(&ended.file("out")), texts);
}

/// Scenario: bodies and heads made to break it. Guarantee: an answer or an end for each; memory
/// within the bound that was printed, all of it free in the end; the next good record lands.
#[test]
fn hostile() {
    let server = server("");
    let address = server.address_of("otlp", "http").to_owned();
    let post =
        |headers: &str| format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\n{headers}\r\n\r\n");
    // A body that ends before its length, and one that ends within a chunk.
    for (headers, body) in [("content-length: 100", "abc"), ("transfer-encoding: chunked", "ff\r\nabc")] {
        let mut client = Client::connect(&address);
        client.write(format!("{}{body}", post(headers)).as_bytes()).unwrap();
        client.end();
        assert!(client.answer().is_none_or(|it| it.status == 400));
    }
    // No number, two numbers, a number beyond all, a chunk of nonsense.
    for (headers, body) in [
        ("content-length: x", ""),
        ("content-length: 1\r\ncontent-length: 2", "ab"),
        ("content-length: 99999999999999999999999", ""),
        ("transfer-encoding: chunked", "zz\r\n"),
    ] {
        let mut client = Client::connect(&address);
        client.write(format!("{}{body}", post(headers)).as_bytes()).unwrap();
        assert!(client.answer().is_none_or(|it| (400..500).contains(&it.status)), "{headers}");
        assert!(client.closed());
    }
    // More than is taken, announced, and without an end.
    let mut client = Client::connect(&address);
    client.write(post("content-length: 17179869184").as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 413);
    let mut client = Client::connect(&address);
    client.write(post("transfer-encoding: chunked").as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![0; 1 << 16], b"\r\n".to_vec()].concat();
    while client.write(&chunk).is_ok() {}
    // Bombs: 64 GiB in nested gzip is not needed, a gigabyte of zeros shows it.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    for content_type in [PROTOBUF, JSON] {
        let answer = Client::connect(&address).export(content_type, &[("content-encoding", "gzip")], &bomb);
        assert_eq!((answer.status, status_code(&answer)), (413, 8));
    }
    // Heads that are too large, in one line and in many, and lines that are no HTTP.
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let mut client = Client::connect(&address);
    let _ = client.write(head.as_bytes());
    assert!(client.answer().is_none_or(|it| it.status == 431));
    let mut client = Client::connect(&address);
    let _ = client.write(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5000)).as_bytes());
    assert!(client.answer().is_none_or(|it| it.status == 431));
    for text in ["[2026-06-26T21:29:21.535Z] a line\n", "{\"json\":1}\n", "\x16\x03\x01\x02\x00", "Some words\r\n\r\n"]
    {
        let mut client = Client::connect(&address);
        client.write(text.as_bytes()).unwrap();
        assert!(client.answer().is_none_or(|it| it.status == 400));
    }
    server.wait_for_log("access-log lines go to a lines source");
    // Sixty that announce much and send nothing hold nobody up for long.
    let mut slow: Vec<Client> = (0..60).map(|_| Client::connect(&address)).collect();
    for client in &mut slow {
        client.write(format!("{}x", post("content-length: 200000")).as_bytes()).unwrap();
    }
    let good = Client::connect(&address).export(PROTOBUF, &[], &encoded(["a good record"]));
    assert!([200, 503].contains(&good.status));
    for client in &mut slow {
        assert_eq!(client.answer().unwrap().status, 503);
    }
    drop(slow);
    assert_eq!(Client::connect(&address).export(JSON, &[], &json(&["the last record"])).status, 200);
    eventually("all memory is free", || server.metric("logboom_memory_reserved_bytes") == 0.0);
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    server.assert_within_memory_bound();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(written(&ended.file("out")).last().unwrap(), "the last record");
}

/// Scenario: large bodies in JSON, compressed, without a length, many at once. Guarantee: each is
/// taken or told to come again; memory stays within the bound.
#[test]
fn large_bodies_stay_within_memory() {
    let server = server(", hold_max: 30s");
    let address = server.address_of("otlp", "http").to_owned();
    let texts: Vec<String> = (0..24).map(|it| format!("{it} {}", "y".repeat(500 << 10))).collect();
    let plain = json(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let body = gzip(&plain);
    let mut random = random();
    let chunks = chunked(&plain, &mut random);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (address, body, chunks) = (&address, &body, &chunks);
            scope.spawn(move || {
                let mut client = Client::connect(address);
                let answer = if number % 2 == 0 {
                    client.export(JSON, &[("content-encoding", "gzip")], body)
                } else {
                    let head = format!(
                        "POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: {JSON}\r\n\r\n"
                    );
                    client.write(&[head.as_bytes(), chunks].concat()).unwrap();
                    client.answer().unwrap()
                };
                assert!([200, 503].contains(&answer.status), "{}", answer.text());
            });
        }
    });
    server.assert_within_memory_bound();
    eventually("all memory is free", || server.metric("logboom_memory_reserved_bytes") == 0.0);
    server.stop().assert_clean();
}

/// Scenario: the server stops while a connection is idle and another waits for its answer. Guarantee:
/// the idle one is closed, and nobody waits for the end of the grace period.
#[test]
fn stopping_closes_what_is_idle() {
    let server = server("");
    let mut idle = client(&server);
    assert_eq!(idle.export(JSON, &[], &json(&["idle"])).status, 200);
    let mut silent = client(&server);
    eventually("both are there", || server.source("otlp", "connections") == 2);
    let began = std::time::Instant::now();
    server.stop().assert_clean();
    assert!(began.elapsed() < std::time::Duration::from_secs(4));
    assert!(idle.closed() && silent.closed());
}

/// Scenario: the exporter that applications in Rust use, in both encodings, plain and with gzip. Guarantee: what they
/// log is in the file. Other languages: tests/sdks.
#[test]
fn opentelemetry_sdk() {
    let server = server("");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let mut expected = Vec::new();
    for protocol in [Protocol::HttpBinary, Protocol::HttpJson] {
        for compression in [None, Some(opentelemetry_otlp::Compression::Gzip)] {
            let exporter = opentelemetry_otlp::LogExporter::builder().with_http().with_protocol(protocol);
            let exporter = exporter.with_endpoint(format!("http://{}{PATH}", server.address_of("otlp", "http")));
            let exporter = match compression {
                Some(compression) => exporter.with_compression(compression),
                None => exporter,
            };
            // One request a record, sent before the next one is logged.
            let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter.build().unwrap()).build();
            let logger = provider.logger("checkout");
            for number in 0..5 {
                let mut record = logger.create_log_record();
                expected.push(format!("order {number} {protocol:?} {compression:?}"));
                record.set_body(expected.last().unwrap().clone().into());
                record.set_severity_number(Severity::Warn);
                logger.emit(record);
            }
            provider.shutdown().unwrap();
        }
    }
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(written(&ended.file("out")), expected);
}
