//! `when` and `sample`: every sink gets the records it asks for, and all others are counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, unused_imports, reason = "the upstream is shared with other tests")]
mod upstream_util;
mod util;

use std::io::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message as _;
use upstream_util::{Mock, Reply};
use util::otlp::{bodies, otlp_json, request};
use util::{Ended, Server};

const STATUS: &str = "http.response.status_code";

/// Records with the status codes 0, 1, … below `records`.
fn lines(records: u64) -> Vec<u8> {
    (0..records).flat_map(|code| format!("{{\"{STATUS}\":{code}}}\n").into_bytes()).collect()
}

fn otlp(records: u64) -> ExportLogsServiceRequest {
    let mut request = request((0..records).map(|code| code.to_string()));
    for (code, record) in request.resource_logs[0].scope_logs[0].log_records.iter_mut().enumerate() {
        let value = Some(AnyValue { value: Some(Value::IntValue(code as i64)) });
        record.attributes.push(KeyValue { key: STATUS.to_owned(), value, ..KeyValue::default() });
    }
    // Two groups, of the second of which most sinks take nothing.
    let mut nothing = request.resource_logs[0].clone();
    nothing.scope_logs[0].log_records.truncate(1);
    request.resource_logs.push(nothing);
    request
}

fn sinks(upstream: &str) -> String {
    let mut sinks = String::new();
    for (name, selection) in
        [("all", ""), ("when", ", when: status >= 900"), ("both", ", when: status >= 900, sample: 1/10")]
    {
        for encoding in ["raw", "json", "otlp-json"] {
            sinks += &format!(
                "  {name}-{encoding}: {{type: file, path: '{{dir}}/{name}.{encoding}', encoding: {encoding}{selection}}}\n"
            );
        }
        sinks += &format!("  {name}-null: {{type: 'null'{selection}}}\n");
        sinks += &format!(
            "  {name}-up: {{type: otlp, endpoint: '{upstream}', wait_max: forever{selection}, headers: {{x-sink: {name}}}}}\n"
        );
    }
    sinks
        + "  again: {type: file, path: '{dir}/again', encoding: json, when: status >= 900}\n  \
             console: {type: stdout, encoding: raw, when: status >= 900}\n  \
             paths: {type: file, path: '{dir}/{http.response.status_code}/x.log', encoding: otlp-json, when: 'status in [5, 7]'}\n"
}

/// Received, delivered and filtered of a sink balance.
fn assert_counts(ended: &Ended, sink: &str, received: u64, taken: u64) {
    let part = format!("{sink}: ");
    assert_eq!(ended.count(&part, "delivered"), taken, "{sink}: {}", ended.ledger());
    let filtered = if taken == received { 0 } else { ended.count(&part, "filtered") };
    assert_eq!(filtered, received - taken, "{sink}: {}", ended.ledger());
}

/// Scenario: a thousand lines over TCP and 1001 OTLP records, to sinks of every type and encoding,
/// with and without a condition and a sample. Guarantee: each sink gets exactly its records, in
/// order; those it did not get are counted, and the ledger balances.
#[test]
fn every_sink_gets_what_it_asks_for() {
    let mock = Mock::new(|_, _| Reply::Ok);
    let server = Server::start(&format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0}}\n  otlp: {{type: otlp, grpc: 127.0.0.1:0}}\nsinks:\n{}",
        sinks(&mock.uri())
    ));
    let mut client = server.connect("mesh");
    client.write_all(&lines(1000)).unwrap();
    client.finish();
    let answer = util::grpc::Client::connect(server.address("otlp")).export(otlp(1000).encode_to_vec());
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    assert_eq!(server.metric("logboom_filtered_records_total{sink=\"when-json\"}"), 1801.0);
    let ended = server.stop();
    ended.assert_clean();
    for kind in ["raw", "json", "otlp-json", "null", "up"] {
        assert_counts(&ended, &format!("all-{kind}"), 2001, 2001);
        assert_counts(&ended, &format!("when-{kind}"), 2001, 200);
        assert_counts(&ended, &format!("both-{kind}"), 2001, 20);
    }
    assert_counts(&ended, "again", 2001, 200);
    assert_counts(&ended, "console", 2001, 200);
    assert_counts(&ended, "paths", 2001, 4);

    let codes = |name: &str| -> Vec<u64> {
        ended.json(name).iter().map(|it| it["attributes"][STATUS].as_u64().unwrap()).collect()
    };
    let selected: Vec<u64> = (900..1000).chain(900..1000).collect();
    assert_eq!(codes("when.json"), selected);
    assert_eq!(codes("again"), selected);
    let sampled: Vec<u64> = (0..10).map(|it| 909 + 10 * it).collect();
    assert_eq!(codes("both.json"), [sampled.clone(), sampled].concat());
    let raw = String::from_utf8(ended.file("when.raw")).unwrap();
    assert!(raw.starts_with("{\"http.response.status_code\":900}\n") && raw.ends_with("\n999\n"), "{raw}");
    let requests = otlp_json(&ended.file("when.otlp-json"));
    assert_eq!(requests.iter().flat_map(bodies).count(), 200);
    assert!(requests.iter().flat_map(|it| &it.resource_logs).all(|it| !it.scope_logs.is_empty()));
    assert_eq!(otlp_json(&ended.file("5/x.log")).iter().flat_map(bodies).count(), 2);
}

/// Scenario: a condition that cannot be evaluated for half of the records. Guarantee: these count
/// as filtered, and the log says so once.
#[test]
fn what_cannot_be_evaluated_is_filtered_and_told() {
    let server = Server::start(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\n\
         sinks: {files: {type: file, path: '{dir}/out', encoding: raw, when: 'attributes.a > 5'}}",
    );
    let mut client = server.connect("mesh");
    client.write_all(b"{\"a\":6}\n{\"a\":\"6\"}\n{\"a\":\"7\"}\n{\"b\":6}\nplain\n").unwrap();
    client.finish();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"{\"a\":6}\n");
    assert_counts(&ended, "files", 5, 1);
    assert!(
        ended.stderr.contains("`when` could not be evaluated") && ended.stderr.contains("records=2"),
        "{}",
        ended.stderr
    );
}

/// Scenario: many connections at once, one record each time. Guarantee: the share is exact.
#[test]
fn a_sample_is_shared_by_all_connections() {
    let server = Server::start(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\n\
         sinks: {files: {type: file, path: '{dir}/out', encoding: json, sample: 1/10}}",
    );
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.connect("mesh");
            std::thread::spawn(move || {
                for _ in 0..50 {
                    client.write_all(b"x\n").unwrap();
                }
                client.finish();
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let ended = server.stop();
    ended.assert_clean();
    let taken = ended.count("files: ", "delivered");
    assert_eq!(taken + ended.count("files: ", "filtered"), 1000);
    assert!((95..=100).contains(&taken), "{taken} of 1000");
}
