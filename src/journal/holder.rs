//! Who has a journal.

use std::os::linux::fs::MetadataExt as _;
use std::path::Path;

/// The name and the number of the process that has the journal in `dir`, as far as this process may know.
#[must_use]
pub fn holder(dir: &Path) -> Option<(String, u32)> {
    let file = std::fs::metadata(dir.join("lock")).ok()?;
    let device = file.st_dev();
    let inode = format!("{:02x}:{:02x}:{}", rustix::fs::major(device), rustix::fs::minor(device), file.st_ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 23894 fe:00:9988319 0 EOF`; a process that cannot be seen is 0.
    let process = locks.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(4);
        let process = fields.next()?;
        (fields.next()? == inode && process != "0").then_some(process)
    })?;
    let command = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some((command.trim().to_owned(), process.parse().ok()?))
}
