//! The pages. Only GET and HEAD; request bodies are never read.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::access::{Access, authenticate};
use super::guard::{Hosts, guarded, with_headers};
use super::refusal::{nothing_here, other_method};
use super::status::Status;
use super::{live, page};
use crate::telemetry::{Readiness, SinkState, Telemetry};

/// What the admin listener answers.
pub fn site(telemetry: Arc<Telemetry>, hosts: &Hosts, access: Arc<Access>) -> Router {
    let authenticated = from_fn_with_state((access, Arc::clone(&telemetry)), authenticate);
    let data = at_a_glance(Arc::clone(&telemetry)).merge(live::router(Arc::clone(&telemetry)));
    let guarded = guarded(page::router().merge(data), hosts);
    with_headers(open(telemetry).merge(guarded).fallback(nothing_here).layer(authenticated))
}

/// The pages without the one for people: what the control socket answers, too.
pub fn router(telemetry: Arc<Telemetry>) -> Router {
    let data = at_a_glance(Arc::clone(&telemetry)).merge(live::router(Arc::clone(&telemetry)));
    open(telemetry).merge(data).fallback(nothing_here)
}

/// What probes and scrapers ask for, by whatever name they know.
fn open(telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(other_method)
        .with_state(telemetry)
}

fn at_a_glance(telemetry: Arc<Telemetry>) -> Router {
    Router::new().route("/status", get(status)).method_not_allowed_fallback(other_method).with_state(telemetry)
}

async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry.exposition())
}

/// That this is answered at all is the answer.
async fn livez() -> &'static str {
    "alive\n"
}

/// 200 or 503 as [`Readiness`] says; below, a journal that is full and the sinks that are not healthy, if there are any.
async fn readyz(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    let (status, word) = match telemetry.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready"),
        Readiness::Starting => (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting"),
        Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping"),
        Readiness::NoSink => (StatusCode::SERVICE_UNAVAILABLE, "not ready: no sink takes records"),
        Readiness::NoJournal => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the journal cannot be written"),
    };
    let mut body = format!("{word}\n");
    if let Some(why) = telemetry.journal().and_then(|journal| journal.no_room()) {
        let _ = writeln!(body, "journal: full ({})", why.as_str());
    }
    for sink in telemetry.sinks() {
        let state = sink.state();
        if state != SinkState::Healthy {
            // Writing to a string cannot fail. The error itself is in /status, where it is escaped.
            let _ = writeln!(body, "sink {}: {}", sink.name(), state.as_str());
        }
    }
    (status, body)
}

async fn status(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    match serde_json::to_string_pretty(&Status::read(&telemetry)) {
        Ok(body) => (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body),
        Err(error) => {
            let body = format!("cannot write the status as JSON: {error}; this is a bug, please report it\n");
            (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], body)
        }
    }
}
