//! The request, the response, and who talks to whom.

use super::address::first_forwarded;
use super::keys::Key;
use super::short_address::ShortAddress;
use super::writer::Writer;
use super::{Field, grpc};
use crate::record::{Span, Value};

/// What severity asks about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// HTTP status; `None` for TCP.
    pub(super) status: Option<i64>,
    /// gRPC code.
    pub(super) grpc: Option<u8>,
}

impl Writer<'_> {
    /// Attributes from method to server; the byte counts of TCP stand with Envoy's own.
    #[inline]
    pub(super) fn http(&mut self) -> (Outcome, Sizes) {
        let method = self.text(Field::Method);
        self.push_text(Key::Method, method);
        self.push_field(Key::Scheme, Field::Scheme);
        let path = self.path();
        let protocol = self.protocol();
        let (status, status_is_text) = match self.int(Field::StatusCode) {
            // No response: the client went away. Without a method it is TCP in an HTTP format.
            Some(0) if method.is_none() => (None, false),
            Some(it) => (Some(it), false),
            None => (None, true),
        };
        match status {
            Some(it) => self.push(Key::Status, Value::Int(it)),
            None if status_is_text => self.push_field(Key::Status, Field::StatusCode),
            None => {}
        }
        let grpc = self.grpc_status();
        let is_http = method.is_some() || path || protocol || status.is_some();
        let sizes = if is_http {
            self.push_int(Key::RequestSize, Field::BytesReceived);
            self.push_int(Key::ResponseSize, Field::BytesSent);
            Sizes::Pushed
        } else {
            Sizes::OfConnection
        };
        self.push_sent(Key::UserAgent, Field::UserAgent);
        self.forwarded_for();
        self.authority();
        (Outcome { status, grpc }, sizes)
    }

    /// True when there is one.
    #[inline]
    fn path(&mut self) -> bool {
        let Some(target) = self.text(Field::Path) else {
            self.push_sent(Key::Query, Field::Query);
            return false;
        };
        let target = self.sent(target);
        let bytes = self.bytes(target);
        let (length, question) = (bytes.len(), memchr::memchr(b'?', bytes));
        self.push_part(Key::Path, target, 0..question.unwrap_or(length));
        match question {
            Some(at) => self.push_part(Key::Query, target, at + 1..length),
            None => self.push_sent(Key::Query, Field::Query),
        }
        true
    }

    /// True when it is HTTP.
    #[inline]
    fn protocol(&mut self) -> bool {
        let Some(protocol) = self.text(Field::Protocol) else { return false };
        let bytes = self.bytes(protocol);
        let length = bytes.len();
        let slash = bytes.iter().position(|it| *it == b'/');
        let name = slash.unwrap_or(length);
        let is_http = bytes[..name].eq_ignore_ascii_case(b"http");
        let version = slash.map_or(length, |it| it + 1);
        // The conventions say 2 and 3, some proxies 2.0.
        let end = if matches!(&bytes[version..], b"2.0" | b"3.0") { version + 1 } else { length };
        if is_http {
            self.push(Key::ProtocolName, Value::Text(self.keys.of(Key::Http)));
        } else if name > 0 {
            let name = self.lower_case(protocol.part(0, name));
            self.push(Key::ProtocolName, Value::Text(name));
        }
        self.push_part(Key::ProtocolVersion, protocol, version..end);
        is_http
    }

    #[cold]
    fn lower_case(&mut self, name: Span) -> Span {
        let mut lower = [0; 16];
        let bytes = self.bytes(name);
        let Some(lower) = lower.get_mut(..bytes.len()) else { return name };
        lower.copy_from_slice(bytes);
        lower.make_ascii_lowercase();
        self.tree.side_text(lower)
    }

    #[inline]
    fn grpc_status(&mut self) -> Option<u8> {
        let status = self.text(Field::GrpcStatus)?;
        let code = grpc::code(self.bytes(status));
        let text = match code.and_then(grpc::name) {
            Some(name) => self.tree.side_text(name.as_bytes()),
            None => status,
        };
        self.push(Key::RpcStatus, Value::Text(text));
        code
    }

    #[inline]
    fn forwarded_for(&mut self) {
        let Some(list) = self.text(Field::ForwardedFor) else { return };
        let client = match self.onwards(list).and_then(ShortAddress::first_v4) {
            Some(len) => Some(0..len),
            None => first_forwarded(self.bytes(list)),
        };
        if let Some(client) = client {
            self.push_part(Key::Client, list, client);
        }
        self.push_header(self.keys.of(Key::ForwardedFor), list);
    }

    #[inline]
    fn authority(&mut self) {
        let Some(authority) = self.text(Field::Authority) else { return };
        let address = self.address(authority);
        self.push_part(Key::Server, authority, address.host);
        if let Some(port @ 1..) = address.port {
            self.push(Key::ServerPort, Value::Int(i64::from(port)));
        }
    }
}

/// What the byte counts of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Of bodies, and pushed as such.
    Pushed,
    /// Of a connection.
    OfConnection,
}
