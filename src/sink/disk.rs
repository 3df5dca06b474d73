//! What the file sink asks of a disk: as little as possible, so that a disk that fails can take
//! its place in tests.
//!
//! Every path is relative to one root directory, which is held open. Each directory on the way is
//! opened from the one above it without following symbolic links, and so is the file: a link that
//! somebody planted below the root leads nowhere. The root itself is the operator's word and may
//! be reached through links.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// A disk below one root directory.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for appending, creating it and the directories above it when missing.
    /// Whatever is no regular file is refused with [`io::ErrorKind::Unsupported`].
    fn open(&self, path: &str) -> io::Result<Opened>;
    /// Takes a file opened for appending for this sink alone, until it is closed; refused with
    /// [`io::ErrorKind::ResourceBusy`]. Only programs that ask are kept out, and a file system
    /// without locks keeps nobody out.
    fn lock(&self, file: &File) -> io::Result<()>;
    /// Creates a file that must not exist yet.
    fn create(&self, path: &str) -> io::Result<File>;
    /// Opens a regular file for reading.
    fn read(&self, path: &str) -> io::Result<File>;
    /// Appends; may write less than asked.
    fn write(&self, file: &File, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Has what the page cache alone holds of these bytes of a file, whole pages, written to the disk, and waits: it is
    /// on its way there before what is written next. `room` is whole pages, too, of which nothing is kept. Refused as an
    /// invalid argument where [`Disk::write_direct`] is.
    fn write_out(&self, file: &File, bytes: Range<u64>, room: &mut [u8]) -> io::Result<()>;
    /// Appends past the page cache; may write less than asked. File and block begin at a page, and the block ends at
    /// one. Refused as an invalid argument where the file system, or what it stands on, cannot do it.
    fn write_direct(&self, file: &File, block: &[u8]) -> io::Result<usize>;
    /// Cuts a file off.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()>;
    /// Forces the data of a file to the disk.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Forces the names in the directory that holds `path` to the disk.
    fn sync_dir_of(&self, path: &str) -> io::Result<()>;
    /// Renames within a directory; never replaces a file.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// What is at a path, links not followed; `None` when nothing is.
    fn stat(&self, path: &str) -> io::Result<Option<Stat>>;
    /// Calls `visit` with each name in a directory (`""` is the root) and whether it is a
    /// directory. Names that are not UTF-8 are not ours and are left out.
    fn list(&self, directory: &str, visit: &mut dyn FnMut(&str, bool)) -> io::Result<()>;
    /// Opens the root again when its path leads elsewhere by now, creating it when missing.
    fn refresh(&self) -> io::Result<()>;
    /// Wall clock, milliseconds since the epoch.
    fn now_unix_ms(&self) -> u64;
}

/// A file opened for appending.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: File,
    /// True when it did not exist before.
    pub created: bool,
}

/// What tells one file from another, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Device and inode.
    pub identity: (u64, u64),
    /// Length in bytes.
    pub len: u64,
    /// Last change of the contents, milliseconds since the epoch.
    pub modified_unix_ms: u64,
    /// Number of names; 0 once it has been removed.
    pub links: u64,
    /// False for directories, links, pipes and devices.
    pub is_regular: bool,
}

impl Stat {
    /// Of an open file.
    pub fn of(file: &File) -> io::Result<Stat> {
        let it = file.metadata()?;
        Ok(Stat {
            identity: (it.dev(), it.ino()),
            len: it.len(),
            modified_unix_ms: unix_ms(it.mtime(), it.mtime_nsec()),
            links: it.nlink(),
            is_regular: it.is_file(),
        })
    }
}

fn unix_ms(seconds: i64, nanoseconds: i64) -> u64 {
    u64::try_from(seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)).unwrap_or(0)
}

/// The real one.
#[derive(Debug)]
pub struct RealDisk {
    root_path: PathBuf,
    root: RwLock<Arc<OwnedFd>>,
    modes: Modes,
}

