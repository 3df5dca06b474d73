//! The metrics as Prometheus reads them. Names and labels are public interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::closed_set::{DeniedReason, GrpcCode, HandshakeFailure, LineResult, RejectReason, RepairReason};
use super::process::Usage;
use super::registry::Telemetry;
use super::sink::{SinkMetric, SinkTotals};
use super::source::{SourceKind, SourceStats};
use crate::journal::{JournalStats, NoRoom};

/// Every metric: its name and what it says. Names that end in `_total` are counters, the others
/// gauges.
pub const METRICS: &[(&str, &str)] = &[
    (RECEIVED_RECORDS, "Records taken in; rejected records are not among them."),
    (RECEIVED_BYTES, "Bytes read from clients, as they came."),
    (CONNECTIONS, "Connections open now."),
    (CONNECTIONS_ACCEPTED, "Connections accepted."),
    (CONNECTIONS_REFUSED, "Connections turned away because there were too many."),
    (ACCEPT_ERRORS, "Failures to accept a connection."),
    (CONNECTIONS_DENIED, "Connections closed because of their address, or for want of a PROXY header."),
    (HANDSHAKE_FAILURES, "TLS handshakes of clients that came to nothing."),
    (LINES, "Lines by how they were read."),
    (OTLP_REQUESTS, "OTLP requests by how they were answered."),
    (REJECTED_RECORDS, "Records refused."),
    (REPAIRED_RECORDS, "Records that had to be changed to be passed on."),
    (DELIVERED_RECORDS, "Records written, or taken by the upstream; gap records included."),
    (FAILED_RECORDS, "Records given up."),
    (SHED_RECORDS, "Records a sink missed because it was full or had stopped."),
    (FILTERED_RECORDS, "Records that were not for this sink."),
    (INBOX_BYTES, "Bytes waiting for a sink, or in its hand."),
    (RETRIES, "Requests that were sent again."),
    (FILE_ROTATIONS, "Files that were closed for a new one."),
    (WRITE_ERRORS, "File operations that failed."),
    (EXPIRED_RECORDS, "Records the journal held for a sink and holds no more: it was full, or is damaged."),
    (RECOVERED_RECORDS, "Records the journal held for a sink when the process began."),
    (JOURNAL_LAG, "Records that a sink has in the journal and nowhere else."),
    (JOURNAL_BYTES, "Bytes of the journal on disk."),
    (JOURNAL_MAX_BYTES, "Most bytes the journal may have on disk."),
    (JOURNAL_FULL, "1 while the journal has no room, because its maximum is used up or the disk is full."),
    (JOURNAL_ENTRIES, "Payloads written to the journal."),
    (JOURNAL_SYNCS, "Times the journal was forced to the disk."),
    (JOURNAL_ERRORS, "Writes and syncs of the journal that the disk refused."),
    (JOURNAL_CORRUPT, "Ranges of the journal that were found damaged."),
    (JOURNAL_MISSING, "Entries that should be in the journal and are not."),
    (MEMORY_RESERVED, "Bytes of the memory budget in use."),
    (MEMORY_BOUND, "Bytes of memory the process can need at most, by its configuration."),
    (TLS_RELOADS, "Certificates read again because their files had changed, by whether they could be used."),
    (ADMIN_REFUSED, "Connections and requests to the admin listener that were refused."),
    (RELOADS, "Configurations read again, by whether they were taken."),
    (LEDGER_IMBALANCE, "Records unaccounted for; always 0, or there is a bug."),
    (BUILD_INFO, "Always 1; the label says which version runs."),
    (PROCESS_START_TIME, "When the process started, seconds since the epoch."),
    (PROCESS_RESIDENT, "Resident memory in bytes."),
    (PROCESS_CPU, "User and system time in whole seconds."),
];

