//! What types cannot say: names that must exist, sums that must fit, ranges, addresses, paths.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use super::de::visible;
use super::listen::{Listen, UNIX_PATH_BYTES_MAX};
use super::load::COMPONENTS_MAX;
use super::problem::{Problem, shown};
use super::tree::Node;
use super::units::ByteSize;
use super::{Config, suggest};
use crate::handover::TakeoverConfig;
use crate::redact::{RedactConfig, is_rewritten};
use crate::source::Place;

mod sinks;
mod sources;
mod tests;

/// Memory that must be left for reading, decoding and encoding when all inboxes are full.
pub const WORKING_SPACE: ByteSize = ByteSize::mib(8);

/// What was written, whether or not it could be read.
#[derive(Debug, Default)]
pub struct Scope {
    /// Names of all sources.
    pub sources: BTreeSet<String>,
    /// Everything could be read, so sums are true.
    pub complete: bool,
}

/// Reports what does not hold, and returns what holds but should be known.
pub fn check(config: &Config, scope: &Scope, root: &Node, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut findings = Findings { root, problems, warnings: Vec::new() };
    for (kind, names) in [("source", root.entry("sources")), ("sink", root.entry("sinks"))] {
        for entry in names.map(|entry| entry.value.entries()).unwrap_or_default().iter().take(COMPONENTS_MAX) {
            name(kind, &entry.key, &mut findings);
        }
    }
    if scope.complete && config.sources.is_empty() {
        findings.refuse(
            &["sources"],
            "no source",
            "write at least one, such as `mesh: {type: lines, listen: 127.0.0.1:5000}`",
        );
    }
    if scope.complete && config.sinks.is_empty() {
        findings.refuse(&["sinks"], "no sink", "write at least one, such as `console: {type: stdout}`");
    }
    sources::check(config, &mut findings);
    sinks::check(config, scope, &mut findings);
    tests::check(config, scope, &mut findings);
    redact(&config.redact, &mut findings);
    listeners(config, &mut findings);
    let grace = config.shutdown.grace;
    if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&grace.0) {
        findings.refuse(&["shutdown", "grace"], format!("{grace} is out of range"), "write 100ms to 10m");
    }
    if scope.complete {
        memory(config, &mut findings);
        journal(config, &mut findings);
    }
    findings.warnings
}

/// Where findings go. A path names a place by its keys.
struct Findings<'a> {
    root: &'a Node,
    problems: &'a mut Vec<Problem>,
    warnings: Vec<String>,
}

impl Findings<'_> {
    fn refuse(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let (node, span) = self.root.locate(path);
        let mut problem = Problem::at(span, visible(node, message.into())).help(visible(node, help.into()));
        problem.path = path.join(".");
        self.problems.push(problem);
    }

    fn warn(&mut self, path: &[&str], message: impl Display) {
        let (node, _) = self.root.locate(path);
        self.warnings.push(visible(node, format!("{}: {message}", path.join("."))));
    }

    /// Refuses a number outside of a range.
    fn within<T: PartialOrd + Display>(&mut self, path: &[&str], value: T, low: T, high: T) {
        if value < low || value > high {
            self.refuse(path, format!("{value} is out of range"), format!("write {low} to {high}"));
        }
    }

    /// Refuses a period of zero.
    fn above_zero(&mut self, path: &[&str], period: Duration) {
        if period.is_zero() {
            self.refuse(path, "0s is out of range", "write a duration above zero");
        }
    }
}

/// Names become metric labels and file names.
fn name(kind: &str, name: &str, findings: &mut Findings<'_>) {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !letters || !(1..=64).contains(&name.len()) {
        let path = [if kind == "source" { "sources" } else { "sinks" }, name];
        let message = format!("{} is not a name for a {kind}", shown(name));
        findings.refuse(&path, message, "1 to 64 letters, digits, `_` and `-`");
    }
}

/// Names that can be those of query parameters and headers.
fn redact(redact: &RedactConfig, findings: &mut Findings<'_>) {
    for (key, names) in [("query", &redact.query), ("headers", &redact.headers)] {
        if names.len() > RedactConfig::NAMES_MAX {
            let help = format!("write at most {}", RedactConfig::NAMES_MAX);
            findings.refuse(&["redact", key], format!("{} names are too many", names.len()), help);
        }
        for (at, name) in names.iter().enumerate().take(RedactConfig::NAMES_MAX) {
            let letters = name.bytes().all(|it| it.is_ascii_graphic() && !b"?&=#%\"".contains(&it));
            if !letters || !(1..=RedactConfig::NAME_BYTES_MAX).contains(&name.len()) {
                let message = format!("{} is not a name", shown(name));
                findings.refuse(&["redact", key, &at.to_string()], message, "write a name alone, such as token");
            } else if key == "headers" && is_rewritten(name) {
                let message = format!("{} stays in texts: only its attribute is redacted", shown(name));
                findings.warn(&["redact", key, &at.to_string()], message);
            }
        }
    }
}

