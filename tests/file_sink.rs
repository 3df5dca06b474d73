//! The file sink on real directories: what an operator, a log rotator and a full disk see.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test are tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use logboom::batch::{Batch, Origin, Routes, Run};
use logboom::config::units::WaitMax;
use logboom::inbox::{Inbox, InboxSettings, Tally};
use logboom::sink::file::{FILES_MAX, FileConfig, FileHandle, FileSink};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest a test waits for what must happen; nothing depends on how long it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running sink.
struct Rig {
    inbox: Arc<Inbox>,
    handle: FileHandle,
    thread: JoinHandle<()>,
    runtime: Runtime,
}

fn inbox() -> Arc<Inbox> {
    Inbox::new(InboxSettings {
        sink: "files".into(),
        capacity_bytes: 16 << 20,
        wait_max: WaitMax::Forever,
        encoding: None,
    })
}

fn config(root: &Path, path: &str, settings: &Value) -> FileConfig {
    let mut all = json!({"path": format!("{}/{path}", root.display()), "sync": "never", "rotate": {}});
    for (key, value) in settings.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

fn start(root: &Path, path: &str, settings: Value) -> Rig {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let inbox = inbox();
    let sink = FileSink::open(&config(root, path, &settings), Arc::clone(&inbox)).unwrap();
    let (handle, on) = (sink.handle(), runtime.handle().clone());
    let thread = std::thread::spawn(move || sink.run(&on));
    Rig { inbox, handle, thread, runtime }
}

fn refusal(root: &Path, path: &str, settings: Value) -> String {
    match FileSink::open(&config(root, path, &settings), inbox()) {
        Err(error) => format!("{error:#}"),
        Ok(_) => panic!("{path} is accepted"),
    }
}

impl Rig {
    fn put(&self, payload: impl Into<Vec<u8>>) {
        self.put_routed(payload, None);
    }

    fn put_routed(&self, payload: impl Into<Vec<u8>>, routes: Option<Routes>) {
        let payload = Bytes::from(payload.into());
        let batch = Batch {
            records: payload.iter().filter(|byte| **byte == b'\n').count() as u64,
            payload,
            routes: routes.map(Arc::new),
            origin: Origin { source: "mesh".into(), peer: None, received_unix_nano: 0 },
        };
        self.runtime.block_on(self.inbox.put(batch, None));
    }

    /// One line to each path.
    fn put_to(&self, paths: &[String], line: &str) {
        let runs = (1..=paths.len() as u32).map(|n| Run { path: n - 1, end: n * line.len() as u32, records: 1 });
        self.put_routed(line.repeat(paths.len()), Some(Routes { paths: paths.to_vec(), runs: runs.collect() }));
    }

    fn drained(&self) {
        assert!(self.runtime.block_on(self.inbox.drained(PATIENCE)), "{:?}", self.handle.stats());
    }

    fn write(&self, payload: impl Into<Vec<u8>>) {
        self.put(payload);
        self.drained();
    }

    fn end(self) -> Tally {
        self.inbox.close();
        self.thread.join().unwrap();
        self.inbox.tally()
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn finished(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| name.contains('@')).collect()
}

fn content(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    match path.extension().and_then(|it| it.to_str()) {
        Some("zst") => zstd::stream::decode_all(&bytes[..]).unwrap(),
        Some("gz") => {
            let mut out = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut out).unwrap();
            out
        }
        _ => bytes,
    }
}

/// The finished files in the order of their names, then the current one.
fn parts(directory: &Path, current: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = finished(directory).iter().map(|name| directory.join(name)).collect();
    paths.push(directory.join(current));
    paths.iter().map(|path| content(path)).collect()
}

fn last_line(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat().split_inclusive(|byte| *byte == b'\n').next_back().unwrap_or_default().to_vec()
}

fn numbered(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat((n * 7 % 90) as usize))).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn rotation_by_size_keeps_every_line_whole_and_in_order() {
    for (compress, ending) in [("none", ".log"), ("gzip", ".log.gz"), ("zstd", ".log.zst")] {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        let rig = start(root, "a.log", json!({"rotate": {"size": "10KiB"}, "compress": compress}));
        for n in 0..100 {
            rig.put(numbered(n * 50..(n + 1) * 50));
        }
        rig.drained();
        let rotations = rig.handle.stats().rotations_size.get();
        assert!(rotations > 20, "{rotations}");
        eventually("all are compressed", || {
            finished(root).len() as u64 == rotations && finished(root).iter().all(|name| name.ends_with(ending))
        });
        let parts = parts(root, "a.log");
        assert!(parts.iter().all(|part| part.len() <= 10 * 1024 && part.ends_with(b"\n")));
        assert_eq!(String::from_utf8(parts.concat()).unwrap(), numbered(0..5000));
        assert_eq!(rig.end().delivered, 5000);
    }
}

