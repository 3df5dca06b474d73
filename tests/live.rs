//! A running process looked at and told what to do: `status`, `top`, `tap`, `reload`, `drain`, over the
//! control socket, against the built binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use serde_json::Value;
use util::{DeadPort, Server, eventually, json_lines};

const SOURCES: &str = "sources:\n  mesh: {type: lines, listen: 127.0.0.1:0}\n\
    control: {socket: '{dir}/control.sock'}\nshutdown: {grace: 2s}\n";
const JSON: &str = "sinks:\n  files: {type: file, path: '{dir}/out', encoding: json}\n";
const RAW: &str = "sinks:\n  files: {type: file, path: '{dir}/out', encoding: raw}\n";

fn yaml(sinks: &str) -> String {
    format!("{SOURCES}{sinks}")
}

/// A line of Kuma's default format.
fn line(source: &str, destination: &str, path: &str, status: u16, flags: &str, ms: u32) -> String {
    format!(
        "[2026-11-20T11:48:37.057Z] default \"GET {path} HTTP/1.1\" {status} {flags} 5 9 {ms} 0 \"-\" \"agent\" \"-\" \
         \"8ed76ae8-6ed0-44d3-8fe2-fa5b9299ec76\" \"backend.mesh:80\" \"{source}\" \"{destination}\" \"10.42.0.7\" \
         \"127.0.0.1:21001\"\n"
    )
}

fn asking(server: &Server, command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
    program.arg(command).arg("--socket").arg(server.path("control.sock")).stdin(Stdio::null());
    program
}

fn ask(server: &Server, command: &str, args: &[&str]) -> Output {
    asking(server, command).args(args).output().unwrap()
}

