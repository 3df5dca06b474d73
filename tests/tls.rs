//! Who is let in: TLS, client certificates, tokens, networks, PROXY headers, on every listener.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod tls_util;
mod util;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use tls_util::{Authority, Trust, finish, put, tls_1_1_hello};
use tonic::Code;
use util::grpc::{Client, framed};
use util::otlp::encoded;
use util::{Server, eventually};

const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A directory with a server's certificate, the authority of its clients, and both authorities.
fn pki() -> (Arc<TempDir>, Authority, Authority) {
    let dir = Arc::new(TempDir::new().unwrap());
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    servers.server(1).write(dir.path(), "server");
    put(&dir.path().join("clients.crt"), &clients.pem);
    (dir, servers, clients)
}

const TLS: &str = "tls: {cert: '{dir}/server.crt', key: '{dir}/server.key'}";
const MUTUAL: &str = "tls: {cert: '{dir}/server.crt', key: '{dir}/server.key', client_ca: '{dir}/clients.crt'}";

fn lines(more: &str) -> String {
    format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0, {more}}}\n\
         sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\nshutdown: {{grace: 2s}}\n"
    )
}

fn otlp(more: &str) -> String {
    format!(
        "sources:\n  otlp: {{type: otlp, grpc: 127.0.0.1:0, {more}}}\n\
         sinks:\n  files: {{type: file, path: '{{dir}}/out', encoding: raw}}\nshutdown: {{grace: 2s}}\n"
    )
}

fn failures(server: &Server, source: &str, reason: &str) -> u64 {
    let series = format!("logboom_tls_handshake_failures_total{{source=\"{source}\",reason=\"{reason}\"}}");
    server.metric(&series) as u64
}

/// Everything that is not TLS as it should be, and how it is counted.
fn strangers(servers: &Authority, clients: &Authority) -> Vec<(&'static str, Result<Trust, Vec<u8>>)> {
    let other = Authority::new("others");
    let refusing = Trust::new(&other, None);
    vec![
        ("no_certificate", Ok(Trust::new(servers, None))),
        ("bad_certificate", Ok(Trust::new(servers, Some(&other.client())))),
        ("bad_certificate", Ok(Trust::new(servers, Some(&clients.expired_client())))),
        // A server's is no client's.
        ("bad_certificate", Ok(Trust::new(servers, Some(&clients.server(3))))),
        ("alert", Ok(refusing)),
        ("incompatible", Err(tls_1_1_hello())),
        ("plaintext", Err(b"a line\n".to_vec())),
        ("plaintext", Err(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec())),
        ("malformed", Err([&[22, 3, 1, 0, 4][..], b"what"].concat())),
        ("closed", Err(tls_1_1_hello()[..20].to_vec())),
    ]
}

/// Sends what is to be refused, and waits until it is.
fn knock(address: &str, stranger: &Result<Trust, Vec<u8>>, bytes: &[u8]) {
    match stranger {
        Ok(trust) => assert!(trust.send(address, bytes).is_err()),
        Err(bytes) => say(address, bytes),
    }
}

/// Sends what may be refused before it is sent, and waits until the connection is closed.
fn say(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    // An alert, a reset, or nothing.
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Scenario: lines over TLS that asks for client certificates. Guarantee: whoever has none, a wrong or an expired
/// one, speaks TLS 1.1 or none at all delivers nothing and is counted by why; the others deliver.
#[test]
fn lines_take_only_who_has_a_certificate() {
    let (dir, servers, clients) = pki();
    let server = Server::start_in(dir, &lines(MUTUAL));
    let address = server.address("mesh").to_owned();
    for (reason, stranger) in strangers(&servers, &clients) {
        let before = failures(&server, "mesh", reason);
        knock(&address, &stranger, b"a line\n");
        eventually(reason, || failures(&server, "mesh", reason) == before + 1);
    }
    server.wait_for_log("it does not speak TLS: turn TLS on in the client");
    assert_eq!((server.source("mesh", "received_records"), server.source("mesh", "received_bytes")), (0, 0));
    let trusted = Trust::new(&servers, Some(&clients.client()));
    trusted.send(&address, b"one\ntwo\nthree").unwrap();
    // A probe says nothing and is no failure.
    drop(TcpStream::connect(&address).unwrap());
    eventually("all have gone", || server.source("mesh", "connections") == 0);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"one\ntwo\nthree\n");
}

