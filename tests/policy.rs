//! Mesh policies in, sources out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::path::{Path, PathBuf};

use logboom::config::Config;
use logboom::policy::{Derived, PolicyFile, derive};
use proptest::prelude::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/policies")
}

fn from_text(text: &str) -> Derived {
    derive(&[PolicyFile::new("policy.yaml", text)], &[])
}

/// Everything a user of `from-policy` reads.
fn shown(derived: &Derived) -> String {
    let mut out = if derived.sources.is_empty() { String::new() } else { derived.to_yaml() };
    for report in &derived.reports {
        out.push_str(&format!("\n{}\n", report.render(false)));
    }
    out
}

/// Guarantee: every example of Kuma's documentation is read, in every version of it, and gives the
/// sources beside it; and what is printed is a configuration.
#[test]
fn examples_of_the_documentation() {
    let mut examples: Vec<PathBuf> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    examples.sort();
    assert!(examples.len() > 50, "the examples are missing");
    for path in examples {
        let name = path.file_name().unwrap().to_str().unwrap();
        let derived = derive(&[PolicyFile::new(name, &std::fs::read_to_string(&path).unwrap())], &[]);
        let expected = path.with_extension("expected");
        if std::env::var_os("LOGBOOM_WRITE_EXPECTED").is_some() {
            std::fs::write(&expected, shown(&derived)).unwrap();
        }
        assert_eq!(shown(&derived), std::fs::read_to_string(&expected).unwrap(), "{name}");
        if !derived.sources.is_empty() {
            Config::from_text(name, &derived.to_yaml()).unwrap_or_else(|errors| panic!("{name}\n{errors}"));
        }
    }
}

/// Guarantee: the policies that we tell users to apply are right by our own rules.
#[test]
fn our_own_policies() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kuma");
    let paths = logboom::policy::find(&directory.join("*.yaml").display().to_string()).unwrap();
    let files: Vec<PolicyFile> = paths.iter().map(|path| PolicyFile::read(path).unwrap()).collect();
    let derived = derive(&files, &[]);
    assert!(!derived.has_errors() && !shown(&derived).contains("note:"), "{}", shown(&derived));
    assert_eq!(derived.sources.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["tcp-5000", "otel-4317"]);
}

/// Guarantee: the examples of TrafficLog, which refer to each other, are right when read together.
#[test]
fn traffic_log_with_its_mesh() {
    for world in ["kubernetes", "universal"] {
        let names = [
            format!("trafficlog-mesh-{world}"),
            format!("trafficlog-log-{world}"),
            format!("trafficlog-log-{world}-2"),
        ];
        let files: Vec<PolicyFile> =
            names.iter().map(|name| PolicyFile::read(&fixtures().join(name).with_extension("yaml")).unwrap()).collect();
        let derived = derive(&files, &[]);
        assert!(!derived.has_errors(), "{}", shown(&derived));
        assert!(!shown(&derived).contains("no TrafficLog"), "{}", shown(&derived));
        assert_eq!(derived.sources.len(), 1);
        assert_eq!(derived.sources[0].listen.to_string(), "127.0.0.1:5000");
    }
}

/// A MeshAccessLog with one backend, which begins at 8:7.
fn with_backend(backend: &str) -> String {
    let backend: String = backend.lines().map(|line| format!("      {line}\n")).collect();
    format!("type: MeshAccessLog\nname: mal\nmesh: default\nspec:\n  to:\n  - default:\n      backends:\n{backend}")
}

/// What is said about a policy, one line for each: severity, place, message, help.
fn said(derived: &Derived) -> String {
    let mut out = String::new();
    for report in &derived.reports {
        // Severities are in the rendered text only; the titles come in the order of the problems.
        let text = report.render(false);
        let titles = text.lines().filter(|line| ["error", "warning", "note"].iter().any(|it| line.starts_with(it)));
        for (problem, title) in report.problems().zip(titles) {
            let severity = title.split(':').next().unwrap();
            let (line, column) = (problem.line.unwrap_or(0), problem.column.unwrap_or(0));
            out.push_str(&format!(
                "{severity} {}:{line}:{column} {} ({})\n",
                report.name(),
                problem.message,
                problem.help.unwrap_or_default()
            ));
        }
    }
    out
}

