use std::ops::ControlFlow;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::decode::reader::{NamedFormat, Origin};
use crate::encode::json::JsonEncoder;
use crate::record::{EnvelopeRef, ValueRef};

fn reader(format: NamedFormat) -> Reader {
    Reader::compile(&format.into(), Origin::Lines).unwrap()
}

static AUTO: LazyLock<Reader> = LazyLock::new(|| reader(NamedFormat::Auto));

fn settings() -> LineSettings<'static> {
    LineSettings { reader: &AUTO, peer_address: None, peer_port: None, observed_unix_nano: 0, redactor: None }
}

/// Encodes what it sees, and remembers the bodies.
#[derive(Default)]
struct Seen {
    encoder: JsonEncoder,
    envelopes: usize,
    bodies: Vec<Vec<u8>>,
}

impl Visitor for Seen {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.envelopes += 1;
        self.encoder.envelope(envelope);
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        let Some(ValueRef::Text(body)) = record.body() else { panic!("a text body, not {:?}", record.body()) };
        self.bodies.push(body.to_vec());
        self.encoder.record(record);
        ControlFlow::Continue(())
    }
}

fn seen(payload: &[u8], marks: &[Mark], settings: &LineSettings<'_>) -> (LineCounts, Seen) {
    let mut seen = Seen::default();
    let counts = decode(payload, marks, settings, &mut Scratch::default(), &mut seen);
    assert_eq!(counts.records, seen.bodies.len() as u64);
    assert_eq!(counts.records, counts.ok + counts.ambiguous + counts.raw);
    assert_eq!(seen.envelopes, usize::from(counts.records > 0));
    (counts, seen)
}

