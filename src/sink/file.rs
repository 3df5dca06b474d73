//! Sink `file`: rotating files.
//!
//! One thread writes, all waiting batches in one large write. A second one syncs, where `sync` is a
//! period. A third one, where there is something to compress or to remove, takes care of finished
//! files.
//!
//! Memory of a sink beyond its inbox: at most 4 MiB of small batches copied together (or one
//! batch, where that is larger), 8 MiB while a file is compressed or 4 MiB for writes
//! past the page cache, about 100 bytes for each finished file up to 100,000, and as much for each
//! path in use up to 10,000.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod context;
mod direct;
#[cfg(test)]
mod faults;
mod job;
mod keeper;
mod log;
mod logs;
mod open;
mod room;
mod scan;
mod stats;
mod stock;
mod syncer;
mod writer;

use crate::config::units::{ByteSize, FileMode, Period};

pub use stats::{Count, FileStats};
pub use writer::{FileHandle, FileSink};

/// Most files of a sink with a path template, those of earlier runs included; records of any
/// further path go to `_overflow.log` in the root.
pub const FILES_MAX: usize = 10_000;

/// Settings of a `file` sink.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file written to, or a template: `logs/{kuma.mesh}/access.log`.
    pub path: String,
    /// How records are written.
    #[serde(default)]
    pub encoding: FileEncoding,
    /// When a file is finished and the next one begun.
    #[serde(default)]
    pub rotate: RotateConfig,
    /// What happens to a finished file.
    #[serde(default)]
    pub compress: Compression,
    /// Which finished files are kept; absent limits do not apply.
    #[serde(default)]
    pub keep: KeepConfig,
    /// When written data is forced to the disk.
    #[serde(default)]
    pub sync: SyncPolicy,
    /// Permission bits of the files; directories get the matching search bits.
    #[serde(default = "mode_default")]
    pub mode: FileMode,
    /// Most files open at once, for a path with fields.
    #[serde(default = "open_max_default")]
    pub open_max: u32,
}

fn mode_default() -> FileMode {
    FileMode(0o640)
}

fn open_max_default() -> u32 {
    256
}

/// How records are written to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileEncoding {
    /// The bytes received, one record a line.
    Raw,
    /// One JSON object a line.
    #[default]
    Json,
    /// One OTLP/JSON `ExportLogsServiceRequest` a line.
    OtlpJson,
}

/// When a file is finished, whichever comes first. Absent means never.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateConfig {
    /// When the next record would make it larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// At each multiple of this period since midnight UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
}

impl Default for RotateConfig {
    fn default() -> Self {
        RotateConfig { size: Some(ByteSize::mib(256)), every: Some(Period::seconds(86_400)) }
    }
}

/// How a finished file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, read by everything.
    Gzip,
    /// Zstandard, faster and smaller.
    Zstd,
}

/// Which finished files are kept; the oldest go first, never the current file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepConfig {
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// None older.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Period>,
    /// At most so many bytes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteSize>,
}

/// When written data is forced to the disk: `never`, a period, or `always`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// The operating system decides.
    Never,
    /// At least so often while there is something to sync, beside the writing; when a sync takes
    /// longer, as soon as it is over.
    Every(Period),
    /// Before a delivery is settled.
    Always,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        SyncPolicy::Every(Period::seconds(1))
    }
}

impl std::str::FromStr for SyncPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(SyncPolicy::Never),
            "always" => Ok(SyncPolicy::Always),
            _ => match text.parse::<Period>() {
                Ok(Period(period)) if !period.is_zero() => Ok(SyncPolicy::Every(Period(period))),
                _ => Err(format!("'{text}' is not a sync policy: write never, always, or a duration such as 1s")),
            },
        }
    }
}

impl std::fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SyncPolicy::Never => f.write_str("never"),
            SyncPolicy::Every(period) => period.fmt(f),
            SyncPolicy::Always => f.write_str("always"),
        }
    }
}

crate::config::units::written_as_text!(SyncPolicy, "SyncPolicy", "^(never|always|[0-9]+(ms|s|m|h|d))$", "1s");

/// The path without what does not change it, to see that two are the same.
#[must_use]
pub fn plain_path(path: &str) -> String {
    let root = if path.starts_with('/') { "/" } else { "" };
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_paths() {
        assert_eq!(plain_path("./logs//access.log"), plain_path("logs/access.log"));
        assert_eq!(plain_path("/logs/./a"), "/logs/a");
        assert_ne!(plain_path("/logs/a"), plain_path("logs/a"));
    }
}
