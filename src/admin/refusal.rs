//! A request that is not carried out: JSON for programs, a text for people.

use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::live::fresh;

/// What is wrong with a request for data, and what to do.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    pub error: String,
    pub help: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        fresh(self.status, json!({"error": self.error, "help": self.help}))
    }
}

/// A request for data that is not carried out.
pub fn refused(status: StatusCode, error: impl Into<String>, help: impl Into<String>) -> Response {
    Refused { status, error: error.into(), help: help.into() }.into_response()
}

/// Whether programs ask there: what tells something; the rest is the page, which asks for it, or is for scrapers and probes.
pub fn is_data(path: &str) -> bool {
    path == "/status" || path.starts_with("/api/")
}

/// The same for whatever is asked at `path`.
pub fn refusal(path: &str, status: StatusCode, error: &str, help: &str) -> Response {
    if is_data(path) {
        return refused(status, error, help);
    }
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{error}; {help}\n")).into_response()
}

/// The answer where there is no page.
pub async fn nothing_here(uri: Uri) -> Response {
    let help = "there are /, /metrics, /livez, /readyz, /status and /api/traffic, /api/edge, /api/health, /api/tap";
    refusal(uri.path(), StatusCode::NOT_FOUND, "nothing here", help)
}

/// The answer of a page to another method than its own.
pub async fn other_method(method: Method, uri: Uri) -> Response {
    let error = format!("{method} is not for this page");
    refusal(uri.path(), StatusCode::METHOD_NOT_ALLOWED, &error, "the header `allow` says what is")
}

/// What stands behind the `?` of a request for data.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Parameters<T>, Refused> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(value)| Parameters(value)).map_err(|why| Refused {
            status: why.status(),
            error: why.body_text(),
            help: "the parameters are in docs/live.md".to_owned(),
        })
    }
}
