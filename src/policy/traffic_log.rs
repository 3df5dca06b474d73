//! TrafficLog, and the logging backends of the Mesh that it names.

use std::cell::Cell;

use super::address::Target;
use super::backend::{self, Transport, Wanted, address, owner, refuse_unknown};
use super::document::{Document, text, word};
use super::format::{self, Format};
use super::{Findings, Place, access_log};
use crate::config::problem::shown;
use crate::config::suggest;
use crate::config::tree::{Entry, Node};

/// A backend of a Mesh, right or wrong.
struct Backend<'a> {
    mesh: &'a str,
    name: &'a str,
    place: Place,
    used: Cell<bool>,
}

/// Backends of the Mesh are listened for whether or not a TrafficLog is among the files; the two are
/// applied apart.
pub fn read(documents: &[Document<'_>], wanted: &mut Vec<Wanted>, findings: &mut Findings<'_>) {
    let meshes: Vec<&Document<'_>> = documents.iter().filter(|it| it.kind == "Mesh").collect();
    let mut backends = Vec::new();
    for mesh in &meshes {
        let Some(logging) = mesh.spec.entry("logging") else { continue };
        let help = "write a MeshAccessLog; until then this is read";
        findings.note(&mesh.place(&logging.key_span), "`logging` of the Mesh is gone in Kuma 3.0", help);
        refuse_unknown(mesh, &logging.value, &["defaultBackend", "backends"], findings);
        let Some(list) = logging.value.entry("backends") else { continue };
        for node in access_log::items(mesh, list, findings) {
            let name = node.entry("name").map_or(&node.span, |it| &it.value.span);
            let place = mesh.place(name);
            let backend = Backend {
                mesh: mesh.name,
                name: word(node, "name").unwrap_or_default(),
                place,
                used: Cell::new(false),
            };
            backends.push(backend);
            wanted.extend(one(mesh, list, node, findings));
        }
    }
    for log in documents.iter().filter(|it| it.kind == "TrafficLog") {
        let help = "write a MeshAccessLog; until then this is read";
        findings.note(&log.place(&log.at), "TrafficLog is gone in Kuma 3.0", help);
        use_of(log, &meshes, &backends, findings);
    }
    for backend in backends.iter().filter(|it| !it.used.get()) {
        let message = format!("no TrafficLog in these files uses the backend {}", shown(backend.name));
        findings.note(&backend.place, message, "without one, nothing is sent");
    }
}

/// Marks the backend that a TrafficLog names, or complains that there is none.
fn use_of(log: &Document<'_>, meshes: &[&Document<'_>], backends: &[Backend<'_>], findings: &mut Findings<'_>) {
    let Some(mesh) = meshes.iter().find(|it| it.name == log.mesh) else {
        let message = format!("the Mesh {}, which says where this is sent, is in none of the files", shown(log.mesh));
        findings.error(&log.place(&log.at), message, "give its file too");
        return;
    };
    let named = log.spec.entry("conf").and_then(|it| it.value.entry("backend")).filter(|it| text(&it.value).is_some());
    let default = mesh.spec.entry("logging").and_then(|it| it.value.entry("defaultBackend"));
    let (place, name) = match (named, default) {
        (Some(entry), _) => (log.entry_place(entry), text(&entry.value)),
        (None, Some(entry)) => (mesh.entry_place(entry), text(&entry.value)),
        (None, None) => (log.place(&log.at), None),
    };
    let Some(name) = name else {
        let help = "write `conf: {backend: …}`, or `defaultBackend:` in the `logging` of the Mesh";
        findings.warning(&place, "this names no backend, and its Mesh has no default: nothing is logged", help);
        return;
    };
    match backends.iter().find(|it| it.mesh == log.mesh && it.name == name) {
        Some(backend) => backend.used.set(true),
        None => {
            let names: Vec<&str> = backends.iter().filter(|it| it.mesh == log.mesh).map(|it| it.name).collect();
            let message = format!("the Mesh {} has no logging backend {}", shown(log.mesh), shown(name));
            findings.error(&place, message, suggest::accepted(name, &names));
        }
    }
}

fn one(mesh: &Document<'_>, list: &Entry, node: &Node, findings: &mut Findings<'_>) -> Option<Wanted> {
    refuse_unknown(mesh, node, &["name", "format", "type", "conf", "tcp", "file"], findings);
    let format = match node.entry("format") {
        Some(format) if text(&format.value).is_some_and(|it| !it.is_empty()) => {
            format::plain(mesh, format, false, findings)
        }
        _ => Some(Format::auto()),
    };
    // Before `type` and `conf` there were `tcp` and `file`.
    let older = node.entry("tcp").or_else(|| node.entry("file"));
    let kind = word(node, "type").or_else(|| older.map(|it| it.key.as_str()));
    let conf = node.entry("conf").or(older);
    let first = node.entries().first().unwrap_or(list);
    let place = mesh.place(&first.key_span);
    match (kind, conf) {
        (Some("tcp"), Some(conf)) => {
            let (target, place) = address(mesh, conf, "address", Target::tcp, findings)?;
            let name = word(node, "name").unwrap_or_default();
            let owner = format!("{}, backend {name}", owner(mesh));
            Some(Wanted { transport: Transport::Lines, target, format: format?, place, owner })
        }
        (Some("file"), Some(conf)) => {
            if let Some(path) = conf.value.entry("path") {
                backend::file_note(mesh, path, findings);
            }
            None
        }
        (Some("tcp" | "file"), None) => {
            findings.error(&place, "the backend has no `conf`", "write `conf: {address: 127.0.0.1:5000}`");
            None
        }
        (Some(unknown), _) => {
            let message = format!("unknown type {}", shown(unknown));
            let entry = node.entry("type").unwrap_or(first);
            findings.error(&mesh.entry_place(entry), message, suggest::accepted(unknown, &["tcp", "file"]));
            None
        }
        (None, _) => {
            findings.error(
                &place,
                "the backend has no type",
                "write `type: tcp` and `conf: {address: 127.0.0.1:5000}`",
            );
            None
        }
    }
}
