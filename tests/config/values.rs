//! Mistakes together, secrets, what is put in, and what is derived.

use logboom::config::units::ByteSize;
use logboom::config::{Config, Draft};

use super::{SINK, SOURCE, accept, check, check_lines};

#[test]
fn every_mistake_is_reported_at_once() {
    check(
        "sources:\n  a: {type: lines, listen: x, line_max: y, nope: 1}\n  b: {type: otlp}\nsinks:\n  c: {type: file, path: a, mode: z, rotate: {size: w, evry: 1d}}\n  d: {type: otlp, endpoint: q, from: [zz]}\nmemory: v\n",
        &[
            "`nope`",
            "'y' is not a size",
            "an otlp source listens on `grpc` or `http`",
            "'z' is not a file mode",
            "'w' is not a size",
            "`evry`",
            "needs the scheme",
            "no source `zz`",
            "'v' is not a size",
        ],
    );
}

/// Scenario: secrets in every place where a user might put one, and mistakes beside them.
/// Guarantees: no error shows a header, a password, or what came from a file.
#[test]
fn secrets_never_show() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "canary\n").unwrap();
    let file = format!("${{file:{}}}", path.display());
    let long = dir.path().join("long");
    std::fs::write(&long, "canary".repeat(50)).unwrap();
    let long = format!("${{file:{}}}", long.display());
    let sink = |keys: &str| format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: 'http://a:1', {keys}}}\n");
    for text in [
        sink("headers: {authorization: Bearer canary}, nope: 1"),
        sink("headers: {authorization: Bearer canary, authorization: canary}"),
        sink("headers: {authorization: [canary]}"),
        sink("headers: Bearer canary"),
        sink("headers: {a b: canary}"),
        sink("headers: {a: \"canary\\n\"}"),
        sink("heders: {authorization: canary}"),
        sink("authorization: canary"),
        sink("headers: {authorization: canary}, endpoint: x"),
        sink(&format!("timeout: '{file}'")),
        sink(&format!("compression: '{file}'")),
        sink(&format!("from: ['{file}']")),
        sink(&format!("from: ['{long}'], compression: '{long}', timeout: '{long}', headers: '{long}'")),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{long}/..', mode: '{long}', open_max: '{long}'}}\n"),
        sink(&format!("headers: {{'x': '{file}'}}, inbox: '{file}'")),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}/{{a}}'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}/{{a}}{}/b.log'}}\n", "/b".repeat(20)),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}/{{a}}/{long}.log'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}.gz'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: '{file}'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: 'http://u:{file}@a:1'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: 'http://u:canary@a:1'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: [x, 'http://canary@a:1']}}\n"),
        format!("sources:\n  m: {{type: lines, listen: '{file}'}}\n{SINK}"),
        format!("sources:\n  m: {{type: lines, listen: '127.0.0.1:1', connections_max: '{file}'}}\n{SINK}"),
        format!("{SOURCE}{SINK}auth: {{bearer: canary}}\n"),
        "sinks: {s: {headers: {authorization: canary ]}}}".to_owned(),
        "sinks:\n  s:\n    headers:\n      authorization: \"canary\n  x: 1".to_owned(),
        "sinks:\n  s:\n    headers: {\n a: canary,\n b: canary ] }".to_owned(),
        "a: http://u:canary@b [\n]: {".to_owned(),
    ] {
        let errors = Config::from_text("logboom.yaml", &text).expect_err(&text);
        let json = serde_json::to_string(&errors.problems().collect::<Vec<_>>()).unwrap();
        for shown in [errors.to_string(), errors.render(true), format!("{errors:?}"), json] {
            assert!(!shown.contains("canary"), "{text}\n---\n{shown}");
        }
    }
    let checked = accept(&sink(&format!("headers: {{a: canary, b: '{file}'}}")));
    for shown in [format!("{checked:?}"), serde_json::to_string(checked.config()).unwrap()] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn what_is_substituted_is_one_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("value");
    std::fs::write(&path, "a, b]\nadmin: {listen: off} # ").unwrap();
    let text = format!("{SOURCE}sinks:\n  s: {{type: file, path: '${{file:{}}}'}}\n", path.display());
    check(&text, &["logboom.yaml:4:25", "control characters"]);
    check_lines(
        "listen: ${env:LOGBOOM_TEST_UNSET}",
        &["logboom.yaml:4:13", "LOGBOOM_TEST_UNSET is not set", ":-default}"],
    );
    let text = "sources:\n  m: {type: lines, listen: '127.0.0.1:${env:LOGBOOM_TEST_UNSET:-5000}', connections_max: '${env:LOGBOOM_TEST_UNSET:-7}'}\nsinks:\n  s: {type: stdout}\n";
    assert!(format!("{:?}", accept(text).config().sources["m"]).contains("connections_max: 7"));
}

#[test]
fn derived_values() {
    let checked = accept(&format!(
        "{SOURCE}sinks:\n  f: {{type: file, path: a}}\n  o: {{type: stdout, inbox: 1MiB}}\n  w: {{type: \"null\", wait_max: forever}}\n"
    ));
    let wait = |name| checked.wait_max(name).to_string();
    assert_eq!([wait("f"), wait("o"), wait("w"), wait("no sink")], ["5s", "0s", "forever", "0s"]);
    let inbox = |name: &str| checked.config().sinks[name].inbox.unwrap().to_string();
    assert_eq!([inbox("f"), inbox("o"), inbox("w")], ["16MiB", "1MiB", "16MiB"]);
    assert!(checked.memory_bound_line().contains("budget 64.0MiB"), "{}", checked.memory_bound_line());

    // Five sinks share what the largest request (16MiB) and the working space (8MiB) leave.
    let sinks: String = (0..5).map(|i| format!("  n{i}: {{type: \"null\"}}\n")).collect();
    let checked = accept(&format!("sources:\n  o: {{type: otlp, grpc: \"127.0.0.1:1\"}}\nsinks:\n{sinks}"));
    assert_eq!(checked.config().sinks["n3"].inbox, Some(ByteSize(8 << 20)));
}

#[test]
fn defaults_need_no_file() {
    let checked = Draft::defaults().and_then(Draft::finish).unwrap();
    assert_eq!(checked.config().sources.keys().collect::<Vec<_>>(), ["mesh", "otlp"]);
    assert_eq!(checked.config().sinks.keys().collect::<Vec<_>>(), ["console"]);
    assert_eq!(checked.config().admin.listen, "127.0.0.1:9464");
    assert!(checked.warnings().is_empty());
}
