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
        Encoding::Pretty,
        &sample,
        concat!(
            r#"2026-11-20T11:48:37.057Z INFO request a "line"\nand more http.method=GET agent="my \"agent\"" "#,
            r#"empty="" equation="a=b" status=200 list=[true] "a key"=null "#,
            r#"trace_id="000102030405060708090a0b0c0d0e0f" span_id="f0f1f2f3f4f5f6f7""#,
        ),
    );
    check(
        Encoding::Pretty,
        &Sample { observed: 1, severity: 18, body: Some(Any::Text(b"\x1b[2J \xff".to_vec())), ..Sample::default() },
        "1970-01-01T00:00:00.000000001Z ERROR \\u001b[2J \u{fffd}",
    );
}

proptest! {
    #[test]
    fn no_control_reaches_a_terminal(sample in any_sample()) {
        for encoding in [Encoding::Raw, Encoding::Pretty, Encoding::Json, Encoding::OtlpJson] {
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
