//! Lines as an attacker would like them, written by hand.

use super::said::{Part, Said};

/// A request with nothing odd about it.
pub fn ordinary() -> Said {
    let texts = [
        (Part::StartTime, "2026-11-20T11:48:37.057Z"),
        (Part::Mesh, "default"),
        (Part::Method, "GET"),
        (Part::Path, "/ok?x=1"),
        (Part::Protocol, "HTTP/1.1"),
        (Part::Status, "200"),
        (Part::Flags, "-"),
        (Part::Received, "5"),
        (Part::Sent, "9"),
        (Part::Duration, "14"),
        (Part::ServiceTime, "13"),
        (Part::ForwardedFor, "203.0.113.9"),
        (Part::UserAgent, "curl/8.5.0"),
        (Part::Trace, "834c687a3acb6266"),
        (Part::RequestId, "8ed76ae8-6ed0-44d3-8fe2-fa5b9299ec76"),
        (Part::Authority, "backend.mesh:8080"),
        (Part::Source, "web"),
        (Part::Destination, "backend"),
        (Part::SourceAddress, "10.42.0.7"),
        (Part::Upstream, "10.42.1.9:8080"),
    ];
    texts.into_iter().fold(Said::default(), |said, (part, text)| said.with(part, text))
}

/// HTTP requests: a name, and how each differs from an ordinary one.
pub fn requests() -> Vec<(&'static str, Said)> {
    use Part::{
        Authority, Destination, Duration, Flags, ForwardedFor, Method, Path, Protocol, RequestId, ServiceTime, Source,
        SourceAddress, Status, Trace, Upstream, UserAgent,
    };
    let long = "A".repeat(70_000);
    let separators = "\" \"".repeat(12);
    let table: &[(&str, &[(Part, &str)])] = &[
        ("nothing odd", &[]),
        ("no user agent", &[(UserAgent, "-")]),
        (
            "nothing from the client",
            &[(UserAgent, "-"), (ForwardedFor, "-"), (Trace, "-"), (RequestId, "-"), (Authority, "-")],
        ),
        ("separator in the user agent", &[(UserAgent, "a\" \"b")]),
        ("separator in the user agent, without trace", &[(UserAgent, "a\" \"b"), (Trace, "-")]),
        ("two separators in the user agent", &[(UserAgent, "a\" \"b\" \"c")]),
        ("separator in x-forwarded-for", &[(ForwardedFor, "203.0.113.9\" \"b")]),
        ("an address forged by x-forwarded-for", &[(ForwardedFor, "203.0.113.9\" \"198.51.100.7")]),
        ("separator in the request id", &[(RequestId, "a\" \"b")]),
        ("separator in the trace header", &[(Trace, "a\" \"b")]),
        ("a trace forged by the user agent", &[(UserAgent, "a\" \"acc6d8f2c74c7ccf32d03fdda123f501")]),
        ("a trace forged by the user agent, without one", &[(UserAgent, "a\" \"acc6d8f2c74c7ccf"), (Trace, "-")]),
        ("a trace header that is none", &[(Trace, "evil")]),
        ("a trace header of spaces and quotes", &[(Trace, "\"x\" y \"z\"")]),
        (
            "all fields forged behind the user agent",
            &[(UserAgent, "a\" \"-\" \"rid\" \"evil.mesh\" \"admin\" \"vault\" \"10.0.0.1\" \"10.0.0.2:1")],
        ),
        ("all fields forged before the user agent", &[(ForwardedFor, "x\" \"ua\" \"-\" \"rid\" \"evil.mesh")]),
        (
            "a whole line in the user agent",
            &[(
                UserAgent,
                "[2026-01-01T00:00:00.000Z] default \"GET /admin HTTP/1.1\" 500 UF 0 0 0 0 \"-\" \"-\" \"-\" \"-\" \"-\" \"a\" \"b\" \"c\" \"d\"",
            )],
        ),
        (
            "a TCP line in the user agent",
            &[(
                UserAgent,
                "[2026-01-01T00:00:00.000Z] UF default 10.0.0.1(a)->10.0.0.2:1(b) took 5ms, sent 1 bytes, received: 2 bytes",
            )],
        ),
        ("JSON in the user agent", &[(UserAgent, "{\"method\":\"PUT\",\"response_code\":500}")]),
        ("numbers in the user agent", &[(UserAgent, "\" 200 - 0 0 0 - \"forged")]),
        ("a quote at the beginning", &[(UserAgent, "\"lead")]),
        ("a quote at the end", &[(UserAgent, "trail\"")]),
        ("quotes at both ends", &[(UserAgent, "\"both\"")]),
        ("one quote", &[(UserAgent, "\"")]),
        ("two quotes", &[(UserAgent, "\"\"")]),
        ("two quotes and a space", &[(UserAgent, "\" \"")]),
        ("quotes at the ends of neighbours", &[(ForwardedFor, "\""), (UserAgent, "\""), (RequestId, "\"")]),
        ("a quote ends, a quote begins", &[(ForwardedFor, "a\""), (UserAgent, "\"b")]),
        ("quotes and spaces", &[(UserAgent, "a\"  \"b \"c\" d")]),
        ("twelve separators", &[(UserAgent, &separators)]),
        ("seventy kilobytes", &[(UserAgent, &long)]),
        ("percent signs", &[(UserAgent, "100%% %START_TIME% %REQ(USER-AGENT)% 50%25")]),
        ("back slashes", &[(UserAgent, "trailing\\"), (RequestId, "\\\" \\")]),
        ("brackets", &[(UserAgent, "] default \"GET"), (RequestId, "[x] (y)->z")]),
        ("tabs", &[(UserAgent, "tab\tin\t\"side\"")]),
        ("braces at the end", &[(UserAgent, "{}"), (RequestId, "null")]),
        ("characters outside ASCII", &[(UserAgent, "Zażółć 日本語 🚀"), (RequestId, "Grüße")]),
        ("bytes that became characters", &[(UserAgent, "bad ÿþÃ( end")]),
        ("bytes that certainly became characters", &[(UserAgent, "bad ÿ æ\u{97}¥ ð\u{9f}\u{9a}\u{80}")]),
        ("separators of Unicode", &[(UserAgent, "a\u{2028}b\u{2029}c\u{202e}d")]),
        ("words that mean nothing in JSON", &[(UserAgent, "null"), (RequestId, "true")]),
        ("x-forwarded-for that is no address", &[(ForwardedFor, "unknown, 203.0.113.9")]),
        ("x-forwarded-for of IPv6", &[(ForwardedFor, "2001:db8::17, 203.0.113.9")]),
        ("x-forwarded-for of several without spaces", &[(ForwardedFor, "203.0.113.9,198.51.100.7")]),
        ("x-forwarded-for of nothing and an address", &[(ForwardedFor, ", 203.0.113.9")]),
        ("x-forwarded-for as in RFC 7239", &[(ForwardedFor, "for=\"[2001:db8::17]:4711\"")]),
        ("IPv6 everywhere", &[(SourceAddress, "fd00::1"), (Upstream, "[fd00::2]:80"), (Authority, "[::1]:8080")]),
        ("names as Kuma 2.14 gives them", &[(Destination, "kri_msvc_payments_eu-1_shop_checkout_8080")]),
        ("an inbound listener", &[(Source, "unknown"), (SourceAddress, "10.42.1.9"), (Upstream, "127.0.0.1:8080")]),
        (
            "an inbound listener of IPv6",
            &[(Source, "unknown"), (SourceAddress, "fd00:10:244::1f"), (Upstream, "[::1]:8080")],
        ),
        ("passthrough", &[(Destination, "external"), (Upstream, "93.184.216.34:80")]),
        ("a method nobody knows", &[(Method, "PROPFIND")]),
        ("CONNECT", &[(Method, "CONNECT"), (Path, "-"), (Authority, "foo:443")]),
        ("OPTIONS *", &[(Method, "OPTIONS"), (Path, "*")]),
        (
            "a request refused before it was read",
            &[(Method, "-"), (Path, "-"), (Status, "400"), (Flags, "DPE"), (UserAgent, "-"), (Upstream, "-")],
        ),
        ("a client that left", &[(Status, "0"), (Flags, "DC"), (ServiceTime, "-")]),
        ("several flags", &[(Status, "503"), (Flags, "DI,URX,UF"), (ServiceTime, "-")]),
        ("a flag nobody knows", &[(Flags, "XYZ")]),
        ("a known and an unknown flag", &[(Status, "200"), (Flags, "XYZ,UC")]),
        ("not found", &[(Status, "404")]),
        ("HTTP/2 and a query of separators", &[(Protocol, "HTTP/2"), (Path, "/a;b/c?q=<&'>&r=%22%20%22")]),
        ("an empty query", &[(Path, "/ok?")]),
        ("a query with question marks", &[(Path, "/ok?a=b?c=d?")]),
        ("a negative duration", &[(Duration, "-40")]),
        ("large numbers", &[(Duration, "9007199254740993"), (Part::Received, "9223372036854775807")]),
        ("an old trace id", &[(Trace, "acc6d8f2c74c7ccf32d03fdda123f501")]),
        ("a Datadog trace id", &[(Trace, "12345678901234567890")]),
        ("a short Datadog trace id", &[(Trace, "557604270690707720")]),
        ("a trace id of zeros", &[(Trace, "00000000000000000000000000000000")]),
        ("a trace id in capitals", &[(Trace, "834C687A3ACB6266")]),
    ];
    let made = |changes: &[(Part, &str)]| changes.iter().fold(ordinary(), |said, (part, text)| said.with(*part, text));
    table.iter().map(|(name, changes)| (*name, made(changes))).collect()
}

