//! A directory as a place to write to.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags};

/// What is wrong, and what to do.
pub type Trouble = (String, String);

/// A directory that can be written, or made: it, or the nearest one above that is there.
pub fn writable(directory: &Path) -> Result<PathBuf, Trouble> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let Some(there) = absolute.ancestors().find(|it| it.exists()) else {
        return Err((format!("{} cannot be reached", absolute.display()), "check the path".to_owned()));
    };
    let name = there.display();
    if !there.is_dir() {
        return Err((
            format!("{name} is a file, and a directory is needed there"),
            "remove it, or write another path".to_owned(),
        ));
    }
    match rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(there.to_owned()),
        Err(rustix::io::Errno::ROFS) => {
            let help = "mount it for writing (a volume, `readOnlyRootFilesystem: false`), or write another path";
            Err((format!("{name} is on a file system that is read-only"), help.to_owned()))
        }
        Err(error) => {
            let user = rustix::process::getuid().as_raw();
            let help =
                format!("chown it to the user {user}, or write another path; in a pod `fsGroup` does it for a volume");
            Err((format!("{name} cannot be written by the user {user}: {error}"), help))
        }
    }
}

/// What a file system has left.
pub struct Room {
    pub bytes: u64,
    /// `None` where there is no fixed number.
    pub inodes: Option<u64>,
    pub kind: Kind,
}

/// Kinds of file systems that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Gone with the machine, and takes memory.
    Memory,
    /// Gone with the container.
    Overlay,
    /// Elsewhere.
    Network,
    Other,
}

/// Looks at the file system of a path that is there.
pub fn room(path: &Path) -> Option<Room> {
    let sizes = rustix::fs::statvfs(path).ok()?;
    // Source: linux/magic.h and the kernel's fs/ for those that are not in it.
    let kind = match u64::try_from(rustix::fs::statfs(path).ok()?.f_type).unwrap_or(0) {
        0x0102_1994 | 0x8584_58f6 => Kind::Memory,
        0x794c_7630 => Kind::Overlay,
        0x6969 | 0xff53_4d42 | 0xfe53_4d42 | 0x517b | 0x0102_1997 | 0x00c3_6400 => Kind::Network,
        _ => Kind::Other,
    };
    let is_full = sizes.f_flag.contains(StatVfsMountFlags::RDONLY);
    let bytes = if is_full { 0 } else { sizes.f_bavail.saturating_mul(sizes.f_frsize) };
    Some(Room { bytes, inodes: (sizes.f_files > 0).then_some(sizes.f_favail), kind })
}

/// Most entries that are looked at.
const ENTRIES_MAX: usize = 100_000;

/// The bytes of the files in a directory whose names begin so.
pub fn used(directory: &Path, beginning: &str) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().take(ENTRIES_MAX).flatten();
    let ours = entries.filter(|it| it.file_name().to_str().is_some_and(|name| name.starts_with(beginning)));
    ours.filter_map(|it| it.metadata().ok()).filter(std::fs::Metadata::is_file).map(|it| it.len()).sum()
}
