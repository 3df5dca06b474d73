//! What the decoders show, as the generated types of the specification.

use std::ops::ControlFlow;

use logboom::decode::Visitor;
use logboom::record::{EnvelopeRef, RecordRef, ValueRef, Values};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// Collects what is visited: one `ResourceLogs` with one `ScopeLogs` for every envelope. Text is
/// repaired on the way.
#[derive(Default)]
pub struct Collect(pub ExportLogsServiceRequest);

impl Visitor for Collect {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.0.resource_logs.push(resource_logs(envelope));
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        let group = self.0.resource_logs.last_mut().expect("an envelope comes first");
        // As bytes, in which a NaN equals itself.
        let ResourceLogs { resource, .. } = resource_logs(record.envelope());
        let bytes = |it: &Option<Resource>| it.as_ref().map(Message::encode_to_vec);
        assert_eq!(bytes(&group.resource), bytes(&resource));
        group.scope_logs[0].log_records.push(log_record(record));
        ControlFlow::Continue(())
    }
}

fn resource_logs(envelope: EnvelopeRef<'_>) -> ResourceLogs {
    let fields = envelope.fields();
    let resource = fields.has_resource.then(|| Resource {
        attributes: key_values(envelope.resource_attributes()),
        dropped_attributes_count: fields.resource_dropped_attributes_count,
        entity_refs: Vec::new(),
    });
    let scope = fields.has_scope.then(|| InstrumentationScope {
        name: text(envelope.text(fields.scope_name)),
        version: text(envelope.text(fields.scope_version)),
        attributes: key_values(envelope.scope_attributes()),
        dropped_attributes_count: fields.scope_dropped_attributes_count,
    });
    let schema_url = text(envelope.text(fields.scope_schema_url));
    let scope_logs = vec![ScopeLogs { scope, log_records: Vec::new(), schema_url }];
    ResourceLogs { resource, scope_logs, schema_url: text(envelope.text(fields.resource_schema_url)) }
}

fn log_record(record: RecordRef<'_>) -> LogRecord {
    let fields = record.fields();
    LogRecord {
        time_unix_nano: fields.time_unix_nano,
        observed_time_unix_nano: fields.observed_time_unix_nano,
        severity_number: fields.severity_number,
        severity_text: text(record.text(fields.severity_text)),
        body: record.body().map(any_value),
        attributes: key_values(record.attributes()),
        dropped_attributes_count: fields.dropped_attributes_count,
        flags: fields.flags,
        trace_id: record.text(fields.trace_id).to_vec(),
        span_id: record.text(fields.span_id).to_vec(),
        event_name: text(record.text(fields.event_name)),
    }
}

fn key_values(values: Values<'_>) -> Vec<KeyValue> {
    values.map(|(key, value)| KeyValue { key: text(key), value: Some(any_value(value)), key_strindex: 0 }).collect()
}

fn any_value(value: ValueRef<'_>) -> AnyValue {
    let value = match value {
        ValueRef::Empty => None,
        ValueRef::Bool(it) => Some(any_value::Value::BoolValue(it)),
        ValueRef::Int(it) => Some(any_value::Value::IntValue(it)),
        ValueRef::Double(it) => Some(any_value::Value::DoubleValue(it)),
        ValueRef::Text(it) => Some(any_value::Value::StringValue(text(it))),
        ValueRef::Bytes(it) => Some(any_value::Value::BytesValue(it.to_vec())),
        ValueRef::Array(it) => {
            let values = it.map(|(_, value)| any_value(value)).collect();
            Some(any_value::Value::ArrayValue(ArrayValue { values }))
        }
        ValueRef::Kvlist(it) => Some(any_value::Value::KvlistValue(KeyValueList { values: key_values(it) })),
    };
    AnyValue { value }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A request as [`Collect`] would show it: one scope per resource, groups without records left
/// out, and what the record model does not hold left out.
pub fn normal(request: ExportLogsServiceRequest, observed_unix_nano: u64) -> ExportLogsServiceRequest {
    let mut resource_logs = Vec::new();
    for group in request.resource_logs {
        let resource = group.resource.map(|mut it| {
            it.entity_refs.clear();
            it.attributes.iter_mut().for_each(normal_key_value);
            it
        });
        for mut scope_logs in group.scope_logs {
            if scope_logs.log_records.is_empty() {
                continue;
            }
            scope_logs.scope.iter_mut().flat_map(|it| &mut it.attributes).for_each(normal_key_value);
            for record in &mut scope_logs.log_records {
                record.attributes.iter_mut().for_each(normal_key_value);
                record.body.iter_mut().for_each(normal_value);
                if record.trace_id.len() != 16 {
                    record.trace_id.clear();
                }
                if record.span_id.len() != 8 {
                    record.span_id.clear();
                }
                if record.observed_time_unix_nano == 0 {
                    record.observed_time_unix_nano = observed_unix_nano;
                }
            }
            let (resource, schema_url) = (resource.clone(), group.schema_url.clone());
            resource_logs.push(ResourceLogs { resource, scope_logs: vec![scope_logs], schema_url });
        }
    }
    ExportLogsServiceRequest { resource_logs }
}

fn normal_key_value(it: &mut KeyValue) {
    it.key_strindex = 0;
    normal_value(it.value.get_or_insert_default());
}

fn normal_value(it: &mut AnyValue) {
    match &mut it.value {
        Some(any_value::Value::ArrayValue(list)) => list.values.iter_mut().for_each(normal_value),
        Some(any_value::Value::KvlistValue(list)) => list.values.iter_mut().for_each(normal_key_value),
        Some(any_value::Value::StringValueStrindex(_)) => it.value = None,
        _ => {}
    }
}

/// How many nodes the values of a request have.
pub fn count_values(request: &ExportLogsServiceRequest) -> u32 {
    let mut count = 0;
    for group in &request.resource_logs {
        count += group.resource.iter().flat_map(|it| &it.attributes).map(count_key_value).sum::<u32>();
        for scope_logs in &group.scope_logs {
            count += scope_logs.scope.iter().flat_map(|it| &it.attributes).map(count_key_value).sum::<u32>();
            for record in &scope_logs.log_records {
                count += record.body.iter().map(count_value).sum::<u32>();
                count += record.attributes.iter().map(count_key_value).sum::<u32>();
            }
        }
    }
    count
}

fn count_key_value(it: &KeyValue) -> u32 {
    it.value.as_ref().map_or(1, count_value)
}

fn count_value(it: &AnyValue) -> u32 {
    1 + match &it.value {
        Some(any_value::Value::ArrayValue(list)) => list.values.iter().map(count_value).sum(),
        Some(any_value::Value::KvlistValue(list)) => list.values.iter().map(count_key_value).sum(),
        _ => 0,
    }
}
