//! A disk that fails from a seed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rustix::io::Errno;

use super::gate::Gate;
use crate::sink::disk::{Disk, Opened, RealDisk, Stat};

/// A real directory behind operations that fail with a probability, and a clock that is set.
pub(super) struct FaultyDisk {
    pub(super) real: RealDisk,
    pub(super) rng: Mutex<fastrand::Rng>,
    pub(super) is_failing: AtomicBool,
    pub(super) truncate_fails: bool,
    pub(super) now_unix_ms: AtomicU64,
    /// Bytes that are safe, by inode: a failed sync may lose the rest.
    pub(super) synced: Mutex<HashMap<(u64, u64), u64>>,
    pub(super) has_locks: bool,
    /// A failed sync loses what is in a file, but makes none shorter: no file system does, in the middle of a write.
    pub(super) keeps_lengths: bool,
    pub(super) gate: Gate,
    /// Up to where files are not in the page cache alone, by inode, and how many bytes went past it.
    pub(super) written_out: Mutex<HashMap<(u64, u64), u64>>,
    pub(super) direct_bytes: AtomicU64,
    pub(super) cuts: Mutex<Cuts>,
}

/// Files that become shorter, by inode.
#[derive(Default)]
pub(super) struct Cuts {
    /// Not written since they were opened, or since a write failed: what does not count may be cut off.
    unwritten: HashSet<(u64, u64)>,
    /// A sync failed: they may not be written any more.
    distrusted: HashSet<(u64, u64)>,
    /// How long the others were, and are.
    pub(super) unasked: Vec<(u64, u64)>,
}

