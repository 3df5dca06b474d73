//! What keeps other people's pages away from this one.
//!
//! A browser asks whatever a page tells it to, with the rights of whoever sits before it. The page of another site must
//! not read what is here: not by asking across sites, not by a name of its own that it lets lead here, and not by
//! showing this page within itself. So no answer allows other origins, names are checked, and headers say the rest.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::AdminConfig;
use super::refusal::{is_data, refusal};

/// Everything of the page comes from here, and nothing that stands in it runs or styles.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, CONTENT),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Names under which the page may be asked for, besides addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Arc<[String]>,
}

impl Hosts {
    /// The name that is listened on, if it is one, and those of the configuration.
    #[must_use]
    pub fn new(config: &AdminConfig) -> Hosts {
        let listened = config.listen.rsplit_once(':').map(|(host, _)| host.to_owned());
        Hosts { names: listened.into_iter().chain(config.hosts.iter().cloned()).collect() }
    }

    /// Whether a request that says so means this process. A page of another site can let a name of its own lead here:
    /// addresses and `localhost` are nobody's names.
    fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST) else { return true };
        let authority: Option<Authority> = host.to_str().ok().and_then(|it| it.parse().ok());
        authority.is_some_and(|authority| {
            let name = authority.host();
            let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
            let known = || self.names.iter().any(|it| it.eq_ignore_ascii_case(name));
            name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok() || known()
        })
    }
}

/// `pages` for those who ask this process itself, and mean it.
pub fn guarded(pages: Router, hosts: &Hosts) -> Router {
    pages.layer(from_fn_with_state(hosts.clone(), admit))
}

/// Puts the headers on all answers of `pages`.
pub fn with_headers(pages: Router) -> Router {
    pages.layer(from_fn(async |request: Request, next: Next| {
        let mut response = next.run(request).await;
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }))
}

async fn admit(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !hosts.admit(headers) {
        let error = "this name is not known to be one of logboom's";
        let help = "ask by address or as localhost, or write the name into the configuration: admin: {hosts: [NAME]}";
        return refusal(request.uri().path(), StatusCode::MISDIRECTED_REQUEST, error, help);
    }
    // Browsers say who asks; who follows a link to the page itself may come from anywhere.
    let is_own = headers.get(FETCH_SITE).is_none_or(|it| it == "same-origin" || it == "none");
    if is_data(request.uri().path()) && !is_own {
        let help = "ask from the page of logboom, or without a browser";
        return refusal(request.uri().path(), StatusCode::FORBIDDEN, "the page of another site may not ask", help);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(hosts: &Hosts, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        hosts.admit(&headers)
    }

    #[test]
    fn names_of_this_process() {
        let config = AdminConfig {
            listen: "admin.mesh.local:9464".to_owned(),
            hosts: vec!["logboom.example".to_owned()],
            ..AdminConfig::default()
        };
        let hosts = Hosts::new(&config);
        for host in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1:9464",
            "[::1]:9464",
            "10.0.0.1",
            "Admin.mesh.local:80",
            "logboom.example",
        ] {
            assert!(admits(&hosts, host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:9464",
            "127.0.0.1.evil.example",
            "x.logboom.example",
            "logboom.example.",
            "user@logboom.example@evil.example",
            "",
            " ",
        ] {
            assert!(!admits(&hosts, host), "{host}");
        }
        assert!(hosts.admit(&HeaderMap::new()), "no browser asks without");
        assert!(!admits(&Hosts::new(&AdminConfig::default()), "logboom.example"));
    }
}
