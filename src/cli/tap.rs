//! `tap`: records of a running process as they pass.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use form_urlencoded::Serializer;
use http::Method;
use tokio::signal::unix::{SignalKind, signal};

use super::instance::InstanceArgs;
use super::{Exit, complain};
use crate::control::client::Lines;

#[derive(Args, Debug)]
pub struct TapArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    /// Only records for which this condition holds, such as 'status >= 500'
    #[arg(long, value_name = "CEL")]
    r#where: Option<String>,
    /// Only records of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only what this sink takes: by its `when`, its `sample` and its `from`
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Print lines of JSON; the default where standard output is no terminal
    #[arg(long, conflicts_with = "pretty")]
    json: bool,
    /// Print rows for people; the default on a terminal
    #[arg(long)]
    pretty: bool,
    /// Records a second at most; what comes beyond is skipped, and counted [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// End after so many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Exit 0 at Ctrl-C, after `--count`, and when nobody reads any more; 1 when the process ends before.
pub fn tap(args: &TapArgs) -> Exit {
    let path = format!("/api/tap?{}", query(args));
    args.instance.run(async |client| {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let mut lines = client.lines(Method::GET, &path).await?;
        let mut seen = Seen::default();
        let ended = tokio::select! {
            ended = show(&mut lines, args.count.unwrap_or(u64::MAX), &mut seen) => ended,
            _ = interrupted.recv() => Ok(End::Enough),
            _ = terminated.recv() => Ok(End::Enough),
        };
        if seen.skipped > 0 {
            complain(&format!(
                "{} records shown, {} skipped: more came than --rate or the reader takes",
                seen.shown, seen.skipped
            ));
        }
        match ended? {
            End::Enough => Ok(Exit::Clean),
            End::Gone => anyhow::bail!("the process has ended"),
        }
    })
}

fn query(args: &TapArgs) -> String {
    let pretty = args.pretty || (!args.json && io::stdout().is_terminal());
    let colour = pretty && io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let mut query = Serializer::new(String::new());
    for (key, value) in [("where", &args.r#where), ("source", &args.source), ("sink", &args.sink)] {
        if let Some(value) = value {
            query.append_pair(key, value);
        }
    }
    if let Some(rate) = args.rate {
        query.append_pair("rate", &rate.to_string());
    }
    query.append_pair("format", if pretty { "pretty" } else { "json" });
    query.append_pair("colour", if colour { "true" } else { "false" });
    query.finish()
}

#[derive(Debug, Default)]
struct Seen {
    shown: u64,
    skipped: u64,
}

enum End {
    /// All that was asked for, or nobody reads.
    Enough,
    /// The process has ended.
    Gone,
}

async fn show(lines: &mut Lines, count: u64, seen: &mut Seen) -> anyhow::Result<End> {
    let mut stdout = io::stdout();
    while let Some(line) = lines.next().await? {
        if line.is_empty() {
            continue;
        }
        if let Some(skipped) = skipped(&line) {
            seen.skipped += skipped;
            continue;
        }
        match stdout.write_all(&line).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Enough),
            written => written?,
        }
        seen.shown += 1;
        if seen.shown >= count {
            return Ok(End::Enough);
        }
    }
    Ok(End::Gone)
}

/// The number in a line that is no record.
fn skipped(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"skipped\":")?.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
