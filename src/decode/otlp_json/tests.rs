use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::decode::otlp::{Limits, check, repair};

/// What prost reads of what we write.
fn read(text: &str) -> Result<ExportLogsServiceRequest, String> {
    let bytes = to_protobuf(text.as_bytes()).map_err(|error| error.to_string())?;
    assert!(bytes.len() <= text.len(), "{text}");
    let _any = check(&bytes, &Limits::default());
    Ok(ExportLogsServiceRequest::decode(&bytes[..]).unwrap())
}

fn request(record: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#)
}

fn record(members: &str) -> Result<LogRecord, String> {
    let mut request = read(&request(&format!("{{{members}}}")))?;
    Ok(request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0))
}

fn body(value: &str) -> Result<Option<Kind>, String> {
    Ok(record(&format!(r#""body":{value}"#))?.body.and_then(|it| it.value))
}

#[track_caller]
fn refused(members: &str, why: &str) {
    let error = record(members).unwrap_err();
    assert!(error.starts_with("malformed OTLP"), "{error}");
    assert!(error.contains(why) && error.len() < 200, "{members}: {error}");
}

#[test]
fn every_spelling_of_a_number() {
    for (text, expected) in [
        ("5", 5),
        (r#""5""#, 5),
        ("-5", -5),
        (r#""-5""#, -5),
        ("5.0", 5),
        ("5e2", 500),
        (r#""5e2""#, 500),
        (r#""9223372036854775807""#, i64::MAX),
        ("9223372036854775807", i64::MAX),
        (r#""-9223372036854775808""#, i64::MIN),
    ] {
        assert_eq!(body(&format!(r#"{{"intValue":{text}}}"#)).unwrap(), Some(Kind::IntValue(expected)), "{text}");
    }
    for text in ["9223372036854775808", r#""""#, r#"" 5""#, r#""+5""#, r#""0x5""#, "5.5", "true", "[5]", "{}", "1e40"] {
        refused(&format!(r#""body":{{"intValue":{text}}}"#), "");
    }
    for (text, expected) in [
        ("1", 1.0),
        ("1.5", 1.5),
        (r#""1.5e3""#, 1500.0),
        (r#""Infinity""#, f64::INFINITY),
        (r#""-Infinity""#, f64::NEG_INFINITY),
        ("-0.0", -0.0),
    ] {
        assert_eq!(body(&format!(r#"{{"doubleValue":{text}}}"#)).unwrap(), Some(Kind::DoubleValue(expected)), "{text}");
    }
    let nan = body(r#"{"doubleValue":"NaN"}"#).unwrap();
    assert!(matches!(nan, Some(Kind::DoubleValue(it)) if it.is_nan()));
    for text in [r#""inf""#, r#""nan""#, r#""1e999""#, "1e999", r#""x""#, "false"] {
        refused(&format!(r#""body":{{"doubleValue":{text}}}"#), "");
    }
    let times =
        record(r#""timeUnixNano":"18446744073709551615","observed_time_unix_nano":1.5e18,"flags":4294967295"#).unwrap();
    assert_eq!(
        (times.time_unix_nano, times.observed_time_unix_nano, times.flags),
        (u64::MAX, 1_500_000_000_000_000_000, u32::MAX)
    );
    refused(r#""timeUnixNano":-1"#, "an integer from 0 to 18446744073709551615");
    refused(r#""flags":4294967296"#, "an integer from 0 to 4294967295");
    for (text, expected) in [
        ("9", 9),
        (r#""SEVERITY_NUMBER_UNSPECIFIED""#, 0),
        (r#""SEVERITY_NUMBER_TRACE""#, 1),
        (r#""SEVERITY_NUMBER_INFO2""#, 10),
        (r#""SEVERITY_NUMBER_FATAL4""#, 24),
        ("-7", -7),
    ] {
        assert_eq!(record(&format!(r#""severityNumber":{text}"#)).unwrap().severity_number, expected, "{text}");
    }
    refused(r#""severityNumber":"SEVERITY_NUMBER_INFO5""#, "a severity number or its name");
}

#[test]
fn texts_ids_and_bytes() {
    let one = record(r#""traceId":"5B8EFFF798038103d269b633813fc60c","span_id":"EEE19B7EC3C1B174","severityText":"\u00e9\ud83d\ude00""#).unwrap();
    assert_eq!(one.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!((one.trace_id.len(), one.span_id.len(), one.severity_text.as_str()), (16, 8, "é😀"));
    refused(r#""traceId":"5B8EFFF7 98038103"#, "");
    refused(r#""traceId":"abc""#, "a text in hex");
    refused(r#""traceId":"zz""#, "a text in hex");
    refused(r#""traceId":5"#, "");
    for text in ["AAH//g==", "AAH//g", "AAH__g", "AAH__g=="] {
        let expected = Some(Kind::BytesValue(vec![0, 1, 0xff, 0xfe]));
        assert_eq!(body(&format!(r#"{{"bytesValue":"{text}"}}"#)).unwrap(), expected, "{text}");
    }
    refused(r#""body":{"bytesValue":"A*"}"#, "a text in base64");
    refused(r#""severityText":["x"]"#, "a list instead of a text");
    refused(r#""severityText":{"x":1}"#, "");
    // A long text does not come back in the error.
    refused(&format!(r#""flags":"{}""#, "9".repeat(5000)), "this is not an integer");
}

#[test]
fn what_is_not_there_and_what_is_there_twice() {
    assert_eq!(
        record(r#""body":null,"attributes":null,"traceId":null,"flags":null,"severityText":null"#).unwrap(),
        LogRecord::default()
    );
    assert_eq!(body(r#"{"stringValue":null}"#).unwrap(), None);
    assert_eq!(body(r#"{"stringValue":""}"#).unwrap(), Some(Kind::StringValue(String::new())));
    assert_eq!(body(r#"{"intValue":"0"}"#).unwrap(), Some(Kind::IntValue(0)));
    assert_eq!(body(r#"{"boolValue":false}"#).unwrap(), Some(Kind::BoolValue(false)));
    let Some(Kind::ArrayValue(list)) = body(r#"{"arrayValue":{"values":[null,{}]}}"#).unwrap() else { panic!() };
    assert_eq!(list.values.len(), 2);
    assert!(matches!(body(r#"{"array_value":{}}"#).unwrap(), Some(Kind::ArrayValue(_))));
    assert_eq!(body(r#"{"intValue":1,"stringValue":"last"}"#).unwrap(), Some(Kind::StringValue("last".to_owned())));
    let twice = record(r#""flags":1,"attributes":[{"key":"a"}],"flags":0,"attributes":[{"key":"b"}]"#).unwrap();
    assert_eq!((twice.flags, twice.attributes.len()), (0, 2));
    let unknown = r#""later":{"a":[1,{"b":null}],"c":"\ud800"},"":[],"flags":7"#;
    assert_eq!(record(unknown).unwrap().flags, 7);
    assert_eq!(read("{}").unwrap(), ExportLogsServiceRequest::default());
    assert_eq!(read(r#"{"resourceLogs":[],"resourceSpans":[{}]}"#).unwrap(), ExportLogsServiceRequest::default());
    let refs = r#"{"resourceLogs":[{"resource":{"entityRefs":[{"type":"t","idKeys":["a","b"],"schemaUrl":"s"}]}}]}"#;
    let refs = read(refs).unwrap().resource_logs.remove(0).resource.unwrap().entity_refs.remove(0);
    assert_eq!((refs.r#type.as_str(), refs.id_keys.len(), refs.schema_url.as_str()), ("t", 2, "s"));
    for text in ["", "null", "[]", "5", "{", "{}{}", r#"{"resourceLogs":{}}"#, r#"{"resourceLogs":[5]}"#, "{\"a\":1,}"]
    {
        assert!(read(text).is_err(), "{text}");
    }
}

/// Guarantee: text that no UTF-8 can hold is kept for the repair, as over gRPC.
#[test]
fn half_a_surrogate_pair_is_repaired() {
    let texts = [br#""body":{"stringValue":"a\ud800z"}"#.to_vec(), b"\"body\":{\"stringValue\":\"a\xffz\"}".to_vec()];
    for members in texts {
        let (head, tail) = (br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"#, br#"}]}]}]}"#);
        let text = [&head[..], &members, &tail[..]].concat();
        let bytes = to_protobuf(&text).unwrap();
        let summary = check(&bytes, &Limits::default()).unwrap();
        assert_eq!((summary.records, summary.repaired_records), (1, 1));
        let repaired = repair(&bytes, Limits::default().record_bytes_max);
        let request = ExportLogsServiceRequest::decode(&repaired[..]).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        let Some(Kind::StringValue(text)) = record.body.clone().unwrap().value else { panic!() };
        assert!(text.starts_with("a\u{fffd}") && text.ends_with('z'), "{text:?}");
    }
}

/// Guarantee: what is accepted nests as deep as over gRPC; unknown members nest as deep as they like,
/// and cost no stack.
#[test]
fn depth() {
    let nested = |open: &str, close: &str, levels: usize| {
        format!(r#""body":{}{{}}{}"#, open.repeat(levels), close.repeat(levels))
    };
    for (open, close) in
        [(r#"{"arrayValue":{"values":["#, "]}}"), (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}")]
    {
        assert!(record(&nested(open, close, DEPTH_MAX as usize - 1)).is_ok());
        refused(&nested(open, close, DEPTH_MAX as usize), "nested deeper than 32 levels");
        refused(&nested(open, close, 50_000), "nested deeper than 32 levels");
    }
    assert!(record(&format!(r#""later":{}{}"#, "[".repeat(100_000), "]".repeat(100_000))).is_ok());
    let unfinished = record(&format!(r#""later":{}"#, r#"{"a":"#.repeat(100_000)));
    assert!(unfinished.is_err_and(|it| it.contains("at line 1 column 500056")));
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<u64>().prop_map(|it| format!("\"{it}\"")),
        any::<f64>().prop_filter("JSON", |it| it.is_finite()).prop_map(|it| format!("{it:e}")),
        "[a-f0-9]{0,6}".prop_map(|it| format!("\"{it}\"")),
        any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()),
    ];
    let name = proptest::sample::select(vec![
        "resourceLogs",
        "resource",
        "scope_logs",
        "logRecords",
        "body",
        "attributes",
        "key",
        "value",
        "values",
        "arrayValue",
        "kvlistValue",
        "stringValue",
        "intValue",
        "doubleValue",
        "bytesValue",
        "traceId",
        "flags",
        "timeUnixNano",
        "severityNumber",
        "entityRefs",
        "idKeys",
        "x",
    ]);
    leaf.prop_recursive(8, 64, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((name.clone(), inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// Guarantee: no panic, no growth; what comes out is protobuf of the schema.
    #[test]
    fn any_json_of_our_names(value in any_json(), whole: bool) {
        let text = if whole { value } else { request(&format!(r#"{{"body":{value},"attributes":[{{"value":{value}}}]}}"#)) };
        let _either = read(&text);
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>, at: prop::sample::Index, flip: u8) {
        let _either = to_protobuf(&bytes);
        let mut text = request(r#"{"body":{"kvlistValue":{"values":[{"key":"a\n","value":{"intValue":"5"}}]}},"traceId":"0a"}"#).into_bytes();
        let at = at.index(text.len());
        text[at] ^= flip;
        if let Ok(out) = to_protobuf(&text) {
            prop_assert!(out.len() <= text.len());
        }
        let _either = to_protobuf(&text[..at]);
    }
}
