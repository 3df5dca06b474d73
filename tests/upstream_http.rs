//! Sink `otlp` with `protocol: http` against an upstream that misbehaves by script.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, reason = "only the sink is used, not the upstream over gRPC")]
mod upstream_util;
mod util;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use logboom::config::units::WaitMax;
use logboom::sink::otlp::Reason;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use upstream_util::{Sink, batch, ids, inbox, padded_batch};
use util::Server;

/// A request as it came; the body is inflated.
#[derive(Clone, Debug)]
struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    at: Instant,
}

impl Got {
    fn ids(&self) -> Vec<u64> {
        ids(&ExportLogsServiceRequest::decode(&self.body[..]).unwrap())
    }
}

/// The answer: status, more headers, body. `None` hangs up.
type Reply = Option<(u16, String, Vec<u8>)>;
type Script = Arc<dyn Fn(usize, &Got) -> Reply + Send + Sync>;

fn status(status: u16) -> Reply {
    Some((status, String::new(), Vec::new()))
}

/// An upstream until it is dropped.
struct Mock {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Mock {
    fn new(script: impl Fn(usize, &Got) -> Reply + Send + Sync + 'static) -> Mock {
        Mock::with(None, script)
    }

    fn with(tls: Option<Arc<ServerConfig>>, script: impl Fn(usize, &Got) -> Reply + Send + Sync + 'static) -> Mock {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mock = Mock {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            connections: Arc::default(),
            ended: Arc::default(),
        };
        let (got, connections, ended) = (Arc::clone(&mock.got), Arc::clone(&mock.connections), Arc::clone(&mock.ended));
        let script: Script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                connections.fetch_add(1, SeqCst);
                let (script, got, tls) = (Arc::clone(&script), Arc::clone(&got), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &script, &got),
                    Some(config) => {
                        serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &script, &got)
                    }
                });
            }
        });
        mock
    }

    fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.ended.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection, as long as the client keeps it.
