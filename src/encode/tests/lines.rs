//! The two encodings that are text: `raw` and `pretty`.

use super::*;

fn check(encoding: Encoding, sample: &Sample, expected: &str) {
    assert_eq!(String::from_utf8(sample.encode(encoding)).unwrap(), format!("{expected}\n"));
}

#[test]
fn raw_is_the_body_on_one_line() {
    let raw = |body: Option<Any>, expected: &str| check(Encoding::Raw, &Sample { body, ..full() }, expected);
    raw(Some(text("[2026] \"GET / HTTP/1.1\" 200 \\ 日本")), "[2026] \"GET / HTTP/1.1\" 200 \\ 日本");
    raw(Some(text("two\nlines\u{85}\x1b[31m")), r"two\nlines\u0085\u001b[31m");
    raw(Some(Any::Int(7)), "7");
    raw(Some(Any::Kvlist(members([("k", text("v\n"))]))), r#"{"k":"v\n"}"#);
    raw(Some(Any::Empty), "null");
    raw(None, "");
}

#[test]
fn raw_keeps_bytes_that_are_not_text() {
    let body = Some(Any::Text(b"agent \xff\xe9 end".to_vec()));
    assert_eq!(Sample { body, ..Sample::default() }.encode(Encoding::Raw), b"agent \xff\xe9 end\n");
}

#[test]
fn pretty_is_for_people() {
    let sample = Sample {
        attributes: members([
            ("http.method", text("GET")),
            ("agent", text("my \"agent\"")),
            ("empty", text("")),
            ("equation", text("a=b")),
            ("status", Any::Int(200)),
            ("list", Any::Array(vec![Any::Bool(true)])),
            ("a key", Any::Empty),
        ]),
        ..full()
    };
    check(
        PRETTY,
        &sample,
        concat!(
            r#"2026-11-20T11:48:37.057Z INFO request a "line"\nand more http.method=GET agent="my \"agent\"" "#,
            r#"empty="" equation="a=b" status=200 list=[true] "a key"=null "#,
            r#"trace_id="000102030405060708090a0b0c0d0e0f" span_id="f0f1f2f3f4f5f6f7""#,
        ),
    );
    check(
        PRETTY,
        &Sample { observed: 1, severity: 18, body: Some(Any::Text(b"\x1b[2J \xff".to_vec())), ..Sample::default() },
        "1970-01-01T00:00:00.000000001Z ERROR \\u001b[2J \u{fffd}",
    );
}

/// An access log as it comes from a mesh.
fn access_log(attributes: Members) -> Sample {
    Sample {
        time: 1_795_175_317_057_934_000,
        severity: 17,
        body: Some(text("the line")),
        attributes,
        ..Sample::default()
    }
}

fn flags<const N: usize>(flags: [&str; N]) -> Any {
    Any::Array(flags.map(text).to_vec())
}

fn http() -> Members {
    members([
        ("http.request.method", text("GET")),
        ("url.path", text("/ok/path")),
        ("url.query", text("x=1")),
        ("http.response.status_code", Any::Int(503)),
        ("envoy.response_flags", flags(["UF", "XYZ"])),
        ("http.request.body.size", Any::Int(0)),
        ("http.response.body.size", Any::Int(9)),
        ("envoy.duration_ms", Any::Int(12)),
        ("kuma.source.service", text("web")),
        ("kuma.destination.service", text("backend")),
    ])
}

#[test]
fn pretty_shows_an_access_log_as_a_row() {
    check(
        PRETTY,
        &access_log(http()),
        "11:48:37.057  503  GET       /ok/path?x=1                              web → backend                   \
         \x20  12ms  ↑0B ↓9B          UF upstream connection failure, XYZ",
    );
    // Columns stand where they stand, whatever the client sent.
    let long = format!("/{}", "p\u{1b}".repeat(40_000));
    let mut attributes = http();
    attributes[1].1 = text(&long);
    attributes[4].1 = flags([]);
    check(
        PRETTY,
        &access_log(attributes),
        r"11:48:37.057  503  GET       /p\u001bp\u001bp\u001bp\u001bp\u001bp\u…  web → backend                      12ms  ↑0B ↓9B",
    );
    let tcp = members([
        ("envoy.response_flags", flags([])),
        ("kuma.source.service", text("unknown")),
        ("client.address", text("10.42.0.7")),
        ("kuma.destination.service", text("redis")),
        ("envoy.upstream.address", text("fd00::1")),
        ("envoy.upstream.port", Any::Int(6379)),
        ("envoy.duration_ms", Any::Int(14_004)),
        ("envoy.bytes_received", Any::Int(194)),
        ("envoy.bytes_sent", Any::Int(6_195)),
        ("logboom.truncated", Any::Bool(true)),
    ]);
    check(
        PRETTY,
        &access_log(tcp),
        &format!(
            "11:48:37.057  TCP  {:<82}    14.0s  ↑194B ↓6.1kB     line truncated",
            "10.42.0.7 → redis [fd00::1]:6379"
        ),
    );
    check(
        PRETTY,
        &access_log(members([("http.request.method", text("GET")), ("envoy.duration_ms", Any::Int(-4))])),
        &format!("11:48:37.057  ---  GET       {:<40}  {:<30}     -4ms", "-", "- → -"),
    );
}

#[test]
fn colours_are_the_only_difference() {
    let coloured = access_log(http()).encode(Encoding::Pretty { colour: true });
    assert!(coloured.windows(8).any(|it| it == b"\x1b[31m503"), "{}", String::from_utf8_lossy(&coloured));
    assert_eq!(without_colours(&coloured), access_log(http()).encode(PRETTY));
}

/// What is left without the sequences the encoder may write.
fn without_colours(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    for sequence in ["0", "1", "2", "31", "32", "33", "36"] {
        text = text.replace(&format!("\x1b[{sequence}m"), "");
    }
    text.into_bytes()
}

prop_compose! {
    fn any_access_log()(sample in any_sample(), values in proptest::collection::vec(any_value(), 10)) -> Sample {
        let attributes = http().into_iter().zip(values).map(|((key, known), value)| match (known, value) {
            // The type the columns look at, or anything at all.
            (Any::Text(_), Any::Bytes(it)) => (key, Any::Text(it)),
            (Any::Array(_), value @ Any::Text(_)) => (key, Any::Array(vec![value])),
            (_, value) => (key, value),
        });
        Sample { attributes: attributes.collect(), ..sample }
    }
}

proptest! {
    #[test]
    fn nothing_a_client_sent_looks_like_a_colour(sample in any_access_log()) {
        let plain = sample.encode(PRETTY);
        prop_assert!(plain[..plain.len() - 1].iter().all(|byte| *byte >= 0x20 && *byte != 0x7F));
        prop_assert_eq!(without_colours(&sample.encode(Encoding::Pretty { colour: true })), plain);
    }

    #[test]
    fn no_control_reaches_a_terminal(sample in any_sample()) {
        for encoding in [Encoding::Raw, PRETTY, Encoding::Json, Encoding::OtlpJson] {
            let mut out = sample.encode(encoding);
            prop_assert_eq!(out.pop(), Some(b'\n'));
            prop_assert!(out.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F));
            let text = String::from_utf8_lossy(&out);
            let control = text.chars().find(|it| matches!(it, '\u{80}'..='\u{9F}' | '\u{2028}'..='\u{202E}'));
            prop_assert_eq!(control, None);
            if encoding != Encoding::Raw {
                prop_assert!(std::str::from_utf8(&out).is_ok());
            }
        }
    }
}
