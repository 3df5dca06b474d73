//! Lines that go past the page cache.

use super::*;
use crate::sink::file::context::Trouble;

/// Looks after the files, with what is being written or in hand.
fn look(sink: &mut FileSink, jobs: &mut [Job]) -> Result<(), Trouble> {
    if jobs.is_empty() { sink.tick(true) } else { sink.look_after(true, jobs) }
}

/// Tells a story of faults, crashes, clock jumps and files that are moved away, of lines of up to 144 KB that come
/// several at once, so that most of them go past the page cache and a part of the last one waits for the next. Returns
/// the settled lines, all lines, and how many bytes went past the cache.
fn tell(seed: u64, sync: SyncPolicy) -> (Vec<u64>, Vec<u64>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let inbox = inbox();
    let disk = Arc::new(FaultyDisk {
        // Else a line that is begun could be cut while its end is written.
        keeps_lengths: matches!(sync, SyncPolicy::Every(_)),
        ..FaultyDisk::new(directory.path(), seed, false)
    });
    let config: FileConfig = serde_json::from_value(serde_json::json!({
        "path": "unused/a.log", "rotate": {"size": "4MiB", "every": "1h"}, "sync": sync.to_string(),
    }))
    .unwrap();
    let mut sink = Story::open(&config, &inbox, &disk);
    let (mut next, mut in_hand, mut settled) = (0, Vec::new(), Vec::new());
    let (mut jobs, mut moved): (Vec<Job>, u64) = (Vec::new(), 0);
    for step in 0..90 {
        if step == 80 {
            disk.is_failing.store(false, Relaxed);
        }
        match rng.u32(0..12) {
            0 => {
                // What is in hand is abandoned.
                sink = Story::open(&config, &inbox, &disk);
                (in_hand, jobs) = (Vec::new(), Vec::new());
            }
            1 => _ = disk.now_unix_ms.fetch_add(rng.u64(0..7_200_000), Relaxed),
            2 => drop(look(&mut sink, &mut jobs)),
            3 => {
                // As a log rotator does.
                let was_failing = disk.is_failing.swap(false, Relaxed);
                moved += 1;
                let to = directory.path().join(format!("moved-{moved}.log"));
                drop(std::fs::rename(directory.path().join("a.log"), to));
                // It may tell of what went wrong before.
                drop(look(&mut sink, &mut jobs));
                disk.is_failing.store(was_failing, Relaxed);
            }
            _ if jobs.is_empty() => {
                let lines = if rng.u32(0..3) == 0 { 0 } else { rng.u64(1..9) };
                let text =
                    (next..next + lines).map(|it| format!("{it} {}#\n", "x".repeat(rng.usize(0..1200).pow(2) / 10)));
                let taken = if lines > 0 { put(&inbox, text.collect(), &runtime) } else { Vec::new() };
                in_hand.extend((lines > 0).then_some(next..next + lines));
                next += lines;
                jobs = sink.hold(taken);
            }
            _ => {}
        }
        if !jobs.is_empty() && sink.attempt(&mut jobs) {
            sink.settle(&jobs);
            jobs.clear();
        }
        while (settled.len() as u64) < inbox.tally().delivered {
            settled.extend(in_hand.remove(0));
        }
        sink.wait_synced();
    }
    drop(sink);
    let tally = inbox.tally();
    assert_eq!((tally.imbalance(), tally.in_flight), (0, 0));
    assert_eq!(tally.delivered, settled.len() as u64);
    drop(Story::open(&config, &inbox, &disk));
    let unasked = &disk.cuts.lock().unwrap().unasked;
    assert!(unasked.is_empty(), "seed {seed}: files became shorter: {unasked:?}");
    (settled, lines_in(directory.path()), disk.direct_bytes.load(Relaxed))
}

/// Scenario: see [`tell`]. Guarantees: whole lines only; every settled line once, every other one at most once;
/// no file becomes shorter but where a write or a sync of it failed, or when it is opened after a crash.
#[test]
fn large_writes_are_as_safe_as_small_ones() {
    let mut direct = 0;
    for seed in 2000..2030 {
        let sync = [SyncPolicy::Always, SyncPolicy::Never, SyncPolicy::Every(Period::millis(1))][seed as usize % 3];
        let (settled, mut lines, bytes) = tell(seed, sync);
        direct += bytes;
        lines.sort_unstable();
        assert!(lines.is_sorted_by(|a, b| a < b), "seed {seed}: {lines:?}");
        // A failed sync loses what it should have kept, where it is a period.
        let is_period = matches!(sync, SyncPolicy::Every(_));
        let missing: Vec<_> = settled.iter().filter(|it| !is_period && lines.binary_search(it).is_err()).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} are missing");
    }
    assert!(direct > 30 << 20, "{direct} bytes went past the page cache");
}

