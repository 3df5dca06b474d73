//! A disk in memory that keeps apart what has been forced to it and what has not, and that
//! crashes, fails and fills up from a seed.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::journal::{Disk, DiskFile, Listed};

/// Sectors that a torn write is cut at.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<World>>);

/// How often, out of 1000 calls, something goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub sync_fails: u32,
    pub write_fails: u32,
    pub write_is_short: u32,
    pub other_fails: u32,
}

#[derive(Debug)]
struct World {
    random: fastrand::Rng,
    files: Vec<SimFile>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    renames: Vec<NameChange>,
    is_locked: bool,
    /// Grows at each crash; what was opened before is dead.
    life: u64,
    calls: u64,
    /// The call at which the power goes.
    ends_at: u64,
    faults: Faults,
    /// So many syncs of files fail next.
    failing_syncs: u32,
    capacity: usize,
    clock: u64,
}

#[derive(Clone, Debug, Default)]
struct SimFile {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// A sync failed. The system does not say what of it is on the disk, whatever it says later.
    is_poisoned: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// A name is given to a file, or taken away.
type NameChange = Vec<(String, Option<usize>)>;

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    file: usize,
    life: u64,
    is_lock: bool,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::SetLen(len) => bytes.resize(*len, 0),
        Change::Write(at, data) => {
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(data);
        }
    }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn broken() -> io::Error {
    io::Error::other("injected")
}

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(World {
            random: fastrand::Rng::with_seed(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            is_locked: false,
            life: 0,
            calls: 0,
            ends_at: u64::MAX,
            faults: Faults::default(),
            failing_syncs: 0,
            capacity: usize::MAX,
            clock: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    pub fn fail_syncs(&self, count: u32) {
        self.world().failing_syncs = count;
    }

    pub fn set_capacity(&self, bytes: usize) {
        self.world().capacity = bytes;
    }

    /// Calls that changed something, or tried to, until now.
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// The power goes at that call.
    pub fn end_at(&self, call: u64) {
        self.world().ends_at = call;
    }

    pub fn has_ended(&self) -> bool {
        let world = self.world();
        world.calls >= world.ends_at
    }

    /// The power is back: what had not been forced to the disk is there in part. Without `power`
    /// only the process has ended, and everything is there.
    pub fn restart(&self, is_power_cut: bool) {
        let mut world = self.world();
        let World { random, files, names, durable_names, renames, .. } = &mut *world;
        if is_power_cut {
            for file in files.iter_mut() {
                cut(file, random);
            }
            let kept = random.usize(0..=renames.len());
            let is_prefix = random.bool();
            for (at, rename) in renames.drain(..).enumerate() {
                if if is_prefix { at < kept } else { random.bool() } {
                    change_names(durable_names, rename);
                }
            }
            names.clone_from(durable_names);
        }
        world.files.iter_mut().for_each(|file| file.is_poisoned = false);
        world.is_locked = false;
        world.life += 1;
        world.ends_at = u64::MAX;
        world.faults = Faults::default();
        world.capacity = usize::MAX;
    }

    /// The bytes of a file, to damage them.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let file = world.names[name];
        let file = &mut world.files[file];
        change(&mut file.live);
        file.durable = file.live.clone();
        file.pending.clear();
    }

    /// All files as they are seen now.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.world();
        world.names.iter().map(|(name, file)| (name.clone(), world.files[*file].live.clone())).collect()
    }

    /// Puts a file there as nobody asked for it.
    pub fn plant(&self, name: &str, bytes: &[u8]) {
        let mut world = self.world();
        let (live, durable) = (bytes.to_vec(), bytes.to_vec());
        world.files.push(SimFile { live, durable, ..SimFile::default() });
        let file = world.files.len() - 1;
        world.names.insert(name.to_owned(), file);
        world.durable_names.insert(name.to_owned(), file);
    }

    pub fn unplant(&self, name: &str) {
        let mut world = self.world();
        world.names.remove(name);
        world.durable_names.remove(name);
    }
}

/// What a power cut leaves of a file.
fn cut(file: &mut SimFile, random: &mut fastrand::Rng) {
    let kind = random.u32(0..5);
    let kept = random.usize(0..=file.pending.len());
    for (at, change) in file.pending.drain(..).enumerate() {
        let is_kept = match kind {
            0 => false,
            1 => true,
            2 => at < kept,
            _ => random.bool(),
        };
        match change {
            Change::Write(start, data) if kind == 4 => {
                // Sectors are those of the disk, not of the write.
                let mut from = 0;
                while from < data.len() {
                    let to = (from + SECTOR - (start + from) % SECTOR).min(data.len());
                    if random.bool() {
                        apply(&mut file.durable, &Change::Write(start + from, data[from..to].to_vec()));
                    }
                    from = to;
                }
            }
            change if is_kept => apply(&mut file.durable, &change),
            _ => {}
        }
    }
    file.live = file.durable.clone();
    file.is_poisoned = false;
}

fn change_names(names: &mut BTreeMap<String, usize>, change: NameChange) {
    for (name, file) in change {
        match file {
            Some(file) => names.insert(name, file),
            None => names.remove(&name),
        };
    }
}