fn text(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn delivered(server: &Server, sink: &str, records: u64) {
    eventually("all is delivered", || server.sink(sink, "delivered_records") == records);
}

/// Begins a request at the control socket, and leaves it at that.
fn request(socket: &Path, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: logboom\r\n\r\n").unwrap();
    stream
}

/// A tap that runs beside the test, once it watches.
fn tapping(server: &Server, args: &[&str]) -> std::process::Child {
    let before = watching(server);
    let child = asking(server, "tap").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("somebody watches", || watching(server) > before);
    child
}

/// How many watch records.
fn watching(server: &Server) -> u64 {
    server.status()["watching"].as_u64().unwrap()
}

/// Scenario: asked when nobody is there, when all is well, and when no sink takes records. Guarantee:
/// the exit code says which it is, and an error what was tried.
#[test]
fn status_says_how_it_does() {
    let upstream = DeadPort::new();
    let server =
        Server::start(&yaml(&format!("sinks:\n  upstream: {{type: otlp, endpoint: 'http://{}'}}\n", upstream.address)));
    let (code, stdout, _) = text(&ask(&server, "status", &[]));
    assert_eq!(code, 0, "{stdout}");
    for word in ["ready", "mesh", "upstream", "healthy", "ledger: received 0"] {
        assert!(stdout.contains(word), "no {word} in {stdout}");
    }
    server.send("mesh", line("web", "backend", "/", 200, "-", 1).as_bytes());
    eventually("it is not ready", || ask(&server, "status", &[]).status.code() == Some(1));
    let (code, stdout, _) = text(&ask(&server, "status", &["--json"]));
    let status: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &status["readiness"]), (1, &Value::from("no_sink")));
    let mode = std::fs::metadata(server.path("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (dir, socket) = (server.dir(), server.path("control.sock"));
    let _ended = server.stop();
    assert!(!socket.exists());
    let program = |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
        text(&program.env("XDG_RUNTIME_DIR", dir.path()).env_remove("RUNTIME_DIRECTORY").args(args).output().unwrap())
    };
    let (code, _, stderr) = program(&["status", "--socket", socket.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains(socket.to_str().unwrap()) && stderr.contains("--config"), "{code} {stderr}");
    let config = dir.path().join("logboom.yaml");
    let (code, _, stderr) = program(&["drain", "-c", config.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains(socket.to_str().unwrap()), "{code} {stderr}");
}

fn figures(server: &Server) -> Value {
    let (code, stdout, stderr) = text(&ask(server, "top", &["--json"]));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Scenario: requests, calls and connections between some services, into sinks that take them decoded, and
/// into one that takes lines as they come. Guarantee: at a low rate every figure is that of what was sent.
#[test]
fn top_shows_what_was_sent() {
    for sinks in [JSON, RAW, "sinks:\n  files: {type: 'null'}\n"] {
        let server = Server::start(&yaml(sinks));
        let mut sent = String::new();
        for at in 0..40 {
            sent += &line(
                "web",
                "backend",
                "/ok",
                if at % 4 == 0 { 503 } else { 200 },
                if at % 4 == 0 { "UF" } else { "-" },
                at,
            );
        }
        for _ in 0..10 {
            sent += &line("web", "catalog", "/no", 404, "-", 7);
        }
        sent += "[2026-06-26T21:29:21.535Z] UF default 10.42.1.5(web)->10.42.1.9:6379(redis) took 3ms, sent 70 bytes, received: 30 bytes\n";
        sent += "this is no access log\n";
        server.send("mesh", sent.as_bytes());
        delivered(&server, "files", 52);
        let figures = figures(&server);
        assert_eq!(figures["sampled"], 1.0);
        assert_eq!(figures["services"], 4);
        let window = figures["window_s"].as_f64().unwrap();
        let edges = figures["edges"].as_array().unwrap();
        let pair = |destination: &str| edges.iter().find(|it| it["destination"] == destination).unwrap();
        let times = |value: &Value| (value.as_f64().unwrap() * window).round() as u64;
        let backend = pair("backend");
        assert_eq!(backend["source"], "web");
        assert_eq!(backend["mesh"], "default");
        assert_eq!(backend["protocol"], "http");
        assert_eq!(
            (backend["total"].as_u64(), times(&backend["rps"]), times(&backend["error_rps"])),
            (Some(40), 40, 10)
        );
        assert_eq!((times(&backend["bytes_in_s"]), times(&backend["bytes_out_s"])), (200, 360));
        assert_eq!(times(&backend["flags"]["UF"]), 10);
        let p50 = backend["p50_ms"].as_f64().unwrap();
        assert!((18.0..=20.5).contains(&p50), "{p50}");
        let p99 = backend["p99_ms"].as_f64().unwrap();
        assert!((36.6..=39.0).contains(&p99), "{p99}");
        assert_eq!(backend["max_ms"], 39);
        let catalog = pair("catalog");
        assert_eq!((times(&catalog["client_error_rps"]), times(&catalog["error_rps"])), (10, 0));
        assert_eq!((catalog["p50_ms"].as_f64(), catalog["p99_ms"].as_f64()), (Some(7.0), Some(7.0)));
        let redis = pair("redis");
        assert_eq!((&redis["protocol"], times(&redis["error_rps"])), (&Value::from("tcp"), 1));
        assert_eq!((times(&redis["bytes_in_s"]), times(&redis["bytes_out_s"])), (30, 70));
        assert_eq!((edges.len(), &figures["other"]), (3, &Value::Null));
        assert_eq!(figures["totals"]["total"], 51);
        assert_eq!(times(&figures["records"]), 52);
        assert_eq!((times(&figures["statuses"]["5xx"]), times(&figures["statuses"]["none"])), (10, 1));
        assert_eq!(figures["flags"][0]["flag"], "UF");
        let (code, table, _) = text(&ask(&server, "top", &["--once", "--sort", "errors"]));
        let rows: Vec<&str> = table.lines().collect();
        assert!(code == 0 && rows[2].starts_with("web -> backend") && rows[2].contains("25%"), "{table}");
        assert!(table.contains("web -> redis (tcp)"), "{table}");
        server.stop().assert_clean();
    }
}

/// Scenario: more than the budget of looks, at full speed. Guarantee: the counts are made right, and what
/// was looked at is said.
#[test]
fn a_high_rate_is_sampled_and_still_counted() {
    for sinks in [JSON, RAW] {
        let server = Server::start(&yaml(sinks));
        let sent =
            (line("web", "backend", "/ok", 200, "-", 5) + &line("web", "catalog", "/ok", 500, "-", 9)).repeat(60_000);
        server.send("mesh", sent.as_bytes());
        delivered(&server, "files", 120_000);
        let figures = figures(&server);
        let sampled = figures["sampled"].as_f64().unwrap();
        assert!(sampled < 0.9, "{sampled}");
        let total = figures["totals"]["total"].as_u64().unwrap();
        assert!((118_000..=120_000).contains(&total), "{total}");
        for edge in figures["edges"].as_array().unwrap() {
            let total = edge["total"].as_u64().unwrap();
            assert!((54_000..=66_000).contains(&total), "{edge}");
        }
        server.stop().assert_clean();
    }
}

/// Scenario: records of many kinds pass, and somebody watches those of a condition. Guarantee: those, in
/// order, until there were enough.
#[test]
fn tap_shows_what_is_asked_for() {
    let server = Server::start(&yaml(RAW));
    let child = tapping(&server, &["--where", "status >= 500", "--count", "3"]);
    let mut sent = String::new();
    for at in 0..10u16 {
        sent += &line("web", "backend", &format!("/{at}"), if at % 3 == 0 { 503 } else { 200 }, "-", 1);
    }
    server.send("mesh", sent.as_bytes());
    let (code, stdout, stderr) = text(&child.wait_with_output().unwrap());
    let paths: Vec<Value> =
        json_lines(stdout.as_bytes()).iter().map(|it| it["attributes"]["url.path"].clone()).collect();
    assert_eq!((code, paths), (0, ["/0", "/3", "/6"].map(Value::from).to_vec()), "{stderr}");
    for (args, why) in [
        (["--where", "statuss > 1"], "where: "),
        (["--sink", "nothing"], "no sink `nothing`"),
        (["--source", "nothing"], "no source `nothing`"),
    ] {
        let (code, _, stderr) = text(&ask(&server, "tap", &args));
        assert!(code == 1 && stderr.contains(why), "{code} {stderr}");
    }
}

/// Scenario: more records than the rate that was asked for. Guarantee: so many are shown, and the number of
/// the others is told.
#[test]
fn tap_skips_what_is_too_much_and_says_so() {
    for sinks in [JSON, RAW] {
        let server = Server::start(&yaml(sinks));
        let mut stream = request(&server.path("control.sock"), "/api/tap?rate=50");
        eventually("somebody watches", || watching(&server) == 1);
        server.send("mesh", line("web", "backend", "/", 200, "-", 1).repeat(5_000).as_bytes());
        let (mut seen, mut shown, mut skipped) = (Vec::new(), 0, 0);
        let mut buffer = [0; 1 << 16];
        while shown + skipped < 5_000 {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "it ended at {shown} shown and {skipped} skipped");
            seen.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&seen);
            shown = text.matches("{\"timestamp\"").count() as u64;
            let told = text.split("{\"skipped\":").skip(1);
            skipped = told.map(|it| it.split('}').next().unwrap().parse::<u64>().unwrap()).sum();
        }
        assert_eq!(shown + skipped, 5_000);
        assert!((50..=250).contains(&shown), "{shown}");
        drop(stream);
        eventually("nobody watches", || watching(&server) == 0);
    }
}

/// Scenario: somebody watches and never reads, at full speed. Guarantee: everything is delivered, nothing is
/// shed, memory stays within the bound, and the next reader is served.
#[test]
fn who_watches_and_never_reads_slows_nobody() {
    let server = Server::start(&yaml(JSON));
    let idle: Vec<UnixStream> = (0..8).map(|_| request(&server.path("control.sock"), "/api/tap?rate=100000")).collect();
    eventually("all watch", || watching(&server) == 8);
    let (code, _, stderr) = text(&ask(&server, "tap", &[]));
    assert!(code == 1 && stderr.contains("8 watch already"), "{code} {stderr}");
    let lines = line("web", "backend", "/a?b=c", 200, "-", 1).repeat(10_000);
    server.send("mesh", lines.as_bytes());
    let before = server.process_bytes("VmRSS");
    for _ in 0..5 {
        server.send("mesh", lines.as_bytes());
    }
    delivered(&server, "files", 60_000);
    let after = server.process_bytes("VmRSS");
    assert!(after < before + (64 << 20), "{before} {after}");
    server.assert_within_memory_bound();
    drop(idle);
    eventually("nobody watches", || watching(&server) == 0);
    let child = tapping(&server, &["--count", "1"]);
    server.send("mesh", line("web", "backend", "/last", 200, "-", 1).as_bytes());
    let (code, stdout, _) = text(&child.wait_with_output().unwrap());
    assert!(code == 0 && stdout.contains("/last"), "{stdout}");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.count("files: ", "shed"), 0);
}

