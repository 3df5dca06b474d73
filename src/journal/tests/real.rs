//! On a real disk, with threads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{entry, settings};
use crate::journal::{AppendError, Disk, Journal, JournalSettings, OpenError, Read, RealDisk, Recovered, Seq};

const MIB: u64 = 1 << 20;

fn open(dir: &Path, settings: &JournalSettings) -> Result<(Journal, Recovered), OpenError> {
    Journal::open(settings, Arc::new(RealDisk::open(dir).unwrap()))
}

/// Reads to the end; everything must be there, and as it was appended.
fn check_entries(journal: &Journal, mut from: Seq, entries: impl Fn(Seq) -> u64) {
    let mut reader = journal.reader();
    while from < journal.end() {
        for read in reader.next(from, 100_000).unwrap() {
            assert_eq!(read, Read::Entry(from, entry(entries(from))));
            from += 1;
        }
    }
    assert_eq!(reader.next(from, 100_000).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(64 * MIB, MIB, &["a", "b/../c"]);
    for round in 0..3 {
        let (journal, recovered) = open(dir.path(), &settings).unwrap();
        assert_eq!((recovered.oldest, recovered.end), (1, round * 1000 + 1));
        assert_eq!(recovered.warnings, [""; 0]);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 1..=1000 {
            // In order, so that the number tells which entry it is.
            let seq = journal.append(entry(round * 1000 + n), None).await.unwrap();
            assert_eq!(seq, round * 1000 + n);
            let journal = journal.clone();
            tasks.spawn(async move { journal.synced(seq).await });
        }
        while let Some(synced) = tasks.join_next().await {
            synced.unwrap().unwrap();
        }
        check_entries(&journal, 1, |seq| seq);
        check_entries(&journal, 777, |seq| seq);
        let counted: u64 = journal.count(5, 900).unwrap().iter().map(|(_, records)| records).sum();
        assert_eq!(counted, (5..900).map(|n| entry(n).records).sum::<u64>());
        let counted: u64 = journal.count(1, journal.end()).unwrap().iter().map(|(_, records)| records).sum();
        assert_eq!(counted, (1..=round * 1000 + 1000).map(|n| entry(n).records).sum::<u64>());
        assert!(journal.stats().is_healthy());
        journal.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_until_the_first_closes() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(64 * MIB, MIB, &["a"]);
    let (journal, _) = open(dir.path(), &settings).unwrap();
    let other = journal.clone();
    assert!(matches!(open(dir.path(), &settings), Err(OpenError::Locked)));
    journal.close().await;
    assert!(matches!(other.append(entry(1), None).await, Err(AppendError::Closed)));
    assert!(matches!(other.synced(1).await, Err(AppendError::Closed)));
    other.grown(7).await;
    open(dir.path(), &settings).unwrap().0.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_waits_for_the_cursors() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(4 * MIB, MIB, &["a", "b"]);
    let (journal, _) = open(dir.path(), &settings).unwrap();
    let soon = || Some(Instant::now() + Duration::from_millis(20));
    let mut written = 0;
    let full = loop {
        match journal.append(entry(written + 1), soon()).await {
            Ok(_) => written += 1,
            // A busy disk is too slow for so little patience, and not full.
            Err(AppendError::Full) if journal.full_since().is_none() => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::Full));
    let stats = journal.stats();
    assert!(stats.bytes.load(std::sync::atomic::Ordering::Relaxed) <= 4 * MIB);
    // One sink is not enough.
    journal.cursor("a").unwrap().advance(journal.end());
    assert!(matches!(journal.append(entry(written + 1), soon()).await, Err(AppendError::Full)));
    journal.cursor("b").unwrap().advance(journal.oldest_end(1).unwrap());
    assert_eq!(journal.append(entry(written + 1), None).await.unwrap(), written + 1);
    assert!(journal.full_since().is_none());
    // Whoever does not wait for room is not refused while there is some.
    assert!(journal.append(entry(written + 2), Some(Instant::now())).await.is_ok());
    check_entries(&journal, journal.cursor("b").unwrap().position(), |seq| seq);
    journal.close().await;
    // Cursors are where they were.
    let (journal, recovered) = open(dir.path(), &settings).unwrap();
    assert_eq!(recovered.end, written + 3);
    assert_eq!(journal.cursor("a").unwrap().start(), written + 1);
    assert!(journal.cursor("b").unwrap().start() > 1);
    assert!(journal.cursor("c").is_none());
    journal.close().await;
}

/// Guarantee: what is removed part by part is whole for whoever reads it, in this process or another.
#[test]
fn what_somebody_reads_is_not_shrunk() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, name) = (RealDisk::open(dir.path()).unwrap(), "0000000000000001.seg");
    disk.create(name).unwrap().set_len(20 * MIB).unwrap();
    let size = || std::fs::metadata(dir.path().join(name)).unwrap().len();
    let [first, second] = [(); 2].map(|()| disk.open(name, false).unwrap());
    for reader in [first, second] {
        disk.shrink(name).unwrap();
        assert_eq!((size(), reader.size().unwrap()), (20 * MIB, 20 * MIB));
    }
    disk.shrink(name).unwrap();
    assert_eq!(size(), 4 * MIB);
    disk.remove(name).unwrap();
    assert_eq!(disk.shrink(name).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