fn records(payload: impl AsRef<[u8]>, settings: &LineSettings<'_>) -> Vec<Json> {
    let (_, mut seen) = seen(payload.as_ref(), &[], settings);
    let out = String::from_utf8(seen.encoder.finish()).unwrap();
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The attributes of the one record that the line gives.
fn attributes(line: impl AsRef<[u8]>, format: NamedFormat) -> Json {
    let records = records(line, &LineSettings { reader: &reader(format), ..settings() });
    assert_eq!(records.len(), 1);
    records[0].get("attributes").cloned().unwrap_or(json!({}))
}

fn failed(reason: &str) -> Json {
    json!({ "logboom.parse_error": reason })
}

#[test]
fn lines_are_bodies() {
    fn check(payload: &[u8], bodies: &[&[u8]], blank: u64) {
        let (counts, seen) = seen(payload, &[], &settings());
        assert_eq!(seen.bodies, bodies);
        assert_eq!(counts.blank, blank);
    }
    check(b"", &[], 0);
    check(b"\n\r\n\n", &[], 3);
    check(b"one", &[b"one"], 0);
    check(b"one\n", &[b"one"], 0);
    check(b"one\n\ntwo\r\n\r\nthree\r\r\n", &[b"one", b"two", b"three\r"], 2);
    check(b"one\r", &[b"one"], 0);
    check(b" \n\0\n\xff\n", &[b" ", b"\0", b"\xff"], 0);
    check(b"null\n{}\ntcp\n", &[b"null", b"{}", b"tcp"], 0);
}

#[test]
fn members_are_attributes() {
    let auto = |line: &str| attributes(line, NamedFormat::Auto);
    assert_eq!(auto("plain"), failed("unknown_format"));
    assert_eq!(auto("{}"), failed("no_values"));
    assert_eq!(auto(r#"{"a":1,"b":"x","c":null,"d":true,"e":-5}"#), json!({"a":1,"b":"x","c":null,"d":true,"e":-5}));
    assert_eq!(auto(" \t{ \"a\" : [ 1 , { \"b\" : [] } ] } \t"), json!({"a":[1,{"b":[]}]}));
    assert_eq!(
        auto(r#"{"esc\"aped":"\u003c\ud83e\udd80\n","plain":"日本"}"#),
        json!({"esc\"aped":"<🦀\n","plain":"日本"})
    );
    assert_eq!(auto(r#"{"":""}"#), json!({"":""}));
}

#[test]
fn numbers_keep_their_kind_and_value() {
    let body = |line: &str| {
        let (_, mut seen) = seen(line.as_bytes(), &[], &settings());
        let out = String::from_utf8(seen.encoder.finish()).unwrap();
        let at = out.find(r#""attributes":{"n":"#).unwrap_or_else(|| panic!("{out}"));
        out[at + 18..].trim_end().trim_end_matches('}').to_owned()
    };
    let check = |number: &str, expected: &str| assert_eq!(body(&format!("{{\"n\":{number}}}")), expected);
    check("0", "0");
    check("-0", "-0.0");
    check("1.0", "1.0");
    check("9223372036854775807", "9223372036854775807");
    check("-9223372036854775808", "-9223372036854775808");
    check("9223372036854775808", "9.223372036854776e18");
    check("12345678901234567890", "1.2345678901234567e19");
    check("123456789012345678901234567890", "1.2345678901234568e29");
    check("12345678901234567000", "1.2345678901234567e19");
    check("1e3", "1000.0");
    check("0.1", "0.1");
    check("3.141592653589793238", "3.141592653589793");
    check("1.7976931348623157e308", "1.7976931348623157e308");
    check("1e-999", "0.0");
}

#[test]
fn what_looks_like_json_and_is_not_keeps_the_reason() {
    let auto = |line: &[u8]| attributes(line, NamedFormat::Auto);
    for line in [
        "{",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{\"a\":1}{}",
        "{a:1}",
        "{\"a\":'x'}",
        "{\"a\":\"\t\"}",
        "{\"a\":1,}",
    ] {
        assert_eq!(auto(line.as_bytes()), failed("invalid_json"), "{line}");
    }
    assert_eq!(auto(br#"{"a":"\ud800"}"#), failed("invalid_json"));
    assert_eq!(auto(br#"{"\udc00":1}"#), failed("invalid_json"));
    assert_eq!(auto(br#"{"a":1e999}"#), failed("invalid_json"));
    assert_eq!(auto(b"{\"a\":\"\0\"}"), failed("invalid_json"));
    assert_eq!(auto(b"{\"a\":\"\xff\"}"), failed("invalid_utf8"));
    assert_eq!(auto(b"[1,2]"), failed("unknown_format"));
    assert_eq!(auto(b"null"), failed("no_values"));
    assert_eq!(auto(b"{}"), failed("no_values"));
    assert_eq!(auto(b"tcp"), failed("protocol_name"));
}

#[test]
fn format_json_tries_every_line_and_format_raw_none() {
    for line in ["17", "\"text\"", "[1,2]", " [] "] {
        assert_eq!(attributes(line, NamedFormat::Json), failed("not_an_object"), "{line}");
    }
    for line in ["tcp", "[2026-11-20T11:46:21.934Z] default", "nul", "[1,2"] {
        assert_eq!(attributes(line, NamedFormat::Json), failed("invalid_json"), "{line}");
    }
    assert_eq!(attributes("{\"a\":1}", NamedFormat::Json), json!({"a":1}));
    assert_eq!(attributes(b"\xff", NamedFormat::Json), failed("invalid_utf8"));
    assert_eq!(attributes("{\"a\":1}", NamedFormat::Raw), json!({}));
}

#[test]
fn depth_ends_at_the_limit() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let limit = crate::decode::DEPTH_MAX as usize;
    assert!(attributes(nested(limit), NamedFormat::Auto)["a"].is_array());
    assert_eq!(attributes(nested(limit + 1), NamedFormat::Auto), failed("too_deep"));
    assert_eq!(attributes(nested(200_000), NamedFormat::Auto), failed("too_deep"));
    assert_eq!(attributes("{\"a\":".repeat(200_000), NamedFormat::Auto), failed("too_deep"));
    assert_eq!(attributes("{".repeat(200_000), NamedFormat::Auto), failed("invalid_json"));
    assert_eq!(attributes("[".repeat(200_000), NamedFormat::Json), failed("invalid_json"));
    let wide = format!("{{\"a\":[{}1]}}", "[],".repeat(1000));
    assert_eq!(attributes(wide, NamedFormat::Auto)["a"].as_array().unwrap().len(), 1001);
}

/// Scenario: a line of a hundred thousand members, all with one key, or in pairs.
/// Guarantee: the last of each key is written, and the work grows like a sort, not like a square:
/// at 10^10 comparisons this test would not end in a sensible time.
#[test]
fn a_hundred_thousand_repeated_keys() {
    for distinct in [1, 50_000] {
        let members: Vec<_> = (0..100_000).map(|it| format!("\"k{}\":{it}", it % distinct)).collect();
        let (counts, mut seen) = seen(format!("{{{}}}", members.join(",")).as_bytes(), &[], &settings());
        assert_eq!(counts.ok, 1);
        let record: Json = serde_json::from_slice(&seen.encoder.finish()).unwrap();
        let attributes = record["attributes"].as_object().unwrap();
        assert_eq!(attributes.len(), distinct);
        assert_eq!(attributes["k0"], json!(100_000 - distinct));
        assert_eq!(seen.encoder.repeated_keys() as usize, 100_000 - distinct);
    }
}

#[test]
fn the_collector_adds_what_it_knows() {
    let settings = LineSettings {
        peer_address: Some("fd00::1"),
        peer_port: Some(40_000),
        observed_unix_nano: 1_000_000,
        ..settings()
    };
    let payload = b"one\n{\"network.peer.address\":\"forged\",\"a\":\"\\n\"}\n{\"cut\":\n";
    let marks = [
        Mark { start: 0, truncated: true, partial: false },
        Mark { start: 1, truncated: true, partial: true },
        Mark { start: payload.len() as u32 - 8, truncated: true, partial: true },
    ];
    let (counts, mut seen) = seen(payload, &marks, &settings);
    let out = String::from_utf8(seen.encoder.finish()).unwrap();
    let expected = concat!(
        r#"{"observed_timestamp":"1970-01-01T00:00:00.001Z","body":"one","attributes":{"network.peer.address":"fd00::1","#,
        r#""network.peer.port":40000,"logboom.truncated":true,"logboom.parse_error":"unknown_format"}}"#,
        "\n",
        r#"{"observed_timestamp":"1970-01-01T00:00:00.001Z","body":"{\"network.peer.address\":\"forged\",\"a\":\"\\n\"}","#,
        r#""attributes":{"a":"\n","network.peer.address":"fd00::1","network.peer.port":40000}}"#,
        "\n",
        r#"{"observed_timestamp":"1970-01-01T00:00:00.001Z","body":"{\"cut\":","attributes":{"network.peer.address":"fd00::1","#,
        r#""network.peer.port":40000,"logboom.truncated":true,"logboom.partial":true,"logboom.parse_error":"invalid_json"}}"#,
        "\n",
    );
    assert_eq!(out, expected);
    let expected =
        LineCounts { records: 3, ok: 1, raw: 2, parse_errors: 2, truncated: 2, partial: 1, ..LineCounts::default() };
    assert_eq!(counts, expected);
}

#[test]
fn scratch_is_reused_across_payloads_and_peers() {
    let (mut scratch, mut seen) = (Scratch::default(), Seen::default());
    for peer in ["10.0.0.1", "10.0.0.2"] {
        let settings = LineSettings { peer_address: Some(peer), ..settings() };
        decode(b"{\"a\":\"\\t\"}\nplain\n", &[], &settings, &mut scratch, &mut seen);
    }
    let out = String::from_utf8(seen.encoder.finish()).unwrap();
    let peers: Vec<Json> = out
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap()["attributes"]["network.peer.address"].clone())
        .collect();
    assert_eq!(peers, ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"]);
}

/// Scenario: every line captured from a real proxy.
/// Guarantee: one JSON line for each that is not blank, its body the line. (What is read in them is
/// for `tests/access_logs.rs`.)
#[test]
fn captured_lines() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lines");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let payload = std::fs::read(&path).unwrap();
        let lines: Vec<_> = payload.split_inclusive(|byte| *byte == b'\n').map(|line| line.trim_ascii_end()).collect();
        let (counts, mut seen) = seen(&payload, &[], &settings());
        let blank = lines.iter().filter(|line| line.is_empty()).count();
        assert_eq!((counts.records as usize, counts.blank as usize), (lines.len() - blank, blank), "{path:?}");

        let out = String::from_utf8(seen.encoder.finish()).unwrap();
        assert_eq!(out.lines().count() as u64, counts.records, "{path:?}");
        for (record, line) in out.lines().zip(lines.iter().filter(|line| !line.is_empty())) {
            let record: Json = serde_json::from_str(record).unwrap();
            assert_eq!(record["body"], json!(String::from_utf8_lossy(line)), "{path:?}");
        }
        files += 1;
    }
    assert_eq!(files, 28);
}

fn line_pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            "\"",
            ":",
            ",",
            "\\u",
            "\\ud800",
            "1e999",
            "null",
            "\n",
            "\r\n",
            " ",
            "\"a\":",
            "{\"a\":1}"
        ])
        .prop_map(|it| it.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn any_payload_gives_valid_lines(
        payload in line_pieces(),
        starts in proptest::collection::vec(any::<(u8, bool, bool)>(), 0..4),
        format in proptest::sample::select(vec![NamedFormat::Auto, NamedFormat::Json, NamedFormat::Raw]),
    ) {
        let marks: Vec<_> = starts.into_iter().map(|(start, truncated, partial)| Mark { start: start.into(), truncated, partial }).collect();
        let (counts, mut seen) = seen(&payload, &marks, &LineSettings { reader: &reader(format), peer_address: Some("::1"), ..settings() });
        let joined: Vec<_> = payload.split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(&seen.bodies, &joined);
        let out = String::from_utf8(seen.encoder.finish()).unwrap();
        prop_assert_eq!(out.lines().count() as u64, counts.records);
        for line in out.lines() {
            prop_assert!(serde_json::from_str::<Json>(line).is_ok());
        }
    }

    #[test]
    fn any_object_keeps_its_members(text in "[ -~]{0,12}", number in any::<i64>(), double in any::<f64>(), flag in any::<bool>()) {
        prop_assume!(double.is_finite());
        let object = json!({"text": text, "number": number, "double": double, "list": [flag, null_or(flag), {"k": text}]});
        prop_assert_eq!(attributes(object.to_string(), NamedFormat::Json), object);
    }
}

fn null_or(flag: bool) -> Json {
    if flag { Json::Null } else { json!("other") }
}
