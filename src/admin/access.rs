//! Who may read the pages.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;

use super::AdminConfig;
use crate::auth::{Bearer, CHALLENGE};
use crate::telemetry::Telemetry;
use crate::tls::ListenerTls;

/// True for pages that need no token: probes read them, and they say nothing about records.
fn is_open(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// TLS and tokens, replaced while requests are answered.
#[derive(Debug, Default)]
pub struct Access {
    current: RwLock<Rules>,
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
    let refused = access.rules().bearer.is_some_and(|bearer| !bearer.admits(request.headers()));
    if !refused || is_open(request.uri().path()) {
        return next.run(request).await;
    }
    telemetry.count_admin_refused(true);
    let text = "a valid token is needed: authorization: Bearer TOKEN; /livez and /readyz need none\n";
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, CHALLENGE)], text).into_response()
}
