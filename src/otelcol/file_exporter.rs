//! The exporter `file`.

use crate::config::tree::{Entry, Node};
use crate::config::units::ByteSize;
use crate::template::Template;

use super::exporters::{Kind, Sink};
use super::findings::Findings;
use super::look;
use super::substitute;
use super::write::{Part, Value};

/// What the Collector takes where `rotation` does not say it.
const MEGABYTES: u64 = 100;
const BACKUPS: u64 = 100;

/// A sink of type file; `None` without a path.
pub fn read(id: &str, entry: &Entry, findings: &mut Findings) -> Option<Sink> {
    let settings = &entry.value;
    let mut part = Part::default();
    part.set("type", Value::word("file"), "");
    let Some(path) = look::at(settings, &["path"]) else {
        findings.dropped(entry.key_span.clone(), format!("exporters.{id} has no path"), "write `path: logs.json`");
        return None;
    };
    let mut written = path_of(settings, path);
    for ending in [".zst", ".zstd", ".gz"] {
        if let Some(shorter) = written.strip_suffix(ending) {
            let help = "finished files get the ending of their compression, the one that is written to is plain";
            findings.changed(look::place(path), format!("the path is written without {ending}"), help);
            written = shorter.to_owned();
        }
    }
    if let Err(why) = Template::parse(&substitute::filled(&written)) {
        findings.dropped(look::place(path), why, "write a path such as logs/access.log or logs/{service.name}.log");
        return None;
    }
    part.set("path", Value::text(written), "path");
    group(settings, &mut part, findings);
    encoding(id, settings, path, &mut part, findings);
    rotation(id, entry, &mut part, findings);
    if let Some(compression) = look::at(settings, &["compression"]) {
        part.set("compress", Value::word("zstd"), "compression");
        let help = "the file that is written to stays readable; finished ones end in .zst";
        findings.changed(
            look::place(compression),
            "a file is compressed when it is finished, not while it is written",
            help,
        );
    }
    findings.rest(
        &format!("exporters.{id}"),
        settings,
        &[
            "path",
            "format",
            "rotation",
            "compression",
            "group_by",
            "append",
            "flush_interval",
            "create_directory",
            "directory_permissions",
            "encoding",
        ],
    );
    Some(Sink { part, kind: Kind::File, journal: None })
}

/// Braces are literal there and fields here; the star of `group_by` is a field.
fn path_of(settings: &Node, path: &Entry) -> String {
    let written = look::text(&path.value).unwrap_or_default();
    let mut out = String::new();
    let mut rest = written;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let end = after.find('}').filter(|_| before.ends_with('$') && after.starts_with('{'));
        let length = end.map_or(1, |end| end + 1);
        // A substitution stays as it is.
        out.push_str(if end.is_some() {
            &after[..length]
        } else if after.starts_with('{') {
            "{{"
        } else {
            "}}"
        });
        rest = &after[length..];
    }
    out.push_str(rest);
    match grouped(settings) {
        Some(attribute) => out.replacen('*', &format!("{{{attribute}}}"), 1),
        None => out,
    }
}

/// The attribute that files are grouped by.
fn grouped(settings: &Node) -> Option<&str> {
    (look::truth(settings, &["group_by", "enabled"]) == Some(true))
        .then(|| look::word(settings, &["group_by", "resource_attribute"]).unwrap_or("fileexporter.path_segment"))
}

fn group(settings: &Node, part: &mut Part, findings: &mut Findings) {
    if grouped(settings).is_none() {
        return;
    }
    if let Some(max) = look::word(settings, &["group_by", "max_open_files"]).and_then(|it| it.parse::<u32>().ok()) {
        part.set("open_max", Value::word(max.clamp(1, 65_536)), "group_by.max_open_files");
    }
    if let Some(group) = look::at(settings, &["group_by"]) {
        let help = "a value cannot leave the directory: letters that do not belong into a file name are replaced";
        let message =
            "the attribute is looked up in the record, then in its resource; without it records go to `_unknown`";
        findings.changed(group.key_span.clone(), message, help);
    }
}

fn encoding(id: &str, settings: &Node, path: &Entry, part: &mut Part, findings: &mut Findings) {
    part.set("encoding", Value::word("otlp-json"), "format: json");
    if let Some(format) = look::at(settings, &["format"]).filter(|it| look::text(&it.value) == Some("proto")) {
        part.set("encoding", Value::word("otlp-json"), "format: proto");
        let help =
            "whoever reads the file must read OTLP as JSON, one request a line; `encoding: json` is one record a line";
        findings.changed(look::place(format), format!("exporters.{id}: protobuf in a file becomes JSON"), help);
    }
    if let Some(encoding) = look::at(settings, &["encoding"]) {
        let help = "json, otlp-json and raw are what logboom writes";
        findings.dropped(look::place(encoding), "an encoding extension has no counterpart", help);
    }
    if look::truth(settings, &["append"]) != Some(true) {
        let help = "that is what `append: true` does";
        findings.changed(look::place(path), "the file is continued at a restart; the Collector empties it", help);
    }
}

fn rotation(id: &str, entry: &Entry, part: &mut Part, findings: &mut Findings) {
    let Some(rotation) = look::at(&entry.value, &["rotation"]) else {
        let period = ("every".to_owned(), Value::word("1d"));
        let size = ("size".to_owned(), Value::word(ByteSize::mib(256)));
        part.set("rotate", Value::Map(vec![size, period]), "");
        let help = "`rotate: {}` never begins a new file; `keep` limits how many finished ones stay";
        let message = format!("exporters.{id} has no `rotation`: a file here ends at 256MiB and at midnight UTC");
        findings.changed(entry.key_span.clone(), message, help);
        return;
    };
    let number = |key: &str| look::word(&rotation.value, &[key]).and_then(|it| it.parse::<u64>().ok());
    let size = ByteSize::mib(number("max_megabytes").filter(|it| *it > 0).unwrap_or(MEGABYTES).min(1 << 20));
    part.set("rotate", Value::Map(vec![("size".to_owned(), Value::word(size))]), "rotation.max_megabytes");
    let mut keep = Vec::new();
    match number("max_backups") {
        // There it means all.
        Some(0) => {}
        files => keep.push(("files".to_owned(), Value::word(files.unwrap_or(BACKUPS).min(u64::from(u32::MAX))))),
    }
    if let Some(days) = number("max_days").filter(|it| (1..100_000).contains(it)) {
        keep.push(("age".to_owned(), Value::word(format!("{days}d"))));
    }
    if !keep.is_empty() {
        part.set("keep", Value::Map(keep), "rotation.max_backups, max_days");
    }
    if let Some(local) = look::at(&rotation.value, &["localtime"]).filter(|it| look::text(&it.value) == Some("true")) {
        let help = "docs/output.md says how finished files are called";
        findings.changed(look::place(local), "names of finished files are in UTC", help);
    }
}
