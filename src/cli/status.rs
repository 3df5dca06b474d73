//! `status`: how a running process does.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::columns::{Columns, Side, bytes, count, duration};
use super::instance::InstanceArgs;
use super::{Exit, print};
use crate::explain::tame;

#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    /// Print the JSON that the process answers
    #[arg(long)]
    json: bool,
}

/// Exit 0 when it is ready, 1 when it is not, 2 when nobody answers.
pub fn status(args: &StatusArgs) -> Exit {
    args.instance.run(async |client| {
        let health: Value = client.get("/api/health").await?;
        let exit = if health["ready"] == true { Exit::Clean } else { Exit::Failure };
        let text = match args.json {
            true => {
                let (_, body) = client.ask(Method::GET, "/status").await?;
                let status: Value = serde_json::from_slice(&body)?;
                format!("{status:#}\n")
            }
            false => text(&health),
        };
        Ok(match print(&text) {
            Exit::Clean => exit,
            failed => failed,
        })
    })
}

/// A page for people.
pub fn text(health: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let mut text = format!(
        "logboom {}  {}  up {}  memory {} in use of {}, at most {} in all\n",
        tame(&word(&health["version"])),
        tame(&word(&health["readiness"])),
        duration(health["uptime_seconds"].as_u64().unwrap_or(0)),
        bytes(number(&health["memory_reserved_bytes"])),
        bytes(number(&health["memory_budget_bytes"])),
        bytes(number(&health["memory_bound_bytes"])),
    );
    let rates = &health["rates"];
    let heads = [
        ("SOURCE", Side::Left),
        ("TYPE", Side::Left),
        ("CONNECTIONS", Side::Right),
        ("RECORDS", Side::Right),
        ("RECORDS/S", Side::Right),
        ("BYTES/S", Side::Right),
        ("REJECTED", Side::Right),
    ];
    let mut columns = Columns::new(&heads);
    for (name, source) in health["sources"].as_object().into_iter().flatten() {
        let rates = &rates["sources"][name];
        columns.push([
            name.clone(),
            word(&source["type"]),
            count(number(&source["connections"])),
            count(number(&source["received_records"])),
            count(number(&rates["records_s"])),
            bytes(number(&rates["bytes_s"])),
            count(number(&source["rejected_records"])),
        ]);
    }
    text += &format!("\n{}", columns.text());
    let heads = [
        ("SINK", Side::Left),
        ("TYPE", Side::Left),
        ("STATE", Side::Left),
        ("INBOX", Side::Right),
        ("DELIVERED", Side::Right),
        ("RECORDS/S", Side::Right),
        ("SHED", Side::Right),
        ("FAILED", Side::Right),
        ("WAITING", Side::Right),
    ];
    let mut columns = Columns::new(&heads);
    let mut errors = String::new();
    for (name, sink) in health["sinks"].as_object().into_iter().flatten() {
        let sum = |keys: &[&str]| keys.iter().map(|key| number(&sink[*key])).sum::<f64>();
        columns.push([
            name.clone(),
            word(&sink["type"]),
            word(&sink["state"]),
            format!("{} of {}", bytes(number(&sink["inbox_bytes"])), bytes(number(&sink["inbox_capacity_bytes"]))),
            count(number(&sink["delivered_records"])),
            count(number(&rates["sinks"][name]["delivered_s"])),
            count(sum(&["shed_full_records", "shed_hold_records", "shed_stopped_records", "expired_records"])),
            count(sum(&["failed_records", "abandoned_records"])),
            count(sum(&["in_flight_records", "deferred_records"])),
        ]);
        if let Some(error) = sink["error"].as_str() {
            errors += &format!("sink {}: {}\n", tame(name), tame(error));
        }
    }
    text += &format!("\n{}{errors}", columns.text());
    let journal = &health["journal"];
    if journal.is_object() {
        text += &format!(
            "\njournal {} of {}{}{}\n",
            bytes(number(&journal["bytes"])),
            bytes(number(&journal["max_bytes"])),
            if journal["healthy"] == true { "" } else { ", cannot be written" },
            journal["full"].as_str().map(|why| format!(", full ({})", tame(why))).unwrap_or_default(),
        );
    }
    text += &format!("\n{}\n", tame(&word(&health["ledger"]["line"])));
    text
}
