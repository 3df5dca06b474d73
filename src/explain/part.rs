//! What one value contributes to a record.

use serde_json::{Map, Value};

use super::{short, single, tame};
use crate::record::{Envelope, Record, RecordRef};
use crate::semantics::{self, Field, Fields, Keys};

/// Characters of a value.
const VALUE_MAX: usize = 60;
/// Keys of a record that values decide, besides its attributes.
const OWN: [&str; 4] = ["timestamp", "trace_id", "span_id", "flags"];

/// What one value contributes.
#[derive(Debug, Default)]
pub struct Part {
    /// Names and values, as the record has them.
    pub attributes: Vec<(String, Value)>,
    /// The severity number of a record that says nothing else.
    pub severity: i64,
}

impl Part {
    /// In words.
    pub fn words(&self) -> String {
        let pairs: Vec<String> = self
            .attributes
            .iter()
            .map(|(key, value)| format!("{}: {}", tame(key), short(&value.to_string(), VALUE_MAX)))
            .collect();
        if pairs.is_empty() { "nothing by itself".to_owned() } else { pairs.join(", ") }
    }
}

/// What a field becomes in a record whose JSON is `whole`. The name may depend on the other fields
/// (bytes of a request, bytes of a connection): so it is what the field alone makes, or else what
/// is gone without it.
pub fn of_field(
    field: Field,
    fields: &Fields,
    keys: &Keys,
    raw: &[u8],
    scratch: &mut Record,
    whole: &Map<String, Value>,
) -> Part {
    let mut one = Fields::default();
    if let Some(value) = fields.get(field) {
        one.set(field, value);
    }
    let alone = json(&one, keys, raw, scratch);
    let severity = alone.get("severity_number").and_then(Value::as_i64).unwrap_or(0);
    let mut attributes = common(&alone, whole);
    if attributes.is_empty() {
        let mut others = fields.clone();
        others.unset(field);
        let without = flat(&json(&others, keys, raw, scratch));
        attributes = common(&json(fields, keys, raw, scratch), whole);
        attributes.retain(|(key, _)| !without.contains_key(key));
    }
    Part { attributes, severity }
}

/// What both have, with the values of `whole`.
pub fn common(alone: &Map<String, Value>, whole: &Map<String, Value>) -> Vec<(String, Value)> {
    let alone = flat(alone);
    flat(whole).into_iter().filter(|(key, _)| alone.contains_key(key)).collect()
}

/// Attributes, and what stands beside them.
fn flat(record: &Map<String, Value>) -> Map<String, Value> {
    let own = OWN.iter().filter_map(|key| Some(((*key).to_owned(), record.get(*key)?.clone())));
    let attributes = record.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    own.chain(attributes).collect()
}

/// The record that these fields make, as JSON.
pub fn json(fields: &Fields, keys: &Keys, raw: &[u8], scratch: &mut Record) -> Map<String, Value> {
    scratch.clear();
    scratch.attributes.start = scratch.tree.position();
    semantics::apply(fields, keys, raw, scratch);
    scratch.attributes.end = scratch.tree.position();
    single::json(RecordRef::new(raw, scratch, &Envelope::default()))
}