/// Scenario: a client puts terminal sequences and marks that turn the direction of text into what is logged.
/// Guarantee: nothing that reaches a terminal has them.
#[test]
fn nothing_drives_the_terminal() {
    let server = Server::start(&yaml(JSON));
    let hostile = "{\"kuma_source_service\":\"we\\u001b[31mb\",\"kuma_destination_service\":\"back\\u202eend\\u009b2J\",\
        \"kuma_mesh\":\"default\",\"method\":\"GET\",\"path\":\"/\\u001b]0;x\\u0007\",\"response_code\":200,\
        \"response_flags\":\"-\",\"duration_ms\":1,\"start_time\":\"2026-11-20T11:48:37.057Z\"}\n";
    let taps = [tapping(&server, &["--count", "1"]), tapping(&server, &["--pretty", "--count", "1"])];
    server.send("mesh", hostile.as_bytes());
    let mut outputs: Vec<String> = taps.into_iter().map(|it| text(&it.wait_with_output().unwrap()).1).collect();
    eventually("it is in the traffic", || {
        outputs.truncate(2);
        outputs.push(text(&ask(&server, "top", &["--once"])).1);
        outputs[2].contains("back")
    });
    for output in outputs {
        assert!(!output.is_empty());
        let bad = |it: char| (it.is_control() && it != '\n') || ('\u{202a}'..='\u{202e}').contains(&it);
        assert!(!output.contains(bad), "{output:?}");
    }
}

