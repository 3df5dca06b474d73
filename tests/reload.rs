//! SIGHUP: another configuration takes the place of the one that runs, and nothing that both have
//! is disturbed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use util::otlp::{encoded, otlp_json, records};
use util::{Client, Server, eventually};

const BEFORE: &str = "sources:\n  mesh: {type: lines, listen: 127.0.0.1:0}\n  otlp: {type: otlp, grpc: 127.0.0.1:0}\n\
    sinks:\n  lines: {type: file, path: '{dir}/lines', encoding: raw, from: [mesh]}\n  \
    otlp: {type: file, path: '{dir}/otlp', encoding: otlp-json, from: [otlp]}\nshutdown: {grace: 2s}\n";

fn send(client: &mut Client, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
}

/// Reloads, and waits until that is done.
fn reloaded(server: &Server, yaml: &str) {
    let before = server.reloads("ok");
    server.reload(yaml);
    eventually("the configuration is in force", || server.reloads("ok") == before + 1);
}

/// Reloads what is refused, and waits until that was said.
fn refused(server: &Server, yaml: &str, why: &[&str]) {
    let before = server.reloads("failed");
    server.reload(yaml);
    eventually("the configuration is refused", || server.reloads("failed") == before + 1);
    for why in why {
        server.wait_for_log(why);
    }
}

/// Scenario: a sink is added, another takes less, one is removed, while a line is half sent.
/// Guarantee: the connections stay; what comes before goes to the old sinks, what comes after
/// to the new ones; every record is in the ledger.
#[test]
fn sinks_come_and_go() {
    let server = Server::start(BEFORE);
    let mut lines = server.connect("mesh");
    let grpc = server.grpc("otlp");
    send(&mut lines, "one\ntw");
    grpc.export(encoded(["first".to_owned()])).unwrap();
    eventually("it has come", || server.source("mesh", "received_bytes") == 6);
    reloaded(
        &server,
        &BEFORE
            .replace("from: [mesh]}\n", "from: [mesh], when: 'body != \"three\"'}\n  more: {type: file, path: '{dir}/more', encoding: raw, from: [mesh]}\n")
            .replace("  otlp: {type: file, path: '{dir}/otlp', encoding: otlp-json, from: [otlp]}\n", "  nowhere: {type: 'null'}\n"),
    );
    send(&mut lines, "o\nthree\nfour\n");
    grpc.export(encoded(["second".to_owned()])).unwrap();
    eventually("it has come", || server.sink("more", "delivered_records") == 3);
    assert_eq!(server.source("mesh", "connections_accepted"), 1);
    assert_eq!(server.source("otlp", "connections_accepted"), 1);
    assert_eq!(server.sink("lines", "filtered_records"), 1);
    lines.finish();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("lines"), b"one\ntwo\nfour\n");
    assert_eq!(ended.file("more"), b"two\nthree\nfour\n");
    assert_eq!(otlp_json(&ended.file("otlp")).iter().map(|it| records(it).count()).sum::<usize>(), 1);
    assert_eq!((ended.count("otlp: ", "delivered"), ended.count("nowhere: ", "delivered")), (1, 4));
    assert_eq!(ended.count("received", "received"), 6);
}

/// Scenario: the settings of a file sink change, those of another stay. Guarantee: the path is
/// written on by the new one; the counters go on; the other sink is the same.
#[test]
fn a_sink_on_the_same_path_is_replaced() {
    let server = Server::start(BEFORE);
    let mut lines = server.connect("mesh");
    send(&mut lines, "one\n");
    eventually("it is written", || server.sink("lines", "delivered_records") == 1);
    reloaded(&server, &BEFORE.replace("encoding: raw,", "encoding: raw, rotate: {size: 6B},"));
    send(&mut lines, "two\nthree\n");
    eventually("it is written", || server.metric("logboom_delivered_records_total{sink=\"lines\"}") == 3.0);
    lines.finish();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.count("lines: ", "delivered"), 3);
    assert_eq!(ended.file("lines"), b"three\n");
}

