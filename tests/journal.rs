//! What a journal promises: what was acknowledged is delivered, whatever happens to the process; a
//! sink that is behind slows nobody and gets everything later; what is given up is counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, unused_imports, reason = "the upstream is shared with other tests")]
mod upstream_util;
mod util;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use upstream_util::{Mock, Reply};
use util::otlp::{bodies, encoded};
use util::{DeadPort, Server, eventually};

/// Lines of about 100 bytes, numbered.
fn lines(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|number| format!("{number} {}\n", "x".repeat(100)).into_bytes()).collect()
}

fn numbers(text: &[u8]) -> Vec<usize> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| String::from_utf8_lossy(line).split(' ').next().unwrap().parse().unwrap()).collect()
}

/// The bodies of all records that an upstream has got.
fn delivered(mock: &Mock) -> Vec<String> {
    let got = mock.got();
    got.requests.iter().flat_map(|it| bodies(&prost::Message::decode(it.clone()).unwrap())).collect()
}

fn kill(server: Server) -> Arc<TempDir> {
    let dir = server.dir();
    // SIGKILL.
    drop(server);
    dir
}

/// The segments of a journal, oldest first.
fn segments(journal: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(journal).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "seg")).collect();
    segments.sort();
    segments
}

const SOURCES: &str = "sources: {mesh: {type: lines, listen: 127.0.0.1:0}, otlp: {type: otlp, grpc: 127.0.0.1:0}}\n";

fn with_dead_upstream(dead: &DeadPort, mode: &str) -> String {
    format!(
        "{SOURCES}journal: {{dir: '{{dir}}/journal', max: 64MiB, mode: {mode}}}\n\
         sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\n  \
         late: {{type: otlp, endpoint: 'http://{}', retry: {{initial: 10ms, max: 50ms}}}}",
        dead.address
    )
}

/// What `late` has is written to a file.
fn with_file_instead(mode: &str) -> String {
    format!(
        "{SOURCES}journal: {{dir: '{{dir}}/journal', max: 64MiB, mode: {mode}}}\n\
         sinks: {{late: {{type: file, path: '{{dir}}/late', encoding: raw}}}}"
    )
}

/// Scenario: requests are acknowledged and lines are written while an upstream is away; the
/// process is killed, and started again with another sink under the same name. Guarantee: each
/// acknowledged record, and each line that had been received, is delivered, in order.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    for mode in ["buffered", "durable"] {
        let dead = DeadPort::new();
        let server = Server::start(&with_dead_upstream(&dead, mode));
        server.send("mesh", &lines(0..1000));
        eventually("the file has the lines", || server.sink("files", "delivered_records") == 1000);
        let client = server.grpc("otlp");
        for request in 10..30 {
            let ids = (request * 100..request * 100 + 100).map(|id| format!("{id} otlp"));
            assert_eq!(client.export(encoded(ids)).unwrap(), 0);
        }
        let again = Server::start_in(kill(server), &with_file_instead(mode));
        eventually("everything is delivered", || again.sink("late", "delivered_records") >= 3000);
        assert_eq!(again.sink("late", "recovered_records"), 3000, "{mode}");
        let ended = again.stop();
        ended.assert_clean();
        assert_eq!(numbers(&ended.file("late")), (0..3000).collect::<Vec<_>>(), "{mode}");
    }
}

