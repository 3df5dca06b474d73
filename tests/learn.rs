//! `logboom learn`: a format out of samples.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::process::{Command, Stdio};

/// What is printed, and the exit code.
fn learn(lines: &[u8]) -> (String, i32) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples.log");
    std::fs::write(&path, lines).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_logboom")).arg("learn").arg(&path).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code().unwrap())
}

#[track_caller]
fn check(lines: &[u8], code: i32, expected: &[&str]) {
    let (text, got) = learn(lines);
    assert_eq!(got, code, "{text}");
    for fragment in expected {
        assert!(text.contains(fragment), "{fragment:?} is missing in\n{text}");
    }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lines").join(name)).unwrap()
}

#[test]
fn json_needs_no_format() {
    check(
        &fixture("tcp-http-json.log"),
        0,
        &[
            "640 lines\n",
            " 640  100.0 %  JSON objects\n",
            "     640  kuma_mesh                         known: Mesh\n",
            "format: auto, the default, reads all of it",
        ],
    );
    check(b"{\"mine\":1}\n", 0, &["1 line\n", "       1  mine  kept under its own name\n"]);
}

/// Scenario: formats that `auto` reads, and one that it does not.
/// Guarantee: each has its share, and what is proposed for the rest is a configuration that reads it.
#[test]
fn what_is_proposed_can_be_used() {
    let own = String::from_utf8(fixture("tcp-l4-plain.log")).unwrap().replace(" took ", " lasted ");
    let lines = [own.as_bytes(), &fixture("tcp-http-plain.log"), &fixture("tcp-l4-json.log")].concat();
    let expected = [
        "1560 lines\n\n     640   41.0 %  kuma-http",
        "     460   29.5 %  JSON objects\n     460   29.5 %  not read by format: auto\n",
        "A format that reads 460 of the 460 lines that are not read:",
        "%KUMA_MESH%                         default                   ? the name of Kuma's default mesh\n",
        "The same in all lines: lasted, ms, sent,",
        "    format:\n      - auto\n      - type: Plain\n        plain: '[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH%",
    ];
    check(&lines, 0, &expected);
    let (text, _) = learn(&lines);
    let sources = &text[text.find("sources:").unwrap()..];
    let yaml = format!("{sources}sinks: {{out: {{type: stdout}}}}\n");
    let checked = logboom::config::Config::from_text("learned", &yaml).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(checked.warnings().is_empty());
}

#[test]
fn lines_without_a_format_are_no_format() {
    check(b"one\ntwo words\nand three words\n", 1, &["have no format in common", "The first of them: one\n"]);
    check(b"\x1b[2J\n\x1b[2K\n", 1, &["\\u001b[2J"]);
    check(b"\n\r\n", 2, &["there are no lines"]);
    let output = Command::new(env!("CARGO_BIN_EXE_logboom")).args(["learn", "no/such/file"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Samples in, proposed format strings out.
fn proposed(lines: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(lines);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('{')).collect();
    logboom::learn::propose(&lines).into_iter().map(|it| it.format).collect()
}

const KUMA_TCP: &str = "[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH% %KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)->\
     %UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes";

/// Scenario: what a real Envoy wrote, in formats that are known but not told.
/// Guarantee: the format of TCP is found as it is, that of HTTP up to the texts that clients choose.
#[test]
fn the_formats_of_a_mesh_are_found_again() {
    for name in ["tcp-l4-plain.log", "file-tcp-plain.log", "trafficlog-l4-plain.log", "tcp-l4-plain-omitempty.log"] {
        assert_eq!(proposed(&fixture(name)), [KUMA_TCP], "{name}");
    }
    for name in
        ["tcp-http-plain.log", "file-http-plain.log", "trafficlog-http-plain.log", "tcp-http-plain-omitempty.log"]
    {
        let found = proposed(&fixture(name));
        let beginning = "[%START_TIME%] %KUMA_MESH% \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
             %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ";
        let first = found.first().unwrap_or_else(|| panic!("{name}"));
        assert!(first.starts_with(beginning), "{name}: {first}");
        assert!(first.ends_with("\"%UPSTREAM_HOST%\""), "{name}: {first}");
        assert_eq!(first.matches('%').count(), 2 * 20, "{name}: {first}");
    }
    let mixed = proposed(&fixture("mixed-one-connection.log"));
    assert!(mixed.contains(&KUMA_TCP.to_owned()) && mixed.len() >= 2, "{mixed:?}");
}

mod any {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_lines_can_be_looked_at(
            lines in proptest::collection::vec("[-a ü|,;:=\"\\[\\]()<>%/0-9.\t]{0,40}", 0..12)
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            for proposal in logboom::learn::propose(&lines) {
                let operators = proposal.slots.len();
                prop_assert_eq!(proposal.format.replace("%%", "").matches('%').count() >= 2 * operators, true);
            }
        }
    }
}
