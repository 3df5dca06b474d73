//! What an operator sees of a running process: the pages of the admin listener, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use logboom::admin::Hosts;
use logboom::batch::{Batch, Origin};
use logboom::budget::Shares;
use logboom::config::units::WaitMax;
use logboom::inbox::{Inbox, InboxSettings, Outcome};
use logboom::journal::JournalStats;
use logboom::telemetry::{
    DeniedReason, GrpcCode, HandshakeFailure, Health, Inflow, Inflows, LineResult, RejectReason, RepairReason,
    SinkMetric, SinkSample, SinkView, SourceKind, SourceStats, Telemetry, TelemetrySettings,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

fn inbox(sink: &str, capacity_bytes: usize, wait_max: WaitMax) -> Arc<Inbox> {
    Inbox::new(InboxSettings { sink: sink.into(), capacity_bytes, wait_max, encoding: None })
}

fn batch(source: &SourceStats, records: u64, bytes: usize) -> Batch {
    Batch {
        payload: Bytes::from(vec![b'x'; bytes]),
        records,
        routes: None,
        origin: Origin { source: Arc::clone(source.name()), peer: None, received_unix_nano: 1 },
    }
}

/// Two sources that feed a roomy sink, which can be made to fail, and a tiny one.
struct World {
    mesh: Arc<SourceStats>,
    otlp: Arc<SourceStats>,
    mesh_in: Arc<Inflow>,
    otlp_in: Arc<Inflow>,
    files: Arc<Inbox>,
    upstream: Arc<Inbox>,
    files_failing: Arc<AtomicBool>,
    telemetry: Arc<Telemetry>,
}

fn world() -> World {
    world_with(Some(Arc::default()))
}

fn world_with(journal: Option<Arc<JournalStats>>) -> World {
    let mesh = SourceStats::new("mesh", SourceKind::Lines);
    let otlp = SourceStats::new("otlp", SourceKind::Otlp);
    let files = inbox("files", 1 << 20, WaitMax::Forever);
    let upstream = inbox("upstream", 100, WaitMax::Bounded(Duration::ZERO));
    let files_failing = Arc::new(AtomicBool::new(false));
    let (mesh_in, otlp_in) = (Inflow::new(Arc::clone(&mesh)), Inflow::new(Arc::clone(&otlp)));
    let all = || Inflows::new(vec![Arc::clone(&mesh_in), Arc::clone(&otlp_in)]);
    let failing = Arc::clone(&files_failing);
    let files_view = SinkView {
        samples: Box::new(|| {
            vec![
                SinkSample { metric: SinkMetric::FileRotations, reason: "size", count: 3 },
                SinkSample { metric: SinkMetric::WriteErrors, reason: "no_space", count: 1 },
            ]
        }),
        health: Box::new(move || match failing.load(Ordering::Relaxed) {
            true => Health::Failing { error: "cannot write \"a\u{1b}\": no space left".to_owned() },
            false => Health::Healthy,
        }),
        ..SinkView::new("file", Arc::clone(&files), all())
    };
    let upstream_view = SinkView {
        samples: Box::new(|| {
            vec![
                SinkSample { metric: SinkMetric::Retries, reason: "unavailable", count: 5 },
                SinkSample { metric: SinkMetric::FailedRecords, reason: "rejected", count: 2 },
            ]
        }),
        ..SinkView::new("otlp", Arc::clone(&upstream), all())
    };
    let telemetry = Telemetry::new(TelemetrySettings {
        sources: vec![Arc::clone(&mesh), Arc::clone(&otlp)],
        sinks: vec![Arc::new(files_view), Arc::new(upstream_view)],
        budget: Shares::new(64 << 20, 16 << 20, Some(16 << 20)),
        memory_bound: vec![("budget".to_owned(), 1000), ("connections".to_owned(), 24)],
        journal,
    });
    World { mesh, otlp, mesh_in, otlp_in, files, upstream, files_failing, telemetry }
}

async fn serve(telemetry: &Arc<Telemetry>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (hosts, access) = (Hosts::default(), Arc::default());
    tokio::spawn(logboom::admin::serve(listener, Arc::clone(telemetry), hosts, access, CancellationToken::new()));
    address
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn ask(address: SocketAddr, host: &str, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "localhost", "GET", path).await
}

/// A line of the Prometheus text: name, labels, value.
type Line = (String, BTreeMap<String, String>, f64);

/// Reads the Prometheus text format strictly enough to notice what a scraper would refuse.
fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Line>) {
    let (mut types, mut helped, mut lines) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty());
            let labels = labels.map(|label| {
                let (key, value) = label.split_once('=').unwrap();
                (key.to_owned(), value.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned())
            });
            assert!(types.contains_key(name) && helped.contains(name), "a line without its type: {line}");
            lines.push((name.to_owned(), labels.collect(), value.parse().unwrap()));
        }
    }
    (types, lines)
}

