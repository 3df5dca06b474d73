//! Sinks and the journal on one disk share its room: each may fit alone, and all together not.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::Checked;
use crate::sink::SinkKind;

use super::place::{room, used, writable};
use super::{Finding, Surroundings, files, human};

const CHECK: &str = "disk";

/// What may still be written to one disk.
struct Disk {
    owners: Vec<String>,
    more: u64,
    path: PathBuf,
}

/// Looks at each disk that several write to.
pub fn check(checked: &Checked, _around: &Surroundings) -> Vec<Finding> {
    let config = checked.config();
    let mut disks: BTreeMap<u64, Disk> = BTreeMap::new();
    for (name, sink) in &config.sinks {
        let SinkKind::File(file) = &sink.kind else { continue };
        let (directory, stem) = files::fixed(&file.path);
        if let Some(wanted) = files::wanted(file) {
            add(&mut disks, format!("sinks.{name}"), &directory, wanted.saturating_sub(used(&directory, &stem)));
        }
    }
    if let Some(journal) = &config.journal {
        add(&mut disks, "journal".to_owned(), &journal.dir, journal.max.0.saturating_sub(used(&journal.dir, "")));
    }
    disks.into_values().filter(|disk| disk.owners.len() > 1).filter_map(together).collect()
}

fn add(disks: &mut BTreeMap<u64, Disk>, owner: String, directory: &Path, more: u64) {
    // Where it cannot be written the other checks say so.
    let Ok(there) = writable(directory) else { return };
    let Ok(metadata) = std::fs::metadata(&there) else { return };
    let disk = disks.entry(metadata.dev()).or_insert(Disk { owners: Vec::new(), more: 0, path: there });
    disk.owners.push(owner);
    disk.more = disk.more.saturating_add(more);
}

fn together(disk: Disk) -> Option<Finding> {
    let free = room(&disk.path)?.bytes;
    let owners = disk.owners.join(", ");
    let message = format!("they may write {} more on one disk, which has {} left", human(disk.more), human(free));
    let help = "write a smaller `keep` or `max`, or put them on disks of their own";
    Some(match disk.more > free {
        true => Finding::fail(CHECK, owners, message, help),
        false => Finding::ok(CHECK, owners, message),
    })
}
