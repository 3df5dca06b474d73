//! Sources: own sockets and protocol replies, feed the intake.

use schemars::JsonSchema;
use serde::Serialize;

use crate::decode::reader::{self, Reader, SettingError};
use crate::telemetry::SourceKind;

pub mod accept;
pub mod flow;
pub mod framing;
pub mod inflate;
pub mod lines;
pub mod listen;
pub mod live;
pub mod logs_service;
pub mod message;
pub mod otlp;
pub mod prefixed;
pub mod reply;
pub mod sockets;
pub mod stop;
pub mod stream;

/// One source, told apart by `type`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceConfig {
    /// Newline-delimited records over TCP or a unix socket.
    Lines(lines::LinesConfig),
    /// OTLP logs over gRPC.
    Otlp(otlp::OtlpConfig),
}

impl SourceConfig {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            SourceConfig::Lines(lines) => &lines.listen,
            SourceConfig::Otlp(otlp) => &otlp.grpc,
        }
    }

    /// Most connections at a time.
    #[must_use]
    pub fn connections_max(&self) -> u32 {
        match self {
            SourceConfig::Lines(lines) => lines.connections_max,
            SourceConfig::Otlp(otlp) => otlp.connections_max,
        }
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> SourceKind {
        match self {
            SourceConfig::Lines(_) => SourceKind::Lines,
            SourceConfig::Otlp(_) => SourceKind::Otlp,
        }
    }

    /// Compiles its `format:`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn reader(&self) -> Result<Reader, SettingError> {
        match self {
            SourceConfig::Lines(lines) => Reader::compile(&lines.format, reader::Origin::Lines),
            SourceConfig::Otlp(otlp) => Reader::compile(&otlp.format, reader::Origin::Otlp),
        }
    }
}

/// Type and address in a few words, as the ready line shows them.
#[must_use]
pub fn label(source: &SourceConfig, address: &str) -> String {
    match source {
        SourceConfig::Lines(_) => format!("lines {address}"),
        SourceConfig::Otlp(_) => format!("otlp {address} (grpc)"),
    }
}
