//! Beginning and end: signals, exit codes, the ledger, and what is said when nothing can begin.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, unused_imports, reason = "the upstream is shared with other tests")]
mod upstream_util;
mod util;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use upstream_util::{Mock, Reply};
use util::otlp::{encoded, otlp_json, records};
use util::{DeadPort, Ended, Server, eventually};

const BOTH: &str = "sources:\n  mesh: {type: lines, listen: 127.0.0.1:0}\n  otlp: {type: otlp, grpc: 127.0.0.1:0}\n\
    sinks:\n  lines: {type: file, path: '{dir}/lines', encoding: raw, rotate: {every: 1d}, from: [mesh]}\n  \
    otlp: {type: file, path: '{dir}/otlp', encoding: otlp-json, from: [otlp]}\n\
    shutdown: {grace: 2s}\n";

/// Scenario: asked to stop while clients of both sources send as fast as they can. Guarantee: exit
/// code 0; every record in the ledger is in a file, whole; and every request that was answered OK
/// is among them.
#[test]
fn stopped_under_load() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(BOTH);
        let stop = AtomicBool::new(false);
        let (sent, answered, ended) = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..4)
                .map(|sender| {
                    let mut client = server.connect("mesh");
                    scope.spawn(move || {
                        // One write a line, as a mesh proxy does it.
                        (0..).take_while(|number| client.write_all(line_of(sender, *number).as_bytes()).is_ok()).count()
                    })
                })
                .collect();
            let client = server.grpc("otlp");
            let stop = &stop;
            let exporter = scope.spawn(move || {
                let ok = |it: &usize| !stop.load(Ordering::Relaxed) && client.export(encoded([it.to_string()])).is_ok();
                (0..).take_while(ok).count()
            });
            eventually("there is load", || {
                server.source("mesh", "received_records") > 5_000 && server.source("otlp", "received_records") > 50
            });
            server.signal(signal);
            let ended = server.end();
            stop.store(true, Ordering::Relaxed);
            let sent: Vec<usize> = senders.into_iter().map(|it| it.join().unwrap()).collect();
            (sent, exporter.join().unwrap(), ended)
        });
        ended.assert_clean();
        assert_eq!(
            ended.count("received", "mesh") + ended.count("received", "otlp"),
            ended.count("received", "received")
        );
        assert_lines(&ended, &sent);
        let exported = otlp_json(&ended.file("otlp")).iter().map(|it| records(it).count()).sum::<usize>();
        assert_eq!(exported as u64, ended.count("received", "otlp"));
        assert!(!ended.stderr.contains("did not end in time"), "{}", ended.stderr);
        assert!(exported >= answered, "{exported} of {answered} answered with OK are in the file");
    }
}

/// About as long as an access log has them.
fn line_of(sender: usize, number: usize) -> String {
    format!("{sender} {number} {}\n", "x".repeat(200))
}

/// Each sender's lines are there from the first on without a hole; the very last may be cut.
fn assert_lines(ended: &Ended, sent: &[usize]) {
    let text = String::from_utf8(ended.file("lines")).unwrap();
    assert!(text.ends_with('\n'));
    assert_eq!(text.lines().count() as u64, ended.count("received", "mesh"));
    for sender in 0..sent.len() {
        let prefix = format!("{sender} ");
        let mut lines = text.lines().filter(|line| line.starts_with(&prefix)).enumerate().peekable();
        while let Some((at, line)) = lines.next() {
            let whole = line_of(sender, at);
            assert!(
                whole.strip_suffix('\n') == Some(line) || (lines.peek().is_none() && whole.starts_with(line)),
                "{line} instead of {at}"
            );
        }
    }
}

