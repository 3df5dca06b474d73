//! One format tried on one line after the other.

use std::ops::Range;

use crate::decode::format::{Format, FormatKeys, Places, Reading, Slot};
use crate::record::{Record, RecordRef, Span, Tree, Value};
use crate::semantics::{self, Fields, Keys, Target};

/// One format, and what it takes to try it on lines.
#[derive(Debug)]
pub struct Probe<'a> {
    format: &'a Format,
    keys: Keys,
    names: FormatKeys,
    record: Record,
    places: Places,
    fields: Fields,
}

impl<'a> Probe<'a> {
    /// For that format.
    #[must_use]
    pub fn new(format: &'a Format) -> Probe<'a> {
        let mut record = Record::default();
        let keys = Keys::keep(&mut record.tree);
        let names = format.keep(&mut record.tree);
        Probe { format, keys, names, record, places: Places::default(), fields: Fields::default() }
    }

    /// How the line fits.
    pub fn read(&mut self, line: &[u8]) -> Reading {
        self.fields.clear();
        self.format.read(line, 0, line.len(), &self.names, &mut self.places, &mut self.fields)
    }

    /// Operators and where their values are, after [`Probe::read`] said that the line fits; no place
    /// where the line can be read in several ways.
    pub fn slots(&self) -> impl Iterator<Item = (&'a Slot, Option<Range<usize>>)> {
        let places = self.places.slots.iter().map(|it| it.clone().map(|it| it.start as usize..it.end as usize));
        self.format.slots().iter().zip(places.chain(std::iter::repeat(None)))
    }

    /// What the value of one operator alone makes of a record.
    pub fn alone(&mut self, line: &[u8], index: usize, see: impl FnOnce(RecordRef<'_>)) {
        let Some(slot) = self.format.slots().get(index) else { return };
        let mut alone = Fields::default();
        match slot.target {
            Target::Field(field) => {
                if let Some(value) = self.fields.get(field) {
                    alone.set(field, value);
                }
            }
            Target::Attribute { kind, .. } => {
                let (Some(name), Some(Some(at))) = (self.names.names.get(index), self.places.slots.get(index)) else {
                    return;
                };
                let value = &line[at.start as usize..at.end as usize];
                if !matches!(value, b"" | b"-") {
                    alone.other(*name, Value::Text(Span::raw(at.start as usize, at.end as usize)), kind);
                }
            }
            Target::Nothing => {}
        }
        apply(&alone, &self.keys, line, &mut self.record, see);
    }
}

/// The record that fields alone make.
pub fn apply(fields: &Fields, keys: &Keys, raw: &[u8], record: &mut Record, see: impl FnOnce(RecordRef<'_>)) {
    record.clear();
    record.attributes.start = record.tree.position();
    semantics::apply(fields, keys, raw, record);
    record.attributes.end = record.tree.position();
    see(RecordRef::new(raw, record, &crate::record::Envelope::default()));
}

/// A tree that begins with the names that fields refer to.
pub fn names() -> (Keys, Record) {
    let mut record = Record::default();
    record.tree = Tree::default();
    let keys = Keys::keep(&mut record.tree);
    (keys, record)
}
