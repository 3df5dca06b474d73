//! OTLP in over gRPC: what senders are told, and that every record arrives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, unused_imports, reason = "the upstream is shared with other tests")]
mod upstream_util;
mod util;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use logboom::decode::otlp::repair;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_otlp::{Compression, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use upstream_util::{Mock, Reply};
use util::grpc::{framed, verdict};
use util::otlp::{bodies, encoded, field, otlp_json, records, request, request_around};
use util::{DeadPort, Ended, Server, eventually, fixtures};

/// An `otlp` source with these settings, in front of one file.
fn one_file(settings: &str) -> Server {
    Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0{settings}}}}}\n\
         sinks: {{files: {{type: file, path: '{{dir}}/out', encoding: otlp-json}}}}"
    ))
}

fn bodies_of(ended: &Ended) -> Vec<String> {
    otlp_json(&ended.file("out")).iter().flat_map(bodies).collect()
}

/// Scenario: every captured request of a real Envoy, plain, gzip and zstd, into two files and an
/// upstream. Guarantee: each is answered OK and each record counted; the upstream gets the bytes
/// that were sent, where they are valid, and valid ones otherwise; both files hold every record.
#[test]
fn every_fixture_to_files_and_upstream() {
    let manifest =
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/otlp-manifest.jsonl"));
    let known: BTreeMap<String, (u64, bool)> = util::json_lines(&manifest.unwrap())
        .iter()
        .map(|it| {
            (it["file"].as_str().unwrap().to_owned(), (it["records"].as_u64().unwrap(), it["strict_utf8"] == true))
        })
        .collect();
    let fixtures = fixtures("otlp");
    assert!(fixtures.keys().all(|name| known.contains_key(name)));
    let count = |name: &String| known[name].0;
    let mock = Mock::new(|_, _| Reply::Ok);
    let server = Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0, format: raw}}}}\n\
         sinks:\n  json: {{type: file, path: '{{dir}}/json', encoding: json}}\n  \
         otlp-json: {{type: file, path: '{{dir}}/otlp-json', encoding: otlp-json}}\n  \
         upstream: {{type: otlp, endpoint: '{}', wait_max: forever}}",
        mock.uri()
    ));
    let client = server.grpc("otlp");
    for (at, (name, bytes)) in fixtures.iter().enumerate() {
        let answer = match at % 3 {
            0 => client.export(bytes.clone()),
            1 => client.export_compressed(bytes.clone(), CompressionEncoding::Gzip),
            _ => client.export_compressed(bytes.clone(), CompressionEncoding::Zstd),
        };
        assert_eq!(answer.map_err(|status| format!("{name}: {status}")), Ok(0));
    }
    let total: u64 = fixtures.keys().map(count).sum();
    assert_eq!(server.source("otlp", "received_records"), total);
    let requests = server.metric("logboom_otlp_requests_total{source=\"otlp\",code=\"OK\"}");
    assert_eq!(requests, fixtures.len() as f64);
    assert!(server.metric("logboom_repaired_records_total{source=\"otlp\",reason=\"invalid_utf8\"}") > 0.0);
    let ended = server.stop();
    ended.assert_clean();

    let forwarded =
        |name: &String, bytes: &Vec<u8>| if known[name].1 { bytes.clone() } else { repair(bytes, usize::MAX) };
    let expected: Vec<u8> = fixtures.iter().flat_map(|(name, bytes)| forwarded(name, bytes)).collect();
    assert!(mock.got().requests.concat() == expected, "the upstream got other bytes");
    assert_eq!(ended.json("json").len() as u64, total);

    let written = otlp_json(&ended.file("otlp-json"));
    assert_eq!(written.len(), fixtures.len());
    for ((name, bytes), written) in fixtures.iter().zip(written) {
        assert_eq!(records(&written).count() as u64, count(name), "{name}");
        let expected = ExportLogsServiceRequest::decode(&forwarded(name, bytes)[..]).unwrap();
        assert_eq!(as_sent(written, &expected), expected, "{name}");
    }
}

/// Without the time of receipt, where the sender had set none.
fn as_sent(mut written: ExportLogsServiceRequest, sent: &ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    let observed: Vec<u64> = records(sent).map(|it| it.observed_time_unix_nano).collect();
    let scopes = written.resource_logs.iter_mut().flat_map(|it| &mut it.scope_logs);
    for (record, observed) in scopes.flat_map(|it| &mut it.log_records).zip(observed) {
        assert_ne!(record.observed_time_unix_nano, 0);
        if observed == 0 {
            record.observed_time_unix_nano = 0;
        }
    }
    written
}

