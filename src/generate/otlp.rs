//! OTLP requests as Envoy writes them: one resource, one scope without a name, strings only.
//!
//! They are written by hand because the places to overwrite must be known; field numbers are those
//! of the OpenTelemetry protocol files.

use fastrand::Rng;

use super::access::{Access, DataPlane};
use super::hostile;
use super::render::{Context, Rendered, What};

/// A `Resource` with the attributes of a MeshAccessLog, as `ResourceLogs.resource`.
pub(super) fn resource(plane: &DataPlane) -> Rendered {
    let mut resource = Rendered::default();
    for (key, value) in [
        ("log_name", "MeshAccessLog"),
        ("zone_name", &plane.zone),
        ("cluster_name", plane.service),
        ("node_name", &plane.node),
        ("kuma.mesh", plane.mesh),
        ("kuma.zone", &plane.zone),
        ("kuma.workload", &plane.workload()),
    ] {
        message(&mut resource, 1, &key_value(key, string_value(value.as_bytes())));
    }
    field(1, &resource)
}

/// An `ExportLogsServiceRequest` of `records`, each a `LogRecord` as [`record`] writes it.
pub(super) fn request(resource: &Rendered, records: &[Rendered]) -> Rendered {
    let mut scope_logs = Rendered::default();
    for record in records {
        message(&mut scope_logs, 2, record);
    }
    let mut resource_logs = resource.clone();
    message(&mut resource_logs, 2, &scope_logs);
    field(1, &resource_logs)
}

/// A `LogRecord`: time, body, attributes, and with tracing the ids.
pub(super) fn record(access: &Access, context: Context<'_>, body: Body) -> Rendered {
    let mut record = Rendered::default();
    record.bytes(&[1 << 3 | 1]).stamp(What::TimeNanos);
    if let Some(body) = body.render(access, context) {
        message(&mut record, 5, &body);
    }
    let user_agent = access.user_agent.as_deref().unwrap_or(b"-");
    for (key, value) in [
        ("http.request.method", access.method.as_bytes()),
        ("http.response.status_code", access.status.to_string().as_bytes()),
        ("envoy.response_flags", access.flags.as_bytes()),
        ("user_agent.original", user_agent),
        ("server.address", access.authority.as_bytes()),
        ("kuma.destination.service", access.destination.as_bytes()),
    ] {
        message(&mut record, 6, &key_value(key, string_value(value)));
    }
    if let Some(id) = access.trace_id.as_deref().and_then(|hex| u128::from_str_radix(hex, 16).ok()) {
        message(&mut record, 9, Rendered::default().bytes(&id.to_be_bytes()));
        message(&mut record, 10, Rendered::default().bytes(&id.to_be_bytes()[8..]));
    }
    record
}

/// The body of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The default HTTP format.
    String,
    /// A list of 20 keys and values.
    Kvlist,
    /// An array around the default HTTP format.
    Array,
    /// An empty list.
    EmptyKvlist,
    /// No body at all.
    Absent,
}

impl Body {
    /// A body that policies can ask for but seldom do.
    pub fn unusual(rng: &mut Rng) -> Body {
        [Body::Array, Body::EmptyKvlist, Body::Absent][rng.usize(..3)]
    }

    /// An `AnyValue`.
    fn render(self, access: &Access, context: Context<'_>) -> Option<Rendered> {
        match self {
            Body::String => Some(field(1, &context.layouts.http.render(access, context))),
            Body::Kvlist => Some(field(6, &kvlist(access, context))),
            Body::Array => Some(field(5, &field(1, &field(1, &context.layouts.http.render(access, context))))),
            Body::EmptyKvlist => Some(field(6, &Rendered::default())),
            Body::Absent => None,
        }
    }
}

fn kvlist(access: &Access, context: Context<'_>) -> Rendered {
    let mut list = Rendered::default();
    let mut add = |key: &str, value: &Rendered| message(&mut list, 1, &key_value(key, field(1, value)));
    add("start_time", Rendered::default().stamp(What::Time));
    add("request_id", Rendered::default().id(context.id_prefix, &access.request_id));
    let number = |number: u64| number.to_string();
    for (key, value) in [
        ("mesh", Some(context.plane.mesh)),
        ("method", Some(access.method)),
        ("path", access.path.as_deref()),
        ("protocol", Some(access.protocol)),
        ("response_code", Some(&*number(access.status.into()))),
        ("response_flags", Some(access.flags)),
        ("bytes_received", Some(&*number(access.bytes_received))),
        ("bytes_sent", Some(&*number(access.bytes_sent))),
        ("duration", Some(&*number(access.duration_ms))),
        ("upstream_service_time", access.upstream_ms.map(number).as_deref()),
        ("x_forwarded_for", access.forwarded_for.as_deref()),
        ("trace_id", access.trace_id.as_deref()),
        ("authority", Some(&access.authority)),
        ("source", Some(context.plane.service)),
        ("destination", Some(access.destination)),
        ("source_address", Some(&access.source_address)),
        ("upstream_host", access.upstream_host.as_deref()),
    ] {
        add(key, Rendered::default().text(value.unwrap_or("-")));
    }
    add("user_agent", Rendered::default().bytes(access.user_agent.as_deref().unwrap_or(b"-")));
    list
}

/// A whole record of a hostile sender: an access no format foresees, or an unusual body.
pub(super) fn hostile_record(access: &mut Access, context: Context<'_>, body: Body, rng: &mut Rng) -> Rendered {
    hostile::twist(access, rng);
    let body = if rng.u8(..4) == 0 { Body::unusual(rng) } else { body };
    record(access, context, body)
}

/// A `KeyValue` whose value is an `AnyValue`.
fn key_value(key: &str, value: Rendered) -> Rendered {
    let mut pair = field(1, Rendered::default().text(key));
    message(&mut pair, 2, &value);
    pair
}

/// An `AnyValue` that is a string, valid UTF-8 or not.
fn string_value(text: &[u8]) -> Rendered {
    field(1, Rendered::default().bytes(text))
}

fn field(number: u32, content: &Rendered) -> Rendered {
    let mut out = Rendered::default();
    message(&mut out, number, content);
    out
}

/// Appends a length-delimited field; numbers up to 15 take one byte.
fn message(out: &mut Rendered, number: u32, content: &Rendered) {
    debug_assert!(number < 16);
    out.bytes(&[(number << 3 | 2) as u8]);
    let mut len = content.bytes.len();
    while len >= 0x80 {
        out.bytes(&[len as u8 | 0x80]);
        len >>= 7;
    }
    out.bytes(&[len as u8]).append(content);
}
