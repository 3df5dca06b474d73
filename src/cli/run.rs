//! `run`, and no subcommand: collect logs until told to stop.

use tracing::{info, warn};

use super::{Exit, RunArgs, log, refuse};
use crate::config::Checked;

pub fn run(args: &RunArgs, server: fn(Checked) -> Exit) -> Exit {
    log::start(&args.log);
    let checked = match args.input.load() {
        Ok(checked) => checked,
        Err(errors) => return refuse(&errors),
    };
    for warning in checked.warnings() {
        warn!("{warning}");
    }
    info!(bound = checked.memory_bound_line(), "memory");
    server(checked)
}