/// Scenario: the upstream is away, and the process is stopped in order and started again, twice.
/// Guarantee: it ends with code 0 and says what is kept; nothing is lost or sent twice.
#[test]
fn a_backlog_is_kept_when_it_stops() {
    let dead = DeadPort::new();
    let config = with_dead_upstream(&dead, "durable");
    let server = Server::start(&config);
    server.send("mesh", &lines(0..5000));
    eventually("the file has the lines", || server.sink("files", "delivered_records") == 5000);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.count("late: ", "kept in the journal"), 5000);

    let server = Server::start_in(ended.dir(), &config);
    assert_eq!(server.sink("late", "recovered_records"), 5000);
    assert_eq!(server.sink("files", "recovered_records"), 0);
    server.send("mesh", &lines(5000..6000));
    eventually("the file has the lines", || server.sink("files", "delivered_records") == 1000);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.count("late: ", "kept in the journal"), 6000);

    let mock = Mock::at(&dead.address.to_string(), None, |_, _| Reply::Ok);
    let server = Server::start_in(ended.dir(), &config);
    eventually("the upstream has caught up", || server.sink("late", "delivered_records") == 6000);
    server.send("mesh", &lines(6000..6010));
    eventually("it is fed again", || server.sink("late", "delivered_records") == 6010);
    server.stop().assert_clean();
    let got: Vec<usize> =
        delivered(&mock).iter().map(|body| body.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(got, (0..6010).collect::<Vec<_>>());
}

/// Scenario: nobody reads standard output for a while, its inbox is small, and lines come in beside
/// a file. Guarantee: the file has every line at once; the reader of standard output later gets every
/// line once and in order, though most had to be read from the journal.
#[test]
fn a_sink_that_is_behind_catches_up() {
    const LINES: usize = 50_000;
    let mut server = Server::start(&format!(
        "{SOURCES}journal: {{dir: '{{dir}}/journal', max: 64MiB}}\n\
         sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\n  \
         console: {{type: stdout, encoding: raw, inbox: 1MiB, wait_max: forever}}"
    ));
    let stdout = BufReader::new(server.stdout());
    let mut client = server.connect("mesh");
    std::io::Write::write_all(&mut client, &lines(0..LINES)).unwrap();
    eventually("the file is complete", || server.sink("files", "delivered_records") == LINES as u64);
    assert!(server.sink("console", "deferred_records") > 0);
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    let reading = std::thread::spawn(move || {
        stdout.lines().map(|line| line.unwrap().split(' ').next().unwrap().parse().unwrap()).collect::<Vec<usize>>()
    });
    eventually("the console has caught up", || server.sink("console", "delivered_records") == LINES as u64);
    // From memory again, and behind what came from the journal.
    std::io::Write::write_all(&mut client, &lines(LINES..LINES + 100)).unwrap();
    eventually("it is fed again", || server.sink("console", "delivered_records") == LINES as u64 + 100);
    client.finish();
    let ended = server.stop();
    ended.assert_clean();
    assert!(ended.file("out") == lines(0..LINES + 100));
    assert_eq!(reading.join().unwrap(), (0..LINES + 100).collect::<Vec<_>>());
}

/// Scenario: nobody reads standard output, which may not hold anything up, and more comes in than
/// the journal holds. Guarantee: the file has every line; for the console the oldest expire, and the
/// ledger says how many.
#[test]
fn a_full_journal_gives_up_the_oldest_of_who_is_behind() {
    const LINES: usize = 400_000;
    let server = Server::start(
        &format!(
            "{SOURCES}journal: {{dir: '{{dir}}/journal', max: 16MiB, mode: buffered}}\n\
         sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\n\
         sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\n  \
         console: {{type: stdout, encoding: raw, inbox: 1MiB, wait_max: 0s}}"
        )
        .replacen(SOURCES, "", 1),
    );
    server.send("mesh", &lines(0..LINES));
    eventually("the file is complete", || server.sink("files", "delivered_records") == LINES as u64);
    let expired = server.sink("console", "expired_records");
    assert!(expired > 0, "{}", server.status());
    assert_eq!(server.metric("logboom_expired_records_total{sink=\"console\",reason=\"full\"}"), expired as f64);
    assert_eq!(server.metric("logboom_ledger_imbalance_records"), 0.0);
    assert!(server.metric("logboom_journal_bytes") <= f64::from(16 << 20));
    let ended = server.stop();
    assert!(ended.file("out") == lines(0..LINES));
}

