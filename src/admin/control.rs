//! The pages of the control socket: those of the admin listener, and what changes something.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::conversation::Conversation;
use super::live::fresh;
use super::pages;
use super::refusal::{Parameters, other_method, refused};
use super::tap::Lines;
use crate::control::{Asks, Outcome};
use crate::telemetry::Telemetry;

/// The pages of one process.
pub fn router(telemetry: Arc<Telemetry>, asks: Asks) -> Router {
    let actions = Router::new()
        .route("/api/reload", post(reload))
        .route("/api/drain", post(drain))
        .method_not_allowed_fallback(other_method)
        .with_state(asks);
    actions.merge(pages::router(telemetry))
}

async fn reload(State(asks): State<Asks>, Extension(conversation): Extension<Conversation>) -> Response {
    // Sinks that stand in the way of others end first, which takes up to the grace period.
    conversation.become_long();
    let reloaded = tokio::select! {
        reloaded = asks.reload() => reloaded,
        () = conversation.shutdown() => None,
    };
    match reloaded {
        Some(reloaded) if reloaded.outcome == Outcome::Refused || !reloaded.certificates_refused.is_empty() => {
            fresh(StatusCode::CONFLICT, reloaded)
        }
        Some(reloaded) => fresh(StatusCode::OK, reloaded),
        None => refused(StatusCode::SERVICE_UNAVAILABLE, "it is stopping", "start it again"),
    }
}

#[derive(Debug, Deserialize)]
struct Drain {
    #[serde(default)]
    wait: bool,
}

async fn drain(
    State(asks): State<Asks>,
    Extension(conversation): Extension<Conversation>,
    Parameters(query): Parameters<Drain>,
) -> Response {
    asks.stop();
    let stopping = json!({"stopping": true, "pid": std::process::id()});
    if !query.wait {
        return fresh(StatusCode::ACCEPTED, stopping);
    }
    conversation.become_long();
    let (lines, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        let send = async |line: String| drop(lines.send(Bytes::from(line)).await);
        send(format!("{stopping}\n")).await;
        let finished = tokio::select! {
            biased;
            finished = asks.finished() => finished,
            () = conversation.shutdown() => None,
        };
        if let Some(finished) = finished {
            send(format!("{}\n", json!(finished))).await;
        }
    });
    (StatusCode::ACCEPTED, Body::new(Lines { receiver })).into_response()
}