/// Scenario: a sink that takes a part, and secrets that are redacted. Guarantee: who watches the sink sees
/// that part, and nobody sees a secret, not even by a condition.
#[test]
fn tap_of_a_sink_shows_what_it_gets() {
    let server = Server::start(&yaml(
        "redact: {query: [token]}\nsinks:\n  all: {type: file, path: '{dir}/all', encoding: raw}\n  \
         errors: {type: file, path: '{dir}/errors', encoding: json, when: status >= 500}\n",
    ));
    let errors = tapping(&server, &["--sink", "errors", "--count", "2"]);
    let all = tapping(&server, &["--sink", "all", "--count", "4"]);
    let mut by_secret = tapping(&server, &["--where", "body.contains('SECRET')", "--count", "1"]);
    let mut sent = String::new();
    for (at, status) in [200, 500, 404, 503].into_iter().enumerate() {
        sent += &line("web", "backend", &format!("/{at}?token=SECRET"), status, "-", 1);
    }
    server.send("mesh", sent.as_bytes());
    let paths = |child: std::process::Child| -> Vec<String> {
        let (code, stdout, _) = text(&child.wait_with_output().unwrap());
        assert!(code == 0 && !stdout.contains("SECRET") && stdout.contains("REDACTED"), "{stdout}");
        let path = |it: &Value| it["attributes"]["url.path"].as_str().unwrap().to_owned();
        json_lines(stdout.as_bytes()).iter().map(path).collect()
    };
    assert_eq!(paths(errors), ["/1", "/3"]);
    assert_eq!(paths(all), ["/0", "/1", "/2", "/3"]);
    assert!(by_secret.try_wait().unwrap().is_none());
    by_secret.kill().unwrap();
    assert_eq!(by_secret.wait_with_output().unwrap().stdout, b"");
}