/// Scenario: sources change their address, their limits, their name. Guarantee: connections of a
/// source that stays live on, at its old address nobody listens any more; those of a source that goes
/// are read to their end and closed.
#[test]
fn sources_come_and_go() {
    let server = Server::start(
        &BEFORE.replace("mesh: {type: lines, listen: 127.0.0.1:0}", "mesh: {type: lines, listen: 'unix:{dir}/a.sock'}"),
    );
    let mut lines = server.connect("mesh");
    send(&mut lines, "one\n");
    let moved = BEFORE.replace(
        "mesh: {type: lines, listen: 127.0.0.1:0}",
        "mesh: {type: lines, listen: 'unix:{dir}/b.sock', line_max: 1KiB}",
    );
    eventually("it has come", || server.source("mesh", "received_records") == 1);
    reloaded(&server, &moved);
    eventually("the old path is gone", || !server.path("a.sock").exists());
    send(&mut lines, &format!("two\n{}\n", "x".repeat(2000)));
    let mut other = std::os::unix::net::UnixStream::connect(server.path("b.sock")).unwrap();
    other.write_all(b"three\n").unwrap();
    eventually("it has come", || server.source("mesh", "received_records") == 4);
    assert_eq!(server.metric("logboom_lines_total{source=\"mesh\",result=\"truncated\"}"), 1.0);

    send(&mut lines, "last, without an end");
    let renamed = moved.replace("mesh: {", "web: {").replace("from: [mesh]", "from: [web]");
    reloaded(&server, &renamed);
    lines.wait_closed();
    let mut other = std::os::unix::net::UnixStream::connect(server.path("b.sock")).unwrap();
    other.write_all(b"four\n").unwrap();
    eventually("it has come", || server.source("web", "received_records") == 1);
    drop(other);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!((ended.count("received", "mesh"), ended.count("received", "web")), (5, 1));
    let text = String::from_utf8(ended.file("lines")).unwrap();
    let mut got: Vec<&str> = text.lines().map(|it| &it[..it.len().min(20)]).collect();
    got.sort_unstable();
    assert_eq!(got, ["four", "last, without an end", "one", "three", "two", &"x".repeat(20)]);
    assert!(!ended.path("b.sock").exists());
}

/// Scenario: what is to be read has mistakes, or asks for what cannot be had. Guarantee: everything
/// is as it was, the mistake is logged and counted, and the next good configuration is taken.
#[test]
fn what_is_refused_changes_nothing() {
    let server = Server::start(BEFORE);
    let mut lines = server.connect("mesh");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(server.path("garbage.pem"), "no certificate").unwrap();
    let upstream = |tls: &str| {
        BEFORE.replace(
            "sinks:\n",
            &format!("sinks:\n  up: {{type: otlp, endpoint: 'https://localhost:1', tls: {tls}}}\n"),
        )
    };
    let other_file = Server::start(
        "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\nsinks: {f: {type: file, path: '{dir}/out'}}",
    );
    let locked = other_file.path("out").to_str().unwrap().to_owned();
    let more_sink =
        |path: &str| BEFORE.replace("sinks:\n", &format!("sinks:\n  more: {{type: file, path: '{path}'}}\n"));
    let cases = [
        ("sources: [".to_owned(), vec!["the new configuration is refused"]),
        (String::new(), vec!["missing key `sources`"]),
        (BEFORE.replace("type: lines", "type: lnies"), vec!["lnies"]),
        (BEFORE.replace("encoding: raw", "encodign: raw"), vec!["encodign"]),
        (BEFORE.replace("encoding: raw", "when: 'statsu > 1'"), vec!["statsu"]),
        (BEFORE.replace("from: [mesh]", "from: [mseh]"), vec!["mseh"]),
        (BEFORE.replace("listen: 127.0.0.1:0", &format!("listen: '{address}'")), vec![&address, "is in use"]),
        (BEFORE.replace("grpc: 127.0.0.1:0", "grpc: systemd:x"), vec!["no inherited socket x"]),
        (BEFORE.replace("listen: 127.0.0.1:0", "listen: 'unix:{dir}/none/x.sock'"), vec!["none/x.sock"]),
        (upstream("{ca: '{dir}/missing.pem'}"), vec!["missing.pem"]),
        (upstream("{ca: '{dir}/garbage.pem'}"), vec!["garbage.pem"]),
        (more_sink("{dir}/logboom.yaml/below"), vec!["sink more", "cannot open the directory"]),
        (more_sink(&locked), vec!["sink more", "stop that one"]),
        (format!("{BEFORE}memory: 1MiB\n"), vec!["is not enough"]),
        (format!("{BEFORE}${{env:LOGBOOM_TEST_NOT_SET}}: 1\n"), vec![]),
    ];
    eventually("it is accepted", || server.source("mesh", "connections") == 1);
    let descriptors = server.descriptors();
    for (at, (yaml, why)) in cases.iter().enumerate() {
        refused(&server, yaml, why);
        send(&mut lines, &format!("{at}\n"));
        eventually("it goes on", || server.sink("lines", "delivered_records") == at as u64 + 1);
    }
    eventually("nothing stays open", || server.descriptors() <= descriptors);
    assert_eq!(server.reloads("ok"), 0);
    assert_eq!(server.page("/readyz"), "ready\n");
    reloaded(&server, &BEFORE.replace("2s", "3s"));
    lines.finish();
    let ended = server.stop();
    ended.assert_clean();
    let expected: String = (0..cases.len()).map(|at| format!("{at}\n")).collect();
    assert_eq!(String::from_utf8(ended.file("lines")).unwrap(), expected);
}