/// The value of one series, its labels written as `source=mesh result=ok`.
fn value(lines: &[Line], name: &str, labels: &str) -> f64 {
    let labels: BTreeMap<String, String> =
        labels.split_whitespace().map(|it| it.split_once('=').unwrap()).map(|(a, b)| (a.into(), b.into())).collect();
    let found: Vec<_> = lines.iter().filter(|line| line.0 == name && line.1 == labels).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}");
    found[0].2
}

/// The public names with their labels; a change here is a change of the interface.
const NAMES: &str = "
    logboom_received_records_total source
    logboom_received_bytes_total source
    logboom_connections source
    logboom_connections_accepted_total source
    logboom_connections_refused_total source
    logboom_accept_errors_total source
    logboom_connections_denied_total reason,source
    logboom_tls_handshake_failures_total reason,source
    logboom_tls_reloads_total result
    logboom_admin_refused_total reason
    logboom_lines_total result,source
    logboom_otlp_requests_total code,source
    logboom_rejected_records_total reason,source
    logboom_repaired_records_total reason,source
    logboom_shed_records_total reason,sink
    logboom_delivered_records_total sink
    logboom_failed_records_total reason,sink
    logboom_filtered_records_total sink
    logboom_expired_records_total reason,sink
    logboom_recovered_records_total sink
    logboom_journal_lag_records sink
    logboom_journal_bytes
    logboom_journal_max_bytes
    logboom_journal_full reason
    logboom_journal_entries_total
    logboom_journal_syncs_total
    logboom_journal_errors_total reason
    logboom_journal_corrupt_ranges_total
    logboom_journal_missing_entries_total
    logboom_inbox_bytes sink
    logboom_reloads_total result
    logboom_retries_total reason,sink
    logboom_file_rotations_total reason,sink
    logboom_write_errors_total reason,sink
    logboom_memory_reserved_bytes
    logboom_memory_bound_bytes
    logboom_ledger_imbalance_records
    logboom_build_info version
    process_start_time_seconds
    process_resident_memory_bytes
    process_cpu_seconds_total
";

#[tokio::test]
async fn metrics_have_the_public_names_and_labels() {
    let world = world();
    let answer = get(serve(&world.telemetry).await, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let (types, lines) = parse(&answer.body);
    let got: BTreeSet<String> = lines
        .iter()
        .map(|(name, labels, _)| {
            let labels: Vec<_> = labels.keys().cloned().collect();
            format!("{name} {}", labels.join(",")).trim_end().to_owned()
        })
        .collect();
    let expected: BTreeSet<String> = NAMES.lines().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    assert_eq!(got, expected);
    for (name, kind) in types {
        assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" }, "{name}");
    }
    let listed: BTreeSet<_> = logboom::telemetry::METRICS.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, lines.iter().map(|line| line.0.as_str()).collect());
}

