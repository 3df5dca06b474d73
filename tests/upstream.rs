//! Sink `otlp` against an upstream that misbehaves by script.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod upstream_util;

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use logboom::config::units::WaitMax;
use logboom::inbox::Put;
use logboom::sink::otlp::{REQUEST_BYTES_MAX, REQUESTS_MAX, Reason};
use tonic::Code;
use upstream_util::{Mock, Reply, Sink, batch, ids, inbox, padded_batch, within};

/// Scenario: several batches wait. Guarantee: one request, the bytes of the batches one behind
/// the other, with our headers.
#[tokio::test]
async fn waiting_batches_become_one_request() {
    let mock = Mock::new(|_, _| Reply::Ok);
    let inbox = inbox(1 << 20, WaitMax::Forever);
    let batches: Vec<_> = (0..5).map(|it| batch(it * 10..it * 10 + 10)).collect();
    for batch in &batches {
        assert_eq!(inbox.put(batch.clone(), None).await, Put::Accepted);
    }
    let sink = Sink::new(inbox, &format!("endpoint: {}\nheaders: {{X-Tenant: blue}}", mock.uri()));
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed, summary.left), (50, 0, 0));

    let got = mock.got();
    let expected: Vec<u8> = batches.iter().flat_map(|it| it.payload.to_vec()).collect();
    assert_eq!(got.requests.len(), 1);
    assert!(got.requests[0] == expected);
    assert_eq!(got.headers[0]["x-tenant"], "blue");
    assert_eq!(got.headers[0]["grpc-timeout"], "10000000u");
    let agent = got.headers[0]["user-agent"].to_str().unwrap();
    assert!(agent.starts_with(concat!("logboom/", env!("CARGO_PKG_VERSION"))), "{agent}");
}

/// Scenario: every gRPC code, with and without RetryInfo, and what is no gRPC, once.
/// Guarantee: the retry table of the OTLP specification; nothing else is sent twice.
#[tokio::test]
async fn every_code() {
    async fn check(reply: Reply, expected: &str) {
        let label = format!("{reply:?}");
        let mock = Mock::new(move |nth, _| if nth == 0 { reply.clone() } else { Reply::Ok });
        let sink = Sink::to(&mock);
        sink.put(batch([1])).await;
        let summary = sink.finish().await;
        let requests = mock.got().requests.len();
        let got = match (requests, summary.delivered, summary.failed) {
            (1, 1, 0) => "accepted",
            (1, 0, 1) => "refused",
            (2, 1, 0) => "sent again",
            other => panic!("{label}: {other:?}"),
        };
        assert_eq!(got, expected, "{label}");
        assert!(summary.stats.is_healthy());
    }
    /// Status in the headers, in trailers, and both with RetryInfo.
    async fn check_code(code: Code, plain: &str, with_retry_info: &str) {
        let delay = Duration::from_millis(1);
        check(Reply::Status(code), plain).await;
        check(Reply::InTrailers(code, None), plain).await;
        check(Reply::BrokenDetails(code), plain).await;
        check(Reply::RetryInfo(code, delay), with_retry_info).await;
        check(Reply::InTrailers(code, Some(delay)), with_retry_info).await;
    }
    check(Reply::Ok, "accepted").await;
    for code in (1..17).map(Code::from) {
        match code {
            Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange => {
                check_code(code, "sent again", "sent again").await;
            }
            Code::Unavailable | Code::DataLoss => check_code(code, "sent again", "sent again").await,
            Code::ResourceExhausted => check_code(code, "refused", "sent again").await,
            // Not about the records: see `Verdict::Hold`.
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                check_code(code, "sent again", "sent again").await;
            }
            _ => check_code(code, "refused", "refused").await,
        }
    }
    // Headers and no status: cut off.
    check(Reply::Http(200), "sent again").await;
    for http in [401, 403, 404, 429, 500, 502, 503, 504] {
        check(Reply::Http(http), "sent again").await;
    }
    check(Reply::Http(413), "refused").await;
}

