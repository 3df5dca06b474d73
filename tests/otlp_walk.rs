//! The OTLP walk against the generated decoder, which is the oracle, and against real requests.
// Clippy takes helpers of integration tests for program code.
#![allow(clippy::expect_used)]

use std::ops::ControlFlow;
use std::path::Path;

use logboom::decode::otlp::{
    CheckErrorKind, Limits, Place, RecordCounts, RecordSettings, Summary, check, decode, repair,
};
use logboom::decode::reader::{NamedFormat, Origin, Reader};
use logboom::decode::wire::{Defect, put_varint};
use logboom::decode::{Scratch, Visitor};
use logboom::encode::otlp::OtlpEncoder;
use logboom::record::{Envelope, EnvelopeRef, Record, RecordRef, Span};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

mod otlp_model;
use otlp_model::{Collect, count_values, normal};

const OBSERVED: u64 = 1_700_000_000_000_000_000;
const UNLIMITED: Limits =
    Limits { records_max: u32::MAX, values_max: u32::MAX, record_bytes_max: usize::MAX, expanded_bytes_max: u64::MAX };

/// All records, as they came.
fn read(raw: &[u8], visitor: &mut impl Visitor) {
    let reader = Reader::compile(&NamedFormat::Raw.into(), Origin::Otlp).expect("a format with a name compiles");
    let settings = RecordSettings { reader: &reader, observed_unix_nano: OBSERVED, redactor: None };
    decode(raw, 0, &settings, &mut Scratch::default(), visitor, &mut RecordCounts::default());
}

fn decoded(raw: &[u8]) -> ExportLogsServiceRequest {
    let mut collect = Collect::default();
    read(raw, &mut collect);
    collect.0
}

/// As many records at a time.
struct Parts {
    shown: Collect,
    part: usize,
    left: usize,
}

impl Visitor for Parts {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.shown.envelope(envelope);
    }
    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        assert!((1..=self.part).contains(&self.left), "a record too many");
        self.left -= 1;
        let _more = self.shown.record(record);
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Each record in a group of its own.
fn each_alone(request: &ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    let mut resource_logs = Vec::new();
    for group in &request.resource_logs {
        for scope_logs in &group.scope_logs {
            for record in &scope_logs.log_records {
                let scope_logs = vec![ScopeLogs { log_records: vec![record.clone()], ..scope_logs.clone() }];
                resource_logs.push(ResourceLogs { scope_logs, ..group.clone() });
            }
        }
    }
    ExportLogsServiceRequest { resource_logs }
}

struct Encode(OtlpEncoder);

impl Visitor for Encode {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.0.envelope(envelope);
    }
    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        self.0.record(record);
        ControlFlow::Continue(())
    }
}

/// Decoded and written again.
fn reencoded(raw: &[u8]) -> Vec<u8> {
    let mut encode = Encode(OtlpEncoder::new());
    read(raw, &mut encode);
    encode.0.finish()
}

fn generated(raw: &[u8]) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(raw).expect("the oracle accepts it")
}

/// Compares encodings: a NaN equals itself there.
fn assert_same(got: &ExportLogsServiceRequest, expected: &ExportLogsServiceRequest) {
    assert!(got.encode_to_vec() == expected.encode_to_vec(), "got {got:#?}\nexpected {expected:#?}");
}

fn has_repaired_text(message: &impl Message) -> bool {
    message.encode_to_vec().windows(3).any(|it| it == "\u{FFFD}".as_bytes())
}

/// Records whose own text, or that of their group, was repaired.
fn count_repaired(request: &ExportLogsServiceRequest) -> usize {
    let mut count = 0;
    for group in &request.resource_logs {
        let resource = ResourceLogs { scope_logs: Vec::new(), ..group.clone() };
        for scope_logs in &group.scope_logs {
            let scope = ScopeLogs { log_records: Vec::new(), ..scope_logs.clone() };
            let shared = has_repaired_text(&resource) || has_repaired_text(&scope);
            count += scope_logs.log_records.iter().filter(|&it| shared || has_repaired_text(it)).count();
        }
    }
    count
}

/// Text of one to four bytes per character, and [`MARK`].
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-zé€ ]{0,8}", 1 => "[a-z]{0,3}\u{10FFFD}[a-z]{0,3}", 1 => "[a-z]{100,300}"]
}

