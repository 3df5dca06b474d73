//! An accepted connection, whatever its kind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A dead peer is noticed after a minute, for connections may be silent for hours; answers go out
/// at once.
pub fn tune(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    // A socket that does not take the options still works. Without NODELAY an answer can wait for
    // the acknowledgement of the one before it: 40 ms instead of microseconds.
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}

/// How often a connection is looked at that cannot be watched.
const LOOK: Duration = Duration::from_millis(10);

/// An accepted connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// TLS over TCP, past its handshake.
    Tls(Box<TlsStream<TcpStream>>),
    /// TCP or a unix socket; see [`Stream::unwatch`].
    Unwatched(OwnedFd),
}

impl Stream {
    /// A connection that another process accepted. To be called within a tokio runtime.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Stream> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(match rustix::net::sockopt::socket_domain(&fd)? {
            rustix::net::AddressFamily::UNIX => Stream::Unix(UnixStream::from_std(fd.into())?),
            _ => Stream::Tcp(TcpStream::from_std(fd.into())?),
        })
    }

    /// The unix socket, if it is one, for a thread that may block.
    pub fn into_std_unix(self) -> Option<io::Result<std::os::unix::net::UnixStream>> {
        match self {
            Stream::Tcp(_) | Stream::Tls(_) | Stream::Unwatched(_) => None,
            Stream::Unix(stream) => Some(stream.into_std()),
        }
    }

    /// True when it is encrypted: then the socket alone is not the connection.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// From now on what comes wakes nobody, until [`Stream::readable`] is asked: the kernel would tell of each packet,
    /// also while nobody waits for it. Reads take what is there. False when that cannot be done: with TLS, or without a
    /// descriptor.
    pub fn unwatch(&mut self) -> bool {
        match self {
            Stream::Unwatched(_) => return true,
            Stream::Tls(_) => return false,
            Stream::Tcp(_) | Stream::Unix(_) => {}
        }
        let Ok(fd) = self.as_fd().try_clone_to_owned() else { return false };
        *self = Stream::Unwatched(fd);
        true
    }

    fn watch(&mut self) -> io::Result<()> {
        if let Stream::Unwatched(fd) = self {
            *self = Stream::from_fd(fd.try_clone()?)?;
        }
        Ok(())
    }

    /// Waits until there is something to read. Cancel-safe.
    pub async fn readable(&mut self) -> io::Result<()> {
        // Where there is no descriptor or no memory for that, it is looked at now and then.
        let _unwatched = self.watch();
        match self {
            Stream::Unwatched(_) => {
                tokio::time::sleep(LOOK).await;
                Ok(())
            }
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
            Stream::Tls(stream) => {
                let (socket, session) = stream.get_ref();
                // It wants no more while there is plaintext to be taken, or after the end was announced.
                if !session.wants_read() {
                    return Ok(());
                }
                socket.readable().await
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unwatched(fd) => {
                let read = rustix::net::recv(&*fd, buffer.initialize_unfilled(), RecvFlags::empty());
                buffer.advance(read?.0);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unwatched(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unwatched(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unwatched(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tls(stream) => stream.get_ref().0.as_fd(),
            Stream::Unwatched(fd) => fd.as_fd(),
        }
    }
}
