//! One sink is in trouble: the others do not notice, and what it misses is counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, unused_imports, reason = "the upstream is shared with other tests")]
mod upstream_util;
mod util;

use std::io::{BufRead as _, BufReader, Write as _};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use rustix::process::Signal;
use upstream_util::{Mock, Reply};
use util::otlp::{attribute, records};
use util::{DeadPort, Server, eventually};

/// Lines of about 100 bytes, numbered.
fn lines(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|number| format!("{number} {}\n", "x".repeat(100)).into_bytes()).collect()
}

fn number(line: &str) -> usize {
    line.split(' ').next().unwrap().parse().unwrap()
}

/// Scenario: the upstream is not there and its inbox fills up, beside a file; then it comes.
/// Guarantee: the file has every line at once. The upstream's records are all waiting or counted
/// as shed; later it gets all that waited, in order, and records that say how many it missed.
#[test]
fn a_dead_upstream_beside_a_file() {
    const LINES: usize = 40_000;
    let dead = DeadPort::new();
    let server = Server::start(&format!(
        "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\n\
         sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\n  \
         upstream: {{type: otlp, endpoint: 'http://{}', inbox: 1MiB, retry: {{initial: 10ms, max: 50ms}}}}",
        dead.address
    ));
    server.send("mesh", &lines(0..LINES));
    eventually("the file is complete", || server.sink("files", "delivered_records") == LINES as u64);
    assert!(server.file("out") == lines(0..LINES));

    let status = server.status();
    let of = |key: &str| status["sinks"]["upstream"][key].as_u64().unwrap();
    let (waiting, shed) = (of("in_flight_records"), of("shed_full_records"));
    assert_eq!(of("offered_records"), LINES as u64);
    assert_eq!(waiting + shed, LINES as u64);
    assert!(waiting > 0 && shed > 0, "{status}");
    assert_eq!(of("delivered_records"), 0);
    assert_eq!(server.metric("logboom_shed_records_total{sink=\"upstream\",reason=\"full\"}"), shed as f64);
    assert_eq!(server.metric("logboom_shed_records_total{sink=\"files\",reason=\"full\"}"), 0.0);
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    assert!(server.metric("logboom_inbox_bytes{sink=\"upstream\"}") <= f64::from(1 << 20));

    let mock = Mock::at(&dead.address.to_string(), None, |_, _| Reply::Ok);
    eventually("the upstream has caught up", || server.sink("upstream", "in_flight_records") == 0);
    server.send("mesh", &lines(LINES..LINES + 10));
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.count("upstream: ", "shed"), shed);

    let requests: Vec<_> =
        mock.got().requests.iter().map(|it| ExportLogsServiceRequest::decode(&it[..]).unwrap()).collect();
    let (gaps, got): (Vec<&LogRecord>, Vec<&LogRecord>) =
        requests.iter().flat_map(records).partition(|it| attribute(&it.attributes, "logboom.gap.count").is_some());
    let numbers: Vec<usize> = got.iter().map(|record| number(body(record))).collect();
    assert_eq!(numbers.len() as u64, waiting + 10);
    assert!(numbers.is_sorted_by(|a, b| a < b), "out of order");
    assert!(numbers.ends_with(&(LINES..LINES + 10).collect::<Vec<_>>()));
    let missed = gaps.iter().map(|gap| match attribute(&gap.attributes, "logboom.gap.count") {
        Some(Value::IntValue(count)) => *count as u64,
        other => panic!("{other:?}"),
    });
    assert_eq!(missed.sum::<u64>(), shed);
    for gap in gaps {
        let text = |key| attribute(&gap.attributes, key).cloned();
        assert_eq!(text("logboom.gap.sink"), Some(Value::StringValue("upstream".to_owned())));
        assert_eq!(text("logboom.gap.source"), Some(Value::StringValue("mesh".to_owned())));
    }
}

fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Scenario: nobody reads standard output, beside a file; later somebody does. Guarantee: the
/// file has every line meanwhile, and standard output gets whole lines: those that waited, and
/// how many it missed.
#[test]
fn a_blocked_pipe_beside_a_file() {
    const LINES: usize = 40_000;
    let mut server = Server::start(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\n\
         sinks:\n  files: {type: file, path: '{dir}/out', encoding: raw}\n  \
         console: {type: stdout, inbox: 1MiB}",
    );
    server.send("mesh", &lines(0..LINES));
    eventually("the file is complete", || server.sink("files", "delivered_records") == LINES as u64);
    assert!(server.file("out") == lines(0..LINES));
    let (waiting, shed) = (server.sink("console", "in_flight_records"), server.sink("console", "shed_full_records"));
    assert!(shed > 0 && waiting > 0);

    let stdout = BufReader::new(server.stdout());
    let reader = std::thread::spawn(move || stdout.lines().map(Result::unwrap).collect::<Vec<_>>());
    eventually("standard output has caught up", || server.sink("console", "in_flight_records") == 0);
    let ended = server.stop();
    ended.assert_clean();
    let printed: Vec<serde_json::Value> =
        reader.join().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (gaps, got): (Vec<_>, Vec<_>) = printed.iter().partition(|it| it["attributes"]["logboom.gap.count"].is_u64());
    assert_eq!(gaps.iter().map(|it| it["attributes"]["logboom.gap.count"].as_u64().unwrap()).sum::<u64>(), shed);
    assert_eq!(got.len() as u64, LINES as u64 - shed);
    assert!(got.iter().map(|it| number(it["body"].as_str().unwrap())).is_sorted_by(|a, b| a < b));
}

/// Scenario: the reader of standard output goes away, as `head` does. Guarantee: the file and the
/// process go on, what standard output misses is counted, and the end is orderly.
#[test]
fn a_closed_pipe_beside_a_file() {
    let mut server = Server::start(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\n\
         sinks:\n  files: {type: file, path: '{dir}/out', encoding: raw}\n  console: {type: stdout}",
    );
    drop(server.stdout());
    server.send("mesh", b"one\n");
    server.wait_for_log("the reader of standard output is gone");
    server.signal(Signal::HUP);
    server.wait_for_log("reopening output files");
    server.send("mesh", b"two\n");
    assert_eq!(server.sink("console", "shed_stopped_records"), 1);
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    let ended = server.stop();
    assert_eq!(ended.file("out"), b"one\ntwo\n");
    assert_eq!(ended.count("files: ", "delivered"), 2);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(!ended.ledger().contains("imbalance"), "{}", ended.ledger());
}

/// Scenario: a sink that may hold the source back without end is full. Guarantee: the source
/// waits, nothing is shed, and everything arrives once the upstream does.
#[test]
fn a_sink_that_is_waited_for() {
    const LINES: usize = 40_000;
    let dead = DeadPort::new();
    let server = Server::start(&format!(
        "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\n\
         sinks: {{upstream: {{type: otlp, endpoint: 'http://{}', inbox: 1MiB, wait_max: forever, \
         retry: {{initial: 10ms, max: 50ms}}}}}}",
        dead.address
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = server.connect("mesh");
            client.write_all(&lines(0..LINES)).unwrap();
            client.finish();
        });
        eventually("the source waits", || server.source("mesh", "in_intake_records") > 0);
        let _mock = Mock::at(&dead.address.to_string(), None, |_, _| Reply::Ok);
        eventually("all is delivered", || server.sink("upstream", "delivered_records") == LINES as u64);
    });
    assert_eq!(server.sink("upstream", "shed_full_records"), 0);
    server.stop().assert_clean();
}
