//! The program's own log: standard error, never standard output, which belongs to records.

use std::io::IsTerminal;

use clap::Args;
use tracing_subscriber::EnvFilter;

#[derive(Args, Debug)]
pub struct LogArgs {
    /// error, warn, info, debug or trace, or directives by module such as `info,logboom::sink=debug`
    #[arg(long, env = "LOGBOOM_LOG", default_value = "info", value_name = "LEVEL", value_parser = filter)]
    log_level: EnvFilter,
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A lone word that is no level would be taken for a module, and silence all others.
    if !text.contains(['=', ',', ':']) && !LEVELS.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!("accepted: {}, or directives such as info,logboom::sink=debug", LEVELS.join(", ")));
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

/// Starts the log. A second start in one process keeps the first.
pub fn start(args: &LogArgs) {
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(args.log_level.clone())
        .try_init();
}