/// Scenario: the exporter that applications use, plain and with gzip. Guarantee: what they log
/// is in the file.
#[test]
fn opentelemetry_sdk() {
    let server = Server::start(
        "sources: {otlp: {type: otlp, grpc: 127.0.0.1:0}}\n\
         sinks: {files: {type: file, path: '{dir}/out', encoding: json}}",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for compression in [None, Some(Compression::Gzip)] {
        let provider = runtime.block_on(async {
            let exporter = opentelemetry_otlp::LogExporter::builder().with_tonic();
            let exporter = exporter.with_endpoint(format!("http://{}", server.address("otlp")));
            let exporter = match compression {
                Some(compression) => exporter.with_compression(compression),
                None => exporter,
            };
            SdkLoggerProvider::builder().with_batch_exporter(exporter.build().unwrap()).build()
        });
        let logger = provider.logger("checkout");
        for number in 0..100_i64 {
            let mut record = logger.create_log_record();
            record.set_body(format!("order {number}").into());
            record.set_severity_number(Severity::Warn);
            record.set_severity_text("WARN");
            record.add_attribute("order.number", AnyValue::Int(number));
            logger.emit(record);
        }
        provider.force_flush().unwrap();
        provider.shutdown().unwrap();
    }
    let ended = server.stop();
    ended.assert_clean();
    let got = ended.json("out");
    assert_eq!(got.len(), 200);
    for (at, record) in got.iter().enumerate() {
        assert_eq!(record["body"], format!("order {}", at % 100));
        assert_eq!(record["attributes"]["order.number"], at % 100);
        assert_eq!((&record["severity_text"], &record["severity_number"]), (&"WARN".into(), &13.into()));
        assert_eq!(record["scope"]["name"], "checkout");
        assert!(record["resource"].is_object());
    }
}

/// Scenario: requests over each limit and malformed ones, on one connection, a good one after
/// each. Guarantee: the code that the OTLP specification asks for, never one that makes the
/// sender repeat what cannot succeed, and the connection lives on.
#[test]
fn what_cannot_be_taken() {
    let server = one_file(", message_max: 64KiB, records_max: 100");
    let client = server.grpc("otlp");
    let mut good = 0;
    let mut after = |name: &str, got: (Code, bool), expected: Code| {
        assert_eq!(got, (expected, false), "{name}");
        assert_eq!(client.export(encoded([format!("after {name}")])).map_err(|it| it.to_string()), Ok(0), "{name}");
        good += 1;
    };
    let check = |request: Vec<u8>| verdict(&client.export(request));
    let check_gzip = |request: Vec<u8>| verdict(&client.export_compressed(request, CompressionEncoding::Gzip));
    let check_zstd = |request: Vec<u8>| verdict(&client.export_compressed(request, CompressionEncoding::Zstd));

    after("an empty request", check(vec![]), Code::Ok);
    after("an empty resource", check(field(1, b"")), Code::Ok);
    after("cut off", check(encoded(["x"])[..10].to_vec()), Code::InvalidArgument);
    after("no protobuf", check(b"\xff\xff\xff\xff".to_vec()), Code::InvalidArgument);
    after("cut off, compressed", check_gzip(encoded(["x"])[..10].to_vec()), Code::InvalidArgument);
    after("too deep", check(nested(1_000)), Code::InvalidArgument);
    after("too many records", check(encoded(vec!["x"; 101])), Code::ResourceExhausted);
    after("as many as allowed", check(encoded(vec!["y"; 100])), Code::Ok);
    let large = encoded(["x".repeat(64 << 10)]);
    after("too large", check(large.clone()), Code::ResourceExhausted);
    after("too large inside gzip", check_gzip(large.clone()), Code::ResourceExhausted);
    after("too large inside zstd", check_zstd(large), Code::ResourceExhausted);
    after("far too large", check(vec![0; 3 << 20]), Code::ResourceExhausted);

    let mut by_hand = |name: &str, headers: &[(&str, &str)], body: Vec<u8>, expected: Code| {
        let (http, code) = client.raw_export(headers, body);
        assert_eq!(http, 200, "{name}");
        after(name, (code.unwrap(), false), expected);
    };
    let one = framed(0, &encoded(["by hand"]));
    by_hand("by hand", &[], one.clone(), Code::Ok);
    by_hand("two messages", &[], [one.clone(), one.clone()].concat(), Code::InvalidArgument);
    by_hand("no message", &[], vec![], Code::InvalidArgument);
    by_hand("half a header", &[], vec![0, 0], Code::InvalidArgument);
    by_hand("shorter than it says", &[], one[..one.len() - 1].to_vec(), Code::InvalidArgument);
    by_hand("longer than it says", &[], [&one[..], b"x"].concat(), Code::InvalidArgument);
    by_hand("a length of 4 GiB", &[], vec![0, 255, 255, 255, 255], Code::ResourceExhausted);
    by_hand("an unknown flag", &[], framed(7, b""), Code::InvalidArgument);
    by_hand("compressed, not said how", &[], framed(1, &encoded(["x"])), Code::InvalidArgument);
    by_hand("gzip that is none", &[("grpc-encoding", "gzip")], framed(1, b"none"), Code::InvalidArgument);
    by_hand("zstd that is none", &[("grpc-encoding", "zstd")], framed(1, b"none"), Code::InvalidArgument);
    by_hand("snappy", &[("grpc-encoding", "snappy")], framed(1, b""), Code::Unimplemented);
    by_hand("said gzip, is plain", &[("grpc-encoding", "gzip")], one.clone(), Code::Ok);

    let grpc = [("content-type", "application/grpc")];
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert_eq!(client.raw(traces, &grpc, one.clone()), (200, Some(Code::Unimplemented)));
    let json = [("content-type", "application/json")];
    assert_eq!(client.raw(logboom::source::logs_service::EXPORT, &json, one), (415, None));
    assert_eq!(client.export(encoded(["the last one"])).map_err(|it| it.to_string()), Ok(0));

    assert_eq!(server.source("otlp", "connections_accepted"), 1, "some answer cost the connection");
    assert_eq!(server.source("otlp", "received_records"), good + 100 + 2 + 1);
    assert_eq!(server.metric("logboom_memory_reserved_bytes"), 0.0);
    let ended = server.stop();
    ended.assert_clean();
    let got = bodies_of(&ended);
    assert_eq!(got.iter().filter(|it| it.starts_with("after ")).count() as u64, good);
    assert_eq!(got.last().unwrap(), "the last one");
}

/// A request with one record whose body is `depth` arrays one in the other.
fn nested(depth: usize) -> Vec<u8> {
    let value = (0..depth).fold(field(1, b"innermost"), |value, _| field(5, &field(1, &value)));
    request_around(&field(2, &field(5, &value)))
}

/// Scenario: a record over the limit among good ones, then alone. Guarantee: OK with that one
/// rejected, and the others are delivered.
#[test]
fn one_record_too_large() {
    let server = one_file("");
    let client = server.grpc("otlp");
    let large = || "x".repeat((1 << 20) + 1);
    assert_eq!(client.export(encoded(["one".to_owned(), large(), "two".to_owned()])).unwrap(), 1);
    assert_eq!(client.export(encoded([large()])).unwrap(), 1);
    assert_eq!(client.export(encoded(["three"])).unwrap(), 0);
    assert_eq!(server.source("otlp", "received_records"), 3);
    assert_eq!(server.source("otlp", "rejected_records"), 2);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(bodies_of(&ended), ["one", "two", "three"]);
}

/// A request of 600 KiB; two of them do not fit in the smallest inbox.
fn large(number: usize) -> Bytes {
    encoded([format!("{number} {}", "x".repeat(600 << 10))]).into()
}

fn to_upstream(upstream: &DeadPort, wait_max: &str, hold_max: &str) -> Server {
    Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0, hold_max: {hold_max}}}}}\n\
         sinks: {{upstream: {{type: otlp, endpoint: 'http://{}', inbox: 1MiB, wait_max: {wait_max}, \
         retry: {{initial: 10ms, max: 50ms}}}}}}\nshutdown: {{grace: 1s}}",
        upstream.address
    ))
}

