//! Source `otlp`: OTLP logs over gRPC.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{ByteSize, Period};

/// Settings of an `otlp` source.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// `host:port` of the gRPC listener.
    pub grpc: String,
    /// Largest request, after decompression.
    #[serde(default = "message_max_default")]
    pub message_max: ByteSize,
    /// Most records in one request, counted before anything is allocated.
    #[serde(default = "records_max_default")]
    pub records_max: u32,
    /// How long a request may wait for room before it is answered UNAVAILABLE with RetryInfo.
    #[serde(default = "hold_max_default")]
    pub hold_max: Period,
    /// Further connections are closed at once and counted.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
}

fn message_max_default() -> ByteSize {
    ByteSize::mib(16)
}

fn records_max_default() -> u32 {
    100_000
}

fn hold_max_default() -> Period {
    Period::seconds(2)
}

fn connections_max_default() -> u32 {
    4096
}