/// TCP lines, and what each says.
pub fn connections() -> Vec<(&'static str, String)> {
    let flags_and_addresses = [
        (
            "nothing odd",
            "- default 10.42.1.5(web)->10.42.1.9:6379(redis) took 14004ms, sent 6195 bytes, received: 194 bytes",
        ),
        ("no upstream", "UF,URX default 10.42.1.5(web)->-(redis) took 0ms, sent 0 bytes, received: 0 bytes"),
        (
            "no upstream, empty values omitted",
            "UH default 10.42.1.5(web)->(redis) took 0ms, sent 0 bytes, received: 0 bytes",
        ),
        ("IPv6", "- default fd00::1(web)->[fd00::2]:80(redis) took 1ms, sent 1 bytes, received: 2 bytes"),
        ("inbound", "- default fd00:10:244::1f(unknown)->[::1]:6379(redis) took 1ms, sent 1 bytes, received: 2 bytes"),
        (
            "zone ingress",
            "UR default 10.42.1.5(unknown)->10.42.1.9:6379(unknown) took 1ms, sent 1 bytes, received: 2 bytes",
        ),
        (
            "names as Kuma 2.14 gives them",
            "- payments 10.42.1.5(web)->10.1.1.1:80(kri_msvc_payments_eu-1_shop_checkout_8080) took 1ms, sent 1 bytes, received: 2 bytes",
        ),
        (
            "names of Kubernetes services",
            "- default 10.42.1.5(web_kuma-demo_svc_8080)->10.1.1.1:80(redis_kuma-demo_svc_6379) took 1ms, sent 1 bytes, received: 2 bytes",
        ),
        (
            "passthrough",
            "- default 10.42.1.5(web)->93.184.216.34:443(external) took 9ms, sent 5000000000 bytes, received: 9007199254740993 bytes",
        ),
        (
            "flags in any order",
            "URX,UF default 10.42.1.5(web)->10.42.1.9:6379(redis) took 0ms, sent 0 bytes, received: 0 bytes",
        ),
        (
            "a client that left",
            "DC default 10.42.1.5(web)->10.42.1.9:6379(redis) took 5ms, sent 0 bytes, received: 7 bytes",
        ),
        (
            "a negative duration",
            "- default 10.42.1.5(web)->10.42.1.9:6379(redis) took -1ms, sent 0 bytes, received: 7 bytes",
        ),
    ];
    flags_and_addresses.map(|(name, line)| (name, format!("[2026-11-20T11:48:44.291Z] {line}"))).to_vec()
}