/// Scenario: the upstream is gone and the inbox is full, of a sink that may hold the source back.
/// Guarantee: the request is held, then answered UNAVAILABLE with the time to try again; nothing
/// is lost without a count.
#[test]
fn no_room() {
    for wait_max in ["1h", "100ms"] {
        let upstream = DeadPort::new();
        let server = to_upstream(&upstream, wait_max, "200ms");
        let client = server.grpc("otlp");
        assert_eq!(verdict(&client.export(large(0))), (Code::Ok, false));
        for number in 1..4 {
            assert_eq!(verdict(&client.export(large(number))), (Code::Unavailable, true), "{number}, {wait_max}");
        }
        let shed =
            |reason| server.metric(&format!("logboom_shed_records_total{{sink=\"upstream\",reason=\"{reason}\"}}"));
        assert_eq!(shed("hold") + shed("full"), 3.0);
        assert_eq!(shed("full") > 0.0, wait_max == "100ms");
        assert_eq!(server.metric("logboom_otlp_requests_total{source=\"otlp\",code=\"UNAVAILABLE\"}"), 3.0);
        assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    }
}

/// Scenario: the same with a sink that never holds back. Guarantee: OK, and the loss is counted
/// there: it is not the sender's to repair.
#[test]
fn no_room_where_nobody_waits() {
    let upstream = DeadPort::new();
    let server = to_upstream(&upstream, "0s", "1h");
    let client = server.grpc("otlp");
    for number in 0..4 {
        assert_eq!(verdict(&client.export(large(number))), (Code::Ok, false));
    }
    assert_eq!(server.sink("upstream", "shed_full_records"), 3);
    assert_eq!(server.sink("upstream", "in_flight_records"), 1);
}

