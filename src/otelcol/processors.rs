//! Processors become what a sink selects, what is redacted, and the memory.

use std::collections::BTreeSet;

use crate::config::tree::{Entry, Node};
use crate::config::units::ByteSize;

use super::filter;
use super::findings::Findings;
use super::look;

/// What one processor does to the records that pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    /// All of these must hold, in CEL.
    pub when: Vec<String>,
    /// Every Nth; 0 and 1 take each.
    pub sample: u64,
    /// Headers whose values are taken out.
    pub headers: BTreeSet<String>,
    /// What the Collector may use altogether, in MiB.
    pub limit_mib: Option<u64>,
}

/// Names of a header's attribute by the OpenTelemetry conventions.
const HEADER_KEYS: &[&str] = &["http.request.header.", "http.response.header."];

/// Reads one processor.
pub fn read(id: &str, entry: &Entry, findings: &mut Findings) -> Effect {
    let span = entry.key_span.clone();
    match look::kind(id) {
        "batch" => {
            let what =
                format!("processors.{id} needs no counterpart: sinks write all that waits at once, by themselves");
            findings.kept(span, what);
            Effect::default()
        }
        "memory_limiter" => limiter(id, entry, findings),
        "filter" => filter::read(id, entry, findings),
        "probabilistic_sampler" => sampler(id, entry, findings),
        "attributes" => attributes(id, entry, findings),
        "transform" => transform(id, entry, findings),
        "resource" | "k8sattributes" | "k8s_attributes" | "resourcedetection" | "resource_detection" => {
            let help = "logboom adds nothing to records: Kuma's are in them (kuma.mesh, kuma.source.service); add others at \
                        the sender (attributes of the policy) or upstream";
            findings.dropped(span, format!("the processor {id} has no counterpart"), help);
            Effect::default()
        }
        "redaction" => {
            let help =
                "`redact` takes out query parameters and headers by name, and masks addresses: docs/configuration.md";
            findings.dropped(span, format!("the processor {id} has no counterpart"), help);
            Effect::default()
        }
        _ => {
            let help = "logboom reads, selects, samples and redacts, and changes nothing else: do it upstream";
            findings.dropped(span, format!("the processor {id} has no counterpart"), help);
            Effect::default()
        }
    }
}

fn limiter(id: &str, entry: &Entry, findings: &mut Findings) -> Effect {
    let limit = look::word(&entry.value, &["limit_mib"]).and_then(|it| it.parse::<u64>().ok()).filter(|it| *it > 0);
    let place = look::at(&entry.value, &["limit_mib"]).map_or_else(|| entry.key_span.clone(), look::place);
    match limit {
        Some(limit) => {
            let message = format!(
                "limit_mib is for the whole Collector, `memory` for what is in flight: {} of {limit}MiB",
                memory(limit)
            );
            let help = "`logboom check` prints the bound for the whole process as a sum; nothing is refused above a soft limit";
            findings.changed(place, message, help);
        }
        None => {
            let message = format!("processors.{id}: a share of the machine's memory is not asked for");
            let help =
                "`memory: 64MiB` is what may be in flight; `logboom check` prints the bound for the whole process";
            findings.changed(place, message, help);
        }
    }
    Effect { limit_mib: limit, ..Effect::default() }
}

/// The budget that fits into a process of so many MiB: what is not budget takes about 400 MiB with the limits of
/// connections that are the default, and the allocator and unfinished lines take half of the budget more.
pub fn memory(limit_mib: u64) -> ByteSize {
    ByteSize::mib((limit_mib.saturating_sub(400) * 3 / 5 / 16 * 16).clamp(64, 1 << 20))
}

fn sampler(id: &str, entry: &Entry, findings: &mut Findings) -> Effect {
    let place = look::at(&entry.value, &["sampling_percentage"]).map_or_else(|| entry.key_span.clone(), look::place);
    let percentage = look::word(&entry.value, &["sampling_percentage"]).and_then(|it| it.parse::<f64>().ok());
    let Some(percentage) = percentage.filter(|it| it.is_finite() && *it > 0.0) else {
        let help = "write `sample: 1/20` for every 20th record; remove the pipeline where nothing is wanted";
        findings.dropped(place, format!("processors.{id} says no percentage above 0"), help);
        return Effect::default();
    };
    let every = (100.0 / percentage).round().clamp(1.0, 1e9) as u64;
    let help = "what belongs to one trace is not kept or dropped together; counts have to be multiplied by N";
    let message = match every {
        1 => format!("{percentage} % is nearest to every record: 1/N is all that `sample` can say"),
        _ => format!("{percentage} % by hash of the trace becomes one record of {every}, counted for each sink"),
    };
    if percentage < 100.0 {
        findings.changed(place, message, help);
    }
    Effect { sample: every, ..Effect::default() }
}

