//! Where it matters what fits a slot: numbers, trace ids, times; lines of other meshes; hostile ones.

use super::class::STEPS;
use super::*;
use crate::record::Value;

/// What a line says, slot by slot; `?` for a slot that can be in several places.
fn read(format: &Format, line: &[u8]) -> Option<(Vec<String>, Fields)> {
    let (mut places, mut fields) = (Places::default(), Fields::default());
    let keys = format.keep(&mut Tree::default());
    let reading = format.read(line, 0, line.len(), &keys, &mut places, &mut fields);
    if matches!(reading, Reading::No { .. }) {
        return None;
    }
    assert_eq!(reading == Reading::Ambiguous, places.slots().any(|it| it.is_none()));
    let text = |place: Option<Range<usize>>| match place {
        Some(place) => String::from_utf8_lossy(&line[place]).into_owned(),
        None => "?".to_owned(),
    };
    Some((places.slots().map(text).collect(), fields))
}

fn slots(format: &str, line: &str) -> Option<Vec<String>> {
    read(&Format::compile_with_trace_id(format).unwrap(), line.as_bytes()).map(|it| it.0)
}

fn check(format: &str, line: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(slots(format, line), Some(expected), "{format} {line}");
}

fn refuse(format: &str, line: &str) {
    assert_eq!(slots(format, line), None, "{format} {line}");
}

#[test]
fn a_number_is_one_that_fits() {
    for number in ["9223372036854775807", "-9223372036854775808", "0", "-40", "-", ""] {
        check("%DURATION%ms", &format!("{number}ms"), &[number]);
        check("%DURATION%", number, &[number]);
    }
    for text in ["9223372036854775808", "00000000000000000000000", "--", "1-2", "-1-", "1-"] {
        refuse("%DURATION%ms", &format!("{text}ms"));
        refuse("took %DURATION%", &format!("took {text}"));
    }
    check("%REQ(A)% %DURATION% %REQ(B)%", "a 1-2 3 b", &["a 1-2", "3", "b"]);
    check("%REQ(A)% %DURATION% %REQ(B)%", "a 9223372036854775808 3 b", &["a 9223372036854775808", "3", "b"]);
}

#[test]
fn a_trace_id_decides_wherever_it_stands() {
    let middle = "\"%REQ(USER-AGENT)%\" \"%REQ(X-B3-TRACEID)%\" \"%REQ(X-REQUEST-ID)%\"";
    check(middle, "\"a\" \"abc\" \"-\" \"id\"", &["a\" \"abc", "-", "id"]);
    check(middle, "\"a\" \"17\" \"834c687a3acb6266\" \"id\"", &["?", "?", "?"]);
    let left = "\"%REQ(X-B3-TRACEID)%\" \"%REQ(USER-AGENT)%\"";
    check(left, "\"834c687a3acb6266\" \"a\"", &["834c687a3acb6266", "a"]);
    refuse(left, "\"834c687a3acb626\" \"a\"");
    let right = "\"%REQ(USER-AGENT)%\" \"%REQ(X-B3-TRACEID)%\" %DURATION%";
    check(right, "\"a\" \"834c687a3acb6266\" 7", &["a", "834c687a3acb6266", "7"]);
    refuse(right, "\"a\" \"abc\" 7");
}

#[test]
fn a_time_may_be_absent_wherever_it_stands() {
    let time = "2026-11-20T11:48:37.063Z";
    check("%START_TIME%2%REQ(X)%", &format!("{time}2x"), &["?", "?"]);
    check("%START_TIME% %REQ(X)%", &format!("{time} x"), &[time, "x"]);
    check("%REQ(X)% %START_TIME%", &format!("x y {time}"), &["x y", time]);
    check("%START_TIME(%s)%%RESPONSE_FLAGS%", "1795175317UF", &["?", "?"]);
    check("%REQ(X)%%START_TIME(%s.%3f)%|", "x1795175317.063|", &["?", "?"]);
    refuse("%START_TIME(%F %T)%|", "2026-13-20 11:48:37|");
}

