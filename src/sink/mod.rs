//! Sinks: eat an inbox, settle each delivery.

use schemars::JsonSchema;
use serde::Serialize;

pub mod compress;
pub mod disk;
pub mod file;
pub mod keep;
pub mod null;
pub mod otlp;
pub mod rotate;
mod running;
pub mod stdout;

pub use running::{OpenSink, Running, open};

use crate::config::units::{ByteSize, WaitMax};
use crate::encode::Encoding;
use crate::select::Sample;

/// One sink: what every sink takes, and the settings of its type.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(extend("unevaluatedProperties" = false))]
pub struct SinkConfig {
    /// Settings of the type.
    #[serde(flatten)]
    pub kind: SinkKind,
    /// Only these sources; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<String>>,
    /// Only records for which this condition holds, in CEL: `status >= 500 || flags != ""`. Absent
    /// means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Of these, every Nth: `1/20`. Absent means each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// Bytes that may wait in memory for this sink, what it is delivering included. Absent means
    /// 16MiB, or less where the memory budget is small or the sinks are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox: Option<ByteSize>,
    /// How long this sink may hold the sources back before it misses records: without a journal
    /// when its inbox is full, with one when the journal is full. Absent means the default of its
    /// type: `file` 5s, `otlp` 0s, or forever with a journal, all others 0s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_max: Option<WaitMax>,
}

/// The sinks, told apart by `type`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SinkKind {
    /// Rotating files.
    File(file::FileConfig),
    /// Standard output.
    Stdout(stdout::StdoutConfig),
    /// An OTLP endpoint upstream.
    Otlp(otlp::OtlpConfig),
    /// Counts and drops.
    Null(null::NullConfig),
}

impl SinkConfig {
    /// Largest inbox that is chosen for a sink whose configuration names none.
    pub const INBOX_DEFAULT: ByteSize = ByteSize::mib(16);
    /// Smallest inbox.
    pub const INBOX_MIN: ByteSize = ByteSize::mib(1);

    /// Bytes that may wait for this sink.
    #[must_use]
    pub fn inbox_bytes(&self) -> usize {
        self.inbox.unwrap_or(SinkConfig::INBOX_MIN).bytes()
    }

    /// True when the records of that source are for this sink.
    #[must_use]
    pub fn takes_from(&self, source: &str) -> bool {
        self.from.as_ref().is_none_or(|from| from.iter().any(|it| it == source))
    }
}

impl SinkKind {
    /// How it wants its records written; `None` when it looks at no bytes.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        match self {
            SinkKind::File(file) => Some(match file.encoding {
                file::FileEncoding::Raw => Encoding::Raw,
                file::FileEncoding::Json => Encoding::Json,
                file::FileEncoding::OtlpJson => Encoding::OtlpJson,
            }),
            SinkKind::Stdout(stdout) => Some(match stdout.encoding {
                stdout::StdoutEncoding::Json => Encoding::Json,
                stdout::StdoutEncoding::Pretty => Encoding::Pretty { colour: stdout::shows_colour() },
                stdout::StdoutEncoding::Raw => Encoding::Raw,
            }),
            SinkKind::Otlp(_) => Some(Encoding::Otlp),
            SinkKind::Null(_) => None,
        }
    }

    /// What only one sink can write to at a time, if it is that.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match self {
            SinkKind::File(file) => Some(format!("file {}", file::plain_path(&file.path))),
            SinkKind::Stdout(_) => Some("stdout".to_owned()),
            SinkKind::Otlp(_) | SinkKind::Null(_) => None,
        }
    }

    /// Type and target in a few words.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            SinkKind::File(file) => format!("file {}", file.path),
            SinkKind::Stdout(_) => "stdout".to_owned(),
            SinkKind::Otlp(otlp) => format!("otlp {}", otlp.endpoint),
            SinkKind::Null(_) => "null".to_owned(),
        }
    }
}