fn serve(mut stream: impl Read + Write, script: &Script, got: &Mutex<Vec<Got>>) {
    let mut buffer = Vec::new();
    while let Some(request) = request(&mut stream, &mut buffer) {
        let reply = {
            let mut got = got.lock().unwrap();
            got.push(request.clone());
            script(got.len() - 1, &request)
        };
        let Some((status, headers, body)) = reply else { return };
        let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<Got> {
    let mut more = |buffer: &mut Vec<u8>| {
        let mut bytes = [0; 64 << 10];
        let length = stream.read(&mut bytes).ok().filter(|it| *it > 0)?;
        buffer.extend_from_slice(&bytes[..length]);
        Some(())
    };
    let end = loop {
        match buffer.windows(4).position(|it| it == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(buffer)?,
        }
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
    assert_eq!((line[0], line[2]), ("POST", "HTTP/1.1"));
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while buffer.len() < length {
        more(buffer)?;
    }
    let packed: Vec<u8> = buffer.drain(..length).collect();
    let mut body = Vec::new();
    match headers.get("content-encoding").map(String::as_str) {
        None => body = packed,
        Some("gzip") => drop(GzDecoder::new(&packed[..]).read_to_end(&mut body).unwrap()),
        Some("zstd") => body = zstd::decode_all(&packed[..]).unwrap(),
        Some(other) => panic!("{other}"),
    }
    Some(Got { path: line[1].to_owned(), headers, body, at: Instant::now() })
}

fn sink(endpoint: &str, more: &str) -> Sink {
    Sink::new(inbox(64 << 20, WaitMax::Forever), &format!("endpoint: {endpoint}\nprotocol: http\n{more}"))
}

/// Scenario: requests one after the other, in every compression, with and without a path. Guarantee: the path and
/// the headers that the specification asks for, the bytes of the batches, and one connection for all.
#[tokio::test(flavor = "multi_thread")]
async fn requests() {
    for (path, expected) in [("", "/v1/logs"), ("/", "/v1/logs"), ("/otlp/mine", "/otlp/mine")] {
        for compression in ["none", "gzip", "zstd"] {
            let mock = Mock::new(|_, _| status(200));
            let sink = sink(
                &format!("{}{path}", mock.uri()),
                &format!("compression: {compression}\nheaders: {{X-Tenant: blue}}"),
            );
            let batches = [batch(0..50), padded_batch([50], 300_000), batch(51..60)];
            for (number, batch) in batches.iter().enumerate() {
                sink.put(batch.clone()).await;
                util::eventually("it has come", || mock.got().len() > number);
            }
            let summary = sink.finish().await;
            assert_eq!((summary.delivered, summary.failed, summary.left), (60, 0, 0));
            let got = mock.got();
            assert_eq!(got.len(), 3);
            for (got, batch) in got.iter().zip(&batches) {
                assert!(got.body == batch.payload);
                assert_eq!(got.path, expected);
                assert_eq!(got.headers["content-type"], "application/x-protobuf");
                assert_eq!(got.headers["x-tenant"], "blue");
                assert_eq!(got.headers["host"], mock.address.to_string());
                assert!(got.headers["user-agent"].starts_with("logboom/"));
                assert!(!got.headers.contains_key("transfer-encoding"));
            }
            assert_eq!(mock.connections.load(SeqCst), 1);
        }
    }
}

/// Scenario: every status once. Guarantee: the retry table of the specification, what says nothing about the records is
/// waited out, nothing else is sent twice; the reason is counted.
#[tokio::test]
async fn every_status() {
    async fn check(code: u16, expected: &str, reason: Option<Reason>) {
        let mock = Mock::new(move |nth, _| if nth == 0 { status(code) } else { status(200) });
        let sink = sink(&mock.uri(), "");
        sink.put(batch([1])).await;
        let summary = sink.finish().await;
        let got = match (mock.got().len(), summary.delivered, summary.failed) {
            (1, 1, 0) => "accepted",
            (1, 0, 1) => "refused",
            (2, 1, 0) => "sent again",
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!(got, expected, "{code}");
        if let Some(reason) = reason {
            assert_eq!(summary.stats.retries(reason) + summary.stats.failed(reason), 1, "{code}");
        }
    }
    for code in [200, 202, 204] {
        check(code, "accepted", None).await;
    }
    for (code, reason) in [
        (429, Reason::ResourceExhausted),
        (502, Reason::Unavailable),
        (503, Reason::Unavailable),
        (504, Reason::Unavailable),
        (401, Reason::Unauthenticated),
        (403, Reason::PermissionDenied),
        (404, Reason::NotFound),
        (302, Reason::Unimplemented),
        (405, Reason::Unimplemented),
        (415, Reason::Unimplemented),
        (408, Reason::DeadlineExceeded),
    ] {
        check(code, "sent again", Some(reason)).await;
    }
    for (code, reason) in [
        (400, Reason::InvalidArgument),
        (413, Reason::ResourceExhausted),
        (500, Reason::Internal),
        (418, Reason::Unknown),
    ] {
        check(code, "refused", Some(reason)).await;
    }
}

/// Scenario: the upstream names a time, in seconds and as a date. Guarantee: nothing is sent before.
#[tokio::test]
async fn times_to_wait() {
    // A date has whole seconds, so this one is at least one second away.
    let date = || httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2));
    for in_seconds in [true, false] {
        let header =
            move || if in_seconds { "retry-after: 1\r\n".to_owned() } else { format!("Retry-After: {}\r\n", date()) };
        let mock = Mock::new(move |nth, _| match nth {
            0 => Some((503, header(), b"later".to_vec())),
            _ => status(200),
        });
        let sink = sink(&mock.uri(), "retry: {initial: 1ms, max: 2ms}");
        sink.put(batch([1])).await;
        assert_eq!(sink.finish().await.delivered, 1);
        let got = mock.got();
        assert_eq!(got.len(), 2);
        assert!(got[1].at - got[0].at >= Duration::from_millis(850), "{:?}", got[1].at - got[0].at);
    }
}

/// Scenario: one record of a thousand is refused with 400, requests of more than ten records with 413. Guarantee: the
/// others arrive once each, and the error is what the upstream said.
#[tokio::test]
async fn what_is_refused_is_taken_apart() {
    let poison = Mock::new(|_, got| match got.ids().contains(&666) {
        true => {
            Some((400, "content-type: application/json\r\n".to_owned(), br#"{"code":3,"message":"poison"}"#.to_vec()))
        }
        false => status(200),
    });
    let sink = sink(&poison.uri(), "");
    sink.put(batch(0..1000)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (999, 1));
    assert_eq!(summary.stats.failed(Reason::InvalidArgument), 1);
    assert_eq!(summary.stats.last_error().unwrap(), "HTTP 400 Bad Request: poison");

    let small = Mock::new(|_, got| status(if got.ids().len() > 10 { 413 } else { 200 }));
    let sink = self::sink(&small.uri(), "");
    sink.put(batch(0..64)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (64, 0));
}

/// Scenario: 200, but for some records; 200 with a body that is none or has no end. Guarantee: what was rejected is
/// counted, nothing is sent again.
#[tokio::test]
async fn partial_success() {
    let partial = [b"\x0a\x0a\x08\x03\x12\x06too \x1bx".to_vec(), b"\xff\xff".to_vec(), vec![0; 5 << 20]];
    for (body, failed) in partial.into_iter().zip([3, 0, 0]) {
        let mock = Mock::new(move |_, _| Some((200, String::new(), body.clone())));
        let sink = sink(&mock.uri(), "");
        sink.put(batch(0..10)).await;
        let summary = sink.finish().await;
        assert_eq!((summary.delivered, summary.failed, mock.got().len()), (10 - failed, failed, 1));
        assert_eq!(summary.stats.failed(Reason::PartialSuccess), failed);
    }
}

/// Scenario: the first endpoint hangs up, or does not listen at all; answers never come. Guarantee: the next endpoint
/// gets it; a timeout is one.
#[tokio::test]
async fn failover_and_timeout() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hangs_up = Mock::new(|_, _| None);
    for first in [format!("http://{free}"), hangs_up.uri()] {
        let second = Mock::new(|_, _| status(200));
        let sink = sink(&format!("['{first}', '{}']", second.uri()), "");
        sink.put(batch([1])).await;
        let summary = sink.finish().await;
        assert_eq!((summary.delivered, second.got().len()), (1, 1));
        assert_eq!(summary.stats.retries(Reason::Connection), 1);
    }
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = sink(&format!("http://{}", mute.local_addr().unwrap()), "timeout: 100ms");
    sink.put(batch([1])).await;
    sink.retries(1).await;
    assert!(sink.stats.retries(Reason::Timeout) >= 1);
    assert_eq!(sink.stop(Duration::from_millis(300)).await.left, 1);
}

/// Scenario: TLS with our own authority and certificate, by name and by address. Guarantee: it is used, the name is
/// checked, who is not trusted gets nothing.
#[tokio::test]
async fn tls() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let dir = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let path = dir.path().join("ca.crt");
    std::fs::write(&path, ca.pem()).unwrap();
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["collector.test".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let private = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![server.der().clone()], private).unwrap();
    let mock = Mock::with(Some(Arc::new(config)), |_, _| status(200));
    let endpoint = format!("https://{}", mock.address);
    let trusted = sink(&endpoint, &format!("tls: {{ca: '{}', server_name: collector.test}}", path.display()));
    trusted.put(batch([1])).await;
    trusted.put(batch([2])).await;
    assert_eq!(trusted.finish().await.delivered, 2);
    assert!(mock.got().iter().all(|it| it.path == "/v1/logs"));
    let before = mock.got().len();
    for settings in [
        format!("tls: {{ca: '{}'}}", path.display()),
        format!("tls: {{ca: '{}', server_name: other.test}}", path.display()),
        "tls: {server_name: collector.test}".to_owned(),
    ] {
        let refused = sink(&endpoint, &settings);
        refused.put(batch([3])).await;
        refused.retries(1).await;
        assert!(refused.stats.retries(Reason::Connection) >= 1, "{settings}");
        assert_eq!(refused.stop(Duration::from_millis(200)).await.left, 1);
    }
    assert_eq!(mock.got().len(), before);
}

/// Scenario: one logboom sends to another, over HTTP, in every compression. Guarantee: every record arrives as it was.
#[test]
fn one_logboom_to_another() {
    for compression in ["none", "gzip", "zstd"] {
        let second = Server::start(
            "sources: {otlp: {type: otlp, http: 127.0.0.1:0}}\n\
             sinks: {out: {type: file, path: '{dir}/out', encoding: json}}\n",
        );
        let first = Server::start(&format!(
            "sources: {{mesh: {{type: lines, listen: 127.0.0.1:0, format: raw}}}}\n\
             sinks: {{up: {{type: otlp, endpoint: 'http://{}', protocol: http, compression: {compression}}}}}\n",
            second.address("otlp")
        ));
        let lines: String = (0..5000).map(|it| format!("line {it} of many\n")).collect();
        first.send("mesh", lines.as_bytes());
        util::eventually("all are there", || first.sink("up", "delivered_records") == 5000);
        first.stop().assert_clean();
        let ended = second.stop();
        ended.assert_clean();
        let bodies: Vec<String> = ended.json("out").iter().map(|it| it["body"].as_str().unwrap().to_owned()).collect();
        assert_eq!(bodies, lines.lines().collect::<Vec<_>>());
    }
}