const RECEIVED_RECORDS: &str = "logboom_received_records_total";
const RECEIVED_BYTES: &str = "logboom_received_bytes_total";
const CONNECTIONS: &str = "logboom_connections";
const CONNECTIONS_ACCEPTED: &str = "logboom_connections_accepted_total";
const CONNECTIONS_REFUSED: &str = "logboom_connections_refused_total";
const ACCEPT_ERRORS: &str = "logboom_accept_errors_total";
const CONNECTIONS_DENIED: &str = "logboom_connections_denied_total";
const HANDSHAKE_FAILURES: &str = "logboom_tls_handshake_failures_total";
const LINES: &str = "logboom_lines_total";
const OTLP_REQUESTS: &str = "logboom_otlp_requests_total";
const REJECTED_RECORDS: &str = "logboom_rejected_records_total";
const REPAIRED_RECORDS: &str = "logboom_repaired_records_total";
const DELIVERED_RECORDS: &str = "logboom_delivered_records_total";
const FAILED_RECORDS: &str = "logboom_failed_records_total";
const SHED_RECORDS: &str = "logboom_shed_records_total";
const FILTERED_RECORDS: &str = "logboom_filtered_records_total";
const INBOX_BYTES: &str = "logboom_inbox_bytes";
const RETRIES: &str = "logboom_retries_total";
const FILE_ROTATIONS: &str = "logboom_file_rotations_total";
const WRITE_ERRORS: &str = "logboom_write_errors_total";
const EXPIRED_RECORDS: &str = "logboom_expired_records_total";
const RECOVERED_RECORDS: &str = "logboom_recovered_records_total";
const JOURNAL_LAG: &str = "logboom_journal_lag_records";
const JOURNAL_BYTES: &str = "logboom_journal_bytes";
const JOURNAL_MAX_BYTES: &str = "logboom_journal_max_bytes";
const JOURNAL_FULL: &str = "logboom_journal_full";
const JOURNAL_ENTRIES: &str = "logboom_journal_entries_total";
const JOURNAL_SYNCS: &str = "logboom_journal_syncs_total";
const JOURNAL_ERRORS: &str = "logboom_journal_errors_total";
const JOURNAL_CORRUPT: &str = "logboom_journal_corrupt_ranges_total";
const JOURNAL_MISSING: &str = "logboom_journal_missing_entries_total";
const MEMORY_RESERVED: &str = "logboom_memory_reserved_bytes";
const MEMORY_BOUND: &str = "logboom_memory_bound_bytes";
const TLS_RELOADS: &str = "logboom_tls_reloads_total";
const ADMIN_REFUSED: &str = "logboom_admin_refused_total";
const RELOADS: &str = "logboom_reloads_total";
const LEDGER_IMBALANCE: &str = "logboom_ledger_imbalance_records";
const BUILD_INFO: &str = "logboom_build_info";
const PROCESS_START_TIME: &str = "process_start_time_seconds";
const PROCESS_RESIDENT: &str = "process_resident_memory_bytes";
const PROCESS_CPU: &str = "process_cpu_seconds_total";

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// Writes the text. It remembers what it wrote, because a counter must never go back: of two
/// scrapes at the same time, the one that read earlier cannot undo the other.
pub struct Exposition {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Exposition {
    /// One that has written nothing yet.
    #[must_use]
    pub fn new() -> Exposition {
        let recorder = PrometheusBuilder::new().build_recorder();
        for (name, help) in METRICS {
            if name.ends_with("_total") {
                recorder.describe_counter((*name).into(), None, (*help).into());
            } else {
                recorder.describe_gauge((*name).into(), None, (*help).into());
            }
        }
        Exposition { handle: recorder.handle(), recorder }
    }

    /// Reads every counter and writes the text.
    #[must_use]
    pub fn render(&self, telemetry: &Telemetry) -> String {
        for source in telemetry.all_sources() {
            self.source(&source);
        }
        for (name, totals) in telemetry.sink_totals() {
            self.sink(name, &totals);
        }
        if let Some(journal) = telemetry.journal() {
            self.journal(&journal);
        }
        self.process(telemetry);
        self.handle.render()
    }

    fn source(&self, stats: &SourceStats) {
        let source = Label::new("source", Arc::clone(stats.name()));
        let only = || vec![source.clone()];
        let with = |key: &'static str, value: &'static str| vec![source.clone(), Label::new(key, value)];
        self.counter(RECEIVED_RECORDS, only(), stats.received_records());
        self.counter(RECEIVED_BYTES, only(), stats.received_bytes());
        self.gauge(CONNECTIONS, only(), stats.connections_open() as f64);
        self.counter(CONNECTIONS_ACCEPTED, only(), stats.connections_accepted());
        self.counter(CONNECTIONS_REFUSED, only(), stats.connections_refused());
        self.counter(ACCEPT_ERRORS, only(), stats.accept_errors());
        for reason in DeniedReason::ALL {
            self.counter(CONNECTIONS_DENIED, with("reason", reason.as_str()), stats.denied(*reason));
        }
        for reason in HandshakeFailure::ALL {
            self.counter(HANDSHAKE_FAILURES, with("reason", reason.as_str()), stats.handshake_failures(*reason));
        }
        match stats.kind() {
            SourceKind::Lines => {
                for result in LineResult::ALL {
                    self.counter(LINES, with("result", result.as_str()), stats.lines(*result));
                }
            }
            SourceKind::Otlp => {
                for code in GrpcCode::ALL {
                    self.counter(OTLP_REQUESTS, with("code", code.as_str()), stats.requests(*code));
                }
            }
        }
        for reason in RejectReason::ALL {
            self.counter(REJECTED_RECORDS, with("reason", reason.as_str()), stats.rejected(*reason));
        }
        for reason in RepairReason::ALL {
            self.counter(REPAIRED_RECORDS, with("reason", reason.as_str()), stats.repaired(*reason));
        }
    }

