//! Which finished files are kept: by number, age and bytes, for each path on its own.

use std::collections::{BTreeMap, HashMap};

use crate::sink::file::{Compression, KeepConfig};
use crate::sink::rotate::Finished;

/// Most finished files a sink remembers, about 100 bytes each. Beyond that the newest are only
/// counted until the next look at the directory; the oldest are what retention needs.
pub const ENTRIES_MAX: usize = 100_000;

/// The finished files of one sink, so that a rotation does not read the whole directory.
#[derive(Debug, Default)]
pub struct Index {
    paths: HashMap<String, Kept>,
    entries: usize,
}

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<u64, Entry>,
    count: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    unix_ms: u64,
    bytes: u64,
    packing: Compression,
}

impl Index {
    /// Takes note of a finished file. One that is known already is replaced: it was compressed.
    pub fn insert(&mut self, finished: &Finished, bytes: u64) {
        self.remove(finished);
        let kept = self.paths.entry(finished.current.clone()).or_default();
        kept.count += 1;
        kept.bytes += bytes;
        if self.entries < ENTRIES_MAX {
            self.entries += 1;
            let entry = Entry { unix_ms: finished.unix_ms, bytes, packing: finished.packing };
            kept.files.insert(finished.sequence, entry);
        }
    }

    /// Forgets a file.
    pub fn remove(&mut self, finished: &Finished) {
        let Some(kept) = self.paths.get_mut(&finished.current) else { return };
        if let Some(entry) = kept.files.remove(&finished.sequence) {
            kept.count -= 1;
            kept.bytes -= entry.bytes;
            self.entries -= 1;
        }
        if kept.count == 0 {
            self.paths.remove(&finished.current);
        }
    }

    /// True when the file is known in this packing.
    #[must_use]
    pub fn contains(&self, finished: &Finished) -> bool {
        let entry = self.paths.get(&finished.current).and_then(|kept| kept.files.get(&finished.sequence));
        entry.is_some_and(|entry| entry.packing == finished.packing)
    }

    /// The paths that have finished files.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.paths.keys().cloned().collect()
    }

    /// The files of one path that are not kept any more, the oldest first.
    #[must_use]
    pub fn surplus(&self, current: &str, keep: &KeepConfig, now_unix_ms: u64) -> Vec<Finished> {
        let Some(kept) = self.paths.get(current) else { return Vec::new() };
        let (mut count, mut bytes) = (kept.count, kept.bytes);
        let surplus = kept.files.iter().take_while(|(_, entry)| {
            let too_many = keep.files.is_some_and(|max| count > u64::from(max));
            let too_large = keep.bytes.is_some_and(|max| bytes > max.0);
            let age_ms = u128::from(now_unix_ms.saturating_sub(entry.unix_ms));
            let too_old = keep.age.is_some_and(|max| age_ms > max.0.as_millis());
            count -= 1;
            bytes -= entry.bytes;
            too_many || too_large || too_old
        });
        let finished = surplus.map(|(sequence, entry)| Finished {
            current: current.to_owned(),
            sequence: *sequence,
            unix_ms: entry.unix_ms,
            packing: entry.packing,
        });
        finished.collect()
    }

    /// The files of all paths that are not compressed, at most `max`, the oldest of a path first.
    #[must_use]
    pub fn unpacked(&self, max: usize) -> Vec<Finished> {
        let all = self.paths.iter().flat_map(|(current, kept)| {
            let plain = kept.files.iter().filter(|(_, entry)| entry.packing == Compression::None);
            plain.map(|(sequence, entry)| Finished {
                current: current.clone(),
                sequence: *sequence,
                unix_ms: entry.unix_ms,
                packing: Compression::None,
            })
        });
        all.take(max).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::{ByteSize, Period};

    fn finished(sequence: u64) -> Finished {
        Finished { current: "a.log".into(), sequence, unix_ms: sequence * 1000, packing: Compression::None }
    }

    /// Ten files of 10 bytes, one a second; it is the 11th second.
    fn check(keep: KeepConfig, expected: std::ops::RangeInclusive<u64>) {
        let mut index = Index::default();
        (1..=10).for_each(|sequence| index.insert(&finished(sequence), 10));
        index.insert(&Finished { current: "b.log".into(), ..finished(1) }, 1000);
        let got: Vec<u64> = index.surplus("a.log", &keep, 11_000).iter().map(|it| it.sequence).collect();
        assert_eq!(got, expected.collect::<Vec<_>>(), "{keep:?}");
    }

    #[test]
    fn the_oldest_go_first() {
        let none = KeepConfig::default();
        #[allow(clippy::reversed_empty_ranges)]
        check(none, 1..=0);
        check(KeepConfig { files: Some(3), ..none }, 1..=7);
        check(KeepConfig { files: Some(0), ..none }, 1..=10);
        check(KeepConfig { age: Some(Period::seconds(5)), ..none }, 1..=5);
        check(KeepConfig { bytes: Some(ByteSize(45)), ..none }, 1..=6);
        check(KeepConfig { bytes: Some(ByteSize(45)), files: Some(9), age: Some(Period::seconds(3)) }, 1..=7);
    }

    #[test]
    fn a_compressed_file_takes_the_place_of_the_plain_one() {
        let mut index = Index::default();
        index.insert(&finished(1), 100);
        index.insert(&finished(1).packed(Compression::Zstd), 10);
        assert!(!index.contains(&finished(1)));
        assert!(index.unpacked(9).is_empty());
        index.remove(&finished(1));
        assert!(index.paths().is_empty());
        assert_eq!(index.entries, 0);
    }
}
