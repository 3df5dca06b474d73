//! What the user wrote, checked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod units;

use crate::sink::SinkConfig;
use crate::source::SourceConfig;
use units::{ByteSize, Period};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where records come from, by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// Where records go, by name.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// Bytes in flight, all sources and sinks together.
    #[serde(default = "memory_default")]
    pub memory: ByteSize,
    /// Metrics, health and status.
    #[serde(default)]
    pub admin: crate::admin::AdminConfig,
    /// How to stop.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
}

fn memory_default() -> ByteSize {
    ByteSize::mib(64)
}

/// How to stop.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long draining may take after SIGTERM or SIGINT.
    pub grace: Period,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        ShutdownConfig { grace: Period::seconds(8) }
    }
}
