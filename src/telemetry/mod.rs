//! What an operator sees: counters, the ledger that must balance, `/metrics` text, and an own log
//! that does not repeat itself.
//!
//! Counting costs a few relaxed atomics per batch. Names, labels and text are made when somebody
//! asks, never when a record passes.

mod closed_set;
mod exposition;
mod inflow;
mod ledger;
mod log;
mod process;
mod registry;
mod sink;
mod source;

pub use closed_set::{DeniedReason, GrpcCode, HandshakeFailure, LineResult, RejectReason, RepairReason};
pub use exposition::METRICS;
pub use inflow::{Inflow, Inflows};
pub use ledger::{Ledger, SinkLedger, SourceLedger};
pub use log::Quiet;
pub use registry::{Readiness, Telemetry, TelemetrySettings};
pub use sink::{Health, SinkMetric, SinkSample, SinkState, SinkTotals, SinkView};
pub use source::{InIntake, OpenConnection, SourceKind, SourceStats};
