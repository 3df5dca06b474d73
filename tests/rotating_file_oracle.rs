//! The crate `rotating-file` as an oracle: the same lines give the same files through both, cut
//! at the same places. Names differ: ours sort in the order written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test are tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logboom::batch::{Batch, Origin};
use logboom::config::units::WaitMax;
use logboom::inbox::{Inbox, InboxSettings};
use logboom::sink::file::{FileConfig, FileSink};
use rotating_file::RotatingFile;

#[test]
fn the_same_lines_give_the_same_files() {
    let directory = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..1000).map(|n: usize| format!("{n} {}", "x".repeat(n * n % 301))).collect();
    let (theirs, ours) = (directory.path().join("theirs"), directory.path().join("ours"));
    write_theirs(&theirs, &lines);
    write_ours(&ours, &lines);
    let (theirs, ours) = (read_theirs(&theirs), read_ours(&ours));
    assert!(ours.len() > 50);
    assert_eq!(theirs, ours);
}

/// It begins the next file when a line would make the size 1 KiB or more.
fn write_theirs(root: &Path, lines: &[String]) {
    let file = RotatingFile::new(root.to_str().unwrap(), Some(1), None, None, None, None, None);
    lines.iter().for_each(|line| file.writeln(line).unwrap());
    file.close();
}

fn write_ours(root: &Path, lines: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = InboxSettings {
        sink: "files".into(),
        capacity_bytes: 1 << 20,
        wait_max: WaitMax::Bounded(Duration::from_secs(60)),
        encoding: None,
    };
    let inbox = Inbox::new(settings);
    let config: FileConfig = serde_json::from_value(serde_json::json!({
        "path": format!("{}/access.log", root.display()), "rotate": {"size": "1023B"}, "sync": "never"
    }))
    .unwrap();
    let sink = FileSink::open(&config, Arc::clone(&inbox)).unwrap();
    let handle = runtime.handle().clone();
    let thread = std::thread::spawn(move || sink.run(&handle));
    for lines in lines.chunks(70) {
        let payload: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let batch = Batch {
            records: lines.len() as u64,
            payload: Bytes::from(payload),
            routes: None,
            origin: Origin { source: "mesh".into(), peer: None, received_unix_nano: 0 },
        };
        runtime.block_on(inbox.put(batch, None));
    }
    inbox.close();
    thread.join().unwrap();
    assert_eq!(inbox.tally().delivered, lines.len() as u64);
}

/// Names are `2026-11-20-11-48-37.log`, `2026-11-20-11-48-37-1.log`, …
fn read_theirs(root: &Path) -> Vec<String> {
    let mut files: Vec<(String, u32, String)> = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (time, rest) = stem.split_at("2026-11-20-11-48-37".len());
        let number = rest.strip_prefix('-').map_or(0, |number| number.parse().unwrap());
        files.push((time.to_owned(), number, fs::read_to_string(&path).unwrap()));
    }
    files.sort();
    files.into_iter().map(|(_, _, text)| text).collect()
}

fn read_ours(root: &Path) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The current file has no `@`, and is the last.
    paths.sort_by_key(|path| (!path.to_str().unwrap().contains('@'), path.clone()));
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}
