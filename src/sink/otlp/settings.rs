//! The rules for what is written about an upstream: `logboom check` and the sink itself both ask
//! here. Nothing outside of the settings is looked at, so TLS files are not read.

use std::fmt;

use http::Uri;
use tonic::metadata::MetadataMap;
use tonic::transport::{ClientTlsConfig, Endpoint};

use super::{Endpoints, OtlpConfig, Protocol, TlsConfig};
use crate::header::{self, COUNT_MAX};

/// Longest list of endpoints.
const ENDPOINTS_MAX: usize = 16;

/// What keeps all rules. Holds secrets: not to be printed.
pub struct Settings {
    /// All `http` or all `https`, each with a host, and over gRPC with a port; at least one.
    pub(super) uris: Vec<Uri>,
    /// Marked as sensitive.
    pub(super) headers: MetadataMap,
}

/// One rule that is broken. No address and no header's value is in it: they may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Keys on the way there, from the sink on; items of a list by number, counted from 0.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path.join("."), self.message, self.help)
    }
}

impl Settings {
    /// Reads what was written.
    ///
    /// # Errors
    /// Every rule that is broken, at once; at least one.
    pub fn read(config: &OtlpConfig) -> Result<Settings, Vec<Mistake>> {
        let mut mistakes = Mistakes(Vec::new());
        let uris = endpoints(config, &mut mistakes);
        let headers = headers(config, &mut mistakes);
        periods(config, &mut mistakes);
        tls(config, &uris, &mut mistakes);
        if mistakes.0.is_empty() { Ok(Settings { uris, headers }) } else { Err(mistakes.0) }
    }
}

struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn add(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        self.0.push(Mistake { path, message: message.into(), help: help.into() });
    }
}

/// Those that are in order.
fn endpoints(config: &OtlpConfig, mistakes: &mut Mistakes) -> Vec<Uri> {
    let written = config.endpoint.as_slice();
    if written.is_empty() {
        mistakes.add(&["endpoint"], "a list of no endpoints", "write one, such as http://otel-collector:4317");
    }
    if written.len() > ENDPOINTS_MAX {
        let message = format!("{} endpoints are too many", written.len());
        mistakes.add(&["endpoint"], message, format!("write at most {ENDPOINTS_MAX}"));
    }
    let some_https = written.iter().any(|text| text.to_ascii_lowercase().starts_with("https:"));
    let mut uris = Vec::new();
    for (index, text) in written.iter().enumerate().take(ENDPOINTS_MAX) {
        let index = index.to_string();
        let path: &[&str] = match config.endpoint {
            Endpoints::One(_) => &["endpoint"],
            Endpoints::Several(_) => &["endpoint", &index],
        };
        match endpoint(text, config.protocol) {
            Err((message, help)) => mistakes.add(path, message, help),
            Ok(uri) if !is_https(&uri) && config.tls.is_some() => {
                let message = "`tls` is set, but the endpoint is plaintext http";
                mistakes.add(path, message, "write https://, or remove `tls`");
            }
            Ok(uri) if !is_https(&uri) && some_https => {
                let message = "http and https are mixed: failing over would send in the clear";
                mistakes.add(path, message, "write all endpoints with https");
            }
            Ok(uri) => uris.push(uri),
        }
    }
    uris
}

/// The address, or what is wrong and what to do.
fn endpoint(text: &str, protocol: Protocol) -> Result<Uri, (&'static str, &'static str)> {
    const EXAMPLE: &str =
        "write it as http://otel-collector:4317, or for `protocol: http` as http://otel-collector:4318";
    let uri: Uri = text.parse().map_err(|_| ("the endpoint is not a URL", EXAMPLE))?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(("the endpoint needs the scheme http or https, and a host", EXAMPLE));
    };
    if authority.as_str().contains('@') {
        return Err((
            "a user or password has no place in an endpoint",
            "write it under `headers:`, such as `authorization: ${file:/run/secrets/token}`",
        ));
    }
    if authority.host().is_empty() {
        return Err(("the endpoint has no host", EXAMPLE));
    }
    let has_port = authority.as_str() != authority.host();
    // Over HTTP it is a URL like any other: 80, or 443.
    if !has_port && protocol == Protocol::Grpc {
        return Err((
            "the endpoint has no port",
            "for OTLP over gRPC it is most often 4317: http://otel-collector:4317",
        ));
    }
    // A port that is no number up to 65535 is read as no port at all.
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(("the port of the endpoint is not a port", EXAMPLE));
    }
    match protocol {
        Protocol::Grpc if !matches!(uri.path(), "" | "/") || uri.query().is_some() => {
            let help = "write it as http://otel-collector:4317; OTLP over HTTP is `protocol: http`";
            Err(("OTLP over gRPC has its own path, none can be given", help))
        }
        Protocol::Http if uri.query().is_some() => {
            let help = "write what is behind `?` under `headers:`, where it stays secret, or leave it out";
            Err(("the endpoint has a query", help))
        }
        Protocol::Grpc | Protocol::Http => Ok(uri),
    }
}

