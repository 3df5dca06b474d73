//! What an access log says, in the names of the OpenTelemetry semantic conventions.
//!
//! A decoder (a compiled format, a JSON object, the attributes of an OTLP record) collects what it
//! read into [`Fields`]; [`apply`] turns them into attributes, times, identifiers and a severity
//! of the record. So a line, a JSON object and an OTLP record that say the same look the same.
//! Tables and arithmetic; knows no sockets, files, clocks or tasks.

mod address;
mod apply;
mod field;
mod flags;
mod grpc;
mod http;
mod keys;
mod known_keys;
mod known_rows;
mod mojibake;
mod number;
mod proxy;
mod same;
mod severity;
mod short_address;
#[cfg(test)]
mod tests;
mod time;
mod trace;
mod writer;

pub use apply::{Applied, apply};
pub use field::{Field, Fields, Kind, Target};
pub use flags::{Blame, FLAGS, Flag, flag};
pub use keys::Keys;
pub use known_keys::{Evidence, Known, Meaning, Weight, known_key, strip_stray_quotes};
pub use same::says_the_same;
pub use time::parse_rfc3339;
