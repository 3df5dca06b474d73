//! What comes out of which fields.

use super::*;
use crate::record::{Envelope, Range, Record, RecordRef, Span, Value, ValueRef};

mod values;

/// A record that fields were applied to, as text: `key=value` in order.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    attributes: Vec<String>,
    time: u64,
    trace: String,
    span: String,
    flags: u32,
    severity: String,
    mojibake: bool,
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(it) => match std::str::from_utf8(it) {
            Ok(it) => it.to_owned(),
            Err(_) => format!("{it:x?}"),
        },
        ValueRef::Int(it) => format!("{it}i"),
        ValueRef::Bool(it) => format!("{it}b"),
        ValueRef::Double(it) => format!("{it}d"),
        ValueRef::Array(it) => format!("{:?}", it.map(|(_, it)| shown(it)).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn apply_to(mut record: Record, fill: impl FnOnce(&mut Vec<u8>, &mut Record, &mut Fields)) -> Seen {
    let (mut raw, mut fields) = (Vec::new(), Fields::default());
    let keys = Keys::keep(&mut record.tree);
    fill(&mut raw, &mut record, &mut fields);
    record.attributes.start = record.tree.position();
    let applied = apply(&fields, &keys, &raw, &mut record);
    record.attributes = Range { end: record.tree.position(), ..record.attributes };
    let envelope = Envelope::default();
    let it = RecordRef::new(&raw, &record, &envelope);
    Seen {
        attributes: it
            .attributes()
            .map(|(key, value)| format!("{}={}", String::from_utf8_lossy(key), shown(value)))
            .collect(),
        time: record.time_unix_nano,
        trace: hex(it.text(record.trace_id)),
        span: hex(it.text(record.span_id)),
        flags: record.flags,
        severity: format!("{}{}", String::from_utf8_lossy(it.text(record.severity_text)), record.severity_number),
        mojibake: applied.mojibake,
    }
}

fn of(values: &[(Field, &str)]) -> Seen {
    apply_to(Record::default(), |raw, _, fields| {
        for (field, text) in values {
            let start = raw.len();
            raw.extend_from_slice(text.as_bytes());
            fields.set(*field, Value::Text(Span::raw(start, raw.len())));
        }
    })
}

fn attributes(values: &[(Field, &str)]) -> Vec<String> {
    of(values).attributes
}

#[test]
fn a_line_of_kuma() {
    use Field::*;
    let seen = of(&[
        (StartTime, "2026-11-20T11:48:37.057Z"),
        (Mesh, "default"),
        (Method, "GET"),
        (Path, "/orders?page=2&q=a?b"),
        (Protocol, "HTTP/1.1"),
        (StatusCode, "503"),
        (Flags, "URX,UF"),
        (BytesReceived, "0"),
        (BytesSent, "91"),
        (Duration, "14"),
        (ForwardedFor, "160.4.213.136, 17.16.10.49"),
        (UserAgent, "curl/8"),
        (TraceHeader, "834c687a3acb6266"),
        (RequestId, "8ed76ae8-6ed0"),
        (Authority, "backend.mesh:8080"),
        (SourceService, "web"),
        (DestinationService, "backend"),
        (SourceAddress, "10.42.0.7"),
        (UpstreamHost, "127.0.0.1:21001"),
    ]);
    let expected = "http.request.method=GET
url.path=/orders
url.query=page=2&q=a?b
network.protocol.name=http
network.protocol.version=1.1
http.response.status_code=503i
http.request.body.size=0i
http.response.body.size=91i
user_agent.original=curl/8
client.address=160.4.213.136
http.request.header.x-forwarded-for=[\"160.4.213.136, 17.16.10.49\"]
server.address=backend.mesh
server.port=8080i
envoy.request_id=8ed76ae8-6ed0
envoy.duration_ms=14i
envoy.response_flags=[\"URX\", \"UF\"]
envoy.upstream.address=127.0.0.1
envoy.upstream.port=21001i
kuma.mesh=default
kuma.source.service=web
kuma.source.address=10.42.0.7
kuma.destination.service=backend";
    assert_eq!(seen.attributes.join("\n"), expected);
    assert_eq!(seen.time, 1_795_175_317_057_000_000);
    assert_eq!((&*seen.trace, &*seen.span), ("0000000000000000834c687a3acb6266", ""));
    assert_eq!(seen.severity, "ERROR17");
    assert!(!seen.mojibake);
}

#[test]
fn a_connection() {
    use Field::*;
    let connection = [
        (StartTime, "2026-11-20T11:48:37.057Z"),
        (Flags, "-"),
        (Mesh, "default"),
        (BytesReceived, "194"),
        (BytesSent, "6195"),
        (Duration, "14004"),
    ];
    let expected =
        ["envoy.duration_ms=14004i", "envoy.bytes_received=194i", "envoy.bytes_sent=6195i", "kuma.mesh=default"];
    assert_eq!(attributes(&connection), expected);
    assert_eq!(of(&connection).severity, "INFO9");
    // Through a format for HTTP its status is 0.
    let through_http = connection.iter().copied().chain([(StatusCode, "0")]).collect::<Vec<_>>();
    assert_eq!(attributes(&through_http), expected);
    assert_eq!(of(&through_http).severity, "INFO9");
    assert_eq!(of(&[(Flags, "UF,URX")]).severity, "ERROR17");
}

#[test]
fn single_rules() {
    use Field::*;
    type Case<'a> = (&'a [(Field, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (&[(Path, "*")], &["url.path=*"]),
        (&[(Path, "/a?")], &["url.path=/a"]),
        (&[(Path, "?a")], &["url.query=a"]),
        (&[(Path, "/a"), (Query, "b=1")], &["url.path=/a", "url.query=b=1"]),
        (&[(Path, "/a?c"), (Query, "b=1")], &["url.path=/a", "url.query=c"]),
        (&[(Query, "b=1")], &["url.query=b=1"]),
        (&[(Scheme, "https")], &["url.scheme=https"]),
        (&[(Method, "PROPFIND")], &["http.request.method=PROPFIND"]),
        (&[(Protocol, "HTTP/2")], &["network.protocol.name=http", "network.protocol.version=2"]),
        (&[(Protocol, "HTTP/3.0")], &["network.protocol.name=http", "network.protocol.version=3"]),
        (&[(Protocol, "http")], &["network.protocol.name=http"]),
        (&[(Protocol, "SPDY/3.1")], &["network.protocol.name=spdy", "network.protocol.version=3.1"]),
        (&[(Protocol, "/1")], &["network.protocol.version=1"]),
        (&[(Method, "GET"), (StatusCode, "0")], &["http.request.method=GET", "http.response.status_code=0i"]),
        (&[(StatusCode, "0")], &[]),
        (&[(StatusCode, "teapot")], &["http.response.status_code=teapot"]),
        (&[(StatusCode, "200"), (BytesSent, "7")], &["http.response.status_code=200i", "http.response.body.size=7i"]),
        (&[(StatusCode, "0"), (BytesSent, "7")], &["envoy.bytes_sent=7i"]),
        (&[(GrpcStatus, "NotFound")], &["rpc.response.status_code=NOT_FOUND"]),
        (&[(GrpcStatus, "14")], &["rpc.response.status_code=UNAVAILABLE"]),
        (&[(GrpcStatus, "99")], &["rpc.response.status_code=99"]),
        (&[(ForwardedFor, "unknown, 1.2.3.4")], &["http.request.header.x-forwarded-for=[\"unknown, 1.2.3.4\"]"]),
        (&[(Authority, "[::1]:80")], &["server.address=::1", "server.port=80i"]),
        (&[(Authority, "host:0")], &["server.address=host"]),
        (&[(Authority, "host:x")], &["server.address=host:x"]),
        (&[(Flags, "-"), (FlagsLong, "NoRouteFound")], &[]),
        (&[(FlagsLong, "NoRouteFound,OwnFlag,DC")], &["envoy.response_flags=[\"NR\", \"OwnFlag\", \"DC\"]"]),
        (&[(Flags, " UF , ,URX,-")], &["envoy.response_flags=[\"UF\", \"URX\"]"]),
        (&[(Flags, ",")], &[]),
        (&[(UpstreamServiceTime, "12")], &["envoy.upstream.service_time_ms=12i"]),
        (&[(UpstreamServiceTime, "12,3")], &["http.response.header.x-envoy-upstream-service-time=[\"12,3\"]"]),
        (&[(Duration, "-40")], &["envoy.duration_ms=-40i"]),
        (&[(Duration, "1.5")], &["envoy.duration_ms=1.5"]),
        (&[(UpstreamHost, "[fd00::1]:80")], &["envoy.upstream.address=fd00::1", "envoy.upstream.port=80i"]),
        (&[(UpstreamHost, "/run/app.sock")], &["envoy.upstream.address=/run/app.sock"]),
        (&[(UpstreamHost, "app:80")], &["envoy.upstream.address=app:80"]),
        (&[(SourceAddress, "10.0.0.1:0")], &["kuma.source.address=10.0.0.1"]),
        (&[(SourceAddress, "[fd00::1]:0")], &["kuma.source.address=fd00::1"]),
        (&[(SourceAddress, "fd00::0")], &["kuma.source.address=fd00::0"]),
        (&[(SourceService, "unknown"), (SourceAddress, "10.0.0.1")], &[]),
        (
            &[(Direction, "INBOUND"), (SourceService, "web"), (SourceAddress, "10.0.0.1")],
            &["kuma.source.service=web", "kuma.traffic.direction=INBOUND"],
        ),
        (
            &[(Direction, "OUTBOUND"), (SourceAddress, "10.0.0.1")],
            &["kuma.source.address=10.0.0.1", "kuma.traffic.direction=OUTBOUND"],
        ),
        (&[(EmitTime, "2026-11-20T11:48:37.057Z")], &["envoy.emit_time=2026-11-20T11:48:37.057Z"]),
        (&[(StartTime, "yesterday")], &["envoy.start_time=yesterday"]),
        (&[(Zone, "z"), (Workload, "w")], &["kuma.zone=z", "kuma.workload=w"]),
        (&[(TerminationDetails, "t")], &["envoy.connection.termination_details=t"]),
        (&[(CodeDetails, "d")], &["envoy.response_code_details=d"]),
        (
            &[(UpstreamFailure, "f"), (UpstreamCluster, "c")],
            &["envoy.upstream.cluster=c", "envoy.upstream.failure_reason=f"],
        ),
        (&[(UserAgent, "")], &[]),
    ];
    for (values, expected) in cases {
        assert_eq!(attributes(values), *expected, "{values:?}");
    }
}

#[test]
fn severities() {
    use Field::*;
    for (values, expected) in [
        (&[(Method, "GET"), (StatusCode, "200")][..], "INFO9"),
        (&[(Method, "GET"), (StatusCode, "404"), (Flags, "NR")], "WARN13"),
        (&[(Method, "GET"), (StatusCode, "0"), (Flags, "DC")], "WARN13"),
        (&[(Method, "GET"), (StatusCode, "0")], "WARN13"),
        (&[(Method, "GET"), (StatusCode, "0"), (Flags, "UT")], "ERROR17"),
        (&[(StatusCode, "200"), (Flags, "UPE")], "ERROR17"),
        (&[(StatusCode, "200"), (Flags, "DI")], "INFO9"),
        (&[(StatusCode, "503"), (Flags, "FI")], "ERROR17"),
        (&[(StatusCode, "200"), (GrpcStatus, "14")], "ERROR17"),
        (&[(StatusCode, "200"), (GrpcStatus, "NotFound")], "WARN13"),
        (&[(StatusCode, "200"), (GrpcStatus, "0")], "INFO9"),
        (&[(FlagsLong, "UpstreamOverflow")], "ERROR17"),
        (&[(Flags, "OwnFlag")], "INFO9"),
        (&[(Mesh, "default")], "0"),
    ] {
        assert_eq!(of(values).severity, expected, "{values:?}");
    }
}

#[test]
fn trace_contexts() {
    use Field::*;
    let (long, other) = ("834c687a3acb62661122334455667788", "11111111111111111111111111111111");
    let (parent, single) = (format!("00-{long}-0102030405060708-01"), format!("{long}-0102030405060708-1"));
    let (span, upper) = ("0102030405060708", long.to_uppercase());
    let seen = |values: &[(Field, &str)]| {
        let it = of(values);
        (it.trace, it.span, it.flags, it.attributes)
    };
    let read = |flags, span: &str| (long.to_owned(), span.to_owned(), flags, Vec::<String>::new());
    assert_eq!(seen(&[(TraceParent, &parent)]), read(1, span));
    assert_eq!(seen(&[(B3Single, &single)]), read(1, span));
    assert_eq!(seen(&[(TraceHeader, &upper), (SpanHeader, span)]), read(0, span));
    assert_eq!(seen(&[(TraceId, long), (SpanId, span)]), read(0, span));
    assert_eq!(seen(&[(TraceId, long), (TraceParent, &parent), (TraceHeader, long)]), read(1, ""));
    let left =
        |attributes: &[&str]| (String::new(), String::new(), 0, attributes.iter().map(|it| (*it).to_owned()).collect());
    assert_eq!(seen(&[(TraceHeader, "forged")]), left(&["http.request.header.x-b3-traceid=[\"forged\"]"]));
    assert_eq!(seen(&[(SpanHeader, span)]), left(&[&format!("http.request.header.x-b3-spanid=[\"{span}\"]")]));
    assert_eq!(seen(&[(TraceId, "x"), (SpanId, "y")]), left(&["envoy.trace_id=x", "envoy.span_id=y"]));
    assert_eq!(seen(&[(B3Single, "0")]), left(&["http.request.header.b3=[\"0\"]"]));
    // Of another trace: kept, for it may be the one that somebody looks for.
    let (trace, _, flags, attributes) = seen(&[(TraceId, other), (TraceParent, &parent)]);
    assert_eq!((trace.as_str(), flags), (other, 0));
    assert_eq!(attributes, [format!("http.request.header.traceparent=[\"{parent}\"]")]);
}

#[test]
fn what_the_record_has_stays() {
    let record = Record { time_unix_nano: 7, severity_number: 1, flags: 2, ..Record::default() };
    let seen = apply_to(record, |raw, record, fields| {
        raw.extend_from_slice(b"2026-11-20T11:48:37.057Z 500 834c687a3acb6266");
        fields.set(Field::StartTime, Value::Text(Span::raw(0, 24)));
        fields.set(Field::StatusCode, Value::Text(Span::raw(25, 28)));
        fields.set(Field::TraceHeader, Value::Text(Span::raw(29, 45)));
        record.trace_id = record.tree.side_text(&[1; 16]);
    });
    assert_eq!((seen.time, &*seen.severity, seen.flags), (7, "1", 2));
    assert_eq!(seen.trace, "01".repeat(16));
}
