//! What entries of HTTP and TCP have in common.

use super::attributes::{Attributes, Put};
use super::entry::{metadata, named};
use super::read::{Is, Message};
use super::schema::{FLAGS, SAN_URI, TLS_VERSIONS, certificate, common, tls};
use crate::decode::wire::Malformed;

/// Moments of a request, by the number of the field, as attributes in milliseconds.
const MOMENTS: [(u32, &str); 7] = [
    (common::TIME_TO_LAST_RX_BYTE, "envoy.time_to_last_rx_byte_ms"),
    (common::TIME_TO_FIRST_UPSTREAM_TX_BYTE, "envoy.time_to_first_upstream_tx_byte_ms"),
    (common::TIME_TO_LAST_UPSTREAM_TX_BYTE, "envoy.time_to_last_upstream_tx_byte_ms"),
    (common::TIME_TO_FIRST_UPSTREAM_RX_BYTE, "envoy.time_to_first_upstream_rx_byte_ms"),
    (common::TIME_TO_LAST_UPSTREAM_RX_BYTE, "envoy.time_to_last_upstream_rx_byte_ms"),
    (common::TIME_TO_FIRST_DOWNSTREAM_TX_BYTE, "envoy.time_to_first_downstream_tx_byte_ms"),
    (common::TIME_TO_LAST_DOWNSTREAM_TX_BYTE, "envoy.time_to_last_downstream_tx_byte_ms"),
];

/// `AccessLogCommon`.
pub(super) fn properties(message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    let (mut flags, mut duration, mut last_byte) = (Vec::new(), None, None);
    for field in message.fields() {
        let (number, value) = field?;
        let Is::Bytes(it) = value else {
            match (number, value) {
                (common::ATTEMPTS, Is::Number(it)) => record.number("envoy.upstream.request_attempt_count", it),
                (common::INTERMEDIATE, Is::Number(it)) if it != 0 => {
                    record.put(&[b"envoy.intermediate_log_entry"], Put::Bool(true));
                }
                _ => {}
            }
            continue;
        };
        match number {
            common::START_TIME => {
                if let Some(nanos) = it.nanos()? {
                    record.time(nanos);
                }
            }
            common::DURATION => duration = it.nanos()?,
            common::RESPONSE_FLAGS => flags = response_flags(it)?,
            common::DOWNSTREAM_REMOTE_ADDRESS => record.text("downstream_remote_address", &it.address()?),
            common::DOWNSTREAM_LOCAL_ADDRESS => record.text("downstream_local_address", &it.address()?),
            common::DIRECT_REMOTE_ADDRESS => record.text("envoy.downstream_direct_remote_address", &it.address()?),
            common::UPSTREAM_REMOTE_ADDRESS => record.text("upstream_host", &it.address()?),
            common::UPSTREAM_LOCAL_ADDRESS => record.text("upstream_local_address", &it.address()?),
            common::UPSTREAM_CLUSTER => record.text("upstream_cluster", it.bytes()),
            common::UPSTREAM_FAILURE => record.text("upstream_transport_failure_reason", it.bytes()),
            common::ROUTE_NAME => record.text("route_name", it.bytes()),
            common::TERMINATION_DETAILS => record.text("connection_termination_details", it.bytes()),
            common::TLS_PROPERTIES => tls_properties(it, record)?,
            common::METADATA => metadata(it, record)?,
            common::CUSTOM_TAGS => {
                let (key, text) = it.pair()?;
                record.put(&[key], Put::Text(text.bytes()));
            }
            // Serialized messages of types that only the filter knows.
            common::FILTER_STATE => record.drop_one(),
            _ => {}
        }
        if let Some((_, key)) = MOMENTS.iter().find(|it| it.0 == number)
            && let Some(nanos) = it.nanos()?
        {
            record.put(&[key.as_bytes()], Put::Double(nanos as f64 / 1e6));
            if number == common::TIME_TO_LAST_DOWNSTREAM_TX_BYTE {
                last_byte = Some(nanos);
            }
        }
    }
    // Envoy before 1.23 says no duration; that of a line is the time to the last byte sent.
    if let Some(nanos) = duration.or(last_byte) {
        record.number("duration", nanos / 1_000_000);
    }
    record.text("response_flags", if flags.is_empty() { b"-" } else { &flags });
    Ok(())
}

/// Their short names, joined by commas.
fn response_flags(message: Message<'_>) -> Result<Vec<u8>, Malformed> {
    let mut seen = 0_u32;
    for field in message.fields() {
        let (number, value) = field?;
        // One of them is a message: that it is there is what it says.
        if (number as usize) < FLAGS.len() && !matches!(value, Is::Number(0)) {
            seen |= 1 << number;
        }
    }
    let names: Vec<&str> = FLAGS.iter().enumerate().filter(|(bit, _)| seen & 1 << bit != 0).map(|it| *it.1).collect();
    Ok(names.join(",").into_bytes())
}

/// `TLSProperties`.
fn tls_properties(message: Message<'_>, record: &mut Attributes) -> Result<(), Malformed> {
    for field in message.fields() {
        match field? {
            (tls::VERSION, Is::Number(it)) => record.text("tls.protocol.version", named(&TLS_VERSIONS, it)),
            (tls::CIPHER_SUITE, Is::Bytes(it)) => {
                record.text("envoy.tls.cipher_suite", format!("0x{:04X}", it.wrapped()?).as_bytes());
            }
            (tls::SNI, Is::Bytes(it)) => record.text("requested_server_name", it.bytes()),
            (tls::JA3, Is::Bytes(it)) => record.text("tls.client.ja3", it.bytes()),
            (tls::LOCAL_CERTIFICATE, Is::Bytes(it)) => {
                certificate_properties(it, "tls.server.subject", "envoy.tls.server.uri_san", record)?;
            }
            (tls::PEER_CERTIFICATE, Is::Bytes(it)) => {
                certificate_properties(it, "tls.client.subject", "envoy.tls.client.uri_san", record)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Subject, and the URIs among the names: in a mesh these are identities (SPIFFE).
fn certificate_properties(
    message: Message<'_>,
    subject: &str,
    uri_san: &str,
    record: &mut Attributes,
) -> Result<(), Malformed> {
    let mut uris = Vec::new();
    for field in message.fields() {
        match field? {
            (certificate::SUBJECT, Is::Bytes(it)) => record.text(subject, it.bytes()),
            (certificate::SUBJECT_ALT_NAME, Is::Bytes(it)) => {
                for name in it.fields() {
                    if let (SAN_URI, Is::Bytes(uri)) = name? {
                        if !uris.is_empty() {
                            uris.push(b',');
                        }
                        uris.extend_from_slice(uri.bytes());
                    }
                }
            }
            _ => {}
        }
    }
    record.text(uri_san, &uris);
    Ok(())
}
