//! What an access log must become, worked out a second time and in another way: from the formats
//! that Kuma hands to Envoy, cut from the right at fixed separators, one field after the other.
//!
//! Slow and simple on purpose, and it knows nothing of the code it judges but the public contract.

pub mod bytes;
pub mod custom;
pub mod expect;
pub mod files;
pub mod flags;
pub mod hostile;
pub mod json;
pub mod judge;
pub mod objects;
pub mod otlp;
pub mod own;
pub mod plain;
pub mod said;
pub mod ways;
