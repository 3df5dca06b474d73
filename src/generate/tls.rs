//! TLS towards what is tested.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper_rustls::ConfigBuilderExt as _;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tonic::transport::{Certificate, ClientTlsConfig};

use super::CONNECT_MAX;
use crate::tls::files::{certificates, read};

/// How long the other end may take to close after everything was sent.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// A connection for lines.
pub(super) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands over `stream` with the server that `address`, `host:port`, names.
pub(super) fn over(stream: TcpStream, address: &str, ca: Option<&Path>) -> anyhow::Result<Stream> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("'{host}' is no name of a server"))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder = match ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("ca", &path.to_string_lossy())? {
                roots.add(authority)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_native_roots().context("cannot read the authorities of the system: name one with --ca")?,
    };
    let mut connection = ClientConnection::new(Arc::new(builder.with_no_client_auth()), name)?;
    let mut stream = stream;
    stream.set_read_timeout(Some(CONNECT_MAX))?;
    stream.set_write_timeout(Some(CONNECT_MAX))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).context("no TLS; who signed the certificate is named with --ca")?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// The same for gRPC.
pub(super) fn grpc(ca: Option<&Path>) -> anyhow::Result<ClientTlsConfig> {
    let tls = ClientTlsConfig::new().timeout(CONNECT_MAX);
    Ok(match ca {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read("ca", &path.to_string_lossy())?)),
        None => tls.with_native_roots(),
    })
}

/// Tells the reader that nothing follows, and waits a moment for its end: closed with something unread, the socket would be
/// reset, and what is on its way with it.
pub(super) fn close(stream: &mut Stream) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()?;
    stream.sock.shutdown(Shutdown::Write)?;
    stream.sock.set_read_timeout(Some(CLOSE_MAX))?;
    let mut rest = [0; 1024];
    loop {
        match stream.sock.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
