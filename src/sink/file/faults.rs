//! What has to hold on a disk that fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::job::{Job, jobs};
use super::{Compression, FileConfig, FileSink, SyncPolicy};
use crate::batch::{Batch, Origin};
use crate::config::units::{Period, WaitMax};
use crate::inbox::{Delivery, Inbox, InboxSettings, Outcome};
use crate::sink::compress::compress;
use crate::sink::rotate::Finished;

mod disk;
mod gate;
mod large;
mod late;

use disk::FaultyDisk;

fn inbox() -> Arc<Inbox> {
    Inbox::new(InboxSettings {
        sink: "files".into(),
        capacity_bytes: 8 << 20,
        wait_max: WaitMax::Forever,
        encoding: None,
    })
}

fn put(inbox: &Arc<Inbox>, payload: String, runtime: &tokio::runtime::Runtime) -> Vec<Delivery> {
    let batch = Batch {
        records: payload.matches('\n').count() as u64,
        payload: Bytes::from(payload),
        routes: None,
        origin: Origin { source: "mesh".into(), peer: None, received_unix_nano: 0 },
    };
    runtime.block_on(inbox.put(batch, None));
    inbox.try_take(usize::MAX)
}

fn lines_in(root: &Path) -> Vec<u64> {
    let mut names: Vec<String> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_by_key(|name| (name == "a.log", name.clone()));
    let mut lines = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(root.join(&name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{name} is torn: {text:?}");
        for line in text.lines() {
            let (number, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{name} has a torn line: {line:?}"));
            assert!(rest.ends_with('#') && !rest[..rest.len() - 1].contains('#'), "{name} has a torn line: {line:?}");
            lines.push(number.parse().unwrap());
        }
    }
    lines
}

struct Story {
    inbox: Arc<Inbox>,
    disk: Arc<FaultyDisk>,
    config: FileConfig,
    sink: FileSink,
    held: Option<(Vec<Delivery>, Vec<Job>, Vec<u64>)>,
    settled: Vec<u64>,
}

impl Story {
    fn open(config: &FileConfig, inbox: &Arc<Inbox>, disk: &Arc<FaultyDisk>) -> FileSink {
        for _ in 0..100 {
            let disk = Arc::clone(disk);
            if let Ok(mut sink) = FileSink::open_on(config, Arc::clone(inbox), disk) {
                sink.be_patient();
                return sink;
            }
        }
        panic!("the sink does not open");
    }

    /// True when nothing is held any more.
    fn attempt(&mut self) -> bool {
        let Some((deliveries, mut jobs, lines)) = self.held.take() else { return true };
        if self.sink.attempt(&mut jobs) {
            deliveries.into_iter().for_each(|it| it.settle(Outcome::Done));
            self.settled.extend(lines);
            return true;
        }
        self.held = Some((deliveries, jobs, lines));
        false
    }

    fn crash(&mut self) {
        self.held = None;
        self.sink = Story::open(&self.config, &self.inbox, &self.disk);
    }
}

/// Tells a story of faults, crashes and clock jumps; returns the settled lines and all lines.
fn tell(seed: u64, sync: SyncPolicy, truncate_fails: bool) -> (Vec<u64>, Vec<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let inbox = inbox();
    let disk = Arc::new(FaultyDisk::new(directory.path(), seed, truncate_fails));
    let config: FileConfig = serde_json::from_value(serde_json::json!({
        "path": "unused/a.log", "rotate": {"size": "200B", "every": "1h"}, "sync": sync.to_string(),
    }))
    .unwrap();
    let sink = Story::open(&config, &inbox, &disk);
    let mut story = Story { inbox, disk, config, sink, held: None, settled: Vec::new() };
    let mut next = 0;
    for _ in 0..80 {
        match rng.u32(0..12) {
            0 => story.crash(),
            1 => {
                story.disk.now_unix_ms.fetch_add(rng.u64(0..7_200_000), Relaxed);
            }
            2 => {
                story.disk.now_unix_ms.fetch_sub(rng.u64(0..3_600_000), Relaxed);
            }
            3 => drop(story.sink.tick(true)),
            _ if story.attempt() => {
                let lines: Vec<u64> = (next..next + rng.u64(1..9)).collect();
                next += lines.len() as u64;
                let text = lines.iter().map(|it| format!("{it} {}#\n", "x".repeat(rng.usize(0..60).pow(2) / 10)));
                let deliveries = put(&story.inbox, text.collect(), &runtime);
                let jobs = jobs(deliveries.iter().map(|it| &it.batch), "a.log");
                story.held = Some((deliveries, jobs, lines));
                story.attempt();
            }
            _ => {}
        }
        // So that a seed tells the same story each time.
        story.sink.wait_synced();
    }
    story.disk.is_failing.store(false, Relaxed);
    for _ in 0..10 {
        story.attempt();
    }
    assert!(story.attempt(), "the sink does not recover: {:?}", story.sink.handle().stats().last_error());
    story.crash();
    let tally = story.inbox.tally();
    assert_eq!((tally.imbalance(), tally.in_flight), (0, 0));
    assert_eq!(tally.delivered, story.settled.len() as u64);
    (story.settled, lines_in(directory.path()))
}

/// Scenario: opening, writing, syncing, renaming and looking fail at random; the process crashes;
/// the clock jumps. Guarantees: whole lines only; every settled line once, in order; any other
/// line at most once.
#[test]
fn settled_lines_are_written_once_in_order() {
    for seed in 0..250 {
        let sync = [SyncPolicy::Always, SyncPolicy::Never, SyncPolicy::Every(Period::millis(1))][seed as usize % 3];
        let (settled, lines) = tell(seed, sync, false);
        let mut once = lines.clone();
        once.dedup();
        assert!(once.is_sorted() && once.len() == lines.len(), "seed {seed}: {lines:?}");
        if matches!(sync, SyncPolicy::Every(_)) {
            // A failed sync loses what it should have kept: all that is promised is the above.
            continue;
        }
        let missing: Vec<_> = settled.iter().filter(|it| !lines.contains(it)).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} are missing");
    }
}

/// Scenario: the same, and what a failed write left cannot always be cut off at once. Guarantees:
/// whole lines only; every settled line at least once, its last copy in order.
#[test]
fn settled_lines_are_written_even_when_nothing_can_be_cut_off() {
    for seed in 1000..1150 {
        let sync = if seed % 2 == 0 { SyncPolicy::Always } else { SyncPolicy::Never };
        let (settled, lines) = tell(seed, sync, true);
        let last = |line: &u64| lines.iter().rposition(|it| it == line);
        let places: Vec<_> = settled.iter().map(last).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "seed {seed}: {places:?}");
    }
}