/// Scenario: the pauses are an hour long, but the upstream asks for a millisecond.
/// Guarantee: it gets what it asked for; otherwise this test would not end.
#[tokio::test]
async fn retry_info_is_honoured() {
    let delay = Duration::from_millis(1);
    let mock = Mock::new(move |nth, _| match nth {
        0..3 => Reply::RetryInfo(Code::Unavailable, delay),
        3 => Reply::RetryInfo(Code::ResourceExhausted, delay),
        _ => Reply::Ok,
    });
    let yaml = format!("endpoint: {}\nretry: {{initial: 1h, max: 1h}}", mock.uri());
    let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml);
    sink.put(batch([1])).await;
    let summary = sink.finish().await;
    assert_eq!(summary.delivered, 1);
    assert_eq!(summary.stats.retries(Reason::Unavailable), 3);
    assert_eq!(summary.stats.retries(Reason::ResourceExhausted), 1);
}

/// Scenario: the upstream refuses every request with record 617 in it. Guarantee: only that
/// record is lost, it is found with two requests per halving, and order is kept.
#[tokio::test]
async fn one_poison_record_in_a_thousand() {
    let mock = refusing([617]);
    let sink = Sink::to(&mock);
    sink.put(batch(0..1000)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (999, 1));
    assert_eq!(summary.stats.failed(Reason::InvalidArgument), 1);
    assert!(mock.got().ids.iter().copied().eq((0..1000).filter(|it| *it != 617)));
    assert!(mock.got().requests.len() <= 21, "{}", mock.got().requests.len());
}

/// Scenario: a merged request of many batches with a few poison records in them.
/// Guarantee: the same.
#[tokio::test]
async fn poison_records_in_a_merged_request() {
    let poison = [0, 7, 8, 250, 431, 999];
    let mock = refusing(poison);
    let inbox = inbox(1 << 20, WaitMax::Forever);
    for start in (0..1000).step_by(50) {
        inbox.put(batch(start..start + 50), None).await;
    }
    let summary = Sink::new(inbox, &format!("endpoint: {}", mock.uri())).finish().await;
    assert_eq!((summary.delivered, summary.failed), (994, 6));
    assert!(mock.got().ids.iter().copied().eq((0..1000).filter(|it| !poison.contains(it))));
}

fn refusing<const N: usize>(poison: [u64; N]) -> Mock {
    Mock::new(move |_, request| match ids(request).iter().any(|it| poison.contains(it)) {
        true => Reply::Status(Code::InvalidArgument),
        false => Reply::Ok,
    })
}

/// Scenario: the upstream refuses everything. Guarantee: it is not asked about every record, and
/// whatever arrives later is still offered to it.
#[tokio::test]
async fn an_upstream_that_refuses_everything_is_not_stormed() {
    let mock = Mock::new(|_, _| Reply::Status(Code::InvalidArgument));
    let sink = Sink::to(&mock);
    sink.put(batch(0..10_000)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (0, 10_000));
    assert!(mock.got().requests.len() <= 64 + 14, "{}", mock.got().requests.len());
}

/// Scenario: a batch above the usual gRPC limit, an upstream that says OUT_OF_RANGE to that, as
/// tonic does. Guarantee: it arrives in pieces.
#[tokio::test]
async fn a_batch_too_large_arrives_in_pieces() {
    let mock = Mock::new(|_, request| match prost::Message::encoded_len(request) > 4 << 20 {
        true => Reply::Status(Code::OutOfRange),
        false => Reply::Ok,
    });
    let sink = Sink::to(&mock);
    sink.put(padded_batch(0..100, 100_000)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (100, 0));
    assert!(mock.got().ids.iter().copied().eq(0..100));
}

/// Scenario: the upstream rejects records of a request it accepts. Guarantee: they are counted as
/// failed, nothing is sent again, and its text cannot touch a terminal.
#[tokio::test]
async fn partial_success_is_final() {
    let mock = Mock::new(|_, _| Reply::Partial(3, "\x1b[31mno\u{9b}\u{202e}\n"));
    let sink = Sink::to(&mock);
    sink.put(batch(0..10)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (7, 3));
    assert_eq!(summary.stats.failed(Reason::PartialSuccess), 3);
    assert_eq!(mock.got().requests.len(), 1);
    assert_eq!(summary.stats.last_error().unwrap(), "\\u{1b}[31mno\\u{9b}\\u{202e}\\n");
}

/// Scenario: an upstream that claims to have rejected more than there was.
#[tokio::test]
async fn partial_success_cannot_exceed_the_request() {
    let mock = Mock::new(|nth, _| Reply::Partial(if nth == 0 { i64::MAX } else { -5 }, ""));
    let sink = Sink::to(&mock);
    sink.put(batch(0..10)).await;
    mock.requests(1).await;
    within(sink.inbox.drained(Duration::from_secs(60))).await;
    sink.put(batch(0..10)).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (10, 10));
}