/// Scenario: reloads that change something, nothing, and what is wrong. Guarantee: the command waits, says
/// what came of it, and its exit code too.
#[test]
fn reload_says_what_came_of_it() {
    let server = Server::start(&yaml(JSON));
    let config = server.path("logboom.yaml");
    let before = std::fs::read_to_string(&config).unwrap();
    let (code, stdout, _) = text(&ask(&server, "reload", &[]));
    assert!(code == 0 && stdout.contains("has not changed"), "{code} {stdout}");
    std::fs::write(&config, before.replace("sinks:\n", "sinks:\n  more: {type: 'null'}\n")).unwrap();
    let (code, stdout, _) = text(&ask(&server, "reload", &[]));
    assert!(code == 0 && stdout.contains("sinks added: more"), "{code} {stdout}");
    assert_eq!(server.sink("more", "delivered_records"), 0);
    std::fs::write(&config, before.replace("sinks:\n", "sinkz:\n")).unwrap();
    let (code, _, stderr) = text(&ask(&server, "reload", &[]));
    assert!(code == 2 && stderr.contains("logboom.yaml:") && stderr.contains("sinkz"), "{code} {stderr}");
    let (code, stdout, _) = text(&ask(&server, "reload", &["--json"]));
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &answer["outcome"]), (2, &Value::from("refused")));
    assert_eq!((server.reloads("ok"), server.reloads("failed")), (1, 2));
}

/// Scenario: the file of a running process is wrong: in a part that is none of the client's business, then as a whole.
/// Guarantee: the process is found by its file all the same, and is the one to say what is wrong; where the place cannot be
/// known, that is said, and nobody else is asked.
#[test]
fn a_process_is_found_by_a_file_that_is_wrong() {
    let server = Server::start(&yaml(JSON));
    let config = server.path("logboom.yaml");
    let before = std::fs::read_to_string(&config).unwrap();
    let by_file = |command: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
        program.env("XDG_RUNTIME_DIR", "/nonexistent").env_remove("RUNTIME_DIRECTORY");
        text(&program.arg(command).arg("-c").arg(&config).output().unwrap())
    };
    for (failed, wrong, why) in [
        (1, before.replace("sinks:\n", "sinkz:\n"), "unknown key `sinkz`"),
        (2, format!("{before}more: [\n"), "this is not YAML"),
    ] {
        std::fs::write(&config, wrong).unwrap();
        let (code, stdout, stderr) = by_file("status");
        assert!(code == 0 && stdout.contains("files"), "{code} {stdout} {stderr}");
        let (code, _, stderr) = by_file("reload");
        assert!(code == 2 && stderr.contains(why) && stderr.contains("that of before runs on"), "{code} {stderr}");
        assert_eq!(server.reloads("failed"), failed);
    }
    let hidden = before.replace("control: {", "control: [").replace(".sock'}", ".sock'");
    std::fs::write(&config, hidden).unwrap();
    let (code, _, stderr) = by_file("drain");
    assert!(code == 2 && stderr.contains("this is not YAML") && stderr.contains("--socket PATH"), "{code} {stderr}");
    std::fs::write(&config, &before).unwrap();
    let (code, _, stderr) = by_file("reload");
    assert_eq!(code, 0, "{stderr}");
    server.stop().assert_clean();
}

