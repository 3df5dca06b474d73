//! Files that are damaged, cut, gone or not ours. It opens all the same; only what was touched is
//! lost, and that is counted.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::sim::SimDisk;
use super::{entry, settings};
use crate::journal::engine::Engine;
use crate::journal::inspect::{Inspection, Piece};
use crate::journal::{Entry, OpenError, Read, Seq};

const SINKS: [&str; 2] = ["a", "b"];

fn open(disk: &SimDisk) -> Engine {
    try_open(disk).unwrap()
}

fn try_open(disk: &SimDisk) -> Result<Engine, OpenError> {
    Ok(Engine::open(&settings(4_000_000, 40_000, &SINKS), Arc::new(disk.clone()))?.0)
}

/// A journal with these entries, closed; `is_synced` says whether in order.
fn disk_with(count: u64, is_closed: bool) -> SimDisk {
    seeded_disk_with(1, count, is_closed)
}

fn seeded_disk_with(seed: u64, count: u64, is_closed: bool) -> SimDisk {
    let disk = SimDisk::new(seed);
    let engine = open(&disk);
    for n in 1..=count {
        assert_eq!(engine.log().append(&[entry(n)]).written, 1);
    }
    if is_closed {
        engine.finish();
    }
    drop(engine);
    disk.restart(false);
    disk
}

/// The numbers that are read back, from 1; what is read must be what was written.
fn read(engine: &Engine) -> BTreeSet<Seq> {
    let (mut reader, mut at, mut found) = (engine.reader(), 1, BTreeSet::new());
    while at < engine.end() {
        for read in reader.next(at, 50_000).unwrap() {
            match read {
                Read::Entry(seq, found_entry) => {
                    assert_eq!((seq, &found_entry), (at, &entry(seq)));
                    found.insert(seq);
                    at += 1;
                }
                Read::Lost { from, to, records } => {
                    assert_eq!(from, at);
                    assert!(records.is_none_or(|records| records == (from..to).map(|n| entry(n).records).sum::<u64>()));
                    at = to;
                }
            }
        }
    }
    found
}

fn last_segment(disk: &SimDisk) -> (String, Vec<u8>) {
    disk.files().into_iter().rfind(|(name, _)| name.ends_with(".seg")).unwrap()
}

fn size(n: Seq) -> u64 {
    crate::journal::entry::size(&entry(n)).unwrap()
}

#[test]
fn cut_at_every_byte_of_the_last_three_entries() {
    let whole = disk_with(10, false);
    let (name, bytes) = last_segment(&whole);
    let end = 64 + (1..=10).map(size).sum::<u64>();
    let starts: Vec<u64> = (7..=10).map(|n| 64 + (1..=n).map(size).sum::<u64>()).collect();
    for cut in starts[0]..end {
        for fill in [None, Some(0), Some(0xff)] {
            let disk = disk_with(0, false);
            let mut bytes = bytes[..cut as usize].to_vec();
            bytes.extend(fill.map(|byte| vec![byte; 500]).unwrap_or_default());
            disk.plant(&name, &bytes);
            let engine = open(&disk);
            let whole_entries = 7 + starts[1..].iter().filter(|end| **end <= cut).count() as u64;
            let found = read(&engine);
            // Its padding, and zeros at its end, may be missing from an entry.
            let begun = 7 + starts[..3].iter().filter(|start| **start < cut).count() as u64;
            assert!((whole_entries..=begun).contains(&(found.len() as u64)), "{cut} {fill:?}");
            assert_eq!(found, (1..=found.len() as u64).collect());
            let torn = engine.stats.torn_bytes.load(Relaxed);
            let last_end = 64 + (1..=found.len() as u64).map(size).sum::<u64>();
            assert_eq!(torn > 0, cut > last_end || fill == Some(0xff), "{cut}");
            // It goes on, and what follows is whole.
            let next = engine.end();
            assert_eq!(next, found.len() as u64 + 1);
            assert_eq!(engine.log().append(&[entry(next)]).written, 1);
            assert!(read(&engine).contains(&next));
        }
    }
}

/// Damages the entries of a closed journal and says which of them must be there still.
fn check_damage(disk: &SimDisk, name: &str, at: usize, len: usize, count: u64) {
    let base = u64::from_str_radix(name.trim_end_matches(".seg"), 16).unwrap();
    let mut offset = 64;
    let mut untouched: BTreeSet<Seq> = (1..=count).collect();
    for seq in base..=count {
        let next = offset + size(seq) as usize;
        if at < next && offset < at + len {
            untouched.remove(&seq);
        }
        offset = next;
    }
    let engine = open(disk);
    assert_eq!(engine.end(), count + 1, "numbers go on behind what was there");
    let found = read(&engine);
    let lost: Vec<_> = untouched.difference(&found).collect();
    assert!(lost.is_empty(), "{lost:?} were not touched by {len} bytes at {at} of {name}");
    let missing = engine.stats.missing_entries.load(Relaxed);
    assert_eq!(missing, count - found.len() as u64);
    // Counted once, whoever reads.
    assert_eq!(read(&engine), found);
    assert_eq!(engine.stats.missing_entries.load(Relaxed), missing);
}