/// A character that is in the text of generated requests and nowhere else in their bytes, and
/// what is put in its place to make that text invalid: three defects.
const MARK: &str = "\u{10FFFD}";
const BAD: [u8; 4] = [0xf4, 0x8f, 0xff, 0xbd];

fn corrupted(raw: &[u8]) -> Vec<u8> {
    let mut out = raw.to_vec();
    while let Some(at) = out.windows(4).position(|it| it == MARK.as_bytes()) {
        out[at..at + 4].copy_from_slice(&BAD);
    }
    out
}

fn value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value as V;
    let leaf = prop_oneof![
        1 => Just(None),
        4 => text().prop_map(|it| Some(V::StringValue(it))),
        1 => any::<bool>().prop_map(|it| Some(V::BoolValue(it))),
        1 => any::<i64>().prop_map(|it| Some(V::IntValue(it))),
        1 => any::<u64>().prop_map(|it| Some(V::DoubleValue(f64::from_bits(it)))),
        1 => vec(any::<u8>(), 0..6).prop_map(|it| Some(V::BytesValue(it))),
        1 => any::<i32>().prop_map(|it| Some(V::StringValueStrindex(it))),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(5, 24, 4, |inner| {
        let array = vec(inner.clone(), 0..4).prop_map(|values| V::ArrayValue(ArrayValue { values }));
        let list = vec(key_value_of(inner), 0..4).prop_map(|values| V::KvlistValue(KeyValueList { values }));
        prop_oneof![array, list].prop_map(|it| AnyValue { value: Some(it) })
    })
}

fn key_value_of(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    let strindex = prop_oneof![9 => Just(0), 1 => any::<i32>()];
    (text(), option::of(value), strindex).prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value_of(value()), 0..3)
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => Just(Vec::new()), 3 => vec(any::<u8>(), len), 1 => vec(any::<u8>(), 0..20)]
}

fn record() -> impl Strategy<Value = LogRecord> {
    let numbers = (any::<u64>(), prop_oneof![Just(0), any::<u64>()], -1..30i32, any::<u32>(), 0..300u32);
    let texts = (text(), text());
    (numbers, texts, option::of(value()), attributes(), id(16), id(8)).prop_map(
        |(numbers, texts, body, attributes, trace_id, span_id)| LogRecord {
            time_unix_nano: numbers.0,
            observed_time_unix_nano: numbers.1,
            severity_number: numbers.2,
            flags: numbers.3,
            dropped_attributes_count: numbers.4,
            severity_text: texts.0,
            event_name: texts.1,
            body,
            attributes,
            trace_id,
            span_id,
        },
    )
}

fn record_or_empty() -> impl Strategy<Value = LogRecord> {
    prop_oneof![1 => Just(LogRecord::default()), 4 => record()]
}

fn scope_logs() -> impl Strategy<Value = ScopeLogs> {
    let scope = (text(), text(), attributes(), any::<u32>()).prop_map(|it| InstrumentationScope {
        name: it.0,
        version: it.1,
        attributes: it.2,
        dropped_attributes_count: it.3,
    });
    (option::of(scope), vec(record_or_empty(), 0..4), text()).prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    })
}

fn resource_logs() -> impl Strategy<Value = ResourceLogs> {
    let entity = (text(), text(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(|it| EntityRef {
        schema_url: it.0,
        r#type: it.1,
        id_keys: it.2,
        description_keys: it.3,
    });
    let resource = (attributes(), any::<u32>(), vec(entity, 0..2)).prop_map(|it| Resource {
        attributes: it.0,
        dropped_attributes_count: it.1,
        entity_refs: it.2,
    });
    (option::of(resource), vec(scope_logs(), 0..3), text())
        .prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url })
}

fn request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    vec(resource_logs(), 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

/// A request with some bytes changed, taken out, put in or cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..5u8, any::<u8>());
    (request(), vec(change, 0..4)).prop_map(|(request, changes)| {
        let mut raw = request.encode_to_vec();
        for (index, how, byte) in changes {
            if raw.is_empty() {
                break;
            }
            let at = index.index(raw.len());
            match how {
                0 => raw[at] = byte,
                1 => raw[at] ^= 1 << (byte % 8),
                2 => raw.insert(at, byte),
                3 => drop(raw.remove(at)),
                _ => raw.truncate(at),
            }
        }
        raw
    })
}

