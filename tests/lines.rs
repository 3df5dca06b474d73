//! Access-log lines in, files out: what was sent is what is read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::Write as _;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use util::otlp::{attribute, bodies, otlp_json, records};
use util::{Ended, Server, eventually, fixtures, random, split};

/// A TCP and a unix source, each into files in the three encodings.
fn six_files(line_max: &str) -> Server {
    let sink = |source: &str, encoding: &str| {
        format!(
            "  {source}-{encoding}: {{type: file, path: '{{dir}}/{source}.{encoding}', encoding: {encoding}, from: [{source}]}}\n"
        )
    };
    let sinks: String = ["tcp", "unix"]
        .iter()
        .flat_map(|source| ["raw", "json", "otlp-json"].map(|encoding| sink(source, encoding)))
        .collect();
    Server::start(&format!(
        "sources:\n  tcp: {{type: lines, listen: 127.0.0.1:0, line_max: {line_max}}}\n  \
         unix: {{type: lines, listen: 'unix:{{dir}}/mesh.sock', line_max: {line_max}}}\nsinks:\n{sinks}"
    ))
}

/// One file in one encoding.
fn one_file(encoding: &str, source: &str) -> Server {
    Server::start(&format!(
        "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0{source}}}}}\n\
         sinks: {{files: {{type: file, path: '{{dir}}/out', encoding: {encoding}}}}}"
    ))
}

/// What is to become of a stream of bytes.
struct Expected<'a> {
    lines: Vec<&'a [u8]>,
    blank: usize,
    partial: bool,
}

fn expected(input: &[u8]) -> Expected<'_> {
    let partial = !input.is_empty() && !input.ends_with(b"\n");
    let whole = input.strip_suffix(b"\n").unwrap_or(input);
    let (blank, lines) = whole.split(|byte| *byte == b'\n').partition::<Vec<_>, _>(|line| matches!(line, [] | [b'\r']));
    Expected { lines, blank: blank.len(), partial }
}