#[test]
fn bits_that_flip_and_blocks_that_are_overwritten() {
    let mut random = fastrand::Rng::with_seed(7);
    let count = 150;
    let whole = disk_with(count, true);
    let files: Vec<_> = whole.files().into_iter().filter(|(name, _)| name.ends_with(".seg")).collect();
    assert!(files.len() > 2, "{} segments", files.len());
    for round in 0..600 {
        let disk = disk_with(0, false);
        whole
            .files()
            .into_iter()
            .filter(|(name, _)| name != "lock")
            .for_each(|(name, bytes)| disk.plant(&name, &bytes));
        let (name, bytes) = &files[random.usize(0..files.len())];
        let at = random.usize(0..bytes.len());
        let len = if round % 3 == 0 { 4096.min(bytes.len() - at) } else { 1 };
        disk.change(name, |bytes| {
            for byte in &mut bytes[at..at + len] {
                *byte = if len == 1 { *byte ^ 1 << random.u32(0..8) } else { random.u8(..) * u8::from(round % 2 == 0) };
            }
        });
        check_damage(&disk, name, at, len, count);
    }
}

#[test]
fn segments_that_are_gone_and_files_that_are_not_ours() {
    let count = 150;
    let names: Vec<String> = disk_with(count, true).files().into_keys().filter(|name| name.ends_with(".seg")).collect();
    for gone in &names {
        let disk = disk_with(count, true);
        let foreign = ["note.txt", "0000000000000001.seg.bak", "x.seg", "zzzzzzzzzzzzzzzz.seg", "00000000000000AA.seg"];
        foreign.iter().for_each(|name| disk.plant(name, b"not a segment"));
        disk.unplant(gone);
        let engine = open(&disk);
        assert_eq!(engine.end(), count + 1);
        let found = read(&engine);
        assert!(found.len() < count as usize && !found.is_empty());
        assert_eq!(engine.stats.missing_entries.load(Relaxed), count - found.len() as u64);
        assert_eq!(engine.log().append(&[entry(count + 1)]).written, 1);
        engine.finish();
        let files = disk.files();
        assert!(foreign.iter().all(|name| files[*name] == b"not a segment"));
    }
}

/// What becomes of a cursor whose file was changed.
fn cursor_after(change: impl Fn(&SimDisk)) -> Seq {
    let disk = disk_with(100, true);
    let engine = open(&disk);
    engine.cursors[0].advance(40);
    engine.keep(false);
    engine.cursors[0].advance(50);
    engine.keep(false);
    drop(engine);
    disk.restart(true);
    change(&disk);
    let engine = open(&disk);
    assert_eq!(engine.cursors[1].start(), 1);
    engine.cursors[0].start()
}

#[test]
fn cursors_never_skip() {
    assert_eq!(cursor_after(|_| {}), 50);
    assert_eq!(cursor_after(|disk| disk.unplant("a.cursor")), 1);
    assert_eq!(cursor_after(|disk| disk.change("a.cursor", |bytes| bytes.fill(0))), 1);
    assert_eq!(cursor_after(|disk| disk.change("a.cursor", |bytes| bytes.clear())), 1);
    // One slot is enough, and it is the one before at worst.
    let slots: BTreeSet<Seq> =
        [20, 4096 + 20].map(|at| cursor_after(|disk| disk.change("a.cursor", |bytes| bytes[at] ^= 1))).into();
    assert_eq!(slots, [40, 50].into());
}

/// A cursor that was copied from another journal is not believed, but its number is not given again.
#[test]
fn a_cursor_of_another_journal_passes_nothing() {
    let future = seeded_disk_with(2, 100, true);
    let engine = open(&future);
    engine.cursors[0].advance(101);
    engine.cursors[1].advance(101);
    engine.finish();
    drop(engine);
    let disk = disk_with(10, true);
    disk.plant("a.cursor", &future.files()["a.cursor"]);
    let engine = open(&disk);
    assert_eq!((engine.cursors[0].start(), engine.cursors[1].start(), engine.end()), (1, 1, 101));
    assert_eq!(engine.log().append(&[entry(101)]).first, 101);
    let found = read(&engine);
    assert_eq!(found, (1..=10).chain([101]).collect());
}

#[test]
fn a_later_format_is_left_alone() {
    for (name, at) in [("0000000000000001.seg", 8), ("a.cursor", 8)] {
        let disk = disk_with(100, true);
        disk.change(name, |bytes| {
            let block = &mut bytes[..64];
            block[at] = 2;
            let checksum = crc32fast::hash(&block[..60]);
            block[60..].copy_from_slice(&checksum.to_le_bytes());
        });
        let before = disk.files();
        let error = try_open(&disk).unwrap_err();
        assert!(matches!(&error, OpenError::Newer { file, found: 2, known: 1 } if file == name), "{error}");
        assert_eq!(disk.files(), before);
    }
}

