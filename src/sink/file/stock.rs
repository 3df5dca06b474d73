//! Which files are there at a start, and what interrupted work has left.

use std::collections::HashMap;

use anyhow::Context as _;

use super::scan::{Found, OVERFLOW, scan};
use super::{Compression, FILES_MAX};
use crate::sink::disk::Disk;
use crate::sink::rotate::Finished;
use crate::template::Template;

/// What is there at a start.
pub struct Stock {
    /// The number of the last finished file of each path.
    pub known: HashMap<String, u64>,
    /// The paths of these files, where they are not compressed.
    pub last_finished: Vec<String>,
    /// What interrupted compressions left.
    pub leftovers: Vec<String>,
}

/// Finds out which files are there already; changes nothing.
pub fn take_stock(disk: &dyn Disk, template: &Template, root: &str) -> anyhow::Result<Stock> {
    let mut known: HashMap<String, u64> = HashMap::new();
    let mut last: HashMap<String, Finished> = HashMap::new();
    let mut leftovers = Vec::new();
    scan(disk, template, &mut |found| {
        let (path, finished) = match found {
            Found::Leftover(path) => {
                leftovers.push(path);
                return;
            }
            Found::Current(path) => (path, None),
            Found::Finished(finished) => (finished.current.clone(), Some(finished)),
        };
        // The overflow file always has its place.
        if known.len() < FILES_MAX || path == OVERFLOW || known.contains_key(&path) {
            let sequence = known.entry(path.clone()).or_default();
            if let Some(finished) = finished.filter(|it| it.sequence >= *sequence) {
                *sequence = finished.sequence;
                last.insert(path, finished);
            }
        }
    })
    .with_context(|| format!("cannot list the directory {root}: make it readable for this user, or change 'path'"))?;
    let is_plain = |it: &&Finished| it.packing == Compression::None;
    let last_finished = last.values().filter(is_plain).map(Finished::path).collect();
    Ok(Stock { known, last_finished, leftovers })
}

/// Removes what interrupted compressions left.
pub fn sweep(disk: &dyn Disk, leftovers: Vec<String>, sink: &str) {
    for path in leftovers {
        match disk.remove(&path) {
            Ok(()) => tracing::info!(sink, path, "removed what an interrupted compression left"),
            Err(error) => tracing::warn!(sink, path, %error, "cannot remove what an interrupted compression left"),
        }
    }
}
