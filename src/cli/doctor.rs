//! `doctor`: what keeps the configuration from working here?

use std::io::IsTerminal;

use clap::Args;

use super::{Exit, check, complain, input, print, refuse};
use crate::doctor::{Surroundings, Verdict, examine, json, table};

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    input: input::InputArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Exit 0 when nothing has to be mended, 1 when something has, 2 when the configuration is wrong.
pub fn doctor(args: &DoctorArgs) -> Exit {
    let checked = match args.input.load() {
        Ok(checked) => checked,
        Err(errors) if args.json => {
            return match print(&format!("{:#}\n", check::wrong(&errors))) {
                Exit::Clean => Exit::Usage,
                exit => exit,
            };
        }
        Err(errors) => return refuse(&errors),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: cannot start the runtime: {error}"));
            return Exit::Failure;
        }
    };
    let findings = runtime.block_on(examine(&checked, &Surroundings::here(args.input.path())));
    // A check that hangs is left to itself.
    runtime.shutdown_background();
    let text = match args.json {
        true => format!("{:#}\n", json(&findings)),
        false => table(&findings, std::io::stdout().is_terminal()),
    };
    match print(&text) {
        Exit::Clean if findings.iter().any(|it| it.verdict == Verdict::Fail) => Exit::Failure,
        exit => exit,
    }
}
