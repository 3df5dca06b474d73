//! Tests that stand in the configuration they are about: lines, and what must become of them.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One line and what must become of it: `logboom test` says whether it does.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestConfig {
    /// What the test shows, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The line as it arrives, without its line feed.
    pub line: String,
    /// The source it arrives at; needed when there are several of type `lines`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Values the record must have, by attribute name or by key of the JSON encoding (`timestamp`,
    /// `severity_text`, `severity_number`, `trace_id`, `span_id`, `body`, …). `null`: it must have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, Expected>,
    /// The sinks that take it: these and no others. `sample` is left aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinks: Option<Vec<String>>,
}

/// A value as it stands in the JSON encoding, type included: `200` is not `"200"`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Expected(pub serde_json::Value);

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Expected, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Expected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Expected, E> {
        Ok(Expected(serde_json::Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Expected, E> {
        Ok(Expected(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Expected, E> {
        Ok(Expected(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Expected, E> {
        Ok(Expected(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Expected, E> {
        Ok(Expected(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Expected, A::Error> {
        let mut list = Vec::new();
        while let Some(Expected(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Expected(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expected, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((key, Expected(value))) = map.next_entry()? {
            object.insert(key, value);
        }
        Ok(Expected(object.into()))
    }
}
