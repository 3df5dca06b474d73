//! The memory bound: a sum of numbers that can be read aloud, printed at start.

use crate::admin;
use crate::budget::Shares;
use crate::config::Config;
use crate::decode::format;
use crate::intake;
use crate::journal::catch_up::CHUNK_BYTES;
use crate::monitor;
use crate::sink::SinkKind;
use crate::source::SourceConfig;
use crate::source::body::UNSIZED_BYTES_MAX;
use crate::source::flow::UNREAD_BYTES;
use crate::source::inflate::INFLATE_BYTES_MAX;
use crate::source::lines::READ_MAX;
use crate::tls;
use crate::tls::places;

/// What the program itself takes: code, runtime, tables, metrics (measured, rounded up).
const BASE_BYTES: u64 = 24 << 20;
/// What one open connection takes beyond its data: task, socket, buffers' heads.
const CONNECTION_BYTES: u64 = 8 << 10;
/// What the writer, the compressor and the open files of a file sink take: two buffers and a
/// zstd window.
const FILE_SINK_BYTES: u64 = 16 << 20;
/// What the requests of an upstream take on their way out: four, compressed beside the plain.
const UPSTREAM_BYTES: u64 = 8 << 20;

/// What the writer of the journal takes: what it remembers of segments, and headers under way.
const JOURNAL_BYTES: u64 = 2 << 20;

/// The budget, divided.
#[must_use]
pub fn shares(config: &Config) -> Shares {
    let inboxes = config.sinks.values().map(|sink| sink.inbox_bytes() as u64).sum();
    Shares::new(config.memory.0, inboxes, message_max(config))
}

fn message_max(config: &Config) -> Option<u64> {
    let messages = config.sources.values().filter_map(|source| match source {
        SourceConfig::Lines(_) => None,
        SourceConfig::Otlp(otlp) => Some(otlp.message_max.0),
    });
    messages.max()
}

/// The allocator holds freed memory for up to a second, and pages that are only partly used: an
/// eighth on top was measured with large messages from many clients at once, a quarter with a thousand
/// connections that send lines as fast as they can; a third is allowed for.
const ALLOCATOR_SHARE: u64 = 3;

/// Bytes that lines whose end has not come yet may take, all connections together.
#[must_use]
pub fn unfinished_lines_bytes(config: &Config) -> usize {
    config.memory.bytes() / 8
}

/// Each holder of memory and how much it may hold.
#[must_use]
pub fn bound(config: &Config) -> Vec<(String, u64)> {
    let threads = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let mut sum = vec![
        ("program".to_owned(), BASE_BYTES),
        ("budget".to_owned(), config.memory.0),
        ("unfinished lines".to_owned(), unfinished_lines_bytes(config) as u64),
        ("encoding".to_owned(), threads * encoding_bytes(config)),
    ];
    sum.push(("reading formats".to_owned(), threads * format::SCRATCH_BYTES_MAX as u64));
    if let Some(message_max) = message_max(config) {
        sum.push(("inflating".to_owned(), (INFLATE_BYTES_MAX + UNSIZED_BYTES_MAX) as u64));
        sum.push(("repairing".to_owned(), threads * message_max));
    }
    if config.admin.traffic {
        sum.push(("traffic".to_owned(), monitor::TRAFFIC_BYTES_MAX));
    }
    sum.push(("tap".to_owned(), monitor::tap::bytes_max(threads)));
    if config.journal.is_some() {
        sum.push(("journal".to_owned(), journal_bytes(config)));
    }
    for (name, source) in &config.sources {
        let (connections, each) = match source {
            SourceConfig::Lines(lines) => (lines.connections_max, CONNECTION_BYTES),
            SourceConfig::Otlp(otlp) => (otlp.connections_max, CONNECTION_BYTES + u64::from(UNREAD_BYTES)),
        };
        let tls = if source.tls().is_some() { tls::CONNECTION_BYTES } else { 0 };
        sum.push((format!("connections of {name}"), u64::from(connections) * (each + tls)));
    }
    let admin = config.admin.tls.is_some() && config.admin.listen != "off";
    if admin {
        sum.push(("connections of admin".to_owned(), admin::CONNECTIONS_MAX as u64 * tls::CONNECTION_BYTES));
    }
    let encrypted = config.sources.values().filter(|source| source.tls().is_some()).count();
    let handshakes = encrypted * places::LISTENER_MAX + if admin { admin::CONNECTIONS_MAX } else { 0 };
    if handshakes > 0 {
        sum.push(("handshakes".to_owned(), handshakes as u64 * tls::HANDSHAKE_BYTES));
    }
    for (name, sink) in &config.sinks {
        let bytes = match sink.kind {
            SinkKind::File(_) => FILE_SINK_BYTES,
            SinkKind::Otlp(_) => UPSTREAM_BYTES,
            SinkKind::Stdout(_) | SinkKind::Null(_) => 0,
        };
        if bytes > 0 {
            sum.push((format!("sink {name}"), bytes));
        }
    }
    let all: u64 = sum.iter().map(|(_, bytes)| bytes).sum();
    sum.push(("allocator".to_owned(), all / ALLOCATOR_SHARE));
    sum
}

/// One sink that is behind reads at a time: some entries, of which one may be as large as a payload
/// can be, and what is made of it.
fn journal_bytes(config: &Config) -> u64 {
    let payload_max = config.sources.values().map(|source| match source {
        SourceConfig::Lines(lines) => READ_MAX as u64 + lines.line_max.0,
        SourceConfig::Otlp(otlp) => otlp.message_max.0,
    });
    JOURNAL_BYTES + CHUNK_BYTES as u64 + payload_max.max().unwrap_or(0) + 2 * intake::PIECE_BYTES as u64
}

/// One thread encodes at most one record beyond a piece, for each way of writing it; in the worst
/// case every byte of it becomes six.
fn encoding_bytes(config: &Config) -> u64 {
    let record_max = config.sources.values().map(|source| match source {
        SourceConfig::Lines(lines) => lines.line_max.0,
        SourceConfig::Otlp(_) => crate::decode::otlp::Limits::default().record_bytes_max as u64,
    });
    let encodings: std::collections::BTreeSet<_> = config
        .sinks
        .values()
        .filter_map(|sink| Some((sink.kind.encoding()?, &sink.when, sink.sample.map(|it| it.every()))))
        .collect();
    encodings.len() as u64 * (intake::PIECE_BYTES as u64 + 6 * record_max.max().unwrap_or(0))
}
