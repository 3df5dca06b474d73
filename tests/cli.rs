//! The built binary, as a user calls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn logboom(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logboom"));
    command.args(arguments).env_remove("LOGBOOM_LOG").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Ends with that code, and every fragment is on standard output (code 0) or standard error.
#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &[&str]) {
    let output = logboom(arguments);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
    let shown = if code == 0 { &stdout } else { &stderr };
    for fragment in expected {
        assert!(shown.contains(fragment), "{fragment:?} is missing for {arguments:?}\n{stdout}\n{stderr}");
    }
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name).display().to_string()
}

#[test]
fn check_says_what_goes_where() {
    check(
        &["check"],
        0,
        &[
            "mesh (lines 127.0.0.1:5000) -> console (stdout)\n",
            "otlp (otlp 127.0.0.1:4317 (grpc) 127.0.0.1:4318 (http)) -> console",
            "budget 64.0MiB",
            "ok\n",
        ],
    );
    for name in ["reference.yaml", "sidecar.yaml", "node.yaml", "gateway.yaml"] {
        check(&["check", "-c", &example(name)], 0, &["ok\n"]);
    }
}

#[test]
fn check_refuses_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.yaml").display().to_string();
    std::fs::write(&path, "sources:\n  mesh: {type: lines, lsiten: a}\nsinks:\n  out: {type: stdout}\n").unwrap();
    let place = format!("{path}:2:23");
    for subcommand in ["check", "show", "run"] {
        check(&[subcommand, "-c", &path], 2, &["unknown key `lsiten`", &place, "did you mean `listen`?"]);
    }
    check(&["-c", &path], 2, &[&place]);
    check(&["check", "-c", "no/such/file"], 2, &["no/such/file: cannot read the configuration", "-c"]);
    let output = logboom(&["check", "--json", "-c", &path]);
    assert_eq!(output.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["errors"][0]["line"], 2);
    assert_eq!(json["errors"][0]["column"], 23);
    assert_eq!(json["errors"][0]["message"], "unknown key `lsiten`");
}

#[test]
fn check_as_json() {
    let output = logboom(&["check", "--json", "-l", "lines://0.0.0.0:5000", "-o", "null"]);
    assert_eq!(output.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["valid"], true);
    assert_eq!(json["routes"], serde_json::json!([{"source": "lines", "sinks": ["null"]}]));
    assert!(json["memory_bound_bytes"].as_u64() > Some(64 << 20), "{json}");
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn flags() {
    check(
        &["check", "-l", "lines+unix:///run/mesh.sock"],
        0,
        &["lines (lines unix:/run/mesh.sock) -> console (stdout)"],
    );
    check(&["check", "-o", "file:access.log"], 0, &["mesh (lines 127.0.0.1:5000) -> file (file access.log)"]);
    check(
        &["check", "-l", "otlp://127.0.0.1:0", "-l", "otlp://127.0.0.1:0", "-o", "otlp://a:1", "-o", "otlps://b:2"],
        0,
        &["otlp-2 (otlp 127.0.0.1:0 (grpc)) -> otlp (otlp http://a:1), otlp-2 (otlp https://b:2)"],
    );
    check(&["show", "-o", "file:a?encoding=raw&rotate.size=1MiB"], 0, &["encoding: raw", "size: 1MiB"]);
    check(&["show", "-o", "stdout:pretty", "--admin", "off"], 0, &["encoding: pretty", "listen: \"off\""]);
    check(&["show", "-c", &example("sidecar.yaml"), "--admin", "127.0.0.1:1"], 0, &["listen: 127.0.0.1:1"]);
    // What `run` would refuse, `check` refuses: with exit code 2 both.
    for (sink, why) in [
        ("otlp://collector", "sinks.otlp.endpoint: the endpoint has no port"),
        ("file:logs/{kuma.mesh}", "sinks.file.path: 'logs/{kuma.mesh}' must end in text with a dot"),
        ("file:logs/a.log.gz", "sinks.file.path: 'logs/a.log.gz' ends as compressed"),
        ("file:{a}{b}{c}{d}/x.log", "sinks.file.path: one level of"),
        ("otlp://a:1?headers.x=\u{e4}", "sinks.otlp.headers.x: the value"),
        ("otlp://a:1?headers.grpc-timeout=1S", "sinks.otlp.headers.grpc-timeout: this is not a header"),
    ] {
        check(&["check", "-o", sink], 2, &[why]);
        check(&["run", "-o", sink], 2, &[why]);
    }
    check(&["check", "-o", "kafka://u:p@x"], 2, &["cannot read the -o that begins with 'kafka'", "file:PATH"]);
    check(&["check", "-l", "udp://x"], 2, &["lines://HOST:PORT"]);
    check(&["check", "-l", "lines://x"], 2, &["sources.lines.listen: 'x' is not a host and port"]);
    check(
        &["check", "-o", "stdout?encodin=raw"],
        2,
        &["sinks.stdout: unknown key `encodin`", "did you mean `encoding`?"],
    );
    check(&["check", "-o", "stdout", "-o", "stdout"], 2, &["standard output is written by sink"]);
    check(&["check", "-c", "x", "-o", "null"], 2, &["cannot be used with"]);
    check(&["check", "-c", "x", "-l", "lines://a:1"], 2, &["cannot be used with"]);
    check(&["check", "--admin", "x"], 2, &["admin.listen: 'x' is not a host and port"]);
    check(&["nonsense"], 2, &["nonsense"]);
    check(&["run", "--log-level", "a=b=c"], 2, &["log-level"]);
}

#[test]
fn show_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shown.yaml").display().to_string();
    let first = logboom(&["show", "-c", &example("reference.yaml")]).stdout;
    std::fs::write(&path, &first).unwrap();
    assert_eq!(text(&logboom(&["show", "-c", &path]).stdout), text(&first));
}