/// Scenario: the sink that is to take the place of another on the same path cannot be opened.
/// Guarantee: the old one goes on, and no line is lost.
#[test]
fn a_sink_that_cannot_be_replaced_goes_on() {
    let server = Server::start(BEFORE);
    let mut lines = server.connect("mesh");
    send(&mut lines, "one\n");
    eventually("it is written", || server.sink("lines", "delivered_records") == 1);
    std::fs::create_dir(server.path("sub")).unwrap();
    std::fs::write(server.path("sub/file"), "").unwrap();
    let bad = BEFORE
        .replace("encoding: raw,", "encoding: raw, sync: always,")
        .replace("sinks:\n", "sinks:\n  more: {type: file, path: '{dir}/sub/file/below'}\n");
    refused(&server, &bad, &["sink more"]);
    send(&mut lines, "two\n");
    eventually("it is written", || server.sink("lines", "delivered_records") == 2);
    lines.finish();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("lines"), b"one\ntwo\n");
}

/// Scenario: the settings of a sink change after its directory has become a file. Guarantee: neither the
/// new nor the old one can be opened, so the process delivers what it has to the others and ends
/// with exit code 1.
#[test]
fn a_sink_that_is_lost() {
    let yaml = BEFORE
        .replace("{dir}/lines", "{dir}/sub/lines")
        .replace("sinks:\n", "sinks:\n  more: {type: file, path: '{dir}/more', encoding: raw, from: [mesh]}\n");
    let server = Server::start(&yaml);
    let mut lines = server.connect("mesh");
    send(&mut lines, "one\ntw");
    eventually("it is written", || server.sink("lines", "delivered_records") == 1);
    std::fs::rename(server.path("sub"), server.path("elsewhere")).unwrap();
    std::fs::write(server.path("sub"), "").unwrap();
    server.reload(&yaml.replace("encoding: raw,", "encoding: raw, sync: always,"));
    let ended = server.end();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot be opened again"), "{}", ended.stderr);
    assert!(!ended.ledger().contains("imbalance"), "{}", ended.ledger());
    assert_eq!(ended.file("elsewhere/lines"), b"one\n");
    assert_eq!(ended.file("more"), b"one\ntw\n");
}

/// Scenario: SIGHUP where flags took the place of a file. Guarantee: files are opened anew, and that
/// is all.
#[test]
fn with_flags_there_is_nothing_to_read() {
    let dir = std::sync::Arc::new(tempfile::TempDir::new().unwrap());
    let out = format!("file:{}?encoding=raw", dir.path().join("out").display());
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_logboom"));
    program.args(["-l", "lines://127.0.0.1:0", "-o", &out, "--admin", "127.0.0.1:0"]);
    let server = Server::start_as(dir, &mut program);
    server.send("lines", b"one\n");
    eventually("it is written", || server.sink("file", "delivered_records") == 1);
    std::fs::rename(server.path("out"), server.path("out.1")).unwrap();
    server.signal(Signal::HUP);
    eventually("a new file is there", || server.path("out").exists());
    assert_eq!((server.reloads("ok"), server.reloads("failed")), (0, 0));
    server.stop().assert_clean();
}

