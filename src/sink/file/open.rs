//! A file that is open for writing: how much of it counts, and what has to be undone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::context::Context;
use super::direct::{Direct, Way};
use super::job::Job;
use super::syncer::{Order, Trust};
use crate::sink::disk::{Opened, Stat};
use crate::sink::rotate::whole_lines;

/// How far back the end of the last whole line is looked for. Sources limit records to less.
const TAIL_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of one write, and where writes end. The kernel takes memory for a write in one stretch as far as it
/// can, and long ones are rare: what is not at hand has to be split off larger ones, or to be got from the host
/// of a virtual machine (measured there: 75 ns for the bytes of a line in writes of this size, 85 to 450 in
/// writes of a megabyte and more).
const WRITE_BYTES: usize = 128 << 10;

/// A file open for writing.
#[derive(Debug)]
pub struct OpenFile {
    file: Arc<File>,
    identity: (u64, u64),
    len: u64,
    /// Bytes behind `len` of the line that comes next, which waits for its end.
    ahead: u64,
    synced_len: u64,
    /// Up to here nothing is in the page cache alone; what the other thread knows of it may be more.
    written_out: u64,
    /// Somebody has cut it off: what the other thread knows is no longer so.
    is_cut: bool,
    is_dirty: bool,
    is_name_dirty: bool,
    /// Bytes of a failed write may stand behind `len`.
    is_torn: bool,
    trust: Arc<Trust>,
}

impl OpenFile {
    /// Takes over what the disk opened. An incomplete record at the end is cut off. Also returns
    /// when the file was written last, milliseconds since the epoch; `None` when it is empty.
    pub fn new(opened: Opened, path: &str, cx: &Context) -> io::Result<(OpenFile, Option<u64>)> {
        let Opened { file, created } = opened;
        // Before the tail is looked at: what is torn there may be somebody's write under way.
        cx.disk.lock(&file)?;
        let stat = Stat::of(&file)?;
        let len = if created { stat.len } else { cut_torn_tail(&file, stat.len, path, cx)? };
        let open = OpenFile {
            file: Arc::new(file),
            identity: stat.identity,
            len,
            ahead: 0,
            // What is there when it is opened was settled before: never cut back beyond it.
            synced_len: len,
            // The page cache may still hold what the process before has written.
            written_out: 0,
            is_cut: false,
            is_dirty: len != stat.len,
            is_name_dirty: created,
            is_torn: false,
            trust: Arc::default(),
        };
        Ok((open, (len > 0).then_some(stat.modified_unix_ms)))
    }

    /// Device and inode.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Length in bytes, whole lines only.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True when the line that comes next stands there in part.
    #[must_use]
    pub fn has_begun_line(&self) -> bool {
        self.ahead > 0
    }

