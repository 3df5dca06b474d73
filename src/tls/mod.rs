//! TLS of what listens: certificates read, watched and renewed, handshakes within limits.
//!
//! rustls with ring, TLS 1.2 and 1.3, nothing else. No session is resumed: connections live long, and a resumed one
//! would be let in by a certificate that has expired or is not trusted any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod files;
pub mod handshake;
pub mod listener;
pub mod places;
pub mod renew;

pub use handshake::{Failed, Handshake, handshake};
pub use listener::ListenerTls;
pub use places::Places;
pub use renew::{Renew, Renewed, Watch};

/// What a connection takes beyond plaintext, in bytes: the record that is being received, the one that is being
/// read, and what waits to be sent (rustls: 18 KiB, 16 KiB and [`SEND_BYTES_MAX`]), with the state of the
/// ciphers.
pub const CONNECTION_BYTES: u64 = 64 << 10;
/// What waits to be sent on one connection, encrypted.
pub const SEND_BYTES_MAX: usize = 16 << 10;
/// What one handshake under way takes beyond that: the certificates of the client, received and taken apart.
pub const HANDSHAKE_BYTES: u64 = 128 << 10;

/// The first byte of every TLS connection: a record of the handshake (RFC 8446, section 5.1).
pub const FIRST_BYTE: u8 = 0x16;

/// True for bytes that begin as a TLS client does: a handshake record of any version (RFC 8446, appendix D).
#[must_use]
pub fn is_client_hello(start: &[u8]) -> bool {
    start.starts_with(&[FIRST_BYTE, 3])
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTlsConfig {
    /// PEM file of the server's certificate, then those between it and its authority.
    pub cert: String,
    /// PEM file of its key: PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key: String,
    /// PEM file of authorities: only clients with a certificate of one of them are let in. Absent means that
    /// clients need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
}

impl ListenerTlsConfig {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        [self.cert.as_str(), self.key.as_str()].into_iter().chain(self.client_ca.as_deref())
    }
}
