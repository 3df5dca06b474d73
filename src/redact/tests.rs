use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::decode::line::{self, LineSettings};
use crate::decode::reader::{NamedFormat, Origin, Reader};
use crate::decode::{Scratch, Visitor};
use crate::encode::{Encoder, Encoding};
use crate::record::{EnvelopeRef, RecordRef, Span};

static READER: LazyLock<Reader> = LazyLock::new(|| Reader::compile(&NamedFormat::Auto.into(), Origin::Lines).unwrap());

fn redactor() -> Redactor {
    Redactor::new(&RedactConfig {
        query: vec!["token".to_owned(), "API_key".to_owned()],
        headers: vec!["authorization".to_owned(), "x-api-key".to_owned()],
        mask_ip: true,
    })
    .unwrap()
}

/// As above without headers, for which texts need not be understood.
fn of_texts() -> Redactor {
    let query = vec!["token".to_owned(), "API_key".to_owned()];
    Redactor::new(&RedactConfig { query, headers: Vec::new(), mask_ip: true }).unwrap()
}

fn of_headers(headers: &[&str]) -> Redactor {
    let headers = headers.iter().map(|it| (*it).to_owned()).collect();
    Redactor::new(&RedactConfig { headers, ..RedactConfig::default() }).unwrap()
}

/// Encodes whatever it sees.
struct Written(Encoder);

impl Visitor for Written {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.0.envelope(envelope);
    }

    fn record(&mut self, record: RecordRef<'_>) -> std::ops::ControlFlow<()> {
        self.0.record(record);
        std::ops::ControlFlow::Continue(())
    }
}

/// A line as it is written, with or without redaction.
fn written(line: &[u8], encoding: Encoding, redactor: Option<&Redactor>) -> Vec<u8> {
    read(&READER, line, encoding, redactor)
}

fn read(reader: &Reader, line: &[u8], encoding: Encoding, redactor: Option<&Redactor>) -> Vec<u8> {
    let settings =
        LineSettings { reader, peer_address: Some("10.1.2.3"), peer_port: Some(5), observed_unix_nano: 1, redactor };
    let mut written = Written(Encoder::new(encoding));
    line::decode(line, &[], &settings, &mut Scratch::default(), &mut written);
    written.0.finish()
}

/// The body as encoding `raw` writes it.
fn body(line: &str, expected: &str) {
    body_by(&of_texts(), line, expected);
}

fn body_by(redactor: &Redactor, line: &str, expected: &str) {
    let got = written(line.as_bytes(), Encoding::Raw, Some(redactor));
    assert_eq!(String::from_utf8_lossy(&got), format!("{expected}\n"), "{line}");
}

#[test]
fn query_parameters_in_the_body() {
    body("GET /a?token=s3cret&b=1 x", "GET /a?token=REDACTED&b=1 x");
    body("\"GET /a?b=1&TOKEN=s3cret\" 200", "\"GET /a?b=1&TOKEN=REDACTED\" 200");
    body("/a?%74oken=s3cret#x", "/a?%74oken=REDACTED#x");
    body("/a?%54%4fken=s3cret", "/a?%54%4fken=REDACTED");
    body("/a?api_key=1&token=2", "/a?api_key=REDACTED&token=REDACTED");
    body("/a?token=a?token=b", "/a?token=REDACTED");
    body("/a?token=&b=1", "/a?token=&b=1");
    body("/a?mytoken=1&tokens=2&token", "/a?mytoken=1&tokens=2&token");
    body("token=1", "token=1");
    body("/a?%7=1&%zz=1&%74oke%6e=x", "/a?%7=1&%zz=1&%74oke%6e=REDACTED");
    body("{\"p\":\"/a?b=1\\u0026token=s\\\"x\"}", "{\"p\":\"/a?b=1\\u0026token=REDACTED\\\"x\"}");
    body("{\"p\":\"/a?token=s\\u003cx\\u0026b=2\"}", "{\"p\":\"/a?token=REDACTED\\u0026b=2\"}");
    body("{broken \\u00 ?token=s\\ud83d\\ude00z", "{broken \\u00 ?token=REDACTED");
}

