//! What keeps one who does harm, or a file system that hangs, from holding up the others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod tls_util;
mod util;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tls_util::{Authority, Trust, put};
use tonic::Code;
use util::grpc::framed;
use util::otlp::encoded;
use util::{Server, eventually};

const CONTROL: &str = "control: {socket: '{dir}/control.sock'}\n";
const FILE: &str = "sinks:\n  files: {type: file, path: '{dir}/out', encoding: raw}\nshutdown: {grace: 2s}\n";
const TLS: &str = "tls: {cert: '{dir}/server.crt', key: '{dir}/server.key'}";

/// A command to a running process: exit code, standard output, standard error.
fn command(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
    let output = program.args(arguments).arg("--socket").arg(server.path("control.sock")).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Connects from another address of this machine.
fn connect_from(from: &str, address: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&format!("{from}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.into()
}

/// Scenario: 400 clients of one listener begin a handshake as they should, and go silent. Guarantee: clients of another
/// listener, and those of the same one with another address, get in at once.
#[test]
fn mute_handshakes_hold_up_no_other_listener_and_no_other_peer() {
    let dir = Arc::new(TempDir::new().unwrap());
    let authority = Authority::new("servers");
    authority.server(1).write(dir.path(), "server");
    let sources = format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0, {TLS}}}\n  other: {{type: lines, listen: 127.0.0.1:0, {TLS}}}\n"
    );
    let server = Server::start_in(dir, &format!("{sources}{FILE}"));
    let trust = Trust::new(&authority, None);
    let began = Instant::now();
    let mute: Vec<TcpStream> = (0..400)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address("mesh")).unwrap();
            stream.write_all(&trust.hello()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    // Who has a place has an answer.
    eventually("places are taken", || mute.iter().filter(|it| it.peek(&mut [0]).is_ok_and(|it| it > 0)).count() >= 32);
    trust.send(server.address("other"), b"another listener\n").unwrap();
    let mut stream = trust.over(connect_from("127.0.0.2", server.address("mesh")));
    stream.write_all(b"another peer\n").unwrap();
    tls_util::finish(stream).unwrap();
    // Before the first of the mute ones has given up its place.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    drop(mute);
    eventually("all have gone", || server.source("mesh", "connections") == 0);
    server.assert_within_memory_bound();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"another listener\nanother peer\n");
}

/// Scenario: the configuration is on a file system that hangs, and somebody asks for a reload twice. Guarantee: everything else
/// goes on, and it ends when it is told to.
#[test]
fn a_file_system_that_hangs_holds_up_a_reload_alone() {
    let yaml = format!("sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0}}\n{CONTROL}{FILE}");
    let server = Server::start(&yaml);
    let (file, pipe) = (server.path("logboom.yaml"), server.path("pipe"));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    // Nobody ever writes to it.
    std::fs::rename(&pipe, &file).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("reopening output files");
    server.signal(Signal::HUP);
    server.send("mesh", b"a line\n");
    assert_eq!(command(&server, &["status"]).0, 0);
    let began = Instant::now();
    let ended = server.stop();
    ended.assert_clean();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(ended.file("out"), b"a line\n");
}

