//! Listening sockets: binding with errors that say what to do, and an accept loop that survives
//! a lack of file descriptors and never exceeds its connection limit.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::{OpenConnection, Quiet, SourceStats};

/// Pause after the process ran out of descriptors or memory for another connection. Long enough
/// not to spin, short enough that accepting resumes within a second.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);
/// Connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket, and its path to be removed again.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds `host:port` or `unix:/path`. The error says who may hold the address and what to do.
    pub fn bind(address: &str) -> anyhow::Result<Listener> {
        if let Some(path) = address.strip_prefix("unix:") {
            return bind_unix(Path::new(path));
        }
        Listener::bind_tcp(address).map(Listener::Tcp)
    }

    /// Binds `host:port`.
    pub fn bind_tcp(address: &str) -> anyhow::Result<TcpListener> {
        let resolved: Vec<SocketAddr> = std::net::ToSocketAddrs::to_socket_addrs(address)
            .with_context(|| format!("cannot resolve the listen address {address}: write host:port or unix:/path"))?
            .collect();
        let Some(address) = resolved.first() else { bail!("the listen address {address} resolves to nothing") };
        bind_address(*address)
    }

    /// The address as it is reached, with the real port.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".to_owned(), |it| it.to_string()),
            Listener::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                tune(&stream);
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // Gone already is as good as removed now.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_address(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bind = || {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "cannot listen on {address}: the port is in use{}; stop that program or choose another address",
            culprit(address.port())
        ),
        io::ErrorKind::PermissionDenied => anyhow::anyhow!(
            "cannot listen on {address}: ports below 1024 need privileges; choose a higher one or grant CAP_NET_BIND_SERVICE"
        ),
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("cannot listen on {address}: this machine has no such address; 127.0.0.1 or 0.0.0.0 always exist")
        }
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    })
}

fn bind_unix(path: &Path) -> anyhow::Result<Listener> {
    if let Ok(metadata) = std::fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            bail!(
                "cannot listen on unix:{}: there is something that is not a socket; remove it or choose another path",
                path.display()
            );
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            bail!(
                "cannot listen on unix:{}: another process listens there; stop it or choose another path",
                path.display()
            );
        }
        // Left behind by a process that is gone.
        std::fs::remove_file(path).with_context(|| format!("cannot remove the stale socket {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| {
        format!("cannot listen on unix:{}: does its directory exist and may it be written?", path.display())
    })?;
    Ok(Listener::Unix(listener, path.to_owned()))
}

/// Who listens on a port, as far as this process may know, else who usually does.
fn culprit(port: u16) -> String {
    if let Some(process) = listening_process(port) {
        return format!(" by {process}");
    }
    match port {
        5000 => " (often AirPlay on macOS, a container registry, or another logboom)".to_owned(),
        4317 | 4318 => " (often an OpenTelemetry Collector or another logboom)".to_owned(),
        _ => String::new(),
    }
}

/// Finds the listening socket's inode in /proc/net and the process that holds it.
fn listening_process(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            let matches = state == "0A" && u16::from_str_radix(local.rsplit(':').next()?, 16).ok()? == port;
            matches.then(|| format!("socket:[{inode}]"))
        })
    })?;
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let holds = std::fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == inode.as_str()));
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        holds.then(|| format!("{} (process {})", name.trim(), process.file_name().to_string_lossy()))
    })
}

/// A dead peer is noticed after a minute, for connections may be silent for hours; answers go out
/// at once.
fn tune(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    // A socket that does not take the options still works. Without NODELAY an answer can wait for
    // the acknowledgement of the one before it: 40 ms instead of microseconds.
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}

/// An accepted connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Waits until there is something to read. Cancel-safe.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A connection that counts against the limit until this is dropped.
#[derive(Debug)]
pub struct Admission {
    _open: OpenConnection,
    _permit: OwnedSemaphorePermit,
}

/// Accepts connections up to a limit; one more is closed at once and counted.
#[derive(Debug)]
pub struct Acceptor {
    listener: Listener,
    stats: Arc<SourceStats>,
    free: Arc<Semaphore>,
    exhausted: Quiet,
    refused: Quiet,
}

impl Acceptor {
    /// Accepts from `listener`, at most `connections_max` at a time.
    #[must_use]
    pub fn new(listener: Listener, connections_max: u32, stats: Arc<SourceStats>) -> Acceptor {
        let free = Arc::new(Semaphore::new(connections_max as usize));
        Acceptor { listener, stats, free, exhausted: Quiet::default(), refused: Quiet::default() }
    }

    /// The next connection within the limit. Never fails: what goes wrong is counted, logged
    /// seldom, and waited out. Cancel-safe.
    pub async fn next(&self) -> (Stream, Option<SocketAddr>, Admission) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match Arc::clone(&self.free).try_acquire_owned() {
                    Ok(permit) => {
                        return (stream, peer, Admission { _open: self.stats.count_accepted(), _permit: permit });
                    }
                    Err(_) => {
                        self.stats.count_refused();
                        if let Some(suppressed) = self.refused.allow() {
                            tracing::warn!(source = %self.stats.name(), ?peer, suppressed, "connection limit reached, connection closed; raise connections_max");
                        }
                    }
                },
                Err(error) if is_exhausted(&error) => {
                    self.stats.count_accept_error();
                    if let Some(suppressed) = self.exhausted.allow() {
                        tracing::warn!(source = %self.stats.name(), %error, suppressed, "cannot accept connections for want of resources, trying again; raise the limit of open files");
                    }
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // The peer was gone before it was accepted.
                Err(error) => {
                    self.stats.count_accept_error();
                    tracing::debug!(source = %self.stats.name(), %error, "a connection ended before it was accepted");
                }
            }
        }
    }
}

/// Too many open files, here or in the system, or no memory for a socket.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|errno| errno.raw_os_error() == code))
}