#[tokio::test]
async fn label_values_are_closed_sets_and_configured_names() {
    let world = world();
    let answer = get(serve(&world.telemetry).await, "/metrics").await;
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    allowed.insert("source", ["mesh", "otlp"].into());
    allowed.insert("sink", ["files", "upstream"].into());
    allowed.insert("version", [env!("CARGO_PKG_VERSION")].into());
    allowed.insert("result", LineResult::ALL.iter().map(|it| it.as_str()).chain(["ok", "failed"]).collect());
    allowed.insert("code", GrpcCode::ALL.iter().map(|it| it.as_str()).collect());
    let reasons = RejectReason::ALL.iter().map(|it| it.as_str()).chain(RepairReason::ALL.iter().map(|it| it.as_str()));
    let of_sinks = [
        "full",
        "damaged",
        "write",
        "sync",
        "hold",
        "stopped",
        "size",
        "no_space",
        "unavailable",
        "rejected",
        "abandoned",
        "max",
        "disk",
    ];
    let reasons = reasons.chain(DeniedReason::ALL.iter().map(|it| it.as_str()));
    let reasons = reasons.chain(HandshakeFailure::ALL.iter().map(|it| it.as_str())).chain(["tls"]);
    allowed.insert("reason", reasons.chain(of_sinks).collect());
    for (name, labels, _) in parse(&answer.body).1 {
        for (key, value) in &labels {
            assert!(allowed[key.as_str()].contains(value.as_str()), "{name} {key}={value}");
        }
    }
}

#[tokio::test]
async fn metrics_say_what_was_counted() {
    let World { mesh, otlp, mesh_in, files, upstream, telemetry, .. } = world();
    let address = serve(&telemetry).await;
    mesh.count_bytes(500);
    mesh.count_lines(LineResult::Ok, 9);
    mesh.count_lines(LineResult::Blank, 2);
    mesh.count_repaired(RepairReason::InvalidUtf8, 1);
    mesh.count_refused();
    mesh.count_accept_error();
    let open = mesh.count_accepted();
    drop(mesh.count_accepted());
    otlp.count_request(GrpcCode::ResourceExhausted);
    otlp.count_rejected(RejectReason::TooManyRecords, 4);
    let reserved = telemetry.budget().requests.try_reserve(250).unwrap();

    // Nine records for both sinks: one takes and keeps them, the other refuses three of them.
    let intake = mesh_in.count_received(9);
    for inbox in [&files, &upstream] {
        inbox.put(batch(&mesh, 9, 90), None).await;
    }
    drop(intake);
    upstream.try_take(1).pop().unwrap().settle(Outcome::Refused { records: 3 });

    let lines = parse(&get(address, "/metrics").await.body).1;
    let check = |name: &str, labels: &str, expected: f64| assert_eq!(value(&lines, name, labels), expected, "{name}");
    check("logboom_received_records_total", "source=mesh", 9.0);
    check("logboom_received_records_total", "source=otlp", 0.0);
    check("logboom_received_bytes_total", "source=mesh", 500.0);
    check("logboom_lines_total", "source=mesh result=ok", 9.0);
    check("logboom_lines_total", "source=mesh result=blank", 2.0);
    check("logboom_repaired_records_total", "source=mesh reason=invalid_utf8", 1.0);
    check("logboom_connections", "source=mesh", 1.0);
    check("logboom_connections_accepted_total", "source=mesh", 2.0);
    check("logboom_connections_refused_total", "source=mesh", 1.0);
    check("logboom_accept_errors_total", "source=mesh", 1.0);
    check("logboom_otlp_requests_total", "source=otlp code=RESOURCE_EXHAUSTED", 1.0);
    check("logboom_rejected_records_total", "source=otlp reason=too_many_records", 4.0);
    check("logboom_inbox_bytes", "sink=files", 90.0);
    check("logboom_inbox_bytes", "sink=upstream", 0.0);
    check("logboom_delivered_records_total", "sink=upstream", 6.0);
    // The sink knows why two of the three failed.
    check("logboom_failed_records_total", "sink=upstream reason=rejected", 2.0);
    check("logboom_failed_records_total", "sink=upstream reason=other", 1.0);
    check("logboom_retries_total", "sink=upstream reason=unavailable", 5.0);
    check("logboom_file_rotations_total", "sink=files reason=size", 3.0);
    check("logboom_write_errors_total", "sink=files reason=no_space", 1.0);
    check("logboom_memory_reserved_bytes", "", 250.0);
    check("logboom_memory_bound_bytes", "", 1024.0);
    check("logboom_ledger_imbalance_records", "", 0.0);
    assert!(value(&lines, "process_resident_memory_bytes", "") > 0.0);
    assert!(value(&lines, "process_start_time_seconds", "") > 1.7e9);

    drop((open, reserved));
    let lines = parse(&get(address, "/metrics").await.body).1;
    assert_eq!(value(&lines, "logboom_connections", "source=mesh"), 0.0);
    assert_eq!(value(&lines, "logboom_memory_reserved_bytes", ""), 0.0);
}