impl World {
    /// Counts a call; an error when the power is gone, or by chance.
    fn call(&mut self, out_of_1000: u32) -> io::Result<()> {
        if self.calls >= self.ends_at {
            return Err(broken());
        }
        self.calls += 1;
        if self.random.u32(0..1000) < out_of_1000 { Err(broken()) } else { Ok(()) }
    }

    fn other(&mut self) -> io::Result<()> {
        self.call(self.faults.other_fails)
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].live.len()).sum()
    }

    fn rename(&mut self, change: NameChange) {
        change_names(&mut self.names, change.clone());
        self.renames.push(change);
    }

    fn change(&mut self, file: usize, change: Change) -> io::Result<()> {
        let len = self.files[file].live.len();
        let end = match &change {
            Change::Write(at, data) => len.max(at + data.len()),
            Change::SetLen(len) => *len,
        };
        if end > len && self.used() + (end - len) > self.capacity {
            return Err(full());
        }
        let file = &mut self.files[file];
        apply(&mut file.live, &change);
        file.pending.push(change);
        Ok(())
    }
}

impl Disk for SimDisk {
    fn lock(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        if world.is_locked {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        world.is_locked = true;
        let (file, life) = match world.names.get(name).copied() {
            Some(file) => (file, world.life),
            None => {
                world.files.push(SimFile::default());
                let file = world.files.len() - 1;
                world.rename(vec![(name.to_owned(), Some(file))]);
                (file, world.life)
            }
        };
        Ok(Arc::new(Handle { disk: self.clone(), file, life, is_lock: true }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.other()?;
        if world.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.files.push(SimFile::default());
        let file = world.files.len() - 1;
        world.rename(vec![(name.to_owned(), Some(file))]);
        Ok(Arc::new(Handle { disk: self.clone(), file, life: world.life, is_lock: false }))
    }

    fn open(&self, name: &str, _: bool) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.world();
        let file = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { disk: self.clone(), file, life: world.life, is_lock: false }))
    }

    fn make_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<Listed>> {
        let world = self.world();
        let within = |name: &str| match name.rsplit_once('/') {
            Some((parent, name)) => (parent == directory).then(|| name.to_owned()),
            None => directory.is_empty().then(|| name.to_owned()),
        };
        let listed = |(name, file): (&String, &usize)| {
            within(name).map(|name| Listed { name, len: world.files[*file].live.len() as u64 })
        };
        Ok(world.names.iter().filter_map(listed).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.other()?;
        let file = *world.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        world.rename(vec![(from.to_owned(), None), (to.to_owned(), Some(file))]);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.other()?;
        if !world.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.rename(vec![(name.to_owned(), None)]);
        Ok(())
    }

    fn shrink(&self, name: &str) -> io::Result<()> {
        let file = self.open(name, true)?;
        (1..4).try_for_each(|part| file.set_len(file.size()? / 4 * (4 - part)))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut world = self.world();
        world.other()?;
        let World { names, durable_names, renames, .. } = &mut *world;
        durable_names.clone_from(names);
        renames.clear();
        Ok(())
    }

    fn now_unix_nano(&self) -> u64 {
        self.world().clock
    }

    fn random(&self) -> u64 {
        self.world().random.u64(..)
    }
}

impl Handle {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.world();
        if world.life == self.life { Ok(world) } else { Err(broken()) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A test that fails must not fail twice.
        if let (true, Ok(mut world)) = (self.is_lock, self.disk.0.lock())
            && world.life == self.life
        {
            world.is_locked = false;
        }
    }
}

impl DiskFile for Handle {
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut world = self.world()?;
        let faults = world.faults;
        world.call(faults.write_fails)?;
        let mut data: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        if world.random.u32(0..1000) < faults.write_is_short {
            let len = world.random.usize(0..=data.len());
            data.truncate(len);
        }
        let len = data.len();
        world.change(self.file, Change::Write(offset as usize, data))?;
        Ok(len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.world()?;
        let bytes = world.files[self.file].live.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.world()?;
        let fails = if world.failing_syncs > 0 { 1000 } else { world.faults.sync_fails };
        world.failing_syncs = world.failing_syncs.saturating_sub(1);
        let called = world.call(fails);
        let is_power_gone = world.calls >= world.ends_at;
        let World { files, random, .. } = &mut *world;
        let file = &mut files[self.file];
        assert!(!file.is_poisoned, "a file is synced again whose sync has failed");
        match called {
            Ok(()) => {
                for change in file.pending.drain(..) {
                    apply(&mut file.durable, &change);
                }
            }
            Err(_) if is_power_gone => {}
            Err(_) => {
                // The pages count as clean from now on, written or not; perhaps they are read anew.
                let live = file.live.clone();
                cut(file, random);
                file.is_poisoned = true;
                if random.u32(0..3) > 0 {
                    file.live = live;
                }
            }
        }
        called
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.other()?;
        if (len as usize) > world.files[self.file].live.len() {
            world.change(self.file, Change::SetLen(len as usize))?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.other()?;
        world.change(self.file, Change::SetLen(len as usize))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.world()?.files[self.file].live.len() as u64)
    }
}
