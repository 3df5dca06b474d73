//! What real traffic holds that collectors trip over. Every entry is one record for a reader that
//! ends records at newlines, so that counts still agree.

use fastrand::Rng;

use super::access::Access;

/// One in so many records is a bare line, one in so many an access with strange values.
pub(super) const LINE_EVERY: usize = 10;
pub(super) const TWIST_EVERY: usize = 6;

/// A line that no format explains.
pub(super) fn line(rng: &mut Rng) -> &'static [u8] {
    LINES[rng.usize(..LINES.len())]
}

const LINES: &[&[u8]] = &[
    // A JSON policy whose values are all absent, before and after Envoy 1.40.
    b"null",
    b"{}",
    // The passthrough listener whose format is the name of its protocol.
    b"tcp",
    // TrafficLog templates are JSON without escaping.
    br#"{"start_time": "2026-11-20T11:48:38.066Z", "source": "web", "user_agent": "quote"inside \ and \x41"}"#,
    b"{\"source\": \"web\", \"user_agent\": \"tab\there \xff\xfe raw\"}",
    br#"{"unfinished": ["#,
    // Identifiers beyond 2^53, exponents, repeated keys, nested and empty values.
    br#"{"id":12345678901234567890,"big":1e+21,"neg":-40,"a":1,"a":2,"list":[null,true,{}],"":""}"#,
    // Second half of a record that a decoded %0A split in two, and one that forges a record.
    b"b&lang=en\" 200 - 0 9 1 0 \"-\" \"curl/8\"",
    br#"[2026-11-20T11:48:37.057Z] default "GET /forged HTTP/1.1" 200 - 0 0 0 0 "-" "-" "-" "-" "admin" "web" "backend" "10.0.0.1" "-""#,
    b"\x1b[2J\x1b[31mred\x00nul\r",
    b" ",
    b"[",
    b"[2026-13-45T99:99:99.999Z] UR default -(-)->-(-) took -1ms, sent -1 bytes, received: 99999999999999999999 bytes",
    // An L4 connection logged through the HTTP format.
    br#"[2026-11-20T11:48:37.057Z] default "- - -" 0 UF,URX 0 0 10 - "-" "-" "-" "-" "-" "web" "backend" "10.42.0.7" "-""#,
];

/// Gives an access values that are legal on the wire and awkward to read.
pub(super) fn twist(access: &mut Access, rng: &mut Rng) {
    match rng.u8(..10) {
        0 => access.user_agent = Some(b"quote\"inside \\ and \ttab".to_vec()),
        // A forged separator: shifts the fields of whoever splits at `" "`.
        1 => access.user_agent = Some(b"curl/8\" \"deadbeef\" \"not-the-request-id".to_vec()),
        2 => access.user_agent = Some(b"bad \xff \xe6\x97 utf-8 \xc0\x80".to_vec()),
        3 => access.user_agent = Some(Vec::new()),
        4 => access.forwarded_for = Some("unknown, \"10.0.0.1\", <b>, 1.2.3.4:99".to_owned()),
        5 => {
            access.source_address = "fd00::1".to_owned();
            access.upstream_host = Some("[fd00::9]:8080".to_owned());
        }
        6 => {
            // A malformed request that the proxy answered itself.
            (access.method, access.protocol, access.path) = ("-", "HTTP/1.1", None);
            (access.status, access.flags, access.upstream_ms, access.upstream_host) = (400, "DPE", None, None);
        }
        7 => access.path = Some("/%22%3Cscript%3E?q=%0A%00%1b[31m&x=<>&'".to_owned()),
        8 => (access.flags, access.duration_ms, access.bytes_sent) = ("DI,URX,UF", u64::MAX, u64::MAX),
        // Seldom, or a pool of them would not fit the caches.
        _ if rng.u8(..16) == 0 => access.user_agent = Some(vec![b'A'; 70_000]),
        _ => access.user_agent = Some("é".repeat(300).into_bytes()),
    }
}
