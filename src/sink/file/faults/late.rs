//! Syncs that are late, or fail late, while the writer goes on.

use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::batch::{Routes, Run};
use crate::sink::disk::Disk as _;

/// A sink that is driven by hand, on a disk without faults but those of the gate.
struct Rig {
    directory: TempDir,
    disk: Arc<FaultyDisk>,
    inbox: Arc<Inbox>,
    runtime: tokio::runtime::Runtime,
    sink: FileSink,
}

impl Rig {
    fn new(path: &str, settings: Value) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk { has_locks: true, ..FaultyDisk::new(directory.path(), 1, false) };
        disk.is_failing.store(false, Relaxed);
        let mut all = json!({"path": path, "sync": "1ms", "rotate": {}});
        for (key, value) in settings.as_object().unwrap() {
            all[key] = value.clone();
        }
        let config: FileConfig = serde_json::from_value(all).unwrap();
        let (disk, inbox) = (Arc::new(disk), inbox());
        let sink = FileSink::open_on(&config, Arc::clone(&inbox), Arc::<FaultyDisk>::clone(&disk)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Rig { directory, disk, inbox, runtime, sink }
    }

    /// One attempt to write a line; true when it was written.
    fn write_to(&mut self, path: &str, line: &str) -> bool {
        let batch = Batch {
            records: 1,
            payload: Bytes::from(format!("{line}\n")),
            routes: Some(Arc::new(Routes {
                paths: vec![path.to_owned()],
                runs: vec![Run { path: 0, end: line.len() as u32 + 1, records: 1 }],
            })),
            origin: Origin { source: "mesh".into(), peer: None, received_unix_nano: 0 },
        };
        self.runtime.block_on(self.inbox.put(batch, None));
        let deliveries = self.inbox.try_take(usize::MAX);
        let is_written = self.sink.attempt(&mut jobs(deliveries.iter().map(|it| &it.batch), path));
        deliveries.into_iter().filter(|_| is_written).for_each(|it| it.settle(Outcome::Done));
        is_written
    }

    fn write(&mut self, line: &str) -> bool {
        self.write_to("a.log", line)
    }

    /// Has time pass until so many syncs in all have come.
    fn tick_until(&mut self, syncs: usize) {
        let start = Instant::now();
        while self.disk.gate.came().len() < syncs {
            assert!(start.elapsed() < Duration::from_secs(30), "{syncs} syncs do not come");
            self.sink.tick(false).unwrap();
            std::thread::yield_now();
        }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// So many files of the sink this process has open.
    fn open_files(&self) -> usize {
        let links =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|it| std::fs::read_link(it.unwrap().path()).ok());
        links.filter(|it| it != self.directory.path() && it.starts_with(self.directory.path())).count()
    }

    /// The finished files.
    fn finished(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.contains('@'));
        names.sort();
        names
    }

    fn identity(&self, name: &str) -> (u64, u64) {
        self.disk.real.stat(name).unwrap().unwrap().identity
    }

    /// Runs to the end.
    fn end(self) -> (TempDir, Arc<FaultyDisk>) {
        self.inbox.close();
        self.sink.run(self.runtime.handle());
        (self.directory, self.disk)
    }
}

/// Scenario: a sync fails while the next line is written. Guarantees: the line is written at once,
/// the failure is told once, the next line goes to a new file, and the old one is never synced again.
#[test]
fn a_sync_that_fails_late_finishes_the_file() {
    let mut rig = Rig::new("unused/a.log", json!({}));
    rig.disk.gate.shut();
    assert!(rig.write("one"));
    rig.tick_until(1);
    let old = rig.identity("a.log");
    assert!(rig.write("two"));
    assert_eq!(rig.text("a.log"), "one\ntwo\n");
    rig.disk.gate.open(1);
    rig.sink.wait_synced();
    let trouble = rig.sink.tick(false).unwrap_err();
    assert!(trouble.to_string().starts_with("cannot sync a.log: "), "{trouble}");
    rig.sink.tick(true).unwrap();
    assert!(rig.write("three"));
    assert_eq!((rig.text(&rig.finished()[0]), rig.text("a.log")), ("one\ntwo\n".into(), "three\n".into()));
    let stats = Arc::clone(rig.sink.handle().stats());
    assert_eq!((stats.sync_errors.get(), stats.rotations_error.get()), (1, 1));
    let new = rig.identity("a.log");
    let (_directory, disk) = rig.end();
    let came = disk.gate.came();
    assert_eq!(came.iter().filter(|it| **it == old).count(), 1);
    assert_eq!(came.last(), Some(&new));
}

