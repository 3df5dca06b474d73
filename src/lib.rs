//! logboom, the log collector of the service mesh.

pub mod admin;
pub mod batch;
pub mod budget;
pub mod cli;
pub mod config;
pub mod decode;
pub mod encode;
pub mod gap;
pub mod generate;
pub mod grpc;
pub mod inbox;
pub mod intake;
pub mod memory;
pub mod record;
pub mod server;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod template;
