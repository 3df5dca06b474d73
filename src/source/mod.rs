//! Sources: own sockets and protocol replies, feed the intake.

use schemars::JsonSchema;
use serde::Serialize;

use crate::decode::reader::{self, Reader, SettingError};
use crate::telemetry::SourceKind;

pub mod accept;
mod als;
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
    /// OTLP logs over gRPC and HTTP.
    Otlp(otlp::OtlpConfig),
}

/// One of the places where a source listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The key that says so.
    pub key: &'static str,
    /// What it says.
    pub address: &'a str,
}

impl SourceConfig {
    /// Where it listens, in the order of keys.
    #[must_use]
    pub fn places(&self) -> Vec<Place<'_>> {
        match self {
            SourceConfig::Lines(lines) => vec![Place { key: "listen", address: &lines.listen }],
            SourceConfig::Otlp(otlp) => {
                let place = |key, address| Some(Place { key, address: Option::as_deref(address)? });
                [place("grpc", &otlp.grpc), place("http", &otlp.http)].into_iter().flatten().collect()
            }
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

/// Type and addresses in a few words, as the ready line shows them. An address comes with its key.
pub fn label<'a>(source: &SourceConfig, addresses: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut label = match source {
        SourceConfig::Lines(_) => "lines".to_owned(),
        SourceConfig::Otlp(_) => "otlp".to_owned(),
    };
    for (key, address) in addresses {
        label += &match source {
            SourceConfig::Lines(_) => format!(" {address}"),
            SourceConfig::Otlp(_) => format!(" {address} ({key})"),
        };
    }
    label
}
