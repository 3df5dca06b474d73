//! Appending to a journal on the disk of the temporary directory, its threads included.

use std::sync::Arc;

use bytes::Bytes;
use logboom::generate::NamedFormat;
use logboom::journal::{Entry, Journal, JournalSettings, Kind, Mode, RealDisk};

use super::{Step, input};

/// Entries that are appended at a time, as by so many connections.
const AT_ONCE: usize = 16;

pub fn all() -> Vec<Step> {
    vec![append("journal: append, buffered", Mode::Buffered), append("journal: append, durable", Mode::Durable)]
}

/// A sink that settles everything at once, so that segments are deleted as they are filled.
#[allow(clippy::expect_used)]
fn append(name: &'static str, mode: Mode) -> Step {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = Arc::new(RealDisk::open(directory.path()).expect("the directory is a journal's"));
    let settings = JournalSettings { max_bytes: 1 << 30, mode, segment_bytes: 64 << 20, cursors: vec!["sink".into()] };
    let (journal, _) = Journal::open(&settings, disk).expect("the journal opens");
    let cursor = journal.cursor("sink").expect("a cursor for the sink");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let payload = Bytes::from(input::lines(NamedFormat::KumaHttp));
    let (records, bytes) = (u64::from(input::LINES) * AT_ONCE as u64, (payload.len() * AT_ONCE) as u64);
    let entry = Entry {
        kind: Kind::Lines,
        source: "mesh".into(),
        peer: None,
        received_unix_nano: 1,
        records: input::LINES.into(),
        marks: Vec::new(),
        payload,
    };
    Step {
        name,
        records,
        bytes,
        turn: Box::new(move || {
            // The journal lives as long as its directory.
            let _kept = &directory;
            let appending = async {
                let appends = (0..AT_ONCE).map(|_| {
                    let (journal, entry) = (journal.clone(), entry.clone());
                    tokio::spawn(async move {
                        let seq = journal.append(entry, None).await.expect("the disk has room");
                        if mode == Mode::Durable {
                            journal.synced(seq).await.expect("the disk syncs");
                        }
                    })
                });
                for append in appends.collect::<Vec<_>>() {
                    append.await.expect("an append ends");
                }
            };
            runtime.block_on(appending);
            cursor.advance(journal.end());
        }),
    }
}