proptest! {
    #[test]
    fn what_the_oracle_writes_is_read_and_written_alike(request in request()) {
        let raw = request.encode_to_vec();
        let summary = check(&raw, &UNLIMITED).expect("a valid request");
        let records: Vec<_> = request.resource_logs.iter()
            .flat_map(|it| &it.scope_logs).flat_map(|it| &it.log_records).collect();
        let invalid_ids = records.iter().map(|it| {
            u32::from(![0, 16].contains(&it.trace_id.len())) + u32::from(![0, 8].contains(&it.span_id.len()))
        }).sum();
        prop_assert_eq!(summary, Summary {
            records: records.len() as u32,
            repaired_records: 0,
            invalid_ids,
            values: count_values(&request),
            invalid_text: false,
            oversized_records: 0,
        });
        let expected = normal(request, OBSERVED);
        assert_same(&decoded(&raw), &expected);
        assert_same(&normal(generated(&reencoded(&raw)), 0), &expected);
        prop_assert!(repair(&raw, usize::MAX) == raw);
    }

    #[test]
    fn a_request_in_parts_is_the_request(request in request(), part in 1usize..4, counted in any::<bool>()) {
        let raw = request.encode_to_vec();
        let reader = Reader::compile(&NamedFormat::Raw.into(), Origin::Otlp).expect("a format with a name compiles");
        let settings = RecordSettings { reader: &reader, observed_unix_nano: OBSERVED, redactor: None };
        let mut parts = Parts { shown: Collect::default(), part, left: part };
        let mut from = Place::default();
        loop {
            let mut counts = RecordCounts::default();
            // Each part with space of its own: what is in between belongs to other requests.
            let next = decode(&raw, from, &settings, &mut Scratch::default(), &mut parts, &mut counts);
            let Some(next) = next else { break };
            prop_assert_eq!(next.records(), from.records() + part as u32);
            parts.left = part;
            from = if counted { next.records().into() } else { next };
        }
        let shown = parts.shown.0;
        prop_assert!(shown.resource_logs.iter().all(|it| !it.scope_logs[0].log_records.is_empty()));
        assert_same(&each_alone(&shown), &each_alone(&decoded(&raw)));
    }

    #[test]
    fn bad_text_is_repaired_in_place(request in request()) {
        let good = request.encode_to_vec();
        let raw = corrupted(&good);
        let summary = check(&raw, &UNLIMITED).expect("bad text is no error");
        prop_assert_eq!(summary.invalid_text, raw != good);
        prop_assert_eq!(generated_accepts(&raw), raw == good);

        let repaired = generated(&repair(&raw, usize::MAX));
        prop_assert_eq!(summary.repaired_records as usize, count_repaired(&repaired));
        let replaced = "\u{FFFD}".repeat(3).escape_debug().to_string();
        let expected = format!("{request:?}").replace(&MARK.escape_debug().to_string(), &replaced);
        prop_assert_eq!(format!("{repaired:?}"), expected);

        let expected = normal(repaired, OBSERVED);
        assert_same(&decoded(&raw), &expected);
        assert_same(&normal(generated(&reencoded(&raw)), 0), &expected);
    }

    #[test]
    fn the_oracle_agrees_on_mutated_requests(raw in mutated()) {
        agrees_with_oracle(&raw);
    }

    #[test]
    fn the_oracle_agrees_on_any_bytes(raw in vec(prop_oneof![Just(0x0a), Just(0x12), 0..16u8, any::<u8>()], 0..40)) {
        agrees_with_oracle(&raw);
    }
}

fn generated_accepts(raw: &[u8]) -> bool {
    ExportLogsServiceRequest::decode(raw).is_ok()
}

