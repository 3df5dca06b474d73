//! A configuration of an OpenTelemetry Collector in, a configuration of logboom out.
//!
//! `merge` reads files into one tree; `pipelines` follows the logs from `receivers` through `processors`
//! (and `filter`, whose conditions `ottl` reads) to `exporters`; `extensions` reads what is beside them; `write`
//! makes a text of it, in which each part says where it comes from. What means the same is kept, what
//! means something else is changed, what has no counterpart is dropped; the latter two are told at their place.
//! Nothing is substituted: `${env:NAME}` stays what it is. Knows no sockets and no files.

use crate::config::tree::{Kind, Node};
use crate::config::units::ByteSize;
use crate::policy::PolicyFile;

mod exporters;
mod extensions;
mod file_exporter;
mod filter;
mod findings;
mod look;
mod merge;
mod otlp_exporter;
mod otlp_receiver;
mod ottl;
mod pipelines;
mod processors;
mod receivers;
mod substitute;
mod upstream;
mod write;

pub use crate::config::problem::Report;
use findings::Findings;
use pipelines::Plan;
use write::{Part, Value};

/// What a Collector's configuration comes to.
#[derive(Debug)]
pub struct Converted {
    /// A configuration of logboom; `None` when no pipeline is left.
    pub yaml: Option<String>,
    /// What is changed, dropped or wrong, for each file.
    pub reports: Vec<Report>,
    /// What is kept, for each file.
    pub kept: Vec<Report>,
    /// A pipeline for logs could not be made, or a file not be read as it is.
    pub failed: bool,
    /// Environment variables that must be set for the configuration to load.
    pub variables: Vec<String>,
}

impl Converted {
    /// One line for each part that means the same.
    pub fn kept_lines(&self) -> impl Iterator<Item = String> + '_ {
        self.kept.iter().flat_map(|report| report.sentences(crate::config::problem::Severity::Note))
    }
}

/// Reads all files together, later ones over earlier ones, as the Collector reads several `--config`.
#[must_use]
pub fn convert(files: &[PolicyFile]) -> Converted {
    let mut findings = Findings::default();
    let mut root = merge::read(files, &mut findings);
    if root.entries().is_empty() {
        let (reports, kept) = findings.reports();
        return Converted { yaml: None, reports, kept, failed: true, variables: Vec::new() };
    }
    substitute(&mut root, &mut findings);
    let plan = pipelines::read(&root, &mut findings);
    let mut rest = Part::default();
    limits(&plan, &mut rest);
    extensions::service(&root, &mut rest, &mut findings);
    let is_whole = !plan.sources.is_empty() && !plan.sinks.is_empty();
    let yaml = is_whole.then(|| write::configuration(&plan.sources, &plan.sinks, &rest));
    let variables = yaml.as_deref().map(substitute::needed).unwrap_or_default();
    let failed = findings.has_failed() || !is_whole;
    let (reports, kept) = findings.reports();
    Converted { yaml, reports, kept, failed, variables }
}

/// Every text as a configuration of ours writes it.
fn substitute(node: &mut Node, findings: &mut Findings) {
    match &mut node.kind {
        Kind::Mapping(entries) => entries.iter_mut().for_each(|entry| substitute(&mut entry.value, findings)),
        Kind::Sequence(items) => items.iter_mut().for_each(|item| substitute(item, findings)),
        Kind::Scalar(scalar) if scalar.text.contains('$') => {
            let rewritten = substitute::rewritten(&scalar.text);
            if let Some(foreign) = rewritten.foreign {
                let help = "${env:NAME}, ${env:NAME:-default} and ${file:PATH} are put in; write one of them";
                findings.dropped(node.span.clone(), format!("{foreign} is not put in by logboom"), help);
            }
            scalar.text = rewritten.text;
        }
        Kind::Scalar(_) | Kind::Broken => {}
    }
}

/// What stands at the top because of the pipelines.
fn limits(plan: &Plan, rest: &mut Part) {
    if !plan.headers.is_empty() {
        let headers = plan.headers.iter().map(|it| Value::text(it.as_str())).collect();
        let value = Value::Map(vec![("headers".to_owned(), Value::List(headers))]);
        rest.set("redact", value, "what attributes and transform delete");
    }
    let (asked, from) = match plan.limit_mib {
        Some(limit) => (processors::memory(limit), format!("memory_limiter.limit_mib: {limit}")),
        None => (ByteSize::mib(64), String::new()),
    };
    let least = least_memory(plan);
    if least > asked {
        rest.set("memory", Value::word(least), "as much as the largest message and the inboxes need");
    } else if plan.limit_mib.is_some() {
        rest.set("memory", Value::word(asked), from);
    }
    if let Some(journal) = &plan.journal {
        rest.set("journal", journal.clone(), "sending_queue.storage");
    }
}

/// The budget has to hold all inboxes, the largest request and something to work in; and eight of the longest line.
fn least_memory(plan: &Plan) -> ByteSize {
    let largest = plan.sources.iter().map(|part| part.bytes("message_max")).max().unwrap_or(0).max(16 << 20);
    let longest = plan.sources.iter().map(|part| part.bytes("line_max")).max().unwrap_or(0);
    // An inbox that is not written is at least 1 MiB.
    let inboxes: u64 = plan.sinks.iter().map(|part| part.bytes("inbox").max(1 << 20)).sum();
    let least = (largest + inboxes + (8 << 20)).max(longest * 8);
    ByteSize(least.next_multiple_of(1 << 20))
}
