//! A JSON object, member by member.

use serde_json::{Map, Value as Json};

use super::line::{Because, becomes};
use super::probe;
use super::short;
use crate::record::{Span, Value};
use crate::semantics::{self, Fields, Known};

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
    for (key, value) in object.iter().take(ROWS_MAX) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let meaning = match semantics::known_key(key.as_bytes()) {
            None => "kept under its own name".to_owned(),
            Some(Known::Attribute(name, _)) => name.to_owned(),
            Some(Known::Field(field)) => {
                let (keys, mut scratch) = probe::names();
                let mut fields = Fields::default();
                if let Some(value) = typed(value) {
                    fields.set(field, value);
                }
                let mut meaning = String::new();
                probe::apply(&fields, &keys, text.as_bytes(), &mut scratch, |alone| {
                    let (words, severity) = becomes(alone, record);
                    meaning = words;
                    because.push(Because { what: format!("{key} {}", short(&text, VALUE_MAX)), severity });
                });
                if value.is_null() { "absent".to_owned() } else { meaning }
            }
        };
        out.push_str(&format!(
            "  {:<width$}  {:<VALUE_MAX$}  {meaning}\n",
            short(key, KEY_MAX),
            short(&text, VALUE_MAX)
        ));
    }
    if object.len() > ROWS_MAX {
        out.push_str(&format!("  and {} more\n", object.len() - ROWS_MAX));
    }
    (out, because)
}

/// A value that stands alone in its text.
fn typed(value: &Json) -> Option<Value> {
    match value {
        Json::Bool(it) => Some(Value::Bool(*it)),
        Json::Number(it) => it.as_i64().map(Value::Int).or_else(|| it.as_f64().map(Value::Double)),
        Json::String(it) => Some(Value::Text(Span::raw(0, it.len()))),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