#[test]
fn times_of_half_days_and_padded_days() {
    let check = |form: &str, text: &str| {
        let format = Format::compile(&format!("%START_TIME({form})%|")).unwrap();
        let (_, fields) = read(&format, format!("{text}|").as_bytes()).unwrap();
        assert_eq!(fields.get(Field::StartTime), Some(Value::Int(1_793_706_480_000_000_000)), "{text}");
        let mut out = Vec::new();
        Format::render_time(&format.slots()[0], 1_793_706_480_000_000_000, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    };
    check("%Y %b %e %H:%M", "2026 Nov  3 11:48");
    check("%Y-%m-%d %I:%M %p", "2026-11-03 11:48 AM");
    check("%s", "1793706480");
    check("%F %T %Z", "2026-11-03 11:48:00 UTC");
}

#[test]
fn empty_parentheses_are_none() {
    assert!(Format::compile("%PROTOCOL()% %START_TIME()%").is_ok());
    assert!(Format::compile("%COMMON_DURATION()%").is_err());
}

#[test]
fn lines_of_istio_and_envoy() {
    let istio = r#"[2020-11-25T21:26:18.409Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 3 1 "-" "curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "127.0.0.1:80" inbound|8000|| 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 outbound_.8000_._.httpbin.foo.svc.cluster.local default"#;
    let (slots, fields) = read(&presets::istio().unwrap(), istio.as_bytes()).unwrap();
    assert!(!slots.contains(&"?".to_owned()), "{slots:?}");
    assert_eq!(slots.last().unwrap(), "default");
    assert_eq!(fields.get(Field::StatusCode), Some(Value::Int(418)));
    let envoy = r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#;
    let (slots, fields) = read(&presets::envoy().unwrap(), envoy.as_bytes()).unwrap();
    assert!(!slots.contains(&"?".to_owned()), "{slots:?}");
    assert_eq!(fields.get(Field::StartTime), Some(Value::Int(1_460_751_420_310_000_000)));
}

/// The format of the fixture: two times, separators that clients can write.
const CUSTOM: &str = "%START_TIME(%s.%6f)%|%START_TIME(%Y/%m/%dT%H:%M:%S%z)%|%REQ(:METHOD)%|%PATH(NQ)%|%QUERY_PARAM(q)%|%QUERY_PARAMS(DECODED)%|%REQ(X-MISSING?USER-AGENT):20%|%RESPONSE_FLAGS_LONG%|%RESPONSE_CODE_DETAILS%|%CONNECTION_TERMINATION_DETAILS%|%UPSTREAM_TRANSPORT_FAILURE_REASON%|%LOCAL_REPLY_BODY%|%GRPC_STATUS%|%KUMA_TRAFFIC_DIRECTION%|%KUMA_SOURCE_ADDRESS%";

#[test]
fn lines_of_a_format_of_ones_own() {
    let format = Format::compile(CUSTOM).unwrap();
    let path = format!("{}/tests/fixtures/lines/tcp-http-plain-custom.log", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(path).unwrap();
    let (mut lines, mut unique) = (0, 0);
    for line in text.split(|byte| *byte == b'\n') {
        // A client's line feed cuts a line in two, of which neither is one.
        if !line.starts_with(b"1795") || !line.ends_with(b"|OUTBOUND|10.42.0.7:0") {
            assert!(read(&format, line).is_none(), "{}", String::from_utf8_lossy(line));
            continue;
        }
        let (slots, fields) = read(&format, line).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(line)));
        let written: String = slots[0].chars().filter(|it| *it != '.').collect();
        let micros = written.parse::<i64>().unwrap();
        assert_eq!(fields.get(Field::StartTime), Some(Value::Int(micros * 1000)), "the finer of two times");
        assert_eq!(slots[14], "10.42.0.7:0");
        lines += 1;
        unique += usize::from(!slots.contains(&"?".to_owned()));
    }
    assert!(lines > 500 && unique * 10 > lines * 9, "{unique} of {lines}");
}

#[test]
fn slots_without_a_literal_between() {
    check("%REQ(X)%%REQ(X)%%REQ(X)%a%PROTOCOL%", "a", &["", "", "", ""]);
    check("%REQ(X)%%REQ(X)%%REQ(X)%a%PROTOCOL%", "ba", &["?", "?", "?", ""]);
    check("%REQ(X)%%REQ(X)%%REQ(X)%", "", &["", "", ""]);
}

/// Guarantee: time is linear in the length of the line, whatever is in it.
#[test]
fn eight_times_the_line_costs_eight_times_the_steps() {
    let formats = [
        presets::KUMA_HTTP,
        presets::ISTIO,
        CUSTOM,
        "%REQ(A)%%REQ(B)%%REQ(C)%",
        "%REQ(A)% %DURATION% %REQ(B)% %PROTOCOL% %REQ(C)%",
        "%REQ(A)%%START_TIME(%s)%%DURATION%%REQ(B):9%%KUMA_MESH%",
        "%REQ(A)%\" \"%REQ(X-B3-TRACEID)%\" \"%REQ(B)%",
        "%REQ(A):999%%REQ(B):1999%|%REQ(C):9999%|%REQ(D)%",
        "%REQ(A)%aaaaaaaa%REQ(B)%aaaaaaaa%REQ(C)%aaaaaaa",
    ];
    for format in formats {
        let compiled = Format::compile_with_trace_id(format).unwrap();
        for hostile in ["\" \"", " ", "1", "-", "a", "|", "1 ", "\"", "1795175317 ", "a\" \"-", "é", "é|"] {
            let steps = |repeat: usize| {
                // As far into the line as the format gets.
                let head = "[2026-11-20T11:48:37.063Z] default \"GET / HTTP/1.1\" 200 - 0 9 1 0 \"";
                let tail = "\" \"-\" \"-\" \"-\" \"a\" \"web\" \"backend\" \"10.42.0.7\" \"-\"";
                let middle = hostile.repeat(repeat / hostile.len());
                STEPS.set(0);
                for line in [middle.clone(), format!("{head}{middle}{tail}"), format!("{middle}|-")] {
                    let _any = read(&compiled, line.as_bytes());
                }
                STEPS.get()
            };
            let (short, long) = (steps(4 << 10), steps(32 << 10));
            assert!(long <= 9 * short + 10_000, "{format} {hostile}: {short}, {long}");
        }
    }
}

/// Envoy cuts bytes, and makes two of each byte of a text in which it cut a character.
#[test]
fn a_length_counts_bytes_before_they_are_made_characters() {
    check("%REQ(X):3%", "\u{e6}\u{97}\u{a5}", &["\u{e6}\u{97}\u{a5}"]);
    check("%REQ(X):3%|%REQ(Y)%", "\u{e6}\u{97}\u{a5}|y", &["\u{e6}\u{97}\u{a5}", "y"]);
    check("%REQ(X):3%|%REQ(Y)%", "\u{e6}\u{97}|y|z", &["\u{e6}\u{97}", "y|z"]);
    check("%REQ(X):3%|%REQ(Y)%", "\u{e6}|y|z", &["?", "?"]);
    refuse("%REQ(X):3%", "\u{e6}\u{97}\u{a5}\u{e6}");
    refuse("%REQ(X):3%", "abcd");
}
