//! Can the journal be opened, and does its disk keep what it promises?

use std::path::Path;

use rustix::fs::FlockOperation;

use crate::config::Checked;
use crate::journal::{Mode, holder as lock_holder};

use super::place::{Kind, room, used, writable};
use super::running::{Holder, holder};
use super::{Finding, Surroundings, human};

const CHECK: &str = "journal";

/// Looks at the journal, if there is one.
pub fn check(checked: &Checked, around: &Surroundings) -> Vec<Finding> {
    let Some(journal) = &checked.config().journal else {
        let message = "none: what is in memory is lost with the process";
        return vec![Finding::ok(CHECK, "journal", message)];
    };
    let dir = journal.dir.as_path();
    let subject = format!("journal {}", dir.display());
    let there = match writable(dir) {
        Ok(there) => there,
        Err((message, help)) => return vec![Finding::fail(CHECK, subject, message, help)],
    };
    let mut found = Vec::new();
    if is_locked(dir) {
        match lock_holder(dir).map(|(name, process)| holder(name, process, around)) {
            Some(Holder::Ours(process)) => {
                let message = format!("held by the logboom that runs with this configuration (process {process})");
                found.push(Finding::ok(CHECK, subject.as_str(), message));
            }
            other => {
                let who = match other {
                    Some(Holder::Other(name, process)) => format!(": {name} (process {process})"),
                    _ => String::new(),
                };
                let help = "stop it, take over from it with `--take-over`, or write another `journal.dir`";
                found.push(Finding::fail(CHECK, subject.as_str(), format!("another process has it{who}"), help));
            }
        }
    }
    if let Some(room) = room(&there) {
        let there_already = used(dir, "");
        if journal.max.0.saturating_sub(there_already) > room.bytes {
            let message = format!(
                "`max` is {}, and the disk has {} left beside {}",
                journal.max,
                human(room.bytes),
                human(there_already)
            );
            let help = "write a smaller `max`, or give it a larger disk: a journal that cannot be written refuses OTLP";
            found.push(Finding::fail(CHECK, subject.as_str(), message, help));
        }
        let help = match journal.mode {
            Mode::Durable => {
                "write a directory on a disk of this machine, or a volume: `durable` is no more than that keeps"
            }
            Mode::Buffered => "write a directory on a disk of this machine, or a volume",
        };
        match room.kind {
            Kind::Memory => found.push(Finding::fail(CHECK, subject.as_str(), "its file system is in memory", help)),
            Kind::Overlay => {
                let message = "its file system ends with the container";
                found.push(Finding::warn(CHECK, subject.as_str(), message, help));
            }
            Kind::Network => {
                let message = "its file system is a network's: locks and syncs may not hold there";
                found.push(Finding::warn(CHECK, subject.as_str(), message, help));
            }
            Kind::Other => {}
        }
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, subject, if dir.exists() { "can be opened" } else { "can be made" }));
    }
    found
}

/// True when a process has the journal. The lock is given back at once.
fn is_locked(dir: &Path) -> bool {
    let Ok(file) = std::fs::File::open(dir.join("lock")) else { return false };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}