/// Scenario: told to drain, with everything delivered and with records that nobody takes. Guarantee: the
/// exit code is that of the process.
#[test]
fn drain_ends_as_the_process_does() {
    let server = Server::start(&yaml(JSON));
    server.send("mesh", line("web", "backend", "/", 200, "-", 1).as_bytes());
    let (code, stdout, _) = text(&ask(&server, "drain", &["--wait"]));
    assert!(code == 0 && stdout.contains("files: delivered 1"), "{code} {stdout}");
    server.end().assert_clean();

    let server = Server::start(&yaml(JSON));
    let process = server.process();
    let (code, stdout, _) = text(&ask(&server, "drain", &[]));
    assert!(code == 0 && stdout.contains(&process.to_string()), "{code} {stdout}");
    server.end().assert_clean();

    let upstream = DeadPort::new();
    let sinks = format!("sinks:\n  upstream: {{type: otlp, endpoint: 'http://{}'}}\n", upstream.address);
    let server = Server::start(&yaml(&sinks));
    server.send("mesh", line("web", "backend", "/", 200, "-", 1).as_bytes());
    let (code, _, stderr) = text(&ask(&server, "drain", &["--wait"]));
    assert!(code == 3 && stderr.contains("1 records were not delivered"), "{code} {stderr}");
    assert_eq!(server.end().code, 3);
}

/// Scenario: two processes of one user, without a word about control sockets; then one is killed. Guarantee:
/// the second leaves the first its socket and runs without; what was left behind is replaced.
#[test]
fn two_processes_do_not_take_each_others_socket() {
    let runtime = tempfile::TempDir::new().unwrap();
    let socket = runtime.path().join("logboom/control.sock");
    let plain = "sources:\n  mesh: {type: lines, listen: 127.0.0.1:0}\nsinks:\n  nowhere: {type: 'null'}\n";
    let asked = |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
        text(
            &program
                .env("XDG_RUNTIME_DIR", runtime.path())
                .env_remove("RUNTIME_DIRECTORY")
                .args(args)
                .output()
                .unwrap(),
        )
    };
    let first = Server::start_with_runtime(runtime.path(), plain);
    let second = Server::start_with_runtime(runtime.path(), plain);
    second.wait_for_log("no control socket");
    let (code, stdout, stderr) = asked(&["drain"]);
    assert!(code == 0 && stdout.contains(&first.process().to_string()), "{code} {stdout} {stderr}");
    first.end().assert_clean();
    assert!(!socket.exists());
    second.stop().assert_clean();

    let third = Server::start_with_runtime(runtime.path(), plain);
    drop(third);
    assert!(socket.exists());
    let fourth = Server::start_with_runtime(runtime.path(), plain);
    let (code, _, stderr) = asked(&["status"]);
    assert_eq!(code, 0, "{stderr}");
    let named = format!("control: {{socket: '{}'}}\n{plain}", socket.display());
    let refused = Server::refused(&named);
    assert!(refused.code == 1 && refused.stderr.contains("another process listens there"), "{}", refused.stderr);
    fourth.stop().assert_clean();
}

/// Scenario: the next process takes over. Guarantee: the control socket is its own, and was never nobody's.
#[test]
fn the_next_process_has_the_control_socket() {
    let yaml = yaml(&format!("takeover: {{socket: '{{dir}}/takeover.sock'}}\n{JSON}"));
    let first = Server::start(&yaml);
    let socket = first.path("control.sock");
    let (asked, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let second = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !is_over.load(Relaxed) {
                let mut answer = String::new();
                request(&socket, "/livez").read_to_string(&mut answer).unwrap();
                assert!(answer.ends_with("alive\n"), "{answer}");
                asked.fetch_add(1, Relaxed);
            }
        });
        eventually("somebody asks", || asked.load(Relaxed) > 0 || asking.is_finished());
        let second = first.take_over(&yaml);
        first.end().assert_clean();
        is_over.store(true, Relaxed);
        second
    });
    let (code, stdout, _) = text(&ask(&second, "drain", &["--wait"]));
    assert_eq!(code, 0, "{stdout}");
    second.end().assert_clean();
    assert!(!socket.exists());
}
