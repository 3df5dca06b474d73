//! Where connections come from, and what stands between accept and the first request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Access;
use super::conversation::Caller;
use crate::telemetry::{HandshakeFailure, Quiet, Telemetry};
use crate::tls::{Failed, Handshake, handshake, is_client_hello};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where connections come from.
pub(super) trait Door: Send + Sync + 'static {
    /// What is accepted.
    type Accepted: Send + 'static;
    /// What requests are read from.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and where it comes from. `None` for one that is not let in.
    async fn next(&self) -> io::Result<Option<(Self::Accepted, Caller, Option<SocketAddr>)>>;

    /// What comes before the first request; `None` when none is going to come.
    fn greet(&self, accepted: Self::Accepted) -> impl Future<Output = Option<Self::Stream>> + Send;
}

/// The admin listener.
pub(super) struct Tcp {
    listener: TcpListener,
    access: Arc<Access>,
    telemetry: Arc<Telemetry>,
    /// One for each reason: a crowd with one trouble does not hide another.
    failed: [Quiet; HandshakeFailure::ALL.len()],
}

impl Tcp {
    pub(super) fn new(listener: TcpListener, access: Arc<Access>, telemetry: Arc<Telemetry>) -> Tcp {
        Tcp { listener, access, telemetry, failed: Default::default() }
    }

    /// Of a connection that could not be made.
    fn tell(&self, peer: Option<SocketAddr>, failed: &Failed) {
        self.telemetry.count_admin_refused(false);
        if let Some(suppressed) = self.failed[failed.reason as usize].allow() {
            tracing::warn!(
                ?peer,
                why = failed.detail,
                suppressed,
                "TLS handshake of the admin listener failed, connection closed"
            );
        }
    }
}

/// A connection in plaintext or in TLS.
pub(super) trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

impl Door for Tcp {
    type Accepted = TcpStream;
    type Stream = Box<dyn Both>;

    async fn next(&self) -> io::Result<Option<(TcpStream, Caller, Option<SocketAddr>)>> {
        let (stream, peer) = self.listener.accept().await?;
        let here = |it: IpAddr| matches!(it.to_canonical(), LOCALHOST) || it == IpAddr::V6(Ipv6Addr::LOCALHOST);
        // Who comes from another loopback address, or to one that others reach, may be a proxy that others come by:
        // Envoy connects to its application from 127.0.0.6.
        let is_local = here(peer.ip()) && stream.local_addr().is_ok_and(|it| here(it.ip()));
        Ok(Some((stream, if is_local { Caller::Local } else { Caller::Remote }, Some(peer))))
    }

    async fn greet(&self, stream: TcpStream) -> Option<Box<dyn Both>> {
        let peer = stream.peer_addr().ok();
        let Some(tls) = self.access.tls() else {
            let mut start = [0; 2];
            let bytes = stream.peek(&mut start).await.ok()?;
            if is_client_hello(&start[..bytes]) {
                let detail = "the client speaks TLS, and this port does not: add `tls:` to `admin`, or write http:// in the client";
                let failed = Failed { reason: HandshakeFailure::UnexpectedTls, detail: detail.to_owned() };
                self.tell(peer, &failed);
                return None;
            }
            return Some(Box::new(stream));
        };
        match handshake(stream, peer.map(|it| it.ip()), &tls).await {
            Handshake::Done(stream) => Some(Box::new(stream)),
            Handshake::Failed(failed) => {
                self.tell(peer, &failed);
                None
            }
            Handshake::Silent => None,
        }
    }
}

impl Door for UnixListener {
    type Accepted = UnixStream;
    type Stream = UnixStream;

    /// Lets in whoever is of the same user, and root.
    async fn next(&self) -> io::Result<Option<(UnixStream, Caller, Option<SocketAddr>)>> {
        let (stream, _) = self.accept().await?;
        let user = stream.peer_cred()?.uid();
        let own = rustix::process::geteuid().as_raw();
        if user != own && user != 0 {
            tracing::warn!(user, "refused at the control socket: it is for user {own} and root");
            return Ok(None);
        }
        Ok(Some((stream, Caller::Control, None)))
    }

    async fn greet(&self, stream: UnixStream) -> Option<UnixStream> {
        Some(stream)
    }
}
