//! Access logs of a real Envoy in, attributes out: every line of every captured file is compared,
//! attribute by attribute, with an oracle that reads it in a way of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod access_logs_oracle;
mod util;

use access_logs_oracle::expect::{Expected, Verdict, expected};
use access_logs_oracle::files::Content;
use access_logs_oracle::judge::Judge;
use access_logs_oracle::plain::Layout;
use access_logs_oracle::said::{Part, Said};
use access_logs_oracle::ways::{plausible_trace, render, ways};
use access_logs_oracle::{custom, files, hostile, objects, otlp, own, plain};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::Value;
use util::otlp::request;
use util::{Server, fixtures, random};

/// The formats as Kuma has them.
const HTTP_REAL: &str = "[%START_TIME%] %KUMA_MESH% \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
    \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%\" \"%REQ(X-REQUEST-ID)%\" \
    \"%REQ(:AUTHORITY)%\" \"%KUMA_SOURCE_SERVICE%\" \"%KUMA_DESTINATION_SERVICE%\" \
    \"%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%\" \"%UPSTREAM_HOST%\"";
const TRACE: &str = "\"%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%\" ";

const TCP: &str = "[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH% %KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)->\
    %UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, \
    received: %BYTES_RECEIVED% bytes";

fn block(layout: Layout) -> String {
    own::plain_block(&match layout {
        Layout::Real => HTTP_REAL.to_owned(),
        Layout::Documented => HTTP_REAL.replace(TRACE, ""),
    })
}

/// What becomes of lines that are read in this format.
fn records(format: &str, lines: &[u8]) -> Vec<Value> {
    let server = Server::start(&format!(
        "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0, format: {format}}}}}\n\
         sinks: {{files: {{type: file, path: '{{dir}}/out', encoding: json}}}}"
    ));
    server.send("mesh", lines);
    let ended = server.stop();
    ended.assert_clean();
    ended.json("out")
}

/// The lines of a captured stream that are records.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).collect()
}

/// Scenario: every captured stream, and nobody says which formats it is in. Guarantee: what Kuma
/// sends by itself is read in full, with every value and its type; anything else is kept as it is,
/// with the reason; bodies are the lines.
#[test]
fn every_captured_line_without_a_word() {
    let mut judge = Judge::default();
    let mut compared = 0;
    for (name, input) in fixtures("lines") {
        let lines = lines(&input);
        let records = records("auto", &input);
        assert_eq!(records.len(), lines.len(), "{name}");
        for (at, (record, line)) in records.iter().zip(&lines).enumerate() {
            let place = format!("{name}:{}", at + 1);
            let body = String::from_utf8_lossy(line);
            judge.expect(&place, record, "body", record["body"] == *body, || "another body".to_owned());
            judge.record(&place, record, &files::verdict(files::content(&name), line));
        }
        compared += lines.len();
    }
    assert!(compared > 7_900, "{compared} lines are not all of them");
    judge.verdict(compared);
}

/// Scenario: the captured streams of one format each, with this format as the block of a policy.
/// Guarantee: every line is read in full; for formats of Kuma the block changes nothing.
#[test]
fn every_captured_line_with_its_own_format() {
    let mut judge = Judge::default();
    let mut compared = 0;
    for (name, input) in fixtures("lines") {
        let content = files::content(&name);
        let read: &dyn Fn(&[u8]) -> Verdict = match &*name {
            "trafficlog-http-jsontemplate.log" => &own::template,
            _ if name.contains("typed") => &own::typed,
            _ => &|line| files::verdict(content, line),
        };
        let format = match (content, &*name) {
            (Content::Http(layout), _) => block(layout),
            (Content::Tcp, _) => own::plain_block(TCP),
            (_, "trafficlog-http-jsontemplate.log") => own::template_block(),
            (Content::Json, _) if name.contains("typed") => own::typed_block(),
            (Content::Json, _) if name.contains("http-json") => own::documented(own::HTTP_JSON),
            (Content::Json, _) if !name.contains("wide") => own::documented(own::TCP_JSON),
            _ => continue,
        };
        let lines = lines(&input);
        let records = records(&format, &input);
        assert_eq!(records.len(), lines.len(), "{name}");
        for (at, (record, line)) in records.iter().zip(&lines).enumerate() {
            judge.record(&format!("{name}:{}", at + 1), record, &read(line));
        }
        compared += lines.len();
    }
    assert!(compared > 6_000, "{compared} lines are not all of them");
    judge.verdict(compared);
}

