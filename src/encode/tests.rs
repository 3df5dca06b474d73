//! What every encoding must keep, over arbitrary records.

use proptest::prelude::*;

use super::{Encoder, Encoding};
use crate::record::{Envelope, Range, Record, RecordRef, Span, Tree, Value};

mod json;
mod lines;
mod otlp_json;

/// A value as a test writes it down.
#[derive(Clone, Debug)]
enum Any {
    Empty,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    Array(Vec<Any>),
    Kvlist(Members),
}

const PRETTY: Encoding = Encoding::Pretty { colour: false };

type Members = Vec<(Vec<u8>, Any)>;

fn text(text: &str) -> Any {
    Any::Text(text.as_bytes().to_vec())
}

fn members<const N: usize>(members: [(&str, Any); N]) -> Members {
    members.map(|(key, value)| (key.as_bytes().to_vec(), value)).to_vec()
}

/// A record and its envelope, as a test writes them down.
#[derive(Clone, Debug, Default)]
struct Sample {
    time: u64,
    observed: u64,
    severity: i32,
    severity_text: Vec<u8>,
    event_name: Vec<u8>,
    trace_id: Vec<u8>,
    span_id: Vec<u8>,
    flags: u32,
    dropped: u32,
    body: Option<Any>,
    attributes: Members,
    resource: Option<(Members, u32, Vec<u8>)>,
    scope: Option<(Members, u32, Vec<u8>)>,
    scope_name: Vec<u8>,
    scope_version: Vec<u8>,
}

impl Sample {
    fn encode(&self, encoding: Encoding) -> Vec<u8> {
        encode(encoding, &[(self.clone(), 1)])
    }
}

/// Encodes each sample as a group of as many equal records.
fn encode(encoding: Encoding, groups: &[(Sample, usize)]) -> Vec<u8> {
    let mut encoder = Encoder::new(encoding);
    for (sample, records) in groups {
        let envelope = envelope(sample);
        let record = record(sample);
        encoder.envelope(envelope.view(b""));
        for _ in 0..*records {
            encoder.record(RecordRef::new(b"", &record, &envelope));
        }
    }
    encoder.finish()
}

fn record(sample: &Sample) -> Record {
    let mut tree = Tree::default();
    let start = tree.position();
    if let Some(body) = &sample.body {
        put(Span::EMPTY, body, &mut tree);
    }
    let body = Range { start, end: tree.position() };
    Record {
        time_unix_nano: sample.time,
        observed_time_unix_nano: sample.observed,
        severity_number: sample.severity,
        severity_text: tree.side_text(&sample.severity_text),
        event_name: tree.side_text(&sample.event_name),
        trace_id: tree.side_text(&sample.trace_id),
        span_id: tree.side_text(&sample.span_id),
        flags: sample.flags,
        dropped_attributes_count: sample.dropped,
        distinct_keys: false,
        distinct_body: false,
        plain_attributes: false,
        plain: None,
        body,
        attributes: put_all(&sample.attributes, &mut tree),
        tree,
    }
}

fn envelope(sample: &Sample) -> Envelope {
    let mut tree = Tree::default();
    let (resource, resource_dropped, resource_url) = sample.resource.clone().unwrap_or_default();
    let (scope, scope_dropped, scope_url) = sample.scope.clone().unwrap_or_default();
    Envelope {
        has_resource: sample.resource.is_some(),
        resource_attributes: put_all(&resource, &mut tree),
        resource_dropped_attributes_count: resource_dropped,
        resource_schema_url: tree.side_text(&resource_url),
        has_scope: sample.scope.is_some(),
        scope_name: tree.side_text(&sample.scope_name),
        scope_version: tree.side_text(&sample.scope_version),
        scope_attributes: put_all(&scope, &mut tree),
        scope_dropped_attributes_count: scope_dropped,
        scope_schema_url: tree.side_text(&scope_url),
        tree,
    }
}

fn put_all(members: &Members, tree: &mut Tree) -> Range {
    let start = tree.position();
    for (key, value) in members {
        let key = tree.side_text(key);
        put(key, value, tree);
    }
    Range { start, end: tree.position() }
}