impl FaultyDisk {
    pub(super) fn new(root: &Path, seed: u64, truncate_fails: bool) -> FaultyDisk {
        FaultyDisk {
            real: RealDisk::open(root, 0o640).unwrap(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            is_failing: AtomicBool::new(true),
            truncate_fails,
            now_unix_ms: AtomicU64::new(1_795_175_317_123),
            synced: Mutex::default(),
            has_locks: false,
            keeps_lengths: false,
            gate: Gate::default(),
            written_out: Mutex::default(),
            direct_bytes: AtomicU64::new(0),
            cuts: Mutex::default(),
        }
    }

    /// True in one of `n` cases.
    pub(super) fn one_in(&self, n: u64) -> bool {
        self.is_failing.load(Relaxed) && self.rng.lock().unwrap().u64(0..n) == 0
    }

    fn cut(&self, file: &File, len: u64) -> io::Result<()> {
        let identity = Stat::of(file)?.identity;
        self.written_out.lock().unwrap().entry(identity).and_modify(|it| *it = len.min(*it));
        self.real.truncate(file, len)
    }

    /// A write was attempted.
    fn tried(&self, file: &File, result: io::Result<usize>) -> io::Result<usize> {
        let identity = Stat::of(file)?.identity;
        let unwritten = &mut self.cuts.lock().unwrap().unwritten;
        match &result {
            Ok(1..) => _ = unwritten.remove(&identity),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => _ = unwritten.insert(identity),
        }
        result
    }

    fn write_some(&self, file: &File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.fault(10, Errno::INTR)?;
        self.fault(10, Errno::NOSPC)?;
        self.fault(10, Errno::IO)?;
        if self.one_in(3) {
            let bytes = slices.iter().map(|slice| slice.len()).sum::<usize>();
            let kept = self.rng.lock().unwrap().usize(0..=bytes);
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            return self.real.write(file, &[IoSlice::new(&all[..kept])]);
        }
        self.real.write(file, slices)
    }

    fn sync_whole_lines(&self, file: &File) -> io::Result<()> {
        let stat = Stat::of(file)?;
        self.gate.pass(stat.identity)?;
        if self.one_in(4) {
            let safe = self.synced.lock().unwrap().get(&stat.identity).copied().unwrap_or(0);
            if self.rng.lock().unwrap().bool() && safe < stat.len && !self.keeps_lengths {
                self.cut(file, safe)?;
            }
            return Err(Errno::IO.into());
        }
        // Not passed on: it would only cost time.
        // Whole lines: where a sync that fails loses a part of one, nobody promises anything.
        let mut bytes = vec![0; stat.len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let whole = bytes.iter().rposition(|it| *it == b'\n').map_or(0, |at| at as u64 + 1);
        self.synced.lock().unwrap().insert(stat.identity, whole);
        // It may have been written on meanwhile.
        let mut written_out = self.written_out.lock().unwrap();
        let known = written_out.entry(stat.identity).or_default();
        *known = stat.len.max(*known);
        Ok(())
    }

    fn fault(&self, n: u64, error: Errno) -> io::Result<()> {
        if self.one_in(n) { Err(error.into()) } else { Ok(()) }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &str) -> io::Result<Opened> {
        self.fault(5, Errno::NOSPC)?;
        let opened = self.real.open(path)?;
        let stat = Stat::of(&opened.file)?;
        // What is found at a start has survived.
        self.synced.lock().unwrap().insert(stat.identity, stat.len);
        self.cuts.lock().unwrap().unwritten.insert(stat.identity);
        if opened.created {
            self.written_out.lock().unwrap().remove(&stat.identity);
        }
        Ok(opened)
    }

    /// Without `has_locks` always: a crash is told by opening anew while the old sink is still there.
    fn lock(&self, file: &File) -> io::Result<()> {
        if self.has_locks { self.real.lock(file) } else { Ok(()) }
    }

    fn create(&self, path: &str) -> io::Result<File> {
        self.fault(5, Errno::NOSPC)?;
        self.real.create(path)
    }

    fn read(&self, path: &str) -> io::Result<File> {
        self.fault(5, Errno::IO)?;
        self.real.read(path)
    }

    fn write(&self, file: &File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tried(file, self.write_some(file, slices))
    }

    fn write_out(&self, file: &File, bytes: Range<u64>, room: &mut [u8]) -> io::Result<()> {
        let Stat { identity, len, .. } = Stat::of(file)?;
        let mut written_out = self.written_out.lock().unwrap();
        assert!(bytes.start <= written_out.get(&identity).copied().unwrap_or(0), "a hole before {}", bytes.start);
        self.fault(20, Errno::IO)?;
        assert_eq!(bytes.end, len);
        written_out.insert(identity, len);
        self.real.write_out(file, bytes, room)
    }

    /// Holds what goes past the cache against what kernels ask for, whatever the file system here does.
    fn write_direct(&self, file: &File, block: &[u8]) -> io::Result<usize> {
        let page = rustix::param::page_size();
        let places = [block.as_ptr().align_offset(page), block.len() % page, Stat::of(file)?.len as usize % page];
        assert_eq!(places, [0; 3], "no direct write can be done like this");
        let Stat { identity, len, .. } = Stat::of(file)?;
        let written_out = self.written_out.lock().unwrap().get(&identity).copied().unwrap_or(0);
        assert_eq!(written_out, len, "a power cut could leave a hole");
        self.fault(20, Errno::INVAL)?;
        let written = self.fault(10, Errno::NOSPC).and_then(|()| {
            let pages = block.len() / page;
            let kept = if self.one_in(3) { self.rng.lock().unwrap().usize(0..=pages) } else { pages };
            self.real.write_direct(file, &block[..kept * page])
        });
        let written = self.tried(file, written)?;
        self.direct_bytes.fetch_add(written as u64, Relaxed);
        self.written_out.lock().unwrap().insert(identity, len + written as u64);
        Ok(written)
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        if self.truncate_fails {
            self.fault(2, Errno::IO)?;
        }
        let Stat { identity, len: before, .. } = Stat::of(file)?;
        let Cuts { unwritten, distrusted, unasked } = &mut *self.cuts.lock().unwrap();
        if len < before && !unwritten.contains(&identity) && !distrusted.contains(&identity) {
            unasked.push((before, len));
        }
        self.cut(file, len)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let synced = self.sync_whole_lines(file);
        if synced.is_err() {
            self.cuts.lock().unwrap().distrusted.insert(Stat::of(file)?.identity);
        }
        synced
    }

    fn sync_dir_of(&self, _path: &str) -> io::Result<()> {
        let synced = self.fault(6, Errno::IO);
        if synced.is_err() {
            // It may be any of them.
            self.cuts.lock().unwrap().distrusted.extend(self.synced.lock().unwrap().keys());
        }
        synced
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.fault(4, Errno::ACCESS)?;
        self.real.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.fault(4, Errno::ROFS)?;
        self.real.remove(path)
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        self.fault(20, Errno::ACCESS)?;
        self.real.stat(path)
    }

    fn list(&self, directory: &str, visit: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        self.fault(4, Errno::IO)?;
        self.real.list(directory, visit)
    }

    fn refresh(&self) -> io::Result<()> {
        self.real.refresh()
    }

    fn now_unix_ms(&self) -> u64 {
        self.now_unix_ms.load(Relaxed)
    }
}
