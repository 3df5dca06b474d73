//! The processor `filter` drops what matches; `when` takes what holds. So each condition is turned around.

use crate::config::problem::shown;
use crate::config::tree::{Entry, Node};

use super::findings::Findings;
use super::look;
use super::ottl::{self, Context, literal, negation};
use super::processors::Effect;

/// Reads one filter: conditions in OTTL, and the older `include` and `exclude`.
pub fn read(id: &str, entry: &Entry, findings: &mut Findings) -> Effect {
    let mut effect = Effect::default();
    let before = (effect.when.len(), findings.has_failed());
    for key in ["log_conditions"] {
        if let Some(conditions) = look::at(&entry.value, &[key]) {
            drops(&conditions.value, Context::Log, &mut effect, findings);
        }
    }
    if let Some(logs) = look::at(&entry.value, &["logs"]) {
        if let Some(conditions) = look::at(&logs.value, &["log_record"]) {
            drops(&conditions.value, Context::Log, &mut effect, findings);
        }
        if let Some(conditions) = look::at(&logs.value, &["resource"]) {
            drops(&conditions.value, Context::Resource, &mut effect, findings);
        }
        for (key, keeps) in [("include", true), ("exclude", false)] {
            if let Some(properties) = look::at(&logs.value, &[key]) {
                match properties_match(&properties.value) {
                    Ok(cel) => effect.when.push(if keeps { cel } else { negation(&cel) }),
                    Err(why) => {
                        let help = "write a condition for `when` by hand: docs/select.md; until then nothing is left out by it";
                        findings.dropped(properties.key_span.clone(), format!("logs.{key}: {why}"), help);
                    }
                }
            }
        }
        findings.rest(&format!("processors.{id}.logs"), &logs.value, &["log_record", "resource", "include", "exclude"]);
    }
    if effect.when.len() > before.0 {
        let help = "a pattern asked of a value that is no text has no answer, and then the record is not taken: `error_mode` has no \
                    counterpart; the others are as they were";
        let message =
            format!("processors.{id} drops what matches, `when` takes what holds: its conditions are turned around");
        match effect.when.iter().any(|it| it.contains(".matches(")) {
            true => findings.changed(entry.key_span.clone(), message, help),
            false => findings.kept(entry.key_span.clone(), message),
        }
    }
    effect
}

fn drops(conditions: &Node, context: Context, effect: &mut Effect, findings: &mut Findings) {
    for node in look::items(conditions) {
        // Newer versions have conditions with a context in one list.
        let (inner, context) = match look::at(node, &["conditions"]) {
            Some(inner) => {
                let resource = look::word(node, &["context"]) == Some("resource");
                (look::items(&inner.value), if resource { Context::Resource } else { context })
            }
            None => (std::slice::from_ref(node), context),
        };
        for node in inner {
            let Some(text) = look::text(node) else { continue };
            match ottl::condition(text, context) {
                Ok(cel) => effect.when.push(negation(&cel)),
                Err(why) => {
                    let help = "write it for `when` by hand: docs/select.md; until then nothing is dropped by it";
                    let message = format!("the condition {} cannot be said in CEL: {why}", shown(text));
                    findings.dropped(node.span.clone(), message, help);
                }
            }
        }
    }
}

/// `include` and `exclude`: all that is written must match; of a list one.
fn properties_match(properties: &Node) -> Result<String, String> {
    let regexp = match look::word(properties, &["match_type"]) {
        Some("regexp") => true,
        Some("strict") => false,
        other => return Err(format!("the match_type {} has no counterpart", shown(other.unwrap_or_default()))),
    };
    let one = |field: &str, value: &str| match regexp {
        true => format!("{field}.matches({})", literal(value)),
        false => format!("{field} == {}", literal(value)),
    };
    let mut all = Vec::new();
    for entry in properties.entries() {
        let texts = || look::items(&entry.value).iter().filter_map(look::text);
        match entry.key.as_str() {
            "match_type" => {}
            "bodies" => all.push(any(texts().map(|it| one("body", it)).collect())),
            "severity_texts" => all.push(any(texts().map(|it| one("severity", it)).collect())),
            "severity_number" => {
                let min = look::word(&entry.value, &["min"]).unwrap_or_default();
                let number = min.parse().ok().or_else(|| ottl::severity(&format!("SEVERITY_NUMBER_{min}")));
                let number: u8 = number.ok_or_else(|| format!("{} is no severity", shown(min)))?;
                let holds = format!("severity_number >= {number}");
                match look::truth(&entry.value, &["match_undefined"]) {
                    Some(true) => all.push(format!("({holds} || !(severity_number > 0))")),
                    _ => all.push(holds),
                }
            }
            "record_attributes" | "attributes" | "resource_attributes" | "resources" => {
                let map = if entry.key.starts_with("res") { "resource" } else { "attributes" };
                for attribute in look::items(&entry.value) {
                    let word = |key: &str| {
                        attribute.entries().iter().find(|it| it.key.eq_ignore_ascii_case(key)).map(|it| &it.value)
                    };
                    let key = word("key").and_then(look::text).ok_or("an attribute without a key")?;
                    match word("value").and_then(look::text) {
                        Some(value) => all.push(one(&format!("{map}[{}]", literal(key)), value)),
                        None => all.push(format!("{} in {map}", literal(key))),
                    }
                }
            }
            other => return Err(format!("`{other}` has no counterpart")),
        }
    }
    match all.is_empty() {
        true => Err("nothing is said to match".to_owned()),
        false => Ok(all.join(" && ")),
    }
}

fn any(mut parts: Vec<String>) -> String {
    match parts.len() {
        1 => parts.remove(0),
        _ => format!("({})", parts.join(" || ")),
    }
}