/// True for an address that is dialled with TLS.
pub(super) fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn headers(config: &OtlpConfig, mistakes: &mut Mistakes) -> MetadataMap {
    if config.headers.len() > COUNT_MAX {
        let message = format!("{} headers are too many", config.headers.len());
        mistakes.add(&["headers"], message, format!("write at most {COUNT_MAX}"));
    }
    let mut headers = MetadataMap::new();
    for (name, value) in config.headers.iter().take(COUNT_MAX) {
        let path = ["headers", name.as_str()];
        let key = match config.protocol {
            Protocol::Grpc => header::over_grpc(name),
            Protocol::Http => header::over_http(name),
        };
        let key = match key {
            Ok(key) => key,
            Err(help) => {
                mistakes.add(&path, "this is not a header that can be set", help);
                continue;
            }
        };
        let Some(mut value) = header::value(value.expose()) else {
            let message = "the value of this header has control characters, or letters that are not ASCII";
            mistakes.add(&path, message, "remove them; a file may end in one newline");
            continue;
        };
        // Keeps it out of debug output and out of HPACK tables.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    headers
}

fn periods(config: &OtlpConfig, mistakes: &mut Mistakes) {
    let retry = config.retry;
    for (path, period) in [(&["timeout"][..], config.timeout), (&["retry", "initial"], retry.initial)] {
        if period.0.is_zero() {
            mistakes.add(path, "0s is out of range", "write a duration above zero");
        }
    }
    if retry.initial > retry.max {
        let message = format!("the first pause ({}) is longer than the longest ({})", retry.initial, retry.max);
        mistakes.add(&["retry"], message, "write `initial` at most as large as `max`");
    }
}

fn tls(config: &OtlpConfig, uris: &[Uri], mistakes: &mut Mistakes) {
    let server_name = match &config.tls {
        Some(TlsConfig { cert, key, server_name, .. }) => {
            if cert.is_some() != key.is_some() {
                let message = "a certificate needs its key, and a key its certificate";
                mistakes.add(&["tls"], message, "write both `cert` and `key`, or neither");
            }
            server_name.as_deref()
        }
        None => None,
    };
    for uri in uris.iter().filter(|uri| is_https(uri)) {
        // Without certificates there is nothing left to refuse but the name.
        let tls = ClientTlsConfig::new();
        let tls = server_name.map_or(tls.clone(), |name| tls.domain_name(name));
        if Endpoint::from(uri.clone()).tls_config(tls).is_err() {
            let path: &[&str] = if server_name.is_some() { &["tls", "server_name"] } else { &["endpoint"] };
            mistakes.add(path, "this is not a name that a certificate can carry", "write a DNS name or an IP address");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: &[&str]) {
        let config: OtlpConfig = serde_saphyr::from_str(yaml).unwrap();
        let mistakes = Settings::read(&config).err().unwrap_or_default();
        let got: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), expected.len(), "{yaml}\n{got:#?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!(got.starts_with(expected) && !got.contains("canary"), "{yaml}\n{got}");
        }
    }

    #[test]
    fn addresses() {
        check("endpoint: http://collector:4317", &[]);
        check("endpoint: HTTPS://collector:4317", &[]);
        check("endpoint: ['http://a:4317', 'http://[::1]:4317/']", &[]);
        check("endpoint: []", &["endpoint: a list of no endpoints"]);
        check("endpoint: collector:4317", &["endpoint: the endpoint needs the scheme"]);
        check("endpoint: grpc://collector:4317", &["endpoint: the endpoint needs the scheme"]);
        check("endpoint: 'http://a b:1'", &["endpoint: the endpoint is not a URL"]);
        check("endpoint: http://:4317", &["endpoint: the endpoint has no host"]);
        check("endpoint: http://collector", &["endpoint: the endpoint has no port"]);
        check("endpoint: 'https://[::1]'", &["endpoint: the endpoint has no port"]);
        check("endpoint: 'http://collector:'", &["endpoint: the port"]);
        check("endpoint: http://collector:0", &["endpoint: the port"]);
        check("endpoint: http://collector:65536", &["endpoint: "]);
        check("endpoint: http://collector:4318/v1/logs", &["endpoint: OTLP over gRPC has its own path"]);
        check("{endpoint: 'http://collector', protocol: http}", &[]);
        check("{endpoint: 'https://collector/otlp/v1/logs', protocol: http}", &[]);
        check(
            "{endpoint: 'http://collector:4318/?key=canary', protocol: http}",
            &["endpoint: the endpoint has a query"],
        );
        check("{endpoint: 'http://collector:0', protocol: http}", &["endpoint: the port"]);
        check(
            "{endpoint: 'http://a', protocol: http, headers: {Content-Encoding: canary}}",
            &["headers.Content-Encoding: this"],
        );
        check("endpoint: http://user:canary@collector:4317", &["endpoint: a user or password"]);
        check("endpoint: ['https://a:1', 'http://b:1', x]", &["endpoint.1: http and https", "endpoint.2: "]);
        check("{endpoint: 'http://a:4317', tls: {}}", &["endpoint: `tls` is set"]);
        check("{endpoint: ['https://a:4317', 'http://b:1'], tls: {}}", &["endpoint.1: `tls` is set"]);
        let many = vec!["'http://a:1'"; ENDPOINTS_MAX + 1].join(", ");
        check(&format!("endpoint: [{many}]"), &["endpoint: 17 endpoints are too many"]);
    }

    #[test]
    fn names_of_certificates() {
        check("{endpoint: 'https://a:4317', tls: {server_name: collector.example.com}}", &[]);
        check("{endpoint: 'https://10.0.0.1:4317', tls: {ca: /nowhere}}", &[]);
        check("{endpoint: 'https://a:4317', tls: {server_name: 'a b'}}", &["tls.server_name: this is not a name"]);
        check("{endpoint: 'https://-a:4317'}", &["endpoint: this is not a name"]);
        check("{endpoint: 'https://a:4317', tls: {cert: a}}", &["tls: a certificate needs its key"]);
    }

    fn header(header: &str, expected: &[&str]) {
        check(&format!("{{endpoint: 'http://a:4317', headers: {{{header}}}}}"), expected);
    }

    #[test]
    fn metadata() {
        header("X-Tenant: canary", &[]);
        header("x: \"\\\"canary\\\" ~\"", &[]);
        header("'': canary", &["headers.: this is not a header"]);
        header("'x y': canary", &["headers.x y: this is not a header"]);
        header("x-bin: canary, GRPC-Timeout: canary", &["headers.GRPC-Timeout: this", "headers.x-bin: this"]);
        header("Upgrade: canary", &["headers.Upgrade: this"]);
        header("x: \"canary\\n\"", &["headers.x: the value"]);
        header("x: \"can\\tary\"", &["headers.x: the value"]);
        header("x: canäry", &["headers.x: the value"]);
        let many: String = (0..=COUNT_MAX).map(|n| format!("x{n}: canary,")).collect();
        header(&many, &["headers: 65 headers are too many"]);
    }

    #[test]
    fn times() {
        check("{endpoint: 'http://a:4317', timeout: 0s}", &["timeout: 0s is out of range"]);
        check("{endpoint: 'http://a:4317', retry: {initial: 0s}}", &["retry.initial: 0s is out of range"]);
        check("{endpoint: 'http://a:4317', retry: {initial: 1m, max: 1s}}", &["retry: the first pause (1m)"]);
    }
}
