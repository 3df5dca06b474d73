//! Where requests go, whichever protocol they travel by.

use http::Uri;
use tonic::transport;

use super::http::{HttpChannel, HttpEndpoint};

/// An address with all that is needed to connect to it.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    Grpc(Box<transport::Endpoint>),
    Http(HttpEndpoint),
}

/// Connections to an endpoint, made when they are needed and again when they are lost. Clones share them.
#[derive(Clone, Debug)]
pub(super) enum Channel {
    Grpc(transport::Channel),
    Http(Box<HttpChannel>),
}

impl Endpoint {
    pub(super) fn uri(&self) -> &Uri {
        match self {
            Endpoint::Grpc(endpoint) => endpoint.uri(),
            Endpoint::Http(endpoint) => endpoint.uri(),
        }
    }

    /// Connections of its own; none is made yet. To be called within a tokio runtime.
    pub(super) fn connect_lazy(&self) -> Channel {
        match self {
            Endpoint::Grpc(endpoint) => Channel::Grpc(endpoint.connect_lazy()),
            Endpoint::Http(endpoint) => Channel::Http(Box::new(endpoint.connect_lazy())),
        }
    }
}
