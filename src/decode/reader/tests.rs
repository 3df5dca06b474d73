use super::*;

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
