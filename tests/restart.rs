//! Restarts that refuse no connection: sockets that the next process takes over from the running
//! one, and sockets that systemd passes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use logboom::handover::wire::Channel;
use serde_json::json;
use tempfile::TempDir;
use util::otlp::{encoded, otlp_json, records};
use util::{Client, Server, eventually};

const YAML: &str = "sources:\n  mesh: {type: lines, listen: 127.0.0.1:0}\n  local: {type: lines, listen: 'unix:{dir}/local.sock'}\n  \
    otlp: {type: otlp, grpc: 127.0.0.1:0}\n\
    sinks:\n  lines: {type: file, path: '{dir}/lines', encoding: raw, from: [mesh, local]}\n  \
    otlp: {type: file, path: '{dir}/otlp', encoding: otlp-json, from: [otlp]}\n\
    shutdown: {grace: 2s}\ntakeover: {socket: '{dir}/takeover.sock'}\n";

fn send(client: &mut Client, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
}

/// Without a journal, and with one.
fn both() -> [String; 2] {
    [YAML.to_owned(), format!("{YAML}journal: {{dir: '{{dir}}/journal'}}\n")]
}

fn sorted(text: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Scenario: half a line was sent, by TCP and by a unix socket, then another process takes over, then
/// the rest is sent. Guarantee: the line is whole and in the file once; the process before ends
/// with exit code 0; only this user may ask for it.
#[test]
fn a_line_across_two_processes() {
    for yaml in both() {
        a_line_across(&yaml);
    }
}

fn a_line_across(yaml: &str) {
    let first = Server::start(yaml);
    let mode = std::fs::metadata(first.path("takeover.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (mut tcp, mut unix) = (first.connect("mesh"), first.connect("local"));
    send(&mut tcp, "one\ntw");
    send(&mut unix, "eins\nzw");
    eventually("it has come", || {
        first.source("mesh", "received_bytes") == 6 && first.source("local", "received_bytes") == 7
    });
    let second = first.take_over(yaml);
    let ended = first.end();
    ended.assert_clean();
    assert_eq!(ended.count("received", "received"), 2);
    assert_eq!(second.source("mesh", "connections"), 1);
    send(&mut tcp, "o\nthree\n");
    send(&mut unix, "ei\n");
    tcp.finish();
    unix.finish();
    assert!(second.path("local.sock").exists() && second.path("takeover.sock").exists());
    let ended = second.stop();
    ended.assert_clean();
    assert_eq!(sorted(&ended.file("lines")), ["eins", "one", "three", "two", "zwei"]);
    assert!(!ended.path("local.sock").exists() && !ended.path("takeover.sock").exists());
}

/// Scenario: lines come one by one when another process takes over. Guarantee: none is lost or doubled, and the connections
/// go on there.
#[test]
fn a_trickle_across_two_processes() {
    let first = Server::start(YAML);
    let mut clients = [first.connect("mesh"), first.connect("local")];
    let mut trickle = |from: usize, to: usize| {
        (from..to).for_each(|line| clients.iter_mut().for_each(|client| send(client, &format!("{line}\n"))));
    };
    trickle(10_000, 13_000);
    let second = first.take_over(YAML);
    first.end().assert_clean();
    assert_eq!(second.source("mesh", "connections"), 1);
    trickle(13_000, 13_001);
    eventually("the next line comes", || second.source("mesh", "received_bytes") > 0);
    trickle(13_001, 16_000);
    drop(clients);
    let ended = second.stop();
    ended.assert_clean();
    let lines: Vec<String> = (10_000..16_000).flat_map(|line| [line.to_string(), line.to_string()]).collect();
    assert_eq!(sorted(&ended.file("lines")), lines);
}

/// Scenario: the next process has the journal of the one before, then one after that has another. Guarantee: only the last
/// says that one is left, and where.
#[test]
fn a_journal_that_is_left_is_told() {
    let [_, yaml] = both();
    let first = Server::start(&yaml);
    let second = first.take_over(&yaml);
    first.end().assert_clean();
    let third = second.take_over(&yaml.replace("{dir}/journal", "{dir}/other"));
    second.end().assert_clean();
    third.wait_for_log(&format!("the journal of the process before is {}", third.path("journal").display()));
    let again = third.take_over(&yaml.replace("{dir}/journal", "{dir}/other"));
    third.end().assert_clean();
    let ended = again.stop();
    ended.assert_clean();
    assert!(!ended.stderr.contains("the journal of the process before"), "{}", ended.stderr);
}

/// Scenario: a line far over the limit is under way while another process takes over. Guarantee: it
/// is one truncated line, and the next one is whole.
#[test]
fn a_truncated_line_across_two_processes() {
    let yaml = YAML.replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:0, line_max: 1KiB");
    let first = Server::start(&yaml);
    let mut tcp = first.connect("mesh");
    send(&mut tcp, &"x".repeat(5000));
    eventually("it has come", || first.source("mesh", "received_bytes") == 5000);
    let second = first.take_over(&yaml);
    first.end().assert_clean();
    send(&mut tcp, &format!("{}\nnext\n", "x".repeat(5000)));
    tcp.finish();
    let ended = second.stop();
    ended.assert_clean();
    assert_eq!(String::from_utf8(ended.file("lines")).unwrap(), format!("{}\nnext\n", "x".repeat(1024)));
}

/// Scenario: one process after the other takes over while lines come over connections that stay
/// and over new ones, and requests by OTLP. Guarantee: no connection is refused or closed, every line is
/// in the file once and in its order, and every request that was answered OK.
#[test]
fn taken_over_again_and_again_under_load() {
    let mut server = Server::start(YAML);
    let stop = AtomicBool::new(false);
    let connected = AtomicUsize::new(0);
    let mesh = server.address("mesh").to_owned();
    let (sent, exported) = std::thread::scope(|scope| {
        let (stop, connected, mesh) = (&stop, &connected, &mesh);
        let goes_on = || !stop.load(Ordering::Relaxed);
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let mut client = server.connect("mesh");
                scope.spawn(move || {
                    // One write a line and never a read, as a mesh proxy does it.
                    let send = |number: &usize| client.write_all(format!("{sender} {number}\n").as_bytes()).unwrap();
                    let sent = (0..).take_while(|_| goes_on()).inspect(send).count();
                    client.finish();
                    sent
                })
            })
            .collect();
        let connecting = scope.spawn(move || {
            let connect = |number: &usize| {
                let mut stream = TcpStream::connect(mesh).unwrap();
                stream.write_all(format!("2 {number}\n").as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
                connected.fetch_add(1, Ordering::Relaxed);
            };
            (0..).take_while(|_| goes_on()).inspect(connect).count()
        });
        let address = server.address("otlp").to_owned();
        let exporter = scope.spawn(move || {
            // A connection that was told to go away takes no request more; what it has is answered.
            let mut client = util::grpc::Client::connect(&address);
            let mut ok = 0;
            while goes_on() {
                match client.export(encoded([ok.to_string()])) {
                    Ok(_) => ok += 1,
                    Err(_) => client = util::grpc::Client::connect(&address),
                }
            }
            ok
        });
        for _ in 0..5 {
            let before = (connected.load(Ordering::Relaxed), server.source("mesh", "received_records"));
            eventually("there is load", || {
                connected.load(Ordering::Relaxed) > before.0
                    && server.source("mesh", "received_records") > before.1 + 500
            });
            let next = server.take_over(YAML);
            std::mem::replace(&mut server, next).end().assert_clean();
        }
        stop.store(true, Ordering::Relaxed);
        let mut sent: Vec<usize> = senders.into_iter().map(|it| it.join().unwrap()).collect();
        sent.push(connecting.join().unwrap());
        (sent, exporter.join().unwrap())
    });
    let ended = server.stop();
    ended.assert_clean();
    let text = String::from_utf8(ended.file("lines")).unwrap();
    for (sender, sent) in sent.iter().enumerate() {
        let prefix = format!("{sender} ");
        let got: Vec<usize> =
            text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(|it| it.parse().unwrap()).collect();
        assert!(got.iter().copied().eq(0..*sent), "{} of {sent} lines, or not in their order", got.len());
    }
    let got: usize = otlp_json(&ended.file("otlp")).iter().map(|it| records(it).count()).sum();
    assert!(got >= exported, "{got} of {exported} requests");
}

/// Scenario: who wants to take over breaks off at any step, or talks nonsense. Guarantee: the
/// running process goes on with all it has.
#[test]
fn a_successor_that_dies() {
    for yaml in both() {
        survives_successors(&yaml);
    }
}

fn survives_successors(yaml: &str) {
    let server = Server::start(yaml);
    let mut tcp = server.connect("mesh");
    let patience = Duration::from_secs(60);
    let hello = json!({"hello": {"protocol": 1, "version": "test"}});
    let take = json!({"take": {
        "listeners": [{"owner": "source mesh", "address": "127.0.0.1:0"}], "sources": ["mesh"],
    }});
    for step in 0..8 {
        send(&mut tcp, &format!("{step} be"));
        let mut stream = UnixStream::connect(server.path("takeover.sock")).unwrap();
        if step == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        let mut channel = Channel::new(stream, patience).unwrap();
        let wait_for = |channel: &mut Channel, what: &str| loop {
            let message = channel.receive::<serde_json::Value>().unwrap().message;
            if message == what || message.get(what).is_some() {
                break;
            }
        };
        if step > 1 {
            channel.send(&hello, &[], &[]).unwrap();
            wait_for(&mut channel, "offer");
        }
        if step > 2 {
            channel.send(&take, &[], &[]).unwrap();
        }
        if step > 3 {
            let listeners = channel.receive::<serde_json::Value>().unwrap();
            assert_eq!(listeners.fds.len(), 1);
        }
        if step > 4 {
            wait_for(&mut channel, "complete");
        }
        if step > 5 {
            channel.send(&"taken", &[], &[]).unwrap();
        }
        if step > 6 {
            wait_for(&mut channel, "released");
        }
        drop(channel);
        send(&mut tcp, "gun\n");
        eventually("it goes on", || {
            server.metric("logboom_delivered_records_total{sink=\"lines\"}") == f64::from(step + 1)
        });
    }
    let mut channel = Channel::new(UnixStream::connect(server.path("takeover.sock")).unwrap(), patience).unwrap();
    channel.send(&json!({"hello": {"protocol": 99, "version": "9"}}), &[], &[]).unwrap();
    let answer = channel.receive::<serde_json::Value>().unwrap().message;
    assert!(answer["refused"]["why"].as_str().unwrap().contains("restart instead"), "{answer}");
    // And somebody who means it.
    let next = server.take_over(yaml);
    server.end().assert_clean();
    tcp.finish();
    let ended = next.stop();
    ended.assert_clean();
    assert_eq!(sorted(&ended.file("lines")), (0..8).map(|it| format!("{it} begun")).collect::<Vec<_>>());
}

/// Scenario: the next process cannot be what it is to be: its configuration is wrong, or a port is
/// taken, or, when the running one has closed its files already, a sink cannot be opened. Guarantee: it
/// says why and ends, and the running one goes on with all it has.
#[test]
fn a_successor_that_is_refused() {
    for yaml in both() {
        survives_mistakes(&yaml);
    }
}

fn survives_mistakes(yaml: &str) {
    let server = Server::start(yaml);
    let mut tcp = server.connect("mesh");
    send(&mut tcp, "still");
    eventually("it has come", || server.source("mesh", "received_bytes") == 5);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let check = |yaml: &str, code: i32, expected: &str| {
        let ended = server.take_over_refused(yaml);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
    };
    check(&yaml.replace("encoding: raw", "encodign: raw"), 2, "encodign");
    check(&yaml.replace("takeover:", "#"), 1, "--take-over needs `takeover: {socket: PATH}`");
    let listen = "{type: lines, listen: 127.0.0.1:0}";
    check(&yaml.replace(listen, &format!("{{type: lines, listen: '{address}'}}")), 1, "is in use");
    let unopened = "sinks:\n  more: {type: file, path: '{dir}/logboom.yaml/below'}\n";
    for _ in 0..3 {
        check(&yaml.replace("sinks:\n", unopened), 1, "sink more");
        server.wait_for_log("the next process has failed");
    }
    eventually("it goes on", || server.page("/readyz") == "ready\n");
    server.grpc("otlp").export(encoded(["here".to_owned()])).unwrap();
    send(&mut tcp, " here\n");
    tcp.finish();
    server.send("local", b"and here\n");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(sorted(&ended.file("lines")), ["and here", "still here"]);
    assert_eq!((ended.count("received", "received"), ended.count("otlp: ", "delivered")), (3, 1));
}

/// Scenario: the running process dies after it has sent everything, or takes it back. Guarantee: the next
/// one goes on with what it got, or ends without touching it.
#[test]
fn a_predecessor_that_dies() {
    for takes_back in [false, true] {
        let dir = Arc::new(TempDir::new().unwrap());
        let socket = UnixListener::bind(dir.path().join("takeover.sock")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, peer) = listener.accept().unwrap();
        let sent = std::thread::spawn(move || {
            let mut channel = Channel::new(socket.accept().unwrap().0, Duration::from_secs(60)).unwrap();
            drop(socket);
            channel.receive::<serde_json::Value>().unwrap();
            let mesh = json!({"owner": "source mesh", "address": "127.0.0.1:0"});
            let offer = json!({"offer": {"version": "0", "process": 1, "grace_ms": 1000, "listeners": [mesh]}});
            channel.send(&offer, &[], &[]).unwrap();
            let take = channel.receive::<serde_json::Value>().unwrap().message;
            assert_eq!(take["take"]["listeners"], json!([mesh]));
            let handed = json!({"listeners": {"listeners": [{"owner": "source mesh", "path": null}]}});
            channel.send(&handed, &[], &[listener.as_fd()]).unwrap();
            let account = json!({"bytes": 4, "lines": 0, "blank": 0, "truncated": 0, "partial": 0});
            let handed = json!({"source": "mesh", "peer": peer, "is_skipping": false, "account": account});
            channel.send(&json!({"connection": handed}), b"half", &[connection.as_fd()]).unwrap();
            channel.send(&json!({"complete": {"connections": 1}}), &[], &[]).unwrap();
            assert_eq!(channel.receive::<serde_json::Value>().unwrap().message, "taken");
            if takes_back {
                channel.send(&json!({"refused": {"why": "changed my mind"}}), &[], &[]).unwrap();
            }
            connection
        });
        if takes_back {
            let ended = Server::taking_over_refused(dir, YAML);
            assert_eq!(ended.code, 1, "{}", ended.stderr);
            assert!(ended.stderr.contains("changed my mind"), "{}", ended.stderr);
            client.write_all(b"untouched").unwrap();
            let mut bytes = [0; 9];
            sent.join().unwrap().read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"untouched");
            continue;
        }
        let server = Server::taking_over(dir, YAML);
        server.wait_for_log("has died");
        drop(sent.join().unwrap());
        client.write_all(b" and half\n").unwrap();
        drop(client);
        eventually("it is written", || server.sink("lines", "delivered_records") == 1);
        let ended = server.stop();
        ended.assert_clean();
        assert_eq!(ended.file("lines"), b"half and half\n");
    }
}

/// Scenario: the next configuration has another source, and lacks one. Guarantee: what stays is handed
/// over by its name, or by its address; connections of what goes are read to their end and closed.
#[test]
fn a_successor_with_other_sources() {
    let first = Server::start(YAML);
    let (mut tcp, mut unix) = (first.connect("mesh"), first.connect("local"));
    send(&mut tcp, "one\ntw");
    send(&mut unix, "last, without an end");
    eventually("it has come", || first.source("local", "received_bytes") == 20);
    let second = first.take_over(
        &YAML
            .replace(
                "  local: {type: lines, listen: 'unix:{dir}/local.sock'}\n",
                "  more: {type: lines, listen: 'unix:{dir}/more.sock'}\n",
            )
            .replace("[mesh, local]", "[mesh, more]"),
    );
    unix.wait_closed();
    first.end().assert_clean();
    send(&mut tcp, "o\n");
    second.send("more", b"three\n");
    tcp.finish();
    let ended = second.stop();
    ended.assert_clean();
    assert_eq!(sorted(&ended.file("lines")), ["last, without an end", "one", "three", "two"]);
}

/// Scenario: told to take over where nothing runs. Guarantee: it starts as usual.
#[test]
fn nothing_to_take_over() {
    let first = Server::start(YAML);
    let dir = first.dir();
    drop(first);
    // Its sockets are still there, and nobody listens.
    assert!(dir.path().join("takeover.sock").exists());
    let yaml = dir.path().join("logboom.yaml");
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_logboom"));
    let server = Server::start_as(dir, program.args(["run", "--take-over", "-c"]).arg(yaml));
    server.wait_for_log("there is nothing to take over");
    server.send("mesh", b"one\n");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("lines"), b"one\n");
}

