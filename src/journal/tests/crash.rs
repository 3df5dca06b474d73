//! The power goes at every call, and at random ones, on a disk that fails and fills up.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::entry;
use super::model::{Model, SINKS};
use super::sim::{Faults, SimDisk};
use crate::journal::engine::Engine;
use crate::journal::{AppendError, Seq};

/// A run of the journal until the power goes, or to its end.
fn live(model: &mut Model, disk: &SimDisk, random: &mut fastrand::Rng, steps: u32) {
    let engine = model.open(disk);
    for _ in 0..steps {
        match random.u32(0..10) {
            0..=3 => model.append(&engine, random.u64(1..6)),
            4..=5 => model.sync(&engine),
            6..=7 => model.advance(&engine, random.usize(0..SINKS.len()), random.u64(0..30)),
            8 => {
                engine.make_spare();
                model.keep(&engine);
            }
            _ if !disk.has_ended() => model.check_live(&engine),
            _ => {}
        }
        if disk.has_ended() {
            break;
        }
    }
    let used = engine.stats.bytes.load(Relaxed);
    assert!(used <= 8 * MAX_BYTES, "{used} bytes are in use");
}

const MAX_BYTES: u64 = 200_000;
const SEGMENT_BYTES: u64 = 20_000;

#[test]
fn the_power_goes_at_every_call() {
    for seed in 0..3 {
        let calls = {
            let disk = SimDisk::new(seed);
            live(&mut Model::new(MAX_BYTES, SEGMENT_BYTES), &disk, &mut fastrand::Rng::with_seed(seed), 120);
            disk.calls()
        };
        assert!(calls > 100, "{calls} calls");
        for call in 0..calls {
            // The same run each time, but what the cut leaves is different.
            for variant in 0..3 {
                let _context = Context(format!("seed {seed}, call {call}, variant {variant}"));
                let disk = SimDisk::new(seed);
                let mut model = Model::new(MAX_BYTES, SEGMENT_BYTES);
                disk.end_at(call);
                let mut random = fastrand::Rng::with_seed(seed);
                live(&mut model, &disk, &mut random, 120);
                disk.restart(variant < 2);
                // Recovery is interrupted too, and then goes through.
                if variant == 1 {
                    disk.end_at(disk.calls() + call % 7);
                    live(&mut model, &disk, &mut random, 0);
                    disk.restart(true);
                }
                live(&mut model, &disk, &mut random, 20);
                disk.restart(true);
                drop(model.open(&disk));
            }
        }
    }
}

/// Says where it was when a test fails.
struct Context(String);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed with {}", self.0);
        }
    }
}

#[test]
fn the_power_goes_at_random_calls_of_a_bad_disk() {
    let crashes: u64 = std::env::var("LOGBOOM_SIM_CRASHES").map_or(3000, |text| text.parse().unwrap());
    let first = std::env::var("LOGBOOM_SIM_SEED").map_or(0, |text| text.parse().unwrap());
    let mut seed = first;
    let mut done = 0;
    while done < crashes {
        let _context = Context(format!("LOGBOOM_SIM_SEED={seed} LOGBOOM_SIM_CRASHES=1"));
        done += random_life(seed);
        seed += 1;
    }
    println!("{done} crashes from seeds {first} to {}", seed - 1);
}

/// Several lives of one journal; returns how many ended in a crash.
fn random_life(seed: u64) -> u64 {
    let disk = SimDisk::new(seed);
    let mut random = fastrand::Rng::with_seed(seed ^ 0xbad);
    let mut model = Model::new(MAX_BYTES, SEGMENT_BYTES);
    let lives = random.u64(2..8);
    for _ in 0..lives {
        disk.end_at(disk.calls() + random.u64(20..300));
        if random.bool() {
            let mut often = |n| if random.bool() { random.u32(0..n) } else { 0 };
            let (sync_fails, write_fails) = (often(200), often(100));
            disk.set_faults(Faults { sync_fails, write_fails, write_is_short: often(300), other_fails: often(50) });
        }
        if random.u32(0..4) == 0 {
            disk.set_capacity(random.usize(20_000..150_000));
        }
        live(&mut model, &disk, &mut random, 200);
        disk.restart(random.u32(0..4) > 0);
    }
    drop(model.open(&disk));
    lives
}

fn outcomes(engine: &Engine, seqs: Range<Seq>) -> Vec<bool> {
    seqs.map(|seq| engine.progress.outcome(seq).is_ok()).collect()
}

#[test]
fn a_sync_that_fails_once_loses_nothing() {
    for synced_before in [0, 3] {
        let disk = SimDisk::new(1);
        let mut model = Model::new(MAX_BYTES, SEGMENT_BYTES);
        let engine = model.open(&disk);
        model.append(&engine, synced_before);
        model.sync(&engine);
        model.append(&engine, 5);
        disk.fail_syncs(1);
        engine.sync();
        assert_eq!(engine.stats.sync_failures.load(Relaxed), 1);
        // With seed 1 the system has the pages still, so that there is something to save.
        assert_eq!(outcomes(&engine, 1..synced_before + 6), vec![true; synced_before as usize + 5]);
        assert_eq!(engine.progress.synced(), synced_before + 6);
        assert!(engine.stats.is_healthy());
        drop(engine);
        disk.restart(true);
        let engine = model.open(&disk);
        assert_eq!(model.read(&engine).len() as u64, synced_before + 5);
    }
}

#[test]
fn a_sync_that_fails_twice_is_told() {
    let disk = SimDisk::new(8);
    let mut model = Model::new(MAX_BYTES, SEGMENT_BYTES);
    let engine = model.open(&disk);
    model.append(&engine, 2);
    model.sync(&engine);
    model.append(&engine, 3);
    disk.fail_syncs(2);
    engine.sync();
    assert_eq!(outcomes(&engine, 1..6), [true, true, false, false, false]);
    assert!(!engine.stats.is_healthy());
    assert!(engine.stats.last_error().is_some());
    // The disk is well again, and so is the journal.
    model.append(&engine, 2);
    model.sync(&engine);
    assert_eq!(outcomes(&engine, 1..8), [true, true, false, false, false, true, true]);
    assert!(engine.stats.is_healthy());
    drop(engine);
    disk.restart(true);
    drop(model.open(&disk));
}

/// True when there was room.
fn is_appended(engine: &Engine) -> bool {
    match engine.log().append(&[entry(1)]).error {
        None => true,
        Some((AppendError::Full, 1)) => false,
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_full_disk_is_left_by_delivering() {
    let disk = SimDisk::new(2);
    let mut model = Model::new(10 * MAX_BYTES, SEGMENT_BYTES);
    let engine = model.open(&disk);
    disk.set_capacity(100_000);
    while is_appended(&engine) {}
    let end = engine.end();
    assert!(end > 10);
    assert!(!is_appended(&engine));
    for cursor in &engine.cursors {
        cursor.advance(end);
    }
    engine.sync();
    assert!(engine.keep(false), "cursors are written and segments deleted on a full disk");
    assert!(is_appended(&engine));
    assert_eq!(engine.end(), end + 1);
}
