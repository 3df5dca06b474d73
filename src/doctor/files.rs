//! Can the files be written, and is there room for what is kept?

use std::path::{Path, PathBuf};

use crate::config::Checked;
use crate::sink::SinkKind;
use crate::sink::file::FileConfig;

use super::place::{Kind, Room, room, used, writable};
use super::{Finding, Surroundings, human};

const CHECK: &str = "file";

/// Looks at each sink of type file.
pub fn check(checked: &Checked, _around: &Surroundings) -> Vec<Finding> {
    let sinks = checked.config().sinks.iter();
    let files = sinks.filter_map(|(name, sink)| match &sink.kind {
        SinkKind::File(file) => Some((name, file)),
        _ => None,
    });
    files.flat_map(|(name, file)| one(name, file)).collect()
}

fn one(name: &str, file: &FileConfig) -> Vec<Finding> {
    let subject = format!("sinks.{name} {}", file.path);
    let (directory, stem) = fixed(&file.path);
    let there = match writable(&directory) {
        Ok(there) => there,
        Err((message, help)) => return vec![Finding::fail(CHECK, subject, message, help)],
    };
    let mut found = Vec::new();
    if !file.path.contains('{') {
        found.extend(existing(&subject, Path::new(&file.path)));
    }
    if let Some(room) = room(&there) {
        found.extend(space(&subject, file, used(&directory, &stem), &room));
    }
    if found.is_empty() {
        let message = if there == directory || directory.exists() { "can be written" } else { "can be made" };
        found.push(Finding::ok(CHECK, subject, message));
    }
    found
}

/// The directory that is the same for all files of a path, and how their names begin there.
pub(super) fn fixed(path: &str) -> (PathBuf, String) {
    let before = path.split('{').next().unwrap_or_default();
    let (directory, beginning) = before.rsplit_once('/').unwrap_or(("", before));
    let directory = if before.starts_with('/') && directory.is_empty() { "/" } else { directory };
    let whole = path.len() == before.len();
    // Finished files have a time between the name and its ending.
    let stem = if whole { beginning.rsplit_once('.').map_or(beginning, |(stem, _)| stem) } else { beginning };
    (PathBuf::from(directory), stem.to_owned())
}

/// The file that is written to, when it is there.
fn existing(subject: &str, path: &Path) -> Option<Finding> {
    let there = std::fs::symlink_metadata(path).ok()?;
    if there.is_symlink() {
        let help = "write the path of the file itself: at a rotation the link is renamed, not what it points to";
        return Some(Finding::warn(CHECK, subject, "it is a symbolic link", help));
    }
    if !there.is_file() {
        let message = "there is something that is not a file";
        return Some(Finding::fail(CHECK, subject, message, "remove it, or write another path"));
    }
    let error = rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::READ_OK).err()?;
    let owner = std::os::unix::fs::MetadataExt::uid(&there);
    let user = rustix::process::getuid().as_raw();
    let message = format!("it belongs to the user {owner}, and cannot be written by {user}: {error}");
    Some(Finding::fail(CHECK, subject, message, format!("chown it to {user}, or remove it")))
}

/// The most that the files of a path may take; `None` where nothing limits them.
pub(super) fn wanted(file: &FileConfig) -> Option<u64> {
    let size = file.rotate.size.map(|it| it.0);
    let by_count = file.keep.files.zip(size).map(|(files, size)| u64::from(files).saturating_mul(size));
    let kept = file.keep.bytes.map(|it| it.0).into_iter().chain(by_count).min()?;
    Some(kept.saturating_add(size.unwrap_or(0)))
}

fn space(subject: &str, file: &FileConfig, used: u64, room: &Room) -> Vec<Finding> {
    let mut found = Vec::new();
    let free = human(room.bytes);
    match wanted(file) {
        Some(wanted) if wanted.saturating_sub(used) > room.bytes => {
            let message = format!(
                "the disk has {free} left; with {} there already, `keep` and `rotate` allow {}",
                human(used),
                human(wanted)
            );
            let help =
                "write a smaller `keep`, or give it a larger disk: a full disk stops the sink until there is room";
            found.push(Finding::fail(CHECK, subject, message, help));
        }
        Some(_) => {}
        None => {
            let message = format!("nothing limits what is kept; {free} are left");
            found.push(Finding::warn(CHECK, subject, message, "write `keep: {files: 14}`, or `keep: {bytes: 20GiB}`"));
        }
    }
    let files = u64::from(file.keep.files.unwrap_or(0)) + 8;
    if room.inodes.is_some_and(|inodes| inodes < files) {
        let message = format!("the disk has only {} inodes left", room.inodes.unwrap_or(0));
        found.push(Finding::fail(CHECK, subject, message, "remove files there: each file takes one, however small"));
    }
    match room.kind {
        Kind::Memory => {
            let help = "write a path on a disk: these files take memory, count against the limit of a container, and end with it";
            found.push(Finding::warn(CHECK, subject, "the file system is in memory", help));
        }
        Kind::Overlay => {
            let help = "write a path on a volume: what is in the container's own layer ends with it";
            found.push(Finding::warn(CHECK, subject, "the file system is that of the container", help));
        }
        Kind::Network => {
            let help = "a server that does not answer stops the sink; locks may not hold there, so let no two processes write one file";
            found.push(Finding::warn(CHECK, subject, "the file system is a network's", help));
        }
        Kind::Other => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        let check = |path: &str, directory: &str, stem: &str| {
            assert_eq!(fixed(path), (PathBuf::from(directory), stem.to_owned()), "{path}");
        };
        check("logs/access.log", "logs", "access");
        check("access", "", "access");
        check("/access.log", "/", "access");
        check("logs/{kuma.mesh}/access.log", "logs", "");
        check("/var/log/m-{kuma.mesh}.log", "/var/log", "m-");
        check("{kuma.mesh}", "", "");
    }
}