/// Scenario: the same for OTLP over gRPC. Guarantee: the same.
#[test]
fn otlp_takes_only_who_has_a_certificate() {
    let (dir, servers, clients) = pki();
    let server = Server::start_in(dir, &otlp(MUTUAL));
    let address = server.address("otlp").to_owned();
    for (reason, stranger) in strangers(&servers, &clients) {
        let before = failures(&server, "otlp", reason);
        match &stranger {
            Ok(trust) => {
                // With TLS 1.3 a client learns only after its handshake that it was refused.
                let refused = Client::connect_tls(&address, trust.grpc()).map(|client| client.export(encoded(["x"])));
                assert!(!matches!(refused, Ok(Ok(_))), "{reason}");
            }
            bytes => knock(&address, bytes, b""),
        }
        eventually(reason, || failures(&server, "otlp", reason) > before);
    }
    assert_eq!(server.source("otlp", "received_records"), 0);
    let trusted = Trust::new(&servers, Some(&clients.client()));
    let client = Client::connect_tls(&address, trusted.grpc()).unwrap();
    assert_eq!(client.export(encoded(["one", "two"])).unwrap(), 0);
    drop(client);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"one\ntwo\n");
}

/// Scenario: tokens on OTLP, in plaintext on loopback; one of them is replaced. Guarantee: without a whole token
/// nothing is accepted, before the body is there; each is counted; the new one counts after SIGHUP, and only it.
#[test]
fn otlp_takes_only_who_has_a_token() {
    let dir = Arc::new(TempDir::new().unwrap());
    put(&dir.path().join("token"), "the-first-long-token\n");
    let yaml = otlp("auth: {bearer: ['${file:{dir}/token}', another-long-enough-token]}");
    let server = Server::start_in(Arc::clone(&dir), &yaml);
    let client = server.grpc("otlp");
    let message = framed(0, &encoded(["one"]));
    let export = |token: &str| {
        let header = ("authorization", token);
        let headers = if token.is_empty() { &[][..] } else { std::slice::from_ref(&header) };
        client.raw_export(headers, message.clone())
    };
    let refused = (200, Some(Code::Unauthenticated));
    let strangers =
        ["", "Bearer", "Bearer the-first-long-toke", "Bearer the-first-long-token1", "Basic the-first-long-token"];
    for token in strangers {
        assert_eq!(export(token), refused, "{token}");
    }
    let count = |series: &str| server.metric(series) as usize;
    let rejected = "logboom_rejected_records_total{source=\"otlp\",reason=\"unauthenticated\"}";
    assert_eq!(count(rejected), strangers.len());
    assert_eq!(count("logboom_otlp_requests_total{source=\"otlp\",code=\"UNAUTHENTICATED\"}"), strangers.len());
    assert_eq!(server.source("otlp", "received_bytes"), 0, "a body was read");
    // Of this one the body never comes.
    drop(client.stall(&b""[..]));
    eventually("it is answered", || count(rejected) == strangers.len() + 1);
    for token in ["Bearer the-first-long-token", "bearer another-long-enough-token"] {
        assert_eq!(export(token), (200, Some(Code::Ok)), "{token}");
    }
    put(&dir.path().join("token"), "the-second-long-token\n");
    server.signal(Signal::HUP);
    eventually("it is read again", || server.reloads("ok") == 1);
    assert_eq!(export("Bearer the-first-long-token"), refused);
    assert_eq!(export("Bearer the-second-long-token"), (200, Some(Code::Ok)));
    drop(client);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"one\none\none\n");
    for secret in ["first-long", "second-long", "another-long"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}

/// Scenario: OTLP over HTTP behind TLS that asks for client certificates, and behind tokens. Guarantee: the same as for
/// gRPC; who has no token is answered 401 with what to send, before the body.
#[test]
fn otlp_over_http_takes_only_who_is_let_in() {
    let (dir, servers, clients) = pki();
    let yaml = otlp(&format!("{MUTUAL}, auth: {{bearer: [a-token-for-sending]}}")).replace("grpc:", "http:");
    let server = Server::start_in(dir, &yaml);
    let address = server.address("otlp").to_owned();
    let trusted = Trust::new(&servers, Some(&clients.client()));
    let post = |trust: &Trust, header: &str, length: usize, body: &[u8]| -> std::io::Result<String> {
        let mut stream = trust.over(TcpStream::connect(&address).unwrap());
        let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n";
        write!(stream, "{head}content-length: {length}\r\n{header}\r\n")?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let body = encoded(["one"]);
    let token = "authorization: Bearer a-token-for-sending\r\n";
    for (reason, stranger) in strangers(&servers, &clients) {
        let before = failures(&server, "otlp", reason);
        match &stranger {
            Ok(trust) => assert!(post(trust, token, body.len(), &body).is_err(), "{reason}"),
            bytes => knock(&address, bytes, b""),
        }
        eventually(reason, || failures(&server, "otlp", reason) > before);
    }
    for header in ["", "authorization: Bearer a-token-for-sendin\r\n"] {
        // The body never comes.
        let answer = post(&trusted, header, body.len(), b"").unwrap();
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Bearer"), "{answer}");
    }
    assert_eq!(server.source("otlp", "received_records"), 0);
    assert_eq!(server.metric("logboom_rejected_records_total{source=\"otlp\",reason=\"unauthenticated\"}") as u64, 2);
    let answer = post(&trusted, token, body.len(), &body).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"one\n");
}

