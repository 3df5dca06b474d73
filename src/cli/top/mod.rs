//! `top`: the traffic that a running process sees, and how it does, on a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::instance::InstanceArgs;
use super::{Exit, print};
use crate::config::units::Period;
use crate::control::client::Client;
use traffic::{Sort, Traffic};

mod feed;
mod screen;
mod traffic;

#[derive(Args, Debug)]
pub struct TopArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    /// Print one table and end; also what happens where standard output is no terminal
    #[arg(long)]
    once: bool,
    /// Print the JSON that the process answers, once
    #[arg(long)]
    json: bool,
    /// How often it is asked, 100ms to 1m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Period,
    /// Time that figures are averaged over, 10s to 5m
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = window)]
    window: Period,
    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
}

fn within(text: &str, low: u64, high: u64) -> Result<Period, String> {
    let period: Period = text.parse()?;
    let range = Duration::from_millis(low)..=Duration::from_millis(high);
    range.contains(&period.0).then_some(period).ok_or_else(|| format!("{period} is out of range"))
}

fn interval(text: &str) -> Result<Period, String> {
    within(text, 100, 60_000)
}

fn window(text: &str) -> Result<Period, String> {
    within(text, 10_000, 300_000)
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    interval: Duration,
    window: Duration,
    sort: Sort,
}

impl Wish {
    fn path(&self) -> String {
        format!("/api/traffic?window={}", self.window.as_secs())
    }
}

/// Exit 0, or 1 when the process ends meanwhile, 2 when nobody answers.
pub fn top(args: &TopArgs) -> Exit {
    let wish = Wish { interval: args.interval.0, window: args.window.0, sort: args.sort };
    args.instance.run(async |client| {
        if args.json {
            let answer: Value = client.get(&wish.path()).await?;
            return Ok(print(&format!("{answer:#}\n")));
        }
        if args.once || !std::io::stdout().is_terminal() {
            return once(&client, wish).await;
        }
        let (feed, messages) = feed::start(client, wish);
        let ended = tokio::task::spawn_blocking(move || screen::run(&messages, wish)).await?;
        feed.abort();
        ended
    })
}

async fn once(client: &Client, wish: Wish) -> anyhow::Result<Exit> {
    let mut traffic: Traffic = client.get(&wish.path()).await?;
    traffic.sort(wish.sort);
    Ok(print(&traffic.text()))
}
