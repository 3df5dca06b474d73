//! What a connection has to pass before its first byte counts: an address that is allowed, a PROXY header, TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::allow::{Network, is_allowed};
use super::proxy_protocol::{self, Received};
use super::stop::Stop;
use super::stream::Stream;
use crate::auth::Bearer;
use crate::telemetry::{DeniedReason, HandshakeFailure, Quiet, SourceStats};
use crate::tls::{Failed, Handshake, ListenerTls, handshake};

/// A connection that is on its way in when the source leaves off has so long to get there: what its client has
/// sent along is then taken as well.
const LEAVING: Duration = Duration::from_millis(500);

/// What the configuration asks for; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct DoorSettings {
    /// Only peers of these networks, if there are any.
    pub allow: Vec<Network>,
    /// A PROXY header comes first.
    pub proxy_protocol: bool,
    /// TLS is spoken.
    pub tls: Option<Arc<ListenerTls>>,
    /// Requests need a token.
    pub bearer: Option<Arc<Bearer>>,
}

/// What connections pass on their way in. Open connections have passed it.
#[derive(Debug)]
pub struct Door {
    settings: DoorSettings,
    stats: Arc<SourceStats>,
    /// One for each reason: a crowd with one trouble does not hide another.
    denied: [Quiet; DeniedReason::ALL.len()],
    failed: [Quiet; HandshakeFailure::ALL.len()],
}

impl Door {
    /// The door of the source with these counters.
    #[must_use]
    pub fn new(settings: DoorSettings, stats: Arc<SourceStats>) -> Door {
        Door { settings, stats, denied: Default::default(), failed: Default::default() }
    }

    /// TLS, where it is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<&Arc<ListenerTls>> {
        self.settings.tls.as_ref()
    }

    /// What requests need, where they need something.
    #[must_use]
    pub fn bearer(&self) -> Option<&Bearer> {
        self.settings.bearer.as_deref()
    }

    /// True when the socket's own peer may connect. One that may not is counted.
    #[must_use]
    pub fn lets_in(&self, peer: Option<SocketAddr>) -> bool {
        let allowed = is_allowed(&self.settings.allow, peer);
        if !allowed {
            self.deny(peer, DeniedReason::NotAllowed, "its address is not in `allow`");
        }
        allowed
    }

    /// What is left of a connection behind the door, and who its client is; `None` when it is to be closed, which
    /// has been counted. Takes no time, and no memory, where there is nothing to pass.
    pub async fn pass(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
        stop: &Stop,
    ) -> Option<(Stream, Option<SocketAddr>)> {
        if !self.settings.proxy_protocol && self.settings.tls.is_none() {
            return Some((stream, peer));
        }
        // On the heap, and only for as long as it takes: a handshake is large, and plaintext connections are many.
        let mut passing = Box::pin(self.greet(stream, peer));
        tokio::select! {
            biased;
            passed = &mut passing => passed,
            () = stop.told() => tokio::time::timeout(LEAVING, passing).await.ok().flatten(),
        }
    }

    async fn greet(&self, mut stream: Stream, peer: Option<SocketAddr>) -> Option<(Stream, Option<SocketAddr>)> {
        let peer = if self.settings.proxy_protocol { self.announced(&mut stream, peer).await? } else { peer };
        let Some(tls) = &self.settings.tls else { return Some((stream, peer)) };
        let Stream::Tcp(tcp) = stream else {
            // Refused where sockets are opened; it never gets here, and never in the clear.
            return None;
        };
        match handshake(tcp, peer.map(|it| it.ip()), tls).await {
            Handshake::Done(stream) => Some((Stream::Tls(stream), peer)),
            Handshake::Silent => {
                tracing::debug!(source = %self.stats.name(), ?peer, "connection closed, nothing was sent");
                None
            }
            Handshake::Failed(failed) => {
                self.fail(peer, &failed);
                None
            }
        }
    }

    /// The client that a PROXY header names.
    async fn announced(&self, stream: &mut Stream, peer: Option<SocketAddr>) -> Option<Option<SocketAddr>> {
        let received = tokio::time::timeout(proxy_protocol::WITHIN, proxy_protocol::receive(stream)).await;
        let why = match received {
            Ok(Ok(Received::Header(client))) => return Some(client.or(peer)),
            Ok(Ok(Received::Nothing)) => {
                tracing::debug!(source = %self.stats.name(), ?peer, "connection closed, nothing was sent");
                return None;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "its PROXY header was not there within 5s".to_owned(),
        };
        self.deny(peer, DeniedReason::ProxyHeader, &why);
        None
    }

    fn deny(&self, peer: Option<SocketAddr>, reason: DeniedReason, why: &str) {
        self.stats.count_denied(reason);
        if let Some(suppressed) = self.denied[reason as usize].allow() {
            tracing::warn!(source = %self.stats.name(), ?peer, why, suppressed, "connection closed");
        }
    }

    fn fail(&self, peer: Option<SocketAddr>, failed: &Failed) {
        self.stats.count_handshake_failure(failed.reason);
        if let Some(suppressed) = self.failed[failed.reason as usize].allow() {
            let (reason, why) = (failed.reason.as_str(), &failed.detail);
            tracing::warn!(source = %self.stats.name(), ?peer, reason, why, suppressed, "TLS handshake failed, connection closed");
        }
    }

    /// A client that speaks TLS where nobody does.
    pub fn tell_tls(&self, peer: Option<SocketAddr>) {
        let detail =
            "the client speaks TLS, and this port does not: add `tls:` to the source, or turn it off in the client";
        self.fail(peer, &Failed { reason: HandshakeFailure::UnexpectedTls, detail: detail.to_owned() });
    }
}
