//! logboom, the log collector of the service mesh.

use std::process::ExitCode;

use logboom::cli;

// Batches are born on one thread and dropped on another, and the release targets musl, whose own
// allocator takes one lock for both. The price is some megabytes of address space and a C
// compiler at build time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The only exit of the process: whatever ends it comes back here as a value, so destructors run.
fn main() -> ExitCode {
    cli::main().into()
}