#[tokio::test]
async fn compression() {
    for compression in ["gzip", "zstd"] {
        let mock = Mock::new(|_, _| Reply::Ok);
        let yaml = format!("endpoint: {}\ncompression: {compression}", mock.uri());
        let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml);
        sink.put(batch(0..1000)).await;
        assert_eq!(sink.finish().await.delivered, 1000);
        assert_eq!(mock.got().headers[0]["grpc-encoding"], compression);
        assert!(mock.got().requests[0] == batch(0..1000).payload);
    }
}

/// Scenario: nobody listens, then somebody who hangs up, then the upstream.
/// Guarantee: everything that was kept is delivered, in order.
#[tokio::test]
async fn dead_then_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &format!("endpoint: http://{address}"));
    for id in 0..10 {
        sink.put(batch([id])).await;
    }
    sink.retries(3).await;
    assert!(!sink.stats.is_healthy());
    assert!(sink.stats.last_error().unwrap().contains("refused"));

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    for _ in 0..3 {
        drop(within(listener.accept()).await.unwrap());
    }
    drop(listener);
    let mock = Mock::at(&address.to_string(), None, |_, _| Reply::Ok);
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (10, 0));
    assert!(mock.got().ids.iter().copied().eq(0..10));
    assert!(summary.stats.retries(Reason::Connection) >= 3);
}

/// Scenario: the upstream dies while it has a request. Guarantee: the request is sent again.
#[tokio::test]
async fn cut_off_before_the_answer() {
    let mock = Mock::new(|_, _| Reply::Hang);
    let address = mock.address.to_string();
    let sink = Sink::to(&mock);
    sink.put(batch(0..10)).await;
    mock.requests(1).await;
    drop(mock);
    sink.retries(1).await;
    let mock = Mock::at(&address, None, |_, _| Reply::Ok);
    assert_eq!(sink.finish().await.delivered, 10);
    assert!(mock.got().ids.iter().copied().eq(0..10));
}

/// Scenario: the upstream takes a request and never answers. Guarantee: the request is given up
/// after its timeout and sent again over another connection.
#[tokio::test]
async fn a_mute_upstream() {
    let mock = Mock::new(|nth, _| if nth == 0 { Reply::Hang } else { Reply::Ok });
    let yaml = format!("endpoint: {}\ntimeout: 100ms", mock.uri());
    let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml);
    sink.put(batch([1])).await;
    let summary = sink.finish().await;
    assert_eq!((summary.delivered, summary.failed), (1, 0));
    assert!(summary.stats.retries(Reason::Timeout) >= 1);
}

/// Scenario: the first endpoint is dead, or a proxy that answers for a dead one; pauses are an
/// hour long. Guarantee: the second is used at once, and stayed with.
#[tokio::test]
async fn failover() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Mock::new(|_, _| Reply::Status(Code::Unavailable));
    for first in [format!("http://{closed}"), proxy.uri()] {
        let second = Mock::new(|_, _| Reply::Ok);
        let yaml = format!("endpoint: ['{first}', '{}']\nretry: {{initial: 1h, max: 1h}}", second.uri());
        let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml);
        for id in 0..3 {
            sink.put(batch([id])).await;
            within(sink.inbox.drained(Duration::from_secs(60))).await;
        }
        let summary = sink.finish().await;
        assert_eq!((summary.delivered, summary.failed), (3, 0));
        assert_eq!(second.got().requests.len(), 3);
        assert!(summary.stats.is_healthy());
        let retries: u64 = Reason::ALL.iter().map(|it| summary.stats.retries(*it)).sum();
        assert_eq!(retries, 1);
    }
    assert_eq!(proxy.got().requests.len(), 1);
}

/// Scenario: a backlog, and an upstream that answers only when four requests are there at once.
/// Guarantee: four are; otherwise this test would not end.
#[tokio::test]
async fn a_backlog_is_sent_in_parallel() {
    let barrier = Arc::new(tokio::sync::Barrier::new(REQUESTS_MAX));
    let mock = Mock::new(move |_, _| Reply::Together(Arc::clone(&barrier)));
    let inbox = inbox(64 << 20, WaitMax::Forever);
    for id in 0..8 {
        inbox.put(padded_batch([id], REQUEST_BYTES_MAX), None).await;
    }
    let summary = Sink::new(inbox, &format!("endpoint: {}", mock.uri())).finish().await;
    assert_eq!(summary.delivered, 8);
}