/// Scenario: a client has sent lines and neither closes nor sends more. Guarantee: the process
/// ends, and what was sent is in the file, the unfinished line too.
#[test]
fn an_idle_connection_does_not_keep_it() {
    let server = Server::start(BOTH);
    let mut client = server.connect("mesh");
    client.write_all(b"one\nunfini").unwrap();
    let _idle = server.grpc("otlp");
    eventually("the line has come", || server.source("mesh", "received_bytes") == 10);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("lines"), b"one\nunfini\n");
}

/// Scenario: asked to stop with a backlog for an upstream that is not there, and for one that
/// never answers and could take an hour. Guarantee: it ends by the grace period with exit code 3 and
/// the count of what is lost; the file beside it is complete.
#[test]
fn stopped_with_a_backlog() {
    let dead = DeadPort::new();
    let silent = Mock::new(|_, _| Reply::Hang);
    for endpoint in [format!("http://{}", dead.address), silent.uri()] {
        let server = Server::start(&format!(
            "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\n\
             sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\n  \
             upstream: {{type: otlp, endpoint: '{endpoint}', timeout: 1h, retry: {{initial: 1h, max: 1h}}}}\n\
             shutdown: {{grace: 1s}}"
        ));
        server.send("mesh", b"one\ntwo\nthree\n");
        let ended = server.stop();
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert_eq!(ended.count("files: ", "delivered"), 3);
        assert_eq!(ended.count("upstream: ", "delivered"), 0);
        let lost = ended.count("upstream: ", "undelivered") + ended.count("upstream: ", "failed");
        assert_eq!(lost, 3, "{}", ended.ledger());
        assert!(ended.stderr.contains("3 records were not delivered in time"), "{}", ended.stderr);
        assert!(!ended.ledger().contains("imbalance"), "{}", ended.ledger());
        assert_eq!(ended.file("out"), b"one\ntwo\nthree\n");
    }
}

/// Scenario: told to stop twice while an hour of grace is left. Guarantee: it ends at once, and
/// says what is lost.
#[test]
fn a_second_signal_ends_the_wait() {
    let silent = Mock::new(|_, _| Reply::Hang);
    let server = Server::start(&format!(
        "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\n\
         sinks: {{upstream: {{type: otlp, endpoint: '{}', timeout: 1h}}}}\nshutdown: {{grace: 10m}}",
        silent.uri()
    ));
    server.send("mesh", b"one\n");
    eventually("the upstream has it", || silent.got().requests.len() == 1);
    server.signal(Signal::TERM);
    server.wait_for_log("stopping: ");
    // Signals close together are one, so it takes some until one counts.
    eventually("a second signal counts", || {
        server.signal(Signal::TERM);
        server.has_logged("stopping at once")
    });
    let ended = server.end();
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("1 records were not delivered in time"), "{}", ended.stderr);
}

/// Scenario: the file is renamed, as logrotate does, and the process is told. Guarantee: what
/// comes later goes to a new file, and no line is lost or in both.
#[test]
fn reopened_after_a_rename() {
    let server = Server::start(BOTH);
    let mut client = server.connect("mesh");
    for round in 0..5 {
        client.write_all(format!("round {round}\n").as_bytes()).unwrap();
        eventually("the line is written", || server.sink("lines", "delivered_records") == round + 1);
        std::fs::rename(server.path("lines"), server.path(&format!("lines.{round}"))).unwrap();
        server.signal(Signal::HUP);
        let reopened = "logboom_file_rotations_total{sink=\"lines\",reason=\"reopen\"}";
        eventually("a new file is there", || {
            server.metric(reopened) == (round + 1) as f64 && server.path("lines").exists()
        });
    }
    client.write_all(b"last\n").unwrap();
    client.finish();
    let ended = server.stop();
    ended.assert_clean();
    for round in 0..5 {
        assert_eq!(ended.file(&format!("lines.{round}")), format!("round {round}\n").as_bytes());
    }
    assert_eq!(ended.file("lines"), b"last\n");
}