#[derive(Clone, Copy, Debug)]
struct Modes {
    file: u32,
    directory: u32,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const APPEND: OFlags = OFlags::RDWR.union(OFlags::APPEND).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl RealDisk {
    /// Opens the root directory, creating it when missing. Files it creates have exactly the mode
    /// `file_mode` whatever the umask is, directories the same with the matching search bits.
    pub fn open(root: &Path, file_mode: u32) -> io::Result<RealDisk> {
        let modes = Modes { file: file_mode, directory: file_mode | (file_mode & 0o444) >> 2 };
        let root_path = root.to_owned();
        let root = RwLock::new(Arc::new(open_root(&root_path, modes)?));
        Ok(RealDisk { root_path, root, modes })
    }

    fn root(&self) -> Arc<OwnedFd> {
        // Nothing under this lock panics.
        Arc::clone(&self.root.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The directory `path`, opened step by step from the root.
    fn directory(&self, path: &str, create: bool) -> io::Result<Arc<OwnedFd>> {
        let mut directory = self.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            directory = Arc::new(enter(&directory, name, create.then_some(self.modes.directory))?);
        }
        Ok(directory)
    }

    fn parent<'a>(&self, path: &'a str, create: bool) -> io::Result<(Arc<OwnedFd>, &'a str)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if path.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(refused("is no path below the root"));
        }
        Ok((self.directory(directory, create)?, name))
    }

