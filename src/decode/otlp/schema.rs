//! Which field of which message is what.
//!
//! Source of facts: opentelemetry-proto 1.10, `collector/logs/v1/logs_service.proto`,
//! `logs/v1/logs.proto`, `resource/v1/resource.proto` and `common/v1/common.proto`.

/// Field numbers of `ExportLogsServiceRequest`.
pub(crate) mod request {
    pub(crate) const RESOURCE_LOGS: u32 = 1;
}

/// Field numbers of `ResourceLogs`.
pub(crate) mod resource_logs {
    pub(crate) const RESOURCE: u32 = 1;
    pub(crate) const SCOPE_LOGS: u32 = 2;
    pub(crate) const SCHEMA_URL: u32 = 3;
}

/// Field numbers of `ScopeLogs`.
pub(crate) mod scope_logs {
    pub(crate) const SCOPE: u32 = 1;
    pub(crate) const LOG_RECORDS: u32 = 2;
    pub(crate) const SCHEMA_URL: u32 = 3;
}

/// Field numbers of `LogRecord`.
pub(crate) mod log_record {
    pub(crate) const TIME_UNIX_NANO: u32 = 1;
    pub(crate) const SEVERITY_NUMBER: u32 = 2;
    pub(crate) const SEVERITY_TEXT: u32 = 3;
    pub(crate) const BODY: u32 = 5;
    pub(crate) const ATTRIBUTES: u32 = 6;
    pub(crate) const DROPPED_ATTRIBUTES_COUNT: u32 = 7;
    pub(crate) const FLAGS: u32 = 8;
    pub(crate) const TRACE_ID: u32 = 9;
    pub(crate) const SPAN_ID: u32 = 10;
    pub(crate) const OBSERVED_TIME_UNIX_NANO: u32 = 11;
    pub(crate) const EVENT_NAME: u32 = 12;
}

/// Field numbers of `Resource`.
pub(crate) mod resource {
    pub(crate) const ATTRIBUTES: u32 = 1;
    pub(crate) const DROPPED_ATTRIBUTES_COUNT: u32 = 2;
    pub(crate) const ENTITY_REFS: u32 = 3;
}

/// Field numbers of `EntityRef`.
pub(crate) mod entity_ref {
    pub(crate) const SCHEMA_URL: u32 = 1;
    pub(crate) const TYPE: u32 = 2;
    pub(crate) const ID_KEYS: u32 = 3;
    pub(crate) const DESCRIPTION_KEYS: u32 = 4;
}

/// Field numbers of `InstrumentationScope`.
pub(crate) mod scope {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const VERSION: u32 = 2;
    pub(crate) const ATTRIBUTES: u32 = 3;
    pub(crate) const DROPPED_ATTRIBUTES_COUNT: u32 = 4;
}

/// Field numbers of `KeyValue`.
pub(crate) mod key_value {
    pub(crate) const KEY: u32 = 1;
    pub(crate) const VALUE: u32 = 2;
    /// An index into a table that only profiles have.
    pub(crate) const KEY_STRINDEX: u32 = 3;
}

/// Field numbers of `AnyValue`, all members of one oneof.
pub(crate) mod any_value {
    pub(crate) const STRING: u32 = 1;
    pub(crate) const BOOL: u32 = 2;
    pub(crate) const INT: u32 = 3;
    pub(crate) const DOUBLE: u32 = 4;
    pub(crate) const ARRAY: u32 = 5;
    pub(crate) const KVLIST: u32 = 6;
    pub(crate) const BYTES: u32 = 7;
    /// An index into a table that only profiles have.
    pub(crate) const STRING_STRINDEX: u32 = 8;
}

/// Field number of the children of `ArrayValue` and of `KeyValueList`.
pub(crate) const LIST_VALUES: u32 = 1;

/// The messages of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    ResourceLogs,
    ScopeLogs,
    LogRecord,
    Resource,
    EntityRef,
    Scope,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not in the schema: any wire type, skipped.
    Unknown,
    Varint,
    Fixed64,
    Fixed32,
    Bytes,
    Text,
    /// Bytes of which there are this many, or none.
    Id(u8),
    Message(Message),
}

/// What that field of that message holds.
#[inline]
pub(super) fn kind(message: Message, number: u32) -> Kind {
    TABLE[message as usize].get(number as usize).copied().unwrap_or(Kind::Unknown)
}

const NUMBERS: usize = log_record::EVENT_NAME as usize + 1;
const MESSAGES: usize = Message::KeyValueList as usize + 1;