/// Scenario: a backlog; the second of four requests fails. Guarantee: what failed is sent again
/// before anything new, and nothing is lost or sent twice.
#[tokio::test]
async fn a_failure_ends_the_parallel_part() {
    let failed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&failed);
    let mock = Mock::new(move |_, request| {
        let second = ids(request) == [1];
        match second && counter.fetch_add(1, SeqCst) < 3 {
            true => Reply::Status(Code::Unavailable),
            false => Reply::Ok,
        }
    });
    let inbox = inbox(64 << 20, WaitMax::Forever);
    for id in 0..8 {
        inbox.put(padded_batch([id], REQUEST_BYTES_MAX), None).await;
    }
    let summary = Sink::new(inbox, &format!("endpoint: {}", mock.uri())).finish().await;
    assert_eq!((summary.delivered, summary.failed), (8, 0));
    assert_eq!(summary.stats.retries(Reason::Unavailable), 3);
    let mut got = mock.got().ids.clone();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// Scenario: an upstream that takes its time, and much more than fits. Guarantee: the inbox bound holds while
/// requests are in flight, and what was accepted is delivered in the end.
#[tokio::test]
async fn memory_stays_within_the_inbox() {
    const CAPACITY: usize = 256 << 10;
    let answer = Arc::new(tokio::sync::Barrier::new(2));
    let held = Arc::clone(&answer);
    let mock = Mock::new(move |nth, _| if nth == 0 { Reply::Together(Arc::clone(&held)) } else { Reply::Ok });
    let inbox = inbox(CAPACITY, WaitMax::Bounded(Duration::ZERO));
    let sink = Sink::new(Arc::clone(&inbox), &format!("endpoint: {}\ntimeout: 1h", mock.uri()));
    let mut accepted = 0;
    for id in 0..200 {
        accepted += u64::from(inbox.put(padded_batch([id], 10_000), None).await == Put::Accepted);
        assert!(inbox.used_bytes() <= CAPACITY);
    }
    assert!(accepted < 30);
    within(answer.wait()).await;
    let summary = sink.finish().await;
    let gaps = inbox.tally().gaps;
    assert_eq!((summary.delivered, summary.failed), (accepted + gaps, 0));
}

/// Scenario: logboom ends while the upstream is dead or mute. Guarantee: it ends, does not drain
/// the backlog into it, and says how much is left.
#[tokio::test]
async fn the_end_with_a_dead_upstream() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = format!("endpoint: http://{closed}\nretry: {{initial: 1h, max: 1h}}");
    let sink = Sink::new(inbox(64 << 20, WaitMax::Forever), &yaml);
    for id in 0..40 {
        sink.put(padded_batch([id], REQUEST_BYTES_MAX / 2)).await;
    }
    sink.retries(1).await;
    let summary = sink.stop(Duration::from_secs(3600)).await;
    assert_eq!((summary.delivered, summary.failed, summary.left), (0, 0, 40));
    assert!(summary.stats.requests() <= REQUESTS_MAX as u64 + 1, "{}", summary.stats.requests());

    let mute = Mock::new(|_, _| Reply::Hang);
    let sink = Sink::new(inbox(64 << 20, WaitMax::Forever), &format!("endpoint: {}\ntimeout: 1h", mute.uri()));
    sink.put(batch(0..10)).await;
    mute.requests(1).await;
    let summary = sink.stop(Duration::from_millis(50)).await;
    assert_eq!((summary.delivered, summary.failed, summary.left), (0, 0, 10));
}

/// Scenario: logboom ends while a refused request is taken apart, and the upstream dies.
/// Guarantee: what was accepted is delivered, the rest is left, the ledger balances.
#[tokio::test]
async fn the_end_in_the_middle_of_isolation() {
    let mock = Mock::new(|_, request| match ids(request) {
        ids if ids.contains(&99) && ids.len() > 50 => Reply::Status(Code::InvalidArgument),
        ids if ids.contains(&99) => Reply::Status(Code::Unavailable),
        _ => Reply::Ok,
    });
    let yaml = format!("endpoint: {}\nretry: {{initial: 1h, max: 1h}}", mock.uri());
    let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml);
    sink.put(batch(0..100)).await;
    sink.retries(1).await;
    let summary = sink.stop(Duration::from_secs(3600)).await;
    assert_eq!((summary.delivered, summary.failed, summary.left), (50, 50, 50));
}

