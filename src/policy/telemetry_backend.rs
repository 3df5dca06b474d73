//! MeshOpenTelemetryBackend: where a collector is, for policies that refer to it.

use std::cell::Cell;

use super::Findings;
use super::address::{OTLP_PORT, Target};
use super::backend::{Transport, refuse_unknown};
use super::document::{Document, text, word};
use crate::config::problem::shown;
use crate::config::suggest;
use crate::config::tree::Entry;

/// What a name or label refers to when the resource has no such label.
const DISPLAY_NAME: &str = "kuma.io/display-name";

/// All collectors that policies can refer to.
pub struct Collectors<'a> {
    all: Vec<Collector<'a>>,
}

struct Collector<'a> {
    document: &'a Document<'a>,
    /// `None` when it was complained about.
    target: Option<(Transport, Target)>,
    used: Cell<bool>,
}

pub fn read<'a>(documents: &'a [Document<'a>], findings: &mut Findings<'_>) -> Collectors<'a> {
    let all = documents.iter().filter(|it| it.kind == "MeshOpenTelemetryBackend");
    let all = all.map(|document| Collector { document, target: read_one(document, findings), used: Cell::new(false) });
    Collectors { all: all.collect() }
}

fn read_one(document: &Document<'_>, findings: &mut Findings<'_>) -> Option<(Transport, Target)> {
    refuse_unknown(document, document.spec, &["endpoint", "protocol", "env"], findings);
    let protocol = document.spec.entry("protocol").and_then(|entry| Some((entry, text(&entry.value)?)));
    let transport = match protocol {
        None | Some((_, "grpc")) => Transport::Grpc,
        Some((_, "http")) => Transport::Http,
        Some((entry, other)) => {
            let message = format!("unknown protocol {}", shown(other));
            findings.error(&document.entry_place(entry), message, suggest::accepted(other, &["grpc", "http"]));
            return None;
        }
    };
    Some((transport, target(document, transport, findings)?))
}

/// Kuma's default port is 4317 for either protocol. A path is what comes before `/v1/logs`, and is taken as it is.
fn target(document: &Document<'_>, transport: Transport, findings: &mut Findings<'_>) -> Option<Target> {
    let Some(endpoint) = document.spec.entry("endpoint") else { return Some(default(document, OTLP_PORT)) };
    refuse_unknown(document, &endpoint.value, &["address", "port", "path"], findings);
    let port = match endpoint.value.entry("port").filter(|it| text(&it.value).is_some()) {
        None => OTLP_PORT,
        Some(entry) => match text(&entry.value).and_then(|it| it.parse::<u16>().ok()).filter(|port| *port > 0) {
            Some(443) if transport == Transport::Http => {
                let message = "Kuma speaks TLS to this port";
                let help = "write another port, such as 4318, or give the source that takes it a certificate";
                findings.warning(&document.entry_place(entry), message, help);
                443
            }
            Some(port) => port,
            None => {
                findings.error(&document.entry_place(entry), "this is not a port", "write a number from 1 to 65535");
                return None;
            }
        },
    };
    let Some(entry) = endpoint.value.entry("address").filter(|it| text(&it.value).is_some()) else {
        return Some(default(document, port));
    };
    let host = text(&entry.value).unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = if bare.contains(':') { format!("[{bare}]") } else { host.to_owned() };
    match Target::tcp(&format!("{host}:{port}")) {
        Ok(target) => Some(target),
        Err(_) => {
            let message = format!("{} is not a host", shown(&host));
            findings.error(
                &document.entry_place(entry),
                message,
                "write a name or an IP address; the port is in `port`",
            );
            None
        }
    }
}

/// The node on Kubernetes, by the variable HOST_IP of the sidecar; elsewhere the proxy's own host.
fn default(document: &Document<'_>, port: u16) -> Target {
    match document.kubernetes {
        true => Target::Node { port },
        false => Target::Host { host: "127.0.0.1".to_owned(), port },
    }
}

impl Collectors<'_> {
    /// Where a `backendRef` points to: by name, or by labels. Of several Kuma takes the oldest, here
    /// it is the first.
    pub fn resolve(
        &self,
        document: &Document<'_>,
        reference: &Entry,
        findings: &mut Findings<'_>,
    ) -> Option<(Transport, Target)> {
        let place = document.place(&reference.key_span);
        let name = word(&reference.value, "name");
        let labels = reference.value.entry("labels").map(|it| it.value.entries()).unwrap_or_default();
        let kind = word(&reference.value, "kind").unwrap_or("MeshOpenTelemetryBackend");
        if kind != "MeshOpenTelemetryBackend" || (name.is_none() && labels.is_empty()) {
            let help = "write `kind: MeshOpenTelemetryBackend` and its `name:` or `labels:`";
            findings.error(&place, "this refers to no MeshOpenTelemetryBackend", help);
            return None;
        }
        let mut matching = self.all.iter().filter(|it| it.document.mesh == document.mesh);
        let Some(found) = matching.find(|it| it.is(name, labels)) else {
            let wanted = name.or_else(|| labels.first().and_then(|it| text(&it.value))).unwrap_or_default();
            let message = format!(
                "the MeshOpenTelemetryBackend {} of mesh {} is in none of the files",
                shown(wanted),
                shown(document.mesh)
            );
            findings.error(&place, message, "give its file too");
            return None;
        };
        found.used.set(true);
        found.target.clone()
    }

    /// Collectors are for metrics and traces too, so one without logs may be right.
    pub fn tell_unused(&self, findings: &mut Findings<'_>) {
        for collector in self.all.iter().filter(|it| !it.used.get()) {
            let place = collector.document.place(&collector.document.at);
            let message = format!(
                "no source for the MeshOpenTelemetryBackend {}: no MeshAccessLog in these files refers to it",
                shown(collector.document.name)
            );
            findings.note(&place, message, "give the file of the MeshAccessLog too, if it gets access logs");
        }
    }
}

impl Collector<'_> {
    fn is(&self, name: Option<&str>, labels: &[Entry]) -> bool {
        match name {
            Some(name) => name == self.document.name,
            None => labels.iter().all(|label| {
                let wanted = text(&label.value);
                match self.document.labels.iter().find(|it| it.key == label.key) {
                    Some(own) => text(&own.value) == wanted,
                    None => label.key == DISPLAY_NAME && wanted == Some(self.document.name),
                }
            }),
        }
    }
}