/// Scenario: a sync takes long while many lines are written and the period is over many times.
/// Guarantees: none of them waits, no second sync of the file is ordered, the next one covers all.
#[test]
fn a_sync_that_hangs_holds_up_no_line_and_does_not_pile_up() {
    let mut rig = Rig::new("unused/a.log", json!({}));
    rig.disk.gate.shut();
    assert!(rig.write("0"));
    rig.tick_until(1);
    let period = Duration::from_millis(1);
    let begun = Instant::now();
    let mut lines = 1;
    while begun.elapsed() < period * 20 {
        assert!(rig.write(&lines.to_string()));
        rig.sink.tick(false).unwrap();
        lines += 1;
    }
    assert_eq!(rig.disk.gate.came().len(), 1);
    assert_eq!(rig.text("a.log").lines().count(), lines);
    rig.disk.gate.open(0);
    rig.tick_until(2);
    rig.sink.wait_synced();
    let len = rig.text("a.log").len() as u64;
    assert_eq!(rig.disk.synced.lock().unwrap()[&rig.identity("a.log")], len);
}

/// Scenario: the end comes while a sync hangs. Guarantees: what was written is settled, the end waits
/// for this sync and makes one more of what was written since.
#[test]
fn the_end_waits_for_the_last_sync() {
    let mut rig = Rig::new("unused/a.log", json!({}));
    rig.disk.gate.shut();
    assert!(rig.write("one"));
    rig.tick_until(1);
    assert!(rig.write("two"));
    let (disk, inbox, identity) = (Arc::clone(&rig.disk), Arc::clone(&rig.inbox), rig.identity("a.log"));
    let ending = std::thread::spawn(move || rig.end());
    while !inbox.is_closed() {
        std::thread::yield_now();
    }
    assert_eq!(inbox.tally().delivered, 2);
    assert!(!ending.is_finished());
    disk.gate.open(0);
    let (directory, _) = ending.join().unwrap();
    assert_eq!(std::fs::read_to_string(directory.path().join("a.log")).unwrap(), "one\ntwo\n");
    assert_eq!(disk.synced.lock().unwrap()[&identity], 8);
}

/// Scenario: a file is finished while its sync is under way, then the sync fails or not. Guarantees:
/// its successor is written meanwhile; it is synced again only after a success, and compressed only
/// after its last sync.
#[test]
fn a_rotation_does_not_wait_for_a_sync() {
    for is_failing in [false, true] {
        let mut rig = Rig::new("unused/a.log", json!({"rotate": {"size": "8B"}, "compress": "gzip"}));
        rig.disk.gate.shut();
        assert!(rig.write("one"));
        rig.tick_until(1);
        assert!(rig.write("two"));
        let old = rig.identity("a.log");
        assert!(rig.write("three"));
        assert_eq!((rig.text(&rig.finished()[0]), rig.text("a.log")), ("one\ntwo\n".into(), "three\n".into()));
        rig.disk.gate.open(usize::from(is_failing));
        rig.sink.wait_synced();
        assert_eq!(rig.sink.tick(false).is_err(), is_failing);
        let stats = Arc::clone(rig.sink.handle().stats());
        assert_eq!((stats.sync_errors.get(), stats.rotations_size.get()), (u64::from(is_failing), 1));
        let start = Instant::now();
        while stats.compressed.get() == 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "not compressed");
            std::thread::yield_now();
        }
        let (_directory, disk) = rig.end();
        let syncs = disk.gate.came().iter().filter(|it| **it == old).count();
        assert_eq!(syncs, if is_failing { 1 } else { 2 });
    }
}

/// Scenario: a second file of one path is finished while the first one waits for its sync. Guarantee:
/// the writer waits for that, and nothing is lost or out of order.
#[test]
fn one_finished_file_of_a_path_waits_for_its_sync() {
    let mut rig = Rig::new("unused/a.log", json!({"rotate": {"size": "4B"}}));
    rig.disk.gate.shut();
    assert!(rig.write("one") && rig.write("two"));
    rig.disk.gate.wait_for(1);
    let disk = Arc::clone(&rig.disk);
    let writing = std::thread::spawn(move || {
        assert!(rig.write("six"));
        rig
    });
    let directory = disk.real.stat("a.log").unwrap();
    assert!(directory.is_some() && !writing.is_finished());
    assert_eq!(disk.gate.came().len(), 1);
    disk.gate.open(0);
    let rig = writing.join().unwrap();
    let texts: Vec<String> = rig.finished().iter().map(|name| rig.text(name)).collect();
    assert_eq!((texts.concat(), rig.text("a.log")), ("one\ntwo\n".into(), "six\n".into()));
}

/// Scenario: the file is removed while its sync is under way. Guarantee: the next line has a new
/// file, and the old sync troubles nobody.
#[test]
fn a_file_removed_under_its_sync() {
    let mut rig = Rig::new("unused/a.log", json!({}));
    rig.disk.gate.shut();
    assert!(rig.write("one"));
    rig.tick_until(1);
    std::fs::remove_file(rig.directory.path().join("a.log")).unwrap();
    assert!(rig.write("two"));
    assert_eq!(rig.text("a.log"), "two\n");
    rig.disk.gate.open(0);
    rig.sink.wait_synced();
    rig.sink.tick(true).unwrap();
    assert_eq!(rig.sink.handle().stats().rotations_reopen.get(), 1);
    let (directory, disk) = rig.end();
    assert_eq!(std::fs::read_to_string(directory.path().join("a.log")).unwrap(), "two\n");
    assert_eq!(disk.real.stat("a.log").unwrap().map(|it| it.identity), disk.gate.came().last().copied());
}

