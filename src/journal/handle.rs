//! The journal as its users see it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::cursor::Cursor;
use super::disk::Disk;
use super::engine::Engine;
use super::reader::{self, Reader};
use super::settings::{JournalSettings, OpenError, Recovered};
use super::stats::JournalStats;
use super::threads::{Shared, Threads};
use super::{AppendError, Entry, Seq};

/// An open journal. Cheap to clone. When the last one is dropped without [`Journal::close`], the
/// threads end, and what was not on the disk is where the end of the process would have left it.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

impl Journal {
    /// Takes the directory, finds out what is in it and starts the threads. Blocks.
    ///
    /// # Errors
    /// When another process has it, a newer version wrote it, or the directory cannot be used.
    /// Never because of what is in the files.
    pub fn open(settings: &JournalSettings, disk: Arc<dyn Disk>) -> Result<(Journal, Recovered), OpenError> {
        let (engine, recovered) = Engine::open(settings, disk)?;
        let shared = Arc::new(Shared::new(engine, settings.mode));
        let threads = Threads::start(&shared)
            .map_err(|error| OpenError::Disk { what: "start the threads of the journal", error })?;
        let inner = Inner { shared, threads: Mutex::new(Some(threads)) };
        Ok((Journal { inner: Arc::new(inner) }, recovered))
    }

    fn engine(&self) -> &Engine {
        &self.inner.shared.engine
    }

    /// Appends an entry. When this returns its number it is written: it survives the end of the process.
    /// Waits for room until `until`, without one for ever. Dropped before that, the entry may or may
    /// not be written.
    ///
    /// # Errors
    /// The entry is not in the journal then, and will not be.
    pub async fn append(&self, entry: Entry, until: Option<Instant>) -> Result<Seq, AppendError> {
        self.inner.shared.queue.append(entry, until).await
    }

    /// Waits until an appended entry survives power loss.
    ///
    /// # Errors
    /// When the disk refused, also on a second segment. The entry may still be delivered.
    pub async fn synced(&self, seq: Seq) -> Result<(), AppendError> {
        self.engine().progress.synced_past(seq).await
    }

    /// One past the last entry written.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.engine().progress.written()
    }

    /// Waits until `end()` is above `seen`, or the journal is closed. Can be cancelled.
    pub async fn grown(&self, seen: Seq) {
        self.engine().progress.written_past(seen).await;
    }

    /// A reader with a position of its own. Its calls block.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.engine().reader()
    }

    /// The cursor of a sink that was named in the settings; `None` for any other.
    #[must_use]
    pub fn cursor(&self, sink: &str) -> Option<Cursor> {
        self.engine().cursors.iter().find(|cursor| **cursor.sink() == *sink).cloned()
    }

    /// Records in the entries `from..to`, by source; damaged entries are left out. Blocks: whole
    /// sealed segments are answered from their tallies, headers are read of the others.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn count(&self, from: Seq, to: Seq) -> io::Result<Vec<(Arc<str>, u64)>> {
        let tallies = reader::count(&*self.engine().disk, &self.engine().index, &(from..to))?;
        Ok(tallies.0.into_iter().map(|tally| (tally.source, tally.records)).collect())
    }

    /// One past the last entry of the oldest segments that have about so many bytes together: what
    /// has to be settled, or to expire, for that much room. `None` when there are none but the one
    /// that is written to.
    #[must_use]
    pub fn oldest_end(&self, bytes: u64) -> Option<Seq> {
        self.engine().index.oldest_end(bytes)
    }

    /// Since when there is no room; `None` while there is.
    #[must_use]
    pub fn full_since(&self) -> Option<Instant> {
        self.inner.shared.full_since()
    }

    /// Counters and gauges.
    #[must_use]
    pub fn stats(&self) -> Arc<JournalStats> {
        Arc::clone(&self.engine().stats)
    }

    /// Writes what waits, forces everything and the cursors to the disk, ends the threads and
    /// releases the directory, also when there are other clones. Appends that wait for room get
    /// [`AppendError::Closed`].
    pub async fn close(self) {
        // A runtime that is shutting down does not run it; then dropping does what it can.
        let _ = tokio::task::spawn_blocking(move || self.inner.shut_down()).await;
    }
}

impl Inner {
    fn shut_down(&self) {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(threads) = threads {
            threads.join(&self.shared);
            self.shared.engine.finish();
        }
        self.shared.engine.progress.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left who could wait for them.
        self.shared.queue.close();
        self.shared.end();
    }
}
