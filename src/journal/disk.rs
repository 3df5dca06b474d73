//! The disk below a journal, as a trait: the real one, or one that crashes from a seed.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, FallocateFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::segment::base_of;

/// One directory. Names have no path but `quarantine/…`; links are never followed.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Takes the directory for this process until the file returned is closed; refused with
    /// [`io::ErrorKind::ResourceBusy`]. A file system without locks keeps nobody out.
    fn lock(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a file that must not exist yet, for nobody but the owner.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a regular file for reading, or for reading and writing.
    fn open(&self, name: &str, write: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a directory; fine when it exists.
    fn make_dir(&self, name: &str) -> io::Result<()>;
    /// The regular files in a directory; `""` is the root.
    fn list(&self, directory: &str) -> io::Result<Vec<Listed>>;
    /// Renames, replacing a file of that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Takes most of the bytes of a file that is about to be removed, part by part, unless somebody reads it: a file
    /// system gives back the room of a large file in one go, and each sync waits for that.
    fn shrink(&self, name: &str) -> io::Result<()>;
    /// Forces the names in the root to the disk.
    fn sync_dir(&self) -> io::Result<()>;
    /// Wall clock, nanoseconds since the epoch.
    fn now_unix_nano(&self) -> u64;
    /// A number that nobody can guess who sees only payloads.
    fn random(&self) -> u64;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes at an offset; may write less than asked.
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Reads at an offset; less than asked only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Forces the data, and the length, to the disk. A file whose data could not be forced must
    /// not be asked again: the system forgets what it could not write.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes the file `len` bytes long with room for all of them. Fine when the file system cannot
    /// make room ahead: then the file stays as it is.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts the file off, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// A file in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
}

/// The real one.
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const OWNER_ONLY: u32 = 0o600;
/// How much is given back at a time. While 64 MiB went at once a sync took 16 ms, and while they went by 8 MiB 2 (ext4 with
/// `discard`, 0.4 ms while nothing was removed).
const SHRINK_BYTES: u64 = 8 << 20;
/// How long others have the file system in between.
const SHRINK_PAUSE: Duration = Duration::from_millis(1);

impl RealDisk {
    /// Opens the directory of a journal, creating it, mode 0700, when missing.
    ///
    /// # Errors
    /// When it belongs to somebody else or others may write to it, and when it cannot be opened.
    pub fn open(path: &Path) -> io::Result<RealDisk> {
        let root = create_all(path)?;
        let stat = rustix::fs::fstat(&root)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(refused("belongs to another user: run logboom as its owner, or name another directory"));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(refused("is writable by other users: chmod 700"));
        }
        Ok(RealDisk { root })
    }

    /// Opens an existing directory to look into it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn existing(path: &Path) -> io::Result<RealDisk> {
        Ok(RealDisk { root: rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())? })
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // A journal has one level of directories, and no name comes from outside but through `list`.
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(refused("is no name in this directory"));
        }
        let file = rustix::fs::openat(&self.root, name, flags | FILE, Mode::from_raw_mode(OWNER_ONLY))?;
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(refused("is no regular file")),
        }
    }
}

impl Disk for RealDisk {
    fn lock(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.open_with(name, OFlags::RDWR | OFlags::CREATE)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(io::ErrorKind::ResourceBusy.into()),
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(Arc::new(file)),
            locked => locked.map(|()| Arc::new(file) as Arc<dyn DiskFile>).map_err(io::Error::from),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?))
    }

    fn open(&self, name: &str, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.open_with(name, if write { OFlags::RDWR } else { OFlags::RDONLY })?;
        // Who reads a segment, in this process or another, has it to the end: see `shrink`.
        let is_read = !write && base_of(name).is_some();
        match is_read.then(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)) {
            Some(Err(Errno::WOULDBLOCK)) => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(Arc::new(file)),
        }
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.root, name, Mode::from_raw_mode(0o700)) {
            Err(Errno::EXIST) => Ok(()),
            made => Ok(made?),
        }
    }

    fn list(&self, directory: &str) -> io::Result<Vec<Listed>> {
        let path = if directory.is_empty() { "." } else { directory };
        let handle = rustix::fs::openat(&self.root, path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let mut files = Vec::new();
        for entry in Dir::read_from(&handle)? {
            let entry = entry?;
            // A name that is not UTF-8 is not ours.
            let Ok(name) = entry.file_name().to_str() else { continue };
            let stat = match rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                files.push(Listed { name: name.to_owned(), len: u64::try_from(stat.st_size).unwrap_or(0) });
            }
        }
        Ok(files)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.root, from, &self.root, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, name, AtFlags::empty())?)
    }

    fn shrink(&self, name: &str) -> io::Result<()> {
        let file = self.open_with(name, OFlags::RDWR)?;
        // Read by somebody, or on a file system that does not say.
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(());
        }
        let mut len = file.metadata()?.len();
        while len > SHRINK_BYTES {
            len -= SHRINK_BYTES;
            file.set_len(len)?;
            std::thread::sleep(SHRINK_PAUSE);
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.root) {
            // A file system where directories cannot be synced has nothing better to offer.
            Err(Errno::INVAL) => Ok(()),
            synced => Ok(synced?),
        }
    }

    fn now_unix_nano(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }
}

impl DiskFile for File {
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::pwritev(self, slices, offset))?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match std::os::unix::fs::FileExt::read_at(self, rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(self)?)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let allocated = rustix::io::retry_on_intr(|| rustix::fs::fallocate(self, FallocateFlags::empty(), 0, len));
        match allocated {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            allocated => Ok(allocated?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Opens a directory, creating what is missing of its path.
fn create_all(path: &Path) -> io::Result<OwnedFd> {
    match rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return Ok(opened?),
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => create_all(parent)?,
        Some(_) => rustix::fs::openat(CWD, ".", DIRECTORY, Mode::empty())?,
        None => return Err(Errno::NOENT.into()),
    };
    let name = path.file_name().ok_or_else(|| refused("does not end in the name of a directory"))?;
    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => {}
        made => {
            made?;
            // Without its name on the disk nothing in it is found after a power cut.
            rustix::fs::fsync(&parent)?;
        }
    }
    Ok(rustix::fs::openat(&parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