fn agrees_with_oracle(raw: &[u8]) {
    let repaired = repair(raw, usize::MAX);
    let shown = decoded(raw);
    let _ = reencoded(raw);
    match check(raw, &UNLIMITED) {
        Ok(summary) => {
            assert!(generated_accepts(&repaired), "{raw:x?}");
            assert_eq!(generated_accepts(raw), !summary.invalid_text, "{raw:x?}");
            assert_eq!(repaired != raw, summary.invalid_text, "{raw:x?}");
            let records: usize = shown.resource_logs.iter().map(|it| it.scope_logs[0].log_records.len()).sum();
            assert_eq!(summary.records as usize, records, "{raw:x?}");
            for group in shown.resource_logs {
                let group = ExportLogsServiceRequest { resource_logs: vec![group] };
                assert!(count_values(&group) <= summary.values, "{raw:x?}");
            }
            assert!(check(&repaired, &UNLIMITED).is_ok_and(|it| !it.invalid_text), "{raw:x?}");
        }
        // The oracle skips groups in unknown fields and nests deeper.
        Err(it) if matches!(it.kind, CheckErrorKind::Malformed(Defect::WireType(3 | 4)) | CheckErrorKind::TooDeep) => {}
        Err(error) => {
            assert!(!generated_accepts(raw), "{error}: {raw:x?}");
            assert_eq!(repaired, raw);
        }
    }
}

#[test]
fn real_requests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let manifest = std::fs::read_to_string(folder.join("otlp-manifest.jsonl")).expect("the manifest");
    let mut files = 0;
    for line in manifest.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of the manifest");
        let name = line["file"].as_str().expect("a file name");
        let raw = std::fs::read(folder.join("otlp").join(name)).expect("the file");
        let summary = check(&raw, &UNLIMITED).expect(name);
        assert_eq!(u64::from(summary.records), line["records"], "{name}");
        let valid = line["strict_utf8"] == true;
        assert_eq!((generated_accepts(&raw), summary.invalid_text), (valid, !valid), "{name}");
        assert_eq!(summary.repaired_records == 0, valid, "{name}");
        assert!(summary.repaired_records <= summary.records, "{name}");
        let repaired = repair(&raw, usize::MAX);
        assert_eq!(repaired == raw, valid, "{name}");
        let expected = normal(generated(&repaired), OBSERVED);
        assert_same(&decoded(&raw), &expected);
        assert_same(&normal(generated(&reencoded(&raw)), 0), &expected);
        files += 1;
    }
    assert_eq!(files, std::fs::read_dir(folder.join("otlp")).expect("the folder").count());
}

/// A field that holds these bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    put_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

/// A request of one resource and one scope with that content.
fn request_of(scope_logs: &[u8]) -> Vec<u8> {
    field(1, &field(2, scope_logs))
}

/// One record with a body of that many values, each the only one in the list before.
fn nested(levels: usize, kvlist: bool) -> Vec<u8> {
    let prepend = |reversed: &mut Vec<u8>, number: u8| {
        let mut head = vec![number << 3 | 2];
        put_varint(&mut head, reversed.len() as u64);
        reversed.extend(head.iter().rev());
    };
    let mut reversed = Vec::new();
    for _ in 1..levels {
        if kvlist {
            prepend(&mut reversed, 2);
        }
        prepend(&mut reversed, 1);
        prepend(&mut reversed, if kvlist { 6 } else { 5 });
    }
    for number in [5, 2, 2, 1] {
        prepend(&mut reversed, number);
    }
    reversed.reverse();
    reversed
}

#[test]
fn depth_is_limited_and_so_is_the_stack() {
    for kvlist in [false, true] {
        let deepest = nested(32, kvlist);
        assert_eq!(check(&deepest, &UNLIMITED).map(|it| it.records), Ok(1));
        assert_same(&decoded(&deepest), &normal(generated(&deepest), OBSERVED));
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
            for levels in [33, 1_000, 200_000] {
                let raw = nested(levels, kvlist);
                let error = check(&raw, &UNLIMITED).expect_err("too deep");
                assert_eq!((error.kind, error.is_over_limit()), (CheckErrorKind::TooDeep, false));
                assert!(error.to_string().len() < 200);
                let mut collect = Collect::default();
                read(&raw, &mut collect);
                assert!(collect.0.resource_logs[0].scope_logs[0].log_records.is_empty());
                assert_eq!(repair(&raw, usize::MAX), raw);
            }
        });
        thread.expect("a thread").join().expect("no overflow");
    }
}

