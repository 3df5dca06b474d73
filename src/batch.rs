//! What travels from a source to a sink: encoded records, shared by reference.
//!
//! A batch is born complete: the connection's own task has decoded and encoded it, once per
//! encoding, before any sink sees it. Cloning costs two reference counts.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

/// Where records came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name of the source in the configuration.
    pub source: Arc<str>,
    /// The other end of the connection, where there is an address.
    pub peer: Option<SocketAddr>,
    /// When the bytes arrived, nanoseconds since the epoch.
    pub received_unix_nano: u64,
}

/// Records in one encoding.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The records as the sink writes them. Every encoding but `otlp` is whole lines, each ended
    /// by a line feed, so that any line end is a place to cut.
    pub payload: Bytes,
    /// How many log records there are in it.
    pub records: u64,
    /// For a sink with a path template: which lines go where.
    pub routes: Option<Arc<Routes>>,
    /// Where they came from.
    pub origin: Origin,
}

/// Which lines of a payload go to which file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// The distinct paths.
    pub paths: Vec<String>,
    /// Consecutive lines with the same path, in order; together they cover the payload.
    pub runs: Vec<Run>,
}

/// Consecutive lines with the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which of the paths.
    pub path: u32,
    /// One past the last byte in the payload.
    pub end: u32,
    /// Number of records.
    pub records: u32,
}
