//! Keys of OTLP records in JSON: none comes twice, and none is lost, whatever keys came before.
// Clippy takes helpers of integration tests for program code.
#![allow(clippy::expect_used)]

use std::fmt;
use std::ops::ControlFlow;

use logboom::decode::otlp::{RecordCounts, RecordSettings, decode};
use logboom::decode::reader::{FormatSetting, Origin, Reader};
use logboom::decode::{Scratch, Visitor};
use logboom::encode::json::JsonEncoder;
use logboom::record::{EnvelopeRef, RecordRef};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use serde::de::{Deserialize, Deserializer, MapAccess};

#[derive(Default)]
struct Encode(JsonEncoder);

impl Visitor for Encode {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.0.envelope(envelope);
    }
    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        self.0.record(record);
        ControlFlow::Continue(())
    }
}

/// A JSON object with all its members, repeated ones too.
struct Members(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[derive(serde::Deserialize)]
struct Line {
    #[serde(default)]
    body: Option<Members>,
    #[serde(default)]
    attributes: Option<Members>,
}

/// Known to Envoy, added by the collector itself, of somebody else, too long or not plain.
fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "method",
        "http.request.method",
        ":method",
        "path",
        "url.path",
        "response_code",
        "http.response.status_code",
        "start_time",
        "duration",
        "envoy.duration_ms",
        "mesh",
        "kuma.mesh",
        "authority",
        "server.address",
        "trace_id",
        "traceparent",
        "envoy.response_flags",
        "response_flags",
        "route_name",
        "bytes_sent",
        "logboom.parse_error",
        "network.peer.address",
        "user_agent.original",
        "kuma.destination.service",
        "x_request_id",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        4 => "[a-f]",
        1 => "[a-b]{6,9}",
        1 => "[a-b]{30,34}",
        1 => "a{57,62}",
        1 => prop::sample::select(vec!["", "\"", "é", "with space"]).prop_map(str::to_owned),
    ]
}

fn members(most: usize) -> impl Strategy<Value = Vec<(String, String)>> {
    vec(
        (key(), prop_oneof!["[a-z0-9 ]{0,40}", Just("-".to_owned()), Just("GET".to_owned()), Just("\"".to_owned())]),
        0..most,
    )
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) }
}

fn key_values(members: &[(String, String)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(String, String)| KeyValue {
        key: key.clone(),
        value: Some(text(value)),
        ..KeyValue::default()
    };
    members.iter().map(pair).collect()
}

/// Of a repeated key the last value, where it stands.
fn collapsed(members: &[(String, String)]) -> Vec<(String, serde_json::Value)> {
    let is_last = |at: usize, key: &String| !members[at + 1..].iter().any(|(other, _)| other == key);
    let kept = members.iter().enumerate().filter(|(at, (key, _))| is_last(*at, key));
    kept.map(|(_, (key, value))| (key.clone(), serde_json::Value::from(value.as_str()))).collect()
}

proptest! {
    #[test]
    fn keys_are_written_once(
        records in vec((members(30), members(8)), 1..6),
        from_envoy: bool,
        body_last: bool,
    ) {
        let resource = if from_envoy { key_values(&[("log_name".to_owned(), "MeshAccessLog".to_owned())]) } else { Vec::new() };
        let log_records = records.iter().map(|(body, attributes)| LogRecord {
            body: Some(AnyValue { value: Some(any_value::Value::KvlistValue(KeyValueList { values: key_values(body) })) }),
            attributes: key_values(attributes),
            ..LogRecord::default()
        });
        let mut raw = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(Resource { attributes: resource, ..Resource::default() }),
                scope_logs: vec![ScopeLogs { log_records: log_records.collect(), ..ScopeLogs::default() }],
                ..ResourceLogs::default()
            }],
        };
        let raw = if body_last {
            // A body behind the attributes: the record twice, first without a body, means the same.
            for record in raw.resource_logs.iter_mut().flat_map(|it| &mut it.scope_logs).flat_map(|it| &mut it.log_records) {
                record.body = None;
            }
            let mut bytes = Vec::new();
            for (record, (body, _)) in raw.resource_logs[0].scope_logs[0].log_records.iter().zip(&records) {
                let body = LogRecord {
                    body: Some(AnyValue { value: Some(any_value::Value::KvlistValue(KeyValueList { values: key_values(body) })) }),
                    ..LogRecord::default()
                };
                let record = [record.encode_to_vec(), body.encode_to_vec()].concat();
                prost::encoding::bytes::encode(2, &record, &mut bytes);
            }
            let resource = raw.resource_logs[0].resource.clone();
            let head = ResourceLogs { resource, ..ResourceLogs::default() }.encode_to_vec();
            let mut logs = head;
            prost::encoding::bytes::encode(2, &bytes, &mut logs);
            let mut request = Vec::new();
            prost::encoding::bytes::encode(1, &logs, &mut request);
            request
        } else {
            raw.encode_to_vec()
        };

        let reader = Reader::compile(&FormatSetting::default(), Origin::Otlp).expect("the default compiles");
        let settings = RecordSettings { reader: &reader, observed_unix_nano: 1, redactor: None };
        let mut encode = Encode::default();
        decode(&raw, 0, &settings, &mut Scratch::default(), &mut encode, &mut RecordCounts::default());
        let out = encode.0.finish();
        let lines: Vec<Line> = out.split(|it| *it == b'\n').filter(|it| !it.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a line is JSON")).collect();
        prop_assert_eq!(lines.len(), records.len());
        for (line, (body, attributes)) in lines.iter().zip(&records) {
            let got = line.body.as_ref().map(|it| &it.0);
            prop_assert_eq!(got, Some(&collapsed(body)));
            let got = line.attributes.as_ref().map(|it| it.0.as_slice()).unwrap_or_default();
            let mut keys: Vec<&String> = got.iter().map(|(key, _)| key).collect();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(keys.len(), got.len(), "{:?}", got);
            if !from_envoy {
                prop_assert_eq!(got, collapsed(attributes));
            }
        }
    }
}
