//! The command line: one file per subcommand.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::ConfigErrors;
use crate::explain::tame;
use crate::generate::GenArgs;
use crate::policy::PolicyFile;

mod check;
mod columns;
mod completion;
mod doctor;
mod drain;
mod explain;
mod from_otelcol;
mod from_policy;
mod input;
mod instance;
mod journal;
mod learn;
mod log;
mod made;
mod man;
mod reload;
mod replay;
mod run;
mod schema;
mod show;
mod status;
mod tap;
mod test;
mod top;

/// How the process ends. The numbers are interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything delivered, or the question answered.
    Clean = 0,
    /// Something failed while running.
    Failure = 1,
    /// Wrong usage or configuration; nothing was started.
    Usage = 2,
    /// Stopped in order, with records that no sink took in time.
    Undelivered = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The log collector of the service mesh: TCP access logs and OTLP in; rotating files, stdout and
/// OTLP out.
#[derive(Debug, Parser)]
#[command(name = "logboom", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Without a subcommand: the same as `run`. Exit codes: 0 clean, 1 runtime failure, \
    2 wrong usage or configuration, 3 drained with undelivered records.")]
struct Arguments {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect logs until SIGTERM or SIGINT
    Run(Box<RunArgs>),
    /// Show how a running process does; exit code 1 when it is not ready
    Status(status::StatusArgs),
    /// Show the traffic that a running process sees: who calls whom, how often, how fast, with which errors
    Top(top::TopArgs),
    /// Show records of a running process as they pass
    Tap(tap::TapArgs),
    /// Have a running process read its configuration again, and say what came of it
    Reload(reload::ReloadArgs),
    /// Have a running process drain and end
    Drain(drain::DrainArgs),
    /// Validate the configuration and print the line from sources to sinks
    Check(check::CheckArgs),
    /// Look for what keeps the configuration from working here: ports, disks, limits, upstreams, the mesh
    Doctor(doctor::DoctorArgs),
    /// Print the whole effective configuration as YAML, defaults filled in, secrets hidden
    Show(input::InputArgs),
    /// Make a configuration of mesh policies: MeshAccessLog, MeshOpenTelemetryBackend, TrafficLog, Mesh
    FromPolicy(from_policy::FromPolicyArgs),
    /// Make a configuration of that of an OpenTelemetry Collector, and list what has no counterpart
    FromOtelcol(from_otelcol::FromOtelcolArgs),
    /// Run the tests in the configuration: lines, and what must become of them
    Test(test::TestArgs),
    /// Say what response flags mean, or how a line is read, field by field
    Explain(explain::ExplainArgs),
    /// Propose the format of access-log lines from samples
    Learn(learn::LearnArgs),
    /// Look into a journal, also into one at work: nothing is changed
    Journal(journal::JournalArgs),
    /// Send what a journal holds to a sink once more: all of it, or from an entry or a time on
    Replay(Box<replay::ReplayArgs>),
    /// Send realistic mesh traffic to a collector, at a rate or as fast as possible
    Gen(Box<GenArgs>),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print shell completions
    Completion(completion::CompletionArgs),
    /// Print the manual page (roff)
    Man,
}

#[derive(Args, Debug)]
struct RunArgs {
    #[command(flatten)]
    input: input::InputArgs,
    #[command(flatten)]
    log: log::LogArgs,
    /// Take the sockets, the connections and all, of the logboom that runs with the same `takeover.socket`, and then its place; start as usual when there is none
    #[arg(long, requires = "config")]
    take_over: bool,
}

/// Reads the arguments of the process and does what they say.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version come as errors too, and go to standard output.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Clean };
        }
    };
    match arguments.command.unwrap_or(Command::Run(Box::new(arguments.run))) {
        Command::Run(args) => run::run(*args),
        Command::Status(args) => status::status(&args),
        Command::Top(args) => top::top(&args),
        Command::Tap(args) => tap::tap(&args),
        Command::Reload(args) => reload::reload(&args),
        Command::Drain(args) => drain::drain(&args),
        Command::Check(args) => check::check(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Show(args) => show::show(&args),
        Command::FromPolicy(args) => from_policy::from_policy(&args),
        Command::FromOtelcol(args) => from_otelcol::from_otelcol(&args),
        Command::Test(args) => test::test(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Learn(args) => learn::learn(&args),
        Command::Journal(args) => journal::journal(&args),
        Command::Replay(args) => replay::replay(*args),
        Command::Gen(args) => generate(&args),
        Command::Schema => schema::schema(),
        Command::Completion(args) => completion::completion(&args, Arguments::command()),
        Command::Man => man::man(Arguments::command()),
    }
}

fn generate(args: &GenArgs) -> Exit {
    match crate::generate::run(args) {
        Ok(()) => Exit::Clean,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            Exit::Failure
        }
    }
}

/// Writes to standard output. A reader that has gone away (`logboom man | head`) is no failure.
fn print(text: &str) -> Exit {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Exit::Clean,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Clean,
        Err(_) => Exit::Failure,
    }
}

/// Files to make a configuration of; `-` is standard input. `Err` when one cannot be read, which has been said.
fn read_files(paths: &[PathBuf], help: &str) -> Result<Vec<PolicyFile>, Exit> {
    let read = |path: &PathBuf| if path.as_os_str() == "-" { PolicyFile::stdin() } else { PolicyFile::read(path) };
    let files: Result<Vec<PolicyFile>, _> = paths.iter().map(read).collect();
    files.map_err(|error| {
        complain(&format!("error: {error}\nhelp: {help}"));
        Exit::Usage
    })
}

/// Writes to standard error. When that is closed nobody is left to tell.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Shows what is wrong with a configuration, coloured for a terminal.
fn refuse(errors: &ConfigErrors) -> Exit {
    complain(&errors.render(std::io::stderr().is_terminal()));
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
