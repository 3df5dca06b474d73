//! Authorities, certificates, and clients that speak TLS or only pretend to.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of a server on this machine; `serial` tells it from others.
    pub fn server(&self, serial: u64) -> Pair {
        self.sign(serial, ExtendedKeyUsagePurpose::ServerAuth, (4000, 1, 1))
    }

    /// A certificate of a client.
    pub fn client(&self) -> Pair {
        self.sign(7, ExtendedKeyUsagePurpose::ClientAuth, (4000, 1, 1))
    }

    /// One that is not valid any more.
    pub fn expired_client(&self) -> Pair {
        self.sign(8, ExtendedKeyUsagePurpose::ClientAuth, (2020, 1, 1))
    }

    /// One that is not valid any more.
    pub fn expired_server(&self) -> Pair {
        self.sign(9, ExtendedKeyUsagePurpose::ServerAuth, (2020, 1, 1))
    }

    /// One of a server that expires after so many days, and a part of one.
    pub fn server_for(&self, serial: u64, days: i64) -> Pair {
        let day = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * (days + 1));
        let day = day.to_zoned(jiff::tz::TimeZone::UTC);
        self.sign(serial, ExtendedKeyUsagePurpose::ServerAuth, (day.year().into(), day.month() as u8, day.day() as u8))
    }

    fn sign(&self, serial: u64, usage: ExtendedKeyUsagePurpose, (year, month, day): (i32, u8, u8)) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        params.extended_key_usages = vec![usage];
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        Pair { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    /// Puts both where a configuration names them, each in one step: `NAME.crt`, `NAME.key`.
    pub fn write(&self, directory: &Path, name: &str) {
        put(&directory.join(format!("{name}.crt")), &self.cert);
        put(&directory.join(format!("{name}.key")), &self.key);
    }

    /// The key as it stands inside of PKCS#8 (RFC 5958): as SEC1.
    pub fn sec1(&self) -> String {
        use base64::Engine as _;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let der = key.secret_der();
        let at = der.windows(3).position(|it| it[0] == 4 && it[2] == 0x30).unwrap() + 2;
        let text = base64::engine::general_purpose::STANDARD.encode(&der[at..]);
        format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n")
    }
}

/// Writes a file in one step, readable by its owner alone.
pub fn put(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(next, path).unwrap();
}

/// A client that trusts `authority`, and shows a certificate if it has one.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    authority: String,
    pair: Option<Pair>,
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Trust {
    pub fn new(authority: &Authority, pair: Option<&Pair>) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes()).map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Trust { config: Arc::new(config), authority: authority.pem.clone(), pair: pair.cloned() }
    }

    /// Speaks TLS over a connection; the handshake takes place with the first byte.
    pub fn over(&self, stream: TcpStream) -> Tls {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(&self.config), name).unwrap(), stream)
    }

    /// The first message of a handshake, whole.
    pub fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut hello = Vec::new();
        ClientConnection::new(Arc::clone(&self.config), name).unwrap().write_tls(&mut hello).unwrap();
        hello
    }

    /// Connects and sends all of it, then waits until the other side has closed in order. An error is what went
    /// wrong on the way.
    pub fn send(&self, address: &str, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self.over(TcpStream::connect(address).unwrap());
        stream.write_all(bytes)?;
        finish(stream)
    }

    /// The same trust for gRPC.
    pub fn grpc(&self) -> ClientTlsConfig {
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority)).domain_name("localhost");
        match &self.pair {
            None => tls,
            Some(Pair { cert, key }) => tls.identity(Identity::from_pem(cert, key)),
        }
    }

    /// The serial number of the certificate that is shown at this address: its last byte.
    pub fn serial(&self, address: &str) -> u8 {
        let mut stream = self.over(TcpStream::connect(address).unwrap());
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let shown = stream.conn.peer_certificates().unwrap()[0].to_vec();
        // SEQUENCE, SEQUENCE, [0] version 2, INTEGER: the serial number (RFC 5280, section 4.1).
        let at = shown.windows(5).position(|it| it == [0xa0, 3, 2, 1, 2]).unwrap() + 5;
        assert_eq!(shown[at], 2);
        shown[at + 1 + usize::from(shown[at + 1])]
    }
}

/// Says goodbye and waits for the answer: everything was received then.
pub fn finish(mut stream: Tls) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()?;
    match stream.read(&mut [0; 16])? {
        0 => Ok(()),
        _ => Err(io::Error::other("it says something")),
    }
}

/// The first message of a client that knows TLS 1.1 and nothing newer.
pub fn tls_1_1_hello() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([0x5a; 32]);
    body.push(0);
    // ECDHE-ECDSA, ECDHE-RSA and RSA with AES-128-CBC-SHA.
    body.extend([0, 6, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f]);
    body.extend([1, 0]);
    // Groups: P-256; point formats: uncompressed.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}
