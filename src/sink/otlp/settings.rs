//! What was written about an upstream, checked: addresses, files, headers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::Uri;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::{Compression, Endpoints, OtlpConfig, RetryConfig, TlsConfig};

const USER_AGENT: &str = concat!("logboom/", env!("CARGO_PKG_VERSION"));

/// Longest list of endpoints.
const ENDPOINTS_MAX: usize = 16;
/// How long TCP, and then TLS, may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An HTTP/2 ping after so much silence while an answer is awaited, never on an idle connection:
/// servers in Go hang up on clients that do that.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// An upstream, checked and ready to be connected to. Holds secrets: not to be printed.
pub struct Upstream {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) headers: MetadataMap,
    pub(super) compression: Option<CompressionEncoding>,
    pub(super) timeout: Duration,
    pub(super) retry: RetryConfig,
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
        let written = match &config.endpoint {
            Endpoints::One(endpoint) => std::slice::from_ref(endpoint),
            Endpoints::Several(endpoints) => endpoints,
        };
        ensure!(!written.is_empty(), "endpoint: the list is empty: write http://host:4317");
        ensure!(written.len() <= ENDPOINTS_MAX, "endpoint: at most {ENDPOINTS_MAX} endpoints, not {}", written.len());
        let uris = written.iter().map(|text| endpoint_uri(text)).collect::<anyhow::Result<Vec<_>>>()?;
        let https = is_https(&uris[0]);
        ensure!(
            uris.iter().all(|uri| is_https(uri) == https),
            "endpoint: http and https are mixed: failing over would send in the clear; write all of them with https"
        );
        let tls = match (&config.tls, https) {
            (Some(_), false) => {
                bail!("tls: it is set, but the endpoint is http, in the clear: write https://, or remove tls")
            }
            (None, false) => None,
            (tls, true) => Some(client_tls(tls.as_ref().unwrap_or(&TlsConfig::default()))?),
        };
        ensure!(!config.timeout.0.is_zero(), "timeout: must not be 0s: write 10s");
        let RetryConfig { initial, max } = config.retry;
        ensure!(!initial.0.is_zero() && initial <= max, "retry: initial must be above 0s and at most max");
        Ok(Upstream {
            endpoints: uris.into_iter().map(|uri| endpoint(uri, tls.clone())).collect::<anyhow::Result<_>>()?,
            headers: headers(config)?,
            compression: match config.compression {
                Compression::None => None,
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            timeout: config.timeout.0,
            retry: config.retry,
        })
    }
}

fn endpoint_uri(text: &str) -> anyhow::Result<Uri> {
    // Whatever is wrong, what could be a password is not repeated.
    ensure!(!text.contains('@'), "endpoint: user and password do not belong into it: use headers");
    ensure!(text.contains("://"), "endpoint: '{text}' has no scheme: write http://{text}");
    let uri: Uri =
        text.parse().with_context(|| format!("endpoint: '{text}' is not an address: write http://host:4317"))?;
    ensure!(
        matches!(uri.scheme_str(), Some("http" | "https")),
        "endpoint: '{text}' is neither http nor https: write http://host:4317"
    );
    ensure!(uri.host().is_some_and(|host| !host.is_empty()), "endpoint: '{text}' has no host: write http://host:4317");
    ensure!(uri.port_u16().is_some(), "endpoint: '{text}' has no port: for OTLP over gRPC it is most often 4317");
    ensure!(
        matches!(uri.path(), "" | "/") && uri.query().is_none(),
        "endpoint: '{text}' has a path: over gRPC the path is fixed, end it after the port"
    );
    Ok(uri)
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn endpoint(uri: Uri, tls: Option<ClientTlsConfig>) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from(uri.clone())
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
        Some(path) => tls.ca_certificate(Certificate::from_pem(pem("ca", path, "CERTIFICATE-----")?)),
        None => tls.with_native_roots(),
    };
    match (&config.cert, &config.key) {
        (Some(cert), Some(key)) => {
            let cert = pem("cert", cert, "CERTIFICATE-----")?;
            tls = tls.identity(Identity::from_pem(cert, pem("key", key, "PRIVATE KEY-----")?));
        }
        (None, None) => {}
        (Some(_), None) => bail!("tls: cert is set, but key is not: set both, or neither"),
        (None, Some(_)) => bail!("tls: key is set, but cert is not: set both, or neither"),
    }
    if let Some(name) = &config.server_name {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}