#[test]
fn an_entry_inside_a_payload_is_not_taken_for_one() {
    // Whoever sends a payload may know the format, but not the salt.
    let mut inner = vec![0; 8];
    let forged = Entry { source: "forged".into(), ..entry(1) };
    for pad in 0..8 {
        crate::journal::entry::write_prefix(&forged, 2, 0, &mut inner).unwrap();
        inner.extend(&forged.payload);
        inner.resize(inner.len() + pad, 0);
    }
    let disk = SimDisk::new(3);
    let engine = open(&disk);
    let outer = Entry { payload: inner.into(), ..entry(1) };
    assert_eq!(engine.log().append(&[outer, entry(9)]).written, 2);
    engine.finish();
    drop(engine);
    disk.restart(false);
    disk.change("0000000000000001.seg", |bytes| bytes[64 + 50] ^= 1);
    let engine = open(&disk);
    let reads = engine.reader().next(1, 100_000).unwrap();
    assert_eq!(reads, [Read::Lost { from: 1, to: 2, records: None }, Read::Entry(2, entry(9))]);
}

#[test]
fn what_was_deleted_while_somebody_looked_for_it_is_not_lost() {
    let disk = disk_with(150, true);
    let engine = open(&disk);
    let first = engine.index.oldest().unwrap();
    for cursor in &engine.cursors {
        cursor.advance(first.end);
    }
    engine.keep(true);
    assert!(engine.index.oldest().unwrap().base >= first.end);
    let reads = engine.reader().next(1, 1).unwrap();
    assert!(matches!(&reads[..], [Read::Entry(seq, _)] if *seq == first.end), "{reads:?}");
    assert_eq!(engine.stats.missing_entries.load(Relaxed), 0);
}

#[test]
fn what_inspection_says() {
    let disk = disk_with(150, true);
    let last = last_segment(&disk);
    disk.change("0000000000000001.seg", |bytes| bytes[64 + 100] ^= 1);
    let data_end = last.1.iter().rposition(|byte| *byte != 0).unwrap();
    disk.change(&last.0, |bytes| bytes.truncate(data_end - 20));
    let before = disk.files();
    let inspection = Inspection::of(&disk).unwrap();
    let (mut whole, mut spoilt, mut tail) = (BTreeSet::new(), Vec::new(), 0);
    for segment in inspection.segments() {
        assert_eq!(segment.is_sealed, !segment.is_last);
        assert_eq!(inspection.gap_behind(&segment), None);
        inspection
            .walk(&segment, |piece| {
                match piece {
                    Piece::Entry(seq, found) => {
                        assert_eq!(found, entry(seq));
                        whole.insert(seq);
                    }
                    Piece::Spoilt { seq, records } => spoilt.push((seq, records)),
                    Piece::Tail(bytes) => tail = bytes,
                    piece => panic!("{piece:?}"),
                }
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    assert_eq!(spoilt, [(1, entry(1).records)]);
    assert_eq!(whole, (2..=*whole.last().unwrap()).collect());
    assert!(whole.len() > 100 && tail > 0);
    assert_eq!(inspection.cursors().map(|cursor| cursor.next).collect::<Vec<_>>(), [Some(1); 2]);
    assert_eq!(disk.files(), before);
}

#[test]
fn any_bytes_as_a_segment() {
    // Headers with a good checksum and anything in them, so that more than the checksum is tried.
    let block = |random: &mut fastrand::Rng, magic: &[u8]| {
        let mut block: Vec<u8> = (0..64).map(|_| random.u8(..) & random.choice([0, 1, 0xff]).unwrap()).collect();
        block[..magic.len()].copy_from_slice(magic);
        block[4] = if magic.len() == 4 { 1 } else { block[4] };
        let checksum = crc32fast::hash(&block[..60]);
        block[60..].copy_from_slice(&checksum.to_le_bytes());
        block
    };
    let whole = disk_with(20, true).files();
    let (name, segment) = whole.iter().rfind(|(name, _)| name.ends_with(".seg")).unwrap();
    for seed in 0..3000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = if seed % 2 == 0 { segment[..segment.len().min(4000)].to_vec() } else { Vec::new() };
        for _ in 0..random.u32(0..20) {
            let piece = match random.u32(0..5) {
                0 => block(&mut random, b"LOGBJSEG\x01\0\0\0"),
                1 | 2 => block(&mut random, b"\xb5LBe"),
                3 => segment[segment.len() - random.usize(0..200)..].to_vec(),
                _ => vec![random.u8(..); random.usize(0..300)],
            };
            bytes.extend(piece);
        }
        let disk = SimDisk::new(seed);
        disk.plant(name, &bytes);
        disk.plant("00000000000000f0.seg", &bytes);
        disk.plant("a.cursor", &block(&mut random, b"LOGBJCUR\x01\0\0\0"));
        let _ = Inspection::of(&disk).unwrap();
        let engine = open(&disk);
        let (mut reader, mut at) = (engine.reader(), engine.index.settled().max(1));
        while at < engine.end() {
            for read in reader.next(at, 5000).unwrap() {
                at = match read {
                    Read::Entry(seq, _) => seq + 1,
                    Read::Lost { to, .. } => to,
                };
            }
        }
        let appended = engine.log().append(&[entry(1)]);
        assert!(appended.written == 1 || engine.end() > 1 << 61, "{appended:?}");
    }
}