/// One request over a stream that was made for it, and its answer.
fn get(mut stream: impl std::io::Read + std::io::Write, path: &str, header: &str) -> std::io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: logboom\r\n{header}\r\n")?;
    let mut answer = Vec::new();
    // A client that is refused may see a reset.
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Scenario: TLS, client certificates and tokens on the admin listener, put there by a reload. Guarantee: who has
/// not both reads nothing but the probes' pages; what is refused is counted.
#[test]
fn admin_shows_only_to_who_is_let_in() {
    let (dir, servers, clients) = pki();
    let server = Server::start_in(dir, &lines("line_max: 1KiB"));
    let admin = server.admin().to_string();
    let secure = format!(
        "{}admin: {{listen: 127.0.0.1:0, {MUTUAL}, auth: {{bearer: [a-token-for-reading]}}}}\n",
        lines("line_max: 1KiB")
    );
    server.reload(&secure);
    server.wait_for_log("admin changed");
    let trusted = Trust::new(&servers, Some(&clients.client()));
    let ask =
        |trust: &Trust, path: &str, header: &str| get(trust.over(TcpStream::connect(&admin).unwrap()), path, header);
    let check = |path: &str, header: &str, expected: &str| {
        let answer = ask(&trusted, path, header).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path} {header}\n{answer}");
        assert_eq!(expected == "401", answer.contains("www-authenticate: Bearer"), "{answer}");
    };
    for path in ["/livez", "/readyz"] {
        check(path, "", "200");
    }
    for path in ["/metrics", "/status", "/nowhere", "/livez/.."] {
        check(path, "", "401");
        check(path, "authorization: Bearer a-token-for-readin\r\n", "401");
        check(path, "authorization: Bearer wrong\r\n", "401");
    }
    check("/nowhere", "authorization: Bearer a-token-for-reading\r\n", "404");
    for (reason, stranger) in strangers(&servers, &clients) {
        match &stranger {
            Ok(trust) => assert!(ask(trust, "/livez", "").is_err(), "{reason}"),
            bytes => knock(&admin, bytes, b""),
        }
    }
    let metrics = ask(&trusted, "/metrics", "authorization: Bearer a-token-for-reading\r\n").unwrap();
    assert!(metrics.contains("logboom_admin_refused_total{reason=\"unauthenticated\"} 12\n"), "{metrics}");
    assert!(metrics.contains("logboom_admin_refused_total{reason=\"tls\"} 10\n"), "{metrics}");
    server.wait_for_log("TLS handshake of the admin listener failed");
    server.stop().assert_clean();
}

/// Scenario: a client speaks TLS to ports that do not. Guarantee: it makes no record, it is counted, and the log
/// says what to do.
#[test]
fn tls_at_a_plaintext_port_is_told() {
    let (_, servers, _) = pki();
    let trust = Trust::new(&servers, None);
    for (source, yaml) in [("mesh", lines("line_max: 1KiB")), ("otlp", otlp("records_max: 5"))] {
        let server = Server::start(&yaml);
        assert!(trust.send(server.address(source), b"a line\n").is_err());
        eventually("it is counted", || failures(&server, source, "unexpected_tls") == 1);
        server.wait_for_log("the client speaks TLS, and this port does not");
        assert_eq!(server.source(source, "received_records"), 0);
        assert!(get(trust.over(TcpStream::connect(server.admin()).unwrap()), "/livez", "").is_err());
        assert_eq!(server.metric("logboom_admin_refused_total{reason=\"tls\"}") as u64, 1);
        let ended = server.stop();
        ended.assert_clean();
        assert_eq!(ended.file("out"), b"");
    }
}

/// Scenario: one record of TLS is larger than the first read, and nothing comes after it; then much comes in
/// records and writes of all sizes. Guarantee: every line arrives at once, in its order.
#[test]
fn what_tls_has_in_hand_is_read() {
    let (dir, servers, _) = pki();
    let server = Server::start_in(dir, &lines(TLS));
    let mut stream = Trust::new(&servers, None).over(TcpStream::connect(server.address("mesh")).unwrap());
    let line = |number: usize| format!("{number} {}\n", "x".repeat(number % 50));
    let mut sent: String = (0..800).map(line).collect();
    sent.truncate(16_000);
    stream.write_all(sent.as_bytes()).unwrap();
    eventually("all of it is read", || server.source("mesh", "received_bytes") == 16_000);
    let more: String = (0..100_000).map(line).collect();
    let mut random = util::random();
    for piece in util::split(more.as_bytes(), &mut random) {
        stream.write_all(piece).unwrap();
    }
    sent += &more;
    finish(stream).unwrap();
    let ended = server.stop();
    ended.assert_clean();
    assert!(ended.file("out") == sent.as_bytes());
}

