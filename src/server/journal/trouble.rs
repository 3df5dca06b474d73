//! Why a journal cannot be opened, and what to do about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::journal::{OpenError, holder};

/// The directory itself cannot be used.
pub fn of_directory(dir: &Path, error: &io::Error) -> anyhow::Error {
    let name = dir.display();
    // What is not of the system says itself what to do.
    if error.raw_os_error().is_none() {
        return anyhow::anyhow!("journal {name}: the directory {error}");
    }
    let advice = match error.kind() {
        ErrorKind::NotADirectory => match dir.ancestors().find(|it| it.exists() && !it.is_dir()) {
            Some(file) => format!("{} is a file: remove it, or name another `journal.dir`", file.display()),
            None => "name another `journal.dir`".to_owned(),
        },
        _ => advice(error).to_owned(),
    };
    anyhow::anyhow!("journal {name}: cannot open or create the directory: {error}; {advice}")
}

/// What is in it cannot be opened.
pub fn of_opening(dir: &Path, error: &OpenError) -> anyhow::Error {
    let name = dir.display();
    match error {
        OpenError::Locked => {
            let holder = holder(dir).map(|(name, process)| format!(", {name} (process {process})")).unwrap_or_default();
            anyhow::anyhow!(
                "journal {name}: it is in use by another process{holder}; stop that one, take over from it with `--take-over`, or name \
                 another `journal.dir`"
            )
        }
        OpenError::Disk { error: cause, .. } => anyhow::anyhow!("journal {name}: {error}; {}", advice(cause)),
        OpenError::Newer { .. } | OpenError::NoJournal => anyhow::anyhow!("journal {name}: {error}"),
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "the directory and all files in it must belong to the user of logboom: chown them, or name another `journal.dir`"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that disk, or name another `journal.dir`",
        ErrorKind::ReadOnlyFilesystem => "name a `journal.dir` on a file system that can be written",
        _ => "mend that, or name another `journal.dir`",
    }
}