/// Scenario: logboom ends with a backlog and a healthy upstream. Guarantee: nothing is left.
#[tokio::test]
async fn the_end_with_a_healthy_upstream() {
    let mock = Mock::new(|_, _| Reply::Ok);
    let sink = Sink::to(&mock);
    for id in 0..40 {
        sink.put(padded_batch([id], REQUEST_BYTES_MAX / 3)).await;
    }
    let summary = sink.stop(Duration::from_secs(3600)).await;
    assert_eq!((summary.delivered, summary.failed, summary.left), (40, 0, 0));
}

mod tls {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use tonic::transport::server::ServerTlsConfig;
    use tonic::transport::{Certificate, Identity};

    use super::*;

    /// A throw-away authority and its files.
    struct Authority {
        directory: tempfile::TempDir,
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    impl Authority {
        fn new() -> Authority {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("ca.crt"), &pem).unwrap();
            Authority { directory, issuer: Issuer::new(params, key), pem }
        }

        /// Certificate and key for a name.
        fn sign(&self, name: &str) -> (String, String) {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
        }

        fn server(&self, name: &str) -> ServerTlsConfig {
            let (cert, key) = self.sign(name);
            ServerTlsConfig::new().identity(Identity::from_pem(cert, key))
        }

        /// Writes a file, returns its path.
        fn file(&self, name: &str, text: &str) -> String {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        }

        fn ca(&self) -> String {
            self.file("ca.crt", &self.pem)
        }
    }

