//! How a line is read, field by field.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::members::members;
use super::ruler::{label, ruled};
use super::{Probe, short, single, tame};
use crate::decode::format::{Format, Reading};
use crate::decode::reader::Reader;
use crate::semantics::{self, Target};

const OPERATOR_MAX: usize = 46;
const VALUE_MAX: usize = 32;
/// Places where a line is tried to end.
const ENDS_MAX: usize = 16;

/// A value, and the severity a record would have if it said nothing else.
pub struct Because {
    pub what: String,
    pub severity: i64,
}

/// Which of the reader's formats reads the line, what each value becomes, and why the others do
/// not; and whether one does. Rows of the line have at most `width` characters.
#[must_use]
pub fn line(line: &[u8], reader: &Reader, width: usize) -> (String, bool) {
    let mut record = Map::new();
    single::read(reader, None, line, |it| record = single::json(it));
    let mut out = String::new();
    let object: Option<Map<String, Value>> =
        line.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten();
    let read = match object {
        Some(object) => {
            out.push_str("A JSON object.\n\n");
            let (table, because) = members(&object, &record);
            out.push_str(&table);
            outcome(&record, &because, &mut out);
            !object.is_empty()
        }
        None => text(line, reader, &record, width, &mut out),
    };
    (out, read)
}

fn text(bytes: &[u8], reader: &Reader, record: &Map<String, Value>, width: usize, out: &mut String) -> bool {
    let mut probes: Vec<(&str, &Format, Reading)> =
        reader.formats().map(|(name, format)| (name, format, Probe::new(format).read(bytes))).collect();
    let winner = probes.iter().position(|(_, _, reading)| !matches!(reading, Reading::No { .. }));
    if let Some((name, format, reading)) = winner.map(|at| probes.remove(at)) {
        let how = match reading {
            Reading::Ambiguous => {
                "in more than one way: what a client sent looks like a separator. What all ways have in common is read."
            }
            _ => "in one way.",
        };
        let _ = writeln!(out, "{name} reads this line {how}\n");
        let because = slots(bytes, format, record, width, out);
        outcome(record, &because, out);
    } else {
        let _ = writeln!(out, "No format reads this line, it is kept as text.\n\n{}", ruled(bytes, &[], width));
        outcome(record, &[], out);
    }
    others(bytes, &probes, winner, out);
    winner.is_some()
}

/// The line with marks, and a row for each value.
fn slots(line: &[u8], format: &Format, record: &Map<String, Value>, width: usize, out: &mut String) -> Vec<Because> {
    let mut probe = Probe::new(format);
    let _reading = probe.read(line);
    let slots: Vec<_> = probe.slots().collect();
    let places: Vec<_> =
        slots.iter().enumerate().filter_map(|(index, (_, place))| Some((index, place.clone()?))).collect();
    out.push_str(&ruled(line, &places, width));
    let operator = |at: &std::ops::Range<usize>| short(&format.text()[at.clone()], OPERATOR_MAX);
    let column = slots.iter().map(|(slot, _)| operator(&slot.at).chars().count()).max().unwrap_or(0);
    out.push('\n');
    let mut because = Vec::new();
    for (index, (slot, place)) in slots.iter().enumerate() {
        let text = place.clone().map_or_else(String::new, |it| String::from_utf8_lossy(&line[it]).into_owned());
        let meaning = match (place, &slot.target) {
            (None, _) => "not certain where it is".to_owned(),
            (_, Target::Nothing) => "nothing".to_owned(),
            _ => {
                let part = probe.part(line, index, record);
                because.push(Because {
                    what: format!("{} {}", operator(&slot.at), short(&text, VALUE_MAX)),
                    severity: part.severity,
                });
                if matches!(text.as_str(), "" | "-") { "absent".to_owned() } else { part.words() }
            }
        };
        let _ = writeln!(
            out,
            "  {}  {:<column$}  {:<VALUE_MAX$}  {meaning}",
            label(index),
            operator(&slot.at),
            short(&text, VALUE_MAX)
        );
    }
    because
}