#[test]
fn limits_are_exact() {
    fn over(raw: &[u8], records_max: u32, values_max: u32) -> Option<String> {
        let error = check(raw, &Limits { records_max, values_max, ..UNLIMITED }).err()?;
        assert!(error.is_over_limit());
        Some(error.to_string())
    }
    let records = request_of(&field(2, &[]).repeat(1_000));
    assert_eq!(over(&records, 1_000, 0), None);
    let error = "more than 999 log records in one request, send smaller requests; at byte 2004";
    assert_eq!(over(&records, 999, 0).as_deref(), Some(error));

    // Three attributes, of which one has no value and one is an array of two.
    let list = field(1, &[]).repeat(2);
    let attributes = [field(6, &[]), field(6, &field(2, &[])), field(6, &field(2, &field(5, &list)))].concat();
    let values = request_of(&field(2, &attributes));
    assert_eq!(check(&values, &UNLIMITED).map(|it| it.values), Ok(5));
    assert_eq!(over(&values, 1, 5), None);
    let error = "more than 4 attributes and nested values in one request, send smaller requests; at byte";
    assert!(over(&values, 1, 4).is_some_and(|it| it.starts_with(error)));
}

#[test]
fn refusals() {
    fn check_refusal(raw: &[u8], expected: &str) {
        let error = check(raw, &UNLIMITED).expect_err("malformed");
        assert!(!error.is_over_limit());
        assert_eq!(error.to_string(), expected);
        assert!(!generated_accepts(raw));
    }
    let in_record = |bytes: &[u8]| request_of(&field(2, bytes));
    check_refusal(&[0x0a, 5], "malformed protobuf: a field that runs past the end of its message at byte 0");
    check_refusal(&[0x08, 5], "malformed OTLP logs: a field has the wrong wire type at byte 0");
    check_refusal(&in_record(&[0x08, 1]), "malformed OTLP logs: a field has the wrong wire type at byte 6");
    check_refusal(
        &in_record(&[0x45, 1, 2]),
        "malformed protobuf: a field that runs past the end of its message at byte 6",
    );
    check_refusal(&in_record(&[0x04]), "malformed protobuf: wire type 4, which OTLP does not use at byte 6");
    check_refusal(
        &in_record(&[0x10, 0x80]),
        "malformed protobuf: a varint that is cut off or longer than 64 bits at byte 6",
    );
    check_refusal(&in_record(&[0x02, 0]), "malformed protobuf: a tag with an impossible field number at byte 6");
}

#[test]
fn fields_after_the_records_apply_to_them() {
    let resource = field(1, &[field(1, &field(1, b"late")), vec![0x10, 7]].concat());
    let scope_logs = [field(2, &[]), field(3, b"scope-url"), field(1, &field(1, b"scope"))].concat();
    let raw = field(1, &[field(2, &scope_logs), field(3, b"resource-url"), resource].concat());
    assert_same(&decoded(&raw), &normal(generated(&raw), OBSERVED));
    assert_eq!(decoded(&raw).resource_logs[0].schema_url, "resource-url");
}

#[test]
fn scopes_keep_the_resource_and_nothing_of_each_other() {
    let scope = |name: &[u8]| field(1, &[field(1, name), field(3, &field(1, name))].concat());
    let first = field(2, &[scope(b"first"), field(2, &[]), field(3, b"url")].concat());
    let empty = field(2, &scope(b"unseen"));
    let plain = field(2, &field(2, &[]));
    let resource = field(1, &field(1, &field(1, b"key")));
    let raw = field(1, &[first, empty, plain.clone(), resource].concat());
    let raw = [raw, field(1, &plain)].concat();
    let shown = decoded(&raw);
    assert_same(&shown, &normal(generated(&raw), OBSERVED));
    assert_eq!(shown.resource_logs.len(), 3);
    assert_eq!(shown.resource_logs[1].scope_logs[0].scope, None);
    assert_eq!(shown.resource_logs[2].resource, None);
}