fn put(key: Span, value: &Any, tree: &mut Tree) {
    match value {
        Any::Empty => tree.push(key, Value::Empty),
        Any::Bool(it) => tree.push(key, Value::Bool(*it)),
        Any::Int(it) => tree.push(key, Value::Int(*it)),
        Any::Double(it) => tree.push(key, Value::Double(*it)),
        Any::Text(it) => {
            let span = tree.side_text(it);
            tree.push(key, Value::Text(span));
        }
        Any::Bytes(it) => {
            let span = tree.side_text(it);
            tree.push(key, Value::Bytes(span));
        }
        Any::Array(items) => {
            let mark = tree.open(key, Value::Array { nodes: 0 });
            items.iter().for_each(|item| put(Span::EMPTY, item, tree));
            tree.close(mark);
        }
        Any::Kvlist(members) => {
            let mark = tree.open(key, Value::Kvlist { nodes: 0 });
            put_all(members, tree);
            tree.close(mark);
        }
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,20}".prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

/// Few enough that they repeat, and some that are the same only after repair.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-c]{0,1}".prop_map(String::into_bytes),
        Just(b"\xff".to_vec()),
        Just(b"\xfe".to_vec()),
        Just("\u{fffd}".as_bytes().to_vec()),
        any_bytes(),
    ]
}

fn any_members(value: impl Strategy<Value = Any>) -> impl Strategy<Value = Members> {
    proptest::collection::vec((any_key(), value), 0..6)
}

fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::Empty),
        any::<bool>().prop_map(Any::Bool),
        any::<i64>().prop_map(Any::Int),
        prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(Any::Int),
        any::<f64>()
            .prop_filter("non-finite doubles have tests of their own", |it| it.is_finite())
            .prop_map(Any::Double),
        any_bytes().prop_map(Any::Text),
        any_bytes().prop_map(Any::Bytes),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Any::Array),
            any_members(inner).prop_map(Any::Kvlist),
        ]
    })
}

prop_compose! {
    fn any_sample()(
        (time, observed, severity, flags, dropped) in any::<(u64, u64, i32, u32, u32)>(),
        (severity_text, event_name, scope_name, scope_version) in (any_bytes(), any_bytes(), any_bytes(), any_bytes()),
        trace_id in prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 16)],
        span_id in prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 8)],
        body in proptest::option::of(any_value()),
        attributes in any_members(any_value()),
        resource in proptest::option::of((any_members(any_value()), any::<u32>(), any_bytes())),
        scope in proptest::option::of((any_members(any_value()), any::<u32>(), any_bytes())),
    ) -> Sample {
        Sample {
            time, observed, severity, severity_text, event_name, trace_id, span_id, flags, dropped, body, attributes,
            scope_name: if scope.is_some() { scope_name } else { Vec::new() },
            scope_version: if scope.is_some() { scope_version } else { Vec::new() },
            resource, scope,
        }
    }
}

/// A record with everything set.
fn full() -> Sample {
    Sample {
        time: 1_795_175_317_057_000_000,
        observed: 1_795_175_325_101_223_000,
        severity: 9,
        severity_text: b"INFO".to_vec(),
        event_name: b"request".to_vec(),
        trace_id: (0..16).collect(),
        span_id: (0xF0..0xF8).collect(),
        flags: 1,
        dropped: 2,
        body: Some(text("a \"line\"\nand more")),
        attributes: members([
            ("int", Any::Int(i64::MAX)),
            ("double", Any::Double(1.0)),
            ("bytes", Any::Bytes(b"\0\x01\xff\xfe".to_vec())),
            ("list", Any::Array(vec![Any::Bool(true), Any::Empty, Any::Array(vec![])])),
            ("map", Any::Kvlist(members([("k", text("v")), ("none", Any::Kvlist(vec![]))]))),
            ("int", Any::Int(5)),
        ]),
        resource: Some((members([("kuma.mesh", text("default"))]), 3, b"https://resource".to_vec())),
        scope: Some((members([("s", Any::Int(1))]), 4, b"https://scope".to_vec())),
        scope_name: b"library".to_vec(),
        scope_version: b"1.2".to_vec(),
    }
}

#[test]
fn an_encoder_starts_over_after_each_batch() {
    for encoding in [Encoding::Raw, Encoding::Json, Encoding::OtlpJson, PRETTY] {
        let mut encoder = Encoder::new(encoding);
        assert!(encoder.is_empty() && encoder.finish().is_empty(), "{encoding:?}");
        let (sample, mut batches) = (full(), Vec::new());
        let (envelope, record) = (envelope(&sample), record(&sample));
        for _ in 0..2 {
            encoder.envelope(envelope.view(b""));
            assert!(encoder.is_empty(), "{encoding:?}: an envelope alone writes nothing");
            encoder.record(RecordRef::new(b"", &record, &envelope));
            assert!(!encoder.is_empty());
            batches.push(encoder.finish());
        }
        assert_eq!(batches[0], batches[1], "{encoding:?}");
        assert!(encoder.is_empty());
    }
}