/// Scenario: certificates are replaced, by renaming and by exchanging a link as Kubernetes does, while lines and
/// requests come over old and new connections; then a broken one. Guarantee: no connection is dropped, no record
/// is lost, new handshakes see the new certificate; the broken one changes nothing and is counted.
#[test]
fn certificates_are_replaced_under_load() {
    let (dir, servers, _) = pki();
    let secret = dir.path().join("secret");
    let version = |number: u64| {
        let directory = secret.join(format!("v{number}"));
        std::fs::create_dir_all(&directory).unwrap();
        servers.server(number).write(&directory, "server");
        let link = secret.join("next");
        std::os::unix::fs::symlink(format!("v{number}"), &link).unwrap();
        std::fs::rename(link, secret.join("data")).unwrap();
    };
    version(11);
    let linked = TLS.replace("{dir}", "{dir}/secret/data");
    let yaml = format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0, {TLS}}}\n  otlp: {{type: otlp, grpc: 127.0.0.1:0, {linked}}}\n\
         sinks:\n  lines: {{type: file, path: '{{dir}}/lines', encoding: raw, from: [mesh]}}\n  \
         otlp: {{type: file, path: '{{dir}}/otlp', encoding: raw, from: [otlp]}}\n"
    );
    let server = Server::start_in(Arc::clone(&dir), &yaml);
    let (mesh, otlp) = (server.address("mesh").to_owned(), server.address("otlp").to_owned());
    let trust = Trust::new(&servers, None);
    let (stop, fresh) = (AtomicBool::new(false), AtomicUsize::new(0));
    let goes_on = || !stop.load(Ordering::Relaxed);
    let counted = |result: &str| server.metric(&format!("logboom_tls_reloads_total{{result=\"{result}\"}}")) as u64;
    let (lines, requests) = std::thread::scope(|scope| {
        let lasting = scope.spawn(|| {
            let mut stream = trust.over(TcpStream::connect(&mesh).unwrap());
            let sent =
                (0..).take_while(|_| goes_on()).inspect(|it| stream.write_all(format!("{it}\n").as_bytes()).unwrap());
            let sent = sent.count();
            finish(stream).unwrap();
            sent
        });
        let connecting = scope.spawn(|| {
            let connect = |_: &usize| {
                trust.send(&mesh, b"fresh\n").unwrap();
                fresh.fetch_add(1, Ordering::Relaxed);
            };
            (0..).take_while(|_| goes_on()).inspect(connect).count()
        });
        let exporting = scope.spawn(|| {
            let client = Client::connect_tls(&otlp, trust.grpc()).unwrap();
            let export = |it: &usize| assert_eq!(client.export(encoded([it.to_string()])).unwrap(), 0);
            (0..).take_while(|_| goes_on()).inspect(export).count()
        });
        // However this ends, the others are to end.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let stopping = Stop(&stop);
        eventually("there is load", || fresh.load(Ordering::Relaxed) > 5);
        assert_eq!((trust.serial(&mesh), trust.serial(&otlp)), (1, 11));
        servers.server(2).write(dir.path(), "server");
        eventually("it is noticed", || counted("ok") == 1);
        assert_eq!((trust.serial(&mesh), trust.serial(&otlp)), (2, 11));
        version(12);
        eventually("it is noticed", || counted("ok") == 2);
        assert_eq!((trust.serial(&mesh), trust.serial(&otlp)), (2, 12));
        put(&dir.path().join("server.crt"), "not a certificate\n");
        eventually("it is noticed", || counted("failed") == 1);
        server.wait_for_log("source mesh: new certificates cannot be used, those of before stay");
        assert_eq!(trust.serial(&mesh), 2);
        // A signal reads them at once, also where nothing in the configuration has changed.
        servers.server(3).write(dir.path(), "server");
        server.signal(Signal::HUP);
        eventually("it is used", || trust.serial(&mesh) == 3);
        drop(stopping);
        (lasting.join().unwrap() + connecting.join().unwrap(), exporting.join().unwrap())
    });
    let ended = server.stop();
    ended.assert_clean();
    let count = |name: &str| ended.file(name).iter().filter(|it| **it == b'\n').count();
    assert_eq!((count("lines"), count("otlp")), (lines, requests));
}