    fn sink(&self, name: Arc<str>, totals: &SinkTotals) {
        let sink = Label::new("sink", name);
        let only = || vec![sink.clone()];
        let with = |reason: &'static str| vec![sink.clone(), Label::new("reason", reason)];
        let tally = &totals.tally;
        self.counter(DELIVERED_RECORDS, only(), tally.delivered);
        self.counter(SHED_RECORDS, with("full"), tally.shed_full);
        self.counter(SHED_RECORDS, with("hold"), tally.shed_hold);
        self.counter(SHED_RECORDS, with("stopped"), tally.shed_stopped);
        self.counter(FILTERED_RECORDS, only(), totals.filtered_records + tally.filtered);
        self.counter(EXPIRED_RECORDS, with("full"), tally.expired_full);
        self.counter(EXPIRED_RECORDS, with("damaged"), tally.expired_damaged);
        self.counter(RECOVERED_RECORDS, only(), tally.recovered);
        self.gauge(JOURNAL_LAG, only(), tally.deferred as f64);
        self.gauge(INBOX_BYTES, only(), totals.inbox_bytes as f64);
        let mut failed_for_other_reasons = tally.failed;
        for sample in &totals.samples {
            let name = match sample.metric {
                SinkMetric::FileRotations => FILE_ROTATIONS,
                SinkMetric::WriteErrors => WRITE_ERRORS,
                SinkMetric::Retries => RETRIES,
                SinkMetric::FailedRecords => {
                    failed_for_other_reasons = failed_for_other_reasons.saturating_sub(sample.count);
                    FAILED_RECORDS
                }
            };
            self.counter(name, with(sample.reason), sample.count);
        }
        self.counter(FAILED_RECORDS, with("other"), failed_for_other_reasons);
        self.counter(FAILED_RECORDS, with("abandoned"), tally.abandoned);
    }

    fn journal(&self, stats: &JournalStats) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let reason = |reason: &'static str| vec![Label::new("reason", reason)];
        self.gauge(JOURNAL_BYTES, vec![], get(&stats.bytes) as f64);
        self.gauge(JOURNAL_MAX_BYTES, vec![], get(&stats.max_bytes) as f64);
        for why in [NoRoom::Max, NoRoom::Disk] {
            self.gauge(JOURNAL_FULL, reason(why.as_str()), f64::from(u8::from(stats.no_room() == Some(why))));
        }
        self.counter(JOURNAL_ENTRIES, vec![], get(&stats.entries));
        self.counter(JOURNAL_SYNCS, vec![], get(&stats.syncs));
        self.counter(JOURNAL_ERRORS, reason("write"), get(&stats.write_failures));
        self.counter(JOURNAL_ERRORS, reason("sync"), get(&stats.sync_failures));
        self.counter(JOURNAL_CORRUPT, vec![], get(&stats.corrupt_ranges));
        self.counter(JOURNAL_MISSING, vec![], get(&stats.missing_entries));
    }

    fn process(&self, telemetry: &Telemetry) {
        self.gauge(BUILD_INFO, vec![Label::new("version", env!("CARGO_PKG_VERSION"))], 1.0);
        self.gauge(MEMORY_RESERVED, vec![], telemetry.budget().reserved() as f64);
        self.gauge(MEMORY_BOUND, vec![], telemetry.memory_bound_bytes() as f64);
        for (result, ok) in [("ok", true), ("failed", false)] {
            self.counter(RELOADS, vec![Label::new("result", result)], telemetry.reloads(ok));
            self.counter(TLS_RELOADS, vec![Label::new("result", result)], telemetry.tls_reloads(ok));
        }
        for (reason, unauthenticated) in [("tls", false), ("unauthenticated", true)] {
            let refused = telemetry.admin_refused(unauthenticated);
            self.counter(ADMIN_REFUSED, vec![Label::new("reason", reason)], refused);
        }
        self.gauge(LEDGER_IMBALANCE, vec![], telemetry.ledger().imbalance() as f64);
        let since_epoch = telemetry.started_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.gauge(PROCESS_START_TIME, vec![], since_epoch.as_secs_f64());
        let usage = Usage::read();
        if let Some(bytes) = usage.resident_bytes {
            self.gauge(PROCESS_RESIDENT, vec![], bytes as f64);
        }
        if let Some(seconds) = usage.cpu_seconds {
            self.counter(PROCESS_CPU, vec![], seconds);
        }
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>, value: u64) {
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA).absolute(value);
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>, value: f64) {
        self.recorder.register_gauge(&Key::from_parts(name, labels), &METADATA).set(value);
    }
}

impl std::fmt::Debug for Exposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}