/// The header that an attribute holds.
fn header(key: &str) -> Option<String> {
    HEADER_KEYS
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix))
        .filter(|it| !it.is_empty())
        .map(str::to_ascii_lowercase)
}

fn redacted(name: &str, place: &Entry, effect: &mut Effect, findings: &mut Findings) {
    let message =
        format!("the header {name} is not removed, its value becomes REDACTED: in every record, for every sink");
    findings.changed(look::place(place), message, "`redact.headers`; it is also taken out of the body");
    effect.headers.insert(name.to_owned());
}

fn attributes(id: &str, entry: &Entry, findings: &mut Findings) -> Effect {
    let mut effect = Effect::default();
    let actions = look::at(&entry.value, &["actions"]).map(|it| look::items(&it.value)).unwrap_or_default();
    for action in actions {
        let key = look::at(action, &["key"]);
        let name = key.and_then(|it| look::text(&it.value)).unwrap_or_default();
        let verb = look::word(action, &["action"]).unwrap_or_default();
        let place = key.or_else(|| action.entries().first()).unwrap_or(entry);
        match (verb, header(name)) {
            ("delete" | "hash", Some(header)) => redacted(&header, place, &mut effect, findings),
            ("delete" | "hash", None) => {
                let help = "`redact` takes out query parameters, headers and addresses; leave others out at the sender (`attributes` \
                            and `format` of the policy)";
                findings.dropped(look::place(place), format!("{verb} of {name}: logboom removes no attributes"), help);
            }
            _ => {
                let help = "logboom adds and changes no attributes: do it at the sender (`attributes` of the policy) or upstream";
                let what = if verb.is_empty() { "an action" } else { verb };
                findings.dropped(look::place(place), format!("{what} of {name} has no counterpart"), help);
            }
        }
    }
    findings.rest(&format!("processors.{id}"), &entry.value, &["actions"]);
    effect
}

fn transform(id: &str, entry: &Entry, findings: &mut Findings) -> Effect {
    let mut effect = Effect::default();
    let Some(logs) = look::at(&entry.value, &["log_statements"]) else {
        findings.kept(entry.key_span.clone(), format!("processors.{id} does nothing to logs"));
        return effect;
    };
    for node in look::items(&logs.value) {
        // A statement alone, or some with a context.
        let inner = look::at(node, &["statements"]).map(|it| look::items(&it.value));
        for statement in inner.unwrap_or(std::slice::from_ref(node)) {
            let Some(text) = look::text(statement) else { continue };
            match deleted(text).and_then(header) {
                Some(header) => {
                    let place = Entry { key: header, key_span: statement.span.clone(), value: Node::mapping() };
                    redacted(&place.key, &place, &mut effect, findings);
                }
                None => {
                    let help = "logboom changes no records but by `redact`: do it upstream";
                    let message = format!("the statement {} has no counterpart", crate::config::problem::shown(text));
                    findings.dropped(statement.span.clone(), message, help);
                }
            }
        }
    }
    effect
}

/// The key of `delete_key(attributes, "key")`, without a condition.
fn deleted(statement: &str) -> Option<&str> {
    let arguments = statement.trim().strip_prefix("delete_key(")?.strip_suffix(')')?;
    let (map, key) = arguments.split_once(',')?;
    matches!(map.trim(), "attributes" | "log.attributes").then_some(())?;
    key.trim().strip_prefix('"')?.strip_suffix('"').filter(|key| !key.contains('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(deleted(text).and_then(header).as_deref(), expected, "{text}");
        };
        check(r#"delete_key(attributes, "http.request.header.Authorization")"#, Some("authorization"));
        check(r#"delete_key(log.attributes, "http.response.header.set-cookie")"#, Some("set-cookie"));
        check(r#"delete_key(resource.attributes, "http.request.header.x")"#, None);
        check(r#"delete_key(attributes, "password")"#, None);
        check(r#"delete_key(attributes, "http.request.header.a") where body == "x""#, None);
        check(r#"set(attributes["a"], "b")"#, None);
    }

    #[test]
    fn budgets() {
        let check = |limit, expected: &str| assert_eq!(memory(limit).to_string(), expected, "{limit}");
        check(0, "64MiB");
        check(512, "64MiB");
        check(1500, "656MiB");
        check(4000, "2160MiB");
        check(u64::MAX / 4, "1024GiB");
    }
}
