//! Reads which of our files are there: by name, nothing is opened.

use std::io;

use crate::sink::disk::Disk;
use crate::sink::rotate::{Finished, TEMPORARY};
use crate::template::Template;

/// Where records go that have no file of their own; see [`super::FILES_MAX`].
pub const OVERFLOW: &str = "_overflow.log";

/// A file of ours.
#[derive(Debug)]
pub enum Found {
    /// One that is, or was, written.
    Current(String),
    /// A finished one.
    Finished(Finished),
    /// What a compression that was interrupted left.
    Leftover(String),
}

/// Visits every file of ours below the root. Takes memory for the names of directories only.
pub fn scan(disk: &dyn Disk, template: &Template, visit: &mut dyn FnMut(Found)) -> io::Result<()> {
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        let listed = disk.list(&directory, &mut |name, is_directory| {
            let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            if is_directory {
                if template.matches(&path, true) {
                    directories.push(path);
                }
            } else if let Some(found) = found(&path, template) {
                visit(found);
            }
        });
        match listed {
            // Somebody else's directory that looks like ours must not end the start.
            Err(error) if !directory.is_empty() => {
                tracing::debug!(directory, %error, "cannot list a directory below the root");
            }
            listed => listed?,
        }
    }
    Ok(())
}

fn found(path: &str, template: &Template) -> Option<Found> {
    let is_ours = |current: &str| template.matches(current, false) || (current == OVERFLOW && !template.is_fixed());
    if let Some(target) = path.strip_suffix(TEMPORARY) {
        let finished = Finished::parse(target)?;
        return is_ours(&finished.current).then(|| Found::Leftover(path.to_owned()));
    }
    match Finished::parse(path) {
        Some(finished) => is_ours(&finished.current).then_some(Found::Finished(finished)),
        None => is_ours(path).then(|| Found::Current(path.to_owned())),
    }
}
