//! logboom, the log collector of the service mesh.

pub mod admin;
pub mod config;
pub mod decode;
pub mod generate;
pub mod record;
pub mod sink;
pub mod source;
