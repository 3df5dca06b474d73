//! Input made to break it: the answer is clear or the loss is counted, memory stays within the
//! bound that was printed, and the next good record lands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use flate2::write::GzEncoder;
use logboom::source::logs_service::EXPORT;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use util::grpc::{framed, verdict};
use util::otlp::{encoded, field, request_around};
use util::{Ended, Server, eventually, random};

/// Both sources in front of files in every encoding. Few connections, so that the bound is close. The disk of a test may
/// be slow: it is given a minute before something is shed.
fn server() -> Server {
    let sink = |encoding: &str| {
        format!("  {encoding}: {{type: file, path: '{{dir}}/{encoding}', encoding: {encoding}, wait_max: 60s}}\n")
    };
    let sinks: String = ["raw", "json", "otlp-json"].map(sink).concat();
    Server::start(&format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0, connections_max: 64}}\n  \
         otlp: {{type: otlp, grpc: 127.0.0.1:0, connections_max: 64}}\nsinks:\n{sinks}"
    ))
}

/// One good record through each port, and everything in its place.
fn assert_unharmed(server: Server) -> Ended {
    server.send("mesh", b"a good line\n");
    assert_eq!(verdict(&server.grpc("otlp").export(encoded(["a good record"]))), (Code::Ok, false));
    let idle = || server.metric("logboom_memory_reserved_bytes") == 0.0;
    eventually("all memory is free", idle);
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    server.assert_within_memory_bound();
    let ended = server.stop();
    ended.assert_clean();
    let got = ended.json("json");
    for good in ["a good line", "a good record"] {
        assert_eq!(got.iter().filter(|it| it["body"] == good).count(), 1, "{good}");
    }
    assert_eq!(got.len() as u64, ended.count("received", "received"), "{}", ended.stderr);
    assert!(ended.file("raw").ends_with(b"a good line\na good record\n"));
    ended
}

/// Scenario: a line of 100 MB. Guarantee: its beginning is kept and flagged, the rest dropped.
#[test]
fn a_line_of_100_mb() {
    let server = server();
    let mut client = server.connect("mesh");
    let megabyte = vec![b'x'; 1_000_000];
    for _ in 0..100 {
        client.write_all(&megabyte).unwrap();
    }
    client.write_all(b"\nnext\n").unwrap();
    client.finish();
    assert_eq!(server.source("mesh", "received_bytes"), 100_000_006);
    assert_eq!(server.metric("logboom_lines_total{source=\"mesh\",result=\"truncated\"}"), 1.0);
    let got = assert_unharmed(server).json("json");
    assert_eq!(got[0]["body"].as_str().unwrap().len(), 1 << 20);
    assert_eq!(got[0]["attributes"]["logboom.truncated"], true);
    assert_eq!(got[1]["body"], "next");
}

/// Scenario: many connections, each with an unfinished line of almost the limit. Guarantee: their
/// memory is bounded; lines that do not fit are cut and counted.
#[test]
fn unfinished_lines_on_many_connections() {
    let server = server();
    let mut clients: Vec<_> = (0..60).map(|_| server.connect("mesh")).collect();
    let line = vec![b'x'; 900_000];
    for client in &mut clients {
        client.write_all(&line).unwrap();
    }
    eventually("all of it has come", || server.source("mesh", "received_bytes") == 60 * 900_000);
    server.assert_within_memory_bound();
    for mut client in clients {
        client.write_all(b"\n").unwrap();
        client.finish();
    }
    let ended = assert_unharmed(server);
    let got = ended.json("json");
    let long = got.iter().filter(|it| it["body"].as_str().unwrap().starts_with('x'));
    let (cut, whole): (Vec<_>, Vec<_>) = long.partition(|it| it["attributes"]["logboom.truncated"] == true);
    assert!(whole.iter().all(|it| it["body"].as_str().unwrap().len() == line.len()));
    let (cut, whole) = (cut.len(), whole.len());
    assert_eq!(cut + whole, 60);
    assert!(cut > 0 && whole > 0, "{cut} cut, {whole} whole");
}