/// Every expectation begins a line with its severity and place, and goes on as a fragment of it.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let derived = from_text(text);
    let said = said(&derived);
    for expectation in expected {
        let (place, words) = expectation.split_once(' ').map_or((*expectation, ""), |(severity, rest)| {
            let (place, words) = rest.split_once(' ').unwrap_or((rest, ""));
            (&expectation[..severity.len() + 1 + place.len()], words)
        });
        let (severity, at) = place.split_once(' ').unwrap();
        let start = format!("{severity} policy.yaml:{at} ");
        let found = said.lines().any(|line| line.starts_with(&start) && line.contains(words));
        assert!(found, "{expectation:?} is missing for:\n{text}\n---\n{said}");
    }
    let errors = expected.iter().any(|it| it.starts_with("error"));
    assert_eq!(derived.has_errors(), errors, "{said}");
    if expected.is_empty() {
        assert_eq!(said, "", "{text}");
    }
}

#[track_caller]
fn check_backend(backend: &str, expected: &[&str]) {
    check(&with_backend(backend), expected);
}

#[track_caller]
fn check_tcp(settings: &str, expected: &[&str]) {
    check_backend(&format!("- type: Tcp\n  tcp:\n    address: 127.0.0.1:5000\n    {settings}"), expected);
}

#[track_caller]
fn check_otel(settings: &str, expected: &[&str]) {
    check_backend(
        &format!("- type: OpenTelemetry\n  openTelemetry:\n    endpoint: 127.0.0.1:4317\n    {settings}"),
        expected,
    );
}

#[test]
fn addresses() {
    let check = |address: &str, expected: &[&str]| {
        check_backend(&format!("- type: Tcp\n  tcp:\n    address: {address}"), expected);
    };
    check("127.0.0.1:5000", &[]);
    check("localhost:5000", &[]);
    check("'[::1]:5000'", &[]);
    check("0.0.0.0:5000", &[]);
    check(
        "logstash.mesh:5000",
        &["warning 10:20 proxies send to logstash.mesh:5000; logboom listens on 127.0.0.1:5000"],
    );
    check("10.1.2.3:5000", &["warning 10:20 proxies send to 10.1.2.3:5000"]);
    check("logstash", &["error 10:20 has no port"]);
    check(
        "tcp://logstash:5000",
        &["error 10:20 is a URL, and proxies dial a host and a port (write it without `tcp://`: `logstash:5000`)"],
    );
    check("logstash:0", &["error 10:20 port 0 cannot be dialled"]);
    check("a b:5000", &["error 10:20 is not a host and port"]);
    check("", &["error 10:11 the backend has no `address`"]);
}