/// No two listeners on one address, and a warning for each that others than this machine reach.
fn listeners(config: &Config, findings: &mut Findings<'_>) {
    let mut places: Vec<(Vec<&str>, &str)> = Vec::new();
    for (name, source) in &config.sources {
        let own = source.places().into_iter().map(|Place { key, address }| (vec!["sources", name, key], address));
        places.extend(own);
    }
    if config.admin.listen != "off" {
        places.push((vec!["admin", "listen"], &config.admin.listen));
    }
    let takeover = config.takeover.as_ref().map(TakeoverConfig::address).unwrap_or_default();
    if let Some(TakeoverConfig { socket }) = &config.takeover {
        match takeover_socket(&socket.display().to_string()) {
            Ok(()) => places.push((vec!["takeover", "socket"], &takeover)),
            Err((message, help)) => findings.refuse(&["takeover", "socket"], message, help),
        }
    }
    let mut bound: Vec<(&[&str], Listen)> = Vec::new();
    for (path, address) in &places {
        let listen = match address.parse::<Listen>() {
            Ok(Listen::Unix(_)) if !["listen", "socket"].contains(path.last().unwrap_or(&"")) || path[0] == "admin" => {
                findings.refuse(
                    path,
                    format!("{address}: only `lines` sources listen on unix sockets"),
                    "write host:port",
                );
                continue;
            }
            Ok(listen) => listen,
            Err(message) => {
                let accepted = match path.last() {
                    _ if path[0] == "admin" => "accepted: host:port, systemd:NAME, or off",
                    Some(&"grpc" | &"http") => "accepted: host:port, or systemd:NAME",
                    _ => "accepted: host:port, unix:/absolute/path, or systemd:NAME",
                };
                findings.refuse(path, message, accepted);
                continue;
            }
        };
        if let Some((other, _)) = bound.iter().find(|(_, other)| other.collides(&listen)) {
            let message = format!("{address} is taken by {}", other.join("."));
            findings.refuse(path, message, "give each listener an address of its own");
        }
        if !listen.is_local() {
            findings.warn(
                path,
                format!("{address} is reachable from other machines, in plaintext and without authentication"),
            );
        }
        bound.push((path, listen));
    }
}

/// What is wrong with the path of the socket, and what to write.
fn takeover_socket(path: &str) -> Result<(), (String, String)> {
    let write = |path: &str| format!("write an absolute path without `unix:`, such as {path}");
    if let Some(alone) = path.strip_prefix("unix:") {
        let such = if alone.starts_with('/') { alone } else { TAKEOVER_EXAMPLE };
        return Err((format!("'{path}' is an address, and a path is needed here"), write(such)));
    }
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return Err((format!("'{path}' is not the absolute path of a socket"), write(TAKEOVER_EXAMPLE)));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        let help = format!("the path of a unix socket has at most {UNIX_PATH_BYTES_MAX} bytes");
        return Err((format!("'{path}' is too long"), help));
    }
    Ok(())
}

const TAKEOVER_EXAMPLE: &str = "/run/logboom/takeover.sock";

/// Least size of a journal.
const JOURNAL_MIN: ByteSize = ByteSize::mib(16);

/// The budget must hold every full inbox, the work in progress, and the largest request: as many
/// bytes as no full inbox can take away from those who read.
fn memory(config: &Config, findings: &mut Findings<'_>) {
    let inboxes: u64 = config.sinks.values().map(|sink| sink.inbox_bytes() as u64).fold(0, u64::saturating_add);
    let least = ByteSize(inboxes.saturating_add(working_bytes(config)));
    if config.memory < least {
        let count = config.sinks.len();
        let message = format!(
            "{} is not enough for the inboxes ({count}, together at least {}) and {} to read and decode in",
            config.memory,
            ByteSize(inboxes),
            ByteSize(working_bytes(config))
        );
        let help = format!("write `memory: {least}`, a smaller `inbox:` for the sinks, or a smaller `message_max:`");
        findings.refuse(&["memory"], message, help);
    }
}

/// The journal must hold some of the largest payloads in segments that can be deleted one by one.
fn journal(config: &Config, findings: &mut Findings<'_>) {
    let Some(journal) = &config.journal else { return };
    let least = journal_least(config);
    if journal.max < least {
        let message = format!("{} is not enough: four of the largest message, and at least {JOURNAL_MIN}", journal.max);
        findings.refuse(&["journal", "max"], message, format!("write `max: {least}` or more"));
    }
    if journal.dir.as_os_str().is_empty() {
        findings.refuse(&["journal", "dir"], "there is no name", "write a directory, such as `dir: data/journal`");
    }
}

/// The least `max` of a journal beside these sources.
pub(super) fn journal_least(config: &Config) -> ByteSize {
    let largest = sources::largest_message(config).map_or(0, |(_, largest)| largest.0);
    JOURNAL_MIN.max(ByteSize(largest.saturating_mul(4)))
}

/// Memory that must be left when all inboxes are full: some to work in, and room for the largest
/// request.
pub(super) fn working_bytes(config: &Config) -> u64 {
    let largest = sources::largest_message(config).map_or(0, |(_, largest)| largest.0);
    WORKING_SPACE.0.saturating_add(largest)
}