/// Scenario: the clock jumps while a line is written every hour. Guarantee: a jump costs at most
/// one rotation, none when it goes back, and names sort in the order written.
#[test]
fn a_clock_that_jumps_costs_one_rotation() {
    const HOUR: u64 = 3_600_000;
    const NOON: u64 = 1_795_176_000_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let inbox = inbox();
    let disk = Arc::new(FaultyDisk::new(directory.path(), 1, false));
    disk.is_failing.store(false, Relaxed);
    let config: FileConfig =
        serde_json::from_value(serde_json::json!({"path": "unused/a.log", "rotate": {"every": "1d"}})).unwrap();
    disk.now_unix_ms.store(NOON, Relaxed);
    let mut sink = Story::open(&config, &inbox, &disk);
    let mut line = 0;
    let mut check = |now: u64, expected: u64| {
        disk.now_unix_ms.store(now, Relaxed);
        let deliveries = put(&inbox, format!("{line} #\n"), &runtime);
        line += 1;
        let mut jobs = jobs(deliveries.iter().map(|it| &it.batch), "a.log");
        assert!(sink.attempt(&mut jobs));
        deliveries.into_iter().for_each(|it| it.settle(Outcome::Done));
        sink.tick(false).unwrap();
        assert_eq!(sink.handle().stats().rotations_time.get(), expected, "{now}");
    };
    check(NOON, 0);
    check(NOON + 11 * HOUR, 0);
    check(NOON + 12 * HOUR, 1); // midnight
    check(NOON + 13 * HOUR, 1);
    check(NOON - 24 * HOUR, 1); // back
    check(0, 1); // to 1970
    check(NOON + 13 * HOUR, 2); // and forth again
    check(NOON + 400 * 24 * HOUR, 3);
    check(NOON + 14 * HOUR, 3);
    check(NOON + 36 * HOUR, 4); // midnight
    drop(sink);
    assert_eq!(lines_in(directory.path()), (0..line).collect::<Vec<_>>());
}

/// Scenario: every step of a compression fails at random, until it succeeds. Guarantee: at any
/// moment one complete file is there, and at the end nothing else.
#[test]
fn compression_never_loses_the_only_copy() {
    for (seed, packing) in (0..60).zip([Compression::Gzip, Compression::Zstd].into_iter().cycle()) {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(directory.path(), seed, false);
        let plain =
            Finished { current: "a.log".into(), sequence: 1, unix_ms: 1_795_175_317_123, packing: Compression::None };
        let text = "a line of the log\n".repeat(20_000);
        let at = |finished: &Finished| directory.path().join(finished.path());
        std::fs::write(at(&plain), &text).unwrap();
        let go_on = |n: u64| move || !n.is_multiple_of(7);
        let done = (1..2000).find_map(|n| {
            let packed = compress(&disk, &plain, packing, &go_on(n)).ok();
            assert!(packed.is_some() || std::fs::read_to_string(at(&plain)).unwrap() == text, "seed {seed}");
            packed
        });
        let (packed, len) = done.unwrap();
        let bytes = std::fs::read(at(&packed)).unwrap();
        let unpacked = match packing {
            Compression::Zstd => zstd::stream::decode_all(&bytes[..]).unwrap(),
            _ => {
                let mut out = Vec::new();
                io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut out).unwrap();
                out
            }
        };
        assert!(unpacked == text.as_bytes() && len == bytes.len() as u64);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "seed {seed}");
    }
}