#[test]
fn a_line_larger_than_a_file_has_a_file_of_its_own() {
    let directory = TempDir::new().unwrap();
    let rig = start(directory.path(), "a.log", json!({"rotate": {"size": "1KiB"}}));
    let large = format!("{}\n", "x".repeat(50_000));
    rig.write(format!("before\n{large}after\n{large}{large}"));
    rig.end();
    let parts = parts(directory.path(), "a.log");
    let expected = ["before\n", &large, "after\n", &large, &large].map(|it| it.as_bytes().to_vec());
    assert_eq!(parts, expected);
}

#[test]
fn a_restart_goes_on_where_it_was_and_never_reuses_a_name() {
    let directory = TempDir::new().unwrap();
    let mut seen = Vec::new();
    for n in 0..5 {
        let rig = start(directory.path(), "a.log", json!({"rotate": {"size": "1KiB"}, "keep": {"files": 2}}));
        rig.write(numbered(n * 40..(n + 1) * 40));
        let stats = Arc::clone(rig.handle.stats());
        eventually("two are kept", || finished(directory.path()).len() == 2);
        seen.extend(finished(directory.path()));
        rig.end();
        assert_eq!(stats.torn_bytes.get(), 0);
    }
    let numbers: Vec<&str> = seen.iter().map(|name| &name[2..10]).collect();
    assert!(numbers.is_sorted() && seen.is_sorted());
    assert_eq!(last_line(&parts(directory.path(), "a.log")), numbered(199..200).into_bytes());
}

/// Scenario: a second sink on the path of one that runs, before and after a rotation. Guarantees:
/// it is refused and has changed nothing, the first goes on, and when that has ended the path is
/// free.
#[test]
fn a_path_has_one_writer() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let settings = || json!({"rotate": {"size": "8B"}, "compress": "gzip", "keep": {"files": 1}});
    let first = start(root, "a.log", json!({"rotate": {"size": "8B"}}));
    first.write("one\n");
    let leftover = "a@00000001-20260102T030405.678Z.log.gz.tmp";
    fs::write(root.join(leftover), "half").unwrap();
    for line in ["two\n", "three\n", "four\n"] {
        let before = names(root);
        let error = refusal(root, "a.log", settings());
        assert!(error.contains("cannot open a.log in ") && error.contains(": another process"), "{error}");
        assert_eq!(names(root), before);
        first.write(line);
    }
    assert_eq!(finished(root).len(), 3);
    first.end();
    assert_eq!(parts(root, "a.log").last().unwrap(), b"four\n");

    let second = start(root, "a.log", settings());
    second.write("five\n");
    second.end();
    assert!(!root.join(leftover).exists());
}

/// Scenario: two sinks with a path template, the second wants a file of the first. Guarantee: its
/// records are held until the first has closed the file.
#[test]
fn a_file_of_a_template_has_one_writer_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["m/a.log".to_owned()];
    let (first, second) =
        (start(directory.path(), "{x}/a.log", json!({})), start(directory.path(), "{x}/a.log", json!({})));
    first.put_to(&paths, "first\n");
    first.drained();
    second.put_to(&paths, "second\n");
    eventually("the second sink fails", || !second.handle.stats().healthy());
    assert!(second.handle.stats().last_error().unwrap().contains("another process"));
    assert_eq!(fs::read(directory.path().join("m/a.log")).unwrap(), b"first\n");
    first.end();
    second.drained();
    second.end();
    assert_eq!(fs::read(directory.path().join("m/a.log")).unwrap(), b"first\nsecond\n");
}

#[test]
fn a_torn_tail_is_cut_off_at_start() {
    for (before, after) in [("a\nb\ntorn", "a\nb\n"), ("torn", ""), ("", ""), ("a\n", "a\n")] {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("a.log"), before).unwrap();
        let rig = start(directory.path(), "a.log", json!({}));
        assert_eq!(rig.handle.stats().torn_bytes.get(), (before.len() - after.len()) as u64);
        rig.write("new\n");
        rig.end();
        assert_eq!(fs::read_to_string(directory.path().join("a.log")).unwrap(), format!("{after}new\n"));
    }
}

