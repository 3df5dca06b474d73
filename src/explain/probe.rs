//! One format tried on one line after the other.

use std::ops::Range;

use serde_json::{Map, Value};

use super::part::{Part, common, json, of_field};
use crate::decode::format::{Format, FormatKeys, Places, Reading, Slot};
use crate::record::{self, Record, Span};
use crate::semantics::{Fields, Keys, Target};

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
        self.format.slots().iter().zip(self.places.slots().chain(std::iter::repeat(None)))
    }

    /// What the value of one operator becomes in the record, whose JSON is `whole`.
    pub fn part(&mut self, line: &[u8], index: usize, whole: &Map<String, Value>) -> Part {
        let Some(slot) = self.format.slots().get(index) else { return Part::default() };
        match slot.target {
            Target::Field(field) => of_field(field, &self.fields, &self.keys, line, &mut self.record, whole),
            Target::Attribute { kind, .. } => {
                let (Some(name), Some(Some(at))) = (self.names.names.get(index), self.places.slots().nth(index)) else {
                    return Part::default();
                };
                let mut alone = Fields::default();
                if !matches!(&line[at.clone()], b"" | b"-") {
                    alone.other(*name, record::Value::Text(Span::raw(at.start, at.end)), kind);
                }
                let alone = json(&alone, &self.keys, line, &mut self.record);
                Part { attributes: common(&alone, whole), ..Part::default() }
            }
            Target::Nothing => Part::default(),
        }
    }
}
