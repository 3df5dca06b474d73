//! Who may read the pages.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;

use super::conversation::Conversation;
use super::refusal::refusal;
use super::{AdminConfig, page};
use crate::auth::{Bearer, CHALLENGE};
use crate::telemetry::{Quiet, Telemetry};
use crate::tls::ListenerTls;

/// True for what needs no token: probes, and the page for people, which holds no data and asks for a token itself.
fn is_open(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz") || page::is_part(path)
}

/// TLS and tokens, replaced while requests are answered.
#[derive(Debug, Default)]
pub struct Access {
    current: RwLock<Rules>,
    refused: Quiet,
}

#[derive(Clone, Debug, Default)]
struct Rules {
    tls: Option<Arc<ListenerTls>>,
    bearer: Option<Arc<Bearer>>,
}

impl Access {
    /// From the next connection and the next request on.
    pub fn replace(&self, config: &AdminConfig, tls: Option<Arc<ListenerTls>>) {
        let bearer = config.auth.as_ref().map(|auth| Arc::new(Bearer::new(auth)));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Rules { tls, bearer };
    }

    /// TLS, where it is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ListenerTls>> {
        self.rules().tls
    }

    fn rules(&self) -> Rules {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers 401 to a request without a valid token.
pub async fn authenticate(
    State((access, telemetry)): State<(Arc<Access>, Arc<Telemetry>)>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = access.rules().bearer.map(|bearer| bearer.admits(request.headers()));
    let conversation = request.extensions().get::<Conversation>();
    if let (Some(true), Some(conversation)) = (admitted, conversation) {
        conversation.vouch();
    }
    if admitted != Some(false) || is_open(request.uri().path()) {
        return next.run(request).await;
    }
    telemetry.count_admin_refused(true);
    if let Some(suppressed) = access.refused.allow() {
        let peer = conversation.and_then(Conversation::peer);
        tracing::warn!(?peer, suppressed, "request of the admin listener refused: it has no valid token");
    }
    let error = "a valid token is needed: authorization: Bearer TOKEN";
    let refusal = refusal(request.uri().path(), StatusCode::UNAUTHORIZED, error, "/livez and /readyz need none");
    ([(WWW_AUTHENTICATE, CHALLENGE)], refusal).into_response()
}