    /// True when there is something to sync and syncing it makes sense.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        (self.is_dirty || self.is_name_dirty) && !self.is_distrusted()
    }

    /// True once a sync has failed.
    #[must_use]
    pub fn is_distrusted(&self) -> bool {
        self.trust.has_failed()
    }

    /// True while a sync is under way or waits for its turn.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.trust.is_waiting()
    }

    /// What is to be synced on the other thread. It counts as synced from now on; when that fails
    /// the file is distrusted.
    pub fn order(&mut self, path: &str) -> Order {
        let (data, name) = (std::mem::take(&mut self.is_dirty), std::mem::take(&mut self.is_name_dirty));
        Order::new(&self.file, &self.trust, path, (data, self.len), name)
    }

    fn written_out(&self) -> u64 {
        if self.is_cut { self.written_out } else { self.written_out.max(self.trust.written_out()) }
    }

    /// Takes note of the length: somebody may have cut the file off, and appending then goes on
    /// at the new end. False when the file has no name any more.
    pub fn measure(&mut self, path: &str, cx: &Context) -> io::Result<bool> {
        if self.is_torn {
            self.repair(path, cx)?;
        }
        let mut stat = Stat::of(&self.file)?;
        if stat.len != self.len + self.ahead {
            if stat.len < self.len + self.ahead {
                (self.is_cut, self.written_out) = (true, 0);
            }
            if self.ahead > 0 {
                self.repair(path, cx)?;
                stat = Stat::of(&self.file)?;
            }
            self.len = stat.len;
        }
        self.synced_len = self.synced_len.min(stat.len);
        Ok(stat.links > 0)
    }

    /// Writes the next `len` bytes of the job, which are whole lines, all or nothing: what a failed attempt left is cut
    /// off again, at the latest by the next [`OpenFile::measure`]. Returns how many bytes of whole lines were written:
    /// of the last ones of a job that may leave some, it may be fewer.
    pub fn append(
        &mut self,
        (job, len): (&mut Job, usize),
        path: &str,
        direct: &mut Direct,
        cx: &Context,
    ) -> io::Result<usize> {
        if self.ahead > len as u64 {
            self.repair(path, cx)?;
        }
        self.written_out = self.written_out();
        let may_leave = job.may_leave && len == job.rest();
        let mut done = self.ahead as usize;
        while done < len {
            let (offset, from) = (self.len + done as u64, job.written + done);
            if may_leave && direct.leaves(offset, len - done, self.written_out) {
                break;
            }
            let written = match direct.way(offset, len - done, self.written_out) {
                Way::Direct(part) => {
                    let place = (offset, &mut self.written_out);
                    match direct.write(&self.file, (job, from, part), place, cx) {
                        Ok(None) => continue,
                        written => written.map(Option::unwrap_or_default),
                    }
                }
                Way::Cached(part) => {
                    let behind = (offset % WRITE_BYTES as u64) as usize;
                    let written = cx.disk.write(&self.file, &job.slices(from, part.min(WRITE_BYTES - behind)));
                    direct.cached(*written.as_ref().unwrap_or(&0));
                    written
                }
            };
            let written = match written {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => written,
            };
            match written {
                Ok(n) => done += n,
                Err(error) => {
                    self.is_torn = true;
                    let _later = self.repair(path, cx);
                    return Err(error);
                }
            }
        }
        let whole = job.fitting(done as u64);
        self.ahead = (done - whole) as u64;
        self.len += whole as u64;
        self.is_dirty = true;
        job.written += whole;
        Ok(whole)
    }

    /// Cuts off what does not count: what a failed write left, and a line that was begun.
    pub fn repair(&mut self, path: &str, cx: &Context) -> io::Result<()> {
        let ahead = std::mem::take(&mut self.ahead);
        self.is_torn |= ahead > 0;
        self.written_out = self.written_out.min(self.len);
        if self.is_torn {
            let len = Stat::of(&self.file)?.len;
            if len > self.len {
                cx.disk.truncate(&self.file, self.len)?;
            } else if ahead > 0 {
                // Somebody has cut it off while the line was begun; it may be its beginning that stands there now.
                self.len = cut_torn_tail(&self.file, len, path, cx)?;
            }
        }
        self.is_torn = false;
        Ok(())
    }

    /// Forces data and name to the disk. After an error the file must be given to
    /// [`OpenFile::distrust`]: the kernel forgets what it could not write, and the next sync
    /// would succeed without it.
    pub fn sync(&mut self, path: &str, cx: &Context) -> io::Result<()> {
        if !self.is_dirty() {
            return Ok(());
        }
        if self.is_dirty {
            cx.disk.sync(&self.file)?;
            self.written_out = self.len;
        }
        if self.is_name_dirty {
            cx.disk.sync_dir_of(path)?;
        }
        // Data without a name is lost, so it counts as synced only with both.
        self.synced_len = self.len;
        (self.is_dirty, self.is_name_dirty) = (false, false);
        cx.stats.set_sync_failing(false);
        Ok(())
    }

    /// Marks the file as one that must not be written or synced again.
    pub fn distrust(&mut self) {
        self.trust.fail();
    }

    /// Cuts back to what was synced: the rest is written again elsewhere. Where that fails it
    /// stands twice, but in whole lines: a torn one keeps the file from being finished.
    pub fn take_back(&mut self, path: &str, cx: &Context) {
        self.len = self.synced_len;
        let was_torn = std::mem::replace(&mut self.is_torn, true);
        self.is_torn = self.repair(path, cx).is_err() && was_torn;
    }
}

/// Cuts an incomplete record off the end of a finished file: a power cut before its last sync was
/// over leaves one.
pub fn mend_finished(path: &str, cx: &Context) -> io::Result<()> {
    let file = cx.disk.read(path)?;
    let len = Stat::of(&file)?.len;
    if end_of_last_line(&file, len)? < len {
        cut_torn_tail(&cx.disk.open(path)?.file, len, path, cx)?;
    }
    Ok(())
}

/// Cuts off what stands behind the last line feed. Lines are always written whole, so that is the
/// beginning of a record that a crash interrupted; it was never settled.
fn cut_torn_tail(file: &File, len: u64, path: &str, cx: &Context) -> io::Result<u64> {
    let whole = end_of_last_line(file, len)?;
    if whole < len {
        cx.disk.truncate(file, whole)?;
        cx.stats.torn_bytes.add(len - whole);
        tracing::warn!(sink = %cx.sink, path, bytes = len - whole, "cut off an incomplete record at the end of the file");
    }
    Ok(whole)
}

fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut block = vec![0; 64 * 1024];
    let mut end = len;
    while end > 0 {
        if len - end >= TAIL_BYTES_MAX {
            let why = "its last 64 MiB hold no line feed, so it is no log: move it away or write elsewhere";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        // The last byte alone first: usually it is the one.
        let size = if end == len { 1 } else { (block.len() as u64).min(end) };
        let block = &mut block[..size as usize];
        file.read_exact_at(block, end - size)?;
        match whole_lines(block, block.len()) {
            0 => end -= size,
            whole => return Ok(end - size + whole as u64),
        }
    }
    Ok(0)
}
