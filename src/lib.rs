//! logboom, the log collector of the service mesh.

pub mod admin;
pub mod batch;
pub mod budget;
pub mod config;
pub mod decode;
pub mod encode;
pub mod gap;
pub mod grpc;
pub mod inbox;
pub mod record;
pub mod sink;
pub mod source;