/// Scenario: the upstream is away, nothing may expire, and the journal is full. Guarantee: requests
/// are refused as overloaded, and may be sent again; when the upstream comes, all that were
/// acknowledged arrive, and requests are taken again.
#[test]
fn a_full_journal_refuses_requests() {
    let dead = DeadPort::new();
    let server = Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0, message_max: 1MiB, hold_max: 200ms}}}}\n\
         journal: {{dir: '{{dir}}/journal', max: 16MiB, mode: buffered}}\n\
         sinks: {{late: {{type: otlp, endpoint: 'http://{}', retry: {{initial: 10ms, max: 50ms}}}}}}",
        dead.address
    ));
    let client = server.grpc("otlp");
    let mut acknowledged = Vec::new();
    let refused = loop {
        let id = acknowledged.len();
        match client.export(encoded([format!("{id} {}", "x".repeat(500_000))])) {
            Ok(_) => acknowledged.push(id),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(tonic_types::StatusExt::get_error_details(&refused).retry_info().is_some());
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());

    let mock = Mock::at(&dead.address.to_string(), None, |_, _| Reply::Ok);
    eventually("the upstream has caught up", || server.sink("late", "delivered_records") == acknowledged.len() as u64);
    eventually("there is room again", || client.export(encoded(["last"])).is_ok());
    eventually("it arrives", || server.sink("late", "delivered_records") == acknowledged.len() as u64 + 1);
    drop(client);
    server.stop().assert_clean();
    assert_eq!(delivered(&mock).len(), acknowledged.len() + 1);
}

/// Scenario: the upstream is away, nothing may expire, the journal is full, and the process is asked to
/// stop while lines wait. Guarantee: what is the matter can be seen, and every line that was received
/// is in the file of the sink that has room.
#[test]
fn a_full_journal_keeps_no_line_from_a_sink_that_has_room() {
    let dead = DeadPort::new();
    let server = Server::start(&format!(
        "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0}}}}\n\
         journal: {{dir: '{{dir}}/journal', max: 16MiB, mode: buffered}}\n\
         sinks:\n  late: {{type: otlp, endpoint: 'http://{}', retry: {{initial: 10ms, max: 50ms}}}}\n  \
         files: {{type: file, path: '{{dir}}/out', encoding: raw}}",
        dead.address
    ));
    let line = [b"x".repeat(10_000), b"\n".to_vec()].concat();
    let mut client = server.connect("mesh");
    let sent = line.clone();
    let sender = std::thread::spawn(move || while client.write_all(&sent).is_ok() {});
    eventually("it is full", || server.status()["journal"]["full"] == "max");
    assert_eq!(server.metric("logboom_journal_full{reason=\"max\"}"), 1.0);
    assert!(server.page("/readyz").contains("journal: full (max)"), "{}", server.page("/readyz"));
    assert!(server.has_logged("the journal is full (`max`)"));
    let ended = server.stop();
    sender.join().unwrap();
    let received = ended.count("received", "received");
    assert!(received > 1000, "{}", ended.ledger());
    assert_eq!(ended.count("files", "delivered"), received, "{}", ended.ledger());
    let whole = ended.file("out").split_inclusive(|byte| *byte == b'\n').filter(|found| *found == line).count();
    assert!(whole as u64 + 1 >= received, "{whole} of {received}");
}

/// Scenario: the only sink is an upstream that is away. Guarantee: it is ready as long as the journal
/// takes what comes.
#[test]
fn a_journal_that_takes_records_is_ready_without_a_sink() {
    let dead = DeadPort::new();
    let server = Server::start(&format!(
        "sources: {{otlp: {{type: otlp, grpc: 127.0.0.1:0}}}}\n\
         journal: {{dir: '{{dir}}/journal'}}\n\
         sinks: {{late: {{type: otlp, endpoint: 'http://{}', retry: {{initial: 10ms, max: 50ms}}}}}}",
        dead.address
    ));
    assert_eq!(server.grpc("otlp").export(encoded(["kept"])).unwrap(), 0);
    eventually("it is failing", || server.page("/readyz").contains("sink late: failing"));
    assert!(server.page("/readyz").starts_with("ready\n"), "{}", server.page("/readyz"));
}