/// The body of the record of a line.
fn body(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

/// Scenario: every captured stream, over TCP and over a unix socket, in random pieces.
/// Guarantee: `raw` is what was sent without blank lines, `json` and `otlp-json` hold each line as
/// a body, and the counters know all of it.
#[test]
fn every_fixture_in_every_encoding() {
    let mut random = random();
    for (name, input) in fixtures("lines") {
        let server = six_files("1MiB");
        for source in ["tcp", "unix"] {
            let mut client = server.connect(source);
            for piece in split(&input, &mut random) {
                client.write_all(piece).unwrap();
            }
            client.finish();
        }
        let Expected { lines, blank, partial } = expected(&input);
        for source in ["tcp", "unix"] {
            let counted =
                |result| server.metric(&format!("logboom_lines_total{{source=\"{source}\",result=\"{result}\"}}"));
            assert_eq!(counted("ok") + counted("raw"), lines.len() as f64, "{name}");
            assert_eq!(counted("blank"), blank as f64, "{name}");
            assert_eq!(counted("partial"), f64::from(u8::from(partial)), "{name}");
            assert_eq!(counted("truncated"), 0.0, "{name}");
            assert_eq!(server.source(source, "received_records"), lines.len() as u64, "{name}");
            assert_eq!(server.source(source, "received_bytes"), input.len() as u64, "{name}");
        }
        assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
        let ended = server.stop();
        ended.assert_clean();
        for source in ["tcp", "unix"] {
            let mut raw = lines.join(&b'\n');
            raw.extend_from_slice(if lines.is_empty() { b"" } else { b"\n" });
            assert!(ended.file(&format!("{source}.raw")) == raw, "{name} by {source}");
            let whole = lines.len() - usize::from(partial);
            assert_json(&ended, source, &lines, whole, &name);
            assert_otlp_json(&ended, source, &lines, whole, &name);
        }
    }
}

fn assert_json(ended: &Ended, source: &str, lines: &[&[u8]], whole: usize, name: &str) {
    let got = ended.json(&format!("{source}.json"));
    assert_eq!(got.len(), lines.len(), "{name} by {source}");
    for (at, (got, line)) in got.iter().zip(lines).enumerate() {
        assert_eq!(got["body"], body(line), "{name} by {source}");
        assert!(got["observed_timestamp"].is_string());
        let attributes = &got["attributes"];
        assert_eq!(attributes["logboom.partial"] == true, at >= whole, "{name} by {source}: {got}");
        assert!(attributes["logboom.truncated"].is_null());
        match source {
            "tcp" => assert_eq!(attributes["network.peer.address"], "127.0.0.1"),
            _ => assert!(attributes["network.peer.address"].is_null()),
        }
        assert_eq!(attributes["network.peer.port"].is_u64(), source == "tcp");
    }
}

fn assert_otlp_json(ended: &Ended, source: &str, lines: &[&[u8]], whole: usize, name: &str) {
    let requests = otlp_json(&ended.file(&format!("{source}.otlp-json")));
    let got: Vec<String> = requests.iter().flat_map(bodies).collect();
    assert!(got.iter().eq(lines.iter().map(|line| body(line)).collect::<Vec<_>>().iter()), "{name} by {source}");
    for (at, record) in requests.iter().flat_map(records).enumerate() {
        let partial = attribute(&record.attributes, "logboom.partial");
        assert_eq!(partial == Some(&Value::BoolValue(true)), at >= whole, "{name} by {source}");
        let address = attribute(&record.attributes, "network.peer.address");
        assert_eq!(address.is_some(), source == "tcp", "{name} by {source}");
    }
}

/// Scenario: lines of just the limit, one byte more, and far more, among others; the last one is
/// cut off by its sender. Guarantee: the long ones lose their ends, are flagged and counted; their
/// neighbours are whole.
#[test]
fn long_lines_lose_their_ends() {
    let mut random = random();
    let long = |byte: u8, length| vec![byte; length];
    let lines = [
        b"first".to_vec(),
        long(b'a', 1024),
        b"second".to_vec(),
        long(b'b', 1025),
        b"third".to_vec(),
        long(b'c', 300_000),
        b"{\"json\":1}".to_vec(),
        b"last".to_vec(),
    ];
    let server = six_files("1KiB");
    for source in ["tcp", "unix"] {
        let mut client = server.connect(source);
        for piece in split(&lines.join(&b'\n'), &mut random) {
            client.write_all(piece).unwrap();
        }
        client.finish();
        assert_eq!(server.metric(&format!("logboom_lines_total{{source=\"{source}\",result=\"truncated\"}}")), 2.0);
        assert_eq!(server.metric(&format!("logboom_lines_total{{source=\"{source}\",result=\"partial\"}}")), 1.0);
    }
    let ended = server.stop();
    ended.assert_clean();
    for source in ["tcp", "unix"] {
        let kept: Vec<&[u8]> = lines.iter().map(|line| &line[..line.len().min(1024)]).collect();
        assert!(ended.file(&format!("{source}.raw")) == [kept.join(&b'\n'), b"\n".to_vec()].concat());
        for ((got, line), kept) in ended.json(&format!("{source}.json")).iter().zip(&lines).zip(kept) {
            assert_eq!(got["body"], body(kept));
            assert_eq!(got["attributes"]["logboom.truncated"] == true, line.len() > 1024, "{got}");
            assert_eq!(got["attributes"]["logboom.partial"] == true, line == b"last", "{got}");
        }
        let requests = otlp_json(&ended.file(&format!("{source}.otlp-json")));
        let flagged = |record| attribute(record, "logboom.truncated") == Some(&Value::BoolValue(true));
        assert_eq!(requests.iter().flat_map(records).filter(|it| flagged(&it.attributes)).count(), 2);
    }
}

/// Scenario: nothing but blank lines, of both kinds. Guarantee: no record, and each is counted.
#[test]
fn blank_lines_are_no_records() {
    let server = one_file("json", "");
    server.send("mesh", b"\n\r\n\n\r\n\r");
    assert_eq!(server.metric("logboom_lines_total{source=\"mesh\",result=\"blank\"}"), 5.0);
    assert_eq!(server.source("mesh", "received_records"), 0);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"");
}

/// Scenario: many connections at once, each in pieces of its own. Guarantee: no line is lost or
/// mixed with another, and each connection's lines keep their order.
#[test]
fn connections_keep_their_order() {
    const CONNECTIONS: usize = 8;
    const LINES: usize = 3_000;
    let server = one_file("json", "");
    let mut random = random();
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let mut random = random.fork();
            let server = &server;
            scope.spawn(move || {
                let text: String = (0..LINES).map(|line| format!("{connection} {line}\n")).collect();
                let mut client = server.connect("mesh");
                for piece in split(text.as_bytes(), &mut random) {
                    client.write_all(piece).unwrap();
                }
                client.finish();
            });
        }
    });
    let ended = server.stop();
    ended.assert_clean();
    let mut next = [0; CONNECTIONS];
    for record in ended.json("out") {
        let (connection, line) = record["body"].as_str().unwrap().split_once(' ').unwrap();
        let next = &mut next[connection.parse::<usize>().unwrap()];
        assert_eq!(line.parse::<usize>().unwrap(), *next);
        *next += 1;
    }
    assert_eq!(next, [LINES; CONNECTIONS]);
}