/// Scenario: a file without a change, and a file whose only changes need a restart. Guarantee: the
/// first only opens files anew, the second says so.
#[test]
fn what_changes_nothing() {
    let server = Server::start(BEFORE);
    server.reload(&format!("# another comment\n{BEFORE}"));
    server.wait_for_log("the configuration has not changed");
    assert_eq!((server.reloads("ok"), server.reloads("failed")), (0, 0));
    server.stop().assert_clean();
}

/// Scenario: `takeover` is written otherwise, then with more, then as it was. Guarantee: what needs a restart is compared
/// with what runs, not with what was read last, and the log names what was put into force.
#[test]
fn what_needs_a_restart_is_compared_with_what_runs() {
    let before = format!("takeover: {{socket: '{{dir}}/a.sock'}}\n{BEFORE}");
    let moved = before.replace("a.sock", "b.sock");
    let server = Server::start(&before);
    reloaded(&server, &moved);
    server.wait_for_log("configuration reloaded; all that has changed needs a restart");
    server.wait_for_log("`takeover` in the configuration is not what runs");
    reloaded(&server, &moved.replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:0, line_max: 2KiB"));
    server.wait_for_log("sources changed: mesh");
    let ended = {
        reloaded(&server, &before);
        server.reload(&before);
        server.wait_for_log("the configuration has not changed");
        server.stop()
    };
    ended.assert_clean();
    assert_eq!(ended.stderr.matches("is not what runs").count(), 2, "{}", ended.stderr);
}

/// Scenario: with a journal, its block is removed, its size changed and set back, a sink is added, and
/// `message_max` becomes larger than a quarter of it. Guarantee: the block needs a restart and nothing
/// else does; the sink is refused with its name and its line; so is a message that the journal cannot hold.
#[test]
fn a_journal_stays_as_it_is() {
    let with = |journal: &str| {
        let up = "  up: {type: otlp, endpoint: 'http://127.0.0.1:1'}\n";
        format!(
            "{}{journal}",
            BEFORE.replace("sinks:\n", &format!("sinks:\n{up}")).replace("2s", "100ms") + "memory: 128MiB\n"
        )
    };
    let journal = "journal: {dir: '{dir}/journal', max: 64MiB}\n";
    let before = with(journal);
    let server = Server::start(&before);
    for yaml in [with(""), with(&journal.replace("64", "128"))] {
        reloaded(&server, &yaml);
        server.wait_for_log("`journal` in the configuration is not what runs");
    }
    server.reload(&before);
    server.wait_for_log("the configuration has not changed");
    let more =
        before.replace("sinks:\n", "sinks:\n  more: {type: 'null'}\n").replace("encoding: raw", "encoding: json");
    refused(
        &server,
        &more,
        &["sink more (", "logboom.yaml:5:3) is added, sink lines (", "logboom.yaml:7:3) has other settings"],
    );
    let larger =
        with(&journal.replace("64MiB", "1GiB")).replace("grpc: 127.0.0.1:0", "grpc: 127.0.0.1:0, message_max: 20MiB");
    refused(&server, &larger, &["the journal that runs has `max: 64MiB`", "`max: 80MiB` and restart"]);
    server.stop().assert_clean();
}

/// Scenario: a thousand SIGHUPs, alternating between configurations that add, remove, replace and
/// rewire sinks, under load of both sources. Guarantee: no line is lost or written twice where
/// both configurations write it; the last configuration is in force; descriptors and memory are as
/// before.
#[test]
fn a_storm_of_signals() {
    let other = BEFORE
        .replace("encoding: raw,", "encoding: raw, rotate: {every: 2d}, keep: {files: 9},")
        .replace("sinks:\n", "sinks:\n  more: {type: 'null', from: [mesh]}\n")
        .replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:0, line_max: 2KiB");
    let server = Server::start(BEFORE);
    let stop = AtomicBool::new(false);
    let (sent, exported) = std::thread::scope(|scope| {
        let stop = &stop;
        let goes_on = || !stop.load(Ordering::Relaxed);
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let mut client = server.connect("mesh");
                scope.spawn(move || {
                    let send = |number: &usize| client.write_all(format!("{sender} {number}\n").as_bytes()).is_ok();
                    let sent = (0..).take_while(|_| goes_on()).take_while(send).count();
                    client.finish();
                    sent
                })
            })
            .collect();
        let client = server.grpc("otlp");
        let exporter = scope.spawn(move || {
            let ok = |it: &usize| goes_on() && client.export(encoded([it.to_string()])).is_ok();
            (0..).take_while(ok).count()
        });
        reloaded(&server, &other);
        let (descriptors, memory) = (server.descriptors(), server.process_bytes("VmRSS"));
        for round in 0..500 {
            server.reload(if round % 2 == 0 { BEFORE } else { &other });
            server.signal(Signal::HUP);
        }
        eventually("the last one is in force", || {
            let status = server.status();
            status["sinks"].get("more").is_some() && server.reloads("failed") == 0
        });
        server.reload(BEFORE);
        eventually("the last one is in force", || server.status()["sinks"].get("more").is_none());
        assert!(server.reloads("ok") > 3, "{} reloads", server.reloads("ok"));
        eventually("descriptors are given back", || server.descriptors() <= descriptors + 4);
        let grown = server.process_bytes("VmRSS").saturating_sub(memory);
        assert!(grown < 32 << 20, "{grown} bytes more after the storm");
        stop.store(true, Ordering::Relaxed);
        (senders.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>(), exporter.join().unwrap())
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
    assert_eq!(got, exported);
}

/// An address that is free.
fn free() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Scenario: a source gets a second listener, the first one goes, then the other one comes back to an
/// address that is in use. Guarantee: what stays keeps its port and its connections; who connects to
/// what has gone is refused; connections of all listeners together stay within the limit.
#[test]
fn listeners_of_a_source_come_and_go() {
    let address = free();
    let yaml = |places: &str| {
        format!(
            "sources: {{otlp: {{type: otlp, {places}, connections_max: 2}}}}\nsinks: {{nowhere: {{type: 'null'}}}}\n"
        )
    };
    let server = Server::start(&yaml("grpc: 127.0.0.1:0"));
    let first = server.grpc("otlp");
    first.export(encoded(["one".to_owned()])).unwrap();
    reloaded(&server, &yaml(&format!("grpc: 127.0.0.1:0, http: '{address}'")));
    let second = util::grpc::Client::connect(&address);
    second.export(encoded(["two".to_owned()])).unwrap();
    let mut third = std::net::TcpStream::connect(server.address("otlp")).unwrap();
    assert_eq!(std::io::Read::read(&mut third, &mut [0]).unwrap_or(0), 0, "one connection too many");
    first.export(encoded(["three".to_owned()])).unwrap();
    reloaded(&server, &yaml(&format!("http: '{address}'")));
    eventually("nobody listens", || std::net::TcpStream::connect(server.address("otlp")).is_err());
    first.export(encoded(["four".to_owned()])).unwrap();
    second.export(encoded(["five".to_owned()])).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = yaml(&format!("grpc: '{}', http: '{address}'", taken.local_addr().unwrap()));
    refused(&server, &elsewhere, &["source otlp: cannot listen on", "is in use"]);
    second.export(encoded(["six".to_owned()])).unwrap();
    // The same address under the other key.
    reloaded(&server, &yaml(&format!("grpc: '{address}'")));
    second.export(encoded(["seven".to_owned()])).unwrap();
    assert_eq!(server.source("otlp", "connections_accepted"), 2);
    drop((first, second));
    eventually("there is room again", || server.source("otlp", "connections") == 0);
    util::grpc::Client::connect(&address).export(encoded(["eight".to_owned()])).unwrap();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.count("received", "received"), 8);
}
