use serde_json::{Map, json};

use super::*;

fn check(sample: &Sample, expected: &str) {
    let out = String::from_utf8(sample.encode(Encoding::Json)).unwrap();
    assert_eq!(out, format!("{expected}\n"));
}

fn check_body(body: Any, expected: &str) {
    check(&Sample { body: Some(body), ..Sample::default() }, &format!("{{\"body\":{expected}}}"));
}

#[test]
fn the_keys_stand_in_the_documented_order() {
    check(
        &full(),
        concat!(
            r#"{"timestamp":"2026-11-20T11:48:37.057Z","observed_timestamp":"2026-11-20T11:48:45.101223Z","#,
            r#""severity_text":"INFO","severity_number":9,"trace_id":"000102030405060708090a0b0c0d0e0f","#,
            r#""span_id":"f0f1f2f3f4f5f6f7","event_name":"request","body":"a \"line\"\nand more","#,
            r#""attributes":{"double":1.0,"bytes":"AAH//g==","list":[true,null,[]],"map":{"k":"v","none":{}},"int":5},"#,
            r#""resource":{"kuma.mesh":"default"},"#,
            r#""scope":{"name":"library","version":"1.2","attributes":{"s":1},"dropped_attributes_count":4},"flags":1,"#,
            r#""dropped_attributes_count":2,"resource_dropped_attributes_count":3,"#,
            r#""resource_schema_url":"https://resource","scope_schema_url":"https://scope"}"#,
        ),
    );
}

