//! Limits of sinks, and what two sinks may not share.

use std::collections::BTreeMap;

use super::{Findings, Scope, suggest};
use crate::config::Config;
use crate::config::problem::shown;
use crate::config::units::ByteSize;
use crate::select::Condition;
use crate::sink::file::{self, FileConfig, SyncPolicy};
use crate::sink::otlp::{OtlpConfig, Settings};
use crate::sink::{SinkConfig, SinkKind};
use crate::template::Template;

pub fn check(config: &Config, scope: &Scope, findings: &mut Findings<'_>) {
    let mut paths: BTreeMap<String, &str> = BTreeMap::new();
    let mut stdout: Option<&str> = None;
    for (name, sink) in &config.sinks {
        let at = |key| ["sinks", name.as_str(), key];
        if let Some(inbox) = sink.inbox {
            findings.within(&at("inbox"), inbox, SinkConfig::INBOX_MIN, ByteSize(1 << 40));
        }
        from(&at("from"), sink.from.as_deref(), scope, findings);
        if let Some(Err(error)) = sink.when.as_deref().map(Condition::compile) {
            findings.refuse(&at("when"), error.to_string(), error.help);
        }
        match &sink.kind {
            SinkKind::File(one) => {
                check_file(name, one, findings);
                if let Some(other) = paths.insert(file::plain_path(&one.path), name) {
                    let message = format!("{} is written by sink {} too", shown(&one.path), shown(other));
                    findings.refuse(&at("path"), message, "give each file sink a path of its own");
                }
            }
            SinkKind::Stdout(_) => {
                if let Some(other) = stdout.replace(name) {
                    let message = format!("standard output is written by sink {} already", shown(other));
                    findings.refuse(&["sinks", name], message, "keep one `stdout` sink");
                }
            }
            SinkKind::Otlp(otlp) => check_otlp(name, otlp, findings),
            SinkKind::Null(_) => {}
        }
    }
    let feeds = |source: &str| {
        config.sinks.values().any(|sink| sink.from.as_ref().is_none_or(|from| from.iter().any(|name| name == source)))
    };
    if scope.complete && !config.sinks.is_empty() {
        for name in config.sources.keys().filter(|name| !feeds(name)) {
            findings.warn(&["sources", name], "no sink takes its records, they are counted and dropped");
        }
    }
}

/// Each costs a search for the nearest name.
const UNKNOWN_SHOWN_MAX: usize = 8;

fn from(path: &[&str], from: Option<&[String]>, scope: &Scope, findings: &mut Findings<'_>) {
    let Some(from) = from else { return };
    if from.is_empty() {
        findings.refuse(path, "a list of no sources", "name a source, or remove `from` to take all");
    }
    let names: Vec<&str> = scope.sources.iter().map(String::as_str).collect();
    let unknown = from.iter().enumerate().filter(|(_, name)| !scope.sources.contains(*name));
    for (index, name) in unknown.take(UNKNOWN_SHOWN_MAX) {
        let index = index.to_string();
        findings.refuse(
            &[path, &[index.as_str()]].concat(),
            format!("there is no source {}", shown(name)),
            suggest::accepted(name, &names),
        );
    }
}

fn check_file(name: &str, file: &FileConfig, findings: &mut Findings<'_>) {
    let at = |key| ["sinks", name, key];
    if let Err(message) = Template::parse(&file.path) {
        findings.refuse(&at("path"), message, "write a file, such as logs/access.log or logs/{kuma.mesh}/access.log");
    }
    if file.rotate.size.is_some_and(|size| size.0 == 0) {
        findings.refuse(&["sinks", name, "rotate", "size"], "0B is out of range", "write a size above zero");
    }
    if let Some(every) = file.rotate.every {
        findings.above_zero(&["sinks", name, "rotate", "every"], every.0);
    }
    if file.keep.files == Some(0) {
        findings.refuse(
            &["sinks", name, "keep", "files"],
            "0 is out of range",
            "write at least 1, or remove the key to keep all",
        );
    }
    if let Some(age) = file.keep.age {
        findings.above_zero(&["sinks", name, "keep", "age"], age.0);
    }
    if file.keep.bytes.is_some_and(|bytes| bytes.0 == 0) {
        findings.refuse(
            &["sinks", name, "keep", "bytes"],
            "0B is out of range",
            "write a size above zero, or remove the key",
        );
    }
    if let SyncPolicy::Every(every) = file.sync {
        findings.above_zero(&at("sync"), every.0);
    }
    findings.within(&at("open_max"), file.open_max, 1, 65_536);
}

fn check_otlp(name: &str, otlp: &OtlpConfig, findings: &mut Findings<'_>) {
    for mistake in Settings::read(otlp).err().unwrap_or_default() {
        let path: Vec<&str> = ["sinks", name].into_iter().chain(mistake.path.iter().map(String::as_str)).collect();
        findings.refuse(&path, mistake.message, mistake.help);
    }
}