#[test]
fn a_file_whose_period_has_passed_is_finished_at_start() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.log");
    fs::write(&path, "yesterday\n").unwrap();
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::options().write(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    let rig = start(directory.path(), "a.log", json!({"rotate": {"every": "1d"}}));
    rig.write("today\n");
    rig.end();
    assert_eq!(parts(directory.path(), "a.log"), [b"yesterday\n".to_vec(), b"today\n".to_vec()]);
}

#[test]
fn idle_files_are_finished_on_time_and_empty_ones_are_not() {
    let directory = TempDir::new().unwrap();
    let rig = start(directory.path(), "a.log", json!({"rotate": {"every": "100ms"}}));
    rig.write("one\n");
    eventually("it is finished", || rig.handle.stats().rotations_time.get() == 1);
    rig.write("two\n");
    eventually("it is finished", || rig.handle.stats().rotations_time.get() == 2);
    rig.end();
    assert_eq!(parts(directory.path(), "a.log"), [b"one\n".to_vec(), b"two\n".to_vec(), Vec::new()]);
}

#[test]
fn a_renamed_or_removed_file_is_noticed() {
    let directory = TempDir::new().unwrap();
    let (path, moved) = (directory.path().join("a.log"), directory.path().join("moved.log"));
    let rig = start(directory.path(), "a.log", json!({}));
    rig.write("one\n");
    fs::rename(&path, &moved).unwrap();
    eventually("a new file is begun though nothing is written", || path.exists());
    rig.write("two\n");
    fs::remove_file(&path).unwrap();
    rig.write("three\n");
    eventually("a new file is begun", || path.exists());
    // At once on request, as after a log rotator.
    fs::rename(&path, directory.path().join("again.log")).unwrap();
    rig.handle.reopen();
    eventually("a new file is begun", || path.exists());
    rig.write("four\n");
    assert_eq!(rig.handle.stats().rotations_reopen.get(), 3);
    assert_eq!(rig.end().delivered, 4);
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
    assert_eq!(fs::read_to_string(directory.path().join("again.log")).unwrap(), "three\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
}

#[test]
fn reopening_a_file_that_is_there_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let rig = start(directory.path(), "a.log", json!({}));
    rig.write("one\n");
    for _ in 0..100 {
        rig.handle.reopen();
    }
    rig.write("two\n");
    assert_eq!(rig.handle.stats().rotations_reopen.get(), 0);
    rig.end();
    assert_eq!(fs::read_to_string(directory.path().join("a.log")).unwrap(), "one\ntwo\n");
}

#[test]
fn a_file_truncated_under_us_goes_on_at_its_new_end() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.log");
    let rig = start(directory.path(), "a.log", json!({"rotate": {"size": "1KiB"}}));
    rig.write(numbered(0..8));
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    rig.write(numbered(8..16));
    rig.end();
    assert_eq!(fs::read_to_string(&path).unwrap(), numbered(8..16));
    assert!(finished(directory.path()).is_empty());
}

#[test]
fn a_directory_removed_under_us_is_made_again() {
    let directory = TempDir::new().unwrap();
    let logs = directory.path().join("logs");
    let rig = start(directory.path(), "logs/a.log", json!({}));
    rig.write("one\n");
    // It fails when the sink has just begun a new file in it.
    eventually("it is removed", || fs::remove_dir_all(&logs).is_ok());
    rig.write("two\n");
    rig.end();
    assert_eq!(fs::read_to_string(logs.join("a.log")).unwrap(), "two\n");
}