/// Scenario: 300 connections that never speak, then 300 that send half of their first message and go silent. Guarantee: a good
/// one gets in at once past both; all are closed in time and counted.
#[test]
fn a_flood_of_handshakes_keeps_nobody_out() {
    let (dir, servers, _) = pki();
    let server = Server::start_in(dir, &lines(TLS));
    let address = server.address("mesh").to_owned();
    let trust = Trust::new(&servers, None);
    let connect = |_| TcpStream::connect(&address).unwrap();
    let mute: Vec<TcpStream> = (0..300).map(connect).collect();
    eventually("they are here", || server.source("mesh", "connections") == 300);
    let began = Instant::now();
    trust.send(&address, b"past the mute\n").unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let half: Vec<TcpStream> =
        (0..300).map(connect).inspect(|mut stream| stream.write_all(&tls_1_1_hello()[..20]).unwrap()).collect();
    let began = Instant::now();
    trust.send(&address, b"past the half\n").unwrap();
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let failed = || failures(&server, "mesh", "timeout") + failures(&server, "mesh", "busy");
    eventually("all are closed", || failed() == 600 && server.source("mesh", "connections") == 0);
    drop((mute, half));
    server.assert_within_memory_bound();
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"past the mute\npast the half\n");
}

/// Scenario: 400 connections over TLS that have sent a half line each. Guarantee: the memory they take is within
/// the bound.
#[test]
fn tls_connections_are_within_the_memory_bound() {
    let (dir, servers, _) = pki();
    let server = Server::start_in(dir, &lines(&format!("connections_max: 400, {TLS}")));
    let trust = Trust::new(&servers, None);
    let before = server.process_bytes("VmRSS");
    let open: Vec<_> = (0..400)
        .map(|_| {
            let mut stream = trust.over(TcpStream::connect(server.address("mesh")).unwrap());
            stream.write_all(&[b'x'; 10_000]).unwrap();
            stream.flush().unwrap();
            stream
        })
        .collect();
    eventually("all is here", || server.source("mesh", "received_bytes") == 4_000_000);
    let each = server.process_bytes("VmRSS").saturating_sub(before) / 400;
    // Of which 10,000 are the line.
    assert!(each < 84 << 10, "{each} bytes for each connection");
    server.assert_within_memory_bound();
    drop(open);
    server.stop().assert_clean();
}

/// Scenario: a load balancer puts PROXY headers in front, with and without TLS behind. Guarantee: records carry the
/// client it names; what has no header, or a broken or a late one, is closed, counted, and makes no record.
#[test]
fn proxy_headers_name_the_client() {
    let (dir, servers, _) = pki();
    let json = |more: &str| lines(&format!("proxy_protocol: true, {more}")).replace("raw", "json");
    let plain = Server::start_in(Arc::clone(&dir), &json("line_max: 1KiB"));
    let v2 = |command: u8, body: &[u8]| [PROXY_V2, &[command, 0x11, 0, body.len() as u8], body].concat();
    let named = v2(0x21, &[203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x34, 0, 80]);
    for header in [&b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 5000\r\n"[..], &named, b"PROXY UNKNOWN\r\n", &v2(0x20, &[])] {
        plain.send("mesh", &[header, b"a line\n"].concat());
    }
    let mut local = TcpStream::connect(plain.address("mesh")).unwrap();
    local.write_all(b"PROXY TCP6 2001:db8::1 ::1 1 2\r").unwrap();
    let denied = "logboom_connections_denied_total{source=\"mesh\",reason=\"proxy_header\"}";
    for broken in [&b"a line\n"[..], b"PROXY TCP4 1.2.3.4\r\n", &v2(0x23, &[]), &v2(0x21, b"short"), b"PRO"] {
        let before = plain.metric(denied);
        say(plain.address("mesh"), broken);
        eventually("it is counted", || plain.metric(denied) > before);
    }
    // Probes are no strangers.
    plain.send("mesh", b"");
    let before = plain.metric(denied);
    let mut late = plain.connect("mesh");
    late.write_all(b"PROX").unwrap();
    late.wait_closed();
    assert_eq!(plain.metric(denied), before + 2.0, "the late one and the half one");
    drop(local);
    let ended = plain.stop();
    ended.assert_clean();
    let peers = |ended: &util::Ended| -> Vec<String> {
        let peer = |record: &serde_json::Value| {
            let attributes = &record["attributes"];
            let port = attributes["network.peer.port"].as_u64().unwrap();
            let port = if attributes["network.peer.address"] == "127.0.0.1" { 0 } else { port };
            format!("{} {port}", attributes["network.peer.address"].as_str().unwrap())
        };
        ended.json("out").iter().map(peer).collect()
    };
    assert_eq!(peers(&ended), ["192.0.2.7 4711", "203.0.113.9 4660", "127.0.0.1 0", "127.0.0.1 0"]);

    std::fs::remove_file(dir.path().join("out")).unwrap();
    let server = Server::start_in(dir, &json(TLS));
    let mut stream = TcpStream::connect(server.address("mesh")).unwrap();
    stream.write_all(&named).unwrap();
    let mut stream = Trust::new(&servers, None).over(stream);
    stream.write_all(b"a line\n").unwrap();
    finish(stream).unwrap();
    // TLS without a header in front.
    assert!(Trust::new(&servers, None).send(server.address("mesh"), b"a line\n").is_err());
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(peers(&ended), ["203.0.113.9 4660"]);
}

