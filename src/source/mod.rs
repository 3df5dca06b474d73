//! Sources: own sockets and protocol replies, feed the intake.

use schemars::JsonSchema;
use serde::Serialize;

use crate::auth::AuthConfig;
use crate::config::exposure::Exposure;
use crate::decode::reader::{self, Reader, SettingError};
use crate::telemetry::SourceKind;
use crate::tls::ListenerTlsConfig;
use allow::Network;

pub mod accept;
mod admit;
pub mod allow;
mod als;
pub mod body;
pub mod door;
pub mod flow;
pub mod framing;
mod grpc_call;
mod head;
pub mod http_call;
pub mod inflate;
pub mod lines;
pub mod listen;
pub mod live;
pub mod logs_service;
pub mod message;
pub mod otlp;
pub mod prefixed;
pub mod proxy_protocol;
pub mod reply;
pub mod sockets;
pub mod stop;
pub mod stream;
mod trickle;

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

    /// TLS, where it is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<&ListenerTlsConfig> {
        match self {
            SourceConfig::Lines(lines) => lines.tls.as_ref(),
            SourceConfig::Otlp(otlp) => otlp.tls.as_ref(),
        }
    }

    /// Whose requests are taken; all where nothing is said.
    #[must_use]
    pub fn auth(&self) -> Option<&AuthConfig> {
        match self {
            SourceConfig::Lines(_) => None,
            SourceConfig::Otlp(otlp) => otlp.auth.as_ref(),
        }
    }

    /// Whose connections are accepted; all when empty.
    #[must_use]
    pub fn allow(&self) -> &[Network] {
        match self {
            SourceConfig::Lines(lines) => &lines.allow,
            SourceConfig::Otlp(otlp) => &otlp.allow,
        }
    }

    /// True when each connection begins with a PROXY header.
    #[must_use]
    pub fn proxy_protocol(&self) -> bool {
        matches!(self, SourceConfig::Lines(lines) if lines.proxy_protocol)
    }

    /// What stands between it and those who reach it.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        let (auth, allow_plaintext) = match self {
            SourceConfig::Lines(lines) => (None, lines.allow_plaintext),
            SourceConfig::Otlp(otlp) => (Some(otlp.auth.is_some()), otlp.allow_plaintext),
        };
        Exposure {
            tls: self.tls().is_some(),
            client_ca: self.tls().is_some_and(|it| it.client_ca.is_some()),
            auth,
            allow: Some(!self.allow().is_empty()),
            allow_plaintext,
        }
    }

    /// What TLS offers to speak, best first.
    #[must_use]
    pub fn protocols(&self) -> &'static [&'static [u8]] {
        match self {
            SourceConfig::Lines(_) => &[],
            SourceConfig::Otlp(_) => &[b"h2", b"http/1.1"],
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
