//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/status`. It reads and never changes
//! anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod pages;
mod server;
mod status;

pub use server::serve;
pub use status::Status;

/// Settings of the admin listener.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// `host:port`, or `off`.
    pub listen: String,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig { listen: "127.0.0.1:9464".to_owned() }
    }
}