    /// A new file, nobody else's until its mode is right.
    fn create_at(&self, directory: &OwnedFd, name: &str) -> io::Result<File> {
        let flags = APPEND | OFlags::CREATE | OFlags::EXCL;
        let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(self.modes.file))?;
        Ok(File::from(file))
    }

    fn open_existing(&self, directory: &OwnedFd, name: &str) -> io::Result<File> {
        let before = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        regular(before.st_mode)?;
        // Without blocking: it may have become a pipe in between.
        let file = rustix::fs::openat(directory, name, APPEND | OFlags::NONBLOCK, Mode::empty())?;
        let mode = rustix::fs::fstat(&file)?.st_mode;
        regular(mode)?;
        let narrowed = mode & 0o7777 & self.modes.file;
        if mode & 0o7777 != narrowed {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(narrowed))?;
        }
        Ok(File::from(file))
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &str) -> io::Result<Opened> {
        let (directory, name) = self.parent(path, true)?;
        match self.create_at(&directory, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Opened { file: self.open_existing(&directory, name)?, created: false })
            }
            file => Ok(Opened { file: file?, created: true }),
        }
    }

    fn lock(&self, file: &File) -> io::Result<()> {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let why = "another process, or another sink of this one, writes it";
                Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
            }
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            locked => Ok(locked?),
        }
    }

    fn create(&self, path: &str) -> io::Result<File> {
        let (directory, name) = self.parent(path, true)?;
        self.create_at(&directory, name)
    }

    fn read(&self, path: &str) -> io::Result<File> {
        let (directory, name) = self.parent(path, false)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        regular(rustix::fs::fstat(&file)?.st_mode)?;
        Ok(File::from(file))
    }

    fn write(&self, mut file: &File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        file.write_vectored(slices)
    }

    fn write_out(&self, file: &File, bytes: Range<u64>, room: &mut [u8]) -> io::Result<()> {
        // To read past the cache, the kernel has to write what it holds of these pages first, and waits for it.
        past_the_cache(file, || {
            let mut at = bytes.start;
            while at < bytes.end {
                let len = usize::try_from(bytes.end - at).unwrap_or(usize::MAX).min(room.len());
                match file.read_at(&mut room[..len], at) {
                    // Somebody has cut it off.
                    Ok(0) => break,
                    Ok(n) => at += n as u64,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    fn write_direct(&self, mut file: &File, block: &[u8]) -> io::Result<usize> {
        past_the_cache(file, || file.write(block))
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir_of(&self, path: &str) -> io::Result<()> {
        let (directory, _) = self.parent(path, false)?;
        match rustix::fs::fsync(&directory) {
            // A file system where directories cannot be synced has nothing better to offer.
            Err(Errno::INVAL) => Ok(()),
            synced => Ok(synced?),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (directory, from) = self.parent(from, false)?;
        let to = to.rsplit('/').next().unwrap_or(to);
        match rustix::fs::renameat_with(&directory, from, &directory, to, RenameFlags::NOREPLACE) {
            // Some network file systems cannot rename without replacing.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&directory, from, &directory, to, AtFlags::empty())?;
                Ok(rustix::fs::unlinkat(&directory, from, AtFlags::empty())?)
            }
            result => Ok(result?),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (directory, name) = self.parent(path, false)?;
        Ok(rustix::fs::unlinkat(&directory, name, AtFlags::empty())?)
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let (directory, name) = match self.parent(path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            parent => parent?,
        };
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => {
                let stat = stat?;
                #[allow(clippy::unnecessary_cast, reason = "its width differs between architectures")]
                let links = stat.st_nlink as u64;
                Ok(Some(Stat {
                    identity: (stat.st_dev, stat.st_ino),
                    len: u64::try_from(stat.st_size).unwrap_or(0),
                    modified_unix_ms: unix_ms(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
                    links,
                    is_regular: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
                }))
            }
        }
    }

    fn list(&self, directory: &str, visit: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        let directory = self.directory(directory, false)?;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                kind => kind,
            };
            visit(name, kind == FileType::Directory);
        }
        Ok(())
    }

    fn refresh(&self) -> io::Result<()> {
        let held = rustix::fs::fstat(self.root())?;
        let is_same = rustix::fs::stat(&self.root_path)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino));
        if !is_same {
            let root = open_root(&self.root_path, self.modes)?;
            *self.root.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(root);
        }
        Ok(())
    }

    fn now_unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a file opened for appending is told meanwhile: by turns on one descriptor, because a second one would not have
/// its lock.
fn past_the_cache<T>(file: &File, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    rustix::fs::fcntl_setfl(file, OFlags::APPEND | OFlags::DIRECT)?;
    let done = work();
    rustix::fs::fcntl_setfl(file, OFlags::APPEND)?;
    done
}

/// Opens the directory, creating what is missing of its path.
fn open_root(path: &Path, modes: Modes) -> io::Result<OwnedFd> {
    match rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return Ok(opened?),
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => open_root(parent, modes)?,
        Some(_) => rustix::fs::openat(CWD, ".", DIRECTORY, Mode::empty())?,
        None => return Err(Errno::NOENT.into()),
    };
    match path.file_name() {
        Some(name) => make_directory(&parent, Path::new(name), modes.directory),
        None => Err(refused("does not end in the name of a directory")),
    }
}

/// One step down. A link is no directory here.
fn enter(parent: &OwnedFd, name: &str, create_mode: Option<u32>) -> io::Result<OwnedFd> {
    match rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOENT) => match create_mode {
            Some(mode) => make_directory(parent, Path::new(name), mode),
            None => Err(Errno::NOENT.into()),
        },
        opened => Ok(opened?),
    }
}

fn make_directory(parent: &OwnedFd, name: &Path, mode: u32) -> io::Result<OwnedFd> {
    let is_ours = match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => false,
        made => {
            made?;
            true
        }
    };
    let directory = rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    if is_ours {
        // A directory inherits the group bit of the one above, and keeps it.
        let inherited = rustix::fs::fstat(&directory)?.st_mode & 0o2000;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode | inherited))?;
        // Without its name on the disk nothing below it is found after a power cut.
        rustix::fs::fsync(parent)?;
    }
    Ok(directory)
}

fn regular(mode: u32) -> io::Result<()> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(refused("is a symbolic link, and links are not followed: remove it")),
        FileType::Directory => Err(refused("is a directory: name a file")),
        _ => Err(refused("is a pipe, a socket or a device: only regular files are written")),
    }
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}
