//! Handshakes: off the accept path, each within a time, and so many at once.
//!
//! A connection that says nothing, or half of what it has to say, costs a descriptor and a buffer: only who has sent
//! its first message takes one of the [`places`](super::places). So a crowd of mute connections keeps nobody out.

use std::net::IpAddr;
use std::time::Duration;

use rustls::Error;
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::places::{LISTENER_MAX, PEER_MAX};
use super::{FIRST_BYTE, ListenerTls, SEND_BYTES_MAX};
use crate::telemetry::HandshakeFailure;

/// Until a handshake may begin: the first message of the client has to be there, which rustls bounds to 64 KiB, and
/// a place has to be free.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// From its beginning to its end.
const COMPLETE_WITHIN: Duration = Duration::from_secs(10);

/// How a connection began.
#[derive(Debug)]
pub enum Handshake {
    /// In order.
    Done(Box<TlsStream<TcpStream>>),
    /// The client has closed without a word: a probe, or a connection that was never needed.
    Silent,
    /// It is to be closed.
    Failed(Failed),
}

/// Why a handshake came to nothing.
#[derive(Debug)]
pub struct Failed {
    /// For the counters.
    pub reason: HandshakeFailure,
    /// For people: what happened, and what to do where that can be told.
    pub detail: String,
}

fn failed(reason: HandshakeFailure, detail: impl Into<String>) -> Handshake {
    Handshake::Failed(Failed { reason, detail: detail.into() })
}

/// Makes TLS of a connection with this peer, at the latest after twenty seconds. Dropped early, the connection is
/// closed.
pub async fn handshake(stream: TcpStream, peer: Option<IpAddr>, tls: &ListenerTls) -> Handshake {
    let until = Instant::now() + BEGIN_WITHIN;
    let mut start = [0; 16];
    let start = match timeout_at(until, stream.peek(&mut start)).await {
        Ok(Ok(0)) => return Handshake::Silent,
        Ok(Ok(bytes)) => &start[..bytes],
        Ok(Err(error)) => return failed(HandshakeFailure::Closed, error.to_string()),
        Err(_elapsed) => return failed(HandshakeFailure::Timeout, "the client said nothing for 10s"),
    };
    if start.first() != Some(&FIRST_BYTE) {
        return failed(HandshakeFailure::Plaintext, plaintext(start));
    }
    let hello = match timeout_at(until, LazyConfigAcceptor::new(Acceptor::default(), stream)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => return Handshake::Failed(explained(&error)),
        Err(_elapsed) => return failed(HandshakeFailure::Timeout, "its first message was not complete within 10s"),
    };
    let Ok(Ok(_place)) = timeout_at(until, tls.places().take(peer)).await else {
        let detail = format!("{PEER_MAX} others of its address, or {LISTENER_MAX} of all, were under way for 10s");
        return failed(HandshakeFailure::Busy, detail);
    };
    let accept = hello.into_stream_with(tls.current(), |connection| connection.set_buffer_limit(Some(SEND_BYTES_MAX)));
    match timeout_at(Instant::now() + COMPLETE_WITHIN, accept).await {
        Ok(Ok(stream)) => Handshake::Done(Box::new(stream)),
        Ok(Err(error)) => Handshake::Failed(explained(&error)),
        Err(_elapsed) => failed(HandshakeFailure::Timeout, "it was not complete within 10s"),
    }
}

/// Who speaks without TLS, from its first bytes.
fn plaintext(start: &[u8]) -> &'static str {
    const HTTP: &[&[u8]] = &[b"GET ", b"POST ", b"HEAD ", b"PUT "];
    if start.starts_with(b"PRI * HTTP/2") {
        "it speaks HTTP/2 without TLS: give the client an https:// endpoint and the authority of our certificate"
    } else if HTTP.iter().any(|method| start.starts_with(method)) {
        "it speaks HTTP without TLS: write https:// where it is configured"
    } else if start.starts_with(b"PROXY ") || start.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        "it sends a PROXY header: write `proxy_protocol: true`, or turn it off at the load balancer"
    } else {
        "it does not speak TLS: turn TLS on in the client, or give it a source without `tls`"
    }
}

/// What a failed handshake means for the one who has to mend it.
fn explained(error: &std::io::Error) -> Failed {
    let Some(cause) = error.get_ref().and_then(|it| it.downcast_ref::<Error>()) else {
        return Failed { reason: HandshakeFailure::Closed, detail: format!("the client hung up: {error}") };
    };
    let (reason, hint) = match cause {
        Error::NoCertificatesPresented => {
            (HandshakeFailure::NoCertificate, "the client has to show a certificate of an authority in client_ca")
        }
        Error::InvalidCertificate(_) => {
            (HandshakeFailure::BadCertificate, "the certificate of the client is not accepted")
        }
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => (
            HandshakeFailure::Incompatible,
            "the client has nothing in common with TLS 1.2 or 1.3 as it is spoken here",
        ),
        Error::AlertReceived(_) => (
            HandshakeFailure::Alert,
            "the client refuses us: does it have the authority of our certificate, and the right name?",
        ),
        _ => (HandshakeFailure::Malformed, "the client does not speak TLS as it should"),
    };
    Failed { reason, detail: format!("{hint} ({})", cause.to_string().escape_debug()) }
}
