//! logboom, the log collector of the service mesh.
//!
//! Access-log lines over TCP or a unix socket and OTLP logs over gRPC come in; rotating files,
//! standard output and an OTLP upstream are where they go. The library is the program: `main` adds
//! an allocator and the exit code. It is not meant to be depended on, and its items may change.
//!
//! ```text
//! source ──payload──▶ intake: decode once, encode once per encoding ──Batch──▶ inbox ──Delivery──▶ sink
//!        ◀──Receipt──                                                        one per sink
//! ```
//!
//! A batch is born complete, in the task of the connection it came from, is shared by reference,
//! and is settled once. What is in flight is counted in one [`budget`]. A sink that is stuck is
//! passed over, alone, and its records are counted and told in a gap record: [`inbox`], [`gap`].
//!
//! # Code map
//!
//! | to see | read |
//! |---|---|
//! | how it starts and ends | [`cli`], [`server`] |
//! | what the user writes | [`config`]; the settings of a component stand beside the component |
//! | how bytes come in | [`source`]: `lines` and its `framing`, `otlp` and its `logs_service` |
//! | what becomes of them | [`intake`], then [`decode`], [`record`], [`encode`], [`template`] |
//! | what a line says | [`decode::format`]: Envoy's format strings; [`decode::reader`]: which of them, or JSON |
//! | how that is called | [`semantics`]: attributes, severity, flags, trace ids |
//! | what is taken out of them | [`redact`] |
//! | which of them a sink takes | [`select`] |
//! | where they wait | [`batch`], [`inbox`], [`gap`] |
//! | where they go | [`sink`]: `file`, `stdout`, `otlp`, `null` |
//! | who is let in | [`tls`], [`auth`], [`source::door`] |
//! | how much memory it takes | [`budget`], [`memory`] |
//! | how the next process takes over | [`handover`], [`server`] |
//! | what can be seen of it | [`telemetry`], [`monitor`], [`admin`] |
//! | how a running one is asked and told | [`control`] |
//! | what keeps a configuration from working here | [`doctor`] |
//! | what mesh policies ask for | [`policy`] |
//! | what an OpenTelemetry Collector was told to do | [`otelcol`] |
//! | what a line or a flag means, for people | [`explain`], [`learn`] |
//! | realistic load | [`generate`] |
//!
//! `ARCHITECTURE.md` has a line for each file, what happens when something fails, and the reasons.
//!
//! # What modules do not know
//!
//! - [`decode`], [`semantics`], [`encode`], [`record`], [`redact`], [`select`], [`explain`], [`learn`] and [`template`] know
//!   no sockets, files, clocks or tasks. Bytes in, bytes out; any input, no panic, bounded recursion.
//! - [`semantics`] does not know whether a value stood in a line, in JSON or in OTLP.
//! - [`policy`] knows no sockets; what it makes are settings of sources.
//! - [`handover`] knows no configuration: what is whose is decided by [`server`].
//! - [`source`] knows no sinks, and [`sink`] no sources. Only [`server`] knows both.
//! - [`inbox`] and [`batch`] do not know what the bytes mean; an encoder makes the gap records.
//! - [`sink`] does not know how records look. It gets bytes in its encoding.
//! - [`telemetry`] lets a client choose among the values of a label, never add one.
//! - [`grpc`] knows no protobuf.
//! - Nothing but `main` can end the process.
//!
//! # What holds everywhere
//!
//! - One record costs arithmetic: no allocation, lock, send, metric or log line.
//! - Every queue, buffer, wait and retry has a number with a unit.
//! - A delivery that is dropped counts as abandoned: an acknowledgement can be lost, never forged.
//! - Received records equal those offered to, filtered from, and on the way to each sink; offered are
//!   delivered, failed, abandoned, shed or in flight. At any moment, or it is a bug.

pub mod admin;
pub mod auth;
pub mod batch;
pub mod beside;
pub mod block;
pub mod budget;
pub mod cli;
pub mod config;
pub mod control;
pub mod decode;
pub mod doctor;
pub mod encode;
pub mod explain;
pub mod gap;
pub mod generate;
pub mod grpc;
pub mod handover;
pub mod header;
pub mod inbox;
pub mod intake;
pub mod journal;
pub mod learn;
pub mod memory;
pub mod monitor;
pub mod otelcol;
pub mod policy;
pub mod quotes;
pub mod record;
pub mod redact;
pub mod select;
pub mod semantics;
pub mod server;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod template;
pub mod tls;
pub mod word;
