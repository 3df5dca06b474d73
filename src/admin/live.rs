//! `/api`: what flows, for pages and for `logboom top` and `tap`. What is read here is JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::health::Readings;
use super::refusal::{Parameters, other_method, refused};
use super::tap;
use crate::monitor::{Protocol, TrafficSince};
use crate::telemetry::Telemetry;

/// Seconds of the window that nobody chose.
const WINDOW_DEFAULT: u64 = 60;

/// What the pages share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub telemetry: Arc<Telemetry>,
    readings: Arc<Readings>,
}

/// The pages of one process below `/api`.
pub fn router(telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/api/traffic", get(traffic))
        .route("/api/edge", get(edge))
        .route("/api/health", get(health))
        .route("/api/tap", get(tap::tap))
        .method_not_allowed_fallback(other_method)
        .with_state(Shared { telemetry, readings: Arc::default() })
}

/// A value as JSON that is true only now.
pub fn fresh(status: StatusCode, value: impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(value)).into_response()
}

#[derive(Debug, Deserialize)]
struct Window {
    window: Option<u64>,
    since: Option<u64>,
}

async fn traffic(State(shared): State<Shared>, Parameters(query): Parameters<Window>) -> Response {
    let monitor = shared.telemetry.monitor();
    let Some(traffic) = monitor.traffic() else { return fresh(StatusCode::OK, TrafficSince::disabled()) };
    let window = query.window.unwrap_or(WINDOW_DEFAULT);
    fresh(StatusCode::OK, traffic.report(window, query.since.unwrap_or(0)).await)
}

#[derive(Debug, Deserialize)]
struct Pair {
    /// All of a service, in place of one pair.
    service: Option<String>,
    mesh: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    protocol: Option<Protocol>,
}

async fn edge(State(shared): State<Shared>, Parameters(pair): Parameters<Pair>) -> Response {
    let Pair { service, mesh, source, destination, protocol } = pair;
    let names = [mesh.as_deref(), source.as_deref(), destination.as_deref()];
    let monitor = shared.telemetry.monitor();
    let found = match (monitor.traffic(), service) {
        (None, _) => None,
        (Some(traffic), Some(service)) => traffic.service(&service).await,
        (Some(traffic), None) => traffic.edge(protocol.unwrap_or(Protocol::Http), names).await,
    };
    match found {
        Some(edge) => fresh(StatusCode::OK, &*edge),
        None => {
            refused(StatusCode::NOT_FOUND, "nothing is known of these services", "take the names from /api/traffic")
        }
    }
}

async fn health(State(shared): State<Shared>) -> Response {
    fresh(StatusCode::OK, shared.readings.health(&shared.telemetry))
}
