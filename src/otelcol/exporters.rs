//! Exporters become sinks.

use crate::config::tree::{Entry, Node};

use super::findings::Findings;
use super::write::{Part, Value};
use super::{file_exporter, look, otlp_exporter};

/// What an exporter is.
#[derive(Clone, Debug)]
pub struct Sink {
    pub part: Part,
    pub kind: Kind,
    /// The journal that its queue asks for.
    pub journal: Option<Value>,
}

/// Which sink; it decides what happens when several pipelines use it in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Stdout,
    Otlp,
    Null,
}

/// What an exporter is, as a sink without a name; `None` where it has no counterpart.
pub fn read(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Option<Sink> {
    let sink = match look::kind(id) {
        "file" => file_exporter::read(id, entry, findings)?,
        "debug" | "logging" => stdout(id, entry, findings),
        "otlp" | "otlp_grpc" | "otlpgrpc" => otlp_exporter::grpc(id, entry, root, findings)?,
        "otlphttp" | "otlp_http" => otlp_exporter::http(id, entry, root, findings)?,
        "nop" => {
            let mut part = Part::default();
            part.set("type", Value::text("null"), "");
            Sink { part, kind: Kind::Null, journal: None }
        }
        kind => {
            findings.dropped(entry.key_span.clone(), format!("the exporter {id} has no counterpart"), instead(kind));
            return None;
        }
    };
    let kind = sink.part.get("type").cloned();
    let kind = if let Some(Value::Word(word) | Value::Text(word)) = kind { word } else { String::new() };
    findings.kept(entry.key_span.clone(), format!("exporters.{id} is a sink of type {kind}"));
    Some(sink)
}

/// What to do where there is no sink for it.
fn instead(kind: &str) -> &'static str {
    match kind {
        "loadbalancing" => {
            "write several endpoints in a list for failover in order, or let a load balancer stand in front of them"
        }
        "loki" => "Loki takes OTLP over HTTP at /otlp/v1/logs: a sink of type otlp with `protocol: http` goes there",
        "elasticsearch" | "opensearch" | "kafka" | "clickhouse" | "splunk_hec" | "awscloudwatchlogs" | "awss3"
        | "googlecloud" | "azuremonitor" | "datadog" | "sumologic" => {
            "logboom writes files, standard output and OTLP: keep a Collector for this exporter and send to it with a sink of \
             type otlp, or use the OTLP endpoint of the product where it has one"
        }
        _ => {
            "logboom writes files, standard output and OTLP: keep a Collector for this exporter and send to it with a sink of \
             type otlp"
        }
    }
}

fn stdout(id: &str, entry: &Entry, findings: &mut Findings) -> Sink {
    let mut part = Part::default();
    part.set("type", Value::word("stdout"), "");
    let verbosity = look::at(&entry.value, &["verbosity"]).or_else(|| look::at(&entry.value, &["loglevel"]));
    let place = verbosity.map_or_else(|| entry.key_span.clone(), look::place);
    let help = "`encoding: pretty` is for people; `sample: 1/100` shows some; remove the sink when all is well";
    let message = format!("exporters.{id} writes each record as a line of JSON to standard output");
    findings.changed(place, message, help);
    findings.rest(
        &format!("exporters.{id}"),
        &entry.value,
        &["verbosity", "loglevel", "sampling_initial", "sampling_thereafter", "use_internal_logger"],
    );
    Sink { part, kind: Kind::Stdout, journal: None }
}
