//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/status`, and the live view below `/api`. It
//! reads and never changes anything. The control socket has the same pages, and some that do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod control;
mod conversation;
mod health;
mod live;
mod pages;
mod server;
mod status;
mod tap;

pub use server::{serve, serve_control};
pub use status::Status;

/// Settings of the admin listener.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// `host:port`, or `off`.
    pub listen: String,
    /// Whether the traffic of the last minutes is gathered, for `logboom top` and `/api/traffic`.
    pub traffic: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig { listen: "127.0.0.1:9464".to_owned(), traffic: true }
    }
}
