//! HTTP for people, probes and scrapers: one request per connection, everything bounded.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::conversation::{Caller, Conversation};
use super::doors::{Door, Tcp};
use super::{Access, Hosts, control, pages};
use crate::control::Asks;
use crate::telemetry::{Quiet, Telemetry};

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

/// Who has connected sends a request within this time, or had none to send when the process stops.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// Answers on `listener` until `shutdown`; then lets the requests that have arrived finish and
/// returns, at the latest after five seconds. Dropping it stops accepting at once.
pub async fn serve(
    listener: TcpListener,
    telemetry: Arc<Telemetry>,
    hosts: Hosts,
    access: Arc<Access>,
    shutdown: CancellationToken,
) {
    let door = Tcp::new(listener, Arc::clone(&access), Arc::clone(&telemetry));
    serve_within(LIMITS, door, pages::site(telemetry, &hosts, access), shutdown).await;
}

/// The same for the control socket, whose pages also do something.
pub async fn serve_control(listener: UnixListener, telemetry: Arc<Telemetry>, asks: Asks, shutdown: CancellationToken) {
    serve_within(LIMITS, listener, control::router(telemetry, asks), shutdown).await;
}

const LIMITS: Limits =
    Limits { connections_max: CONNECTIONS_MAX, conversation_max: CONVERSATION_MAX, on_its_way: ON_ITS_WAY };

#[derive(Clone, Copy, Debug)]
struct Limits {
    connections_max: usize,
    conversation_max: Duration,
    on_its_way: Duration,
}

async fn serve_within<D: Door>(limits: Limits, door: D, router: Router, shutdown: CancellationToken) {
    let door = Arc::new(door);
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let conversations = TaskTracker::new();
    let trouble = Quiet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&*door, &slots) => accepted,
        };
        match accepted {
            Ok((Some((accepted, caller, peer)), slot)) => {
                let (door, router, shutdown) = (Arc::clone(&door), router.clone(), shutdown.clone());
                // What comes first, a TLS handshake, counts for the same deadline as the request.
                let until = Instant::now() + limits.conversation_max;
                conversations.spawn(async move {
                    let greeted = tokio::select! {
                        greeted = tokio::time::timeout_at(until, door.greet(accepted)) => greeted,
                        () = closing(limits, &shutdown) => Ok(None),
                    };
                    // Who still holds it keeps it open.
                    drop(door);
                    if let Ok(Some(stream)) = greeted {
                        let own = Conversation::new(caller, peer, shutdown.clone());
                        converse(limits, until, stream, own, router, shutdown).await;
                    }
                    drop(slot);
                });
            }
            Ok((None, _)) => {}
            Err(error) => {
                if let Some(suppressed) = trouble.allow() {
                    tracing::warn!(%error, suppressed, "cannot accept a connection of the admin listener, trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(door);
    conversations.close();
    conversations.wait().await;
}

/// Who has connected.
type Met<D> = (<D as Door>::Accepted, Caller, Option<SocketAddr>);

/// Waits for a free slot first, so that a connection is never accepted only to be refused.
async fn accept<D: Door>(door: &D, slots: &Arc<Semaphore>) -> io::Result<(Option<Met<D>>, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    Ok((door.next().await?, slot))
}

/// Returns once nothing more is expected of those who have connected before `shutdown`.
async fn closing(limits: Limits, shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(limits.on_its_way).await;
}

async fn converse(
    limits: Limits,
    until: Instant,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    own: Conversation,
    router: Router,
    shutdown: CancellationToken,
) {
    let router = router.layer(Extension(own.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .keep_alive(false)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let conversation = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = closing(limits, &shutdown) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    tokio::select! {
        ended = conversation => if let Err(error) = ended {
            tracing::debug!(%error, "a connection of the admin listener ended");
        },
        () = own.overdue(until) => tracing::debug!("a connection of the admin listener took too long"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3600);
    const SMALL: Limits =
        Limits { connections_max: 2, conversation_max: AN_HOUR, on_its_way: Duration::from_millis(10) };

    fn router() -> Router {
        Router::new().route("/", axum::routing::get(async || "here"))
    }

    async fn start(limits: Limits) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let telemetry = Telemetry::new(crate::telemetry::TelemetrySettings {
            sources: Vec::new(),
            sinks: Vec::new(),
            budget: crate::budget::Shares::new(0, 0, None),
            memory_bound: Vec::new(),
            journal: None,
        });
        let door = Tcp::new(listener, Arc::default(), telemetry);
        let server = tokio::spawn(serve_within(limits, door, router(), shutdown.clone()));
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
        let (address, ..) = start(SMALL).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        for _ in 0..3 {
            assert!(ask(address, GET).await.ends_with("here"));
        }
    }

    #[tokio::test]
    async fn silent_clients_are_hung_up_on_and_make_room() {
        let (address, ..) = start(Limits { conversation_max: Duration::from_millis(20), ..SMALL }).await;
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
        let (address, ..) = start(SMALL).await;
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
        let (address, shutdown, server) = start(SMALL).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, GET).await.ends_with("here"));
        shutdown.cancel();
        server.await.unwrap();
        assert!(matches!(idle.read(&mut [0]).await, Ok(0) | Err(_)));
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_request_on_its_way_when_it_stops_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let shutdown = CancellationToken::new();
        let limits = Limits { on_its_way: AN_HOUR, ..LIMITS };
        let server = tokio::spawn(serve_within(limits, listener, router(), shutdown.clone()));
        let connect = || tokio::net::UnixStream::connect(&path);
        let mut on_its_way = connect().await.unwrap();
        let mut answer = String::new();
        // Accepted after the other.
        let mut last = connect().await.unwrap();
        last.write_all(GET.as_bytes()).await.unwrap();
        last.read_to_string(&mut answer).await.unwrap();
        shutdown.cancel();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        on_its_way.write_all(GET.as_bytes()).await.unwrap();
        answer.clear();
        on_its_way.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        server.await.unwrap();
    }
}
