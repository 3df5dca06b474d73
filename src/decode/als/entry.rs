//! One entry of an access log as a record. Values get the keys that `semantics` knows: it gives
//! them their names and types, as it does for the attributes of Envoy's OTLP access logger.

use super::attributes::{Attributes, Put};
use super::read::{Is, Message};
use super::schema::{METHODS, PROTOCOLS, connection, entry, request, response};
use super::{common, structs};
use crate::decode::wire::Malformed;
use crate::semantics::known_key;

/// An `HTTPAccessLogEntry`.
pub(super) fn http(message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    let mut has_response = false;
    for field in message.fields() {
        match field? {
            (entry::COMMON, Is::Bytes(it)) => common::properties(it, record)?,
            (entry::PROTOCOL_VERSION, Is::Number(it)) => record.text("protocol", named(&PROTOCOLS, it)),
            (entry::REQUEST, Is::Bytes(it)) => http_request(it, record)?,
            (entry::RESPONSE, Is::Bytes(it)) => has_response |= http_response(it, record)?,
            _ => {}
        }
    }
    if !has_response {
        // As in a line: without it the record would look like one of TCP.
        record.number("response_code", 0);
    }
    Ok(())
}

/// A `TCPAccessLogEntry`.
pub(super) fn tcp(message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    for field in message.fields() {
        match field? {
            (entry::COMMON, Is::Bytes(it)) => common::properties(it, record)?,
            (entry::CONNECTION, Is::Bytes(it)) => {
                let (mut received, mut sent) = (0, 0);
                for field in it.fields() {
                    match field? {
                        (connection::RECEIVED_BYTES, Is::Number(it)) => received = it,
                        (connection::SENT_BYTES, Is::Number(it)) => sent = it,
                        _ => {}
                    }
                }
                record.number("bytes_received", received);
                record.number("bytes_sent", sent);
            }
            _ => {}
        }
    }
    Ok(())
}

fn http_request(message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    let (mut path, mut original_path, mut body_bytes) = (&[][..], &[][..], 0);
    for field in message.fields() {
        match field? {
            (request::METHOD, Is::Number(it)) => record.text("method", named(&METHODS, it)),
            (request::SCHEME, Is::Bytes(it)) => record.text("scheme", it.bytes()),
            (request::AUTHORITY, Is::Bytes(it)) => record.text("authority", it.bytes()),
            (request::PATH, Is::Bytes(it)) => path = it.bytes(),
            (request::USER_AGENT, Is::Bytes(it)) => record.text("user_agent", it.bytes()),
            (request::REFERER, Is::Bytes(it)) if !it.bytes().is_empty() => {
                record.header(REQUEST_HEADER, b"referer", it.bytes());
            }
            (request::FORWARDED_FOR, Is::Bytes(it)) => record.text("x_forwarded_for", it.bytes()),
            (request::REQUEST_ID, Is::Bytes(it)) => record.text("request_id", it.bytes()),
            (request::ORIGINAL_PATH, Is::Bytes(it)) => original_path = it.bytes(),
            (request::HEADERS_BYTES, Is::Number(it)) => record.number("envoy.request.headers.size", it),
            (request::BODY_BYTES, Is::Number(it)) => body_bytes = it,
            (request::HEADERS, Is::Bytes(it)) => header(REQUEST_HEADER, it, record)?,
            _ => {}
        }
    }
    // As `%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%` does it.
    record.text("path", if original_path.is_empty() { path } else { original_path });
    // A number that is 0 is not sent, and says something nevertheless.
    record.number("bytes_received", body_bytes);
    Ok(())
}

/// True when there was a response code.
fn http_response(message: Message<'_>, record: &mut Attributes) -> Result<bool, Malformed> {
    let (mut body_bytes, mut has_code) = (0, false);
    for field in message.fields() {
        match field? {
            (response::CODE, Is::Bytes(it)) => {
                record.number("response_code", it.wrapped()?);
                has_code = true;
            }
            (response::HEADERS_BYTES, Is::Number(it)) => record.number("envoy.response.headers.size", it),
            (response::BODY_BYTES, Is::Number(it)) => body_bytes = it,
            (response::HEADERS, Is::Bytes(it)) => header("http.response.header.", it, record)?,
            (response::TRAILERS, Is::Bytes(it)) => header("envoy.response.trailer.", it, record)?,
            (response::CODE_DETAILS, Is::Bytes(it)) => record.text("response_code_details", it.bytes()),
            _ => {}
        }
    }
    record.number("bytes_sent", body_bytes);
    Ok(has_code)
}

/// How the conventions call a header of the request.
const REQUEST_HEADER: &str = "http.request.header.";

/// A header or trailer that somebody asked Envoy to log. One whose name alone says what it means
/// (`traceparent`, `grpc-status`) keeps it. Pseudo headers stand in fields of their own.
fn header(before: &str, message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    let (name, text) = message.pair()?;
    match name {
        b":method" | b":path" | b":authority" | b":scheme" | b":status" => {}
        _ if name.contains(&b'.') || known_key(name).is_none() => record.header(before, name, text.bytes()),
        _ if text.bytes().is_empty() => {}
        _ => record.put(&[name], Put::Text(text.bytes())),
    }
    Ok(())
}

/// The metadata of a request, if some filter left any.
pub(super) fn metadata(message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    if let Some(kvlist) = structs::metadata(message)? {
        record.put(&[b"envoy.metadata"], Put::Written(&kvlist));
    }
    Ok(())
}

/// The name of a number; empty for one that is not in the table.
pub(super) fn named(names: &[&'static str], number: u64) -> &'static [u8] {
    usize::try_from(number).ok().and_then(|it| names.get(it)).map_or(b"", |it| it.as_bytes())
}