#[test]
fn modes_are_exact_whatever_the_umask() {
    // The umask belongs to the process; no other test here depends on it.
    for umask in [0o000, 0o077, 0o027] {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let settings = json!({"mode": "0640", "rotate": {"size": "1KiB"}, "compress": "gzip"});
        let rig = start(root, "b/c/a.log", settings);
        rig.write(numbered(0..40));
        eventually("they are compressed", || rig.handle.stats().compressed.get() > 1);
        rig.end();
        assert_eq!((mode(&root.join("b")), mode(&root.join("b/c"))), (0o750, 0o750));
        for name in names(&root.join("b/c")) {
            assert_eq!(mode(&root.join("b/c").join(&name)), 0o640, "{name}");
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

#[test]
fn modes_of_what_is_there_are_narrowed_and_never_widened() {
    let directory = TempDir::new().unwrap();
    for (before, after) in [(0o666, 0o640), (0o600, 0o600), (0o4644, 0o640)] {
        let path = directory.path().join(format!("{before:o}.log"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        start(directory.path(), &format!("{before:o}.log"), json!({})).end();
        assert_eq!(mode(&path), after);
    }
    let group = directory.path().join("group");
    fs::create_dir(&group).unwrap();
    fs::set_permissions(&group, fs::Permissions::from_mode(0o2770)).unwrap();
    let rig = start(directory.path(), "group/{a}/x.log", json!({}));
    rig.put_to(&["new/x.log".to_owned()], "line\n");
    rig.end();
    assert_eq!(mode(&group.join("new")), 0o2750);
}

#[test]
fn what_is_no_regular_file_is_refused_at_start() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let check = |path: &str, expected: &str| {
        let refusal = refusal(root, path, json!({}));
        assert!(refusal.contains(expected) && refusal.contains(path), "{refusal}");
    };
    fs::create_dir(root.join("directory.log")).unwrap();
    check("directory.log", "is a directory");
    fs::write(root.join("target"), "untouched").unwrap();
    symlink(root.join("target"), root.join("link.log")).unwrap();
    check("link.log", "symbolic link");
    symlink(root.join("nowhere"), root.join("dangling.log")).unwrap();
    check("dangling.log", "symbolic link");
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe.log")).status();
    if made.is_ok_and(|status| status.success()) {
        check("pipe.log", "is a pipe");
    }
    fs::write(root.join("file"), "").unwrap();
    assert!(refusal(root, "file/a.log", json!({})).contains("cannot open the directory"));
    assert!(refusal(root, "{a", json!({})).contains("braces"));
    assert!(refusal(root, "a.log", json!({"rotate": {"size": "0B"}})).contains("limit of zero"));
    assert_eq!(fs::read_to_string(root.join("target")).unwrap(), "untouched");
    assert!(!root.join("nowhere").exists());
}

#[test]
fn records_are_held_while_the_path_cannot_be_opened_and_the_end_is_bounded() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.log");
    let rig = start(directory.path(), "a.log", json!({}));
    let block = || {
        // In one step, or the sink could begin a new file in between.
        let other = TempDir::new_in(directory.path()).unwrap().keep();
        let (here, there) = (rustix::fs::CWD, rustix::fs::CWD);
        rustix::fs::renameat_with(here, &path, there, &other, rustix::fs::RenameFlags::EXCHANGE).unwrap();
        rig.handle.reopen();
        eventually("it is unhealthy", || !rig.handle.stats().healthy());
    };
    block();
    rig.put("held\n");
    assert!(rig.handle.stats().last_error().unwrap().contains("is a directory"));
    fs::remove_dir(&path).unwrap();
    rig.handle.reopen();
    rig.drained();
    assert!(rig.handle.stats().healthy());
    assert_eq!(fs::read_to_string(&path).unwrap(), "held\n");

    block();
    rig.put("lost\nlost\n");
    rig.handle.stop_by(Instant::now());
    let tally = rig.end();
    assert_eq!((tally.delivered, tally.abandoned, tally.in_flight), (1, 2, 0));
}

#[test]
fn retention_keeps_the_newest_and_what_is_not_ours() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let foreign = ["a@1.log", "b@00000001-20261120T114837.123Z.log", "a@00000001-20261120T114837.123Z.txt", "a.log.1"];
    for name in foreign {
        fs::write(root.join(name), "not ours").unwrap();
    }
    let check = |settings: Value, kept_before: u64| {
        let rig = start(root, "a.log", settings);
        rig.write(numbered(0..400));
        let stats = rig.handle.stats();
        eventually("the rest is removed", || kept_before + stats.rotations_size.get() == stats.removed.get() + 3);
        assert_eq!(last_line(&parts(root, "a.log")), numbered(399..400).into_bytes());
        rig.end();
        let ours = finished(root).into_iter().filter(|name| !foreign.contains(&name.as_str()));
        assert_eq!(ours.count(), 3);
    };
    check(json!({"rotate": {"size": "1000B"}, "keep": {"files": 3}}), 0);
    // Files are between 890 and 1000 bytes.
    check(json!({"rotate": {"size": "1000B"}, "keep": {"bytes": "3000B"}}), 3);
    assert!(foreign.iter().all(|name| fs::read(root.join(name)).unwrap() == b"not ours"));
}

#[test]
fn old_files_are_removed_and_plain_ones_compressed_at_start() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let old = "a@00000007-20010101T000000.000Z.log";
    let leftover = "a@00000008-20010101T000000.000Z.log.zst.tmp";
    fs::write(root.join(old), "old\n").unwrap();
    fs::write(root.join(leftover), "half").unwrap();
    let rig = start(root, "a.log", json!({"keep": {"age": "7d"}}));
    eventually("the old file is removed", || names(root) == ["a.log"]);
    rig.end();

    // A crash between renaming and removing: the plain file is the one that counts.
    fs::write(root.join(old), "plain\n").unwrap();
    fs::write(root.join(format!("{old}.zst")), "broken").unwrap();
    let rig = start(root, "a.log", json!({"compress": "zstd", "rotate": {"size": "10B"}}));
    eventually("it is compressed", || names(root) == ["a.log", &format!("{old}.zst")]);
    assert_eq!(content(&root.join(format!("{old}.zst"))), b"plain\n");
    rig.write("longer than ten bytes\n");
    rig.write("longer than ten bytes\n");
    eventually("the next is compressed", || rig.handle.stats().compressed.get() == 2);
    assert!(names(root).iter().any(|name| name.starts_with("a@00000008-")));
    rig.end();
}

#[test]
fn templates_give_each_value_a_file_with_few_open() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let settings = json!({"open_max": 3, "rotate": {"size": "30B"}, "sync": "always", "keep": {"files": 100}});
    let rig = start(root, "logs/{mesh}/{service}.log", settings);
    let paths: Vec<String> = (0..10).map(|n| format!("m{}/s{n}.log", n % 2)).collect();
    for n in 0..10 {
        rig.put_to(&paths, &format!("line {n}\n"));
    }
    // A gap record has no route.
    rig.put("gap\n");
    rig.drained();
    assert!(rig.handle.stats().files_open.get() <= 3);
    assert_eq!(rig.end().delivered, 101);
    let expected: String = (0..10).map(|n| format!("line {n}\n")).collect();
    for path in &paths {
        let (mesh, name) = path.split_once('/').unwrap();
        let stem = name.trim_end_matches(".log");
        let directory = root.join("logs").join(mesh);
        let mut all: Vec<String> =
            finished(&directory).into_iter().filter(|it| it.starts_with(&format!("{stem}@"))).collect();
        assert_eq!(all.len(), 2);
        all.push(name.to_owned());
        let text: String = all.iter().map(|it| fs::read_to_string(directory.join(it)).unwrap()).collect();
        assert_eq!(text, expected);
    }
    assert_eq!(fs::read_to_string(root.join("logs/_unknown/_unknown.log")).unwrap(), "gap\n");
}

