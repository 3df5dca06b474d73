//! `from-policy`: a configuration out of mesh policies.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::made::MadeArgs;
use super::{Exit, complain, read_files};
use crate::policy::{Listener, derive};

#[derive(Args, Debug)]
pub struct FromPolicyArgs {
    /// YAML files with policies, for Kubernetes or Universal; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where this process is reached by what proxies send to ADDRESS; without it, addresses of other
    /// hosts are listened for on 127.0.0.1 and their port
    #[arg(short, long, value_name = "ADDRESS=LISTEN")]
    listen: Vec<Listener>,
    #[command(flatten)]
    made: MadeArgs,
}

/// Prints the configuration, and what there is to say about the policies on standard error. Exit 2
/// when a backend had to be left out, or when no policy sends anything.
pub fn from_policy(args: &FromPolicyArgs) -> Exit {
    let files = match read_files(&args.files, "name readable YAML files with mesh policies alone") {
        Ok(files) => files,
        Err(exit) => return exit,
    };
    let derived = derive(&files, &args.listen);
    let colour = std::io::stderr().is_terminal();
    derived.reports.iter().for_each(|report| complain(&format!("{}\n", report.render(colour))));
    if derived.sources.is_empty() {
        complain(match derived.has_errors() {
            true => "error: nothing is left to write",
            false => "error: no policy in these files sends logs to an address, so there is nothing to write",
        });
        return Exit::Usage;
    }
    match args.made.write(&derived.to_yaml()) {
        Exit::Clean if derived.has_errors() => Exit::Usage,
        written => written,
    }
}