/// Scenario: peers inside and outside of `allow`, on IPv4, on IPv6, and as IPv4 on an IPv6 listener; the list
/// changes by a reload. Guarantee: who is outside is closed at once, and counted.
#[test]
fn only_allowed_networks_connect() {
    let denied = |server: &Server, source: &str| {
        server.metric(&format!("logboom_connections_denied_total{{source=\"{source}\",reason=\"not_allowed\"}}"))
    };
    let yaml = lines("allow: [10.0.0.0/8, 'fd00::/8']");
    let server = Server::start(&yaml);
    say(server.address("mesh"), b"from outside\n");
    eventually("it is counted", || denied(&server, "mesh") == 1.0);
    server.wait_for_log("its address is not in `allow`");
    server.reload(&yaml.replace("10.0.0.0/8", "127.0.0.0/8"));
    eventually("it is in force", || server.reloads("ok") == 1);
    server.send("mesh", b"from inside\n");
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"from inside\n");

    let mapped = lines("allow: [127.0.0.1], allow_plaintext: true").replace("127.0.0.1:0", "'[::]:0'");
    let server = Server::start(&mapped);
    let port = server.address("mesh").rsplit_once(':').unwrap().1.to_owned();
    for (address, line) in [("127.0.0.1", "four\n"), ("[::1]", "six\n")] {
        say(&format!("{address}:{port}"), line.as_bytes());
    }
    eventually("it is counted", || denied(&server, "mesh") == 1.0);
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"four\n");

    let server = Server::start(&otlp("allow: [10.0.0.0/8]"));
    drop(TcpStream::connect(server.address("otlp")).unwrap());
    eventually("it is counted", || denied(&server, "otlp") == 1.0);
    server.stop().assert_clean();
}

/// Scenario: listeners that other machines reach, by address and by an inherited socket. Guarantee: without TLS
/// nothing starts unless that was written, and the log says what to do, or what was chosen.
#[test]
fn plaintext_for_other_machines_has_to_be_meant() {
    let (dir, ..) = pki();
    let open = lines("line_max: 1KiB").replace("127.0.0.1:0", "0.0.0.0:0");
    let refused = Server::refused(&open);
    assert_eq!(refused.code, 2);
    for text in ["0.0.0.0:0 is reachable from other machines", "nothing is encrypted", "allow_plaintext: true"] {
        assert!(refused.stderr.contains(text), "{}", refused.stderr);
    }
    let meant = Server::start(&open.replace("line_max", "allow_plaintext: true, line_max"));
    meant.wait_for_log("in plaintext and without authentication");
    meant.stop().assert_clean();
    let encrypted = Server::start_in(dir, &lines(TLS).replace("127.0.0.1:0", "0.0.0.0:0"));
    encrypted.wait_for_log("whoever reaches it is let in: write `tls.client_ca` or `allow`");
    encrypted.stop().assert_clean();

    let passed = "exec 3<&0; LISTEN_FDS=1 LISTEN_FDNAMES=mesh";
    let listener = || std::os::fd::OwnedFd::from(TcpListener::bind("0.0.0.0:0").unwrap());
    let inherited = lines("line_max: 1KiB").replace("127.0.0.1:0", "systemd:mesh");
    let refused = Server::refused_inheriting(&inherited, listener(), passed);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("and nothing is encrypted; write `tls:"), "{}", refused.stderr);
    let meant = inherited.replace("line_max", "allow_plaintext: true, line_max");
    let server = Server::start_inheriting(&meant, listener(), passed);
    server.wait_for_log("sources.mesh.listen: 0.0.0.0:");
    // What was meant once can be taken back, but not while it is listened on.
    server.reload(&inherited);
    eventually("it is refused", || server.reloads("failed") == 1);
    server.stop().assert_clean();
}

