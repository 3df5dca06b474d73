//! Sink `otlp`: an OTLP endpoint upstream, over gRPC or HTTP.
//!
//! What waits is merged into requests by putting the batches one behind the other, byte for byte.
//! A delivery is settled when the upstream has said what became of it, never before:
//!
//! | The upstream | The records |
//! |---|---|
//! | accepts | delivered |
//! | accepts in part | the rejected are failed, the others delivered; nothing is sent again |
//! | refuses for good | cut in halves until the refused records are alone; these are failed |
//! | is busy, gone, mute, or cuts the line | sent again, until it answers or logboom ends |
//! | lets us not in, or knows no such service | sent again, seldom |
//! | is still silent when logboom ends | failed |
//!
//! What is sent again may arrive twice: at most the requests in flight, [`REQUESTS_MAX`] of
//! [`REQUEST_BYTES_MAX`]. While the upstream keeps up there is one request at a time, and order is
//! kept; several are in flight only to catch up, and only until the first of them fails. OTLP
//! itself promises no order.

mod certificates;
mod client;
mod endpoint;
mod http;
mod isolate;
pub mod probe;
mod route;
mod run;
mod settings;
mod split;
mod stats;
mod upstream;
mod verdict;

pub use certificates::Certificates;
pub use run::{REQUEST_BYTES_MAX, REQUESTS_MAX, run};
pub use settings::{Mistake, Settings};
pub use stats::{Reason, UpstreamStats};
pub use upstream::{Upstream, inspect};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::config::units::Period;

/// Settings of an `otlp` sink.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// `http://host:4317` or `https://host:4317`, over HTTP `http://host:4318`; a list is tried in order.
    pub endpoint: Endpoints,
    /// How requests travel.
    #[serde(default)]
    pub protocol: Protocol,
    /// How requests are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Headers sent with each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, Secret>,
    /// How long a request may take.
    #[serde(default = "timeout_default")]
    pub timeout: Period,
    /// How failed requests are repeated; there is no last attempt.
    #[serde(default)]
    pub retry: RetryConfig,
    /// TLS for `https` endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

fn timeout_default() -> Period {
    Period::seconds(10)
}

/// One endpoint, or several in the order they are tried.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Endpoints {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl std::fmt::Display for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.as_slice().join(", "))
    }
}

impl Endpoints {
    /// All, in the order they are tried.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Endpoints::One(endpoint) => std::slice::from_ref(endpoint),
            Endpoints::Several(endpoints) => endpoints,
        }
    }
}

/// By hand, because a derived untagged enum says neither what was expected nor where.
impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> serde::de::Visitor<'de> for OneOrSeveral {
            type Value = Endpoints;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an endpoint or a list of endpoints")
            }

            fn visit_str<E: serde::de::Error>(self, endpoint: &str) -> Result<Endpoints, E> {
                Ok(Endpoints::One(endpoint.to_owned()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut endpoints: A) -> Result<Endpoints, A::Error> {
                let mut several = Vec::new();
                while let Some(endpoint) = endpoints.next_element()? {
                    several.push(endpoint);
                }
                Ok(Endpoints::Several(several))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// How requests travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// HTTP/1.1, in protobuf.
    Http,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RequestCompression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// How failed requests are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Pause after the first failure; it doubles from failure to failure.
    pub initial: Period,
    /// Longest pause.
    pub max: Period,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig { initial: Period::millis(500), max: Period::seconds(30) }
    }
}

/// TLS towards the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM file of the authority that signed the server; absent means those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// PEM file of our certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// PEM file of our key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Name the server's certificate must carry; absent means the endpoint's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}
