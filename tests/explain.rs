//! `logboom explain`: response flags and lines.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::io::Write;
use std::process::{Command, Stdio};

/// What is printed, and the exit code.
fn explain(arguments: &[&str], input: &[u8]) -> (String, i32) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_logboom"))
        .arg("explain")
        .args(arguments)
        .env("COLUMNS", "100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who is not asked for input does not wait for it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code().unwrap())
}

#[track_caller]
fn check(arguments: &[&str], input: &str, code: i32, expected: &[&str]) {
    let (text, got) = explain(arguments, input.as_bytes());
    assert_eq!(got, code, "{arguments:?}\n{text}");
    for fragment in expected {
        assert!(text.contains(fragment), "{fragment:?} is missing for {arguments:?}\n{text}");
    }
}

#[test]
fn flags_in_words() {
    check(
        &["UF,URX"],
        "",
        0,
        &["UF  UpstreamConnectionFailure\n", "\nURX  UpstreamRetryLimitExceeded\n", "  Usually\n  - ", "  Check\n  - "],
    );
    check(&["UpstreamOverflow", "dc"], "", 0, &["UO  UpstreamOverflow", "DC  DownstreamConnectionTermination"]);
    check(&["UpstreamOverflw"], "", 1, &["is not one of Envoy's own", "did you mean UpstreamOverflow?"]);
    check(&[], "", 2, &["Usage"]);
}

#[test]
fn an_object_member_by_member() {
    let line = r#"{"duration_ms":12,"kuma_mesh":"default","method":"\"GET","own":5,"response_code":503,"response_flags":"UF","bytes_sent":19,"trace_id":null,"esc":"\u001b[2J"}"#;
    let expected = [
        "A JSON object.",
        "  bytes_sent      19                                http.response.body.size: 19\n",
        "  kuma_mesh       default                           kuma.mesh: \"default\"\n",
        "  method          \"GET                              http.request.method: \"GET\"\n",
        "  own             5                                 kept under its own name\n",
        "  trace_id        null                              absent\n",
        "  esc             \\u001b[2J ",
        "  severity  ERROR, because of response_code 503 and response_flags UF\n",
        "  flag      UF: ",
    ];
    check(&[line], "", 0, &expected);
    check(&["-"], &format!("\n{line}\nanother line\n"), 0, &expected);
    check(&[r#"{"msg":"hi","level":3}"#], "", 0, &["not those of an access log", "msg    hi "]);
}

const KUMA_TCP: &str = "[2026-11-20T11:48:44.291Z] UF default 10.42.0.7(web)->10.42.0.9:6379(redis) took 14004ms, \
     sent 6195 bytes, received: 194 bytes";

#[test]
fn a_line_field_by_field() {
    check(
        &[KUMA_TCP],
        "",
        0,
        &[
            "kuma-tcp reads this line in one way.\n",
            "  [2026-11-20T11:48:44.291Z] UF default 10.42.0.7(web)->10.42.0.9:6379(redis) took 14004ms, sent 6\n   \
             1                         2  3       4         5     6              7           8             9\n",
            "  5  %KUMA_SOURCE_SERVICE%               web                               kuma.source.service: \"web\"\n",
            "  8  %DURATION%                          14004                             envoy.duration_ms: 14004\n",
            "  severity  ERROR, because of %RESPONSE_FLAGS% UF\n",
            "  kuma-http               no: %KUMA_MESH% does not fit, value 2 of 20\n",
        ],
    );
    check(
        &["--format", "%START_TIME(%s)% %PROTOCOL%", "1795175317 HTTP/2"],
        "",
        0,
        &["plain reads this line", "network.protocol.version: \"2\""],
    );
    check(
        &["--format", "%START_TIME(%s)% %PROTOCOL%", "yesterday HTTP/2"],
        "",
        1,
        &["plain  no: %START_TIME(%s)% does not fit, value 1 of 2"],
    );
    check(&["--format", "%NONSENSE", "x"], "", 2, &["error: ", "help: "]);
}

#[test]
fn what_is_behind_a_line_is_told() {
    for (behind, found) in [(" extra", "' extra'"), (" ", "' '"), (" 5 bytes extra", "' 5 bytes extra'")] {
        let expected = format!("kuma-tcp                no: after value 10: the line should end, found {found}\n");
        check(&[&format!("{KUMA_TCP}{behind}")], "", 1, &[&expected]);
    }
    let format = ["--format", "%PROTOCOL% %DURATION%"];
    check(&[&format[..], &["HTTP/2 5 x"]].concat(), "", 1, &["after value 2: the line should end, found ' x'"]);
    check(&[&format[..], &["HTTP/2 5x"]].concat(), "", 1, &["%DURATION% does not fit, value 2 of 2"]);
    check(&["--format", "%DURATION%%%", "5%s"], "", 1, &["after value 1: the line should end, found 's'"]);
}

#[test]
fn two_readings_are_told() {
    check(
        &["--format", "\"%REQ(X-A)%\" \"%REQ(X-B)%\"", "\"a\" \"forged\" \"b\""],
        "",
        0,
        &["in more than one way", "not certain where it is", "ambiguous: a client can forge this"],
    );
}

#[test]
fn what_is_not_read_says_why() {
    check(&[r#"{"user_agent":"a"b"}"#], "", 1, &["it is kept as text", "invalid_json: it looks like JSON"]);
    check(&["tcp"], "", 1, &["protocol_name: Kuma 2.11 and later"]);
    check(&["null"], "", 1, &["no_values: everything in a Json format was absent"]);
    check(&["{}"], "", 1, &["no_values: everything in a Json format was absent"]);
    assert!(!explain(&["{}"], b"").0.contains("Its keys"));
    check(
        &["no such format here\u{1b}[2J"],
        "",
        1,
        &["No format reads this line", "here·[2J", "kuma-tcp", "unknown_format"],
    );
    check(&["-"], "\n\n", 2, &["there is no line on standard input"]);
    check(&["a\nb"], "", 2, &["give one line"]);
}

#[test]
fn no_input_breaks_it() {
    for input in [b"\xff\xfe\n".as_slice(), b"{\"a\":\"\xff\"}", b"[[[[[[", b"\0\n", &[b'"'; 100_000], &[b'{'; 100_000]]
    {
        let (text, code) = explain(&["-"], input);
        assert_eq!(code, 1, "{text}");
        assert!(text.chars().all(|it| it == '\n' || !it.is_control()), "{text:?}");
    }
}

#[test]
fn the_formats_of_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logboom.yaml").display().to_string();
    let yaml = "sources:\n  a: {type: lines, listen: 127.0.0.1:1, format: json}\n  \
                b: {type: lines, listen: 127.0.0.1:2}\nsinks: {out: {type: stdout}}\n";
    std::fs::write(&path, yaml).unwrap();
    check(&["-c", &path, "text"], "", 2, &["which source", "one of: a, b"]);
    check(&["-c", &path, "--source", "c", "text"], "", 2, &["one of: a, b"]);
    check(&["-c", &path, "--source", "a", "text"], "", 1, &["invalid_json"]);
    check(&["-c", "no/such/file", "text"], "", 2, &["cannot read the configuration"]);
}