/// Scenario: a token from the environment, shown, checked and refused.
/// Guarantees: it is in no output.
#[test]
fn secrets_never_show() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, more: &str| {
        let path = dir.path().join(name).display().to_string();
        let sink = format!(
            "{{type: otlp, endpoint: 'http://a:1', headers: {{authorization: 'Bearer ${{env:TOKEN}}'}}{more}}}"
        );
        std::fs::write(&path, format!("sources:\n  m: {{type: lines, listen: 'localhost:1'}}\nsinks:\n  s: {sink}\n"))
            .unwrap();
        path
    };
    let (good, bad) = (write("good", ""), write("bad", ", timeout: '${env:TOKEN}', x: 1"));
    for (arguments, code) in [
        (["show", "-c", &good], 0),
        (["check", "-c", &good], 0),
        (["check", "--json", "-c"], 2),
        (["show", "-c", &bad], 2),
        (["check", "-c", &bad], 2),
    ] {
        let output = command(&arguments).env("TOKEN", "canary").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(!shown.contains("canary"), "{shown}");
    }
    check(&["check", "-c", &good], 2, &["the environment variable TOKEN is not set"]);
}

#[test]
fn what_is_generated() {
    let schema = logboom(&["schema"]);
    assert_eq!(schema.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["sources"].is_object());
    check(&["man"], 0, &[".TH logboom 1", "check"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        check(&["completion", shell], 0, &["logboom", "schema"]);
    }
    check(&["completion", "tcsh"], 2, &["bash"]);
    check(&["--version"], 0, &[concat!("logboom ", env!("CARGO_PKG_VERSION"))]);
    check(&["--help"], 0, &["Exit codes"]);
}

/// `replay` says what is missing to know where to, and which sinks there are.
#[test]
fn replay_asks_where_to() {
    let dir = tempfile::TempDir::new().unwrap();
    let journal = dir.path().display().to_string();
    check(&["replay", "-o", "stdout"], 2, &["which journal is not said", "`-c FILE`"]);
    check(&["replay", &journal], 2, &["where to is not said", "`-o stdout`"]);
    check(&["replay", &journal, "--sink", "up"], 2, &["`--sink` names a sink of a configuration", "`-c FILE`"]);
    let reference = example("reference.yaml");
    check(&["replay", "-c", &reference], 2, &["`--sink NAME`, a sink of the configuration"]);
    let unknown = ["there is no sink consle", "did you mean `console`?", "files", "upstream"];
    check(&["replay", &journal, "-c", &reference, "--sink", "consle"], 2, &unknown);
}

/// Scenario: the reader of a pipe is gone before anything is written.
/// Guarantees: no panic, and an end in order.
#[test]
fn a_closed_pipe_is_no_failure() {
    for arguments in [&["schema"][..], &["man"], &["show"], &["check"], &["completion", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn from_policy_writes_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let backend = |address: &str| {
        format!(
            "type: MeshAccessLog\nname: mal\nspec:\n  to:\n  - default:\n      backends:\n      - {{type: Tcp, tcp: {{address: '{address}'}}}}\n"
        )
    };
    let (right, wrong, nothing) = (path("right.yaml"), path("wrong.yaml"), path("nothing.yaml"));
    std::fs::write(&right, backend("logstash:5000")).unwrap();
    std::fs::write(&wrong, backend("logstash")).unwrap();
    std::fs::write(&nothing, "type: Mesh\nname: default\n").unwrap();
    check(&["from-policy", &right], 0, &["tcp-5000:\n", "listen: 127.0.0.1:5000\n"]);
    check(&["from-policy", &right, "--listen", "logstash:5000=0.0.0.0:5001"], 0, &["tcp-5001:\n", "0.0.0.0:5001\n"]);
    check(&["from-policy", &right, "--listen", "logstsh:5000=0.0.0.0:5001"], 2, &["no policy sends to logstsh:5000"]);
    check(&["from-policy", &right, "--listen", "x"], 2, &["write ADDRESS=LISTEN"]);
    check(&["from-policy", &right, &wrong], 2, &["wrong.yaml:7:36", "has no port"]);
    check(&["from-policy", &nothing], 2, &["no policy in these files sends logs to an address"]);
    check(&["from-policy", &path("missing.yaml")], 2, &["cannot read", "missing.yaml"]);
    check(&["from-policy"], 2, &["<FILE>"]);
    let output = path("logboom.yaml");
    check(&["from-policy", &right, "-o", &output], 0, &[]);
    check(&["check", "-c", &output], 0, &["tcp-5000 (lines 127.0.0.1:5000) -> console (stdout)\n"]);
    check(&["from-policy", &right, "-o", &path("no/where.yaml")], 1, &["cannot write"]);
    // What could be read is written all the same.
    let partly = logboom(&["from-policy", &right, &wrong]);
    assert!(text(&partly.stdout).contains("tcp-5000:"), "{}", text(&partly.stdout));
}

#[test]
fn from_policy_reads_standard_input() {
    let mut child = command(&["from-policy", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let policy =
        "type: MeshAccessLog\nspec: {to: [{default: {backends: [{type: Tcp, tcp: {address: '127.0.0.1:5000'}}]}}]}\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), policy.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(text(&output.stdout).contains("# standard input:2 MeshAccessLog"), "{}", text(&output.stdout));
}
