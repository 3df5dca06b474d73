//! What an access says to the operators of a format.

use std::borrow::Cow;

use super::access::Access;
use super::render::Context;
use crate::decode::format::{Format, Slot};
use crate::semantics::{Field, Kind, Target, flag};

/// Appends the value of a slot; a minus for what is absent, as Envoy does.
pub(super) fn write(slot: &Slot, access: &Access, context: Context<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    Format::render_time(slot, context.now_nanos, out);
    if out.len() > start {
        return;
    }
    let value = match &slot.target {
        Target::Field(Field::UserAgent) => access.user_agent.as_deref().map(Cow::Borrowed),
        Target::Field(field) => of_field(*field, slot, access, context).map(into_bytes),
        Target::Attribute { kind, .. } => of_operator(*kind, slot, access, context).map(into_bytes),
        Target::Nothing => None,
    };
    out.extend_from_slice(value.as_deref().unwrap_or(b"-"));
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn of_field<'a>(field: Field, slot: &Slot, access: &'a Access, context: Context<'a>) -> Option<Cow<'a, str>> {
    let number = |number: u64| Some(Cow::Owned(number.to_string()));
    let span_id = |trace_id: &'a str| trace_id.get(16..);
    let trace_id = access.trace_id.as_deref();
    let text = match field {
        Field::StatusCode => return number(access.status.into()),
        Field::BytesReceived => return number(access.bytes_received),
        Field::BytesSent => return number(access.bytes_sent),
        Field::Duration => return number(access.duration_ms),
        Field::UpstreamServiceTime => return number(access.upstream_ms?),
        Field::FlagsLong => return Some(long_flags(access.flags).into()),
        Field::GrpcStatus => return grpc_status(slot, access).map(Cow::Borrowed),
        Field::TraceParent => return Some(format!("00-{}-{}-01", trace_id?, span_id(trace_id?)?).into()),
        Field::B3Single => return Some(format!("{}-{}-1", trace_id?, span_id(trace_id?)?).into()),
        Field::Workload => return Some(context.plane.workload().into()),
        Field::SourceAddress if slot.operator == "KUMA_SOURCE_ADDRESS" => {
            return Some(with_port(&access.source_address, 0).into());
        }
        Field::Method => Some(access.method),
        Field::Path if is_without_query(slot) => access.path.as_deref().and_then(|path| path.split('?').next()),
        Field::Path => access.path.as_deref(),
        Field::Query => access.path.as_deref().and_then(|path| Some(path.split_once('?')?.1)),
        Field::Protocol => Some(access.protocol),
        Field::Scheme => Some("http"),
        Field::Authority => Some(&*access.authority),
        Field::Flags => Some(access.flags),
        Field::CodeDetails => Some(code_details(access)),
        Field::ForwardedFor => access.forwarded_for.as_deref(),
        Field::RequestId => Some(&*access.request_id),
        Field::UpstreamHost => access.upstream_host.as_deref(),
        Field::UpstreamCluster | Field::DestinationService => Some(access.destination),
        Field::UpstreamFailure if access.flags.contains("UF") => Some("delayed_connect_error:_Connection_refused"),
        Field::TraceHeader | Field::TraceId => trace_id,
        Field::SpanHeader | Field::SpanId => trace_id.and_then(span_id),
        Field::Mesh => Some(context.plane.mesh),
        Field::Zone => Some(&*context.plane.zone),
        Field::SourceService => Some(context.plane.service),
        Field::SourceAddress => Some(&*access.source_address),
        Field::Direction => Some("OUTBOUND"),
        // The first three are written before: times, and bytes that are no text.
        Field::StartTime | Field::EmitTime | Field::UserAgent | Field::UpstreamFailure | Field::TerminationDetails => {
            None
        }
    };
    text.map(Cow::Borrowed)
}

/// Something plausible for an operator that no field stands for.
fn of_operator<'a>(kind: Kind, slot: &Slot, access: &'a Access, context: Context<'a>) -> Option<Cow<'a, str>> {
    const HEADERS: [&str; 4] = ["application/json", "gzip", "no-cache", "en-GB"];
    let upstream = slot.operator.starts_with("UPSTREAM_");
    match (kind, slot.operator.as_str()) {
        (Kind::Int, "COMMON_DURATION") => Some(access.duration_ms.to_string().into()),
        (Kind::Int, _) => Some(access.other.to_string().into()),
        (Kind::Header, _) => Some(HEADERS[access.other as usize % HEADERS.len()].into()),
        (_, "UPSTREAM_CLUSTER_RAW") => Some(access.destination.into()),
        (_, "ROUTE_NAME") => Some("default".into()),
        (_, "UPSTREAM_REMOTE_ADDRESS") => access.upstream_host.as_deref().map(Cow::Borrowed),
        (_, "UPSTREAM_LOCAL_ADDRESS") if access.upstream_host.is_none() => None,
        (_, name) if name.ends_with("_ADDRESS") => {
            let port = 30_000 + access.other + u32::from(upstream);
            Some(with_port(&context.plane.address, port).into())
        }
        (_, name) if name.ends_with("_ADDRESS_WITHOUT_PORT") => Some(context.plane.address.as_str().into()),
        _ => None,
    }
}

fn with_port(address: &str, port: u32) -> String {
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}

/// True for `%REQ_WITHOUT_QUERY(…)%` and `%PATH(NQ…)%`.
fn is_without_query(slot: &Slot) -> bool {
    let path_alone = slot.params.as_deref().is_some_and(|params| params.starts_with("NQ"));
    slot.operator == "REQ_WITHOUT_QUERY" || slot.operator == "PATH" && path_alone
}

fn long_flags(flags: &str) -> String {
    let long = |short: &str| flag(short.as_bytes()).map_or("-", |it| it.long).to_owned();
    flags.split(',').map(long).collect::<Vec<_>>().join(",")
}

fn code_details(access: &Access) -> &'static str {
    match access.flags {
        "NR" => "route_not_found",
        "UH" => "no_healthy_upstream",
        "UO" => "upstream_reset_before_response_started{overflow}",
        "UC" => "upstream_reset_before_response_started{connection_termination}",
        "UT" => "response_timeout",
        "RL" => "request_rate_limited",
        "UAEX" => "ext_authz_denied",
        "DC" => "downstream_remote_disconnect",
        "DPE" => "http1.codec_error",
        _ if access.upstream_host.is_some() => "via_upstream",
        _ => "upstream_reset_before_response_started{remote_connection_failure}",
    }
}

/// A name, or a number for `%GRPC_STATUS_NUMBER%`, `%GRPC_STATUS(NUMBER)%` and the header.
fn grpc_status(slot: &Slot, access: &Access) -> Option<&'static str> {
    let is_number = slot.operator != "GRPC_STATUS" || slot.params.as_deref() == Some("NUMBER");
    let is_snake = slot.params.as_deref() == Some("SNAKE_STRING");
    access.grpc.then_some(match (access.status == 200, is_number) {
        (true, true) => "0",
        (true, false) => "OK",
        (false, true) => "14",
        (false, false) if is_snake => "UNAVAILABLE",
        (false, false) => "Unavailable",
    })
}
