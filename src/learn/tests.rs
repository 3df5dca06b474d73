use super::*;

#[track_caller]
fn check(lines: &[&str], expected: &[&str]) {
    let got: Vec<String> = propose(lines).into_iter().map(|it| it.format).collect();
    assert_eq!(got, expected);
}

#[test]
fn separators_make_columns_and_shapes_name_them() {
    check(
        &[
            "1795175317.057934|2026/11/20T11:48:37+0000|GET|/a|-|curl/8 x|OUTBOUND",
            "1795175318.057934|2026/11/20T11:48:38+0000|PUT|/b?c=d|UF|Mozilla/5.0 (y z)|INBOUND",
        ],
        &["%START_TIME(%s.%6f)%|%START_TIME(%Y/%m/%dT%H:%M:%S%z)%|%REQ(:METHOD)%|\
           %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%|%RESPONSE_FLAGS%|%REQ(USER-AGENT)%|%KUMA_TRAFFIC_DIRECTION%"],
    );
}

#[test]
fn words_in_front_name_values() {
    check(
        &[
            "method=GET path=/a status=200 took=12ms from=web to=api note=\"a b\" ",
            "method=POST path=/b status=503 took=7ms from=shop to=db note=\"c\" ",
        ],
        &["method=%REQ(:METHOD)% path=%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% status=%RESPONSE_CODE% took=%DURATION%ms \
           from=%KUMA_SOURCE_SERVICE% to=%KUMA_DESTINATION_SERVICE% note=\"%REQ(X-FIELD-1)%\" "],
    );
}

/// Scenario: a word in front of values names an operator that does not write such values.
/// Guarantee: the slot is a place holder, so that the format reads the lines.
#[test]
fn words_do_not_name_what_does_not_fit() {
    let rest = "GET /a 200 HTTP/1.1";
    for (a, b, slot) in [
        ("bytes=3/0", "bytes=14/2", "bytes=%REQ(X-FIELD-1)%"),
        ("duration=0.1", "duration=2.25", "duration=%REQ(X-FIELD-1)%"),
        ("duration=1.5ms", "duration=0.3ms", "duration=%REQ(X-FIELD-1)%ms"),
        ("duration=1ms", "duration=3ms", "duration=%DURATION%ms"),
        ("bytes=-", "bytes=7", "bytes=%BYTES_SENT%"),
        ("flags=a1", "flags=b2", "flags=%REQ(X-FIELD-1)%"),
        ("flags=UF", "flags=-", "flags=%RESPONSE_FLAGS%"),
        ("flags=UpstreamOverflow", "flags=NoRouteFound", "flags=%RESPONSE_FLAGS_LONG%"),
        ("INFO", "WARN", "%REQ(X-FIELD-1)%"),
        ("UF,URX", "DC", "%RESPONSE_FLAGS%"),
        ("proto=tcp", "proto=udp", "proto=%REQ(X-FIELD-1)%"),
    ] {
        check(
            &[&format!("{rest} {a}"), &format!("{rest} {b}")],
            &[&format!("%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %PROTOCOL% {slot}")],
        );
    }
}

#[test]
fn keys_are_enough_for_a_format() {
    check(
        &["2026-11-20T11:48:37.057Z bytes=3/0 note", "2026-11-20T11:48:38.057Z bytes=4/1 other"],
        &["%START_TIME% bytes=%REQ(X-FIELD-1)% %REQ(X-FIELD-2)%"],
    );
    check(&["bytes=3/0 note", "bytes=4/1 other"], &[]);
}
