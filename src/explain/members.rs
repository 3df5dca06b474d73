//! A JSON object, member by member.

use serde_json::{Map, Value as Json};

use super::line::Because;
use super::part::of_field;
use super::short;
use crate::record::{Record, Span, Value};
use crate::semantics::{self, Evidence, Fields, Keys, Meaning};

/// Rows of a table.
const ROWS_MAX: usize = 100;
const KEY_MAX: usize = 40;
const VALUE_MAX: usize = 32;

/// The members of an object, what the reader knows of their keys, and what is the reason for the
/// severity of the record.
pub fn members(object: &Map<String, Json>, record: &Map<String, Json>) -> (String, Vec<Because>) {
    let width = object.keys().take(ROWS_MAX).map(|key| short(key, KEY_MAX).chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    let mut because = Vec::new();
    let mut evidence = Evidence::default();
    object.keys().filter_map(|key| semantics::known_key(key.as_bytes())).for_each(|known| evidence.add(known));
    let is_access_log = evidence.is_access_log();
    let attributes = record.get("attributes").and_then(Json::as_object);
    if !is_access_log && !object.is_empty() {
        out.push_str("  Its keys are not those of an access log, so all are kept as they are.\n\n");
    }
    let mut raw = Vec::new();
    let mut fields = Fields::default();
    let meanings: Vec<Option<Meaning>> = object
        .iter()
        .take(ROWS_MAX)
        .map(|(key, value)| {
            let known = semantics::known_key(key.as_bytes()).filter(|_| is_access_log)?;
            if let (Meaning::Field(field), Some(value)) = (known.meaning, typed(value, &mut raw)) {
                fields.set(field, value);
            }
            Some(known.meaning)
        })
        .collect();
    let mut scratch = Record::default();
    let keys = Keys::keep(&mut scratch.tree);
    for ((key, value), meaning) in object.iter().zip(meanings) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let words = match meaning {
            None if attributes.is_some_and(|it| it.contains_key(key)) => "kept under its own name".to_owned(),
            None => "read by the format of the source".to_owned(),
            Some(_) if is_absent(value) => "absent".to_owned(),
            Some(Meaning::Attribute(name, _)) => name.to_owned(),
            Some(Meaning::Field(field)) => {
                let part = of_field(field, &fields, &keys, &raw, &mut scratch, record);
                because.push(Because { what: format!("{key} {}", short(&text, VALUE_MAX)), severity: part.severity });
                part.words()
            }
        };
        out.push_str(&format!("  {:<width$}  {:<VALUE_MAX$}  {words}\n", short(key, KEY_MAX), short(&text, VALUE_MAX)));
    }
    if object.len() > ROWS_MAX {
        out.push_str(&format!("  and {} more\n", object.len() - ROWS_MAX));
    }
    (out, because)
}

/// A value whose text is put into `raw`; nothing for what is absent.
fn typed(value: &Json, raw: &mut Vec<u8>) -> Option<Value> {
    match value {
        _ if is_absent(value) => None,
        Json::Bool(it) => Some(Value::Bool(*it)),
        Json::Number(it) => it.as_i64().map(Value::Int).or_else(|| it.as_f64().map(Value::Double)),
        Json::String(it) => {
            let start = raw.len();
            raw.extend_from_slice(unquoted(it).as_bytes());
            Some(Value::Text(Span::raw(start, raw.len())))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn is_absent(value: &Json) -> bool {
    value.is_null() || value.as_str().is_some_and(|it| matches!(unquoted(it), "" | "-"))
}

/// Kuma's documented format has quotes inside of its values.
fn unquoted(text: &str) -> &str {
    &text[semantics::strip_stray_quotes(text.as_bytes())]
}
