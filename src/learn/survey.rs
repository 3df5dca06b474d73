//! How many lines the known formats read.

use std::collections::BTreeMap;

use crate::decode::format::{Format, Reading};
use crate::decode::reader::Reader;
use crate::explain::Probe;

/// Keys of objects that are told apart; a client may choose them.
const KEYS_MAX: usize = 512;

/// Lines that a format reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// In one way.
    pub unique: usize,
    /// In several ways, so that some of their values are not known.
    pub ambiguous: usize,
}

impl Share {
    /// Together.
    #[must_use]
    pub fn all(self) -> usize {
        self.unique + self.ambiguous
    }
}

/// What a stream is made of.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Lines that are not blank.
    pub lines: usize,
    /// Formats that read some of them.
    pub formats: Vec<(String, Share)>,
    /// JSON objects.
    pub objects: usize,
    /// Their keys, and how many objects have them.
    pub keys: BTreeMap<String, usize>,
    /// Numbers of the lines that nothing reads.
    pub unread: Vec<usize>,
}

/// Tries the formats of a reader on each line, in their order, as the reader does.
#[must_use]
pub fn survey(lines: &[&[u8]], reader: &Reader) -> Survey {
    let mut survey = Survey { lines: lines.len(), ..Survey::default() };
    let mut probes: Vec<(&str, Probe<'_>, Share)> =
        reader.formats().map(|(name, format)| (name, Probe::new(format), Share::default())).collect();
    for (index, line) in lines.iter().enumerate() {
        if let Some(object) = object(line) {
            survey.objects += 1;
            for key in object.keys() {
                if survey.keys.len() < KEYS_MAX || survey.keys.contains_key(key) {
                    *survey.keys.entry(key.clone()).or_default() += 1;
                }
            }
            continue;
        }
        let read = probes.iter_mut().any(|(_, probe, share)| count(probe, line, share));
        if !read {
            survey.unread.push(index);
        }
    }
    let used = probes.into_iter().filter(|(_, _, share)| share.all() > 0);
    survey.formats = used.map(|(name, _, share)| (name.to_owned(), share)).collect();
    survey
}

/// How many of the lines a format reads; these are taken out.
pub fn take(format: &Format, lines: &mut Vec<&[u8]>) -> Share {
    let mut share = Share::default();
    let mut probe = Probe::new(format);
    lines.retain(|line| !count(&mut probe, line, &mut share));
    share
}

fn count(probe: &mut Probe<'_>, line: &[u8], share: &mut Share) -> bool {
    match probe.read(line) {
        Reading::Unique => share.unique += 1,
        Reading::Ambiguous => share.ambiguous += 1,
        Reading::No { .. } => return false,
    }
    true
}

fn object(line: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    line.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()
}