fn logboom(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_logboom")).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn flags_can_mean_plaintext() {
    let check = |arguments: &[&str], code: i32, text: &str| {
        let got = logboom(&[&["check"], arguments].concat());
        assert!(got.0 == code && got.1.contains(text), "{arguments:?}: {got:?}");
    };
    check(&["-l", "lines://0.0.0.0:5000"], 2, "nothing is encrypted");
    // What to do is said for the command line: there is no file to write into.
    check(
        &["-l", "otlp://0.0.0.0:4317"],
        2,
        "help: put '?tls.cert=FILE&tls.key=FILE' behind it, or listen on 127.0.0.1",
    );
    check(&["-l", "lines://0.0.0.0:5000"], 2, "add --allow-plaintext: docs/security.md");
    check(&["--admin", "0.0.0.0:9464"], 2, "add --allow-plaintext; its TLS is written in a file");
    let (dir, ..) = pki();
    let tls = dir.path().join("server").display().to_string();
    check(&["-l", &format!("lines://0.0.0.0:5000?tls.cert={tls}.crt&tls.key={tls}.key")], 0, "ok\n");
    check(&["-l", "lines://0.0.0.0:5000", "--allow-plaintext"], 0, "in plaintext and without");
    check(&["-l", "lines://0.0.0.0:5000?allow_plaintext=true"], 0, "ok");
    check(&["-l", "lines://0.0.0.0:5000?tls.cert=no.crt&tls.key=no.key"], 2, "cannot read no.crt");
    check(&["--admin", "0.0.0.0:9464"], 2, "nothing is encrypted");
    check(&["--admin", "0.0.0.0:9464", "--allow-plaintext"], 0, "ok");
    check(&["-l", "lines://0.0.0.0:5000", "--admin", "0.0.0.0:9464", "--allow-plaintext"], 0, "ok");
    check(&["--allow-plaintext"], 2, "--listen");
}

/// Guarantee: what listens with TLS and tokens can be tried with `gen`, and who trusts nobody or has no token learns why not.
#[test]
fn load_can_be_made_over_tls() {
    let (dir, servers, _) = pki();
    put(&dir.path().join("servers.crt"), &servers.pem);
    let ca = dir.path().join("servers.crt").display().to_string();
    let generate = |server: &Server, scheme: &str, source: &str, more: &[&str]| {
        let to = format!("{scheme}://{}", server.address(source));
        logboom(&[&["gen", "--rate", "max", "--count", "2000", "--connections", "2", "--to", &to], more].concat())
    };
    let server = Server::start_in(Arc::clone(&dir), &lines(TLS));
    let (code, told) = generate(&server, "lines+tls", "mesh", &["--ca", &ca]);
    assert_eq!(code, 0, "{told}");
    eventually("all have come", || server.source("mesh", "received_records") == 2000);
    let (code, told) = generate(&server, "lines+tls", "mesh", &[]);
    assert!(code == 1 && told.contains("UnknownIssuer") && told.contains("--ca"), "{told}");
    let (code, told) = generate(&server, "lines", "mesh", &["--ca", &ca]);
    assert!(code == 1 && told.contains("name a lines+tls://"), "{told}");
    server.stop().assert_clean();

    let server = Server::start_in(dir, &otlp(&format!("{TLS}, auth: {{bearer: [a-token-for-sending]}}")));
    let more = ["--format", "otlp", "--ca", &ca];
    let (code, told) = generate(&server, "otlps", "otlp", &[&more[..], &["--token", "a-token-for-sending"]].concat());
    assert_eq!(code, 0, "{told}");
    assert_eq!(server.source("otlp", "received_records"), 2000);
    let (code, told) = generate(&server, "otlps", "otlp", &more);
    assert!(code == 1 && told.contains("a valid token is needed"), "{told}");
    server.stop().assert_clean();
}

