//! Source `lines`: newline-delimited records over TCP or a unix socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::ByteSize;

/// Settings of a `lines` source.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinesConfig {
    /// `host:port`, or `unix:/path/of.sock`.
    pub listen: String,
    /// How a line is read.
    #[serde(default)]
    pub format: LineFormat,
    /// A longer line is truncated and flagged; the connection lives on.
    #[serde(default = "line_max_default")]
    pub line_max: ByteSize,
    /// Further connections are closed at once and counted.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
}

fn line_max_default() -> ByteSize {
    ByteSize::mib(1)
}

fn connections_max_default() -> u32 {
    4096
}

/// How a line is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineFormat {
    /// Lines that start with `{` are read as JSON, all others are text.
    #[default]
    Auto,
    /// Every line is text.
    Raw,
    /// Every line should be a JSON object; one that is not is kept as text with the reason.
    Json,
}
