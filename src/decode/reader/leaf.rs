//! A format string as the value of a key.

use super::{SettingError, Space, at};
use crate::decode::format::{Format, FormatKeys, Reading};
use crate::record::{Span, Tree, Value};
use crate::semantics::{Field, Fields, Kind, Target, says_the_same};

/// A format string as the value of a key.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    /// No operator: the value is the same for all records and has no meaning we know.
    Constant,
    /// One operator and nothing else: the value has the operator's type.
    Whole {
        /// Where it goes.
        target: Target,
        /// Name of the attribute, for an attribute.
        name: Span,
    },
    /// Read like a line.
    Mixed(Box<Format>, FormatKeys),
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is among the fields now, or it is absent.
    Taken,
    /// The same, as far as it can be known.
    Ambiguous,
    /// It is not what the format says.
    Left,
}

impl Leaf {
    /// Compiles the format string that stands at `path`.
    pub(super) fn compile(text: &str, path: &[&str], tree: &mut Tree) -> Result<Leaf, SettingError> {
        let format = Format::compile(text).map_err(|error| at(path, error))?;
        Ok(match format.slots() {
            [] => Leaf::Constant,
            // A time of one's own form is no RFC 3339, which only the format knows to read.
            [slot] if slot.at == (0..text.len()) && (slot.params.is_none() || !is_time(&slot.target)) => {
                let name = match &slot.target {
                    Target::Attribute { name, .. } => tree.keep_key(name.as_bytes()),
                    Target::Field(_) | Target::Nothing => Span::EMPTY,
                };
                Leaf::Whole { target: slot.target.clone(), name }
            }
            _ => {
                let keys = format.keep(tree);
                Leaf::Mixed(Box::new(format), keys)
            }
        })
    }

    /// Reads a value.
    pub(super) fn read(&self, value: Value, raw: &[u8], tree: &Tree, space: &mut Space) -> Fit {
        match (self, value) {
            (Leaf::Constant, _) => Fit::Left,
            (Leaf::Whole { target: Target::Field(field), .. }, _) => set(*field, value, raw, tree, &mut space.fields),
            (Leaf::Whole { target: Target::Attribute { kind, .. }, name }, _) => {
                other(*name, value, *kind, raw, tree, &mut space.fields)
            }
            (Leaf::Whole { target: Target::Nothing, .. }, _) => Fit::Taken,
            (Leaf::Mixed(format, keys), Value::Text(span)) => {
                let (buffer, range, in_side) = tree.place(raw, span);
                let Space { places, fields, inner, .. } = space;
                let reading = format.read(buffer, range.start, range.end, keys, places, inner);
                fields.absorb(inner, |span| if in_side { span.in_side() } else { span });
                match reading {
                    Reading::Unique => Fit::Taken,
                    Reading::Ambiguous => Fit::Ambiguous,
                    Reading::No { .. } => Fit::Left,
                }
            }
            (Leaf::Mixed(..), Value::Empty) => Fit::Taken,
            (Leaf::Mixed(..), _) => Fit::Left,
        }
    }
}

fn is_time(target: &Target) -> bool {
    matches!(target, Target::Field(Field::StartTime | Field::EmitTime))
}

/// Sets a field, unless the value says that there is none.
pub(super) fn set(field: Field, value: Value, raw: &[u8], tree: &Tree, fields: &mut Fields) -> Fit {
    let without = matches!(field, Field::Flags | Field::FlagsLong);
    match value {
        Value::Array { .. } | Value::Kvlist { .. } => return Fit::Left,
        Value::Empty => {}
        Value::Text(span) if span.is_empty() || (!without && is_absent(tree.text(raw, span))) => {}
        _ => fields.set(field, value),
    }
    Fit::Taken
}

/// Sets a field that was said before. Where both values say the same, the shorter one stays, for the
/// longer one has what nobody confirms; else it is not known which is true.
#[cold]
pub(super) fn again(field: Field, before: Value, value: Value, raw: &[u8], tree: &Tree, fields: &mut Fields) -> Fit {
    let fit = set(field, value, raw, tree, fields);
    let Some(after) = fields.get(field) else { return fit };
    let (mut one, mut other) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (same, shorter) = match (written(before, raw, tree, &mut one), written(after, raw, tree, &mut other)) {
        (Some(before), Some(after)) => (says_the_same(field, before, after), before.len() <= after.len()),
        _ => (before == after, true),
    };
    if !same || shorter {
        fields.set(field, before);
    }
    if same { fit } else { Fit::Ambiguous }
}

/// The text of a value: `200` and `"200"` are the same.
fn written<'a>(value: Value, raw: &'a [u8], tree: &'a Tree, digits: &'a mut itoa::Buffer) -> Option<&'a [u8]> {
    match value {
        Value::Text(span) => Some(tree.text(raw, span)),
        Value::Int(number) => Some(digits.format(number).as_bytes()),
        _ => None,
    }
}

/// Adds an attribute of its own, unless the value says that there is none.
pub(super) fn other(name: Span, value: Value, kind: Kind, raw: &[u8], tree: &Tree, fields: &mut Fields) -> Fit {
    match value {
        Value::Array { .. } | Value::Kvlist { .. } => return Fit::Left,
        Value::Empty => {}
        Value::Text(span) if is_absent(tree.text(raw, span)) => {}
        _ => fields.other(name, value, kind),
    }
    Fit::Taken
}

/// What Envoy writes for a value that is not there.
pub(super) fn is_absent(text: &[u8]) -> bool {
    matches!(text, b"" | b"-")
}
