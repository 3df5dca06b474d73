//! What is read in one pass is what is read otherwise.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Format, Places, presets};
use crate::record::{Tree, Value};
use crate::semantics::{Fields, Target};

const OWN: [&str; 7] = [
    r#"%RESPONSE_CODE_DETAILS% "%REQ(A)%" "%DURATION%" "%REQ(:PATH):9%" "%UPSTREAM_HOST%""#,
    r#""%START_TIME(%s.%3f)%" %REQ(:METHOD):5% ""x" "%REQ(X-B3-TRACEID)%" "%REQ(:METHOD)%"!"#,
    r#"%START_TIME(%Y"%m)% "%REQ(X)%""#,
    r#"%RESPONSE_FLAGS% %DURATION%|%KUMA_MESH% a literal that is long %REQ(:PATH)% "%PROTOCOL%" b"#,
    r#"%RESPONSE_CODE_DETAILS% %REQ(:PATH)% %BYTES_SENT% x"#,
    r#"%START_TIME(%Y-%m-%dT%H:%M:%S)%.934Z "%REQ(:PATH)%""#,
    r#"%START_TIME% "%REQ(:PATH)%" "%REQ(:METHOD)%" %REQ(A)% "%REQ(B)%""#,
];

/// Which of all formats are read in one pass.
const ARE_QUICK: [bool; 12] = [true, true, true, true, false, true, false, false, true, true, true, false];

fn formats() -> Vec<Format> {
    let presets = [presets::kuma_http(), presets::kuma_http_documented(), presets::kuma_tcp(), presets::envoy()];
    let own = OWN.iter().map(|text| Format::compile_with_trace_id(text));
    presets.into_iter().chain([presets::istio()]).chain(own).map(Result::unwrap).collect()
}

fn value() -> impl Strategy<Value = String> {
    let known = [
        "-",
        "",
        "a",
        "GET",
        "default",
        "HTTP/1.1",
        "a b",
        "a\"b",
        "é",
        "a!b~c",
        "a;b",
        "a\u{7f}b",
        "UF,URX",
        "\n",
        "200",
        "0",
        "-7",
        "12345678",
        "123456789012345678",
        "9223372036854775807",
        "9223372036854775808",
        "10.42.0.4:8080",
        "[::1]:80",
        "0af7651916cd43dd8448eb211c80319c",
        "0AF7651916cd43dd",
        "0af7651916cd43d",
        "2026-11-20T11:46:21.934Z",
        "2026-11-20T11:46:21.935Z",
        "2400-11-20T11:46:21.934Z",
        "1970-01-01T00:00:00.001Z",
        "1779277581.934",
        "2026-11-20T11:46:21.934",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0.123Z",
    ];
    prop_oneof![
        9 => select(known.to_vec()).prop_map(str::to_owned),
        2 => "[a-z!]{20,100}",
        1 => "[ -~]{0,70}",
    ]
}

/// A line of a format, mostly, with values that seldom fit.
fn line(format: &Format, values: &[String], fits: &[bool]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    format.render(
        |slot, out| {
            let text = match (&slot.target, slot.operator.as_str()) {
                _ if !fits[at] => values[at].as_str(),
                (_, "START_TIME") if slot.params.is_none() => "2026-11-20T11:46:21.934Z",
                (_, "REQ") if slot.params.as_deref().is_some_and(|it| it.contains("B3")) => "-",
                (_, "START_TIME") if slot.params.as_deref() == Some("%Y-%m-%dT%H:%M:%S") => "2026-11-20T11:46:21",
                (_, "START_TIME") => "1779277581.934",
                _ => ["7", "-"][values[at].len() % 2],
            };
            at += 1;
            out.extend_from_slice(text.as_bytes());
        },
        &mut out,
    );
    out
}

proptest! {
    #[test]
    fn one_pass_reads_what_the_matcher_reads(
        number in 0..formats().len(),
        other in 0..formats().len(),
        values in proptest::collection::vec(value(), 40),
        fits in proptest::collection::vec(prop::bool::weighted(0.85), 40),
        change in proptest::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        behind in prop_oneof![Just(String::new()), "[ -~]{0,90}", Just("\n".repeat(50)), Just("\"\n[20".repeat(20))],
    ) {
        let formats = formats();
        let mut slow = formats[number].clone();
        slow.matcher.read_only_slowly();
        let mut places = Places::default();
        // What another line left behind does not count.
        for from in [other, number] {
            let mut payload = b"before".to_vec();
            payload.extend(line(&formats[from], &values, &fits));
            let (start, end) = (6, payload.len());
            payload.extend_from_slice(behind.as_bytes());
            if let Some((at, byte)) = change {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            let keys = slow.keep(&mut Tree::default());
            let (mut quickly, mut slowly) = (Fields::default(), Fields::default());
            let mut slow_places = Places::default();
            let read = formats[number].read(&payload, start, end, &keys, &mut places, &mut quickly);
            prop_assert_eq!(read, slow.read(&payload, start, end, &keys, &mut slow_places, &mut slowly));
            let fields = |fields: &Fields| -> Vec<Option<Value>> {
                let slots = slow.slots().iter();
                let known = slots.filter_map(|it| if let Target::Field(field) = it.target { Some(field) } else { None });
                known.map(|field| fields.get(field)).collect()
            };
            prop_assert_eq!(fields(&quickly), fields(&slowly));
            prop_assert_eq!(quickly.others(), slowly.others());
            if let super::super::Reading::No { .. } = read {
                prop_assert!(quickly.is_empty());
                continue;
            }
            prop_assert!(places.slots().eq(slow_places.slots()));
            if places.by_quotes {
                let line = &payload[start..end];
                let all: Vec<u32> = line.iter().zip(0..).filter(|it| *it.0 == b'"').map(|it| it.1).collect();
                prop_assert_eq!(places.quotes.places(), &all[..]);
            }
        }
    }
}

#[test]
fn formats_with_a_quote_behind_each_text_are_read_in_one_pass() {
    for (format, is_quick) in formats().iter().zip(ARE_QUICK) {
        let fits = [true; 40];
        let text = line(format, &vec![String::new(); 40], &fits);
        for behind in [0, 100] {
            let payload = [&text[..], &vec![b'x'; behind][..]].concat();
            let (mut places, mut fields) = (Places::default(), Fields::default());
            let keys = format.keep(&mut Tree::default());
            let _read = format.read(&payload, 0, text.len(), &keys, &mut places, &mut fields);
            assert_eq!(places.by_quotes, is_quick, "{}", format.text());
        }
    }
}
