//! Values of other kinds than text, bytes that were not UTF-8, and anything at all.

use proptest::prelude::*;

use super::*;

#[test]
fn values_of_json() {
    let seen = apply_to(Record::default(), |_, record, fields| {
        fields.set(Field::StatusCode, Value::Double(200.0));
        fields.set(Field::BytesSent, Value::Int(7));
        fields.set(Field::StartTime, Value::Int(1_000));
        fields.set(Field::EmitTime, Value::Int(2_000));
        fields.set(Field::RequestId, Value::Int(42));
        fields.set(Field::UserAgent, Value::Double(1.5));
        fields.set(Field::Mesh, Value::Bool(true));
        fields.set(Field::Zone, Value::Array { nodes: 3 });
        fields.set(Field::Duration, Value::Empty);
        let flags = record.tree.side_text(b"NoHealthyUpstream,Own");
        fields.set(Field::FlagsLong, Value::Text(flags));
    });
    let expected = [
        "http.response.status_code=200i",
        "http.response.body.size=7i",
        "user_agent.original=1.5",
        "envoy.request_id=42",
        "envoy.emit_time_unix_nano=2000i",
        "envoy.response_flags=[\"UH\", \"Own\"]",
        "kuma.mesh=true",
    ];
    assert_eq!(seen.attributes, expected);
    assert_eq!(seen.time, 1_000);
}

#[test]
fn attributes_of_their_own() {
    let cases = [
        (Kind::Int, "12", "12i"),
        (Kind::Int, "twelve", "twelve"),
        (Kind::Bool, "true", "trueb"),
        (Kind::Bool, "yes", "yes"),
        (Kind::Any, "1.5", "1.5d"),
        (Kind::Any, "{\"a\":1}", "{\"a\":1}"),
        (Kind::Text, "12", "12"),
        (Kind::Header, "9", "[\"9\"]"),
    ];
    for (kind, text, expected) in cases {
        let seen = apply_to(Record::default(), |raw, record, fields| {
            raw.extend_from_slice(text.as_bytes());
            let key = record.tree.side_text(b"k");
            fields.other(key, Value::Text(Span::raw(0, text.len())), kind);
        });
        assert_eq!(seen.attributes, [format!("k={expected}")], "{kind:?} {text}");
    }
    let typed = [
        (Kind::Text, Value::Int(3), "k=3"),
        (Kind::Int, Value::Double(3.0), "k=3i"),
        (Kind::Int, Value::Double(3.5), "k=3.5d"),
        (Kind::Any, Value::Bool(false), "k=falseb"),
        (Kind::Header, Value::Int(3), "k=[\"3\"]"),
    ];
    for (kind, value, expected) in typed {
        let seen = apply_to(Record::default(), |_, record, fields| {
            let key = record.tree.side_text(b"k");
            fields.other(key, value, kind);
            fields.other(key, Value::Kvlist { nodes: 1 }, kind);
        });
        assert_eq!(seen.attributes, [expected], "{kind:?} {value:?}");
    }
}

#[test]
fn mapped_bytes() {
    use Field::*;
    let mapped: String = b"bad \xff \xe6\x97\xa5".iter().map(|it| char::from(*it)).collect();
    let seen = of(&[(UserAgent, &mapped), (ForwardedFor, &mapped)]);
    let bytes = "[62, 61, 64, 20, ff, 20, e6, 97, a5]";
    assert_eq!(
        seen.attributes,
        [format!("user_agent.original={bytes}"), format!("http.request.header.x-forwarded-for={:?}", [bytes]),]
    );
    assert!(seen.mojibake);
    let seen = of(&[(UserAgent, "café"), (RequestId, "naïf")]);
    let expected = ["user_agent.original=café", "envoy.request_id=naïf", "logboom.mojibake=possible"];
    assert_eq!(seen.attributes, expected);
    assert!(!seen.mojibake);
    assert_eq!(attributes(&[(Mesh, "café")]), ["kuma.mesh=café"], "no client names a mesh");
}

const ALL: [Field; Field::COUNT] = {
    use Field::*;
    [
        StartTime,
        EmitTime,
        Method,
        Path,
        Query,
        Protocol,
        Scheme,
        Authority,
        StatusCode,
        Flags,
        FlagsLong,
        CodeDetails,
        BytesReceived,
        BytesSent,
        Duration,
        UpstreamServiceTime,
        ForwardedFor,
        UserAgent,
        RequestId,
        UpstreamHost,
        UpstreamCluster,
        UpstreamFailure,
        TerminationDetails,
        GrpcStatus,
        TraceParent,
        TraceHeader,
        SpanHeader,
        B3Single,
        TraceId,
        SpanId,
        Mesh,
        Zone,
        Workload,
        SourceService,
        DestinationService,
        SourceAddress,
        Direction,
    ]
};

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let telling = ["-", "0", "200", "UF,URX", "INBOUND", "unknown", "[::1]:0", "1.2.3.4:5", "OK", "a?b", "HTTP/1.1"];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "\\PC{0,20}".prop_map(String::into_bytes),
        "[\u{80}-\u{ff}]{0,20}".prop_map(String::into_bytes),
        "[0-9a-f,:;./?\"\\[\\]-]{0,60}".prop_map(String::into_bytes),
        proptest::sample::select(telling.to_vec()).prop_map(|it| it.as_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_fields_any_bytes(
        values in proptest::collection::vec((0..Field::COUNT, texts(), any::<bool>(), any::<Option<i64>>()), 0..30),
        kinds in proptest::collection::vec((0..5usize, texts()), 0..5),
    ) {
        let seen = apply_to(Record::default(), |raw, record, fields| {
            for (field, text, in_side, number) in &values {
                let value = match number {
                    Some(it) => Value::Int(*it),
                    None if *in_side => Value::Text(record.tree.side_text(text)),
                    None => {
                        raw.extend_from_slice(text);
                        Value::Text(Span::raw(raw.len() - text.len(), raw.len()))
                    }
                };
                fields.set(ALL[*field], value);
            }
            for (kind, text) in &kinds {
                let kind = [Kind::Text, Kind::Int, Kind::Bool, Kind::Any, Kind::Header][*kind];
                let (key, value) = (record.tree.side_text(b"k"), record.tree.side_text(text));
                fields.other(key, Value::Text(value), kind);
            }
        });
        prop_assert!(matches!(seen.trace.len(), 0 | 32) && matches!(seen.span.len(), 0 | 16));
        prop_assert!(["0", "INFO9", "WARN13", "ERROR17"].contains(&&*seen.severity));
        let own = seen.attributes.iter().filter(|it| it.starts_with("k=")).count();
        prop_assert_eq!(own, kinds.len());
    }
}