#[test]
fn what_is_unset_is_absent() {
    check(&Sample::default(), "{}");
    check(&Sample { flags: 1, ..Sample::default() }, r#"{"flags":1}"#);
    let sent_empty = (vec![], 0, vec![]);
    check(
        &Sample { resource: Some(sent_empty.clone()), scope: Some(sent_empty), ..Sample::default() },
        r#"{"resource":{},"scope":{}}"#,
    );
    let only_url = (vec![], 0, b"u".to_vec());
    check(&Sample { scope: Some(only_url), ..Sample::default() }, r#"{"scope":{},"scope_schema_url":"u"}"#);
}

#[test]
fn values() {
    check_body(Any::Empty, "null");
    check_body(Any::Int(i64::MIN), "-9223372036854775808");
    check_body(Any::Double(0.1), "0.1");
    check_body(Any::Double(-0.0), "-0.0");
    check_body(Any::Double(1e300), "1e300");
    check_body(Any::Double(f64::NAN), "\"NaN\"");
    check_body(Any::Double(f64::INFINITY), "\"Infinity\"");
    check_body(Any::Double(f64::NEG_INFINITY), "\"-Infinity\"");
    check_body(Any::Bytes(vec![]), "\"\"");
    check_body(Any::Bytes(vec![0xFB]), "\"+w==\"");
    check_body(Any::Text(b"bad \xff\x1b".to_vec()), "\"bad \u{fffd}\\u001b\"");
    check_body(Any::Array(vec![]), "[]");
}

#[test]
fn a_repeated_key_keeps_its_last_value() {
    let kvlist = |members: &[(&[u8], i64)]| {
        Any::Kvlist(members.iter().map(|(key, value)| (key.to_vec(), Any::Int(*value))).collect())
    };
    check_body(kvlist(&[(b"a", 1), (b"b", 2), (b"a", 3), (b"c", 4), (b"b", 5), (b"a", 6)]), r#"{"c":4,"b":5,"a":6}"#);
    check_body(kvlist(&[(b"", 1), (b"", 2)]), r#"{"":2}"#);
    check_body(kvlist(&[(b"\xff", 1), (b"\xfe", 2), ("\u{fffd}".as_bytes(), 3)]), "{\"\u{fffd}\":3}");
    let inner = kvlist(&[(b"k", 1), (b"k", 2)]);
    let outer = Any::Kvlist(members([("x", inner.clone()), ("y", inner.clone()), ("x", inner)]));
    check_body(outer, r#"{"y":{"k":2},"x":{"k":2}}"#);
}

#[test]
fn repeated_keys_are_counted() {
    let sample = full();
    let (envelope, record) = (envelope(&sample), record(&sample));
    let mut encoder = Encoder::new(Encoding::Json);
    encoder.envelope(envelope.view(b""));
    for count in 1..=3 {
        encoder.record(RecordRef::new(b"", &record, &envelope));
        assert_eq!(encoder.repeated_keys(), count);
        let _ = encoder.finish();
    }
}

#[test]
fn many_members_collapse_like_few() {
    for distinct in [1, 63, 64, 65, 1000] {
        let keys =
            (0..3000).map(|it| (format!("common.prefix.{}.common.suffix", it % distinct).into_bytes(), Any::Int(it)));
        let out = Sample { attributes: keys.collect(), ..Sample::default() }.encode(Encoding::Json);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let read = read["attributes"].as_object().unwrap();
        assert_eq!(read.len() as i64, distinct);
        assert_eq!(String::from_utf8(out).unwrap().matches("common.prefix").count() as i64, distinct);
        assert!(read.values().all(|it| it.as_i64().unwrap() >= 3000 - distinct));
    }
}

fn plain(value: &Any) -> serde_json::Value {
    match value {
        Any::Empty => json!(null),
        Any::Bool(it) => json!(it),
        Any::Int(it) => json!(it),
        Any::Double(it) => json!(it),
        Any::Text(it) => json!(String::from_utf8_lossy(it)),
        Any::Bytes(it) => json!(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, it)),
        Any::Array(items) => items.iter().map(plain).collect(),
        Any::Kvlist(members) => object(members),
    }
}

fn object(members: &Members) -> serde_json::Value {
    let members = members.iter().map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), plain(value)));
    serde_json::Value::Object(members.collect::<Map<_, _>>())
}

fn keys(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => items.iter().map(keys).sum(),
        serde_json::Value::Object(members) => members.values().map(|it| 1 + keys(it)).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn a_parser_reads_the_values_back(sample in any_sample()) {
        let out = sample.encode(Encoding::Json);
        prop_assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1));
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let body = sample.body.as_ref().map(plain);
        prop_assert_eq!(read.get("body"), body.as_ref());
        let attributes = (!sample.attributes.is_empty()).then(|| object(&sample.attributes));
        prop_assert_eq!(read.get("attributes"), attributes.as_ref());
        let resource = sample.resource.as_ref().map(|it| object(&it.0));
        prop_assert_eq!(read.get("resource"), resource.as_ref());
        prop_assert_eq!(read.get("scope").is_some(), sample.scope.is_some());
        // What no map shows: a key that was written twice.
        prop_assert_eq!(keys(&read), serde_json::from_slice::<MemberCount>(&out).unwrap().0);
    }
}

/// Counts the members of all objects, repeated keys included.
struct MemberCount(usize);

impl<'de> serde::Deserialize<'de> for MemberCount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = MemberCount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<MemberCount, E> {
                Ok(MemberCount(0))
            }
            fn visit_bool<E>(self, _: bool) -> Result<MemberCount, E> {
                Ok(MemberCount(0))
            }
            fn visit_i64<E>(self, _: i64) -> Result<MemberCount, E> {
                Ok(MemberCount(0))
            }
            fn visit_u64<E>(self, _: u64) -> Result<MemberCount, E> {
                Ok(MemberCount(0))
            }
            fn visit_f64<E>(self, _: f64) -> Result<MemberCount, E> {
                Ok(MemberCount(0))
            }
            fn visit_str<E>(self, _: &str) -> Result<MemberCount, E> {
                Ok(MemberCount(0))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<MemberCount, A::Error> {
                let mut count = 0;
                while let Some(MemberCount(it)) = items.next_element()? {
                    count += it;
                }
                Ok(MemberCount(count))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<MemberCount, A::Error> {
                let mut count = 0;
                while let Some((_, MemberCount(it))) = map.next_entry::<String, _>()? {
                    count += 1 + it;
                }
                Ok(MemberCount(count))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
