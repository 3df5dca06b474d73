//! What OTLP records of a policy look like.

use super::leaf::{Fit, Leaf};
use super::object::ObjectFormat;
use super::{BodyFormat, PolicyFormat, SettingError, Space, ValueFormat};
use crate::record::{Range, Record, Tree, Value};

/// The attributes and the body of an `openTelemetry` backend.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    attributes: ObjectFormat,
    body: Option<ValueShape>,
}

#[derive(Clone, Debug)]
enum ValueShape {
    Leaf(Leaf),
    Array(Vec<ValueShape>),
    Kvlist(Vec<(String, ValueShape)>),
}

impl Shape {
    pub(super) fn compile(policy: &PolicyFormat, tree: &mut Tree) -> Result<Shape, SettingError> {
        let attributes = policy.attributes.as_deref().unwrap_or_default();
        Ok(Shape {
            attributes: ObjectFormat::compile(attributes, &["attributes"], tree)?,
            body: match &policy.body {
                None => None,
                Some(BodyFormat::Text(text)) => Some(ValueShape::Leaf(Leaf::compile(text, &["body"], tree)?)),
                Some(BodyFormat::Value(value)) => Some(ValueShape::compile(value, tree)?),
            },
        })
    }

    /// True when the record can be one of this shape: its attributes are all known, and its body is
    /// of the same kind.
    pub(super) fn fits(&self, raw: &[u8], record: &Record) -> bool {
        let Record { tree, attributes, body, .. } = record;
        let value = tree.siblings(*body).next().and_then(|position| tree.node(position)).map(|(_, value)| value);
        let same_kind = match (&self.body, value) {
            (None, _) | (Some(ValueShape::Leaf(_)), Some(Value::Text(_))) => true,
            (Some(ValueShape::Array(_)), Some(Value::Array { .. })) => true,
            (Some(ValueShape::Kvlist(_)), Some(Value::Kvlist { .. })) => true,
            (Some(_), _) => false,
        };
        same_kind && self.attributes.has_all(raw, tree, *attributes)
    }

    /// Moves attributes into the fields, and reads the body, which stays as it is. True when a
    /// value can be read in several ways.
    pub(super) fn read(&self, raw: &[u8], record: &mut Record, space: &mut Space) -> bool {
        let ambiguous = self.attributes.read(raw, &mut record.tree, record.attributes.start, space);
        let body = record.tree.siblings(record.body).next();
        let in_body = match (&self.body, body) {
            (Some(shape), Some(position)) => shape.read(raw, &record.tree, position, space),
            _ => false,
        };
        ambiguous || in_body
    }

    /// True when the body has a format of its own.
    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }
}

impl ValueShape {
    /// The format of a value in the body; its place is too deep to be pointed at.
    fn compile(value: &ValueFormat, tree: &mut Tree) -> Result<ValueShape, SettingError> {
        match value {
            ValueFormat { string_value: Some(text), array_value: None, kvlist_value: None } => {
                Ok(ValueShape::Leaf(Leaf::compile(text, &["body"], tree)?))
            }
            ValueFormat { string_value: None, array_value: Some(array), kvlist_value: None } => {
                let items = array.values.iter().map(|item| ValueShape::compile(item, tree));
                Ok(ValueShape::Array(items.collect::<Result<_, _>>()?))
            }
            ValueFormat { string_value: None, array_value: None, kvlist_value: Some(list) } => {
                let members = list.values.iter().map(|it| Ok((it.key.clone(), ValueShape::compile(&it.value, tree)?)));
                Ok(ValueShape::Kvlist(members.collect::<Result<_, _>>()?))
            }
            _ => Err(SettingError {
                path: vec!["body".to_owned()],
                message: "a value is one of stringValue, arrayValue and kvlistValue".to_owned(),
                help: "write one of them; Envoy refuses all other kinds".to_owned(),
            }),
        }
    }

    fn read(&self, raw: &[u8], tree: &Tree, position: u32, space: &mut Space) -> bool {
        let Some((_, value)) = tree.node(position) else { return false };
        let below = Range { start: position + 1, end: position + 1 + value.below() };
        match (self, value) {
            (ValueShape::Leaf(leaf), _) => leaf.read(value, raw, tree, space) == Fit::Ambiguous,
            (ValueShape::Array(shapes), Value::Array { .. }) => {
                let items = shapes.iter().zip(tree.siblings(below));
                items.fold(false, |ambiguous, (shape, at)| shape.read(raw, tree, at, space) || ambiguous)
            }
            (ValueShape::Kvlist(shapes), Value::Kvlist { .. }) => {
                // Envoy keeps the order of the policy, so members match by place; keys may repeat.
                let members = shapes.iter().zip(tree.siblings(below)).filter(|((key, _), at)| {
                    tree.node(*at).is_some_and(|(span, _)| tree.text(raw, span) == key.as_bytes())
                });
                members.fold(false, |ambiguous, ((_, shape), at)| shape.read(raw, tree, at, space) || ambiguous)
            }
            _ => false,
        }
    }
}