/// Scenario: a format of a user whose separator clients and Envoy write too, with records that are
/// broken into lines. Guarantee: what fits in one way is read in full, pieces are kept, and no value
/// is wrong.
#[test]
fn a_custom_format() {
    let input = fixtures("lines").remove("tcp-http-plain-custom.log").unwrap();
    let lines = lines(&input);
    let records = records(&custom::block(), &input);
    assert_eq!(records.len(), lines.len());
    let mut judge = Judge::default();
    for (at, (record, line)) in records.iter().zip(&lines).enumerate() {
        let place = format!("line {}", at + 1);
        match custom::read(std::str::from_utf8(line).unwrap()) {
            Some((expected, only)) => judge.one_of(&place, record, &[expected], only),
            None => judge.record(&place, record, &Verdict::Raw("unknown_format")),
        }
    }
    judge.verdict(lines.len());
}

/// The ways to read a line, and whether there is only one. Without a word about the format (`None`)
/// a trace header that no tracer writes counts only where there is nothing better: a line that can
/// be what releases really send is that, or else in either layout.
fn sensible(line: &str, layout: Option<Layout>) -> (Vec<Expected>, bool) {
    let mut all = ways(line, layout.unwrap_or(Layout::Real));
    let sensible: Vec<Said> =
        if layout.is_some() { all.clone() } else { all.iter().filter(|said| plausible_trace(said)).cloned().collect() };
    if sensible.is_empty() && layout.is_none() {
        all.extend(ways(line, Layout::Documented));
    }
    let only = all.len() == 1;
    (if sensible.is_empty() { all } else { sensible }.iter().map(expected).collect(), only)
}

/// Scenario: requests whose headers look like further fields, in both layouts, with and without
/// the format being said. Guarantee: what can be read in one way only is read in full; otherwise
/// the record says so and has only what is the same in all ways.
#[test]
fn forged_fields() {
    forge(&hostile::requests());
}

/// Scenario: the same with headers that chance puts together from what matters.
#[test]
fn fields_forged_by_chance() {
    let mut random = random();
    let pieces = ["\"", "\" \"", " ", "-", "a", "203.0.113.9", "834c687a3acb6266", "é", "\\", ",", "\t", "] ", "\"\""];
    let mut header = || {
        let text: String = (0..random.usize(0..5)).map(|_| *random.choice(&pieces).unwrap()).collect();
        text.trim().to_owned()
    };
    let parts = [Part::ForwardedFor, Part::UserAgent, Part::Trace, Part::RequestId];
    let requests: Vec<(&str, Said)> = (0..2_000)
        .map(|_| ("by chance", parts.iter().fold(hostile::ordinary(), |said, part| said.with(*part, &header()))))
        .collect();
    forge(&requests);
}

fn forge(requests: &[(&str, Said)]) {
    let mut judge = Judge::default();
    for layout in [Layout::Real, Layout::Documented] {
        let lines: Vec<String> = requests.iter().map(|(_, said)| render(said, layout, "-")).collect();
        for said_layout in [None, Some(layout)] {
            let format = said_layout.map_or_else(|| "auto".to_owned(), block);
            let records = records(&format, (lines.join("\n") + "\n").as_bytes());
            assert_eq!(records.len(), lines.len());
            for ((record, line), (name, said)) in records.iter().zip(&lines).zip(requests) {
                let place = format!("{name}, {layout:?}, format {said_layout:?}");
                assert!(ways(line, layout).iter().any(|way| same(way, said, layout)), "{place}: the oracle is wrong");
                let (found, only) = sensible(line, said_layout);
                judge.one_of(&place, record, &found, only);
            }
        }
    }
    judge.verdict(4 * requests.len());
}

/// The same texts, as far as the layout has them.
fn same(way: &Said, said: &Said, layout: Layout) -> bool {
    plain::quoted(layout).iter().all(|part| way.get(*part) == said.get(*part))
}

/// Scenario: odd connections, and lines that are nothing. Guarantee: as for captured lines.
#[test]
fn odd_connections_and_nothing() {
    let mut judge = Judge::default();
    let connections = hostile::connections();
    let sent: Vec<(&str, &str, Verdict)> = connections
        .iter()
        .map(|(name, line)| (*name, line.as_str(), plain::tcp(line).unwrap().into()))
        .chain(hostile::NOTHING.iter().map(|(line, reason)| (*line, *line, Verdict::Raw(reason))))
        .collect();
    let lines: String = sent.iter().map(|(_, line, _)| format!("{line}\n")).collect();
    let records = records("auto", lines.as_bytes());
    assert_eq!(records.len(), sent.len());
    for (record, (name, line, verdict)) in records.iter().zip(&sent) {
        judge.expect(name, record, "body", record["body"] == *line, || "another body".to_owned());
        judge.record(name, record, verdict);
    }
    judge.verdict(sent.len());
}

