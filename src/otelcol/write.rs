//! A configuration as a text that people go on editing: each part says where it comes from.

use crate::config::units::ByteSize;
use crate::policy::yaml::{one_line, scalar};

/// A value. Texts are written as they are, so `${` is a substitution.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number or another word of ours, never quoted.
    Word(String),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub fn word(word: impl ToString) -> Value {
        Value::Word(word.to_string())
    }

    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    fn flow(&self) -> String {
        match self {
            Value::Word(word) => word.clone(),
            Value::Text(text) => scalar(text),
            Value::List(items) => format!("[{}]", join(items.iter().map(Value::flow))),
            Value::Map(entries) => {
                format!("{{{}}}", join(entries.iter().map(|(key, value)| format!("{}: {}", scalar(key), value.flow()))))
            }
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// One key with its value, and the key of the Collector that it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub key: &'static str,
    pub value: Value,
    pub from: String,
}

/// A source, a sink, or another part with a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub name: String,
    /// Where it is written: `file:line key`.
    pub origins: Vec<String>,
    pub items: Vec<Item>,
}

impl Part {
    /// Nothing yet but a name.
    pub fn named(name: impl Into<String>) -> Part {
        Part { name: name.into(), ..Part::default() }
    }

    pub fn set(&mut self, key: &'static str, value: Value, from: impl Into<String>) {
        let from = from.into();
        match self.items.iter_mut().find(|item| item.key == key) {
            Some(item) => *item = Item { key, value, from },
            None => self.items.push(Item { key, value, from }),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.items.iter().find(|item| item.key == key).map(|item| &item.value)
    }

    /// The size at a key; 0 where none is written.
    pub fn bytes(&self, key: &str) -> u64 {
        match self.get(key) {
            Some(Value::Word(word)) => word.parse().unwrap_or(ByteSize(0)).0,
            _ => 0,
        }
    }

    fn write(&self, indent: &str, out: &mut String) {
        for item in &self.items {
            out.push_str(&format!("{indent}{}: {}", item.key, item.value.flow()));
            out.push_str(&if item.from.is_empty() || item.from == item.key {
                String::new()
            } else {
                format!("  # {}", one_line(&item.from))
            });
            out.push('\n');
        }
    }
}

/// A whole configuration: named parts, then what stands at the top.
pub fn configuration(sources: &[Part], sinks: &[Part], rest: &Part) -> String {
    let mut out = String::new();
    for (key, parts) in [("sources", sources), ("sinks", sinks)] {
        out.push_str(&format!("{key}:\n"));
        for part in parts {
            part.origins.iter().for_each(|origin| out.push_str(&format!("  # {}\n", one_line(origin))));
            out.push_str(&format!("  {}:\n", part.name));
            part.write("    ", &mut out);
        }
    }
    rest.write("", &mut out);
    out
}
