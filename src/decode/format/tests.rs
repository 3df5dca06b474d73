use proptest::prelude::*;

use super::*;
use crate::record::Value;
use crate::semantics::Kind;

/// What a line says, slot by slot; `?` for a slot that can be in several places.
fn slots(format: &Format, line: &str) -> Result<Vec<String>, usize> {
    let (mut places, mut fields) = (Places::default(), Fields::default());
    let keys = format.keep(&mut Tree::default());
    match format.read(line.as_bytes(), 0, line.len(), &keys, &mut places, &mut fields) {
        Reading::No { fitted } => Err(fitted),
        reading => {
            let text = |place: Option<Range<usize>>| match place {
                Some(place) => line[place].to_owned(),
                None => "?".to_owned(),
            };
            let slots: Vec<String> = places.slots().map(text).collect();
            assert_eq!(reading == Reading::Ambiguous, places.slots().any(|it| it.is_none()));
            Ok(slots)
        }
    }
}

fn check(format: &str, line: &str, expected: &[&str]) {
    let format = Format::compile(format).unwrap();
    assert_eq!(
        slots(&format, line).as_deref(),
        Ok(&expected.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..]),
        "{line}"
    );
}

fn refuse(format: &str, line: &str, fitted: usize) {
    assert_eq!(slots(&Format::compile(format).unwrap(), line), Err(fitted), "{line}");
}

