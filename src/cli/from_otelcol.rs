//! `from-otelcol`: a configuration out of that of an OpenTelemetry Collector.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::made::MadeArgs;
use super::{Exit, complain, read_files};
use crate::config::Config;
use crate::otelcol::convert;

#[derive(Args, Debug)]
pub struct FromOtelcolArgs {
    /// YAML files as the Collector takes them, later ones over earlier ones; also a ConfigMap, values of the Helm chart, or an OpenTelemetryCollector resource; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    made: MadeArgs,
}

/// Prints the configuration, and on standard error what is kept, what is changed and what has no counterpart.
/// Exit 2 when a pipeline for logs could not be made; what is left is written all the same.
pub fn from_otelcol(args: &FromOtelcolArgs) -> Exit {
    let files = match read_files(&args.files, "give a YAML file with the configuration of a Collector") {
        Ok(files) => files,
        Err(exit) => return exit,
    };
    let converted = convert(&files);
    let colour = std::io::stderr().is_terminal();
    converted.reports.iter().for_each(|report| complain(&format!("{}\n", report.render(colour))));
    converted.kept_lines().for_each(|line| complain(&format!("kept: {line}")));
    if !converted.variables.is_empty() {
        let names = converted.variables.join(", ");
        complain(&format!("note: these must be set in the environment, the Collector takes them for empty: {names}"));
    }
    let Some(yaml) = converted.yaml else {
        complain("error: nothing is left to write");
        return Exit::Usage;
    };
    // A value that the Collector takes and logboom does not, and nothing above has seen.
    let is_known = converted.variables.iter().all(|name| std::env::var_os(name).is_some());
    let refused = Config::from_text("what was made", &yaml).err().filter(|_| is_known);
    if let Some(errors) = &refused {
        complain(&errors.render(colour));
    }
    match args.made.write(&yaml) {
        Exit::Clean if converted.failed || refused.is_some() => Exit::Usage,
        written => written,
    }
}
