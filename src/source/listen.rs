//! Listening sockets: binding with errors that say what to do, and those that somebody else bound.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use rustix::net::{AddressFamily, SocketType, sockopt};
use tokio::net::{TcpListener, UnixListener};

use super::stream::{Stream, tune};

/// Connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    path: Option<Arc<SocketPath>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The path of a unix socket that we made: removed when its last listener is dropped.
#[derive(Debug)]
struct SocketPath {
    path: PathBuf,
    is_handed_over: AtomicBool,
}

impl SocketPath {
    fn new(path: PathBuf) -> Arc<SocketPath> {
        Arc::new(SocketPath { path, is_handed_over: AtomicBool::new(false) })
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        if !*self.is_handed_over.get_mut() {
            // Gone already is as good as removed now.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Binds `host:port` or `unix:/path`. The error says who may hold the address and what to do.
    pub fn bind(address: &str) -> anyhow::Result<Listener> {
        if let Some(path) = address.strip_prefix("unix:") {
            return bind_unix(Path::new(path));
        }
        Ok(Listener { socket: Socket::Tcp(bind_address(resolve(address)?)?), path: None })
    }

    /// Takes over a socket that somebody else bound and listens on. `path` is removed with it.
    pub fn from_fd(fd: OwnedFd, path: Option<PathBuf>) -> anyhow::Result<Listener> {
        let is_stream = sockopt::socket_type(&fd).is_ok_and(|it| it == SocketType::STREAM);
        if !is_stream || !sockopt::socket_acceptconn(&fd).unwrap_or(false) {
            bail!("it is not a stream socket that listens: write ListenStream= in the socket unit, without Accept=yes");
        }
        rustix::io::ioctl_fionbio(&fd, true).context("cannot make it non-blocking")?;
        let socket = match sockopt::socket_domain(&fd)? {
            AddressFamily::UNIX => Socket::Unix(UnixListener::from_std(fd.into())?),
            _ => Socket::Tcp(TcpListener::from_std(fd.into())?),
        };
        Ok(Listener { socket, path: path.map(SocketPath::new) })
    }

    /// Another handle on the same socket: who connects is accepted by either.
    pub fn try_clone(&self) -> anyhow::Result<Listener> {
        let fd = self.as_fd().try_clone_to_owned().context("no descriptor is left for a listener")?;
        Ok(Listener { path: self.path.clone(), ..Listener::from_fd(fd, None)? })
    }

    /// The TCP socket, if it is one.
    #[must_use]
    pub fn into_tcp(self) -> Option<TcpListener> {
        match self.socket {
            Socket::Tcp(listener) => Some(listener),
            Socket::Unix(_) => None,
        }
    }

    /// The address as it is reached, with the real port.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".to_owned(), |it| it.to_string()),
            Socket::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|it| it.as_pathname());
                path.map_or_else(|| "unix:?".to_owned(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// True when other machines can connect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().is_ok_and(|it| !it.ip().is_loopback()),
            Socket::Unix(_) => false,
        }
    }

    /// The path that is removed with the socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref().map(|it| it.path.as_path())
    }

    /// Another process goes on with the socket: its path stays.
    pub fn hand_over(&self) {
        self.set_handed_over(true);
    }

    /// The socket is ours, and its path is removed with it.
    pub fn keep(&self) {
        self.set_handed_over(false);
    }

    fn set_handed_over(&self, is_handed_over: bool) {
        if let Some(path) = &self.path {
            path.is_handed_over.store(is_handed_over, Ordering::Relaxed);
        }
    }

    /// The next connection, and where it comes from. Cancel-safe.
    pub async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }

    /// The same for one of several that are waited for. Only the task that asked last is woken.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        match &self.socket {
            Socket::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, peer)| {
                tune(&stream);
                (Stream::Tcp(stream), Some(peer))
            }),
            Socket::Unix(listener) => listener.poll_accept(context).map_ok(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

/// The first address behind `host:port`.
pub fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let mut resolved = std::net::ToSocketAddrs::to_socket_addrs(address)
        .with_context(|| format!("cannot resolve the listen address {address}: write host:port or unix:/path"))?;
    resolved.next().with_context(|| format!("the listen address {address} resolves to nothing"))
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
    Ok(Listener { socket: Socket::Unix(listener), path: Some(SocketPath::new(path.to_owned())) })
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