    fn sink(mock: &Mock, tls: &str) -> Sink {
        let yaml = format!("endpoint: https://{}\ntls: {{{tls}}}", mock.address);
        Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml)
    }

    #[tokio::test]
    async fn delivers_to_a_server_it_knows() {
        let authority = Authority::new();
        let mock = Mock::at("127.0.0.1:0", Some(authority.server("collector")), |_, _| Reply::Ok);
        let sink = sink(&mock, &format!("ca: '{}', server_name: collector", authority.ca()));
        sink.put(batch(0..10)).await;
        assert_eq!(sink.finish().await.delivered, 10);
    }

    #[tokio::test]
    async fn shows_its_certificate() {
        let authority = Authority::new();
        let server = authority.server("127.0.0.1").client_ca_root(Certificate::from_pem(&authority.pem));
        let mock = Mock::at("127.0.0.1:0", Some(server), |_, _| Reply::Ok);
        let (cert, key) = authority.sign("client");
        let (cert, key) = (authority.file("client.crt", &cert), authority.file("client.key", &key));

        let without = sink(&mock, &format!("ca: '{}'", authority.ca()));
        without.put(batch(0..10)).await;
        without.retries(2).await;
        let summary = without.stop(Duration::from_secs(3600)).await;
        assert_eq!((summary.delivered, summary.left), (0, 10));

        let with = sink(&mock, &format!("ca: '{}', cert: '{cert}', key: '{key}'", authority.ca()));
        with.put(batch(0..10)).await;
        assert_eq!(with.finish().await.delivered, 10);
        assert_eq!(mock.got().requests.len(), 1);
    }

    /// Scenario: the server's name is wrong, or its authority. Guarantee: nothing is sent, and
    /// everything is kept.
    #[tokio::test]
    async fn sends_nothing_to_a_server_it_does_not_know() {
        let (authority, stranger) = (Authority::new(), Authority::new());
        for (tls, trouble) in [
            (format!("ca: '{}', server_name: elsewhere", authority.ca()), "not valid for name"),
            (format!("ca: '{}', server_name: collector", stranger.ca()), "invalid peer certificate"),
        ] {
            let mock = Mock::at("127.0.0.1:0", Some(authority.server("collector")), |_, _| Reply::Ok);
            let sink = sink(&mock, &tls);
            sink.put(batch(0..10)).await;
            sink.retries(3).await;
            let error = sink.stats.last_error().unwrap();
            assert!(error.contains(trouble), "{error}");
            assert_eq!(sink.inbox.tally().in_flight, 10);
            let summary = sink.stop(Duration::from_secs(3600)).await;
            assert_eq!((summary.delivered, summary.left), (0, 10));
            assert_eq!(mock.got().requests.len(), 0);
        }
    }

    /// Scenario: the server's certificate has expired. Guarantee: nothing is sent, and everything is kept.
    #[tokio::test]
    async fn sends_nothing_to_a_server_whose_certificate_has_expired() {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let cert = params.signed_by(&key, &authority.issuer).unwrap().pem();
        let server = ServerTlsConfig::new().identity(Identity::from_pem(cert, key.serialize_pem()));
        let mock = Mock::at("127.0.0.1:0", Some(server), |_, _| Reply::Ok);
        let sink = sink(&mock, &format!("ca: '{}'", authority.ca()));
        sink.put(batch(0..10)).await;
        sink.retries(3).await;
        let error = sink.stats.last_error().unwrap();
        assert!(error.contains("expired"), "{error}");
        assert_eq!(sink.stop(Duration::from_secs(3600)).await.left, 10);
        assert_eq!(mock.got().requests.len(), 0);
    }

    /// Scenario: the authority under the same path becomes another one, then something broken. Guarantee: once it
    /// is read again it counts, what waited is delivered, and the broken one changes nothing.
    #[tokio::test]
    async fn certificates_are_read_again() {
        use logboom::tls::Renew as _;
        let (authority, stranger) = (Authority::new(), Authority::new());
        let mock = Mock::at("127.0.0.1:0", Some(authority.server("127.0.0.1")), |_, _| Reply::Ok);
        let ca = authority.file("upstream.crt", &stranger.pem);
        let sink = sink(&mock, &format!("ca: '{ca}'"));
        sink.put(batch(0..10)).await;
        sink.retries(2).await;
        let certificates = sink.certificates.clone().unwrap();
        assert!(!certificates.renew().unwrap(), "nothing has changed");
        authority.file("upstream.crt", &authority.pem);
        assert_ne!(certificates.stamps_now(), certificates.stamps_read());
        assert!(certificates.renew().unwrap());
        within(async {
            while sink.inbox.tally().delivered < 10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        authority.file("upstream.crt", "broken");
        assert!(certificates.renew().is_err());
        sink.put(batch(10..20)).await;
        assert_eq!(sink.finish().await.delivered, 20);
    }

    /// Scenario: the server speaks plaintext, or wants TLS 1.1. Guarantee: it sees a TLS hello and no record, no
    /// header, on any attempt.
    #[tokio::test]
    async fn never_falls_back_to_plaintext() {
        // The hello of a server that has chosen TLS 1.1, and RSA with AES-128-CBC-SHA.
        let hello = [&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[0x5a; 32], &[0, 0x00, 0x2f, 0]].concat();
        for protocol in ["grpc", "http"] {
            // An HTTP/2 server's first words, in the clear.
            never_sends_to(protocol, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            never_sends_to(protocol, b"HTTP/1.1 301 Moved Permanently\r\nlocation: http://127.0.0.1:1/\r\n\r\n").await;
            never_sends_to(protocol, &hello).await;
        }
    }

    async fn never_sends_to(protocol: &str, first_words: &[u8]) {
        let first_words = first_words.to_vec();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            (0..3)
                .map(|_| {
                    let (mut stream, _) = listener.accept().unwrap();
                    std::io::Write::write_all(&mut stream, &first_words).unwrap();
                    let mut seen = Vec::new();
                    let _ = stream.read_to_end(&mut seen);
                    seen
                })
                .collect::<Vec<_>>()
        });
        let authority = Authority::new();
        let yaml = format!(
            "endpoint: https://{address}\nprotocol: {protocol}\ntls: {{ca: '{}'}}\nheaders: {{authorization: canary}}",
            authority.ca()
        );
        let sink = Sink::new(inbox(1 << 20, WaitMax::Forever), &yaml);
        sink.put(padded_batch(0..10, 100)).await;
        sink.retries(3).await;
        for seen in server.join().unwrap() {
            assert_eq!(seen[0], 0x16, "a TLS record");
            assert!(!seen.windows(6).any(|it| it == b"canary" || it == b"xxxxxx"));
        }
        assert_eq!(sink.stop(Duration::from_secs(3600)).await.left, 10);
    }
}
