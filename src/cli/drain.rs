//! `drain`: as SIGTERM, and says what came of it.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::instance::InstanceArgs;
use super::{Exit, complain, print};
use crate::explain::tame;

#[derive(Args, Debug)]
pub struct DrainArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    /// Wait until it has ended, and end as it does: 0 when all was delivered, 3 when not
    #[arg(long)]
    wait: bool,
}

/// Exit 0 when it has begun or all was delivered, 3 when records were left, 2 when nobody answers.
pub fn drain(args: &DrainArgs) -> Exit {
    args.instance.run(async |client| {
        let mut lines = client.lines(Method::POST, &format!("/api/drain?wait={}", args.wait)).await?;
        let first = lines.next().await?.unwrap_or_default();
        let process = serde_json::from_slice::<Value>(&first).ok().and_then(|it| it["pid"].as_u64());
        let process = process.map(|it| format!(" (process {it})")).unwrap_or_default();
        if !args.wait {
            return Ok(print(&format!("draining{process}\n")));
        }
        complain(&format!("draining{process}"));
        let mut finished = None;
        while let Some(line) = lines.next().await? {
            finished = serde_json::from_slice::<Value>(&line).ok().or(finished);
        }
        let Some(finished) = finished else { anyhow::bail!("it has ended without saying how") };
        let printed = print(&format!("{}\n", tame(finished["ledger"].as_str().unwrap_or_default())));
        let undelivered = finished["undelivered"].as_u64().unwrap_or(0);
        if undelivered > 0 {
            complain(&format!("{undelivered} records were not delivered in time"));
        }
        Ok(match (finished["crashed"].as_bool(), undelivered) {
            (Some(true), _) => Exit::Failure,
            (_, 0) => printed,
            _ => Exit::Undelivered,
        })
    })
}
