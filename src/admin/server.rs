//! HTTP for people, probes and scrapers: one request per connection, everything bounded.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Access, pages};
use crate::telemetry::{Quiet, Telemetry};
use crate::tls::{Handshake, handshake, is_client_hello};

/// Connections at a time; more wait in the backlog of the listener.
pub const CONNECTIONS_MAX: usize = 64;
/// From accept to the last byte of the answer. One deadline covers a slow header, a slow reader
/// and an idle connection alike, and is the longest that all connections together can keep
/// another one waiting.
const CONVERSATION_MAX: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Between two attempts to accept when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listener` until `shutdown`; then lets the requests that have arrived finish and
/// returns, at the latest after five seconds. Dropping it stops accepting at once.
pub async fn serve(listener: TcpListener, telemetry: Arc<Telemetry>, access: Arc<Access>, shutdown: CancellationToken) {
    let limits = Limits { connections_max: CONNECTIONS_MAX, conversation_max: CONVERSATION_MAX };
    let router = pages::router(Arc::clone(&telemetry), Arc::clone(&access));
    let trouble = Quiet::new();
    let site = Arc::new(Site {
        router,
        access,
        tell: Box::new(move |why| {
            telemetry.count_admin_refused(false);
            if let Some(suppressed) = trouble.allow() {
                tracing::warn!(why, suppressed, "TLS handshake of the admin listener failed, connection closed");
            }
        }),
    });
    serve_within(limits, listener, site, shutdown).await;
}

/// What is behind the listener.
struct Site {
    router: Router,
    access: Arc<Access>,
    /// Of a connection that could not be made.
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    connections_max: usize,
    conversation_max: Duration,
}

async fn serve_within(limits: Limits, listener: TcpListener, site: Arc<Site>, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let conversations = TaskTracker::new();
    let trouble = Quiet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let (site, shutdown) = (Arc::clone(&site), shutdown.clone());
                conversations.spawn(async move {
                    let within = limits.conversation_max;
                    let conversation = greet(stream, &site, shutdown);
                    if tokio::time::timeout(within, conversation).await.is_err() {
                        tracing::debug!(?within, "a connection of the admin listener took too long");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                if let Some(suppressed) = trouble.allow() {
                    tracing::warn!(%error, suppressed, "cannot accept a connection of the admin listener, trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    conversations.close();
    conversations.wait().await;
}

/// Waits for a free slot first, so that a connection is never accepted only to be refused.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// TLS first, where it is spoken; it counts for the same deadline as the request.
async fn greet(stream: TcpStream, site: &Site, shutdown: CancellationToken) {
    let Some(tls) = site.access.tls() else {
        let mut start = [0; 2];
        let begun = tokio::select! {
            begun = stream.peek(&mut start) => begun,
            () = shutdown.cancelled() => return,
        };
        if matches!(begun, Ok(bytes) if is_client_hello(&start[..bytes])) {
            (site.tell)(
                "the client speaks TLS, and this port does not: add `tls:` to `admin`, or write http:// in the client",
            );
            return;
        }
        return converse(stream, site.router.clone(), shutdown).await;
    };
    let greeted = tokio::select! {
        greeted = handshake(stream, &tls) => greeted,
        () = shutdown.cancelled() => return,
    };
    match greeted {
        Handshake::Done(stream) => converse(stream, site.router.clone(), shutdown).await,
        Handshake::Failed(failed) => (site.tell)(&failed.detail),
        Handshake::Silent => {}
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, shutdown: CancellationToken) {
    let mut connection = pin!(
        http1::Builder::new()
            .keep_alive(false)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the admin listener ended");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3600);

    async fn start(limits: Limits) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", axum::routing::get(async || "here"));
        let site = Arc::new(Site { router, access: Arc::default(), tell: Box::new(|_| {}) });
        let server = tokio::spawn(serve_within(limits, listener, site, shutdown.clone()));
        (address, shutdown, server)
    }

    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[tokio::test]
    async fn a_slow_client_blocks_nobody() {
        let (address, ..) = start(Limits { connections_max: 2, conversation_max: AN_HOUR }).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        for _ in 0..3 {
            assert!(ask(address, GET).await.ends_with("here"));
        }
    }

    #[tokio::test]
    async fn silent_clients_are_hung_up_on_and_make_room() {
        let (address, ..) = start(Limits { connections_max: 2, conversation_max: Duration::from_millis(20) }).await;
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        for mut client in silent {
            assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
        }
    }

    #[tokio::test]
    async fn a_large_head_is_refused() {
        let (address, ..) = start(Limits { connections_max: 2, conversation_max: AN_HOUR }).await;
        let check = async |headers: String, expected: &str| {
            let answer = ask(address, &format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await;
            assert!(answer.starts_with(expected), "{answer}");
        };
        check("a: b\r\n".repeat(60), "HTTP/1.1 200").await;
        check("a: b\r\n".repeat(70), "HTTP/1.1 431").await;
        check(format!("a: {}\r\n", "b".repeat(8 * 1024)), "HTTP/1.1 200").await;
    }

    #[tokio::test]
    async fn stopping_hangs_up_on_idle_clients() {
        let (address, shutdown, server) = start(Limits { connections_max: 2, conversation_max: AN_HOUR }).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, GET).await.ends_with("here"));
        shutdown.cancel();
        server.await.unwrap();
        assert!(matches!(idle.read(&mut [0]).await, Ok(0) | Err(_)));
        assert!(TcpStream::connect(address).await.is_err());
    }
}
