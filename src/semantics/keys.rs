//! The names of attributes, written into a tree once per payload.

use crate::record::{Span, Tree};

macro_rules! keys {
    ($($id:ident $text:literal)*) => {
        /// One of the texts that are the same for every record. Attributes leave in this order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Key { $($id),* }

        const TEXTS: &[&str] = &[$($text),*];
        /// Each as a fragment, see [`Tree::keep_key`].
        const ALL: &str = concat!($(",\"", $text, "\":\""),*);
    };
}

keys! {
    Method "http.request.method"
    Scheme "url.scheme"
    Path "url.path"
    Query "url.query"
    ProtocolName "network.protocol.name"
    ProtocolVersion "network.protocol.version"
    Status "http.response.status_code"
    RpcStatus "rpc.response.status_code"
    RequestSize "http.request.body.size"
    ResponseSize "http.response.body.size"
    UserAgent "user_agent.original"
    Client "client.address"
    ForwardedFor "http.request.header.x-forwarded-for"
    Server "server.address"
    ServerPort "server.port"
    RequestId "envoy.request_id"
    StartTime "envoy.start_time"
    EmitTime "envoy.emit_time"
    EmitTimeNano "envoy.emit_time_unix_nano"
    Duration "envoy.duration_ms"
    BytesReceived "envoy.bytes_received"
    BytesSent "envoy.bytes_sent"
    Flags "envoy.response_flags"
    CodeDetails "envoy.response_code_details"
    Termination "envoy.connection.termination_details"
    UpstreamAddress "envoy.upstream.address"
    UpstreamPort "envoy.upstream.port"
    UpstreamCluster "envoy.upstream.cluster"
    UpstreamFailure "envoy.upstream.failure_reason"
    UpstreamTime "envoy.upstream.service_time_ms"
    UpstreamTimeHeader "http.response.header.x-envoy-upstream-service-time"
    Mesh "kuma.mesh"
    Zone "kuma.zone"
    Workload "kuma.workload"
    SourceService "kuma.source.service"
    SourceAddress "kuma.source.address"
    DestinationService "kuma.destination.service"
    Direction "kuma.traffic.direction"
    TraceHeader "http.request.header.x-b3-traceid"
    SpanHeader "http.request.header.x-b3-spanid"
    B3 "http.request.header.b3"
    TraceParent "http.request.header.traceparent"
    TraceId "envoy.trace_id"
    SpanId "envoy.span_id"
    Mojibake "logboom.mojibake"
    Possible "possible"
    Http "http"
    Info "INFO"
    Warn "WARN"
    Error "ERROR"
}

/// Where the texts begin and end in [`ALL`].
const PLACES: [(u16, u16); TEXTS.len()] = {
    let mut places = [(0, 0); TEXTS.len()];
    let (mut at, mut start) = (0, 2);
    while at < TEXTS.len() {
        let end = start + TEXTS[at].len() as u16;
        places[at] = (start, end);
        start = end + 5;
        at += 1;
    }
    places
};

/// The attribute names and severity texts that [`apply`](super::apply()) writes, kept in a tree.
#[derive(Clone, Debug)]
pub struct Keys {
    all: Span,
}

impl Keys {
    /// Writes them into the tree as kept text, a copy of some 1400 bytes: call it once per payload,
    /// see [`Tree::keep`].
    #[must_use]
    pub fn keep(tree: &mut Tree) -> Keys {
        Keys { all: tree.keep(ALL.as_bytes()) }
    }

    /// True for a name that is one of them.
    #[must_use]
    pub fn has(name: &str) -> bool {
        TEXTS.contains(&name)
    }

    #[inline]
    pub(super) fn of(&self, key: Key) -> Span {
        let (start, end) = PLACES[key as usize];
        self.all.part(usize::from(start), usize::from(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_its_text() {
        let mut tree = Tree::default();
        let _ = tree.keep(b"kept by another");
        let keys = Keys::keep(&mut tree);
        for (key, text) in [
            (Key::Method, "http.request.method"),
            (Key::UpstreamPort, "envoy.upstream.port"),
            (Key::Mojibake, "logboom.mojibake"),
            (Key::Error, "ERROR"),
        ] {
            assert_eq!(tree.text(b"", keys.of(key)), text.as_bytes());
        }
        assert_eq!(Key::Error as usize + 1, TEXTS.len());
    }
}