/// Scenario: every captured request of the OTLP loggers, with bodies of all shapes. Guarantee: the
/// attributes are typed, the text of a body in a format of Kuma is read like a line, and time and
/// ids are those of the record.
#[test]
fn every_captured_request() {
    let server = Server::start(
        "sources: {otlp: {type: otlp, grpc: 127.0.0.1:0}}\n\
         sinks: {files: {type: file, path: '{dir}/out', encoding: json}}",
    );
    let client = server.grpc("otlp");
    let mut expected: Vec<(String, Expected)> = Vec::new();
    for (name, request) in fixtures("otlp") {
        expected.extend(otlp::records(&request).into_iter().map(|it| (name.clone(), it)));
        assert_eq!(client.export(request).map_err(|status| format!("{name}: {status}")), Ok(0));
    }
    let ended = server.stop();
    ended.assert_clean();
    let records = ended.json("out");
    assert_eq!(records.len(), expected.len());
    let compared = records.len();
    let mut judge = Judge::default();
    for (record, (name, expected)) in records.iter().zip(expected) {
        judge.record(&name, record, &Verdict::Read(Box::new(expected)));
    }
    judge.verdict(compared);
}

/// Scenario: objects with odd values, objects that are no access logs, and lines from both sides of
/// a connection. Guarantee: known keys get their names and types, all else stays what it is, and
/// nobody is called the source who is not.
#[test]
fn odd_objects_and_sides() {
    let mut judge = Judge::default();
    let mut compared = 0;
    for (format, sent) in
        [("auto".to_owned(), objects::objects()), (own::plain_block(objects::SIDES), objects::sides())]
    {
        let lines: String = sent.iter().map(|(line, _)| format!("{line}\n")).collect();
        let records = records(&format, lines.as_bytes());
        assert_eq!(records.len(), sent.len());
        for (record, (line, verdict)) in records.iter().zip(&sent) {
            judge.record(line, record, verdict);
        }
        compared += sent.len();
    }
    judge.verdict(compared);
}

/// Scenario: a template that escapes nothing, and clients that write further members. Guarantee:
/// what is said twice is not believed, and no member passes for what the collector says of itself.
#[test]
fn injected_members() {
    let sent = objects::injected();
    let lines: String = sent.iter().map(|(line, _)| format!("{line}\n")).collect();
    let records = records("auto", lines.as_bytes());
    assert_eq!(records.len(), sent.len());
    let mut judge = Judge::default();
    for (record, (line, ways)) in records.iter().zip(&sent) {
        judge.one_of(line, record, ways, ways.len() == 1);
        for own in ["logboom.partial", "logboom.truncated"] {
            judge.expect(line, record, own, record["attributes"].get(own).is_none(), || format!("{own} is forged"));
        }
    }
    judge.verdict(sent.len());
}

/// Scenario: the lines of [`forged_fields`] as bodies of OTLP records. Guarantee: the same.
#[test]
fn forged_fields_in_bodies() {
    let requests = hostile::requests();
    let bodies: Vec<String> = requests.iter().map(|(_, said)| render(said, Layout::Real, "-")).collect();
    let mut request = request(bodies.iter().map(String::as_str));
    let name = AnyValue { value: Some(AnyKind::StringValue("MeshAccessLog".to_owned())) };
    let name = KeyValue { key: "log_name".to_owned(), value: Some(name), ..KeyValue::default() };
    request.resource_logs[0].resource = Some(Resource { attributes: vec![name], ..Resource::default() });
    let server = Server::start(
        "sources: {otlp: {type: otlp, grpc: 127.0.0.1:0}}\n\
         sinks: {files: {type: file, path: '{dir}/out', encoding: json}}",
    );
    assert_eq!(server.grpc("otlp").export(request.encode_to_vec()).map_err(|status| status.to_string()), Ok(0));
    let ended = server.stop();
    ended.assert_clean();
    let records = ended.json("out");
    assert_eq!(records.len(), bodies.len());
    let mut judge = Judge::default();
    for ((record, body), (name, _)) in records.iter().zip(&bodies).zip(&requests) {
        let (found, only) = sensible(body, None);
        judge.one_of(name, record, &found, only);
    }
    judge.verdict(bodies.len());
}
