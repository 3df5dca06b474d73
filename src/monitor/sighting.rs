//! What is seen of one record: who talked to whom, and how it went.

use crate::record::{RecordRef, ValueRef};
use crate::semantics::{FLAGS, flag};

/// Longest name that is told from others, in bytes; the rest of a longer one is cut off.
const NAME_BYTES_MAX: usize = 128;
/// Severity from which on a record is an error (OpenTelemetry log data model).
const ERROR: i32 = 17;

/// What kind of traffic it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Protocol {
    /// A request.
    Http,
    /// A call: a request with a gRPC status.
    Grpc,
    /// A connection.
    Tcp,
}

impl Protocol {
    /// All of them, by their numbers.
    pub const ALL: [Protocol; 3] = [Protocol::Http, Protocol::Grpc, Protocol::Tcp];
}

/// An access log as the traffic view sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    pub protocol: Protocol,
    pub mesh: Option<&'a [u8]>,
    pub source: Option<&'a [u8]>,
    pub destination: Option<&'a [u8]>,
    pub measures: Measures,
}

/// The numbers of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// HTTP status; `None` for none, or 0.
    pub status: Option<u16>,
    pub error: bool,
    /// 4xx, and no error.
    pub client_error: bool,
    pub duration_ms: Option<u64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// A bit for each of [`FLAGS`], in their order.
    pub flags: u32,
}

#[cfg(test)]
impl Measures {
    /// A request that went well.
    pub const ONE: Measures = Measures {
        status: Some(200),
        error: false,
        client_error: false,
        duration_ms: Some(3),
        bytes_in: 1,
        bytes_out: 2,
        flags: 0,
    };
}

impl<'a> Sighting<'a> {
    /// `None` for a record that is no access log of a proxy.
    #[must_use]
    pub fn of(record: &RecordRef<'a>) -> Option<Sighting<'a>> {
        let mut seen = Sighting {
            protocol: Protocol::Tcp,
            mesh: None,
            source: None,
            destination: None,
            measures: Measures::default(),
        };
        let (mut cluster, mut server) = (None, None);
        let (mut is_access_log, mut is_http, mut is_grpc) = (false, false, false);
        let measures = &mut seen.measures;
        for (key, value) in record.attributes() {
            match (key, value) {
                (b"http.request.method" | b"url.path", _) => is_http = true,
                (b"http.response.status_code", ValueRef::Int(it)) => {
                    is_http = true;
                    measures.status = u16::try_from(it).ok().filter(|it| *it > 0);
                }
                (b"rpc.response.status_code", _) => is_grpc = true,
                (b"http.request.body.size" | b"envoy.bytes_received", ValueRef::Int(it)) => {
                    measures.bytes_in = u64::try_from(it).unwrap_or(0);
                }
                (b"http.response.body.size" | b"envoy.bytes_sent", ValueRef::Int(it)) => {
                    measures.bytes_out = u64::try_from(it).unwrap_or(0);
                }
                (b"kuma.mesh", ValueRef::Text(it)) => seen.mesh = name(it),
                (b"envoy.upstream.cluster", ValueRef::Text(it)) => cluster = name(it),
                (b"server.address", ValueRef::Text(it)) => server = name(it),
                // What follows is said by nobody but a proxy.
                (b"kuma.source.service", ValueRef::Text(it)) => (seen.source, is_access_log) = (name(it), true),
                (b"kuma.destination.service", ValueRef::Text(it)) => {
                    (seen.destination, is_access_log) = (name(it), true);
                }
                (b"envoy.duration_ms", ValueRef::Int(it)) => {
                    is_access_log = true;
                    measures.duration_ms = u64::try_from(it).ok();
                }
                (b"envoy.response_flags", ValueRef::Array(list)) => {
                    is_access_log = true;
                    for (_, item) in list {
                        if let ValueRef::Text(it) = item {
                            measures.flags |= bit(it);
                        }
                    }
                }
                _ => {}
            }
        }
        if !is_access_log {
            return None;
        }
        let resource = record.envelope().resource_attributes();
        if !resource.is_empty() {
            let of_resource = |key: &[u8]| match resource.get(key) {
                Some(ValueRef::Text(it)) => name(it),
                _ => None,
            };
            seen.mesh = seen.mesh.or_else(|| of_resource(b"kuma.mesh"));
            seen.source = seen.source.or_else(|| of_resource(b"kuma.source.service"));
            seen.destination = seen.destination.or_else(|| of_resource(b"kuma.destination.service"));
        }
        // Envoy alone knows no services: what it sends to is a cluster, or what the client asked for.
        seen.destination = seen.destination.or(cluster).or(server);
        seen.protocol = match (is_grpc, is_http) {
            (true, _) => Protocol::Grpc,
            (false, true) => Protocol::Http,
            (false, false) => Protocol::Tcp,
        };
        let status = seen.measures.status.unwrap_or(0);
        seen.measures.error = status >= 500 || record.fields().severity_number >= ERROR;
        seen.measures.client_error = (400..500).contains(&status) && !seen.measures.error;
        Some(seen)
    }
}

fn name(text: &[u8]) -> Option<&[u8]> {
    let cut = &text[..text.len().min(NAME_BYTES_MAX)];
    (!cut.is_empty()).then_some(cut)
}

fn bit(name: &[u8]) -> u32 {
    let at = flag(name).and_then(|it| FLAGS.iter().position(|other| other.short == it.short));
    at.map_or(0, |at| 1 << at)
}
