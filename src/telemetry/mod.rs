//! Placeholder.
pub mod log;
pub mod source;