/// Lines that are nothing Kuma sends by itself, and why each is kept as it is.
pub const NOTHING: &[(&str, &str)] = &[
    ("tcp", "protocol_name"),
    ("null", "no_values"),
    ("{}", "no_values"),
    ("{\"method\":\"GET\"", "invalid_json"),
    ("{\"user_agent\": \"a\"b\"}", "invalid_json"),
    ("{\"user_agent\": \"a\\x\"}", "invalid_json"),
    ("{\"a\":1} {\"b\":2}", "invalid_json"),
    ("tcp ", "unknown_format"),
    ("TCP", "unknown_format"),
    ("hello", "unknown_format"),
    ("[", "unknown_format"),
    ("[2026-11-20T11:48:37.057Z]", "unknown_format"),
    ("[2026-11-20T11:48:37.057Z] default", "unknown_format"),
    ("[] \"\" \"\" \"\" \"\"", "unknown_format"),
    ("[2026-11-20T11:48:37.057Z] default \"GET /ok HTTP/1.1\" 200 - 0 9 1 0 \"-\" \"curl\"", "unknown_format"),
    ("injected line|q=%0A|curl|-|via_upstream|-|-||-|OUTBOUND|10.42.0.7:0", "unknown_format"),
    (
        "[2026-11-20T11:48:44.291Z] - default 10.42.1.5(web)->10.42.1.9:6379(redis) took 14004ms, sent 6195 bytes",
        "unknown_format",
    ),
    (
        "[2026-11-20T11:48:44.291Z] - default 10.42.1.5(web)->10.42.1.9:6379(redis) took xms, sent 6195 bytes, received: 194 bytes",
        "unknown_format",
    ),
];