/// Scenario: another process has the journal. Guarantee: the second one says so, and ends.
#[test]
fn a_journal_is_for_one_process() {
    let config = with_file_instead("durable");
    let server = Server::start(&config);
    let path = server.path("journal").display().to_string();
    let refused = Server::refused(&config.replace("{dir}/journal", &path));
    assert_eq!(refused.code, 1);
    let process = format!("in use by another process, logboom (process {})", server.process());
    assert!(refused.stderr.contains(&process), "{}", refused.stderr);
    for dir in ["{dir}/logboom.yaml", "{dir}/logboom.yaml/below"] {
        let refused = Server::refused(&config.replace("{dir}/journal", dir));
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("logboom.yaml is a file: remove it, or name another"), "{}", refused.stderr);
    }
    server.stop().assert_clean();
}

/// Scenario: with a backlog the process is started with another `max`, with another sink, and without the
/// cursor of a sink. Guarantee: it says how many records wait for whom, that there is more than `max`, and which sink
/// gets everything.
#[test]
fn what_waits_is_told_at_start() {
    let dead = DeadPort::new();
    let config = with_dead_upstream(&dead, "buffered");
    let server = Server::start(&config);
    for part in 0..4 {
        server.send("mesh", &lines(part * 50_000..(part + 1) * 50_000));
    }
    eventually("the file has the lines", || server.sink("files", "delivered_records") == 200_000);
    let dir = kill(server);
    let smaller = config
        .replace(
            "sources: {mesh: {type: lines, listen: 127.0.0.1:0}, otlp: {type: otlp, grpc: 127.0.0.1:0}}",
            "sources: {mesh: {type: lines, listen: 127.0.0.1:0}}",
        )
        .replace("64MiB", "16MiB")
        .replace("sinks:\n", "sinks:\n  more: {type: 'null'}\n");
    let server = Server::start_in(dir, &smaller);
    server.wait_for_log("records from before wait for this sink");
    server.wait_for_log("sink=\"late\" records=200000");
    server.wait_for_log("`max` is 16MiB, and 2");
    server.wait_for_log("sink 'more' is new here, or its cursor is gone");
    let dir = kill(server);
    std::fs::remove_file(dir.path().join("journal/files.cursor")).unwrap();
    let server = Server::start_in(dir, &smaller);
    server.wait_for_log("sink 'files' is new here, or its cursor is gone");
    drop(server);
}

