//! What an access log says, in the names of the OpenTelemetry semantic conventions.
//!
//! A decoder (a compiled format, a JSON object, the attributes of an OTLP record) collects what it
//! read into [`Fields`]; [`apply`] turns them into attributes, times, identifiers and a severity
//! of the record. So a line, a JSON object and an OTLP record that say the same look the same.
//! Tables and arithmetic; knows no sockets, files, clocks or tasks.

mod apply;
mod field;
mod known_keys;

pub use apply::{Applied, Keys, apply};
pub use field::{Field, Fields, Kind, Target};
pub use known_keys::{Evidence, Known, known_key};
