//! Envoy's access-log service on the port of OTLP over gRPC: streams of entries without answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use logboom::decode::wire::{put_tag_bytes, put_varint};
use tonic::Code;
use util::grpc::framed;
use util::{Server, eventually, json_lines};

const METHOD: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
const METHOD_V2: &str = "/envoy.service.accesslog.v2.AccessLogService/StreamAccessLogs";

/// An `otlp` source with these settings, in front of one file.
fn one_file(settings: &str) -> Server {
    Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0{settings}}}}}\n\
         sinks: {{files: {{type: file, path: '{{dir}}/out', encoding: json}}}}"
    ))
}

/// A field with a length.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag_bytes(&mut out, number);
    put_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

/// A `StreamAccessLogsMessage` of HTTP entries with these authorities.
fn message(authorities: &[&str]) -> Vec<u8> {
    let entry = |authority: &&str| field(1, &field(3, &field(3, authority.as_bytes())));
    field(2, &authorities.iter().flat_map(entry).collect::<Vec<u8>>())
}

/// The first message of a stream: who sends.
fn identifier(log_name: &str) -> Vec<u8> {
    field(1, &[field(1, &field(1, b"pod-1")), field(2, log_name.as_bytes())].concat())
}

fn post(server: &Server, path: &str, body: Vec<u8>) -> (u16, Option<Code>) {
    server.grpc("otlp").raw(path, &[("content-type", "application/grpc"), ("te", "trailers")], body)
}

/// Scenario: a stream of three messages, the first with the identifier alone, to either name of the method.
/// Guarantee: every entry is a record, each with the node of its stream, and the end is answered OK.
#[test]
fn every_entry_of_a_stream_is_a_record() {
    let server = one_file("");
    for (path, log_name) in [(METHOD, "new"), (METHOD_V2, "old")] {
        let messages = [identifier(log_name), message(&["a", "b"]), message(&["c"])];
        let body: Vec<u8> = messages.iter().flat_map(|it| framed(0, it)).collect();
        assert_eq!(post(&server, path, body), (200, Some(Code::Ok)));
    }
    assert_eq!(server.source("otlp", "received_records"), 6);
    let ended = server.stop();
    ended.assert_clean();
    let records = json_lines(&ended.file("out"));
    let said: Vec<_> = records
        .iter()
        .map(|it| (it["resource"]["log_name"].as_str().unwrap(), it["attributes"]["server.address"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("new", "a"), ("new", "b"), ("new", "c"), ("old", "a"), ("old", "b"), ("old", "c")]);
    assert!(records.iter().all(|it| it["resource"]["node_name"] == "pod-1"));
}

/// Scenario: SIGTERM while a stream is open on which half a message came.
/// Guarantee: what came whole is written, and the process does not wait for the client.
#[test]
fn an_open_stream_does_not_hold_a_stop() {
    let server = one_file("");
    let client = server.grpc("otlp");
    let whole = framed(0, &message(&["a"]));
    let stream = client.stall_at(METHOD, [&whole[..], &whole[..7]].concat());
    eventually("the entry arrived", || server.source("otlp", "received_records") == 1);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(json_lines(&ended.file("out")).len(), 1);
    drop(stream);
}

/// Scenario: a message that is none follows one that is.
/// Guarantee: the first is taken, the stream is refused, and that is counted.
#[test]
fn entries_before_a_malformed_message_are_taken() {
    let server = one_file("");
    let body = [framed(0, &message(&["a"])), framed(0, &[0x0a, 0x7f])].concat();
    assert_eq!(post(&server, METHOD, body), (200, Some(Code::InvalidArgument)));
    assert_eq!(server.source("otlp", "received_records"), 1);
    assert_eq!(server.metric("logboom_rejected_records_total{source=\"otlp\",reason=\"malformed\"}"), 1.0);
    server.stop().assert_clean();
}

/// Scenario: messages over the limit, and one whose end never comes before the client's.
/// Guarantee: each stream is refused with a code that says why; others go on.
#[test]
fn what_is_no_message_ends_its_stream_alone() {
    let server = one_file(", message_max: 1KiB");
    let long = "x".repeat(2000);
    assert_eq!(post(&server, METHOD, framed(0, &message(&[&long]))), (200, Some(Code::ResourceExhausted)));
    let cut = framed(0, &message(&["a"]));
    assert_eq!(post(&server, METHOD, cut[..cut.len() - 1].to_vec()), (200, Some(Code::InvalidArgument)));
    assert_eq!(post(&server, METHOD, framed(1, b"?")), (200, Some(Code::InvalidArgument)));
    assert_eq!(post(&server, METHOD, framed(0, &message(&["a"]))), (200, Some(Code::Ok)));
    assert_eq!(server.source("otlp", "received_records"), 1);
    server.stop().assert_clean();
}
