//! OTLP messages, made and read.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

/// A request with a record for each body.
pub fn request<B: Into<String>>(bodies: impl IntoIterator<Item = B>) -> ExportLogsServiceRequest {
    let record = |body: B| LogRecord { body: Some(text(body)), ..LogRecord::default() };
    let log_records = bodies.into_iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

/// The same as bytes.
pub fn encoded<B: Into<String>>(bodies: impl IntoIterator<Item = B>) -> Vec<u8> {
    request(bodies).encode_to_vec()
}

/// All records of a request.
pub fn records(request: &ExportLogsServiceRequest) -> impl Iterator<Item = &LogRecord> {
    request.resource_logs.iter().flat_map(|it| &it.scope_logs).flat_map(|it| &it.log_records)
}

/// The bodies of all records, which are text.
pub fn bodies(request: &ExportLogsServiceRequest) -> Vec<String> {
    let body = |record: &LogRecord| record.body.clone().and_then(|it| it.value);
    let text = |value| match value {
        Some(Value::StringValue(text)) => text,
        other => panic!("not text: {other:?}"),
    };
    records(request).map(body).map(text).collect()
}

/// The requests of a file in the encoding `otlp-json`, read by somebody else's decoder.
pub fn otlp_json(bytes: &[u8]) -> Vec<ExportLogsServiceRequest> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// An attribute, if it is there.
pub fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|it| it.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

/// One field with a length, as bytes.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A request of one resource and one scope with `records` as the bytes of its record fields.
pub fn request_around(records: &[u8]) -> Vec<u8> {
    field(1, &field(2, records))
}