/// Scenario: six of eight open files may be written, and a closed one is needed again while its sync is under
/// way; then that sync fails or not. Guarantees: it is locked by nobody but us, its lines go on where
/// they were, and after a failure it is finished.
#[test]
fn a_closed_file_comes_back_while_it_is_synced() {
    for is_failing in [false, true] {
        let mut rig = Rig::new("unused/{kuma.mesh}.log", json!({"open_max": 8}));
        rig.disk.gate.shut();
        assert!(rig.write_to("a.log", "one") && rig.write_to("b.log", "two"));
        assert!(["c.log", "d.log", "e.log", "f.log", "g.log"].into_iter().all(|path| rig.write_to(path, "other")));
        rig.disk.gate.wait_for(1);
        assert!(rig.write_to("a.log", "three"), "{:?}", rig.sink.handle().stats().last_error());
        assert_eq!(rig.sink.handle().stats().files_open.get(), 6);
        assert_eq!((rig.text("a.log"), rig.text("b.log")), ("one\nthree\n".into(), "two\n".into()));
        rig.disk.gate.open(2 * usize::from(is_failing));
        rig.sink.wait_synced();
        assert_eq!(rig.sink.tick(false).is_err(), is_failing);
        assert!(rig.write_to("a.log", "four") && rig.write_to("b.log", "five"));
        let finished: Vec<String> = rig.finished().iter().map(|name| rig.text(name)).collect();
        let expected = if is_failing {
            (vec!["one\nthree\n".to_owned(), "two\n".to_owned()], "four\n".to_owned(), "five\n".to_owned())
        } else {
            (vec![], "one\nthree\nfour\n".to_owned(), "two\nfive\n".to_owned())
        };
        assert_eq!((finished, rig.text("a.log"), rig.text("b.log")), expected);
    }
}

/// Scenario: more files are needed than may be open, and syncs hang. Guarantees: those that are closed and
/// wait for their sync count as open, the writer waits where one more would be too many, and loses nothing.
#[test]
fn files_that_wait_for_their_sync_count_as_open() {
    for open_max in [1, 2, 5, 8] {
        let mut rig = Rig::new("unused/{kuma.mesh}.log", json!({"open_max": open_max}));
        let (disk, written) = (Arc::clone(&rig.disk), Arc::new(AtomicUsize::new(0)));
        disk.gate.shut();
        let counter = Arc::clone(&written);
        let writing = std::thread::spawn(move || {
            for number in 0..20 {
                assert!(rig.write_to(&format!("{number}.log"), "one"));
                let open = rig.open_files();
                assert!(open <= open_max, "{open} files are open, {open_max} may be");
                counter.fetch_add(1, Relaxed);
            }
            rig
        });
        let start = Instant::now();
        while written.load(Relaxed) < open_max {
            assert!(start.elapsed() < Duration::from_secs(30) && !writing.is_finished());
            std::thread::yield_now();
        }
        disk.gate.wait_for(1);
        disk.gate.open(0);
        let rig = writing.join().unwrap();
        assert!((0..20).all(|number| rig.text(&format!("{number}.log")) == "one\n"));
    }
}

/// Scenario: a power cut before the last finished file was synced. Guarantee: the next start cuts its
/// torn end off, and touches no other finished file.
#[test]
fn a_torn_end_of_the_last_finished_file_is_cut_off_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        ("a@00000001-20260102T030405.678Z.log", "older: to", "older: to"),
        ("a@00000002-20260102T030405.678Z.log", "last\nto", "last\n"),
        ("b@00000007-20260102T030405.678Z.log", "whole\n", "whole\n"),
        ("c@00000001-20260102T030405.678Z.log", "to", ""),
        ("d@00000003-20260102T030405.678Z.log.gz", "packed", "packed"),
    ];
    for (name, before, _) in files {
        std::fs::write(directory.path().join(name), before).unwrap();
    }
    let disk = FaultyDisk::new(directory.path(), 1, false);
    disk.is_failing.store(false, Relaxed);
    let config: FileConfig = serde_json::from_value(json!({"path": "unused/{kuma.mesh}.log"})).unwrap();
    let sink = FileSink::open_on(&config, inbox(), Arc::new(disk)).unwrap();
    for (name, _, after) in files {
        assert_eq!(std::fs::read_to_string(directory.path().join(name)).unwrap(), after, "{name}");
    }
    assert_eq!(sink.handle().stats().torn_bytes.get(), 4);
}