#[test]
fn shapes_of_backends() {
    check_backend("- type: Tcp", &["error 8:9 the backend has no `tcp`"]);
    check_backend(
        "- type: tcp\n  tcp: {address: 127.0.0.1:5000}",
        &["error 8:15 unknown type `tcp` (did you mean `Tcp`?"],
    );
    check_backend(
        "- address: 127.0.0.1:5000",
        &["error 8:9 the backend has no type", "warning 8:9 unknown key `address`"],
    );
    check_backend(
        "- tcp: {address: 127.0.0.1:5000}",
        &["note 8:9 a backend without `type` is that of Kuma 2.2 and older"],
    );
    check_backend("- 5", &["error 8:9 a backend is a mapping"]);
    check_backend(
        "- type: File\n  file: {path: /tmp/a.log}",
        &["note 9:22 no source for this: each proxy writes `/tmp/a.log`"],
    );
    check_backend("- type: File\n  file: {}", &["error 9:9 the backend has no `path`"]);
    check_tcp("formt: {}", &["warning 11:11 unknown key `formt` (did you mean `format`?"]);
    check("type: MeshAccessLog\nname: x\n", &["error 1:7 the MeshAccessLog has no `spec`"]);
    check("type: MeshAccessLog\nname: x\nspec: {}\n", &["warning 1:7 the MeshAccessLog logs nothing"]);
    check("type: MeshAccessLog\nspec: {too: []}\n", &["warning 2:8 unknown key `too` (did you mean `to`?"]);
    check("type: MeshAccessLog\nspec:\n  to: 5\n", &["error 3:3 `to` is a list"]);
    check("type: MeshAccessLog\nspec:\n  to:\n  - targetRef: {kind: Mesh}\n", &["warning 4:5 this names no backends"]);
    check("type: MeshAccessLog\nspec:\n  from: []\n", &["note 3:3 `from` is gone in Kuma 3.0"]);
    check(
        "type: MeshAccessLog\nspec:\n  to: []\n  rules: []\n",
        &["warning 4:3 Kuma refuses `rules` beside `to` or `from`"],
    );
}

#[test]
fn formats() {
    check_tcp("format: {type: Plain, plain: '[%START_TIME%] %BYTES_SENT%'}", &[]);
    check_tcp("format:", &[]);
    check_tcp("format: text", &["error 11:11 a format is a mapping"]);
    check_tcp("format: {type: Text, plain: x}", &["error 11:26 unknown type `Text`"]);
    check_tcp("format: {type: Json}", &["error 11:11 the format has no `json`"]);
    check_tcp("format: {type: Plain, plain: ''}", &["warning 11:33 an empty format"]);
    check_tcp("format: {type: Plain, plain: [a]}", &["error 11:33 `plain` is a text"]);
    check_tcp("format: {type: Plain, plain: \"a %PROTOCOL%\\nb\"}", &["warning 11:40 the format has 2 lines"]);
    check_tcp("format: {type: Plain, plain: \"a %PROTOCOL%\\n\"}", &[]);
    check_otel("body: {stringValue: \"a %PROTOCOL%\\nb\"}", &["note 10:11"]);
    check_tcp("format: {type: Json, json: []}", &["error 11:32 `json` has no keys"]);
    check_tcp("format: {type: Json, json: [{value: a}]}", &["error 11:40 an item has no `key`"]);
    check_tcp("format: {type: Json, json: [{key: a, value: [b]}]}", &["error 11:48 the `value` is not a text"]);
    check_tcp(
        "format: {type: Json, json: [{key: a, value: b}, {key: a, value: c}]}",
        &["warning 11:65 the key `a` is written twice: only its last value is sent"],
    );
}

/// Guarantee: the quotes that the documentation of Kuma puts into values are found where they are.
#[test]
fn stray_quotes() {
    let json = |value: &str| format!("format: {{type: Json, json: [{{key: a, value: {value}}}]}}");
    check_tcp(
        &json("'\"%REQ(:METHOD)%'"),
        &["warning 11:56 a quote in it opens and does not close (write '%REQ(:METHOD)%'"],
    );
    check_tcp(&json("'x \"%REQ(:METHOD)%\"'"), &["warning 11:58 the quotes in it end its own"]);
    check_tcp(&json("'a\\x'"), &["warning 11:55 between quotes it is not JSON"]);
    check_tcp(&json("'%REQ(:METHOD)%'"), &[]);
}