/// Scenario: started again in the same place. Guarantee: it goes on where it stopped.
#[test]
fn started_again() {
    let server = Server::start(BOTH);
    server.send("mesh", b"first run\n");
    let ended = server.stop();
    ended.assert_clean();
    let server = Server::start_in(ended.dir(), BOTH);
    server.send("mesh", b"second run\n");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("lines"), b"first run\nsecond run\n");
}

/// Scenario: killed without warning while it writes, then started again. Guarantee: the unix
/// socket it left is no obstacle, and the file has whole lines only.
#[test]
fn started_again_after_a_kill() {
    let yaml = "sources: {mesh: {type: lines, listen: 'unix:{dir}/mesh.sock'}}\n\
        sinks: {files: {type: file, path: '{dir}/out', encoding: raw}}";
    let server = Server::start(yaml);
    let dir = server.dir();
    server.send("mesh", b"before\n");
    eventually("it is written", || server.sink("files", "delivered_records") == 1);
    drop(server);
    // What a crash in the middle of a write leaves behind.
    std::fs::OpenOptions::new().append(true).open(dir.path().join("out")).unwrap().write_all(b"half a li").unwrap();
    let server = Server::start_in(dir, yaml);
    server.send("mesh", b"after\n");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"before\nafter\n");
    assert!(!ended.path("mesh.sock").exists());
}

/// Scenario: what the configuration names cannot be had. Guarantee: exit code 1 before anything
/// is received, and a message that names it, the culprit where there is one, and a way out.
#[test]
fn what_cannot_be_opened() {
    let check = |yaml: &str, expected: &[&str]| {
        let ended = Server::refused(yaml);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        for expected in expected {
            assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains(" ready: "));
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let myself = format!("(process {})", std::process::id());
    let expected = ["source mesh", &address, "is in use", &myself, "choose another address"];
    check(
        &format!("sources: {{mesh: {{type: lines, listen: '{address}'}}}}\nsinks: {{console: {{type: stdout}}}}"),
        &expected,
    );
    let expected = ["source otlp", &address, &myself, "choose another address"];
    check(
        &format!("sources: {{otlp: {{type: otlp, grpc: '{address}'}}}}\nsinks: {{console: {{type: stdout}}}}"),
        &expected,
    );

    let file = |path: &str| {
        format!(
            "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\nsinks: {{files: {{type: file, path: '{path}'}}}}"
        )
    };
    // The configuration itself is a file, so nothing can be below it.
    check(&file("{dir}/logboom.yaml/access.log"), &["sink files", "logboom.yaml"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    if !rustix::process::geteuid().is_root() {
        let path = dir.path().join("access.log");
        check(&file(path.to_str().unwrap()), &["sink files", path.to_str().unwrap()]);
    }
    check(
        "sources: {mesh: {type: lines, listen: 'unix:{dir}/none/x.sock'}}\nsinks: {console: {type: stdout}}",
        &["source mesh", "none/x.sock"],
    );
}

/// Scenario: a configuration with a mistake. Guarantee: exit code 2, with its place.
#[test]
fn what_cannot_be_read() {
    let ended =
        Server::refused("sources: {mesh: {type: lines, listne: 127.0.0.1:0}}\nsinks: {console: {type: stdout}}");
    assert_eq!(ended.code, 2);
    for expected in ["listne", "listen", "logboom.yaml"] {
        assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
    }
}

/// Scenario: something panics. Guarantee: the whole is drained and ends, and says that it crashed.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_the_whole() {
    let yaml =
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\nsinks: {n: {type: \"null\"}}\nadmin: {listen: 'off'}\n";
    let checked = logboom::config::Config::from_text("logboom.yaml", yaml).unwrap();
    let server = logboom::server::Server::open(checked, logboom::source::sockets::Sockets::default()).unwrap();
    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    requests.send(logboom::server::Request::Crash).await.unwrap();
    let finish = server.run(receiver, None).await;
    assert!(finish.crashed);
    assert_eq!(finish.ledger.imbalance(), 0);
}