fn fixture(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/tests/fixtures/lines/{name}.log", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(path).unwrap();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

#[test]
fn every_default_line_is_read_in_one_way() {
    let check = |format: Format, files: &[&str]| {
        let keys = format.keep(&mut Tree::default());
        let (mut places, mut fields) = (Places::default(), Fields::default());
        for line in files.iter().flat_map(|name| fixture(name)) {
            let reading = format.read(&line, 0, line.len(), &keys, &mut places, &mut fields);
            assert_eq!(reading, Reading::Unique, "{}", String::from_utf8_lossy(&line));
        }
    };
    let http = ["tcp-http-plain", "tcp-http-plain-omitempty", "tcp-http-plain-doublenewline", "trafficlog-http-plain"];
    check(presets::kuma_http().unwrap(), &http);
    check(presets::kuma_http().unwrap(), &["file-http-plain", "tcp-l4-httpformat"]);
    check(presets::kuma_http_documented().unwrap(), &["tcp-http-plain-docsformat"]);
    let tcp = ["tcp-l4-plain", "tcp-l4-plain-omitempty", "trafficlog-l4-plain", "file-tcp-plain"];
    check(presets::kuma_tcp().unwrap(), &tcp);
}

#[test]
fn no_default_line_fits_another_default() {
    let formats = [
        presets::kuma_http(),
        presets::kuma_http_documented(),
        presets::kuma_tcp(),
        presets::envoy(),
        presets::istio(),
    ];
    let files = ["tcp-http-plain", "tcp-http-plain-docsformat", "tcp-l4-plain"];
    for (own, name) in files.iter().enumerate() {
        for (index, format) in formats.iter().enumerate().filter(|(index, _)| *index != own) {
            for line in fixture(name) {
                let line = String::from_utf8_lossy(&line).into_owned();
                // A real line has too many quotes for the documented format, which then reads it in
                // several ways: this is why the other one is tried first.
                let read = slots(format.as_ref().unwrap(), &line);
                let documented = own == 0 && index == 1;
                assert!(read.is_err() || documented, "{name} {index} {line}");
            }
        }
    }
}

#[test]
fn typed_slots() {
    check("%RESPONSE_CODE%", "200", &["200"]);
    check("%RESPONSE_CODE%", "-", &["-"]);
    check("%RESPONSE_CODE%", "", &[""]);
    refuse("%RESPONSE_CODE%", "20x", 0);
    check("%DURATION%ms", "-40ms", &["-40"]);
    check("a %PROTOCOL% b", "a HTTP/1.1 b", &["HTTP/1.1"]);
    refuse("a %PROTOCOL% b", "a x y b", 0);
    check("%REQ(X)%", "any \" thing", &["any \" thing"]);
    check("%%%RESPONSE_CODE%%%", "%7%", &["7"]);
    check("no operator", "no operator", &[]);
    refuse("no operator", "no operators", 0);
    check("%REQ(X):3% %REQ(Y)%", "abc d", &["abc", "d"]);
    refuse("%REQ(X):3%", "abcd", 0);
    check("%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)", "fd00::1(web)", &["fd00::1", "web"]);
}

/// Envoy counts bytes, and then writes each byte of what is not UTF-8 as a character.
#[test]
fn a_length_counts_bytes_or_the_characters_they_became() {
    for text in ["abc", "日", "éÿ\u{97}", "éab", "æ\u{97}¥"] {
        check("%REQ(X):3%", text, &[text]);
        check("%REQ(X):3%|%REQ(Y)%", &format!("{text}||"), &[text, "|"]);
        check("%PATH(NQ):3% %REQ(Y)%", &format!("{text} y"), &[text, "y"]);
    }
    for text in ["abcd", "éééé", "日a", "éāa", "ééab", "日日"] {
        refuse("%REQ(X):3%", text, 0);
        refuse("%REQ(X):3%|%REQ(Y)%", &format!("{text}||"), 0);
        refuse("%PATH(NQ):3% %REQ(Y)%", &format!("{text} y"), 0);
    }
    // The length decides where the first slot ends.
    check("%REQ(X):2%|%REQ(Y)%|%REQ(Z)%", "é|é|ÿ", &["é", "é", "ÿ"]);
    check("%REQ(X):2%|%REQ(Y)%|%REQ(Z)%", "éé|é||ÿ", &["éé", "?", "?"]);
    check("%REQ(X):2%|%REQ(Y)%|%REQ(Z):1%", "é||é|ÿ", &["?", "?", "ÿ"]);
}

#[test]
fn what_clients_choose_is_not_guessed() {
    check("\"%REQ(A)%\" \"%REQ(B)%\"", "\"a\" \"b\"", &["a", "b"]);
    check("\"%REQ(A)%\" \"%REQ(B)%\"", "\"a\" \"b\" \"c\"", &["?", "?"]);
    check("%RESPONSE_CODE% \"%REQ(A)%\" \"%REQ(B)%\" %DURATION%", "200 \"a\" \"b\" \"c\" 7", &["200", "?", "?", "7"]);
    // Overlapping quotes.
    check("\"%REQ(A)%\" \"%REQ(B)%\"", "\"\" \" \"b\"", &["?", "?"]);
    check("\"%REQ(A)%\" \"%REQ(B)%\"", "\"x\"\" \"b\"", &["x\"", "b"]);
    // A number decides.
    check("%REQ(A)% %RESPONSE_CODE% %REQ(B)%", "a b 200 c", &["a b", "200", "c"]);
    check("%REQ(A)% %RESPONSE_CODE% %REQ(B)%", "a 1 2 c", &["?", "?", "?"]);
    // Adjacent slots.
    check("%PROTOCOL%%REQ(A)%", "x", &["?", "?"]);
    check("%RESPONSE_CODE%%KUMA_MESH%", "200", &["?", "?"]);
    check("%REQ(A)%%DURATION%", "", &["", ""]);
}

#[test]
fn a_trace_id_looks_like_one() {
    let line = |trace: &str| format!("\"ua\" \"{trace}\" \"id\"");
    let format = Format::compile_with_trace_id(
        "\"%REQ(USER-AGENT)%\" \"%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%\" \"%REQ(X-REQUEST-ID)%\"",
    )
    .unwrap();
    for trace in ["-", "", "834c687a3acb6266", "acc6d8f2c74c7ccf32d03fdda123f501", "1234567890123456789"] {
        assert_eq!(slots(&format, &line(trace)).unwrap()[1], trace);
    }
    for trace in ["x", "834c687a3acb626", "-1", "acc6d8f2c74c7ccf32d03fdda123f5010"] {
        assert_eq!(slots(&format, &line(trace)), Err(1), "{trace}");
    }
    // The trace id decides where the user agent ends, or that it cannot be known.
    assert_eq!(slots(&format, "\"a\" \"x\" \"-\" \"id\"").unwrap(), ["a\" \"x", "-", "id"]);
    assert_eq!(slots(&format, "\"a\" \"-\" \"-\" \"id\"").unwrap(), ["?", "?", "?"]);
}

#[test]
fn times() {
    let check = |form: &str, text: &str, nanos: Option<u64>| {
        let format = Format::compile(&format!("%START_TIME{form}%|")).unwrap();
        let (mut places, mut fields) = (Places::default(), Fields::default());
        let line = format!("{text}|");
        let keys = format.keep(&mut Tree::default());
        let reading = format.read(line.as_bytes(), 0, line.len(), &keys, &mut places, &mut fields);
        assert_eq!(reading, Reading::Unique, "{form} {text}");
        let got = match fields.get(Field::StartTime) {
            Some(Value::Int(nanos)) => Some(nanos as u64),
            _ => None,
        };
        assert_eq!(got, nanos, "{form} {text}");
        if let Some(nanos) = nanos.filter(|_| !text.contains("+02")) {
            let mut out = Vec::new();
            Format::render_time(&format.slots()[0], nanos, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    };
    let millis = Some(1_795_175_317_063_000_000);
    check("", "2026-11-20T11:48:37.063Z", millis);
    check("(%s.%3f)", "1795175317.063", millis);
    check("(%s.%6f)", "1795175317.063000", millis);
    check("(%f %s)", "063000000 1795175317", millis);
    check("(%Y/%m/%dT%H:%M:%S%z)", "2026/11/20T11:48:37+0000", Some(1_795_175_317_000_000_000));
    check("(%Y/%m/%dT%H:%M:%S%z)", "2026/11/20T13:48:37+0200", Some(1_795_175_317_000_000_000));
    check("(%a %d %b %Y %T.%3f)", "Fri 20 Nov 2026 11:48:37.063", millis);
    check("(%F %R)", "2026-11-20 11:48", Some(1_795_175_280_000_000_000));
    check("(%y-%j)", "26-324", Some(1_795_132_800_000_000_000));
    check("(%H:%M)", "11:48", None);
    check("(%c)", "Fri Nov 20 11:48:37 2026", None);
    check("", "-", None);
    check("(%s)", "", None);
    refuse("%START_TIME%|", "2026-13-20T11:48:37.063Z|", 0);
    refuse("%START_TIME(%Y)%|", "x|", 0);
}

#[test]
fn what_envoy_refuses_is_refused() {
    let check = |format: &str, at: Range<usize>, message: &str| {
        let error = Format::compile(format).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message), "{format}");
        assert!(!error.help.is_empty());
    };
    check("100%", 3..4, "a percent sign that begins no operator");
    check("a %req(x)%", 2..3, "a percent sign that begins no operator");
    check("%REQ(X", 0..6, "the parenthesis of %REQ(…)% is not closed");
    check("%REQ(X) x", 0..7, "the operator %REQ does not end in a percent sign");
    check("%REQ(X):%", 0..8, "%REQ…:% has no length behind the colon");
    check("x%REQ%", 1..6, "%REQ% needs something in parentheses");
    check("%REQ()%", 0..7, "%REQ()% needs something in the parentheses");
    check("%REQ(A?B?C)%", 0..12, "%REQ(A?B?C)% has more than one alternative");
    check("%DURATION(x)%", 0..13, "%DURATION% takes nothing in parentheses");
    check("%DURATION:3%", 0..12, "%DURATION% takes no length");
}

#[test]
fn what_should_be_known_is_a_warning() {
    let format = Format::compile("%RESPONSE_CDOE%\n%DURATION%\n").unwrap();
    let warnings: Vec<_> = format.warnings().iter().map(|it| it.at.clone()).collect();
    assert_eq!(warnings, [0..15, 15..16]);
    assert_eq!(target("RESPONSE_CODE", None), Some(Target::Field(Field::StatusCode)));
    assert_eq!(target("RESPONSE_CDOE", None), None);
}

#[test]
fn two_headers_do_not_have_the_name_of_one() {
    let check = |operator: &str, params: &str, name: &str, kind: Kind| {
        let expected = Target::Attribute { name: name.to_owned(), kind };
        assert_eq!(target(operator, Some(params)), Some(expected), "{operator}({params})");
    };
    check("REQ", "X-Team", "http.request.header.x-team", Kind::Header);
    check("REQ", "X-MISSING?USER-AGENT", "envoy.req.x-missing?user-agent", Kind::Text);
    check("REQUEST_HEADER", "X-HOST?:AUTHORITY", "envoy.req.x-host?authority", Kind::Text);
    check("RESP", "SERVER", "http.response.header.server", Kind::Header);
    check("RESP", "X-A?GRPC-STATUS", "envoy.resp.x-a?grpc-status", Kind::Text);
    check("TRAILER", "X-A", "envoy.response_trailer.x-a", Kind::Text);
    check("TRAILER", "X-A?X-B", "envoy.response_trailer.x-a?x-b", Kind::Text);
    let field = |params| target("REQ", Some(params));
    assert_eq!(field("X-ENVOY-ORIGINAL-PATH?:PATH"), Some(Target::Field(Field::Path)));
    assert_eq!(field("X-B3-TRACEID?X-DATADOG-TRACEID"), Some(Target::Field(Field::TraceHeader)));
}

/// Every operator of the file, alone in a key, is known.
#[test]
fn every_operator_of_envoy_is_known() {
    let line = &fixture("file-http-wide")[0];
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
    let operators = members.keys().filter(|key| key.bytes().all(|it| matches!(it, b'A'..=b'Z' | b'0'..=b'9' | b'_')));
    // Names of the file's own, for operators with parameters.
    let own = [
        "GRPC_STATUS_NUM",
        "GRPC_STATUS_SNAKE",
        "REQ_UA_10",
        "REQ_ALT",
        "RCD_WS",
        "RESP_CT",
        "RESP_LONG_NAME",
        "TRAILER_GRPC",
        "DYN_ALL",
        "DYN_STR",
        "DYN_NUM",
        "DYN_BOOL",
        "DYN_LIST",
        "DYN_NL",
        "META_ROUTE",
        "UPSTREAM_META",
        "CLUSTER_META",
        "SNI_FIRST",
        "MASKED",
        "ENV",
        "ENV_MISSING",
        "QP",
        "QPD",
        "PATH_NQ",
        "TYPED_CEL_NUM",
        "TYPED_CEL_BOOL",
        "LITERAL",
        "MIXED_NUM",
        "PERCENT",
    ];
    let mut known = 0;
    for name in operators.filter(|it| !own.contains(&it.as_str())) {
        assert!(operators::operator(name, None).is_some(), "{name}");
        known += 1;
    }
    assert!(known > 120, "{known}");
}

const OPERATORS: &[&str] = &[
    "%RESPONSE_CODE%",
    "%DURATION%",
    "%RESPONSE_FLAGS%",
    "%REQ(:METHOD)%",
    "%REQ(:PATH)%",
    "%PROTOCOL%",
    "%KUMA_MESH%",
    "%KUMA_SOURCE_SERVICE%",
    "%UPSTREAM_HOST%",
    "%REQ(USER-AGENT)%",
    "%REQ(X-FORWARDED-FOR)%",
    "%REQ(X-CUSTOM):12%",
    "%RESPONSE_CODE_DETAILS%",
    "%START_TIME%",
    "%START_TIME(%s.%3f)%",
    "%BYTES_SENT%",
    "%DYNAMIC_METADATA(a:b)%",
];

fn format_text() -> impl Strategy<Value = String> {
    let literal =
        proptest::sample::select(vec![" ", "\" \"", "|", "[", "] ", "ms, ", " took ", "(", ")->", "\t", "a", "%%", ""]);
    let part = (literal, proptest::sample::select(OPERATORS.to_vec()))
        .prop_map(|(literal, operator)| format!("{literal}{operator}"));
    (proptest::collection::vec(part, 1..12), proptest::sample::select(vec!["", "\"", " end", "ms"]))
        .prop_map(|(parts, end)| format!("{}{end}", parts.concat()))
}

/// A value that the slot can have; `wild` are texts that clients choose.
fn value(slot: &Slot, seed: u64, wild: &str) -> String {
    let number = seed % 100_000;
    match &slot.operator[..] {
        _ if seed.is_multiple_of(7) => "-".to_owned(),
        "RESPONSE_CODE" | "DURATION" | "BYTES_SENT" => number.to_string(),
        "RESPONSE_FLAGS" => ["UF,URX", "DC", "-"][number as usize % 3].to_owned(),
        "REQ" if slot.params.as_deref() == Some(":METHOD") => "GET".to_owned(),
        "REQ" if slot.params.as_deref() == Some(":PATH") => format!("/p/{number}?q={number}"),
        "PROTOCOL" => "HTTP/1.1".to_owned(),
        "KUMA_MESH" | "KUMA_SOURCE_SERVICE" => format!("name-{number}_x.y"),
        "UPSTREAM_HOST" => format!("[fd00::{number}]:8080"),
        "START_TIME" => {
            let mut out = Vec::new();
            Format::render_time(slot, 1_795_175_317_063_000_000 + number * 1_000_000, &mut out);
            String::from_utf8(out).unwrap()
        }
        "RESPONSE_CODE_DETAILS" => wild.replace(' ', "_"),
        _ => wild.chars().take(slot.max.unwrap_or(usize::MAX)).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// What was rendered is what is read, or it is said that it cannot be known.
    #[test]
    fn rendered_lines_are_read(
        text in format_text(),
        seeds in proptest::collection::vec(any::<u64>(), 12),
        wild in proptest::collection::vec("[ -~]{0,12}|(\" \"){1,3}|[0-9 |]{0,6}", 12),
    ) {
        let format = Format::compile(&text).unwrap();
        let mut written = Vec::new();
        let mut line = Vec::new();
        let mut index = 0;
        format.render(|slot, out| {
            let value = value(slot, seeds[index], &wild[index]);
            out.extend_from_slice(value.as_bytes());
            written.push(value);
            index += 1;
        }, &mut line);
        let line = String::from_utf8(line).unwrap();
        let read = slots(&format, &line);
        prop_assert!(read.is_ok(), "{} does not read {}: {:?}", text, line, read);
        for (read, written) in read.unwrap().iter().zip(&written) {
            prop_assert!(read == written || read == "?", "{text}\n{line}\n{read} for {written}");
        }
    }

    /// Exactly what all ways of reading have in common, by trying all of them.
    #[test]
    fn what_is_certain_is_what_all_ways_have_in_common(
        parts in proptest::collection::vec((proptest::sample::select(vec!["", " ", "a", "aa", "1", "- "]), proptest::sample::select(vec!["%REQ(X)%", "%DURATION%", "%PROTOCOL%", "%REQ(Y):2%", "%KUMA_MESH%"])), 1..5),
        end in proptest::sample::select(vec!["", " ", "a"]),
        line in "[a1é \\-]{0,9}",
    ) {
        let text = format!("{}{end}", parts.iter().map(|(literal, operator)| format!("{literal}{operator}")).collect::<String>());
        let format = Format::compile(&text).unwrap();
        let mut ways = Vec::new();
        brute_force(&format, &line, 0, &mut Vec::new(), &mut ways);
        let read = slots(&format, &line);
        if ways.is_empty() {
            prop_assert!(read.is_err(), "{text} {line} {read:?}");
        } else {
            let common: Vec<String> = (0..format.slots().len()).map(|slot| {
                let first = &ways[0][slot];
                if ways.iter().all(|way| way[slot] == *first) { line[first.clone()].to_owned() } else { "?".to_owned() }
            }).collect();
            prop_assert_eq!(read, Ok(common), "{} {}", text, line);
        }
    }

    #[test]
    fn any_text_compiles_or_not(text in "\\PC{0,40}|[%A-Z():0-9?]{0,30}") {
        let _compiled_or_refused = Format::compile(&text);
    }

    #[test]
    fn any_line_is_read_or_not(text in format_text(), line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let format = Format::compile(&text).unwrap();
        let keys = format.keep(&mut Tree::default());
        let mut places = Places::default();
        let _read_or_not = format.read(&line, 0, line.len(), &keys, &mut places, &mut Fields::default());
    }
}

/// Tries every beginning and end of every slot.
fn brute_force(
    format: &Format,
    line: &str,
    slot: usize,
    way: &mut Vec<Range<usize>>,
    ways: &mut Vec<Vec<Range<usize>>>,
) {
    if slot == 0 && way.is_empty() && !line.starts_with(&format.lead) {
        return;
    }
    let start = match way.last() {
        None => format.lead.len(),
        Some(before) => before.end + format.literals[slot - 1].len(),
    };
    if slot == format.slots.len() {
        if start == line.len() {
            ways.push(way.clone());
        }
        return;
    }
    for end in (start..=line.len()).filter(|end| line.is_char_boundary(*end)) {
        let text = &line[start..end];
        let allowed = match &format.slots[slot].operator[..] {
            "DURATION" => matches!(text, "" | "-") || text.parse::<i64>().is_ok(),
            "PROTOCOL" | "KUMA_MESH" => !text.contains(' '),
            // All characters are below U+0100.
            _ => format.slots[slot].max.is_none_or(|max| text.chars().count() <= max),
        };
        if allowed && line[end..].starts_with(&format.literals[slot]) {
            way.push(start..end);
            brute_force(format, line, slot + 1, way, ways);
            way.pop();
        }
    }
}

#[test]
fn what_looks_the_same() {
    let check = |a: &str, b: &str, expected: bool| {
        let looks = |text| Format::compile(text).unwrap().looks();
        assert_eq!(looks(a) == looks(b), expected, "{a} {b}");
    };
    check("a %DURATION%ms", "a %RESPONSE_DURATION%ms", true);
    check("a %DURATION%ms", "a %DURATION%s", false);
    check("%BYTES_SENT% %BYTES_RECEIVED%", "%BYTES_RECEIVED% %BYTES_SENT%", true);
    check("%REQ(A)% x", "%REQ(B)% x", true);
    check("%REQ(A)% x", "%DURATION% x", false);
    check("%START_TIME% x", "%START_TIME(%s)% x", false);
    check("%START_TIME% x", "%REQ(A)% x", false);
    check("%RESPONSE_FLAGS%", "%REQ(A)%", false);
    check("%%text", "%REQ(A)%", false);
}
