//! What one source counts: increments of a whole batch, request or connection, never of a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::closed_set::{DeniedReason, GrpcCode, HandshakeFailure, LineResult, RejectReason, RepairReason};
use super::inflow::Inflow;

/// What kind of source it is, which decides the metrics that make sense for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Newline-delimited records.
    Lines,
    /// OTLP requests.
    Otlp,
}

impl SourceKind {
    /// The `type` in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SourceKind::Lines => "lines",
            SourceKind::Otlp => "otlp",
        }
    }
}

/// The counters of one source. Every method is lock-free and may be called from any task.
#[derive(Debug)]
pub struct SourceStats {
    name: Arc<str>,
    is_otlp: AtomicBool,
    received_bytes: AtomicU64,
    received_records: AtomicU64,
    in_intake_records: AtomicU64,
    lines: [AtomicU64; LineResult::ALL.len()],
    requests: [AtomicU64; GrpcCode::ALL.len()],
    rejected: [AtomicU64; RejectReason::ALL.len()],
    repaired: [AtomicU64; RepairReason::ALL.len()],
    connections_open: AtomicU64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    accept_errors: AtomicU64,
    denied: [AtomicU64; DeniedReason::ALL.len()],
    handshake_failures: [AtomicU64; HandshakeFailure::ALL.len()],
}

impl SourceStats {
    /// All zero.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: SourceKind) -> Arc<SourceStats> {
        Arc::new(SourceStats {
            name: name.into(),
            is_otlp: AtomicBool::new(kind == SourceKind::Otlp),
            received_bytes: AtomicU64::default(),
            received_records: AtomicU64::default(),
            in_intake_records: AtomicU64::default(),
            lines: Default::default(),
            requests: Default::default(),
            rejected: Default::default(),
            repaired: Default::default(),
            connections_open: AtomicU64::default(),
            connections_accepted: AtomicU64::default(),
            connections_refused: AtomicU64::default(),
            accept_errors: AtomicU64::default(),
            denied: Default::default(),
            handshake_failures: Default::default(),
        })
    }

    /// Name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What kind of source it is.
    #[must_use]
    pub fn kind(&self) -> SourceKind {
        if self.is_otlp.load(Ordering::Relaxed) { SourceKind::Otlp } else { SourceKind::Lines }
    }

    /// A reload has given the name to a source of another kind, which goes on counting.
    pub fn become_kind(&self, kind: SourceKind) {
        self.is_otlp.store(kind == SourceKind::Otlp, Ordering::Relaxed);
    }

    /// Bytes read from clients, as they came (compressed, if they were), whatever became of them.
    pub fn count_bytes(&self, bytes: u64) {
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// See [`Inflow::count_received`], which counts in this order.
    pub(super) fn enter(&self, records: u64) {
        self.in_intake_records.fetch_add(records, Ordering::Relaxed);
        self.received_records.fetch_add(records, Ordering::Release);
    }

    /// See [`Inflow::count_received`].
    pub(super) fn leave(&self, records: u64) {
        self.in_intake_records.fetch_sub(records, Ordering::Release);
    }

    /// Lines that were read so.
    pub fn count_lines(&self, result: LineResult, lines: u64) {
        add(&self.lines[result as usize], lines);
    }

    /// A request that was answered so.
    pub fn count_request(&self, code: GrpcCode) {
        add(&self.requests[code as usize], 1);
    }

    /// Records that were refused. For a request that cannot be counted, one.
    pub fn count_rejected(&self, reason: RejectReason, records: u64) {
        add(&self.rejected[reason as usize], records);
    }

    /// Records that had to be changed; they are also received.
    pub fn count_repaired(&self, reason: RepairReason, records: u64) {
        add(&self.repaired[reason as usize], records);
    }

    /// A connection that was accepted; it is open until the guard is dropped.
    pub fn count_accepted(self: &Arc<Self>) -> OpenConnection {
        add(&self.connections_accepted, 1);
        add(&self.connections_open, 1);
        OpenConnection { stats: Arc::clone(self) }
    }

    /// A connection that was turned away because there were too many.
    pub fn count_refused(&self) {
        add(&self.connections_refused, 1);
    }

    /// The system refused to hand over a connection, or what it begins with is not the protocol.
    pub fn count_accept_error(&self) {
        add(&self.accept_errors, 1);
    }

    /// A connection that may not be, or does not say whose it is.
    pub fn count_denied(&self, reason: DeniedReason) {
        add(&self.denied[reason as usize], 1);
    }

    /// A TLS handshake that came to nothing.
    pub fn count_handshake_failure(&self, reason: HandshakeFailure) {
        add(&self.handshake_failures[reason as usize], 1);
    }

    /// Records received so far. Whoever sees a record here sees it in the intake or beyond.
    #[must_use]
    pub fn received_records(&self) -> u64 {
        self.received_records.load(Ordering::Acquire)
    }

    /// Records received but not yet offered to each sink. Whoever sees one gone sees it offered.
    #[must_use]
    pub fn in_intake_records(&self) -> u64 {
        self.in_intake_records.load(Ordering::Acquire)
    }

    /// Bytes received so far.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        get(&self.received_bytes)
    }

    /// Lines read so, so far.
    #[must_use]
    pub fn lines(&self, result: LineResult) -> u64 {
        get(&self.lines[result as usize])
    }

    /// Requests answered so, so far.
    #[must_use]
    pub fn requests(&self, code: GrpcCode) -> u64 {
        get(&self.requests[code as usize])
    }

    /// Records refused for this reason, so far.
    #[must_use]
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        get(&self.rejected[reason as usize])
    }

    /// Records refused for any reason, so far.
    #[must_use]
    pub fn rejected_records(&self) -> u64 {
        self.rejected.iter().map(get).sum()
    }

    /// Records changed for this reason, so far.
    #[must_use]
    pub fn repaired(&self, reason: RepairReason) -> u64 {
        get(&self.repaired[reason as usize])
    }

    /// Connections open now.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        get(&self.connections_open)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        get(&self.connections_accepted)
    }

    /// Connections turned away so far.
    #[must_use]
    pub fn connections_refused(&self) -> u64 {
        get(&self.connections_refused)
    }

    /// Connections denied for this reason, so far.
    #[must_use]
    pub fn denied(&self, reason: DeniedReason) -> u64 {
        get(&self.denied[reason as usize])
    }

    /// TLS handshakes that came to nothing for this reason, so far.
    #[must_use]
    pub fn handshake_failures(&self, reason: HandshakeFailure) -> u64 {
        get(&self.handshake_failures[reason as usize])
    }

    /// Failures to accept so far.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        get(&self.accept_errors)
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Received records on their way to the inboxes, until this is dropped. One that is dropped
/// before every sink was offered the records shows as an imbalance of the ledger.
#[derive(Debug)]
#[must_use = "hold it until each sink has been offered the records"]
pub struct InIntake {
    inflow: Arc<Inflow>,
    records: u64,
}

impl InIntake {
    pub(super) fn new(inflow: Arc<Inflow>, records: u64) -> InIntake {
        InIntake { inflow, records }
    }
}

impl Drop for InIntake {
    fn drop(&mut self) {
        self.inflow.leave(self.records);
    }
}

/// An open connection, until this is dropped.
#[derive(Debug)]
#[must_use = "the connection counts as open until this is dropped"]
pub struct OpenConnection {
    stats: Arc<SourceStats>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.stats.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}
