//! `logboom from-otelcol`: configurations of a Collector, converted, checked, and run with real traffic.
//!
//! The fixtures have the structure and the keys of published configurations: the Helm chart's values, the
//! OpenTelemetry demo, a ConfigMap of a mesh's samples, a mesh's guide, the examples of the file exporter, the
//! filter processor and the persistent queue, guides to tcplog, vendors' pages, a gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use logboom::config::Config;
use logboom::otelcol::convert;
use logboom::policy::PolicyFile;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as AnyKind};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::{Value, json};
use util::{Server, eventually, json_lines, otlp};

/// What the fixtures take out of the environment.
const VARIABLES: &[(&str, &str)] = &[
    ("MY_POD_IP", "127.0.0.1"),
    ("COLLECTOR_HOST", "127.0.0.1"),
    ("COLLECTOR_PORT", "4317"),
    ("VENDOR_KEY", "k"),
    ("GATEWAY_TOKEN", "0123456789abcdef"),
    ("UPSTREAM_TOKEN", "u"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/otelcol")
}

/// The program, in the directory of the fixtures, so that no path of this machine is in what it says.
fn logboom(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
    program.current_dir(fixtures()).args(arguments).envs(VARIABLES.iter().copied());
    program.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Converts a fixture, compares all that a user reads with what stands beside it, and has the result checked.
/// Returns the configuration.
#[track_caller]
fn converted(name: &str, exit: i32) -> String {
    let output = logboom(&["from-otelcol", &format!("{name}.yaml")]);
    assert_eq!(output.status.code(), Some(exit), "{}", text(&output.stderr));
    let shown = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(!shown.contains("canary"), "a secret is shown\n{shown}");
    let expected = fixtures().join(format!("{name}.expected"));
    if std::env::var_os("LOGBOOM_WRITE_EXPECTED").is_some() {
        std::fs::write(&expected, &shown).unwrap();
    }
    assert_eq!(shown, std::fs::read_to_string(expected).unwrap(), "{name}");

    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("logboom.yaml");
    std::fs::write(&made, with_certificates(text(&output.stdout), dir.path())).unwrap();
    let checked = logboom(&["check", "-c", made.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    text(&output.stdout).to_owned()
}

/// A configuration whose certificates are there: those below `/etc/certs` are made in `dir`.
fn with_certificates(yaml: &str, dir: &Path) -> String {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for name in ["ca.pem", "client.pem", "server.pem"] {
        std::fs::write(dir.join(name), pair.cert.pem()).unwrap();
    }
    for name in ["client.key", "server.key"] {
        std::fs::write(dir.join(name), pair.signing_key.serialize_pem()).unwrap();
    }
    yaml.replace("/etc/certs", dir.to_str().unwrap())
}

/// An upstream: another logboom that writes what it gets into a file.
/// `listener` is the key of the protocol.
fn upstream(listener: &str) -> Server {
    Server::start(&format!(
        "sources: {{otlp: {{type: otlp, {listener}: '127.0.0.1:0', format: raw}}}}\n\
         sinks: {{got: {{type: file, path: '{{dir}}/got', encoding: otlp-json}}}}",
    ))
}

/// A configuration that was made, at work: listeners on free ports, files in a directory of its own, and a
/// logboom behind each sink that sends.
struct Run {
    server: Server,
    config: Value,
    upstreams: Vec<(String, Server)>,
}

impl Run {
    fn start(yaml: &str) -> Run {
        let mut config: Value = serde_saphyr::from_str(yaml).unwrap();
        let top = config.as_object_mut().unwrap();
        // It is added where the server is started.
        top.remove("admin");
        if let Some(journal) = top.get_mut("journal") {
            journal["dir"] = json!("{dir}/journal");
        }
        for source in top["sources"].as_object_mut().unwrap().values_mut() {
            // Who sends here is on this machine, and has no token.
            for key in ["tls", "auth", "allow_plaintext"] {
                source.as_object_mut().unwrap().remove(key);
            }
            for key in ["grpc", "http", "listen"] {
                if source.get(key).is_some() {
                    source[key] = json!("127.0.0.1:0");
                }
            }
        }
        let mut upstreams = Vec::new();
        for (name, sink) in top["sinks"].as_object_mut().unwrap() {
            if sink.get("endpoint").is_some() {
                let server =
                    upstream(if sink.get("protocol").is_some_and(|it| it == "http") { "http" } else { "grpc" });
                sink["endpoint"] = json!(format!("http://{}", server.address("otlp")));
                sink.as_object_mut().unwrap().remove("tls");
                upstreams.push((name.clone(), server));
            }
            if let Some(path) = sink.get("path").and_then(Value::as_str) {
                sink["path"] = json!(format!("{{dir}}/{}", path.trim_start_matches("./")));
            }
        }
        let mut text: String = top.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        for (name, value) in VARIABLES {
            text = text.replace(&format!("${{env:{name}}}"), value);
        }
        Run { server: Server::start(&text), config, upstreams }
    }

    /// Sends the four records to each `otlp` source, and two lines to each source of lines.
    fn send(&self) {
        for (name, source) in self.config["sources"].as_object().unwrap() {
            match source["type"].as_str().unwrap() {
                "otlp" => {
                    let answer = self.server.grpc(name).export(four_records().encode_to_vec());
                    assert!(answer.is_ok(), "{answer:?}");
                }
                _ => self.server.send(name, format!("{name} one\n{name} two\n").as_bytes()),
            }
        }
    }

    /// Waits until a file has so many records, and gives their bodies.
    fn file(&self, name: &str, count: usize) -> Vec<String> {
        let bodies =
            || -> Vec<String> { otlp::otlp_json(&self.server.file(name)).iter().flat_map(otlp::bodies).collect() };
        eventually(&format!("{count} records in {name}"), || bodies().len() >= count);
        bodies()
    }

    /// The same for what a sink has sent.
    fn sent(&self, sink: &str, count: usize) -> Vec<String> {
        let (_, upstream) = self.upstreams.iter().find(|(name, _)| name == sink).unwrap();
        let bodies =
            || -> Vec<String> { otlp::otlp_json(&upstream.file("got")).iter().flat_map(otlp::bodies).collect() };
        eventually(&format!("{count} records from {sink}"), || bodies().len() >= count);
        bodies()
    }

    /// Ends it, with everything delivered; what it wrote to standard output.
    fn end(mut self) -> Vec<Value> {
        let mut stdout = self.server.stdout();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        });
        self.server.stop().assert_clean();
        json_lines(&reader.join().unwrap())
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(AnyKind::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// What applications send: a request, a probe, a mistake with a secret in it, and something that says nothing of
/// itself.
fn four_records() -> ExportLogsServiceRequest {
    let record = |body: &str, severity_number: i32, attributes: Vec<KeyValue>| LogRecord {
        body: Some(AnyValue { value: Some(AnyKind::StringValue(body.to_owned())) }),
        severity_number,
        attributes,
        ..LogRecord::default()
    };
    let log_records = vec![
        record("request", 9, vec![attribute("http.route", "/api")]),
        record("probe", 5, vec![attribute("http.route", "/health")]),
        record(
            "wrong password",
            17,
            vec![attribute("http.route", "/api"), attribute("http.request.header.authorization", "Basic c2VjcmV0")],
        ),
        record("nothing", 0, vec![]),
    ];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes: vec![attribute("service.name", "shop")], ..Resource::default() });
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
}

const ALL: [&str; 4] = ["request", "probe", "wrong password", "nothing"];

/// Configurations with one sink on standard output: all four records get there.
#[track_caller]
fn check_stdout(name: &str) {
    let run = Run::start(&converted(name, 0));
    run.send();
    let records = run.end();
    assert_eq!(records.iter().map(|it| it["body"].as_str().unwrap()).collect::<Vec<_>>(), ALL);
}

#[test]
fn helm_values() {
    check_stdout("helm-values");
}

#[test]
fn demo() {
    check_stdout("demo");
}

#[test]
fn configmap_of_a_mesh() {
    check_stdout("istio-configmap");
}

#[test]
fn guide_of_a_mesh() {
    let run = Run::start(&converted("mesh-guide", 0));
    run.send();
    assert_eq!(run.sent("otlp-logs", 4), ALL);
    assert_eq!(run.sent("otlphttp-loki", 4), ALL);
    run.end();
}

#[test]
fn file_exporters() {
    let run = Run::start(&converted("file-exporters", 0));
    run.send();
    for name in ["out/plain.json", "out/rotating.json", "out/records", "out/by/shop.json"] {
        assert_eq!(run.file(name, 4), ALL, "{name}");
    }
    run.end();
}

/// Guarantee: TLS and tokens stand where the Collector has them, and nowhere else: protocols that differ are two sources.
#[test]
fn protocols_that_let_in_others() {
    let yaml = converted("two-doors", 0);
    let config: Value = serde_saphyr::from_str(&yaml).unwrap();
    let source = |name: &str| {
        let source = &config["sources"][name];
        ["grpc", "http", "tls", "auth"].map(|key| source.get(key).is_some())
    };
    assert_eq!(source("otlp-grpc"), [true, false, true, false]);
    assert_eq!(source("otlp-http"), [false, true, false, false]);
    assert_eq!(source("otlp-token-grpc"), [true, false, false, false]);
    assert_eq!(source("otlp-token-http"), [false, true, false, true]);
    assert_eq!(source("otlp-same"), [true, true, true, true]);
    assert_eq!(config["sources"]["otlp-same"]["message_max"], "32MiB");
    assert_eq!(config["sinks"]["nop"]["from"], json!(["otlp-grpc", "otlp-http"]));
    let run = Run::start(&yaml);
    run.server.stop().assert_clean();
}

#[test]
fn queue_on_disk() {
    let run = Run::start(&converted("persistent-queue", 0));
    run.send();
    assert_eq!(run.sent("otlp", 4), ALL);
    assert!(run.server.path("journal").is_dir());
    run.end();
}

/// Guarantee: what a filter drops is left out, and nothing else is.
#[test]
fn filters() {
    let run = Run::start(&converted("filters", 0));
    run.send();
    assert_eq!(run.file("out/kept.json", 2), ["request", "nothing"]);
    assert_eq!(run.file("out/errors.json", 1), ["wrong password"]);
    // Three are no probes, and of these every second.
    assert_eq!(run.file("out/half.json", 1), ["wrong password"]);
    run.end();
}

/// Guarantee: each pipeline's records go where it leads, and nowhere else.
#[test]
fn lines_over_tcp() {
    let run = Run::start(&converted("tcplog", 0));
    run.send();
    let mut lines = run.file("out/lines.json", 4);
    lines.sort();
    assert_eq!(lines, ["tcplog one", "tcplog two", "tcplog-local one", "tcplog-local two"]);
    assert_eq!(run.file("out/otlp.json", 4), ALL);
    run.end();
}

#[test]
fn page_of_a_vendor() {
    let run = Run::start(&converted("vendor", 0));
    run.send();
    assert_eq!(run.sent("otlp-vendor", 4), ALL);
    let records = run.end();
    assert_eq!(records.len(), 4);
    let shown = serde_json::to_string(&records).unwrap();
    assert!(shown.contains("REDACTED") && !shown.contains("c2VjcmV0"), "{shown}");
}

/// Guarantee: a pipeline that cannot be made is an error, and the others are made all the same.
#[test]
fn gateway() {
    let run = Run::start(&converted("gateway", 2));
    run.send();
    assert_eq!(run.file("out/all.json", 4), ALL);
    // Without a severity it is below INFO there, too.
    assert_eq!(run.file("out/all-2.json", 2), ["request", "wrong password"]);
    assert_eq!(run.sent("otlp", 2), ["request", "wrong password"]);
    run.end();
}

/// Guarantee: whatever is in a file, converting it ends, and what is made is a configuration: texts that are cut and
/// joined anywhere.
#[test]
fn any_text() {
    let texts: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let mut random = util::random();
    let mut made = 0;
    for _ in 0..2000 {
        let lines: Vec<&str> = texts[random.usize(..texts.len())].lines().collect();
        let other: Vec<&str> = texts[random.usize(..texts.len())].lines().collect();
        let mut mixed = lines.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..mixed.len());
            match random.u8(..3) {
                0 => drop(mixed.remove(at)),
                1 => mixed.insert(at, other[random.usize(..other.len())]),
                _ => mixed[at] = other[random.usize(..other.len())],
            }
        }
        let converted = convert(&[PolicyFile::new("mixed.yaml", &mixed.join("\n"))]);
        let _ = converted.kept_lines().count();
        converted.reports.iter().for_each(|report| drop(report.render(false)));
        let Some(mut yaml) = converted.yaml else { continue };
        for name in &converted.variables {
            let value = VARIABLES.iter().find(|(it, _)| it == name).map_or("127.0.0.1", |(_, value)| value);
            yaml = yaml.replace(&format!("${{env:{name}}}"), value);
        }
        match Config::from_text("made.yaml", &yaml) {
            Ok(_) => made += 1,
            // Files of a certificate that are not there.
            Err(_) if yaml.contains("/etc/certs") => {}
            // Two receivers on one address: the Collector cannot start with that either.
            Err(errors) if errors.to_string().contains(" is taken by ") => {}
            Err(errors) => panic!("{errors}\n--- of\n{}\n--- came\n{yaml}", mixed.join("\n")),
        }
    }
    assert!(made > 500, "only {made} of them became configurations");
}

/// Guarantee: later files win key by key, and findings name the file they are about.
#[test]
fn several_files() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first.yaml"), dir.path().join("second.yaml"));
    let base = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:4317'}}}}\nexporters: {debug: {}, nop: {}}\n\
        service: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}\n";
    std::fs::write(&first, base).unwrap();
    let over = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:14317', keepalive: {a: 1}}}}}\n\
        service: {pipelines: {logs: {exporters: [nop]}}}\n";
    std::fs::write(&second, over).unwrap();
    let output = logboom(&["from-otelcol", first.to_str().unwrap(), second.to_str().unwrap()]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("grpc: 127.0.0.1:14317") && out.contains("nop:") && !out.contains("debug:"), "{out}");
    assert!(err.contains("second.yaml:1:"), "{err}");
}

/// Guarantee: what is no configuration of a Collector is refused with what to do.
#[test]
fn refusals() {
    let check = |yaml: &str, expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, yaml).unwrap();
        let output = logboom(&["from-otelcol", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{yaml}");
        assert!(text(&output.stderr).contains(expected), "{yaml}\n{}", text(&output.stderr));
    };
    check("", "this is no configuration of a Collector");
    check("a: 1", "this is no configuration of a Collector");
    check("receivers: {", "this is not YAML");
    check("receivers: {}", "there are no pipelines");
    check("service: {pipelines: {traces: {}}}", "there is no pipeline for logs");
    check("service: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}", "there is no otlp in `receivers`");
    check(
        "receivers: {filelog: {}}\nexporters: {debug: }\nservice: {pipelines: {logs: {receivers: [filelog], exporters: [debug]}}}",
        "nothing feeds it",
    );
    check(
        "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {kafka: }\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [kafka]}}}",
        "it leads nowhere",
    );
    // A circle of connectors ends.
    check(
        "connectors: {forward: }\nservice: {pipelines: {logs: {receivers: [forward], exporters: [forward]}}}",
        "nothing feeds it",
    );
}
