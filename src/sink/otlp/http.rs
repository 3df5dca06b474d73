//! OTLP over HTTP: one request, one answer, over connections that are kept.
//!
//! HTTP/1.1, which every receiver has. Redirects are not followed: they would carry secrets elsewhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tonic::codec::CompressionEncoding;

use super::client::{Answer, Failure, RESPONSE_BYTES_MAX, accepted, escaped, timed_out};
use super::run::REQUESTS_MAX;
use super::stats::Reason;
use super::upstream::{
    CERTIFICATE, CONNECT_TIMEOUT, PRIVATE_KEY, TCP_KEEPALIVE, USER_AGENT as OURS, Upstream, chain, pem,
};
use super::verdict::http_verdict;
use super::{TlsConfig, settings};
use crate::grpc::Segments;

/// Where logs go unless a path is written.
const PATH: &str = "/v1/logs";
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// How long a connection is kept that nothing is sent on: less than most receivers keep it.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Most of an answer that is read to say what went wrong.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// An address for requests, with TLS where it asks for it.
#[derive(Clone, Debug)]
pub(super) struct HttpEndpoint {
    uri: Uri,
    connector: HttpsConnector<HttpConnector>,
}

/// Connections to it. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct HttpChannel {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpEndpoint {
    /// Requests go to `uri`; without a path to `/v1/logs`.
    pub(super) fn new(uri: Uri, tls: &ClientTls) -> anyhow::Result<HttpEndpoint> {
        let uri = match uri.path() {
            "" | "/" => {
                let mut parts = uri.into_parts();
                parts.path_and_query = Some(PathAndQuery::from_static(PATH));
                Uri::from_parts(parts)?
            }
            _ => uri,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls.config.clone()).https_or_http();
        let builder = match &tls.server_name {
            Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name.clone())),
            None => builder,
        };
        Ok(HttpEndpoint { uri, connector: builder.enable_http1().wrap_connector(tcp) })
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn connect_lazy(&self) -> HttpChannel {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(REQUESTS_MAX)
            .build(self.connector.clone());
        HttpChannel { uri: self.uri.clone(), client }
    }
}

/// Who is trusted, and who we are.
pub(super) struct ClientTls {
    config: ClientConfig,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// As the settings say; the certificates of the system are read only where they are asked.
    pub(super) fn new(settings: Option<&TlsConfig>) -> anyhow::Result<ClientTls> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let Some(settings) = settings else {
            // Never used: all endpoints are plaintext.
            let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            return Ok(ClientTls { config, server_name: None });
        };
        let builder = match &settings.ca {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("ca", path)? {
                    let added = roots.add(certificate);
                    added.with_context(|| {
                        format!("tls.ca: {path} holds a certificate that is not one of an authority")
                    })?;
                }
                builder.with_root_certificates(roots)
            }
            None => {
                builder.with_native_roots().context("tls: cannot read the certificates of the system: write `ca`")?
            }
        };
        let config = match (&settings.cert, &settings.key) {
            (Some(cert), Some(path)) => {
                let key = PrivateKeyDer::from_pem_slice(&pem("key", path, PRIVATE_KEY)?);
                let key = key.with_context(|| format!("tls.key: {path} holds no private key that can be read"))?;
                let with_both = builder.with_client_auth_cert(certificates("cert", cert)?, key);
                with_both.context("tls: cert and key do not belong together")?
            }
            _ => builder.with_no_client_auth(),
        };
        let server_name = settings.server_name.as_ref().map(|name| ServerName::try_from(name.clone())).transpose()?;
        Ok(ClientTls { config, server_name })
    }
}

fn certificates(key: &'static str, path: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_slice_iter(&pem(key, path, CERTIFICATE)?).collect::<Result<_, _>>();
    read.with_context(|| format!("tls.{key}: {path} holds a certificate that cannot be read"))
}

