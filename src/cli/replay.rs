//! `replay`: what a journal holds, once more, to a sink.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::journal::{From, PlaceArgs, from, inspect};
use super::{Exit, complain, input, log, refuse};
use crate::config::suggest::accepted;
use crate::config::{Checked, ConfigErrors};
use crate::journal::Entry;
use crate::journal::inspect::{Inspection, Piece};
use crate::server::Replay;

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Directory of the journal; without it that of the configuration
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// YAML file, whose formats and redaction hold; with a `journal` block, unless there is a DIR
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: log::LogArgs,
    /// A sink of the configuration, by name; several may be given
    #[arg(long, value_name = "NAME")]
    sink: Vec<String>,
    /// A sink, as of `run`: file:PATH, stdout[:ENCODING], otlp://HOST:PORT or null, options behind `?`
    #[arg(short, long, value_name = "SINK", conflicts_with = "sink")]
    output: Vec<String>,
    /// First entry: a number, or the time it was received (2026-11-20T11:48:37Z)
    #[arg(long, value_name = "SEQ|TIME", value_parser = from)]
    from: Option<From>,
    /// How much faster than they were received, such as 1 or 0.5; `max`: as fast as the sinks take them
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = speed)]
    speed: Speed,
}

#[derive(Clone, Copy, Debug)]
enum Speed {
    Max,
    Times(f64),
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times = text.parse().ok().filter(|times| (0.001..=1e6).contains(times));
    times.map(Speed::Times).ok_or_else(|| "write max, or a number from 0.001 to 1000000".to_owned())
}

pub fn replay(args: ReplayArgs) -> Exit {
    log::start(&args.log);
    if let Some(mistake) = mistake(&args) {
        complain(&format!("error: {mistake}"));
        return Exit::Usage;
    }
    let checked = match load(args.config.as_ref(), &args.output) {
        Ok(checked) => checked,
        Err(errors) => return refuse(&errors),
    };
    let names = if args.output.is_empty() { args.sink } else { checked.config().sinks.keys().cloned().collect() };
    if let Some(unknown) = names.iter().find(|name| !checked.config().sinks.contains_key(*name)) {
        let known: Vec<&str> = checked.config().sinks.keys().map(String::as_str).collect();
        let known = accepted(unknown, &known);
        complain(&format!("error: there is no sink {unknown} in the configuration\nhelp: {known}"));
        return Exit::Usage;
    }
    let place = PlaceArgs { dir: args.dir, config: args.config };
    let inspection = match place.dir().and_then(|dir| inspect(&dir)) {
        Ok(inspection) => inspection,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: cannot start the runtime: {error}"));
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(run(checked, &names, inspection, args.from, args.speed));
    // A sink that hangs in a blocked write must not keep the process.
    runtime.shutdown_background();
    exit.unwrap_or_else(|error| {
        complain(&format!("error: {error:#}"));
        Exit::Failure
    })
}

/// What to write when it is not said where from or where to, or when a name says nothing.
fn mistake(args: &ReplayArgs) -> Option<&'static str> {
    if args.dir.is_none() && args.config.is_none() {
        return Some("which journal is not said: write its directory, or `-c FILE` with a `journal` block");
    }
    match (args.sink.is_empty() && args.output.is_empty(), args.config.is_some()) {
        (true, true) => Some(
            "where to is not said: add `--sink NAME`, a sink of the configuration, or `-o SINK`, such as `-o stdout`",
        ),
        (true, false) => Some("where to is not said: add `-o SINK`, such as `-o stdout`, or `-c FILE --sink NAME`"),
        (false, false) if !args.sink.is_empty() => Some(
            "`--sink` names a sink of a configuration, and there is none: add `-c FILE`, or write `-o SINK`, such as `-o stdout`",
        ),
        _ => None,
    }
}

/// The configuration, with the sinks of `-o` in the place of its own.
fn load(config: Option<&PathBuf>, output: &[String]) -> Result<Checked, ConfigErrors> {
    input::with_sinks(config.map(PathBuf::as_path), output)
}

async fn run(
    checked: Checked,
    names: &[String],
    inspection: Inspection,
    first: Option<From>,
    speed: Speed,
) -> anyhow::Result<Exit> {
    let replay = Replay::open(checked, names)?;
    let (read, mut waiting) = mpsc::channel(1);
    let reader = tokio::task::spawn_blocking(move || read_all(&inspection, first, &read));
    let (send, entries) = mpsc::channel(1);
    let pace = async move {
        let mut began: Option<(Instant, u64)> = None;
        while let Some(entry) = waiting.recv().await {
            let entry: Entry = entry;
            let (start, first) = *began.get_or_insert((Instant::now(), entry.received_unix_nano));
            if let Speed::Times(times) = speed {
                let after = Duration::from_nanos(entry.received_unix_nano.saturating_sub(first)).div_f64(times);
                tokio::time::sleep_until(start + after).await;
            }
            if send.send(entry).await.is_err() {
                break;
            }
        }
    };
    let fed = tokio::select! {
        ((), fed) = async { tokio::join!(pace, replay.feed(entries)) } => Some(fed),
        _ = tokio::signal::ctrl_c() => None,
    };
    let is_whole = fed.is_some();
    fed.transpose()?;
    let is_damaged = is_whole && reader.await.unwrap_or(true);
    let tallies = replay.end().await;
    let undelivered: u64 = tallies.values().map(crate::inbox::Tally::undelivered).sum();
    for (sink, tally) in &tallies {
        complain(&format!(
            "{sink}: delivered {}, failed {}, undelivered {}",
            tally.delivered,
            tally.failed,
            tally.undelivered()
        ));
    }
    if !is_whole {
        complain("interrupted: the journal is as it was, and what was not delivered is still in it");
    }
    Ok(match (is_whole && undelivered == 0, is_damaged) {
        (false, _) => Exit::Undelivered,
        (true, true) => Exit::Failure,
        (true, false) => Exit::Clean,
    })
}

/// True when something from `first` on was damaged, which has been said then.
fn read_all(inspection: &Inspection, first: Option<From>, read: &mpsc::Sender<Entry>) -> bool {
    let mut is_damaged = false;
    let mut damaged = |base, why: &str| {
        is_damaged = true;
        complain(&format!(
            "segment {base:016x} {why}; what is whole is replayed, and `logboom journal check` says what is not"
        ));
    };
    for segment in inspection.segments() {
        if segment.end.is_some_and(|end| first.is_some_and(|first| first.is_after(end - 1))) {
            continue;
        }
        // Bytes that are no entry have no number: the next entry says whether they are of concern.
        let mut is_spoilt = false;
        let walked = inspection.walk(&segment, |piece| match piece {
            Piece::Entry(seq, entry) => {
                if first.is_some_and(|first| first.begins_at_or_after(seq, &entry)) {
                    is_spoilt = false;
                }
                let is_wanted = first.is_none_or(|first| first.takes(seq, &entry));
                // Nobody listens any more: there is no need to read on.
                match is_wanted && read.blocking_send(entry).is_err() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            }
            Piece::Tail(_) => ControlFlow::Continue(()),
            Piece::Spoilt { .. } | Piece::Damaged(_) | Piece::Missing(_) => {
                is_spoilt = true;
                ControlFlow::Continue(())
            }
        });
        match walked {
            Err(error) => damaged(segment.base, &format!("cannot be read: {error}")),
            Ok(()) if is_spoilt => damaged(segment.base, "is damaged"),
            Ok(()) => {}
        }
    }
    is_damaged
}
