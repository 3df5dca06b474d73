//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/status`. It reads and never changes
//! anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::AuthConfig;
use crate::config::exposure::Exposure;
use crate::tls::ListenerTlsConfig;

mod access;
mod pages;
mod server;
mod status;

pub use access::Access;
pub use server::{CONNECTIONS_MAX, serve};
pub use status::Status;

/// Settings of the admin listener.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// `host:port`, or `off`.
    pub listen: String,
    /// TLS, and whose clients are let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTlsConfig>,
    /// Only requests with one of these tokens are answered, but for `/livez` and `/readyz`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthConfig>,
    /// Other machines may ask without TLS.
    pub allow_plaintext: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig { listen: "127.0.0.1:9464".to_owned(), tls: None, auth: None, allow_plaintext: false }
    }
}

impl AdminConfig {
    /// What stands between it and those who reach it.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        Exposure {
            tls: self.tls.is_some(),
            client_ca: self.tls.as_ref().is_some_and(|it| it.client_ca.is_some()),
            auth: Some(self.auth.is_some()),
            allow: None,
            allow_plaintext: self.allow_plaintext,
        }
    }
}
