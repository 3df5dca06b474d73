//! What the user wrote, checked.
//!
//! A text becomes a tree of spanned nodes (`tree`), `${…}` is put into its values (`substitute`),
//! the tree is read into the types that stand beside
//! the components (`load`, `de`), and what types cannot say is checked (`check`). Every step
//! reports into one list, so a user sees all mistakes at once, each with its line.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod check;
mod checked;
pub(crate) mod de;
mod errors;
pub mod exposure;
mod hide;
pub mod listen;
mod load;
mod policies;
pub(crate) mod problem;
pub mod secret;
mod socket;
mod substitute;
pub(crate) mod suggest;
mod test;
pub(crate) mod tree;
pub mod units;

pub use checked::Checked;
pub use errors::ConfigErrors;
pub use load::Draft;
pub use problem::{Located, Report};
pub use test::{Expected, TestConfig};

use crate::journal::JournalConfig;
use crate::redact::RedactConfig;
use crate::sink::SinkConfig;
use crate::source::SourceConfig;
use units::{ByteSize, Period};

/// The whole configuration. It is read by [`Config::load`] only, which knows `type` before the
/// rest and so can say where a mistake is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where records come from, by name; those that policies ask for are added.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceConfig>,
    /// Where records go, by name.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// Files with mesh policies, `*` and `?` in their names: sources are made of them. Empty once
    /// they are.
    #[serde(default, skip_serializing)]
    #[schemars(with = "PolicyPaths")]
    pub policies: Vec<String>,
    /// What is taken out of every record before it is written.
    #[serde(default, skip_serializing_if = "RedactConfig::is_nothing")]
    pub redact: RedactConfig,
    /// Bytes in flight, all sources and sinks together.
    #[serde(default = "memory_default")]
    pub memory: ByteSize,
    /// Where everything received is written before it counts as accepted; nothing is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalConfig>,
    /// Metrics, health and status.
    #[serde(default)]
    pub admin: crate::admin::AdminConfig,
    /// Where a running process is asked how it does, and told to reload or to stop.
    #[serde(default)]
    pub control: crate::control::ControlConfig,
    /// How to stop.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
    /// Where the next process finds this one, to take over its sockets; absent means nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<crate::handover::TakeoverConfig>,
    /// Lines, and what must become of them; `logboom test` runs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestConfig>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path) -> Result<Checked, ConfigErrors> {
        Draft::file(path)?.finish()
    }

    /// Reads and checks a text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn from_text(name: &str, text: &str) -> Result<Checked, ConfigErrors> {
        Draft::text(name, text)?.finish()
    }
}

/// `policies` as it is written.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is only for the schema")]
enum PolicyPaths {
    One(String),
    Several(Vec<String>),
}

fn memory_default() -> ByteSize {
    ByteSize::mib(64)
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
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
