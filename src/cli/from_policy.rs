//! `from-policy`: a configuration out of mesh policies.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, complain, print};
use crate::policy::{Listener, PolicyFile, derive};

#[derive(Args, Debug)]
pub struct FromPolicyArgs {
    /// YAML files with policies, for Kubernetes or Universal; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where this process is reached by what proxies send to ADDRESS; without it, addresses of other
    /// hosts are listened for on 127.0.0.1 and their port
    #[arg(short, long, value_name = "ADDRESS=LISTEN")]
    listen: Vec<Listener>,
    /// Write the configuration to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Prints the configuration, and what there is to say about the policies on standard error. Exit 2
/// when a backend had to be left out, or when no policy sends anything.
pub fn from_policy(args: &FromPolicyArgs) -> Exit {
    let mut files = Vec::new();
    for path in &args.files {
        let stdin = path.as_os_str() == "-";
        match if stdin { PolicyFile::stdin() } else { PolicyFile::read(path) } {
            Ok(file) => files.push(file),
            Err(error) => {
                complain(&format!("error: {error}\nhelp: {}", error.help));
                return Exit::Usage;
            }
        }
    }
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
    let yaml = derived.to_yaml();
    let written = match &args.output {
        None => print(&yaml),
        Some(path) => match std::fs::write(path, yaml) {
            Ok(()) => Exit::Clean,
            Err(error) => {
                complain(&format!("error: cannot write {}: {error}", path.display()));
                Exit::Failure
            }
        },
    };
    match written {
        Exit::Clean if derived.has_errors() => Exit::Usage,
        written => written,
    }
}