/// Sends one request and waits for the answer, at most the timeout of the upstream.
pub(super) fn export(
    upstream: &Upstream,
    channel: HttpChannel,
    segments: Segments,
) -> impl Future<Output = Answer> + Send + use<> {
    let (timeout, compression) = (upstream.timeout, upstream.compression);
    let mut headers = upstream.headers.clone().into_headers();
    headers.insert(CONTENT_TYPE, PROTOBUF);
    headers.insert(USER_AGENT, HeaderValue::from_static(OURS));
    async move {
        let exchange = async {
            let body = match packed(segments, compression, &mut headers) {
                Ok(body) => body,
                Err(error) => return Answer::Failed(Failure::unanswered(Reason::Internal, &error.to_string())),
            };
            let mut request = Request::new(Full::new(body));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = channel.uri;
            *request.headers_mut() = headers;
            match channel.client.request(request).await {
                Ok(response) => answered(response).await,
                Err(error) => Answer::Failed(Failure::unanswered(Reason::Connection, &chain(&error))),
            }
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Answer::Failed(timed_out(timeout)))
    }
}

/// The body as it goes out, and the header that says how.
fn packed(
    mut segments: Segments,
    compression: Option<CompressionEncoding>,
    headers: &mut HeaderMap,
) -> std::io::Result<Bytes> {
    let name = match compression {
        Some(CompressionEncoding::Gzip) => "gzip",
        Some(CompressionEncoding::Zstd) => "zstd",
        _ => return Ok(segments.copy_to_bytes(segments.remaining())),
    };
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    if name == "gzip" {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        write_all(&mut segments, &mut encoder)?;
        return encoder.finish().map(Bytes::from);
    }
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    write_all(&mut segments, &mut encoder)?;
    encoder.finish().map(Bytes::from)
}

fn write_all(segments: &mut Segments, into: &mut impl std::io::Write) -> std::io::Result<()> {
    while segments.has_remaining() {
        let length = segments.chunk().len();
        into.write_all(segments.chunk())?;
        segments.advance(length);
    }
    Ok(())
}

async fn answered(response: http::Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    if head.status.is_success() {
        // It said yes, so the request is accepted whatever the body looks like.
        let body = Limited::new(body, RESPONSE_BYTES_MAX).collect().await.map(|it| it.to_bytes());
        return accepted(&body.unwrap_or_default());
    }
    let after = head.headers.get(RETRY_AFTER).and_then(|it| retry_after(it.to_str().ok()?, SystemTime::now()));
    let body = Limited::new(body, TEXT_BYTES_MAX).collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let (verdict, reason) = http_verdict(head.status, after);
    Answer::Failed(Failure { verdict, reason, text: text(head.status, &head.headers, &body) })
}

/// What a refusal says: a `google.rpc.Status`, or whatever it is.
fn text(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> String {
    let content_type = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let message = if content_type.starts_with(b"application/x-protobuf") {
        tonic_types::pb::Status::decode(body.clone()).map(|it| it.message).unwrap_or_default()
    } else if content_type.starts_with(b"application/json") {
        let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        value["message"].as_str().map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
    } else {
        String::from_utf8_lossy(body).into_owned()
    };
    escaped(&format!("HTTP {status}: {}", message.trim())).trim_end_matches(": ").to_owned()
}

/// Seconds, or a date (RFC 9110, section 10.2.3). A date that is over asks for nothing.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).ok()
}

/// The settings that TLS is made of, if an endpoint asks for it.
pub(super) fn tls_of<'a>(
    uris: &[Uri],
    written: Option<&'a TlsConfig>,
    default: &'a TlsConfig,
) -> Option<&'a TlsConfig> {
    uris.iter().any(settings::is_https).then(|| written.unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_wait() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 12:00:00 GMT").unwrap();
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        };
        check("0", Some(0));
        check(" 7 ", Some(7));
        check("Sat, 21 Nov 2026 12:00:30 GMT", Some(30));
        check("Sat, 21 Nov 2026 11:00:00 GMT", None);
        check("soon", None);
        check("-1", None);
        check("1.5", None);
    }

    #[test]
    fn what_a_refusal_says() {
        let check = |content_type: &'static str, body: &[u8], expected: &str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(text(StatusCode::BAD_REQUEST, &headers, &Bytes::copy_from_slice(body)), expected);
        };
        check("application/x-protobuf", b"\x08\x03\x12\x03bad", "HTTP 400 Bad Request: bad");
        check("application/json", br#"{"code":3,"message":"bad"}"#, "HTTP 400 Bad Request: bad");
        check("application/json; charset=utf-8", b"no json", "HTTP 400 Bad Request: no json");
        check("text/html", b"<p>\x1b[31m\xff", "HTTP 400 Bad Request: <p>\\u{1b}[31m\u{fffd}");
        check("text/plain", b"", "HTTP 400 Bad Request");
    }
}
