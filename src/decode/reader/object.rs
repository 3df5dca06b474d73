//! Keys whose values have formats: a JSON object, the attributes of an OTLP record.

use super::leaf::{Fit, Leaf};
use super::{KeyFormat, SettingError, Space};
use crate::record::{Range, Tree, Value};
use crate::semantics::Target;

/// Keys and the formats of their values.
#[derive(Clone, Debug)]
pub(super) struct ObjectFormat {
    /// Sorted by key, as kuma-dp writes them.
    members: Vec<(String, Leaf)>,
}

impl ObjectFormat {
    /// Compiles the members that stand at `path`; of a repeated key the last counts, as in kuma-dp.
    pub(super) fn compile(members: &[KeyFormat], path: &[&str], tree: &mut Tree) -> Result<ObjectFormat, SettingError> {
        let mut compiled: Vec<(String, Leaf)> = Vec::with_capacity(members.len());
        for (index, KeyFormat { key, value }) in members.iter().enumerate() {
            let index = index.to_string();
            let path: Vec<&str> = path.iter().copied().chain([index.as_str(), "value"]).collect();
            let leaf = Leaf::compile(value, &path, tree)?;
            compiled.retain(|(other, _)| other != key);
            compiled.push((key.clone(), leaf));
        }
        compiled.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(ObjectFormat { members: compiled })
    }

    /// True when the format has every key in the range: an object of another format has others.
    pub(super) fn has_all(&self, raw: &[u8], tree: &Tree, range: Range) -> bool {
        let mut cursor = 0;
        tree.siblings(range).all(|position| {
            let key = tree.node(position).map(|(key, _)| tree.text(raw, key)).unwrap_or_default();
            self.find(key, &mut cursor).is_some()
        })
    }

    /// Moves the values since `position` into the fields; what does not fit stays. True when a
    /// value can be read in several ways.
    pub(super) fn read(&self, raw: &[u8], tree: &mut Tree, position: u32, space: &mut Space) -> bool {
        let mut ambiguous = false;
        let mut cursor = 0;
        tree.retain(position, |tree, key, value| {
            let Some(leaf) = self.find(tree.text(raw, *key), &mut cursor) else { return true };
            if let (
                Leaf::Whole { target: Target::Attribute { .. }, name },
                Value::Array { .. } | Value::Kvlist { .. },
            ) = (leaf, value)
            {
                // A list stays where it is, under the operator's name.
                *key = *name;
                return true;
            }
            let fit = leaf.read(value, raw, tree, space);
            ambiguous |= fit == Fit::Ambiguous;
            // The parts are not the whole: what was written stays with what was read.
            fit == Fit::Left || (fit == Fit::Ambiguous && matches!(value, Value::Text(_)))
        });
        ambiguous
    }

    /// The format of a key. Objects come sorted, so it is the next one nearly always.
    fn find(&self, key: &[u8], cursor: &mut usize) -> Option<&Leaf> {
        if let Some((next, leaf)) = self.members.get(*cursor)
            && next.as_bytes() == key
        {
            *cursor += 1;
            return Some(leaf);
        }
        let index = self.members.binary_search_by(|(it, _)| it.as_bytes().cmp(key)).ok()?;
        *cursor = index + 1;
        Some(&self.members[index].1)
    }
}
