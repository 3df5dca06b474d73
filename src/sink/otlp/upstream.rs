//! An upstream ready to be connected to: settings that keep the rules, TLS files read.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{self, Certificate, ClientTlsConfig, Identity};

use super::certificates::Certificates;
use super::endpoint::Endpoint;
use super::http::{ClientTls, HttpEndpoint, tls_of};
use super::settings::Settings;
use super::{Compression, OtlpConfig, Protocol, RetryConfig, TlsConfig};
use crate::tls::files::{self, Mistake};

pub(super) const USER_AGENT: &str = concat!("logboom/", env!("CARGO_PKG_VERSION"));

/// How long TCP, and then TLS, may take to connect.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An HTTP/2 ping after so much silence while an answer is awaited, never on an idle connection:
/// servers in Go hang up on clients that do that.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// An upstream, checked and ready to be connected to. Holds secrets: not to be printed.
pub struct Upstream {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) headers: MetadataMap,
    pub(super) compression: Option<CompressionEncoding>,
    pub(super) timeout: Duration,
    pub(super) retry: RetryConfig,
    certificates: Option<Arc<Certificates>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Checks the settings and reads the TLS files, but does not connect: an upstream that is not
    /// there yet is no reason not to start.
    ///
    /// # Errors
    /// The text says which key or file, and what to do; a header's value is never in it.
    pub fn new(config: &OtlpConfig) -> anyhow::Result<Upstream> {
        let certificates = Certificates::of(config);
        let Settings { uris, headers } = read(config)?;
        Ok(Upstream {
            endpoints: connectable(uris, config.protocol, config.tls.as_ref())?,
            headers,
            compression: match config.compression {
                Compression::None => None,
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            timeout: config.timeout.0,
            retry: config.retry,
            certificates,
        })
    }

    /// Its certificates, if it reads some from files.
    #[must_use]
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }
}

/// The endpoints of `config`, with TLS as its files say it now.
pub(super) fn endpoints(config: &OtlpConfig) -> anyhow::Result<Vec<Endpoint>> {
    connectable(read(config)?.uris, config.protocol, config.tls.as_ref())
}

fn read(config: &OtlpConfig) -> anyhow::Result<Settings> {
    Settings::read(config).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::Error::msg(mistakes.join("; "))
    })
}

fn connectable(uris: Vec<Uri>, protocol: Protocol, tls: Option<&TlsConfig>) -> anyhow::Result<Vec<Endpoint>> {
    let default = TlsConfig::default();
    let tls = tls_of(&uris, tls, &default);
    match protocol {
        Protocol::Grpc => {
            let tls = tls.map(client_tls).transpose()?;
            uris.into_iter().map(|uri| Ok(Endpoint::Grpc(Box::new(endpoint(uri, tls.clone())?)))).collect()
        }
        Protocol::Http => {
            let tls = ClientTls::new(tls)?;
            uris.into_iter().map(|uri| Ok(Endpoint::Http(HttpEndpoint::new(uri, &tls)?))).collect()
        }
    }
}

fn endpoint(uri: Uri, tls: Option<ClientTlsConfig>) -> anyhow::Result<transport::Endpoint> {
    let endpoint = transport::Endpoint::from(uri.clone())
        .user_agent(USER_AGENT)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(false);
    let Some(tls) = tls else { return Ok(endpoint) };
    endpoint.tls_config(tls).map_err(|error| {
        anyhow::anyhow!("tls: cannot be used for {uri}: {}; check ca, cert, key and server_name", chain(&error))
    })
}

fn client_tls(config: &TlsConfig) -> anyhow::Result<ClientTlsConfig> {
    let mut tls = ClientTlsConfig::new().timeout(CONNECT_TIMEOUT);
    tls = match &config.ca {
        Some(path) => tls.ca_certificate(Certificate::from_pem(pem("ca", path, CERTIFICATE)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
        let cert = pem("cert", cert, CERTIFICATE)?;
        tls = tls.identity(Identity::from_pem(cert, pem("key", key, PRIVATE_KEY)?));
    }
    if let Some(name) = &config.server_name {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}

/// Looks at the TLS files as a start would, and uses nothing of them: those that are not there, or are not PEM.
#[must_use]
pub fn inspect(config: &TlsConfig) -> Vec<Mistake> {
    let files =
        [("ca", &config.ca, CERTIFICATE), ("cert", &config.cert, CERTIFICATE), ("key", &config.key, PRIVATE_KEY)];
    files.into_iter().filter_map(|(key, path, block)| pem(key, path.as_deref()?, block).err()).collect()
}

/// How a PEM block of a certificate begins, behind other words.
pub(super) const CERTIFICATE: &str = "CERTIFICATE-----";
/// The same of a key, of whatever kind.
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Reads a PEM file. One without the block that is looked for is refused here, since to tonic it
/// would merely be an empty list, and every handshake would fail later.
pub(super) fn pem(key: &'static str, path: &str, block: &str) -> Result<Vec<u8>, Mistake> {
    let bytes = files::read(key, path)?;
    let found = memchr::memmem::find(&bytes, b"-----BEGIN ").is_some()
        && memchr::memmem::find(&bytes, block.as_bytes()).is_some();
    if found {
        return Ok(bytes);
    }
    let what = block.trim_end_matches('-');
    Err(Mistake::new(key, format!("{path} holds no PEM block of type {what}"), "check that it is the right file"))
}

/// An error and its causes, without repetition.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |it| it.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: &str) {
        let config: OtlpConfig = serde_saphyr::from_str(yaml).unwrap();
        let got = match Upstream::new(&config) {
            Ok(upstream) => format!("{} endpoints", upstream.endpoints.len()),
            Err(error) => format!("{error:#}"),
        };
        assert!(got.starts_with(expected), "{yaml}\n{got}");
        assert!(!got.contains("canary"), "{got}");
    }

    #[test]
    fn settings() {
        check("endpoint: ['http://a:4317', 'http://[::1]:4317/']", "2 endpoints");
        check("endpoint: http://collector", "endpoint: the endpoint has no port");
        check("{endpoint: ['http://collector', 'http://a:4318/otlp/x'], protocol: http}", "2 endpoints");
        check("{endpoint: 'https://collector', protocol: http, tls: {ca: /nowhere/ca.crt}}", "tls.ca: cannot read");
        check(
            "{endpoint: 'https://collector', protocol: http, tls: {ca: Cargo.toml}}",
            "tls.ca: Cargo.toml holds no PEM",
        );
        check("{endpoint: x, timeout: 0s}", "endpoint: the endpoint needs the scheme");
        check("{endpoint: 'https://a:4317', tls: {ca: /nowhere/ca.crt}}", "tls.ca: cannot read /nowhere/ca.crt");
        check("{endpoint: 'https://a:4317', tls: {ca: Cargo.toml}}", "tls.ca: Cargo.toml holds no PEM block");
        check("{endpoint: 'http://a:4317', headers: {x: \"canary\\n\"}}", "headers.x: the value");
    }

    #[test]
    fn secrets_do_not_show() {
        let config: OtlpConfig =
            serde_saphyr::from_str("{endpoint: 'http://a:4317', headers: {authorization: canary}}").unwrap();
        let upstream = Upstream::new(&config).unwrap();
        assert!(!format!("{upstream:?} {:?}", upstream.headers).contains("canary"));
    }
}