#[test]
fn headers_in_json() {
    body_by(
        &redactor(),
        r#"{"Authorization":"Bearer abcd","b":"Bearer abcd!"}"#,
        r#"{"Authorization":"REDACTED","b":"REDACTED!"}"#,
    );
    body_by(&redactor(), r#"{"x_api_key":"a\"b\u0026c"}"#, r#"{"x_api_key":"REDACTED"}"#);
    body_by(&redactor(), r#"{"x-api-key":["k1234","abc"]}"#, r#"{"x-api-key":["REDACTED","abc"]}"#);
    body_by(&redactor(), r#"{"x-api-key":1234567}"#, r#"{"x-api-key":REDACTED}"#);
    body_by(&redactor(), r#"{"x-api-key":1.5}"#, "REDACTED");
    body_by(&redactor(), r#"{"other":"Bearer abcd"}"#, r#"{"other":"Bearer abcd"}"#);
    let many: Vec<String> = (0..40).map(|it| format!("\"x-api-key\":\"secret{it}\"")).collect();
    body_by(&redactor(), &format!("{{{}}}", many.join(",")), "REDACTED");
}

const KUMA: &str = "[2026-11-20T11:46:21.934Z] mesh \"POST /SECRETPATH?SECRETQUERY=1 HTTP/1.1\" 200 - 10 20 30 12 \
    \"SECRETCLIENT, 203.0.113.77\" \"SECRETAGENT/1\" \"834c687a3ACB62661122334455667788\" \"SECRETID\" \"SECRETHOST:8080\" \
    \"from\" \"to\" \"10.0.0.1\" \"10.0.0.2:80\"";

/// Headers that have attributes of other names, in Kuma's default format and as JSON.
#[test]
fn headers_with_attributes_of_other_names() {
    let json = |key: &str, value: &str| {
        format!(
            "{{\"start_time\":\"x\",\"response_code\":200,\"kuma_mesh\":\"m\",\"{key}\":\"{value}\",\"y\":\"{value}\"}}"
        )
    };
    let hex = "834c687a3ACB62661122334455667788";
    let parent = "00-834c687a3acb62661122334455667788-0102030405060708-01";
    for (headers, secrets, others) in [
        (&["user-agent", "User_Agent"][..], &["SECRETAGENT"][..], &["user_agent", "user-agent", "http.user_agent"][..]),
        (&["x-request-id"], &["SECRETID"], &["request_id", "x_request_id", "x-request-id", "X-Request-Id"]),
        (&[":authority", "Host", "authority"], &["SECRETHOST"], &["authority", ":authority", "server.address", "host"]),
        (&["x-forwarded-for"], &["SECRETCLIENT"], &["x_forwarded_for", "x-forwarded-for", "client.address"]),
        (&[":path", "X-Envoy-Original-Path"], &["SECRETPATH", "SECRETQUERY"], &["path", ":path", "http.target"]),
        (&["x-b3-traceid", "x-datadog-trace-id"], &[hex], &["x_b3_traceid", "x-b3-traceid"]),
        (&["traceparent"], &[parent], &["traceparent"]),
    ] {
        for header in headers {
            let redactor = of_headers(&[*header]);
            let holds_any = |line: &str, encoding| {
                let got = written(line.as_bytes(), encoding, Some(&redactor));
                secrets.iter().any(|it| holds(&got, it))
            };
            for encoding in ENCODINGS {
                assert!(!written(KUMA.as_bytes(), encoding, None).is_empty());
                assert!(!holds_any(KUMA, encoding), "{header} {encoding:?}");
                for (key, secret) in others.iter().flat_map(|key| secrets.iter().map(move |it| (key, it))) {
                    let line = json(key, secret);
                    assert!(!holds_any(&line, encoding), "{header} {encoding:?} {line}");
                }
            }
        }
    }
    // A line that begins like JSON is none.
    let escapes = KUMA.replace("SECRETAGENT/1", "SECRET\\fAGENT\\");
    let got = written(escapes.as_bytes(), Encoding::Raw, Some(&of_headers(&["user-agent"])));
    assert_eq!(String::from_utf8(got).unwrap(), format!("{}\n", KUMA.replace("SECRETAGENT/1", "REDACTED")));
    // Nothing but what was asked for.
    let got = written(KUMA.as_bytes(), Encoding::Raw, Some(&of_headers(&["user-agent"])));
    assert_eq!(String::from_utf8(got).unwrap(), format!("{}\n", KUMA.replace("SECRETAGENT/1", "REDACTED")));
    let got = written(KUMA.as_bytes(), Encoding::Json, Some(&of_headers(&["x-b3-traceid"])));
    assert!(holds(&got, "\"834c687a3acb62661122334455667788\""), "{}", String::from_utf8_lossy(&got));
}

/// `forged` has quotes in a value a client sends: it can be read in several ways.
#[test]
fn what_is_not_understood_is_taken_out_as_a_whole() {
    let forged = KUMA.replace("SECRETAGENT/1", "a\" \"b\" \"c\" \"SECRETAGENT");
    let redactor = of_headers(&["user-agent"]);
    for line in [&*forged, &KUMA[1..], "agent=SECRETAGENT", "{\"user-agent\":\"SECRETAGENT\"", "[\"SECRETAGENT\"]"] {
        body_by(&redactor, line, "REDACTED");
        for encoding in ENCODINGS {
            let got = written(line.as_bytes(), encoding, Some(&redactor));
            assert!(!holds(&got, "SECRETAGENT"), "{encoding:?} {}", String::from_utf8_lossy(&got));
        }
    }
    for same in ["null", "tcp", "{\"a\":\"b\"}", "{}"] {
        body_by(&redactor, same, same);
    }
    let raw = Reader::compile(&NamedFormat::Raw.into(), Origin::Lines).unwrap();
    let by_raw = |line: &str| String::from_utf8(read(&raw, line.as_bytes(), Encoding::Raw, Some(&redactor))).unwrap();
    assert_eq!(by_raw(KUMA), "REDACTED\n");
    assert_eq!(by_raw("{\"user_agent\":\"SECRET\",\"b\":1}"), "{\"user_agent\":\"REDACTED\",\"b\":1}\n");
}

/// Guarantee: a value of a JSON object that is a format itself, and fits in several ways, hides nothing.
#[test]
fn a_member_that_could_not_be_taken_apart() {
    let setting: crate::decode::reader::FormatSetting =
        serde_json::from_str(r#"{"type":"Json","json":[{"key":"both","value":"%REQ(X-A)% %REQ(X-B)%"}]}"#).unwrap();
    let reader = Reader::compile(&setting, Origin::Lines).unwrap();
    let redactor = of_headers(&["x-a"]);
    for encoding in ENCODINGS {
        let got = read(&reader, b"{\"both\":\"SECRET SECRET SECRET\"}", encoding, Some(&redactor));
        assert!(!holds(&got, "SECRET"), "{encoding:?} {}", String::from_utf8_lossy(&got));
    }
}

#[test]
fn addresses_in_the_body() {
    body("10.0.0.1:8080 -> [2001:db8:1:2::3]:443", "10.0.0.0:8080 -> [2001:db8:1::]:443");
    body("from 192.168.1.77, 10.9.8.7.", "from 192.168.1.0, 10.9.8.0.");
    body("10.42.1.5(web)->10.42.1.9:6379(redis)", "10.42.1.0(web)->10.42.1.0:6379(redis)");
    body("::ffff:10.0.0.7 fe80::1%eth0 dead:beef:1::1.", "::ffff:10.0.0.0 fe80::%eth0 dead:beef:1::.");
    for same in [
        "HTTP/1.1 1.2.3 v1.2.3.4 1.2.3.4.5 300.1.1.1",
        "[2026-11-20T11:46:21.934Z] 12:34:56 +00:00",
        "std::vec::Vec a::b::c ::",
        "Chrome/120.0.0.0 Safari/537.36",
        "1.2.3.4x x1.2.3.4 8f14e45f-ceea-467f-a8b7-2f3d",
    ] {
        body(same, same);
    }
}

fn attribute(key: &str, value: &str, expected: &str) {
    let raw = format!("{key}{value}");
    let mut record = Record::default();
    record.tree.push(Span::raw(0, key.len()), Value::Text(Span::raw(key.len(), raw.len())));
    record.attributes = Range { start: 0, end: record.tree.position() };
    let changed = redactor().apply(raw.as_bytes(), &mut record, Understood::Entirely);
    let envelope = crate::record::Envelope::default();
    let view = RecordRef::new(raw.as_bytes(), &record, &envelope);
    let Some(crate::record::ValueRef::Text(got)) = view.attributes().get(key.as_bytes()) else { panic!("no text") };
    assert_eq!(String::from_utf8_lossy(got), expected, "{key}: {value}");
    assert_eq!(changed, value != expected, "{key}: {value}");
}

#[test]
fn attributes() {
    attribute("url.query", "token=1&b=2", "token=REDACTED&b=2");
    attribute("url.full", "token=1&b=2", "token=1&b=2");
    attribute("url.full", "http://a/?token=1", "http://a/?token=REDACTED");
    attribute("http.request.header.referer", "http://a/?b=1&api_key=%22", "http://a/?b=1&api_key=REDACTED");
    attribute("http.request.header.authorization", "x", "REDACTED");
    attribute("http.response.header.X-Api-Key", "abcd", "REDACTED");
    attribute("http.request.header.cookie", "abcd", "abcd");
    attribute("client.address", "10.0.0.9", "10.0.0.0");
    attribute("kuma.source.address", "2001:db8::9", "2001:db8::");
    attribute("http.request.header.x-forwarded-for", "10.0.0.9, 192.0.2.1", "10.0.0.0, 192.0.2.0");
    attribute("envoy.downstream_remote_address", "10.0.0.9:4711", "10.0.0.0:4711");
    attribute("client_ip", "10.0.0.9", "10.0.0.0");
    attribute("note", "from [2001:db8::9]:5 on", "from [2001:db8::]:5 on");
    attribute("note", "1.2.3", "1.2.3");
}

/// Guarantee: time is linear; were it not, this would take hours.
#[test]
fn a_megabyte_of_anything_ends() {
    let (of_texts, all) = (of_texts(), of_headers(&["x-api-key", "traceparent"]));
    for part in ["?token=", "?%74", "1.", "::", "a:", "\"x-api-key\":\"aaaa\",", "\\u0026", "&&&&", "10.0.0.1:"] {
        for start in ["", "{", "{\"x-api-key\":\"aaaa\",\"b\":\""] {
            let line = format!("{start}{}", part.repeat((1 << 20) / part.len()));
            for redactor in [&of_texts, &all] {
                assert!(written(line.as_bytes(), Encoding::Raw, Some(redactor)).ends_with(b"\n"));
            }
        }
    }
}

#[test]
fn nothing_to_do_is_no_redactor() {
    assert!(Redactor::new(&RedactConfig::default()).is_none());
}

const ENCODINGS: [Encoding; 4] = [Encoding::Raw, Encoding::Json, Encoding::OtlpJson, Encoding::Otlp];

fn holds(bytes: &[u8], secret: &str) -> bool {
    memchr::memmem::find(bytes, secret.as_bytes()).is_some()
}

proptest! {
    #[test]
    fn no_secret_survives(
        secret in "SECRET[a-zA-Z0-9/+.<>'\u{e9}\\\\]{0,12}END",
        name in prop_oneof![Just("token"), Just("TOKEN"), Just("%74oken"), Just("api_key")],
        header in prop_oneof![Just("authorization"), Just("Authorization"), Just("X_API_KEY")],
        canonical in prop_oneof![
            Just("user_agent"), Just("user-agent"), Just("request_id"), Just("authority"), Just("x_forwarded_for"),
            Just("path"), Just(":path"), Just("traceparent"), Just("x-b3-traceid"),
        ],
        before in "[a-z?&=/ ]{0,10}",
        after in prop_oneof![Just(""), Just("&b=1"), Just("#x"), Just(" x"), Just("\" x")],
        escaped in any::<bool>(),
    ) {
        let headers = [
            "authorization", "x-api-key", "user-agent", "x-request-id", "host", "x-forwarded-for", ":path", "traceparent",
            "x-b3-traceid",
        ];
        let redactor = Redactor::new(&RedactConfig {
            query: vec!["token".to_owned(), "API_key".to_owned()],
            headers: headers.map(str::to_owned).to_vec(),
            mask_ip: true,
        }).unwrap();
        let path = format!("{before}?{name}={secret}{after}");
        let json = |it: &str| {
            let text = serde_json::to_string(it).unwrap();
            // As Go writes it.
            if escaped { text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e") } else { text }
        };
        let lines = [
            path.clone(),
            format!("{{\"path\":{},\"n\":{{\"deep\":[{}]}}}}", json(&path), json(&path)),
            format!("{{\"{header}\":{0},\"again\":{0}}}", json(&secret)),
            format!("{{\"{header}\":[{}],\"again\":\"x\"}}", json(&secret)),
            KUMA.replace("SECRETAGENT", &secret),
            format!("{{\"start_time\":\"x\",\"response_code\":200,\"kuma_mesh\":\"m\",\"{canonical}\":{0},\"y\":{0}}}", json(&secret)),
        ];
        for line in &lines {
            for encoding in ENCODINGS {
                let got = written(line.as_bytes(), encoding, Some(&redactor));
                prop_assert!(!holds(&got, "SECRET") && !holds(&got, "END"), "{}: {}", line, String::from_utf8_lossy(&got));
            }
        }
    }

    #[test]
    fn nothing_else_changes(line in "[a-z0-9?&=./:\"{},\\\\ -]{0,60}") {
        let unrelated = Redactor::new(&RedactConfig {
            query: vec!["SOMETHING_ELSE".to_owned()],
            headers: Vec::new(),
            mask_ip: false,
        }).unwrap();
        for encoding in ENCODINGS {
            let got = written(line.as_bytes(), encoding, Some(&unrelated));
            prop_assert_eq!(got, written(line.as_bytes(), encoding, None));
        }
        let object = serde_json::json!({ "a": line }).to_string();
        let got = written(object.as_bytes(), Encoding::Json, Some(&of_headers(&["something-else"])));
        prop_assert_eq!(got, written(object.as_bytes(), Encoding::Json, None));
    }

    #[test]
    fn any_address_is_masked(address: std::net::Ipv4Addr, six: std::net::Ipv6Addr, port: u16) {
        let [a, b, c, _] = address.octets();
        let got = written(format!("x {address}:{port} [{six}]:{port} y").as_bytes(), Encoding::Raw, Some(&of_texts()));
        let [d, e, f, ..] = six.segments();
let masked = match six.to_ipv4_mapped().map(|it| it.octets()) {
            Some([a, b, c, _]) => std::net::Ipv4Addr::new(a, b, c, 0).to_ipv6_mapped(),
            None => std::net::Ipv6Addr::new(d, e, f, 0, 0, 0, 0, 0),
        };
        prop_assert_eq!(String::from_utf8(got).unwrap(), format!("x {a}.{b}.{c}.0:{port} [{masked}]:{port} y\n"));
    }

    #[test]
    fn any_bytes_are_taken(line in proptest::collection::vec(any::<u8>(), 0..200), start in "[{ ?\"]{0,2}") {
        let line = [start.as_bytes(), &line].concat();
        for encoding in ENCODINGS {
            let _ = written(&line, encoding, Some(&redactor()));
        }
    }

    #[test]
    fn twice_is_once(line in "[a-c0-9?&=./:\"{}tokn -]{0,60}") {
        let once = written(line.as_bytes(), Encoding::Raw, Some(&redactor()));
        prop_assert_eq!(&written(&once, Encoding::Raw, Some(&redactor())), &once);
    }
}