/// Scenario: a client hangs up while its request is held, before the upstream comes back.
/// Guarantee: the records were received, so they are delivered.
#[test]
fn hanging_up_takes_nothing_back() {
    let upstream = DeadPort::new();
    let server = to_upstream(&upstream, "forever", "1h");
    let client = server.grpc("otlp");
    assert_eq!(client.export(large(0)).unwrap(), 0);
    let held = client.begin(large(1));
    eventually("the request is held", || server.source("otlp", "received_records") == 2);
    assert_eq!(server.sink("upstream", "offered_records"), 1);
    held.abort();
    drop(client);
    eventually("the connection is gone", || server.source("otlp", "connections") == 0);
    let mock = Mock::at(&upstream.address.to_string(), None, |_, _| Reply::Ok);
    eventually("both are delivered", || server.sink("upstream", "delivered_records") == 2);
    server.stop().assert_clean();
    let first_word = |body: &String| body.split(' ').next().unwrap().to_owned();
    let requests =
        mock.got().requests.iter().map(|it| ExportLogsServiceRequest::decode(&it[..]).unwrap()).collect::<Vec<_>>();
    assert_eq!(requests.iter().flat_map(bodies).map(|it| first_word(&it)).collect::<Vec<_>>(), ["0", "1"]);
}

/// Scenario: a client stops in the middle of a message and hangs up. Guarantee: it leaves no
/// memory behind, and others are served.
#[test]
fn half_a_message() {
    let server = one_file("");
    let client = server.grpc("otlp");
    let whole = framed(0, &encoded(["x".repeat(200_000)]));
    let stalled = client.stall(whole[..150_000].to_vec());
    eventually("half of it is there", || server.source("otlp", "received_bytes") == 150_000);
    assert!(server.metric("logboom_memory_reserved_bytes") >= 150_000.0);
    assert_eq!(client.export(encoded(["meanwhile"])).unwrap(), 0);
    stalled.abort();
    eventually("its memory is free", || server.metric("logboom_memory_reserved_bytes") == 0.0);
    assert_eq!(client.export(encoded(["afterwards"])).unwrap(), 0);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(bodies_of(&ended), ["meanwhile", "afterwards"]);
}

/// Scenario: many clients at once. Guarantee: every record that was answered OK is in the file.
#[test]
fn many_clients() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 40;
    let server = one_file("");
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let client = server.grpc("otlp");
                let calls: Vec<_> = (0..REQUESTS)
                    .map(|at| client.begin(request((0..20).map(|it| format!("{number} {at} {it}"))).encode_to_vec()))
                    .collect();
                for call in calls {
                    assert_eq!(client.wait(call).unwrap(), 0);
                }
            });
        }
    });
    let ended = server.stop();
    ended.assert_clean();
    let mut got = bodies_of(&ended);
    let sent = |number| (0..REQUESTS).flat_map(move |at| (0..20).map(move |it| format!("{number} {at} {it}")));
    let mut expected: Vec<String> = (0..CLIENTS).flat_map(sent).collect();
    got.sort_unstable();
    expected.sort_unstable();
    assert!(got == expected);
}

/// Scenario: requests wait for an upstream that is slow to answer. Guarantee: a client's own
/// deadline ends the wait before it does, with an answer and not with silence.
#[test]
fn a_clients_deadline_is_kept() {
    let upstream = DeadPort::new();
    let server = to_upstream(&upstream, "forever", "1h");
    let client = server.grpc("otlp");
    assert_eq!(client.export(large(0)).unwrap(), 0);
    let timeout = format!("{}m", Duration::from_millis(300).as_millis());
    let (_, code) = client.raw_export(&[("grpc-timeout", &timeout)], framed(0, &large(1)));
    assert_eq!(code, Some(Code::Unavailable));
}