/// The match of [`written`], spread out: a load where the match would be a branch for every field.
static TABLE: [[Kind; NUMBERS]; MESSAGES] = {
    use Message as M;
    const ALL: [Message; MESSAGES] = [
        M::Request,
        M::ResourceLogs,
        M::ScopeLogs,
        M::LogRecord,
        M::Resource,
        M::EntityRef,
        M::Scope,
        M::KeyValue,
        M::AnyValue,
        M::ArrayValue,
        M::KeyValueList,
    ];
    let mut table = [[Kind::Unknown; NUMBERS]; MESSAGES];
    let mut row = 0;
    while row < MESSAGES {
        assert!(ALL[row] as usize == row, "rows stand in the order of the enum");
        let mut number = 1;
        while number < NUMBERS {
            table[row][number] = written(ALL[row], number as u32);
            number += 1;
        }
        row += 1;
    }
    table
};

const fn written(message: Message, number: u32) -> Kind {
    use Message as M;
    match (message, number) {
        (M::Request, request::RESOURCE_LOGS) => Kind::Message(M::ResourceLogs),

        (M::ResourceLogs, resource_logs::RESOURCE) => Kind::Message(M::Resource),
        (M::ResourceLogs, resource_logs::SCOPE_LOGS) => Kind::Message(M::ScopeLogs),
        (M::ResourceLogs, resource_logs::SCHEMA_URL) => Kind::Text,

        (M::ScopeLogs, scope_logs::SCOPE) => Kind::Message(M::Scope),
        (M::ScopeLogs, scope_logs::LOG_RECORDS) => Kind::Message(M::LogRecord),
        (M::ScopeLogs, scope_logs::SCHEMA_URL) => Kind::Text,

        (M::LogRecord, log_record::TIME_UNIX_NANO | log_record::OBSERVED_TIME_UNIX_NANO) => Kind::Fixed64,
        (M::LogRecord, log_record::SEVERITY_NUMBER | log_record::DROPPED_ATTRIBUTES_COUNT) => Kind::Varint,
        (M::LogRecord, log_record::SEVERITY_TEXT | log_record::EVENT_NAME) => Kind::Text,
        (M::LogRecord, log_record::BODY) => Kind::Message(M::AnyValue),
        (M::LogRecord, log_record::ATTRIBUTES) => Kind::Message(M::KeyValue),
        (M::LogRecord, log_record::FLAGS) => Kind::Fixed32,
        (M::LogRecord, log_record::TRACE_ID) => Kind::Id(16),
        (M::LogRecord, log_record::SPAN_ID) => Kind::Id(8),

        (M::Resource, resource::ATTRIBUTES) => Kind::Message(M::KeyValue),
        (M::Resource, resource::DROPPED_ATTRIBUTES_COUNT) => Kind::Varint,
        (M::Resource, resource::ENTITY_REFS) => Kind::Message(M::EntityRef),

        (
            M::EntityRef,
            entity_ref::SCHEMA_URL | entity_ref::TYPE | entity_ref::ID_KEYS | entity_ref::DESCRIPTION_KEYS,
        ) => Kind::Text,

        (M::Scope, scope::NAME | scope::VERSION) => Kind::Text,
        (M::Scope, scope::ATTRIBUTES) => Kind::Message(M::KeyValue),
        (M::Scope, scope::DROPPED_ATTRIBUTES_COUNT) => Kind::Varint,

        (M::KeyValue, key_value::KEY) => Kind::Text,
        (M::KeyValue, key_value::VALUE) => Kind::Message(M::AnyValue),
        (M::KeyValue, key_value::KEY_STRINDEX) => Kind::Varint,

        (M::AnyValue, any_value::STRING) => Kind::Text,
        (M::AnyValue, any_value::BOOL | any_value::INT | any_value::STRING_STRINDEX) => Kind::Varint,
        (M::AnyValue, any_value::DOUBLE) => Kind::Fixed64,
        (M::AnyValue, any_value::ARRAY) => Kind::Message(M::ArrayValue),
        (M::AnyValue, any_value::KVLIST) => Kind::Message(M::KeyValueList),
        (M::AnyValue, any_value::BYTES) => Kind::Bytes,

        (M::ArrayValue, LIST_VALUES) => Kind::Message(M::AnyValue),
        (M::KeyValueList, LIST_VALUES) => Kind::Message(M::KeyValue),

        _ => Kind::Unknown,
    }
}