#[test]
fn bodies_and_attributes() {
    let old = "note 10:11 `endpoint` is gone in Kuma 3.0";
    check_otel("body: {stringValue: '%KUMA_MESH%'}", &[old]);
    for (kind, value) in [("boolValue", "true"), ("intValue", "1"), ("doubleValue", "1.5"), ("bytesValue", "aGk=")] {
        check_otel(&format!("body: {{{kind}: {value}}}"), &[old, &format!("error 11:18 Envoy refuses `{kind}`")]);
    }
    check_otel(
        "body: {kvlistValue: {values: [{key: a, value: {arrayValue: {values: [{intValue: 1}]}}}]}}",
        &["error 11:81 Envoy refuses `intValue`"],
    );
    check_otel("attributes: [{key: a, value: {intValue: 1}}]", &["error 11:41 Envoy refuses `intValue`"]);
    check_otel("attributes: [{key: a}]", &["error 11:25 an item has no `value`"]);
    check_otel("body: {kvlistValue: {values: [{value: {stringValue: a}}]}}", &["error 11:42 an item has no `key`"]);
    check_otel("body: {kvlistValue: , values: []}", &["warning 11:33 `values` stands beside `kvlistValue`"]);
    check_otel("body: {text: a}", &["warning 11:18 this says no value: `text` is none"]);
    check_otel("body: '%KUMA_MESH%'", &["warning 11:11 this body is sent as JSON text, quotes included"]);
    let derived = from_text(&with_backend(
        "- type: OpenTelemetry\n  openTelemetry: {endpoint: 127.0.0.1:4317, body: {b: [1, x], a: true}}",
    ));
    assert!(derived.to_yaml().contains("format: auto"), "{}", derived.to_yaml());
    let derived = from_text(&with_backend(
        "- type: OpenTelemetry\n  openTelemetry: {endpoint: 127.0.0.1:4317, body: [{b: 1, a: '%KUMA_MESH%'}]}",
    ));
    let expected = r#"body: {stringValue: '[{"a":"%KUMA_MESH%","b":1}]'}"#;
    assert!(derived.to_yaml().contains(expected), "{}", derived.to_yaml());
}

fn collector(name: &str, spec: &str) -> String {
    format!("type: MeshOpenTelemetryBackend\nname: {name}\nspec: {spec}\n---\n")
}

#[test]
fn collectors_by_reference() {
    let reference = |reference: &str| {
        with_backend(&format!("- type: OpenTelemetry\n  openTelemetry:\n    backendRef: {reference}"))
    };
    let one = "{kind: MeshOpenTelemetryBackend, name: one}";
    let listens = |text: &str, expected: &str| {
        let derived = from_text(text);
        let yaml = derived.to_yaml();
        assert!(yaml.contains(&format!("    grpc: {expected}\n")), "{text}\n{yaml}{}", said(&derived));
    };
    listens(&(collector("one", "{}") + &reference(one)), "127.0.0.1:4317");
    listens(&(collector("one", "{endpoint: {port: 5317}}") + &reference(one)), "127.0.0.1:5317");
    listens(&(collector("one", "{endpoint: {address: '::1'}}") + &reference(one)), "'[::1]:4317'");
    listens(&(collector("one", "{endpoint: {address: localhost}}") + &reference(one)), "localhost:4317");
    let kubernetes = "apiVersion: kuma.io/v1alpha1\nkind: MeshOpenTelemetryBackend\nmetadata: {name: one, labels: {a: b}}\nspec: {}\n---\n";
    for by in [
        one,
        "{kind: MeshOpenTelemetryBackend, labels: {kuma.io/display-name: one}}",
        "{kind: MeshOpenTelemetryBackend, labels: {a: b}}",
    ] {
        let text = format!("{kubernetes}{}", reference(by));
        listens(&text, "127.0.0.1:4317");
        check(&text, &["warning 15:11 proxies send to port 4317 of their node (HOST_IP)"]);
    }
    check(
        &reference(one),
        &["error 10:11 the MeshOpenTelemetryBackend `one` of mesh `default` is in none of the files"],
    );
    check(&reference("{name: one, kind: MeshService}"), &["error 10:11 this refers to no MeshOpenTelemetryBackend"]);
    check(&reference("{kind: MeshOpenTelemetryBackend}"), &["error 10:11 this refers to no MeshOpenTelemetryBackend"]);
    check(&collector("one", "{}"), &["note 1:7 no MeshAccessLog in these files refers to it"]);
    let http =
        from_text(&(collector("one", "{protocol: http, endpoint: {port: 4318, path: /otlp}}") + &reference(one)));
    assert!(http.to_yaml().contains("    http: 127.0.0.1:4318\n"), "{}", http.to_yaml());
    assert_eq!(said(&http), "");
    check(
        &(collector("one", "{protocol: http, endpoint: {port: 443}}") + &reference(one)),
        &["warning 3:41 Kuma speaks TLS to this port"],
    );
    check(&(collector("one", "{protocol: htp}") + &reference(one)), &["error 3:18 unknown protocol `htp`"]);
    check(&(collector("one", "{endpoint: {port: 0}}") + &reference(one)), &["error 3:25 this is not a port"]);
    check(&(collector("one", "{endpoint: {address: a b}}") + &reference(one)), &["error 3:28 `a b` is not a host"]);
    // Another mesh has collectors of its own.
    let other = "type: MeshOpenTelemetryBackend\nname: one\nmesh: other\nspec: {}\n---\n";
    check(&format!("{other}{}", reference(one)), &["error 15:11 is in none of the files"]);
}

