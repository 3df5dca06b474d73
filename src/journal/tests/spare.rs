//! Segments that are made ahead.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::sim::{Faults, SimDisk};
use super::{entry, settings};
use crate::journal::engine::Engine;
use crate::journal::spare::{self, NAME};
use crate::journal::sync::NEW_SUFFIX;
use crate::journal::{AppendError, Entry, segment};

const SEGMENT_BYTES: u64 = 20_000;

fn open(disk: &SimDisk, max_bytes: u64) -> Engine {
    Engine::open(&settings(max_bytes, SEGMENT_BYTES, &["a"]), Arc::new(disk.clone())).unwrap().0
}

fn append(engine: &Engine) {
    assert_eq!(engine.log().append(&[sized(1000)]).written, 1);
}

fn sized(bytes: usize) -> Entry {
    Entry { payload: Bytes::from(vec![7; bytes]), ..entry(2) }
}

/// Appends until a spare segment is wanted, which is not at once.
fn until_wanted(engine: &Engine) {
    let mut appended = 0;
    while !engine.log().wants_spare() {
        append(engine);
        appended += 1;
    }
    assert!((2..20).contains(&appended), "{appended}");
}

fn segments(disk: &SimDisk) -> usize {
    disk.files().keys().filter(|name| name.ends_with(".seg")).count()
}

/// Bytes that segments have on the disk, the one that is made ahead too.
fn on_disk(disk: &SimDisk) -> u64 {
    let is_segment = |name: &str| name.ends_with(".seg") || name == NAME;
    disk.files().iter().filter(|(name, _)| is_segment(name)).map(|(_, bytes)| bytes.len() as u64).sum()
}

#[test]
fn its_name_is_of_a_file_that_is_being_made() {
    assert_eq!(NAME, segment::file_name(segment::SEQ_END - 1).replace(".seg", NEW_SUFFIX));
}

#[test]
fn the_next_segment_is_there_when_it_is_needed() {
    let disk = SimDisk::new(1);
    let engine = open(&disk, 1_000_000);
    let without = engine.stats.bytes.load(Relaxed);
    engine.make_spare();
    assert_eq!(segments(&disk), 0, "an empty journal has none");
    until_wanted(&engine);
    engine.make_spare();
    assert_eq!((segments(&disk), disk.files()[NAME].len()), (1, SEGMENT_BYTES as usize));
    assert_eq!(engine.stats.bytes.load(Relaxed), without + 2 * SEGMENT_BYTES);
    assert!(!engine.log().wants_spare(), "one is enough");
    let (calls, end) = (disk.calls(), engine.end());
    while segments(&disk) == 1 {
        append(&engine);
    }
    let appends = engine.end() - end;
    assert_eq!(disk.calls() - calls, appends + 3, "beside its write each, the footer, the header and the name");
    assert!(!disk.files().contains_key(NAME));
    assert_eq!(engine.stats.bytes.load(Relaxed), without + 2 * SEGMENT_BYTES);
    // Once the next one is used as much.
    assert!(!engine.log().wants_spare());
    until_wanted(&engine);
    engine.make_spare();
    // What is left of it at the end, or at the end of the power, is no segment.
    engine.sync();
    drop(engine);
    disk.restart(true);
    let engine = open(&disk, 1_000_000);
    assert!(!disk.files().contains_key(NAME));
    until_wanted(&engine);
    engine.make_spare();
    assert!(disk.files().contains_key(NAME));
    engine.finish();
    assert!(!disk.files().contains_key(NAME));
    assert_eq!(engine.stats.bytes.load(Relaxed) - without, on_disk(&disk));
}

/// Scenario: the writer needs a segment while the spare one is still being made. Guarantee: it makes its own, and the other
/// comes after it.
#[test]
fn a_spare_segment_that_comes_late_is_for_later() {
    let disk = SimDisk::new(2);
    let engine = open(&disk, 1_000_000);
    until_wanted(&engine);
    let capacity = engine.log().begin_spare().unwrap();
    assert!(engine.log().begin_spare().is_none(), "one at a time");
    while segments(&disk) == 1 {
        append(&engine);
    }
    let made = spare::make(&disk, capacity);
    engine.log().end_spare(capacity, made);
    assert!(disk.files().contains_key(NAME));
    while segments(&disk) == 2 {
        append(&engine);
    }
    assert!(!disk.files().contains_key(NAME));
}

#[test]
fn who_needs_its_room_gets_it() {
    let disk = SimDisk::new(3);
    let max_bytes = 100_000;
    let engine = open(&disk, max_bytes);
    until_wanted(&engine);
    let used = engine.stats.bytes.load(Relaxed);
    let large = sized((max_bytes - used - SEGMENT_BYTES / 2) as usize);
    // Not while it is being made: there will be room.
    let capacity = engine.log().begin_spare().unwrap();
    let refused = engine.log().append(std::slice::from_ref(&large)).error;
    assert!(matches!(refused, Some((AppendError::Full, 1))), "{refused:?}");
    let made = spare::make(&disk, capacity);
    engine.log().end_spare(capacity, made);
    assert_eq!(engine.log().append(&[large]).written, 1);
    assert!(!disk.files().contains_key(NAME));
    assert!(engine.stats.bytes.load(Relaxed) <= max_bytes);
    // There is none where `max` has no room for it.
    assert!(engine.log().wants_spare());
    assert_eq!(engine.log().begin_spare(), None);
    assert!(!engine.log().wants_spare(), "not asked for again");
}

/// Scenario: an entry that is larger than the spare segment comes on a full disk.
#[test]
fn a_full_disk_gets_the_room_back_first() {
    let disk = SimDisk::new(4);
    let engine = open(&disk, 1_000_000);
    until_wanted(&engine);
    engine.make_spare();
    let used: usize = disk.files().values().map(Vec::len).sum();
    disk.set_capacity(used + 5000);
    assert_eq!(engine.log().append(&[sized(SEGMENT_BYTES as usize)]).written, 1);
    assert!(!disk.files().contains_key(NAME));
}

#[test]
fn a_disk_that_refuses_it_is_asked_once_a_segment() {
    let disk = SimDisk::new(5);
    let engine = open(&disk, 1_000_000);
    until_wanted(&engine);
    let before = engine.stats.bytes.load(Relaxed);
    disk.set_faults(Faults { other_fails: 1000, ..Faults::default() });
    engine.make_spare();
    disk.set_faults(Faults::default());
    assert_eq!(engine.stats.bytes.load(Relaxed), before);
    assert!(engine.stats.last_error().is_some() && engine.stats.is_healthy());
    assert!(!engine.log().wants_spare());
    while segments(&disk) == 1 {
        append(&engine);
    }
    until_wanted(&engine);
    engine.make_spare();
    assert!(disk.files().contains_key(NAME));
    // One that cannot be begun is made anew.
    disk.unplant(NAME);
    while segments(&disk) == 2 {
        append(&engine);
    }
}
