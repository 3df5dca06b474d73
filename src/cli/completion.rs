//! `completion SHELL`.

use clap::Args;

use super::{Exit, print};

#[derive(Args, Debug)]
pub struct CompletionArgs {
    /// The shell to write for
    shell: clap_complete::Shell,
}

/// Prints a script that completes the command line in a shell.
pub fn completion(args: &CompletionArgs, mut command: clap::Command) -> Exit {
    // Into memory first: the generator panics on a pipe that is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "logboom", &mut script);
    print(&String::from_utf8_lossy(&script))
}
