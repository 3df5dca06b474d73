//! What all files of a sink share, and what goes wrong with one.

use std::io;
use std::sync::Arc;

use super::keeper::Keeper;
use super::stats::FileStats;
use super::syncer::Syncer;
use super::{RotateConfig, SyncPolicy};
use crate::sink::disk::Disk;

/// What all files of a sink share.
pub struct Context {
    /// Name of the sink.
    pub sink: Arc<str>,
    /// Where the files are.
    pub disk: Arc<dyn Disk>,
    /// When files are finished.
    pub rotate: RotateConfig,
    /// When they are synced.
    pub sync: SyncPolicy,
    /// What is told about it.
    pub stats: Arc<FileStats>,
    /// Who takes care of finished files.
    pub keeper: Option<Keeper>,
    /// Who syncs where `sync` is a period; `None` otherwise, and at the end.
    pub syncer: Option<Syncer>,
}

/// What failed, with which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {error}")]
pub struct Trouble {
    /// `open`, `write`, `sync` or `finish`.
    pub doing: &'static str,
    /// Relative to the root.
    pub path: String,
    /// Why.
    pub error: io::Error,
}

impl Trouble {
    /// Puts the parts together.
    #[must_use]
    pub fn new(doing: &'static str, path: &str, error: io::Error) -> Trouble {
        Trouble { doing, path: path.to_owned(), error }
    }
}