/// Severity and its reasons, flags in words, and what was wrong.
fn outcome(record: &Map<String, Value>, because: &[Because], out: &mut String) {
    out.push('\n');
    if let Some(severity) = record.get("severity_text").and_then(Value::as_str) {
        let number = record.get("severity_number").and_then(Value::as_i64).unwrap_or(0);
        let reasons: Vec<&str> =
            because.iter().filter(|it| it.severity == number && number > 9).map(|it| it.what.as_str()).collect();
        let reasons =
            if reasons.is_empty() { String::new() } else { format!(", because of {}", reasons.join(" and ")) };
        let _ = writeln!(out, "  severity  {}{reasons}", tame(severity));
    }
    if let Some(trace) = record.get("trace_id").and_then(Value::as_str) {
        let _ = writeln!(out, "  trace     {}", tame(trace));
    }
    let Some(attributes) = record.get("attributes").and_then(Value::as_object) else { return };
    let flags = attributes.get("envoy.response_flags").and_then(Value::as_array);
    for name in flags.into_iter().flatten().filter_map(Value::as_str) {
        let meaning = semantics::flag(name.as_bytes()).map_or("not one of Envoy's own flags", |it| it.meaning);
        let _ = writeln!(out, "  flag      {}: {meaning}", tame(name));
    }
    if let Some(reason) = attributes.get("logboom.parse_error").and_then(Value::as_str) {
        let _ = writeln!(out, "  problem   {reason}: {}", problem(reason));
    }
}

fn problem(reason: &str) -> &'static str {
    match reason {
        "invalid_utf8" => "it looks like JSON, and some bytes are not UTF-8",
        "invalid_json" => {
            "it looks like JSON and is none: a value that a client sent was not escaped, or the end is missing"
        }
        "too_deep" => "a value is nested deeper than 32 levels",
        "not_an_object" => "it is JSON, but no object",
        "ambiguous" => "a client can forge this; a Json format in the policy cannot be forged",
        "no_values" => "everything in a Json format was absent, so kuma-dp sent nothing in its place",
        "protocol_name" => {
            "Kuma 2.11 and later send the name of the protocol for passthrough traffic without a format: \
             set `format` in the MeshAccessLog policy"
        }
        _ => "`logboom learn FILE` proposes a format, `--format` tries one",
    }
}

fn others(line: &[u8], probes: &[(&str, &Format, Reading)], winner: Option<usize>, out: &mut String) {
    if probes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n  {}", if winner.is_some() { "The other formats" } else { "The formats" });
    let column = probes.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (at, (name, format, reading)) in probes.iter().enumerate() {
        let Reading::No { fitted } = reading else {
            let order = if winner.is_some_and(|winner| at >= winner) { "; it comes later" } else { "" };
            let _ = writeln!(out, "  {name:<column$}  would read it too{order}");
            continue;
        };
        let count = format.slots().len();
        let why = match (surplus(line, format), format.slots().get(*fitted)) {
            (Some(surplus), _) => {
                let found = short(&String::from_utf8_lossy(surplus), VALUE_MAX);
                format!("no: after value {count}: the line should end, found '{found}'")
            }
            (None, Some(slot)) => {
                let operator = short(&format.text()[slot.at.clone()], OPERATOR_MAX);
                format!("no: {operator} does not fit, value {} of {count}", fitted + 1)
            }
            (None, None) => "no: the end of the line does not fit".to_owned(),
        };
        let _ = writeln!(out, "  {name:<column$}  {why}");
    }
}

/// What is behind a line of that format, when it is that alone that does not fit.
fn surplus<'a>(line: &'a [u8], format: &Format) -> Option<&'a [u8]> {
    let ending = format.text()[format.slots().last()?.at.end..].trim_end_matches('\n').replace("%%", "%");
    let mut probe = Probe::new(format);
    // Behind a value of unknown length only a space says that something else begins.
    let may_end = |at: &usize| line[..*at].ends_with(ending.as_bytes()) && (!ending.is_empty() || line[*at] == b' ');
    let at = (0..line.len())
        .rev()
        .filter(may_end)
        .take(ENDS_MAX)
        .find(|at| !matches!(probe.read(&line[..*at]), Reading::No { .. }))?;
    Some(&line[at..])
}