#[test]
fn the_last_of_a_repeated_field_wins() {
    let text = |it: &[u8]| field(1, it);
    let array = |it: &[u8]| field(5, &field(1, &text(it)));
    let body = [field(5, &[text(b"one"), array(b"two"), array(b"three")].concat()), field(5, &array(b"four"))].concat();
    let attribute = [field(1, b"k"), field(2, &text(b"first")), field(1, b"key"), field(2, &text(b"last"))].concat();
    let record = [field(6, &attribute), body, field(6, &field(1, b"other")), field(12, b"a"), field(12, b"b")].concat();
    let resources = [field(1, &field(1, &field(1, b"first"))), field(1, &field(1, &field(1, b"last")))].concat();
    let raw = field(1, &[resources, field(2, &field(2, &record))].concat());
    check(&raw, &UNLIMITED).expect("legal");
    let shown = decoded(&raw).resource_logs.remove(0);
    let keys = |it: &[KeyValue]| it.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&shown.resource.expect("a resource").attributes), ["last"]);
    let record = &shown.scope_logs[0].log_records[0];
    assert_eq!(record.event_name, "b");
    assert_eq!(keys(&record.attributes), ["key", "other"]);
    let string = |it: &str| AnyValue { value: Some(any_value::Value::StringValue(it.into())) };
    assert_eq!(record.attributes[0].value, Some(string("last")));
    let four = any_value::Value::ArrayValue(ArrayValue { values: vec![string("four")] });
    assert_eq!(record.body, Some(AnyValue { value: Some(four) }));
}

/// Scenario: the only bad text belongs to a resource without records, to an entity reference, or
/// to a value that is overruled. Guarantees: it is seen and repaired, and unknown fields, padded
/// lengths and order stay as they were.
#[test]
fn repair_reaches_text_that_no_record_shows() {
    fn check_repair(raw: &[u8], repaired_records: u32, expected: &[u8]) {
        let summary = check(raw, &UNLIMITED).expect("no error");
        assert_eq!((summary.invalid_text, summary.repaired_records), (true, repaired_records));
        let repaired = repair(raw, usize::MAX);
        assert!(generated_accepts(&repaired));
        assert_eq!(repaired, expected);
    }
    check_repair(&field(1, &field(3, b"\xff")), 0, b"\x0a\x85\x00\x1a\x03\xef\xbf\xbd");
    let entity = field(1, &field(1, &field(3, &field(2, b"\xff"))));
    let expected = b"\x0a\x8b\x00\x0a\x88\x00\x1a\x85\x00\x12\x03\xef\xbf\xbd";
    check_repair(&entity, 0, expected);
    let unknown = b"\x7a\x81\x80\x00\xff\xf8\x01\x80\x00";
    let group = [unknown.to_vec(), field(2, &field(2, &[])), field(3, b"\xff"), unknown.to_vec()].concat();
    let expected = [&[0x0a, 0x9b, 0x00], &unknown[..], b"\x12\x02\x12\x00\x1a\x03\xef\xbf\xbd", unknown].concat();
    check_repair(&field(1, &group), 1, &expected);
    let record = [field(3, b"\xff"), field(3, b"fine")].concat();
    let raw = request_of(&field(2, &record));
    let summary = check(&raw, &UNLIMITED).expect("no error");
    assert_eq!(summary.repaired_records, 1);
    assert_same(&decoded(&raw), &normal(generated(&repair(&raw, usize::MAX)), OBSERVED));
}

#[test]
fn an_encoder_starts_anew_and_drops_empty_groups() {
    let mut encoder = OtlpEncoder::new();
    assert!(encoder.finish().is_empty());
    let raw = b"service";
    let scope_name = Span::raw(0, raw.len());
    let envelope = Envelope { has_scope: true, scope_name, ..Envelope::default() };
    let record = Record { severity_number: 9, ..Record::default() };
    let record = RecordRef::new(raw, &record, &envelope);

    encoder.envelope(envelope.view(raw));
    assert!(encoder.finish().is_empty());

    encoder.record(record);
    encoder.envelope(envelope.view(raw));
    encoder.envelope(envelope.view(raw));
    encoder.record(record);
    encoder.record(record);
    encoder.envelope(envelope.view(raw));
    let request = generated(&encoder.finish());
    assert_eq!(request.resource_logs.len(), 2);
    let [first, second] = &request.resource_logs[..] else { unreachable!() };
    assert_eq!((&first.resource, &first.scope_logs[0].scope), (&None, &None));
    assert_eq!(first.scope_logs[0].log_records.len(), 1);
    assert_eq!(second.scope_logs[0].scope.as_ref().map(|it| it.name.as_str()), Some("service"));
    assert_eq!(second.scope_logs[0].log_records.len(), 2);

    encoder.record(record);
    assert_eq!(generated(&encoder.finish()).resource_logs[0].scope_logs[0].scope, None);
}