/// Scenario: values nested 200,000 deep, as lines and as OTLP. Guarantee: the line is kept as text
/// with the reason, the request refused.
#[test]
fn nested_200_000_deep() {
    const DEPTH: usize = 200_000;
    let server = server();
    let objects = [b"{\"a\":".repeat(DEPTH), b"1".to_vec(), b"}".repeat(DEPTH)].concat();
    let arrays = [&b"{\"a\":"[..], &b"[".repeat(DEPTH), &b"]".repeat(DEPTH), b"}"].concat();
    let open = b"{\"a\":[".repeat(DEPTH / 2);
    server.send("mesh", &[objects, arrays, open].join(&b'\n'));
    let client = server.grpc("otlp");
    // From the inside out, without copying what is inside again and again.
    let mut backwards = field(1, b"innermost").into_iter().rev().collect::<Vec<u8>>();
    for number in [1 << 3 | 2, 5 << 3 | 2].repeat(DEPTH) {
        let mut head = vec![number];
        prost::encoding::encode_varint(backwards.len() as u64, &mut head);
        backwards.extend(head.iter().rev());
    }
    backwards.reverse();
    let (whole, tail) = (field(5, &backwards), &backwards[backwards.len() - 200_000..]);
    assert_eq!(verdict(&client.export(request_around(&field(2, &whole)))), (Code::InvalidArgument, false));
    assert_eq!(verdict(&client.export(request_around(&field(2, &field(5, tail))))), (Code::InvalidArgument, false));
    let got = assert_unharmed(server).json("json");
    let reasons: Vec<_> = got[..3].iter().map(|it| it["attributes"]["logboom.parse_error"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["too_deep"; 3]);
}

/// Scenario: small messages that inflate to a gigabyte, and one that wants a huge window.
/// Guarantee: inflating stops at the limit.
#[test]
fn compression_bombs() {
    const MEMBER: usize = 16 << 20;
    let server = server();
    let client = server.grpc("otlp");
    let zeros = vec![0; MEMBER];
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap().repeat(64);
    let zstd = zstd::encode_all(&zeros[..], 1).unwrap().repeat(64);
    let mut windowed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    windowed.window_log(27).unwrap();
    windowed.write_all(&zeros).unwrap();
    let windowed = windowed.finish().unwrap();
    let export = |encoding, content: &[u8]| client.raw_export(&[("grpc-encoding", encoding)], framed(1, content));
    for _ in 0..4 {
        assert_eq!(export("gzip", &gzip), (200, Some(Code::ResourceExhausted)));
        assert_eq!(export("zstd", &zstd), (200, Some(Code::ResourceExhausted)));
        assert_eq!(export("zstd", &windowed), (200, Some(Code::InvalidArgument)));
    }
    // Nothing at all, as often as it fits: members without content.
    let nothing = GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap().repeat(100_000);
    assert_eq!(export("gzip", &nothing), (200, Some(Code::Ok)));
    assert_eq!(server.source("otlp", "rejected_records"), 12);
    assert_eq!(server.source("otlp", "connections_accepted"), 1);
    assert_unharmed(server);
}

/// Scenario: requests of the largest size made of the smallest parts: records, resources, scopes,
/// attributes, none with content; and a large resource before many records, which would be
/// repeated for each. Guarantee: refused when that is more than the limits, before anything is
/// allocated; taken otherwise.
#[test]
fn nothing_many_times() {
    const ROOM: usize = (16 << 20) - 64;
    let server = server();
    let client = server.grpc("otlp");
    let check = |request: Vec<u8>, expected| {
        assert_eq!(verdict(&client.export(request.clone())), (expected, false));
        assert_eq!(verdict(&client.export_compressed(request, CompressionEncoding::Gzip)), (expected, false));
    };
    let (record, resource, attribute) = (field(2, b""), field(1, b""), field(6, b""));
    check(request_around(&record.repeat(ROOM / 2)), Code::ResourceExhausted);
    check(resource.repeat(ROOM / 2), Code::Ok);
    check(field(1, &record.repeat(ROOM / 2)), Code::Ok);
    check(request_around(&field(2, &attribute.repeat(500_000))), Code::Ok);
    check(request_around(&field(2, &attribute.repeat(250_000)).repeat(5)), Code::ResourceExhausted);
    let large = field(1, &field(1, &field(1, &vec![b'k'; 1 << 19])));
    check(field(1, &[large, field(2, &record.repeat(99_999))].concat()), Code::ResourceExhausted);
    assert_eq!(verdict(&client.export(request_around(&record.repeat(100_000)))), (Code::Ok, false));
    assert_eq!(server.source("otlp", "received_records"), 100_000 + 2);
    let ended = {
        server.send("mesh", b"the last\n");
        server.assert_within_memory_bound();
        server.stop()
    };
    ended.assert_clean();
    assert_eq!(ended.json("json").len(), 100_000 + 3);
}

/// Scenario: random bytes on both ports: as lines, instead of HTTP/2, after its preface, and as
/// messages. Guarantee: every line is a record, every call has an answer, and broken connections
/// end alone.
#[test]
fn random_bytes() {
    let mut random = random();
    let server = server();
    let mut bytes = |length| std::iter::repeat_with(|| random.u8(..)).take(length).collect::<Vec<u8>>();
    let noise = bytes(1_000_000);
    server.send("mesh", &noise);
    let mut send = |preface: &[u8]| {
        for length in [24, 1_000, 100_000] {
            let mut stream = TcpStream::connect(server.address("otlp")).unwrap();
            // It may hang up before it has heard everything.
            let _ = stream.write_all(&[preface, &bytes(length)].concat());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        eventually("all of them are gone", || server.source("otlp", "connections") == 0);
    };
    send(b"");
    send(b"[2026-06-26T21:29:21.535Z] a line\n");
    // What happens to begin as TLS does is counted as that.
    let tls = "logboom_tls_handshake_failures_total{source=\"otlp\",reason=\"unexpected_tls\"}";
    assert_eq!(server.source("otlp", "accept_errors") + server.metric(tls) as u64, 6);
    // These have begun as HTTP does.
    send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    send(b"GET / HTTP/1.1\r\n\r\n");
    let client = server.grpc("otlp");
    for length in 0..200 {
        let noise = bytes(length);
        for answer in [client.export(noise.clone()), client.export(request_around(&field(2, &noise)))] {
            let (code, _) = verdict(&answer);
            assert!(matches!(code, Code::Ok | Code::InvalidArgument), "{noise:?}: {answer:?}");
        }
        let (_, code) = client.raw_export(&[("grpc-encoding", ["gzip", "zstd"][length % 2])], framed(1, &noise));
        assert!(matches!(code, Some(Code::Ok | Code::InvalidArgument)), "{noise:?}: {code:?}");
        let (http, _) = client.raw(EXPORT, &[("content-type", "application/grpc")], noise);
        assert_eq!(http, 200);
    }
    let lines = noise.split(|byte| *byte == b'\n').filter(|line| !matches!(line, [] | [b'\r'])).count();
    assert_eq!(server.source("mesh", "received_records"), lines as u64);
    assert_unharmed(server);
}

/// Scenario: lines of bytes that every encoding has to write longer than they came, as fast as
/// they can be sent. Guarantee: memory stays within the bound.
#[test]
fn lines_that_grow() {
    let server = server();
    let mut line = vec![1; 1 << 20];
    line.push(b'\n');
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = server.connect("mesh");
                for _ in 0..3 {
                    client.write_all(&line).unwrap();
                }
                client.finish();
            });
        }
    });
    server.assert_within_memory_bound();
    assert_eq!(server.source("mesh", "received_records"), 12);
    assert_unharmed(server);
}

/// Scenario: as many large requests at once as there are connections, compressed so that each
/// costs its sender little. Guarantee: each has an answer, and memory stays within the bound.
#[test]
fn large_requests_all_at_once() {
    let server = server();
    let request = encoded((0..12).map(|_| "x".repeat(1_000_000)));
    let codes = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| server.grpc("otlp").export_compressed(request.clone(), CompressionEncoding::Gzip)))
            .collect();
        callers.into_iter().map(|it| verdict(&it.join().unwrap())).collect::<Vec<_>>()
    });
    let taken = codes.iter().filter(|it| **it == (Code::Ok, false)).count();
    let refused = codes.iter().filter(|it| **it == (Code::Unavailable, true)).count();
    assert_eq!(taken + refused, codes.len(), "{codes:?}");
    assert!(taken > 0, "{codes:?}");
    server.assert_within_memory_bound();
    assert_unharmed(server);
}
