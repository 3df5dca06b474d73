use super::*;
use crate::record::Value;
use crate::semantics::Field;

fn refused(setting: &FormatSetting, origin: Origin) -> SettingError {
    Reader::compile(setting, origin).unwrap_err()
}

fn policy(text: &str) -> FormatSetting {
    FormatSetting::One(FormatChoice::Policy(Box::new(serde_json::from_str(text).unwrap())))
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |setting: &FormatSetting, origin, expected: &str| {
        let error = refused(setting, origin);
        assert_eq!(format!("{}: {error}", error.path.join(".")), expected);
    };
    check(&FormatSetting::Several(Vec::new()), Origin::Lines, ": a list of no formats");
    check(&NamedFormat::Json.into(), Origin::Otlp, ": json is a format of lines");
    let raw = FormatChoice::Named(NamedFormat::Raw);
    let both = FormatSetting::Several(vec![FormatChoice::Named(NamedFormat::Auto), raw]);
    check(&both, Origin::Lines, ": raw stands beside other formats");
    check(&policy("{}"), Origin::Lines, ": a format block says neither plain nor json");
    check(&policy(r#"{"type":"Plain"}"#), Origin::Lines, ": type Plain without a format string");
    check(&policy(r#"{"type":"Json","json":[]}"#), Origin::Lines, ": type Json without members");
    check(&policy(r#"{"plain":"%START_TIME%"}"#), Origin::Otlp, "type: a format of lines");
    check(&policy(r#"{"body":"x"}"#), Origin::Lines, "type: OpenTelemetry is a format of OTLP sources");
    let value = "a value is one of stringValue, arrayValue and kvlistValue";
    check(&policy(r#"{"body":{}}"#), Origin::Otlp, &format!("body: {value}"));
}

/// What a line becomes under `auto`: its reason, and one field of all that were read.
fn said(line: &str, field: Field) -> (Option<Reason>, Option<String>) {
    let reader = Reader::compile(&NamedFormat::Auto.into(), Origin::Lines).unwrap();
    let (mut space, mut record) = (Space::default(), Record::default());
    reader.prepare(&mut record.tree);
    let outcome = reader.line(line.as_bytes(), 0, line.len(), &mut space, &mut record);
    let value = space.fields.get(field).map(|value| match value {
        Value::Text(span) => String::from_utf8(record.tree.text(line.as_bytes(), span).to_vec()).unwrap(),
        value => format!("{value:?}"),
    });
    (outcome.reason, value)
}

#[test]
fn what_is_said_twice_must_be_the_same() {
    let check = |members: &str, field: Field, expected: Option<&str>| {
        let line = format!("{{\"response_code\":200,\"duration_ms\":1,\"bytes_sent\":2,{members}}}");
        let reason = expected.is_none().then_some(Reason::Ambiguous);
        assert_eq!(said(&line, field), (reason, expected.map(str::to_owned)), "{line}");
    };
    check(r#""source":"web","source":"admin""#, Field::SourceService, None);
    // The third time does not make it true.
    check(r#""source":"web","source":"admin","source":"web""#, Field::SourceService, None);
    check(r#""source":"web","source":"admin","kuma_source_service":"x""#, Field::SourceService, None);
    check(r#""source":"web","kuma_source_service":"web""#, Field::SourceService, Some("web"));
    check(r#""source":"web","kuma_source_service":"-""#, Field::SourceService, Some("web"));
    check(r#""RESPONSE_CODE":"200""#, Field::StatusCode, Some("Int(200)"));
    check(r#""RESPONSE_CODE":"500""#, Field::StatusCode, None);
    check(r#""GRPC_STATUS":"NotFound","GRPC_STATUS_NUMBER":5"#, Field::GrpcStatus, Some("Int(5)"));
    // Only one of them has the query.
    check(r#""url.original":"/a?b","url.path":"/a""#, Field::Path, Some("/a"));
    check(r#""url.original":"/a?b","url.path":"/c""#, Field::Path, None);
}