const ACTIVATED: &str = "sources: {mesh: {type: lines, listen: 'systemd:mesh'}}\n\
    sinks: {lines: {type: file, path: '{dir}/lines', encoding: raw}}\n";

/// Scenario: the socket is bound by somebody else and passed, and somebody has connected before there
/// was a process. Guarantee: nothing that was sent is lost, from one process to the next.
#[test]
fn an_inherited_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut early = TcpStream::connect(address).unwrap();
    early.write_all(b"early\n").unwrap();
    for yaml in [ACTIVATED.to_owned(), ACTIVATED.replace("systemd:mesh", &address.to_string())] {
        let fd: OwnedFd = listener.try_clone().unwrap().into();
        let server = Server::start_inheriting(&yaml, fd, "exec 3<&0; LISTEN_FDS=1 LISTEN_FDNAMES=mesh");
        assert_eq!(server.address("mesh"), address.to_string());
        eventually("it is written", || server.sink("lines", "delivered_records") == 1);
        let ended = server.stop();
        ended.assert_clean();
        assert_eq!(ended.file("lines"), b"early\n");
        early = TcpStream::connect(address).unwrap();
        early.write_all(b"early\n").unwrap();
    }
    let fd: OwnedFd = listener.try_clone().unwrap().into();
    let grpc = "sources: {otlp: {type: otlp, grpc: 'systemd:otel'}}\nsinks: {nowhere: {type: 'null'}}\n";
    drop(early);
    let server = Server::start_inheriting(grpc, fd, "exec 3<&0; LISTEN_FDS=1 LISTEN_FDNAMES=otel");
    server.grpc("otlp").export(encoded(["first".to_owned()])).unwrap();
    server.stop().assert_clean();
}