/// Scenario: certificates and keys that cannot be used. Guarantee: `check` and the start say which file, what is
/// wrong with it, and what to do; what is only unwise is a warning.
#[test]
fn files_that_cannot_be_used_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, servers, clients) = pki();
    let path = |name: &str| dir.path().join(name);
    put(&path("empty"), "");
    put(&path("cut"), &servers.pem[..servers.pem.len() / 2]);
    put(&path("encrypted"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    put(&path("garbage"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let pair = servers.server(2);
    pair.write(dir.path(), "sec1");
    put(&path("sec1.key"), &pair.sec1());
    clients.client().write(dir.path(), "other");
    servers.expired_server().write(dir.path(), "expired");
    servers.server(1).write(dir.path(), "shared");
    std::fs::set_permissions(path("shared.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let yaml = |tls: &str| lines(&format!("tls: {{{tls}}}")).replace("{dir}", dir.path().to_str().unwrap());
    let check = |tls: &str, code: i32, texts: &[&str]| {
        let config = path("check.yaml");
        std::fs::write(&config, yaml(tls)).unwrap();
        let got = logboom(&["check", "-c", config.to_str().unwrap()]);
        assert_eq!(got.0, code, "{tls}: {got:?}");
        texts.iter().for_each(|text| assert!(got.1.contains(text), "{tls}: {text}: {}", got.1));
        if code != 0 {
            let ended = Server::refused(&yaml(tls));
            assert_eq!(ended.code, 1, "{}", ended.stderr);
            texts.iter().for_each(|text| {
                assert!(
                    ended.stderr.contains(text.trim_start_matches("sources.mesh.")),
                    "{tls}: {text}: {}",
                    ended.stderr
                );
            });
        }
    };
    check(
        "cert: '{dir}/no.crt', key: '{dir}/server.key'",
        2,
        &["sources.mesh.tls.cert: cannot read", "no.crt", "check the path"],
    );
    check("cert: '{dir}/server.crt', key: '{dir}/no.key'", 2, &["tls.key: cannot read"]);
    check("cert: '{dir}', key: '{dir}/server.key'", 2, &["tls.cert: cannot read", "not a regular file"]);
    check("cert: '{dir}/empty', key: '{dir}/server.key'", 2, &["tls.cert: there is no certificate in"]);
    check("cert: '{dir}/server.key', key: '{dir}/server.key'", 2, &["tls.cert: there is no certificate in"]);
    check("cert: '{dir}/garbage', key: '{dir}/server.key'", 2, &["tls.cert: a certificate of", "cannot be read"]);
    check("cert: '{dir}/server.crt', key: '{dir}/server.crt'", 2, &["tls.key: there is no key in"]);
    check("cert: '{dir}/server.crt', key: '{dir}/encrypted'", 2, &["is encrypted", "openssl pkey"]);
    check(
        "cert: '{dir}/server.crt', key: '{dir}/other.key'",
        2,
        &["tls.key: the key in", "is not that of the first certificate"],
    );
    check("cert: '{dir}/server.crt', key: '{dir}/sec1.key'", 2, &["is not that of the first certificate"]);
    check("cert: '{dir}/sec1.crt', key: '{dir}/sec1.key'", 0, &["ok\n"]);
    let pair = "cert: '{dir}/server.crt', key: '{dir}/server.key'";
    check(&format!("{pair}, client_ca: '{{dir}}/empty'"), 2, &["tls.client_ca: there is no certificate in"]);
    check(pair, 0, &["ok\n"]);
    check(&format!("{pair}, client_ca: '{{dir}}/clients.crt'"), 0, &["ok\n"]);
    check(
        "cert: '{dir}/expired.crt', key: '{dir}/expired.key'",
        0,
        &["warning: sources.mesh.tls.cert:", "it has expired at 2020-01-01T00:00:00Z"],
    );
    check(
        "cert: '{dir}/shared.crt', key: '{dir}/shared.key'",
        0,
        &["warning: sources.mesh.tls.key:", "every user of this machine", "chmod o-r"],
    );
}

/// Scenario: another process takes over while a connection over TLS is open. Guarantee: what it has sent is
/// delivered, the connection ends in order, and the next one comes to the next process through the same port.
#[test]
fn a_take_over_ends_tls_in_order() {
    let (dir, servers, _) = pki();
    let yaml = format!("{}takeover: {{socket: '{{dir}}/takeover.sock'}}\n", lines(TLS));
    let first = Server::start_in(dir, &yaml);
    let trust = Trust::new(&servers, None);
    let mut stream = trust.over(TcpStream::connect(first.address("mesh")).unwrap());
    stream.write_all(b"one\ntwo\nhal").unwrap();
    eventually("it has come", || first.source("mesh", "received_bytes") == 11);
    let address = first.address("mesh").to_owned();
    let second = first.take_over(&yaml);
    first.end().assert_clean();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "an end in order");
    assert_eq!(second.source("mesh", "connections"), 0);
    trust.send(&address, b"three\n").unwrap();
    let ended = second.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"one\ntwo\nhal\nthree\n");
}

/// Scenario: one logboom sends to another over TLS with a token; the authority it trusts is wrong at first, then
/// replaced under the same path, and nobody signals. Guarantee: nothing is sent before, everything after.
#[test]
fn an_upstream_reads_its_authority_again() {
    let (dir, servers, clients) = pki();
    let collector = Server::start_in(dir, &otlp(&format!("{TLS}, auth: {{bearer: [a-token-for-sending]}}")));
    let dir = Arc::new(TempDir::new().unwrap());
    put(&dir.path().join("ca.crt"), &clients.pem);
    let yaml = format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0}}\nsinks:\n  up: {{type: otlp, endpoint: 'https://{}', \
         retry: {{initial: 10ms, max: 50ms}}, tls: {{ca: '{{dir}}/ca.crt'}}, headers: {{authorization: Bearer a-token-for-sending}}}}\n",
        collector.address("otlp")
    );
    let sender = Server::start_in(Arc::clone(&dir), &yaml);
    sender.send("mesh", b"one\ntwo\n");
    sender.wait_for_log("upstream takes no request");
    assert_eq!(collector.source("otlp", "received_bytes"), 0);
    put(&dir.path().join("ca.crt"), &servers.pem);
    eventually("it is delivered", || sender.sink("up", "delivered_records") == 2);
    sender.stop().assert_clean();
    let ended = collector.stop();
    ended.assert_clean();
    assert_eq!(ended.file("out"), b"one\ntwo\n");
}
