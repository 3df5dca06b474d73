//! Sink `stdout`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a `stdout` sink.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutConfig {
    /// How records are written.
    pub encoding: StdoutEncoding,
}

/// How records are written to standard output. Control characters are escaped in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StdoutEncoding {
    /// One JSON object a line.
    #[default]
    Json,
    /// One line for people.
    Pretty,
    /// The line as received, or the body as text.
    Raw,
}