#[test]
fn traffic_logs() {
    let mesh = |backends: &str| {
        format!("type: Mesh\nname: default\nlogging:\n  defaultBackend: one\n  backends:\n  - {backends}\n")
    };
    let log = |conf: &str| format!("---\ntype: TrafficLog\nname: log\n{conf}\n");
    let tcp = "{name: one, type: tcp, conf: {address: 127.0.0.1:5000}}";
    let gone = "note 3:1 `logging` of the Mesh is gone in Kuma 3.0";
    check(&(mesh(tcp) + &log("")), &[gone, "note 8:7 TrafficLog is gone in Kuma 3.0"]);
    check(&(mesh(tcp) + &log("conf: {backend: two}")), &["error 10:17 has no logging backend `two` (accepted: one)"]);
    check(&mesh(tcp), &["note 6:12 no TrafficLog in these files uses the backend `one`"]);
    check(&mesh("{name: one, type: tcp, conf: {address: logstash}}"), &["error 6:44 has no port"]);
    check(&mesh("{name: one, type: tcp}"), &["error 6:6 the backend has no `conf`"]);
    check(&mesh("{name: one, type: udp, conf: {}}"), &["error 6:23 unknown type `udp`"]);
    check(&mesh("{name: one}"), &["error 6:6 the backend has no type"]);
    check(&mesh("{name: one, type: file, conf: {path: /tmp/a}}"), &["note 6:42 no source for this"]);
    check(&log(""), &["error 2:7 the Mesh `default`, which says where this is sent, is in none of the files"]);
    check("type: Mesh\nname: default\n", &[]);
    check(
        &("type: Mesh\nname: default\nlogging: {backends: []}\n".to_owned() + &log("")),
        &["warning 5:7 this names no backend, and its Mesh has no default"],
    );
    // Of Kuma 0.x.
    let derived = from_text(&mesh("{name: one, tcp: {address: 127.0.0.1:5000}, format: '%START_TIME% x'}"));
    assert!(derived.to_yaml().contains("format: {type: Plain, plain: '%START_TIME% x'}"), "{}", derived.to_yaml());
}