/// Scenario: a journal holds lines and requests; they are replayed to a file, all of them and from an
/// entry on, while the process that has the journal runs. Guarantee: the file has them in order, and
/// the journal is as it was.
#[test]
fn a_journal_is_replayed() {
    let dead = DeadPort::new();
    let server = Server::start(&with_dead_upstream(&dead, "durable"));
    server.send("mesh", &lines(0..1000));
    eventually("the file has the lines", || server.sink("files", "delivered_records") == 1000);
    assert_eq!(server.grpc("otlp").export(encoded(["1000 otlp"])).unwrap(), 0);
    let replay = |arguments: &[&str]| {
        let output = replay(&server.path("journal"), arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(numbers(&replay(&["-o", "stdout:raw"])), (0..=1000).collect::<Vec<_>>());
    let end = server.status()["journal"]["entries"].as_u64().unwrap();
    assert_eq!(numbers(&replay(&["-o", "stdout:raw", "--from", &end.to_string(), "--speed", "10"])), [1000]);
    assert_eq!(replay(&["-o", "stdout:raw", "--from", "2100-01-01T00:00:00Z"]), b"");
    assert_eq!(server.sink("late", "deferred_records") + server.sink("late", "in_flight_records"), 1001);
}

fn replay(journal: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logboom"));
    command.arg("replay").arg(journal).args(arguments).output().unwrap()
}

/// Scenario: three entries of one segment are damaged. Guarantee: a replay says so once, delivers the others, and ends with
/// code 1; one that begins behind the damage says nothing of it, and ends with code 0.
#[test]
fn damage_is_said_once_and_where_it_matters() {
    let dead = DeadPort::new();
    let server = Server::start(&with_dead_upstream(&dead, "durable"));
    for id in 0..20 {
        assert_eq!(server.grpc("otlp").export(encoded([format!("{id} entry {}", "x".repeat(1000))])).unwrap(), 0);
    }
    let dir = kill(server);
    let journal = dir.path().join("journal");
    let segment = segments(&journal).pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    for id in [3, 7, 11] {
        let sign = format!("{id} entry ");
        let at = bytes.windows(sign.len()).position(|it| it == sign.as_bytes()).unwrap();
        bytes[at] ^= 1;
    }
    std::fs::write(&segment, bytes).unwrap();
    let run = |from: &str| {
        let output = replay(&journal, &["-o", "stdout:raw", "--from", from]);
        let said = String::from_utf8_lossy(&output.stderr).matches("is damaged").count();
        (numbers(&output.stdout).len(), said, output.status.code())
    };
    assert_eq!(run("1"), (17, 1, Some(1)));
    // Entry 12 has the record 11.
    assert_eq!(run("12"), (8, 1, Some(1)));
    assert_eq!(run("13"), (8, 0, Some(0)));
}

/// Scenario: the process is killed once a cursor has said how much is on the disk, and then the end
/// of the journal is overwritten. Guarantee: `journal check` does not take it for a write that was interrupted.
#[test]
fn an_end_that_is_gone_is_damage() {
    let dead = DeadPort::new();
    let server = Server::start(&with_dead_upstream(&dead, "durable"));
    for id in 0..20 {
        assert_eq!(server.grpc("otlp").export(encoded([format!("entry {id} {}", "x".repeat(1000))])).unwrap(), 0);
    }
    let dir = server.dir();
    let journal = dir.path().join("journal");
    // Cursors say now and then how much is on the disk.
    let said_so =
        || std::fs::read(journal.join("late.cursor")).is_ok_and(|it| [32, 4096 + 32].iter().any(|at| it[*at] == 21));
    eventually("a cursor knows of all entries", said_so);
    let _same = kill(server);
    let check = || Command::new(env!("CARGO_BIN_EXE_logboom")).args(["journal", "check"]).arg(&journal).output();
    assert_eq!(check().unwrap().status.code(), Some(0));
    let segment = segments(&journal).pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    // With its header: nothing is left to say that it was there.
    let last = bytes.windows(9).rposition(|it| it == b"entry 18 ").unwrap() - 200;
    bytes[last..].fill(0);
    std::fs::write(&segment, bytes).unwrap();
    let checked = check().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("missing at the end"), "{said}");
}

/// Scenario: `journal check` is pointed at something else, at a journal all of whose segments are
/// gone, and at one with a cursor of another journal. Guarantee: none of them is clean.
#[test]
fn what_is_no_whole_journal_is_not_clean() {
    let check = |dir: &Path| {
        let checked = Command::new(env!("CARGO_BIN_EXE_logboom")).args(["journal", "check"]).arg(dir).output().unwrap();
        let said = [checked.stdout, checked.stderr].concat();
        (checked.status.code(), String::from_utf8(said).unwrap())
    };
    let journal = || {
        let dead = DeadPort::new();
        let server = Server::start(&with_dead_upstream(&dead, "durable"));
        assert_eq!(server.grpc("otlp").export(encoded(["kept"])).unwrap(), 0);
        server.stop().dir()
    };
    let (one, other) = (journal(), journal());
    let (code, said) = check(one.path());
    assert!(code == Some(2) && said.contains("there is no journal in it"), "{said}");

    let dir = one.path().join("journal");
    assert_eq!(check(&dir).0, Some(0));
    std::fs::copy(other.path().join("journal/late.cursor"), dir.join("late.cursor")).unwrap();
    let (code, said) = check(&dir);
    assert!(code == Some(1) && said.contains("of another journal"), "{said}");

    let dir = other.path().join("journal");
    for segment in segments(&dir) {
        std::fs::remove_file(segment).unwrap();
    }
    let (code, said) = check(&dir);
    assert!(code == Some(1) && said.contains("missing at the end"), "{said}");
}