/// Scenario: the same, and somebody waits for the answer. Guarantee: it comes, and says that nothing was read.
#[test]
fn a_reload_that_hangs_is_told() {
    let yaml = format!("sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0}}\n{CONTROL}{FILE}");
    let server = Server::start(&yaml);
    let (file, pipe) = (server.path("logboom.yaml"), server.path("pipe"));
    let before = std::fs::read(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    std::fs::rename(&pipe, &file).unwrap();
    let (code, _, stderr) = command(&server, &["reload"]);
    assert!(code == 2 && stderr.contains("has not answered for 10s"), "{code} {stderr}");
    assert_eq!(server.reloads("failed"), 1);
    // It answers again.
    let mut hung = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    hung.write_all(&before).unwrap();
    drop(hung);
    std::fs::write(&pipe, &before).unwrap();
    std::fs::rename(&pipe, &file).unwrap();
    let (code, stdout, stderr) = command(&server, &["reload"]);
    assert!(code == 0 && stdout.contains("has not changed"), "{code} {stdout} {stderr}");
    server.stop().assert_clean();
}

/// Scenario: a certificate that will expire soon, with a key that every user can read; then it is broken, and mended.
/// Guarantee: start and reload warn of the first, reload says that the second is not used, in words and by its exit code.
#[test]
fn a_reload_tells_of_certificates() {
    let dir = Arc::new(TempDir::new().unwrap());
    let authority = Authority::new("servers");
    authority.server_for(1, 10).write(dir.path(), "server");
    std::fs::set_permissions(dir.path().join("server.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let yaml = format!("sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0, {TLS}}}\n{CONTROL}{FILE}");
    let server = Server::start_in(dir, &yaml);
    let trust = Trust::new(&authority, None);
    for warning in ["source mesh: tls.cert: ", "it expires in 10 days", "every user of this machine"] {
        assert!(server.has_logged(warning), "{warning}");
    }
    let (code, stdout, stderr) = command(&server, &["reload"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    for text in ["has not changed", "warning: source mesh: tls.cert: ", "it expires in 10 days", "chmod o-r"] {
        assert!(stdout.contains(text), "{text}: {stdout}");
    }

    put(&server.path("server.crt"), "not a certificate\n");
    for outcome in ["unchanged", "reloaded"] {
        let (code, stdout, stderr) = command(&server, &["reload"]);
        assert_eq!(code, 2, "{stdout} {stderr}");
        let told = "error: source mesh: new certificates cannot be used, those of before stay: tls.cert:";
        assert!(stderr.contains(told), "{stderr}");
        assert!(stdout.contains(if outcome == "reloaded" { "reloaded" } else { "has not changed" }), "{stdout}");
        assert_eq!(trust.serial(server.address("mesh")), 1);
        server.configure(&yaml.replace("grace: 2s", "grace: 3s"));
    }
    let (code, stdout, _) = command(&server, &["reload", "--json"]);
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, answer["certificates_refused"].as_array().map(Vec::len)), (2, Some(1)), "{answer}");

    authority.server(2).write(server.path("").as_path(), "server");
    let (code, stdout, stderr) = command(&server, &["reload"]);
    assert!(code == 0 && stderr.is_empty() && !stdout.contains("warning"), "{code} {stdout} {stderr}");
    assert_eq!(trust.serial(server.address("mesh")), 2);
    server.stop().assert_clean();
}

/// Scenario: requests without a valid token, to a source and to the admin listener, and others that are refused for other
/// reasons. Guarantee: the log names the peer of each kind, and never a token.
#[test]
fn refused_tokens_are_logged() {
    let yaml = format!(
        "sources:\n  otlp: {{type: otlp, grpc: 127.0.0.1:0, message_max: 64KiB, records_max: 2, auth: {{bearer: [a-token-for-sending]}}}}\n{FILE}"
    );
    let server = Server::start(&yaml);
    let client = server.grpc("otlp");
    let right = ("authorization", "Bearer a-token-for-sending");
    let wrong = ("authorization", "Bearer a-canary-that-is-wrong");
    let export = |header, body: &[u8]| client.raw_export(&[header], framed(0, body)).1;
    let log = |texts: &[&str]| {
        let line = server.wait_for_line(texts[0]);
        texts.iter().for_each(|text| assert!(line.contains(text), "{text}: {line}"));
    };
    for _ in 0..3 {
        assert_eq!(export(wrong, &encoded(["one"])), Some(Code::Unauthenticated));
    }
    log(&["code=Unauthenticated", "request refused", "source=otlp", "127.0.0.1:", "suppressed=0"]);
    // Each kind has a line of its own.
    assert_eq!(export(right, b"\xff\xff"), Some(Code::InvalidArgument));
    log(&["malformed protobuf", "request refused"]);
    assert_eq!(export(right, &[0; 70 << 10]), Some(Code::ResourceExhausted));
    log(&["is over message_max", "request refused"]);
    assert_eq!(export(right, &encoded(["a", "b", "c"])), Some(Code::ResourceExhausted));
    log(&["more than 2 log records", "request refused"]);

    server.reload(&format!("{yaml}admin: {{listen: 127.0.0.1:0, auth: {{bearer: [a-token-for-reading]}}}}\n"));
    server.wait_for_log("admin changed");
    let mut stream = TcpStream::connect(server.admin()).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a-canary-that-is-wrong\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    log(&["request of the admin listener refused", "127.0.0.1:"]);
    drop(client);
    let ended = server.stop();
    ended.assert_clean();
    for secret in ["canary", "a-token-for"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}

/// Scenario: over HTTP/2 clients are refused before their body is read, and send it then, as curl does. Guarantee: no reset
/// comes while they do: there are clients that forget the answer when one comes.
#[test]
fn refusals_over_http2_are_not_taken_back() {
    let yaml = format!(
        "sources:\n  otlp: {{type: otlp, http: 127.0.0.1:0, message_max: 64KiB, auth: {{bearer: [a-token-for-sending]}}}}\n{FILE}"
    );
    let server = Server::start(&yaml);
    let address = server.address("otlp").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let check = async |content_type: &str, token: &str, length: usize, expected: u16| {
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let (mut client, mut connection) = h2::client::handshake(stream).await.unwrap();
        let mut ping = connection.ping_pong().unwrap();
        tokio::spawn(connection);
        for _ in 0..50 {
            let request = http::Request::post(format!("http://{address}/v1/logs"))
                .header("content-type", content_type)
                .header("content-length", length)
                .header("authorization", token);
            std::future::poll_fn(|context| client.poll_ready(context)).await.unwrap();
            let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
            let mut answer = answer.await.unwrap();
            assert_eq!(answer.status().as_u16(), expected);
            while let Some(data) = answer.body_mut().data().await {
                let length = data.unwrap().len();
                answer.body_mut().flow_control().release_capacity(length).unwrap();
            }
            // What was sent with the answer has come when this has.
            ping.ping(h2::Ping::opaque()).await.unwrap();
            let reset = std::future::poll_fn(|context| std::task::Poll::Ready(body.poll_reset(context))).await;
            assert!(reset.is_pending(), "{reset:?}");
            if length <= 20_000 {
                body.send_data(Bytes::from(vec![b'x'; length]), true).unwrap();
                ping.ping(h2::Ping::opaque()).await.unwrap();
                let reset = std::future::poll_fn(|context| std::task::Poll::Ready(body.poll_reset(context))).await;
                assert!(!matches!(reset, std::task::Poll::Ready(Ok(_))), "{reset:?}");
            }
        }
    };
    let (wrong, right) = ("Bearer wrong", "Bearer a-token-for-sending");
    runtime.block_on(async {
        check("application/json", wrong, 20_000, 401).await;
        check("application/grpc", wrong, 20_000, 200).await;
        check("text/plain", right, 20_000, 415).await;
        check("application/json", right, 1 << 20, 413).await;
    });
    drop(runtime);
    server.stop().assert_clean();
}

/// Scenario: one who watches reads, two do not, one of them at the control socket, the last is a command; the process is told to
/// stop. Guarantee: it ends at once, and those who read see the end of what they read.
#[test]
fn who_watches_does_not_hold_up_the_end() {
    let yaml = format!("sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0}}\n{CONTROL}{FILE}");
    let server = Server::start(&yaml);
    let watch = || {
        let mut stream = TcpStream::connect(server.admin()).unwrap();
        write!(stream, "GET /api/tap?rate=100000 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        stream
    };
    let mut reading = watch();
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        reading.read_to_end(&mut answer).map(|_| answer)
    });
    let not_reading = watch();
    let mut stuck = UnixStream::connect(server.path("control.sock")).unwrap();
    write!(stuck, "GET /api/tap?rate=100000 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
    let tap = program.arg("tap").arg("--socket").arg(server.path("control.sock"));
    let tap = tap.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("all watch", || server.status()["watching"] == 4);
    // More than the buffers of a socket hold.
    server.send("mesh", &b"GET / 200 a line that somebody watches and somebody does not\n".repeat(200_000));
    eventually("all is delivered", || server.sink("files", "delivered_records") == 200_000);
    let began = Instant::now();
    let ended = server.stop();
    let took = began.elapsed();
    ended.assert_clean();
    // The `grace` that who does not listen would take.
    assert!(took < Duration::from_secs(2), "{took:?}");
    let answer = reader.join().unwrap().unwrap();
    assert!(answer.ends_with(b"\r\n0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&answer[answer.len() - 80..]));
    let tap = tap.wait_with_output().unwrap();
    let stderr = String::from_utf8(tap.stderr).unwrap();
    assert!(tap.status.code() == Some(1) && stderr.contains("the process has ended"), "{:?} {stderr}", tap.status);
    drop((not_reading, stuck));
}

/// Scenario: over HTTP/1.1 the head of a first request, and of one after another, comes byte by byte, and a connection pauses
/// between two requests. Guarantee: the slow ones are closed after 10 s, who pauses is not.
#[test]
fn slow_heads_are_closed_and_pauses_are_not() {
    let yaml = format!("sources:\n  otlp: {{type: otlp, http: 127.0.0.1:0}}\n{FILE}");
    let server = Server::start(&yaml);
    let connect = || util::http::Client::connect(server.address("otlp"));
    let request = |client: &mut util::http::Client| client.export("application/json", &[], b"{}").status;
    let (mut first, mut second, mut pausing) = (connect(), connect(), connect());
    assert_eq!((request(&mut second), request(&mut pausing)), (200, 200));
    let began = Instant::now();
    let slow = |mut client: util::http::Client| {
        std::thread::spawn(move || {
            client.write(b"POST /v1/logs HTTP/1.1\r\n").unwrap();
            // It goes on as long as anybody listens.
            while client.write(b"a: b\r\n").is_ok() && began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(500));
            }
            began.elapsed()
        })
    };
    first.write(b"").unwrap();
    for slow in [slow(first), slow(second)] {
        let took = slow.join().unwrap();
        assert!((9..60).contains(&took.as_secs()), "{took:?}");
    }
    assert_eq!(request(&mut pausing), 200);
    server.wait_for_log("the head of a request was not complete within 10s");
    assert_eq!(server.source("otlp", "accept_errors"), 2);
    drop(pausing);
    server.stop().assert_clean();
}