#[test]
fn other_documents() {
    check("type: Dataplane\nname: x\n", &[]);
    check("apiVersion: apps/v1\nkind: Deployment\n", &[]);
    check("---\n---\n", &[]);
    check(
        "type: MeshAccesslog\n",
        &["note 1:7 the kind `MeshAccesslog` is not known and is passed over (did you mean `MeshAccessLog`?)"],
    );
    check("apiVersion: kuma.io/v1alpha1\nkind: Brand\n", &["note 2:7 the kind `Brand` is not known"]);
    check("name: x\n", &["note 1:1 this is no policy: it has no kind"]);
    check("a: [\n", &["error 1:4 this is not YAML"]);
    check("type: Mesh\ntype: Mesh\n", &["error 2:1 the key `type` is written twice"]);
    let item = with_backend("- type: Tcp\n  tcp: {address: 127.0.0.1:5000}").replace('\n', "\n  ");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n");
    // `kubectl get -o yaml` says that the list itself is of the API `v1`.
    assert_eq!(from_text(&list).sources.len(), 1, "{}", said(&from_text(&list)));
}

/// Guarantee: one address is one source, with the formats of all who send to it, each once.
#[test]
fn addresses_are_merged() {
    let tcp = |address: &str, format: &str| format!("- type: Tcp\n  tcp: {{address: '{address}', format: {format}}}\n");
    let text = with_backend(
        &[
            tcp("127.0.0.1:5000", "{type: Plain, plain: 'a %PROTOCOL%'}"),
            tcp("localhost:5000", "{type: Plain, plain: 'a %PROTOCOL%'}"),
            tcp("logstash:5000", ""),
            tcp("[::1]:5000", "{plain: 'it''s %PROTOCOL% ${x}', omitEmptyValues: true}"),
            tcp("127.0.0.1:5001", ""),
        ]
        .concat(),
    );
    let expected = "\
sources:
  # policy.yaml:9 MeshAccessLog mal
  # policy.yaml:11 MeshAccessLog mal
  # policy.yaml:13 MeshAccessLog mal
  tcp-5000:
    type: lines
    listen: 127.0.0.1:5000
    format:
      - auto
      - {type: Plain, plain: 'a %PROTOCOL%'}
  # policy.yaml:15 MeshAccessLog mal
  tcp-5000-2:
    type: lines
    listen: '[::1]:5000'
    format: {type: Plain, plain: 'it''s %PROTOCOL% $${x}', omitEmptyValues: true}
  # policy.yaml:17 MeshAccessLog mal
  tcp-5001:
    type: lines
    listen: 127.0.0.1:5001
    format: auto
sinks:
  console: {type: stdout, encoding: pretty}
";
    let derived = from_text(&text);
    assert_eq!(derived.to_yaml(), expected, "{}", said(&derived));
    Config::from_text("logboom.yaml", &derived.to_yaml()).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn lines_and_otlp_on_one_address() {
    let text = "- type: Tcp\n  tcp: {address: 127.0.0.1:4317}\n- type: OpenTelemetry\n  openTelemetry: {endpoint: 127.0.0.1:4317}";
    check_backend(text, &["error 11:35 cannot be for lines and for OTLP: the other is at policy.yaml:9"]);
}

/// Guarantee: what Envoy refuses is found where it is written, however it is quoted.
#[test]
fn formats_that_envoy_refuses() {
    let plain = |text: &str| format!("format: {{type: Plain, plain: {text}}}");
    let no_length = |place: &str| format!("error {place} Envoy refuses this format");
    check_tcp(&plain("'a %PROTOCOL:5% b'"), &[&no_length("11:43")]);
    check_tcp(&plain("'it''s %REQ(X-A?X-B?X-C)% b'"), &[&no_length("11:47")]);
    check_tcp(&plain("\"\\t100% a\""), &[&no_length("11:46")]);
    check_tcp("format:\n      type: Plain\n      plain: |\n        a %PROTOCOL%\n", &[]);
    check_tcp("format:\n      type: Plain\n      plain: |\n        a %REQ% b\n", &[&no_length("14:17")]);
    check_tcp("format: {type: Json, json: [{key: a, value: '%REQ()%'}]}", &[&no_length("11:56")]);
    check_otel("attributes: [{key: a, value: '%DURATION:3%'}]", &[&no_length("11:41")]);
    check_otel("body: {arrayValue: {values: [{stringValue: 'a %REQ%'}]}}", &[&no_length("11:57")]);
    check_backend("- type: File\n  file: {path: /tmp/a, format: {plain: '%REQ%'}}", &[&no_length("9:47")]);
    check(
        "type: Mesh\nname: default\nlogging:\n  backends:\n  - {name: a, type: tcp, format: '%REQ%', conf: {address: '127.0.0.1:1'}}\n",
        &[&no_length("5:35")],
    );
    check_tcp(&plain("'a %NO_SUCH_OPERATOR% b'"), &["warning 11:43"]);
}

/// Guarantee: who cannot tell two logs apart is told, with both places.
#[test]
fn formats_that_look_the_same() {
    let otel = |value: &str| {
        format!(
            "- type: OpenTelemetry\n  openTelemetry: {{endpoint: 127.0.0.1:4317, attributes: [{{key: a, value: '{value}'}}]}}\n"
        )
    };
    let alike = "warning 11:35 what is sent here looks like what policy.yaml:9 sends to the same address";
    check_backend(&(otel("%PROTOCOL%") + &otel("%UPSTREAM_HOST%")), &[alike]);
    let tcp = |format: &str| format!("- type: Tcp\n  tcp: {{address: 127.0.0.1:5000, format: {format}}}\n");
    let plain = |text: &str| tcp(&format!("{{type: Plain, plain: '{text}'}}"));
    let json = |text: &str| tcp(&format!("{{type: Json, json: [{{key: a, value: '{text}'}}]}}"));
    let alike = "warning 11:24 what is sent here looks like what policy.yaml:9 sends to the same address";
    check_backend(&(plain("a %BYTES_SENT%") + &plain("a %BYTES_RECEIVED%")), &[alike]);
    check_backend(&(json("%REQ(A)%") + &json("%REQ(B)%")), &[alike]);
    check_backend(&(plain("a %BYTES_SENT%") + &plain("b %BYTES_SENT%")), &[]);
    check_backend(&(plain("%BYTES_SENT% a") + &plain("%START_TIME% a")), &[]);
    let same = from_text(&with_backend(&(otel("%PROTOCOL%") + &otel("%PROTOCOL%"))));
    assert!(!said(&same).contains("looks like"), "{}", said(&same));
}

proptest! {
    /// Guarantee: any text, no panic.
    #[test]
    fn any_text(text in any::<String>()) {
        let _ = shown(&from_text(&text));
    }

    /// Guarantee: any value anywhere in a policy, no panic; and what is printed is YAML that can be
    /// read, whatever is in the policy.
    #[test]
    fn any_value_in_a_policy(value in any::<String>(), place in 0..10_usize) {
        let quoted = serde_json::to_string(&value).unwrap();
        let text = with_backend(&"- type: Tcp\n  tcp: {address: A0, format: {type: Plain, plain: A1}}\n- type: Tcp\n  tcp: {address: 127.0.0.1:5001, format: {type: Json, json: [{key: A2, value: A3}]}}\n- type: OpenTelemetry\n  openTelemetry: {endpoint: A4, attributes: [{key: A5, value: A6}], body: {kvlistValue: {values: [{key: A7, value: {stringValue: A8}}, A9]}}}"
            .replace(&format!("A{place}"), &quoted)
            .replace("A0", "127.0.0.1:5000")
            .replace("A4", "127.0.0.1:4317")
            .replace("A9", "{key: a, value: {stringValue: b}}"));
        let derived = from_text(&text);
        let _ = shown(&derived);
        if !derived.sources.is_empty() && !derived.has_errors() {
            let config = Config::from_text("logboom.yaml", &derived.to_yaml());
            prop_assert!(config.is_ok(), "{}\n{}", derived.to_yaml(), config.unwrap_err());
        }
    }
}
