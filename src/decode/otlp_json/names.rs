//! Which member of which object is what.
//!
//! Source of facts: the schemas that [`schema`](crate::decode::otlp::schema) names. Each name is
//! there as ProtoJSON writes it and as the schema does: readers take both.

use crate::decode::otlp::schema::{
    LIST_VALUES, Message, any_value, entity_ref, key_value, log_record, request, resource, resource_logs, scope,
    scope_logs,
};

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Texts,
    Bool,
    Int64,
    Int32,
    Uint32,
    Severity,
    Fixed64,
    Fixed32,
    Double,
    /// In base64.
    Bytes,
    /// In hex.
    Id,
    Message(Message),
    Messages(Message),
}

impl Holds {
    /// In words, behind "this is not".
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Holds::Text => "a text",
            Holds::Texts => "a list of texts",
            Holds::Bool => "true or false",
            Holds::Int64 => "an integer of 64 bits, as a number or a text",
            Holds::Int32 => "an integer of 32 bits",
            Holds::Uint32 | Holds::Fixed32 => "an integer from 0 to 4294967295",
            Holds::Severity => "a severity number or its name",
            Holds::Fixed64 => "an integer from 0 to 18446744073709551615, as a number or a text",
            Holds::Double => "a number, NaN, Infinity or -Infinity",
            Holds::Bytes => "a text in base64",
            Holds::Id => "a text in hex",
            Holds::Message(_) => "an object",
            Holds::Messages(_) => "a list of objects",
        }
    }
}

/// The number of a field and what it holds; `None` for a name that the message does not have.
pub(super) fn field(message: Message, name: &[u8]) -> Option<(u32, Holds)> {
    use Holds as H;
    use Message as M;
    Some(match (message, name) {
        (M::Request, b"resourceLogs" | b"resource_logs") => (request::RESOURCE_LOGS, H::Messages(M::ResourceLogs)),

        (M::ResourceLogs, b"resource") => (resource_logs::RESOURCE, H::Message(M::Resource)),
        (M::ResourceLogs, b"scopeLogs" | b"scope_logs") => (resource_logs::SCOPE_LOGS, H::Messages(M::ScopeLogs)),
        (M::ResourceLogs, b"schemaUrl" | b"schema_url") => (resource_logs::SCHEMA_URL, H::Text),

        (M::ScopeLogs, b"scope") => (scope_logs::SCOPE, H::Message(M::Scope)),
        (M::ScopeLogs, b"logRecords" | b"log_records") => (scope_logs::LOG_RECORDS, H::Messages(M::LogRecord)),
        (M::ScopeLogs, b"schemaUrl" | b"schema_url") => (scope_logs::SCHEMA_URL, H::Text),

        (M::LogRecord, b"timeUnixNano" | b"time_unix_nano") => (log_record::TIME_UNIX_NANO, H::Fixed64),
        (M::LogRecord, b"observedTimeUnixNano" | b"observed_time_unix_nano") => {
            (log_record::OBSERVED_TIME_UNIX_NANO, H::Fixed64)
        }
        (M::LogRecord, b"severityNumber" | b"severity_number") => (log_record::SEVERITY_NUMBER, H::Severity),
        (M::LogRecord, b"severityText" | b"severity_text") => (log_record::SEVERITY_TEXT, H::Text),
        (M::LogRecord, b"body") => (log_record::BODY, H::Message(M::AnyValue)),
        (M::LogRecord, b"attributes") => (log_record::ATTRIBUTES, H::Messages(M::KeyValue)),
        (M::LogRecord, b"droppedAttributesCount" | b"dropped_attributes_count") => {
            (log_record::DROPPED_ATTRIBUTES_COUNT, H::Uint32)
        }
        (M::LogRecord, b"flags") => (log_record::FLAGS, H::Fixed32),
        (M::LogRecord, b"traceId" | b"trace_id") => (log_record::TRACE_ID, H::Id),
        (M::LogRecord, b"spanId" | b"span_id") => (log_record::SPAN_ID, H::Id),
        (M::LogRecord, b"eventName" | b"event_name") => (log_record::EVENT_NAME, H::Text),

        (M::Resource, b"attributes") => (resource::ATTRIBUTES, H::Messages(M::KeyValue)),
        (M::Resource, b"droppedAttributesCount" | b"dropped_attributes_count") => {
            (resource::DROPPED_ATTRIBUTES_COUNT, H::Uint32)
        }
        (M::Resource, b"entityRefs" | b"entity_refs") => (resource::ENTITY_REFS, H::Messages(M::EntityRef)),

        (M::EntityRef, b"schemaUrl" | b"schema_url") => (entity_ref::SCHEMA_URL, H::Text),
        (M::EntityRef, b"type") => (entity_ref::TYPE, H::Text),
        (M::EntityRef, b"idKeys" | b"id_keys") => (entity_ref::ID_KEYS, H::Texts),
        (M::EntityRef, b"descriptionKeys" | b"description_keys") => (entity_ref::DESCRIPTION_KEYS, H::Texts),

        (M::Scope, b"name") => (scope::NAME, H::Text),
        (M::Scope, b"version") => (scope::VERSION, H::Text),
        (M::Scope, b"attributes") => (scope::ATTRIBUTES, H::Messages(M::KeyValue)),
        (M::Scope, b"droppedAttributesCount" | b"dropped_attributes_count") => {
            (scope::DROPPED_ATTRIBUTES_COUNT, H::Uint32)
        }

        (M::KeyValue, b"key") => (key_value::KEY, H::Text),
        (M::KeyValue, b"value") => (key_value::VALUE, H::Message(M::AnyValue)),
        (M::KeyValue, b"keyStrindex" | b"key_strindex") => (key_value::KEY_STRINDEX, H::Int32),

        (M::AnyValue, b"stringValue" | b"string_value") => (any_value::STRING, H::Text),
        (M::AnyValue, b"boolValue" | b"bool_value") => (any_value::BOOL, H::Bool),
        (M::AnyValue, b"intValue" | b"int_value") => (any_value::INT, H::Int64),
        (M::AnyValue, b"doubleValue" | b"double_value") => (any_value::DOUBLE, H::Double),
        (M::AnyValue, b"arrayValue" | b"array_value") => (any_value::ARRAY, H::Message(M::ArrayValue)),
        (M::AnyValue, b"kvlistValue" | b"kvlist_value") => (any_value::KVLIST, H::Message(M::KeyValueList)),
        (M::AnyValue, b"bytesValue" | b"bytes_value") => (any_value::BYTES, H::Bytes),
        (M::AnyValue, b"stringValueStrindex" | b"string_value_strindex") => (any_value::STRING_STRINDEX, H::Int32),

        (M::ArrayValue, b"values") => (LIST_VALUES, H::Messages(M::AnyValue)),
        (M::KeyValueList, b"values") => (LIST_VALUES, H::Messages(M::KeyValue)),

        _ => return None,
    })
}

/// The number of a severity by its name in the schema: `SEVERITY_NUMBER_INFO`, `SEVERITY_NUMBER_INFO2`.
pub(super) fn severity(name: &str) -> Option<u64> {
    const LEVELS: &[&str] = &["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let name = name.strip_prefix("SEVERITY_NUMBER_")?;
    if name == "UNSPECIFIED" {
        return Some(0);
    }
    LEVELS.iter().zip(0u64..).find_map(|(level, index)| {
        let step = match name.strip_prefix(level)? {
            "" => 1,
            "2" => 2,
            "3" => 3,
            "4" => 4,
            _ => return None,
        };
        Some(4 * index + step)
    })
}