/// Scenario: two jobs follow each other, and then nothing does. Guarantees: what was begun past the page cache goes on
/// there, at a page; the line that the first job ends with is not settled before all of it is written; in the end all is.
#[test]
fn the_end_of_a_job_waits_for_the_next() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let inbox = inbox();
    let disk = Arc::new(FaultyDisk::new(directory.path(), 1, false));
    disk.is_failing.store(false, Relaxed);
    let config: FileConfig = serde_json::from_value(serde_json::json!({"path": "unused/a.log"})).unwrap();
    let mut sink = Story::open(&config, &inbox, &disk);
    let page = rustix::param::page_size() as u64;
    let text = |from: u64| (from..from + 300).map(|it| format!("{it} {}#\n", "x".repeat(1000))).collect::<String>();
    let len_of = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().len();
    let mut sent = 0;
    for round in 0..3 {
        sent += text(1000 + 300 * round).len() as u64;
        let mut jobs = sink.hold(put(&inbox, text(1000 + 300 * round), &runtime));
        assert!(sink.attempt(&mut jobs));
        sink.settle(&jobs);
        let written = len_of("a.log");
        assert!(written.is_multiple_of(page) && written < sent && sent - written < page, "{written} of {sent}");
        assert_eq!(disk.direct_bytes.load(Relaxed), written);
        assert_eq!(inbox.tally().delivered, 300 * round);
    }
    let mut jobs = sink.hold(Vec::new());
    assert!(sink.attempt(&mut jobs));
    sink.settle(&jobs);
    assert_eq!((len_of("a.log"), inbox.tally().delivered), (sent, 900));
    drop(sink);
    assert_eq!(lines_in(directory.path()), (1000..1900).collect::<Vec<_>>());
}

/// Scenario: a file ends inside of a line when its period is over, or when a log rotator has moved it; the next job comes
/// before that is noticed, or does not. Guarantees: the line gets its end where it was begun, so the file that is left
/// never becomes shorter and holds whole lines; none stands twice, none is lost.
#[test]
fn a_line_that_was_begun_gets_its_end_before_its_file_is_left() {
    for case in 0..8 {
        let (is_moved, job_comes, sync) = (case & 1 > 0, case & 2 > 0, if case & 4 > 0 { "never" } else { "1h" });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let inbox = inbox();
        let disk = Arc::new(FaultyDisk::new(directory.path(), 1, false));
        disk.is_failing.store(false, Relaxed);
        let config = serde_json::json!({"path": "unused/a.log", "rotate": {"every": "1d"}, "sync": sync});
        let config: FileConfig = serde_json::from_value(config).unwrap();
        let mut sink = Story::open(&config, &inbox, &disk);
        let text = |from: u64| (from..from + 300).map(|it| format!("{it} {}#\n", "x".repeat(1000))).collect::<String>();
        let write = |sink: &mut FileSink, text: String| {
            let mut jobs = sink.hold(if text.is_empty() { Vec::new() } else { put(&inbox, text, &runtime) });
            assert!(sink.attempt(&mut jobs));
            sink.settle(&jobs);
        };
        write(&mut sink, text(1000));
        let old = std::fs::File::open(directory.path().join("a.log")).unwrap();
        let begun = old.metadata().unwrap().len();
        assert!(begun < text(1000).len() as u64 && inbox.tally().delivered == 0, "no line is begun");
        if is_moved {
            std::fs::rename(directory.path().join("a.log"), directory.path().join("a.log.1")).unwrap();
        } else {
            disk.now_unix_ms.fetch_add(86_400_000, Relaxed);
        }
        let mut sent = 1300;
        if job_comes {
            write(&mut sink, text(sent));
            sent += 300;
        }
        sink.tick(true).unwrap();
        write(&mut sink, String::new());
        write(&mut sink, text(sent));
        write(&mut sink, String::new());
        assert_eq!(inbox.tally().delivered, sent + 300 - 1000, "case {case}");
        let stats = sink.handle().stats().clone();
        assert_eq!(
            (stats.rotations_time.get(), stats.rotations_reopen.get()),
            (u64::from(!is_moved), u64::from(is_moved))
        );
        drop(sink);
        assert_eq!(disk.cuts.lock().unwrap().unasked, [], "case {case}");
        assert!(old.metadata().unwrap().len() >= begun);
        assert_eq!(lines_in(directory.path()), (1000..sent + 300).collect::<Vec<_>>(), "case {case}");
    }
}