#[tokio::test]
async fn ready_when_started_until_it_stops_or_no_sink_is_left() {
    let World { mesh, files_failing, upstream, telemetry, .. } = world_with(None);
    let address = serve(&telemetry).await;
    let check = async |status: u16, body: &str| {
        let answer = get(address, "/readyz").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
        assert_eq!(get(address, "/livez").await.status, 200);
    };
    check(503, "not ready: starting\n").await;
    telemetry.set_ready();
    check(200, "ready\n").await;
    files_failing.store(true, Ordering::Relaxed);
    check(200, "ready\nsink files: failing\n").await;
    upstream.put(batch(&mesh, 1, 100), None).await;
    upstream.put(batch(&mesh, 1, 100), None).await;
    check(503, "not ready: no sink takes records\nsink files: failing\nsink upstream: full\n").await;
    files_failing.store(false, Ordering::Relaxed);
    check(200, "ready\nsink upstream: full\n").await;
    telemetry.set_stopping();
    check(503, "not ready: stopping\nsink upstream: full\n").await;
}

#[tokio::test]
async fn status_at_a_glance() {
    let World { mesh, mesh_in, otlp, files, files_failing, telemetry, .. } = world();
    let address = serve(&telemetry).await;
    files_failing.store(true, Ordering::Relaxed);
    let intake = mesh_in.count_received(2);
    files.put(batch(&mesh, 2, 20), None).await;
    otlp.count_rejected(RejectReason::Malformed, 1);

    let answer = get(address, "/status").await;
    assert!(answer.head.contains("content-type: application/json"));
    let status: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let check = |pointer: &str, expected: serde_json::Value| {
        assert_eq!(status.pointer(pointer), Some(&expected), "{pointer} of {}", answer.body);
    };
    check("/version", env!("CARGO_PKG_VERSION").into());
    check("/readiness", "starting".into());
    check("/memory_bound_bytes", 1024.into());
    check("/memory_bound/connections", 24.into());
    check("/memory_reserved_bytes", 0.into());
    check("/sources/mesh/type", "lines".into());
    check("/sources/mesh/received_records", 2.into());
    check("/sources/otlp/rejected_records", 1.into());
    check("/sinks/files/state", "failing".into());
    check("/sinks/files/error", "cannot write \"a\u{1b}\": no space left".into());
    check("/sinks/files/inbox_bytes", 20.into());
    check("/sinks/files/in_flight_records", 2.into());
    check("/sinks/upstream/state", "healthy".into());
    check("/ledger/received_records", 2.into());
    check("/ledger/in_intake_records", 2.into());
    check("/ledger/imbalance_records", 0.into());
    assert!(status.pointer("/uptime_seconds").unwrap().is_u64());
    assert!(!answer.body.contains('\u{1b}'));

    // The other sink never gets them, and the intake lets go: that is what the ledger is for.
    drop(intake);
    assert_eq!(telemetry.ledger().imbalance(), 2);
}