/// Scenario: what is inherited does not fit the configuration. Guarantee: exit code 1, and a
/// message that says what was passed.
#[test]
fn inherited_sockets_that_do_not_fit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let check = |sockets: &str, expected: &str| {
        let fd: OwnedFd = listener.try_clone().unwrap().into();
        let ended = Server::refused_inheriting(ACTIVATED, fd, sockets);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
    };
    check("", "none was passed");
    check("exec 3<&0; LISTEN_FDS=1 LISTEN_FDNAMES=web", "passed were web");
    check("exec 3<&0 4<&0; LISTEN_FDS=2 LISTEN_FDNAMES=mesh:mesh", "several inherited sockets");
    check("exec 3</dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=mesh", "not a stream socket that listens");
    check("LISTEN_FDS=5 LISTEN_FDNAMES=mesh", "sockets that were not passed");
    check("LISTEN_FDS=many", "is no number");
}

/// Scenario: a source has both listeners and its successor too; the next one has only `http`; the last
/// one has both, where its predecessor listens on one. Guarantee: what both have stays bound, even on
/// port 0, and what the predecessor lacks is bound anew.
#[test]
fn all_listeners_of_a_source_are_handed_over() {
    let yaml = |places: &str| {
        format!(
            "sources: {{otlp: {{type: otlp, {places}}}}}\nsinks: {{nowhere: {{type: 'null'}}}}\n\
             takeover: {{socket: '{{dir}}/takeover.sock'}}\n"
        )
    };
    let export = |server: &Server, key: &str| {
        let client = util::grpc::Client::connect(server.address_of("otlp", key));
        client.export(encoded(["record".to_owned()])).unwrap();
    };
    let places = |server: &Server| ["grpc", "http"].map(|key| server.address_of("otlp", key).to_owned());
    let both = yaml("grpc: 127.0.0.1:0, http: 127.0.0.1:0");
    let first = Server::start(&both);
    export(&first, "http");
    let before = places(&first);
    let second = first.take_over(&both);
    assert_eq!(places(&second), before);
    first.end().assert_clean();
    ["grpc", "http"].iter().for_each(|key| export(&second, key));
    let [grpc, http] = places(&second);
    let third = second.take_over(&yaml("http: 127.0.0.1:0"));
    second.end().assert_clean();
    assert_eq!(third.address_of("otlp", "http"), http);
    export(&third, "http");
    assert!(TcpStream::connect(&grpc).is_err());
    let fourth = third.take_over(&both);
    third.end().assert_clean();
    assert_eq!(fourth.address_of("otlp", "http"), http);
    ["grpc", "http"].iter().for_each(|key| export(&fourth, key));
    fourth.stop().assert_clean();
}