#[test]
fn nothing_leads_outside_the_root() {
    let directory = TempDir::new().unwrap();
    let (root, outside) = (directory.path().join("logs"), directory.path().join("outside"));
    fs::create_dir_all(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim.log"), "untouched").unwrap();
    symlink(&outside, root.join("linked")).unwrap();
    fs::create_dir(root.join("m")).unwrap();
    symlink(outside.join("victim.log"), root.join("m/victim.log")).unwrap();
    symlink(outside.join("new.log"), root.join("m/new.log")).unwrap();
    let rig = start(&root, "{mesh}/{service}.log", json!({}));
    // Intake reduces values; the sink does not rely on it.
    let paths =
        ["linked/a.log", "m/victim.log", "m/new.log", "../outside/b.log", "/tmp/c.log", "m/../../d.log", "m/good.log"];
    rig.put_to(&paths.map(str::to_owned), "line\n");
    rig.drained();
    assert_eq!(rig.handle.stats().overflow_records.get(), 6);
    assert!(rig.handle.stats().healthy());
    rig.end();
    assert_eq!(names(&outside), ["victim.log"]);
    assert_eq!(fs::read_to_string(outside.join("victim.log")).unwrap(), "untouched");
    assert_eq!(fs::read_to_string(root.join("_overflow.log")).unwrap(), "line\n".repeat(6));
    assert_eq!(fs::read_to_string(root.join("m/good.log")).unwrap(), "line\n");
    assert_eq!(names(directory.path()), ["logs", "outside"]);
}

#[test]
fn the_number_of_files_is_bounded_over_restarts() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let paths = |from: usize, to: usize| -> Vec<String> { (from..to).map(|n| format!("s{n}.log")).collect() };
    let rig = start(root, "{service}.log", json!({"open_max": 16}));
    rig.put_to(&paths(0, FILES_MAX - 10), "line\n");
    rig.drained();
    assert_eq!(rig.handle.stats().overflow_records.get(), 0);
    rig.end();
    let rig = start(root, "{service}.log", json!({"open_max": 16}));
    rig.put_to(&paths(0, FILES_MAX + 90), "line\n");
    rig.drained();
    assert_eq!(rig.handle.stats().overflow_records.get(), 90);
    assert_eq!(rig.handle.stats().files_open.get(), 16);
    rig.end();
    assert_eq!(names(root).len(), FILES_MAX + 1);
}

