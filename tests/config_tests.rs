//! `tests:` in a configuration, and `logboom test`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::process::{Command, Stdio};

const FRAME: &str = "\
sources:
  mesh: {type: lines, listen: 127.0.0.1:5000}
  otlp: {type: otlp, grpc: 127.0.0.1:4317}
sinks:
  files: {type: file, path: access.log, from: [mesh]}
  upstream: {type: otlp, endpoint: 'http://a:4317', from: [otlp]}
tests:
";

/// Ends with that code, and every fragment is shown: by a report (0, 1), or as an error (2).
#[track_caller]
fn check(tests: &str, code: i32, expected: &[&str]) {
    check_all(&format!("{FRAME}{tests}"), code, expected);
}

#[track_caller]
fn check_all(yaml: &str, code: i32, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logboom.yaml");
    std::fs::write(&path, yaml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_logboom"))
        .args(["test", "-c"])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{yaml}\n{stdout}\n{stderr}");
    let shown = if code == 2 { stderr } else { stdout };
    for fragment in expected {
        assert!(shown.contains(fragment), "{fragment:?} is missing for\n{yaml}\n{shown}");
    }
}

#[test]
fn what_holds_is_ok() {
    check(
        r#"
  - name: types are kept
    line: '{"n": 5, "f": 1.5, "t": "5", "list": ["a", {"b": null}], "yes": true, "id": "0123"}'
    expect: {n: 5, f: 1.5, t: "5", list: [a, {b: ~}], yes: true, id: 0123, absent: null}
    sinks: [files]
  - line: '[2026-06-26T21:29:21.535Z] - default 10.42.1.5(web)->10.42.1.9:6379(redis) took 14004ms, sent 6195 bytes, received: 194 bytes'
    name: an access log
    expect: {kuma.mesh: default, envoy.duration_ms: 14004, severity_text: INFO, timestamp: '2026-06-26T21:29:21.535000Z'}
    sinks: [files]
  - line: a line without a name
    expect: {body: a line without a name, timestamp: ~, logboom.parse_error: unknown_format}
  - line: |
      {"written": "as a block"}
    source: mesh
    expect: {written: as a block}
"#,
        0,
        &[
            "ok     1: types are kept\nok     2: an access log\nok     3: a line without a name\nok     4: {\"written\"",
            "4 passed, 0 failed\n",
        ],
    );
}

#[test]
fn what_does_not_hold_is_told_key_by_key() {
    check(
        r#"
  - line: fine
    expect: {body: fine}
  - name: wrong
    line: '{"kuma.mesh": "default", "n": "5", "esc": "\u001b[2J"}'
    expect: {kuma.mseh: default, n: 5, esc: x, kuma.mesh: ~}
    sinks: [upstream]
"#,
        1,
        &[
            "ok     1: fine\nFAILED 2: wrong\n    line      {\"kuma.mesh\"",
            "    kuma.mseh\n        expected \"default\"\n        got      nothing; did you mean `kuma.mesh`? it is \"default\"\n",
            "    n\n        expected 5\n        got      \"5\"\n",
            "    esc\n        expected \"x\"\n        got      \"\\u001b[2J\"\n",
            "    kuma.mesh\n        expected nothing\n        got      \"default\"\n",
            "    sinks\n        expected upstream\n        got      files\n",
            "the record is {",
            "1 passed, 1 failed\n",
        ],
    );
    check("  - {line: x, sinks: []}\n", 1, &["expected none\n        got      files\n"]);
}

#[test]
fn sinks_take_what_they_ask_for() {
    let yaml = "\
sources: {mesh: {type: lines, listen: 127.0.0.1:5000}}
sinks:
  all: {type: file, path: a.log}
  errors: {type: file, path: b.log, when: 'status >= 500 || flags != \"\"', sample: 1/20}
tests:
  - line: '[2026-06-26T21:29:21.535Z] UF default 10.42.1.5(web)->-(redis) took 5ms, sent 0 bytes, received: 0 bytes'
    sinks: [errors, all]
  - line: '[2026-06-26T21:29:21.535Z] - default 10.42.1.5(web)->-(redis) took 5ms, sent 0 bytes, received: 0 bytes'
    sinks: [all]
";
    check_all(yaml, 0, &["2 passed"]);
    check_all(
        &yaml.replace("[errors, all]", "[all]"),
        1,
        &["expected all\n        got      all, errors\n", "1 failed"],
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let refused = |test: &str, expected: &[&str]| check(&format!("  - {test}\n"), 2, expected);
    refused("{line: x, sinks: [flies]}", &["logboom.yaml:8:23", "`flies` is no sink", "did you mean `files`?"]);
    refused("{line: x, source: otlp, sinks: []}", &["`otlp` is no source of type `lines`", "accepted: mesh"]);
    refused("{line: '', sinks: []}", &["an empty line makes no record"]);
    refused("{line: \"a\\nb\", sinks: []}", &["these are several lines"]);
    refused("{line: a}", &["the test expects nothing"]);
    refused("{line: a, expected: {a: 1}}", &["unknown key `expected`", "did you mean `expect`?"]);
    refused("{expect: {a: 1}}", &["missing key `line`"]);
    refused("just text", &["a mapping"]);
    check_all(
        "sources: {a: {type: lines, listen: 127.0.0.1:1}, b: {type: lines, listen: 127.0.0.1:2}}\n\
         sinks: {out: {type: stdout}}\ntests: [{line: x, sinks: [out]}]\n",
        2,
        &["several sources could read this line", "one of: a, b"],
    );
    check_all(
        "sources: {o: {type: otlp, grpc: 127.0.0.1:1}}\nsinks: {out: {type: stdout}}\ntests: [{line: x, sinks: [out]}]\n",
        2,
        &["no source of type `lines`"],
    );
    check_all(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\nsinks: {out: {type: stdout}}\n",
        2,
        &["has no tests"],
    );
}
