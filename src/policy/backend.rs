//! A backend of MeshAccessLog: TCP, file or OpenTelemetry.

use super::address::Target;
use super::document::{Document, text};
use super::format::{self, Format};
use super::telemetry_backend::Collectors;
use super::{Findings, Place, body};
use crate::config::de::unknown_key;
use crate::config::problem::{Severity, shown};
use crate::config::suggest;
use crate::config::tree::{Entry, Kind, Node};

/// How logs are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Lines,
    Grpc,
    Http,
}

impl Transport {
    /// True when one source can take both: lines alone, or OTLP by either protocol.
    pub fn goes_with(self, other: Transport) -> bool {
        (self == Transport::Lines) == (other == Transport::Lines)
    }
}

/// What one backend asks for.
pub struct Wanted {
    pub transport: Transport,
    pub target: Target,
    pub format: Format,
    /// Where its address is written.
    pub place: Place,
    /// Kind and name of its policy.
    pub owner: String,
}

const TYPES: &[&str] = &["Tcp", "File", "OpenTelemetry"];
const KEYS: &[&str] = &["tcp", "file", "openTelemetry"];

pub fn read(
    document: &Document<'_>,
    node: &Node,
    collectors: &Collectors<'_>,
    wanted: &mut Vec<Wanted>,
    findings: &mut Findings<'_>,
) {
    let whole = document.place(&node.entries().first().map_or(&node.span, |entry| &entry.key_span).clone());
    if !matches!(node.kind, Kind::Mapping(_)) {
        findings.error(&whole, "a backend is a mapping", "write `type: Tcp` and `tcp: {address: 127.0.0.1:5000}`");
        return;
    }
    refuse_unknown(document, node, &["type", "tcp", "file", "openTelemetry"], findings);
    let Some(key) = which(document, node, &whole, findings) else { return };
    let Some(entry) = node.entry(key).filter(|it| matches!(it.value.kind, Kind::Mapping(_))) else {
        findings.error(&whole, format!("the backend has no `{key}`"), format!("write its settings below `{key}:`"));
        return;
    };
    match key {
        "tcp" => wanted.extend(tcp(document, entry, findings)),
        "file" => file(document, entry, findings),
        _ => wanted.extend(open_telemetry(document, entry, collectors, findings)),
    }
}

/// The key with the settings: as `type` says, or before Kuma 2.3 the one that is there.
fn which(document: &Document<'_>, node: &Node, whole: &Place, findings: &mut Findings<'_>) -> Option<&'static str> {
    if let Some(entry) = node.entry("type") {
        let written = text(&entry.value).unwrap_or_default();
        let found = TYPES.iter().position(|name| *name == written);
        if found.is_none() {
            let message = format!("unknown type {}", shown(written));
            findings.error(&document.entry_place(entry), message, suggest::accepted(written, TYPES));
        }
        return KEYS.get(found?).copied();
    }
    let Some(index) = KEYS.iter().position(|key| node.entry(key).is_some()) else {
        let help =
            "write `type:` Tcp, File or OpenTelemetry, and its settings below `tcp:`, `file:` or `openTelemetry:`";
        findings.error(whole, "the backend has no type", help);
        return None;
    };
    let help = format!("write `type: {}` beside it", TYPES[index]);
    findings.note(whole, "a backend without `type` is that of Kuma 2.2 and older", help);
    Some(KEYS[index])
}

fn tcp(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) -> Option<Wanted> {
    refuse_unknown(document, &entry.value, &["address", "format"], findings);
    let format = match entry.value.entry("format") {
        Some(format) => format::read(document, format, findings),
        None => Some(Format::auto()),
    };
    let (target, place) = address(document, entry, "address", Target::tcp, findings)?;
    Some(Wanted { transport: Transport::Lines, target, format: format?, place, owner: owner(document) })
}

/// Its format is read for the mistakes: Envoy refuses them here too.
fn file(document: &Document<'_>, entry: &Entry, findings: &mut Findings<'_>) {
    refuse_unknown(document, &entry.value, &["path", "format"], findings);
    if let Some(format) = entry.value.entry("format") {
        format::read(document, format, findings);
    }
    match entry.value.entry("path") {
        Some(path) => file_note(document, path, findings),
        None => findings.error(&document.place(&entry.key_span), "the backend has no `path`", "write `path:`"),
    }
}

/// There is nothing to listen on.
pub fn file_note(document: &Document<'_>, path: &Entry, findings: &mut Findings<'_>) {
    let written = shown(text(&path.value).unwrap_or_default());
    let message = format!("no source for this: each proxy writes {written} on its own host");
    let help = "to collect it here, make it a TCP or OpenTelemetry backend";
    findings.note(&document.entry_place(path), message, help);
}

fn open_telemetry(
    document: &Document<'_>,
    entry: &Entry,
    collectors: &Collectors<'_>,
    findings: &mut Findings<'_>,
) -> Option<Wanted> {
    refuse_unknown(document, &entry.value, &["endpoint", "backendRef", "attributes", "body"], findings);
    let format = body::read(document, &entry.value, findings);
    let (transport, target, place) = match entry.value.entry("backendRef") {
        Some(reference) => {
            let (transport, target) = collectors.resolve(document, reference, findings)?;
            (transport, target, document.place(&reference.key_span))
        }
        None => {
            if let Some(endpoint) = entry.value.entry("endpoint") {
                let help = "name a MeshOpenTelemetryBackend by `backendRef` (Kuma 2.14 and newer)";
                findings.note(&document.place(&endpoint.key_span), "`endpoint` is gone in Kuma 3.0", help);
            }
            let (target, place) = address(document, entry, "endpoint", Target::otlp, findings)?;
            (Transport::Grpc, target, place)
        }
    };
    Some(Wanted { transport, target, format: format?, place, owner: owner(document) })
}

/// The address at a key, and where it is written.
pub fn address(
    document: &Document<'_>,
    entry: &Entry,
    key: &str,
    parse: fn(&str) -> Result<Target, (String, String)>,
    findings: &mut Findings<'_>,
) -> Option<(Target, Place)> {
    let Some((written, address)) = entry.value.entry(key).and_then(|it| Some((it, text(&it.value)?))) else {
        let at = entry.value.entry(key).unwrap_or(entry);
        findings.error(&document.place(&at.key_span), format!("the backend has no `{key}`"), "write host:port");
        return None;
    };
    let place = document.entry_place(written);
    match parse(address) {
        Ok(target) => Some((target, place)),
        Err((message, help)) => {
            findings.error(&place, message, help);
            None
        }
    }
}

/// Kuma prunes what it does not know, or refuses it: a misspelt key does nothing.
pub fn refuse_unknown(document: &Document<'_>, node: &Node, accepted: &[&str], findings: &mut Findings<'_>) {
    for entry in node.entries().iter().filter(|entry| !accepted.contains(&entry.key.as_str())) {
        findings.add(document.file, unknown_key(entry, accepted).severity(Severity::Warning));
    }
}

/// Kind and name of a policy, as comments show it.
pub fn owner(document: &Document<'_>) -> String {
    format!("{} {}", document.kind, document.name)
}
