//! `check`: is the configuration right, and what does it do?

use clap::Args;
use serde_json::json;

use super::{Exit, complain, input, print, refuse};
use crate::config::{Checked, ConfigErrors};
use crate::journal::JournalConfig;
use crate::select;
use crate::sink::{SinkConfig, SinkKind};
use crate::source::{self, Place, SourceConfig};

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    input: input::InputArgs,
    /// Print one JSON object, errors included
    #[arg(long)]
    json: bool,
}

/// Exit 0 when the configuration is right, 2 when it is not.
pub fn check(args: &CheckArgs) -> Exit {
    match (args.input.load(), args.json) {
        (Ok(checked), false) => {
            checked.warnings().iter().for_each(|warning| complain(&format!("warning: {warning}")));
            print(&lines(&checked))
        }
        (Ok(checked), true) => print(&format!("{:#}\n", right(&checked))),
        (Err(errors), false) => refuse(&errors),
        (Err(errors), true) => match print(&format!("{:#}\n", wrong(&errors))) {
            Exit::Clean => Exit::Usage,
            exit => exit,
        },
    }
}

fn lines(checked: &Checked) -> String {
    let config = checked.config();
    let mut out = String::new();
    for (name, sinks) in checked.routes() {
        let source = config.sources.get(name).map(source).unwrap_or_default();
        let sinks: Vec<String> = sinks
            .iter()
            .filter_map(|sink_name| Some(format!("{sink_name} ({})", sink(config.sinks.get(*sink_name)?))))
            .collect();
        let sinks = if sinks.is_empty() { "nowhere".to_owned() } else { sinks.join(", ") };
        out.push_str(&format!("{name} ({source}) -> {sinks}\n"));
    }
    if let Some(journal) = &config.journal {
        let JournalConfig { dir, max, mode } = journal;
        out.push_str(&format!("journal {} ({}, at most {max})\n", dir.display(), mode.as_str()));
    }
    out.push_str(&format!("admin {}\nmemory {}\nok\n", config.admin.listen, checked.memory_bound_line()));
    out
}

fn source(source: &SourceConfig) -> String {
    source::label(source, source.places().into_iter().map(|Place { key, address }| (key, address.to_owned())))
}

fn sink(sink: &SinkConfig) -> String {
    let kind = match &sink.kind {
        SinkKind::File(file) => format!("file {}", file.path),
        SinkKind::Stdout(_) => "stdout".to_owned(),
        SinkKind::Otlp(otlp) => format!("otlp {}", otlp.endpoint.as_slice().join(", ")),
        SinkKind::Null(_) => "null".to_owned(),
    };
    match select::describe(sink.when.as_deref(), sink.sample) {
        selection if selection.is_empty() => kind,
        selection => format!("{kind}, {selection}"),
    }
}

fn right(checked: &Checked) -> serde_json::Value {
    let config = checked.config();
    let routes: Vec<_> = checked.routes().map(|(source, sinks)| json!({"source": source, "sinks": sinks})).collect();
    let bound: Vec<_> =
        checked.memory_bound().into_iter().map(|(what, bytes)| json!({"what": what, "bytes": bytes})).collect();
    json!({
        "valid": true,
        "routes": routes,
        "journal": config.journal,
        "sources": config.sources.iter().map(|(name, one)| (name.clone(), source(one))).collect::<std::collections::BTreeMap<_, _>>(),
        "sinks": config.sinks.iter().map(|(name, one)| (name.clone(), sink(one))).collect::<std::collections::BTreeMap<_, _>>(),
        "memory_bound_bytes": checked.memory_bound().iter().map(|(_, bytes)| bytes).sum::<u64>(),
        "memory_bound": bound,
        "warnings": checked.warnings(),
    })
}

fn wrong(errors: &ConfigErrors) -> serde_json::Value {
    json!({"valid": false, "file": errors.name(), "errors": errors.problems().collect::<Vec<_>>()})
}
