//! OTLP logs in the protobuf encoding: `ExportLogsServiceRequest`.
//!
//! [`check`] walks a request once, at the door, so that everything behind it may trust the
//! framing; [`decode`] hands out its records; [`repair`] makes text that is not UTF-8 valid.
//! All three are linear in the bytes and recurse no deeper than [`DEPTH_MAX`] values.
//!
//! Deviation from protobuf: when a singular message or a member of a oneof comes more than once,
//! the last one wins, where protobuf merges messages of the same kind. No encoder writes that; to
//! merge, all of them would have to be remembered.
//!
//! [`DEPTH_MAX`]: super::DEPTH_MAX

mod check;
mod decode;
mod place;
mod plain;
mod record;
mod repair;
pub(crate) mod schema;
mod walk;

pub use check::{CheckError, CheckErrorKind, Limits, Summary, check};
pub use decode::{RecordCounts, RecordSettings, decode, is_from_envoy};
pub use place::Place;
pub use repair::repair;
