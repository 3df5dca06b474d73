//! The journal: one segmented append-only log of what sources received, shared by all sinks.
//!
//! It is what makes an acknowledgement mean something and a slow sink harmless. A source appends
//! a payload as it came, before it is decoded; each sink has a cursor, the number below which it
//! has settled everything. What every cursor has passed is deleted.
//!
//! The promise is the [`Mode`]. All file access goes through one [`disk::Disk`], and off the
//! threads of the runtime.

mod block;
pub mod catch_up;
mod cursor;
mod cursor_file;
mod damage;
mod disk;
mod engine;
mod entry;
mod handle;
mod holder;
mod identity;
mod index;
pub mod inspect;
pub mod lane;
pub mod lanes;
mod log;
mod progress;
mod queue;
mod reader;
mod recover;
mod reserve;
mod segment;
mod settings;
mod spare;
mod stats;
mod survey;
mod sync;
mod threads;
mod walk;

pub use cursor::Cursor;
pub use disk::{Disk, DiskFile, Listed, RealDisk};
pub use handle::Journal;
pub use holder::holder;
pub use reader::{Read, Reader};
pub use settings::{JournalSettings, OpenError, Recovered, RecoveredCursor};
pub use stats::{JournalStats, NoRoom};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::ByteSize;
use crate::decode::line::Mark;

/// The number of an entry. Entries are numbered from 1, without gaps, in the order they were
/// written; a number is never used twice, not even after a crash.
pub type Seq = u64;

/// The `journal` block of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The directory, for this process alone. Created when missing, mode 0700.
    pub dir: PathBuf,
    /// Bytes on disk at most, everything in `dir` together.
    #[serde(default = "max_default")]
    pub max: ByteSize,
    /// When a payload counts as accepted.
    #[serde(default)]
    pub mode: Mode,
}

fn max_default() -> ByteSize {
    ByteSize::mib(2048)
}

/// When a payload counts as accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `write` has returned: survives the end of the process, and power loss but for the last 100 ms.
    Buffered,
    /// `fdatasync` has returned: survives power loss too.
    #[default]
    Durable,
}

impl Mode {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Buffered => "buffered",
            Mode::Durable => "durable",
        }
    }
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole lines.
    Lines,
    /// One `ExportLogsServiceRequest`, checked.
    Otlp,
}

/// One payload as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Name of the source in the configuration.
    pub source: Arc<str>,
    /// The other end of the connection, where there is an address.
    pub peer: Option<SocketAddr>,
    /// When the bytes arrived, nanoseconds since the epoch.
    pub received_unix_nano: u64,
    /// How many records there are in it.
    pub records: u64,
    /// Of lines: which ones were cut.
    pub marks: Vec<Mark>,
    /// The bytes.
    pub payload: Bytes,
}

/// Why a payload was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The journal has used up its `max` (or the disk is full), and nothing was deleted in time.
    #[error("the journal is full")]
    Full,
    /// The disk refused, also on a second segment.
    #[error("the journal cannot be written: {0}")]
    Failed(Arc<str>),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

#[cfg(test)]
mod tests;