/// Reads a PEM file. One without the block that is looked for is refused here, since to tonic it
/// would merely be an empty list, and every handshake would fail later.
fn pem(key: &str, path: &str, block: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(Path::new(path))
        .with_context(|| format!("tls.{key}: cannot read {path}: check the path and its permissions"))?;
    let found = memchr::memmem::find(&bytes, b"-----BEGIN ").is_some()
        && memchr::memmem::find(&bytes, block.as_bytes()).is_some();
    let what = block.trim_end_matches('-');
    ensure!(found, "tls.{key}: {path} holds no PEM block of type {what}: check that it is the right file");
    Ok(bytes)
}

fn headers(config: &OtlpConfig) -> anyhow::Result<MetadataMap> {
    let mut headers = MetadataMap::new();
    for (name, value) in &config.headers {
        let name = name.to_ascii_lowercase();
        ensure!(
            !name.ends_with("-bin"),
            "headers: {} would be binary, which is not supported: rename it",
            name.escape_debug()
        );
        let key: AsciiMetadataKey =
            name.parse().ok().with_context(|| format!("headers: '{}' is not a header name", name.escape_debug()))?;
        let ours = ["te", "content-type", "user-agent", "host", "connection", "content-length"];
        ensure!(
            !key.as_str().starts_with("grpc-") && !ours.contains(&key.as_str()),
            "headers: {key} is set by gRPC itself: remove it"
        );
        let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let mut value: AsciiMetadataValue = Some(value)
            .filter(|_| visible)
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("headers: the value of {key} holds more than visible ASCII characters"))?;
        // Keeps it out of debug output and out of HPACK tables.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
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

    #[tokio::test]
    async fn settings() {
        check("endpoint: http://collector:4317", "1 endpoints");
        check("endpoint: ['http://a:4317', 'http://[::1]:4317/']", "2 endpoints");
        check("endpoint: []", "endpoint: the list is empty");
        check("endpoint: collector:4317", "endpoint: 'collector:4317' has no scheme: write http://collector:4317");
        check("endpoint: grpc://collector:4317", "endpoint: 'grpc://collector:4317' is neither");
        check("endpoint: http://collector", "endpoint: 'http://collector' has no port");
        check("endpoint: http://collector:4318/v1/logs", "endpoint: 'http://collector:4318/v1/logs' has a path");
        check("endpoint: http://user:canary@collector:4317", "endpoint: user and password");
        check("endpoint: ['http://a:4317', 'https://b:4317']", "endpoint: http and https are mixed");
        check("{endpoint: 'http://a:4317', tls: {}}", "tls: it is set, but the endpoint is http");
        check("{endpoint: 'https://a:4317', tls: {ca: /nowhere/ca.crt}}", "tls.ca: cannot read /nowhere/ca.crt");
        check("{endpoint: 'https://a:4317', tls: {ca: Cargo.toml}}", "tls.ca: Cargo.toml holds no PEM block");
        check("{endpoint: 'https://a:4317', tls: {cert: a, ca: Cargo.toml}}", "tls.ca");
        check("{endpoint: 'http://a:4317', headers: {X-Tenant: canary}}", "1 endpoints");
        check("{endpoint: 'http://a:4317', headers: {'x y': canary}}", "headers: 'x y' is not a header name");
        check("{endpoint: 'http://a:4317', headers: {x: \"canary\\n\"}}", "headers: the value of x");
        check("{endpoint: 'http://a:4317', headers: {x: canäry}}", "headers: the value of x");
        check("{endpoint: 'http://a:4317', headers: {x-bin: canary}}", "headers: x-bin");
        check("{endpoint: 'http://a:4317', headers: {grpc-timeout: canary}}", "headers: grpc-timeout");
        check("{endpoint: 'http://a:4317', timeout: 0s}", "timeout");
        check("{endpoint: 'http://a:4317', retry: {initial: 0s}}", "retry");
        check("{endpoint: 'http://a:4317', retry: {initial: 1m, max: 1s}}", "retry");
    }

    #[test]
    fn secrets_do_not_show() {
        let config: OtlpConfig =
            serde_saphyr::from_str("{endpoint: 'http://a:4317', headers: {authorization: canary}}").unwrap();
        let upstream = Upstream::new(&config).unwrap();
        assert!(!format!("{upstream:?} {:?}", upstream.headers).contains("canary"));
    }
}
