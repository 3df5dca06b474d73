//! logboom, the log collector of the service mesh.

pub mod admin;
pub mod config;
pub mod decode;
pub mod encode;
pub mod record;
pub mod sink;
pub mod source;