/// A file system of that size in a directory, gone at the end. `None` where mounting is not
/// allowed; the disk that fails from a seed covers the same then.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf, options: &str) -> Option<Mount> {
        fs::create_dir(&at).unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&at)
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(Mount(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _best_effort = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Scenario: the disk is full, then has room again. Guarantees: whole lines only, every line
/// once, it goes on by itself.
#[test]
fn a_full_disk_is_waited_for() {
    let directory = TempDir::new().unwrap();
    let Some(mount) = Mount::new(directory.path().join("full"), "size=512k") else { return };
    fs::write(mount.0.join("ballast"), vec![0; 384 << 10]).unwrap();
    let rig = start(&mount.0, "a.log", json!({"sync": "always", "rotate": {"size": "64KiB"}}));
    let text = numbered(0..4000);
    assert!(text.len() > 200 << 10);
    for part in 0..80 {
        rig.put(numbered(part * 50..(part + 1) * 50));
    }
    eventually("the disk is full", || !rig.handle.stats().healthy());
    assert!(rig.inbox.tally().in_flight > 0);
    let so_far = parts(&mount.0, "a.log").concat();
    assert!(text.as_bytes().starts_with(&so_far[..so_far.len().min(50_000)]));
    fs::remove_file(mount.0.join("ballast")).unwrap();
    rig.drained();
    assert!(rig.handle.stats().healthy());
    assert_eq!(rig.end().delivered, 4000);
    assert_eq!(String::from_utf8(parts(&mount.0, "a.log").concat()).unwrap(), text);
}

/// Scenario: no new file can be created. Guarantee: the old one is written on.
#[test]
fn without_a_free_inode_the_file_is_written_on() {
    let directory = TempDir::new().unwrap();
    let Some(mount) = Mount::new(directory.path().join("full"), "size=1m,nr_inodes=3") else { return };
    let rig = start(&mount.0, "a.log", json!({"rotate": {"size": "1KiB"}}));
    fs::write(mount.0.join("ballast"), "").unwrap();
    rig.write(numbered(0..100));
    assert!(rig.handle.stats().rotate_errors.get() > 0);
    assert!(rig.handle.stats().healthy());
    assert_eq!(rig.end().delivered, 100);
    assert_eq!(names(&mount.0), ["a.log", "ballast"]);
    assert_eq!(fs::read_to_string(mount.0.join("a.log")).unwrap(), numbered(0..100));
}

#[test]
fn a_batch_much_larger_than_a_file_is_cut_into_files() {
    let directory = TempDir::new().unwrap();
    let rig = start(directory.path(), "a.log", json!({"rotate": {"size": "1MiB"}}));
    let text = numbered(0..100_000);
    rig.write(text.clone());
    rig.end();
    let parts = parts(directory.path(), "a.log");
    assert!(parts.len() > 5 && parts.iter().all(|part| part.len() <= 1 << 20));
    assert_eq!(parts.concat(), text.into_bytes());
}

/// Scenario: the end comes while a large file is compressed. Guarantees: it is complete, plain or
/// compressed; nothing half done is left.
#[test]
fn the_end_leaves_no_half_compressed_file() {
    let directory = TempDir::new().unwrap();
    let text = numbered(0..200_000);
    let rig = start(directory.path(), "a.log", json!({"rotate": {"size": "8MiB"}, "compress": "gzip"}));
    rig.write(text.clone());
    assert_eq!(rig.end().delivered, 200_000);
    assert!(names(directory.path()).iter().all(|name| name.ends_with(".log") || name.ends_with(".log.gz")));
    assert!(parts(directory.path(), "a.log").concat() == text.into_bytes());
}

#[test]
fn a_fixed_path_takes_everything() {
    let directory = TempDir::new().unwrap();
    let rig = start(directory.path(), "a.log", json!({}));
    rig.put_to(&["b.log".to_owned(), "c.log".to_owned()], "line\n");
    rig.end();
    assert_eq!(names(directory.path()), ["a.log"]);
    assert_eq!(fs::read_to_string(directory.path().join("a.log")).unwrap(), "line\nline\n");
}
