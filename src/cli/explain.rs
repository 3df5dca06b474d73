//! `explain`: what does a response flag mean, how is a line read?

use std::io::{BufRead, Read};
use std::path::PathBuf;

use clap::Args;

use super::{Exit, complain, print, refuse};
use crate::config::{ConfigErrors, Draft};
use crate::decode::reader::{
    FormatChoice, FormatSetting, Origin, PolicyFormat, PolicyFormatType, Reader, SettingError,
};
use crate::explain;
use crate::source::SourceConfig;

/// Longest line that is read from standard input.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Width of the rows where the terminal does not say.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Response flags (`UF,URX` or long names), or one line in quotes, or `-`: the first line of standard input
    #[arg(required = true, value_name = "FLAGS|LINE|-")]
    what: Vec<String>,
    /// Read the line by this Envoy format string
    #[arg(long, value_name = "FORMAT", conflicts_with = "config")]
    format: Option<String>,
    /// Read the line as a source of this configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of the source, where the configuration has several of type `lines`
    #[arg(long, value_name = "NAME", requires = "config")]
    source: Option<String>,
}

/// Exit 0 when there is an explanation, 1 when no format reads the line or a flag is unknown, 2 for
/// a wrong format or configuration.
pub fn explain(args: &ExplainArgs) -> Exit {
    let is_line = args.format.is_some() || args.config.is_some();
    let (text, known) = if !is_line && explain::are_flags(&args.what) {
        explain::flags(&args.what)
    } else {
        let reader = match reader(args) {
            Ok(reader) => reader,
            Err(exit) => return exit,
        };
        let line = match line(&args.what) {
            Ok(line) => line,
            Err(error) => {
                complain(&format!("error: {error}"));
                return Exit::Usage;
            }
        };
        explain::line(&line, &reader, width())
    };
    match print(&text) {
        Exit::Clean if !known => Exit::Failure,
        exit => exit,
    }
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|it| it.parse::<usize>().ok());
    columns.filter(|it| *it >= 80).unwrap_or(WIDTH) - 4
}

/// The line in the arguments: words are put together, as a shell took them apart.
fn line(what: &[String]) -> Result<Vec<u8>, String> {
    let mut line = what.join(" ").into_bytes();
    if line == b"-" {
        let mut input = std::io::stdin().lock().take(LINE_BYTES_MAX);
        line.clear();
        while line.trim_ascii().is_empty() {
            line.clear();
            if input.read_until(b'\n', &mut line).map_err(|it| format!("cannot read standard input: {it}"))? == 0 {
                return Err("there is no line on standard input".to_owned());
            }
        }
    }
    while line.ends_with(b"\n") || line.ends_with(b"\r") {
        line.pop();
    }
    match line.is_empty() || line.contains(&b'\n') {
        true => Err("give one line that is not empty".to_owned()),
        false => Ok(line),
    }
}

fn reader(args: &ExplainArgs) -> Result<Reader, Exit> {
    if let Some(path) = &args.config {
        let checked = Draft::file(path).and_then(Draft::finish).map_err(|errors| refuse(&errors))?;
        let lines: Vec<(&String, &SourceConfig)> =
            checked.config().sources.iter().filter(|(_, it)| matches!(it, SourceConfig::Lines(_))).collect();
        let wanted = |name: &String| args.source.as_ref().is_none_or(|it| it == name);
        let mut chosen = lines.iter().filter(|(name, _)| wanted(name));
        return match (chosen.next(), chosen.next()) {
            (Some((_, source)), None) => source.reader().map_err(|error| wrong(&error)),
            _ => {
                let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
                let help = format!("write --source, one of: {}", names.join(", "));
                let name = path.display().to_string();
                Err(refuse(&ConfigErrors::plain(&name, "which source is to read the line?", &help)))
            }
        };
    }
    let setting = match &args.format {
        None => FormatSetting::default(),
        Some(format) => FormatSetting::One(FormatChoice::Policy(Box::new(PolicyFormat {
            kind: Some(PolicyFormatType::Plain),
            plain: Some(format.clone()),
            ..PolicyFormat::default()
        }))),
    };
    Reader::compile(&setting, Origin::Lines).map_err(|error| wrong(&error))
}

fn wrong(error: &SettingError) -> Exit {
    complain(&format!("error: {}\nhelp: {}", super::tame(&error.message), super::tame(&error.help)));
    Exit::Usage
}
