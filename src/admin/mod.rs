//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/status`, the live view below `/api`, and a page that shows it.
//! It reads and never changes anything. The control socket has the same pages, and some that do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::AuthConfig;
use crate::config::exposure::Exposure;
use crate::tls::ListenerTlsConfig;

mod access;
mod control;
mod conversation;
mod doors;
mod guard;
mod health;
mod live;
mod page;
mod pages;
mod refusal;
mod server;
mod status;
mod tap;

pub use access::Access;
pub use guard::Hosts;
pub use server::{CONNECTIONS_MAX, serve, serve_control};
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
    /// Only requests with one of these tokens are answered, but for `/livez`, `/readyz` and the page itself, which
    /// asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthConfig>,
    /// Other machines may ask without TLS.
    pub allow_plaintext: bool,
    /// Names under which the page, `/status` and `/api` may be asked for, besides addresses, `localhost` and what is listened on.
    pub hosts: Vec<String>,
    /// Whether the traffic of the last minutes is gathered, for `logboom top` and `/api/traffic`.
    pub traffic: bool,
}

impl AdminConfig {
    /// Names at most.
    pub const HOSTS_MAX: usize = 64;

    /// Whether a browser can send this as the name of a host: without a port, and no pattern.
    #[must_use]
    pub fn is_host(name: &str) -> bool {
        let letters = name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._".contains(&it));
        letters && (1..=253).contains(&name.len())
    }

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

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig {
            listen: "127.0.0.1:9464".to_owned(),
            tls: None,
            auth: None,
            allow_plaintext: false,
            hosts: Vec::new(),
            traffic: true,
        }
    }
}