/// Scenario: over TCP and over a unix socket lines come one by one, each as soon as the one before is written; then nothing
/// does; then one line, and again many, while the process is told to stop. Guarantee: every line comes, in order, the one
/// after the silence without another that wakes its connection, and the last ones at the end.
#[test]
fn a_trickle_comes_whole() {
    const LINES: usize = 5_000;
    let server = Server::start(
        "sources:\n  tcp: {type: lines, listen: 127.0.0.1:0}\n  unix: {type: lines, listen: 'unix:{dir}/mesh.sock'}\nsinks:\n  \
         files: {type: file, path: '{dir}/tcp', encoding: raw, from: [tcp]}\n  others: {type: file, path: '{dir}/unix', encoding: raw, from: [unix]}\n",
    );
    let mut clients = ["tcp", "unix"].map(|source| (source, server.connect(source)));
    let mut trickle = |from: usize, to: usize| {
        for line in from..to {
            clients.iter_mut().for_each(|(_, client)| client.write_all(format!("{line}\n").as_bytes()).unwrap());
        }
    };
    for lines in [LINES, LINES + 1] {
        trickle(if lines == LINES { 0 } else { LINES }, lines);
        for source in ["tcp", "unix"] {
            eventually("every line is in the file", || {
                server.file(source).iter().filter(|it| **it == b'\n').count() == lines
            });
        }
    }
    trickle(LINES + 1, 2 * LINES);
    let ended = server.stop();
    ended.assert_clean();
    let expected: String = (0..2 * LINES).map(|line| format!("{line}\n")).collect();
    for source in ["tcp", "unix"] {
        assert!(ended.file(source) == expected.as_bytes(), "{source}");
    }
}

/// Scenario: more connections than allowed, then one leaves. Guarantee: those within the limit
/// live on, the others are closed and counted, and the free place is used again.
#[test]
fn connection_limit() {
    let server = one_file("raw", ", connections_max: 2");
    let mut first = server.connect("mesh");
    let mut second = server.connect("mesh");
    eventually("both are open", || server.metric("logboom_connections{source=\"mesh\"}") == 2.0);
    let mut third = server.connect("mesh");
    third.wait_closed();
    assert_eq!(server.metric("logboom_connections_refused_total{source=\"mesh\"}"), 1.0);
    first.write_all(b"first\n").unwrap();
    first.finish();
    eventually("one has left", || server.source("mesh", "connections") == 1);
    server.send("mesh", b"fourth\n");
    second.write_all(b"second\n").unwrap();
    second.finish();
    assert_eq!(server.source("mesh", "connections_accepted"), 3);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"first\nfourth\nsecond\n");
}

/// Scenario: two sources; one sink takes both, each of two others takes one. Guarantee: each gets
/// what it asked for and nothing else.
#[test]
fn sinks_choose_their_sources() {
    let server = Server::start(
        "sources:\n  a: {type: lines, listen: 127.0.0.1:0}\n  b: {type: lines, listen: 127.0.0.1:0}\n\
         sinks:\n  all: {type: file, path: '{dir}/all', encoding: raw}\n  \
         only-a: {type: file, path: '{dir}/only-a', encoding: raw, from: [a]}\n  \
         only-b: {type: file, path: '{dir}/only-b', encoding: json, from: [b]}",
    );
    server.send("a", b"from a\n");
    server.send("b", b"from b\nfrom b again\n");
    assert_eq!(server.sink("all", "offered_records"), 3);
    assert_eq!(server.sink("only-a", "offered_records"), 1);
    assert_eq!(server.sink("only-b", "offered_records"), 2);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("all"), b"from a\nfrom b\nfrom b again\n");
    assert_eq!(ended.file("only-a"), b"from a\n");
    let got: Vec<_> = ended.json("only-b").iter().map(|it| it["body"].clone()).collect();
    assert_eq!(got, ["from b", "from b again"]);
}

/// Scenario: a path with a field, values that are paths themselves, and lines without a value.
/// Guarantee: a file for each value, all of them below the directory, and no record is lost.
#[test]
fn a_file_for_each_value() {
    let server = Server::start(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\n\
         sinks: {files: {type: file, path: '{dir}/logs/{kuma.mesh}/access.log', encoding: raw}}",
    );
    let mut sent = Vec::new();
    for round in 0..50 {
        for mesh in ["default", "prod", "../../escape", "/etc", ".."] {
            sent.push(format!("{{\"kuma.mesh\":\"{mesh}\",\"round\":{round}}}"));
        }
        sent.push(format!("no value {round}"));
    }
    server.send("mesh", (sent.join("\n") + "\n").as_bytes());
    let ended = server.stop();
    ended.assert_clean();
    for mesh in ["default", "prod"] {
        let name = format!("\"{mesh}\"");
        let expected: String =
            sent.iter().filter(|line| line.contains(&name)).map(|line| format!("{line}\n")).collect();
        assert_eq!(String::from_utf8(ended.file(&format!("logs/{mesh}/access.log"))).unwrap(), expected);
    }
    let mut got: Vec<String> = Vec::new();
    for directory in std::fs::read_dir(ended.path("logs")).unwrap() {
        let text = std::fs::read_to_string(directory.unwrap().path().join("access.log")).unwrap();
        got.extend(text.lines().map(str::to_owned));
    }
    got.sort_unstable();
    sent.sort_unstable();
    assert_eq!(got, sent);
    let mut beside: Vec<_> = std::fs::read_dir(ended.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    beside.sort_unstable();
    assert_eq!(beside, ["logboom.yaml", "logs"]);
}
