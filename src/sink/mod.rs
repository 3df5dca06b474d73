//! Sinks: eat an inbox, settle each delivery.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod compress;
pub mod disk;
pub mod file;
pub mod keep;
pub mod null;
pub mod otlp;
pub mod rotate;
pub mod stdout;
pub mod template;

use crate::config::units::{ByteSize, WaitMax};

/// One sink: what every sink takes, and the settings of its type.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct SinkConfig {
    /// Only these sources; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<String>>,
    /// Bytes that may wait in memory for this sink.
    #[serde(default = "inbox_default")]
    pub inbox: ByteSize,
    /// How long this sink, when full, may hold the sources back. Absent means the default of its
    /// type: `file` 5s, all others 0s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_max: Option<WaitMax>,
    /// Settings of the type.
    #[serde(flatten)]
    pub kind: SinkKind,
}

fn inbox_default() -> ByteSize {
    ByteSize::mib(16)
}

/// The sinks, told apart by `type`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SinkKind {
    /// Rotating files.
    File(file::FileConfig),
    /// Standard output.
    Stdout(stdout::StdoutConfig),
    /// An OTLP endpoint upstream.
    Otlp(otlp::OtlpConfig),
    /// Counts and drops.
    Null(null::NullConfig),
}
