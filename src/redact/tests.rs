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
    let settings = LineSettings {
        reader: &READER,
        peer_address: Some("10.1.2.3"),
        peer_port: Some(5),
        observed_unix_nano: 1,
        redactor,
    };
    let mut written = Written(Encoder::new(encoding));
    line::decode(line, &[], &settings, &mut Scratch::default(), &mut written);
    written.0.finish()
}

/// The body as encoding `raw` writes it.
fn body(line: &str, expected: &str) {
    let got = written(line.as_bytes(), Encoding::Raw, Some(&redactor()));
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
    body(r#"{"Authorization":"Bearer abcd","b":"Bearer abcd!"}"#, r#"{"Authorization":"REDACTED","b":"REDACTED!"}"#);
    body(r#"{"x_api_key":"a\"b\u0026c"}"#, r#"{"x_api_key":"REDACTED"}"#);
    body(r#"{"x-api-key":["k1234","abc"]}"#, r#"{"x-api-key":["REDACTED","abc"]}"#);
    body(r#"{"x-api-key":1234567}"#, r#"{"x-api-key":REDACTED}"#);
    body(r#"{"x-api-key":1.5}"#, "REDACTED");
    body(r#"{"other":"Bearer abcd"}"#, r#"{"other":"Bearer abcd"}"#);
    let many: Vec<String> = (0..40).map(|it| format!("\"x-api-key\":\"secret{it}\"")).collect();
    body(&format!("{{{}}}", many.join(",")), "REDACTED");
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
    let changed = redactor().apply(raw.as_bytes(), &mut record);
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
    attribute("other", "10.0.0.9", "10.0.0.9");
}

/// Guarantee: time is linear; were it not, this would take hours.
#[test]
fn a_megabyte_of_anything_ends() {
    let redactor = redactor();
    for part in ["?token=", "?%74", "1.", "::", "a:", "\"x-api-key\":\"aaaa\",", "\\u0026", "&&&&", "10.0.0.1:"] {
        for start in ["", "{", "{\"x-api-key\":\"aaaa\",\"b\":\""] {
            let line = format!("{start}{}", part.repeat((1 << 20) / part.len()));
            assert!(written(line.as_bytes(), Encoding::Raw, Some(&redactor)).ends_with(b"\n"));
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
        before in "[a-z?&=/ ]{0,10}",
        after in prop_oneof![Just(""), Just("&b=1"), Just("#x"), Just(" x"), Just("\" x")],
        escaped in any::<bool>(),
    ) {
        let redactor = redactor();
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
            headers: vec!["something-else".to_owned()],
            mask_ip: false,
        }).unwrap();
        for encoding in ENCODINGS {
            let got = written(line.as_bytes(), encoding, Some(&unrelated));
            prop_assert_eq!(got, written(line.as_bytes(), encoding, None));
        }
    }

    #[test]
    fn any_address_is_masked(address: std::net::Ipv4Addr, six: std::net::Ipv6Addr, port: u16) {
        let [a, b, c, _] = address.octets();
        let got = written(format!("x {address}:{port} [{six}]:{port} y").as_bytes(), Encoding::Raw, Some(&redactor()));
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