#[tokio::test]
async fn nothing_but_pages_to_read() {
    let address = serve(&world().telemetry).await;
    let check = async |method: &str, path: &str, expected: u16| {
        // What is open to probes and scrapers is so under any name.
        let host = if path == "/status" { "localhost" } else { "logboom" };
        let answer = ask(address, host, method, path).await;
        assert_eq!(answer.status, expected, "{method} {path}");
        answer
    };
    // There is a page for people, but not under any name: tests/web.rs.
    check("GET", "/", 421).await;
    check("GET", "/nothing", 404).await;
    check("GET", "/metrics/", 404).await;
    check("GET", "/../etc/passwd", 404).await;
    check("POST", "/unknown", 404).await;
    check("GET", "/metrics?name=x", 200).await;
    assert!(check("POST", "/metrics", 405).await.head.contains("allow: get,head"));
    check("DELETE", "/status", 405).await;
    check("OPTIONS", "/readyz", 405).await;
    assert_eq!(check("HEAD", "/livez", 200).await.body, "");
    // A body is announced, and not waited for.
    check("GET", "/livez HTTP/1.1\r\ncontent-length: 1000000\r\nignored:", 200).await;
}

/// Scenario: sources feed a roomy and a tiny sink from several threads while the ledger is read
/// as fast as it can be. Guarantees: no reading shows an imbalance, and the last one is complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ledger_balances_under_load() {
    const FEEDERS: usize = 4;
    const BATCHES: u64 = 5_000;
    let World { mesh_in, otlp_in, files, upstream, telemetry, .. } = world();
    let feeding = Arc::new(AtomicUsize::new(FEEDERS));

    let reader = {
        let (telemetry, feeding) = (Arc::clone(&telemetry), Arc::clone(&feeding));
        std::thread::spawn(move || {
            let mut readings = 0_u64;
            loop {
                let last = feeding.load(Ordering::Acquire) == 0;
                let ledger = telemetry.ledger();
                assert_eq!(ledger.imbalance(), 0, "{ledger}");
                readings += 1;
                if last {
                    return readings;
                }
            }
        })
    };
    let mut eaters = Vec::new();
    for inbox in [&files, &upstream] {
        let inbox = Arc::clone(inbox);
        eaters.push(tokio::spawn(async move {
            while let Some(deliveries) = inbox.take(1 << 16).await {
                for delivery in deliveries {
                    delivery.settle(Outcome::Done);
                }
            }
        }));
    }
    let mut feeders = Vec::new();
    for feeder in 0..FEEDERS {
        let source = Arc::clone(if feeder % 2 == 0 { &mesh_in } else { &otlp_in });
        let (files, upstream, feeding) = (Arc::clone(&files), Arc::clone(&upstream), Arc::clone(&feeding));
        feeders.push(tokio::spawn(async move {
            for i in 0..BATCHES {
                let batch = batch(source.source(), 1 + i % 7, 60);
                let intake = source.count_received(batch.records);
                files.put(batch.clone(), None).await;
                if i % 64 == 0 {
                    tokio::task::yield_now().await;
                }
                upstream.put(batch, None).await;
                drop(intake);
            }
            feeding.fetch_sub(1, Ordering::Release);
        }));
    }
    for feeder in feeders {
        feeder.await.unwrap();
    }
    files.close();
    upstream.close();
    for eater in eaters {
        eater.await.unwrap();
    }
    let readings = tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
    assert!(readings > 0);

    let ledger = telemetry.ledger();
    let sent = FEEDERS as u64 * (0..BATCHES).map(|i| 1 + i % 7).sum::<u64>();
    assert_eq!((ledger.received(), ledger.in_intake(), ledger.undelivered()), (sent, 0, 0));
    assert_eq!(ledger.imbalance(), 0, "{ledger}");
    let tally = ledger.sinks[1].tally;
    assert_eq!(tally.delivered + tally.shed() - tally.gaps, sent, "{ledger}");
}
