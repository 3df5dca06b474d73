//! Exporters become sinks.

use http::Uri;

use crate::config::tree::{Entry, Node};
use crate::config::units::{ByteSize, Period};

use super::extensions;
use super::findings::Findings;
use super::look;
use super::substitute;
use super::write::{Part, Value};

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
        "file" => super::file_exporter::read(id, entry, findings)?,
        "debug" | "logging" => stdout(id, entry, findings),
        "otlp" | "otlp_grpc" | "otlpgrpc" => grpc(id, entry, root, findings)?,
        "otlphttp" | "otlp_http" => http(id, entry, root, findings)?,
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

fn grpc(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Option<Sink> {
    let mut part = Part::default();
    part.set("type", Value::word("otlp"), "");
    let settings = &entry.value;
    let Some(endpoint) = look::at(settings, &["endpoint"]) else {
        let help = "write `endpoint: host:4317`";
        findings.dropped(entry.key_span.clone(), format!("exporters.{id} has no endpoint"), help);
        return None;
    };
    let written = look::text(&endpoint.value).unwrap_or_default();
    if written.starts_with("unix:") {
        let help = "give the upstream a TCP address";
        findings.dropped(look::place(endpoint), "an upstream on a unix socket has no counterpart", help);
        return None;
    }
    let insecure = look::truth(settings, &["tls", "insecure"]) == Some(true);
    let (scheme, rest) = match written.split_once("://") {
        Some(("http", rest)) => ("http", rest),
        Some(("https", rest)) => ("https", rest),
        // A resolver of gRPC.
        Some((_, rest)) => (if insecure { "http" } else { "https" }, rest.trim_start_matches('/')),
        None => (if insecure { "http" } else { "https" }, written),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']')) || host.contains("${");
    // What gRPC takes for a host alone.
    let address = if has_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:443") };
    part.set(
        "endpoint",
        Value::text(address),
        if written.contains("://") { "endpoint" } else { "endpoint, tls.insecure" },
    );
    if written.starts_with("${") {
        let help = "where the variable has a scheme of its own, write `endpoint:` without the one in front";
        findings.changed(look::place(endpoint), format!("{scheme}:// stands in front of the variable"), help);
    }
    part.set("compression", compression(settings, findings), "compression; gzip is the Collector's default");
    Some(upstream(id, entry, scheme == "https", part, root, findings))
}

fn http(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Option<Sink> {
    let mut part = Part::default();
    part.set("type", Value::word("otlp"), "");
    let settings = &entry.value;
    let place = ["logs_endpoint", "endpoint"].iter().find_map(|key| look::at(settings, &[key])).unwrap_or(entry);
    let (written, from) = match (look::word(settings, &["logs_endpoint"]), look::word(settings, &["endpoint"])) {
        (Some(whole), _) => (whole.to_owned(), "logs_endpoint"),
        (None, Some(base)) => (format!("{}/v1/logs", base.trim_end_matches('/')), "endpoint, and the path of logs"),
        (None, None) => {
            let help = "write `endpoint: http://host:4318`";
            findings.dropped(entry.key_span.clone(), format!("exporters.{id} has no endpoint"), help);
            return None;
        }
    };
    let is_https = !written.starts_with("http://");
    let endpoint = with_port(&written);
    reachable(&endpoint, true, place, findings)?;
    part.set("endpoint", Value::text(endpoint), from);
    part.set("protocol", Value::word("http"), "otlphttp");
    part.set("compression", compression(settings, findings), "compression; gzip is the Collector's default");
    if look::word(settings, &["encoding"]) == Some("json") {
        let help = "every server of OTLP over HTTP takes protobuf";
        let place = look::at(settings, &["encoding"]).map(look::place).unwrap_or_default();
        findings.changed(place, "requests are protobuf, not JSON", help);
    }
    Some(upstream(id, entry, is_https, part, root, findings))
}

/// Told, and `None`, when nothing can be dialled there. What variables hold nobody knows yet.
fn reachable(url: &str, has_path: bool, entry: &Entry, findings: &mut Findings) -> Option<()> {
    let uri: Option<Uri> = substitute::filled(url).parse().ok();
    let is_right = uri.is_some_and(|uri| {
        let port = uri.port_u16().is_some_and(|port| port > 0);
        let host = uri.host().is_some_and(|host| !host.is_empty());
        let user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
        port && host
            && !user
            && matches!(uri.scheme_str(), Some("http" | "https"))
            && (has_path || uri.path().len() < 2)
    });
    if !is_right {
        let help = "a host and a port are needed; a user and a password belong into `headers`";
        findings.dropped(look::place(entry), "this is no address of an upstream", help);
    }
    is_right.then_some(())
}

/// A URL has the port of its scheme where it says none; a sink wants it written.
fn with_port(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']')) || host.contains("${");
    match (has_port, scheme) {
        (true, _) => url.to_owned(),
        (_, "http") => format!("{scheme}://{host}:80{path}"),
        _ => format!("{scheme}://{host}:443{path}"),
    }
}

fn compression(settings: &Node, findings: &mut Findings) -> Value {
    let Some(entry) = look::at(settings, &["compression"]) else { return Value::word("gzip") };
    match look::text(&entry.value).unwrap_or_default() {
        word @ ("gzip" | "zstd" | "none") => Value::word(word),
        "" => Value::word("none"),
        other => {
            let message = format!("the compression {other} becomes gzip");
            findings.changed(look::place(entry), message, "none, gzip and zstd are what logboom has");
            Value::word("gzip")
        }
    }
}

/// What both protocols have in common.
fn upstream(id: &str, entry: &Entry, is_https: bool, mut part: Part, root: &Node, findings: &mut Findings) -> Sink {
    let settings = &entry.value;
    if let Some(headers) = headers(settings, root, findings) {
        part.set("headers", headers, "headers, auth");
    }
    period("timeout", settings, &["timeout"], &mut part, findings);
    retry(id, settings, entry, &mut part, findings);
    if let Some(tls) = look::at(settings, &["tls"]).filter(|_| is_https) {
        let tls = client_tls(id, tls, findings);
        if !tls.is_empty() {
            part.set("tls", Value::Map(tls), "tls");
        }
    }
    let journal = queue(settings, root, &mut part, findings);
    findings.rest(
        &format!("exporters.{id}"),
        settings,
        &[
            "endpoint",
            "logs_endpoint",
            "traces_endpoint",
            "metrics_endpoint",
            "profiles_endpoint",
            "compression",
            "headers",
            "timeout",
            "retry_on_failure",
            "sending_queue",
            "tls",
            "auth",
            "encoding",
            "balancer_name",
        ],
    );
    Sink { part, kind: Kind::Otlp, journal }
}

fn period(key: &'static str, settings: &Node, path: &[&str], part: &mut Part, findings: &mut Findings) {
    let Some(entry) = look::at(settings, path) else { return };
    match look::text(&entry.value).and_then(look::duration).filter(|it| !it.0.is_zero()) {
        Some(period) => part.set(key, Value::word(period), path.join(".")),
        None => {
            let help = "the default applies: docs/configuration.md";
            findings.dropped(look::place(entry), format!("`{}` is no duration above zero", path.join(".")), help);
        }
    }
}

fn retry(id: &str, settings: &Node, entry: &Entry, part: &mut Part, findings: &mut Findings) {
    let retry = look::at(settings, &["retry_on_failure"]);
    let inner = |key: &str| retry.and_then(|it| look::at(&it.value, &[key]));
    let read = |key: &str| inner(key).and_then(|it| look::duration(look::text(&it.value)?));
    let help = "what an upstream does not take stays in the inbox, or in the journal, and then counts as shed: `wait_max` and \
                `journal` decide; nothing is given up by time";
    if let Some(enabled) = inner("enabled").filter(|it| look::text(&it.value) == Some("false")) {
        findings.changed(look::place(enabled), format!("exporters.{id} tries again all the same"), help);
    } else if read("max_elapsed_time") != Some(Period::seconds(0)) {
        let place = inner("max_elapsed_time").or(retry).map_or_else(|| entry.key_span.clone(), look::place);
        let message = format!(
            "exporters.{id} tries again without end; the Collector gives up after max_elapsed_time, 5m by default"
        );
        findings.changed(place, message, help);
    }
    let least = Period::millis(1);
    let mut pairs: Vec<(String, Value)> = Vec::new();
    let initial = read("initial_interval").map(|it| it.max(least));
    let max = read("max_interval").map(|it| it.max(initial.unwrap_or(Period::millis(500))));
    // A first pause beyond the default of the longest needs that one too.
    let max = max.or(initial.filter(|it| *it > Period::seconds(30)));
    pairs.extend(initial.map(|it| ("initial".to_owned(), Value::word(it))));
    pairs.extend(max.map(|it| ("max".to_owned(), Value::word(it))));
    if !pairs.is_empty() {
        part.set("retry", Value::Map(pairs), "retry_on_failure");
    }
}

fn client_tls(id: &str, tls: &Entry, findings: &mut Findings) -> Vec<(String, Value)> {
    let keys = [("ca_file", "ca"), ("cert_file", "cert"), ("key_file", "key"), ("server_name_override", "server_name")];
    if let Some(skip) =
        look::at(&tls.value, &["insecure_skip_verify"]).filter(|it| look::text(&it.value) == Some("true"))
    {
        let help = "give the authority that signed the certificate as `tls.ca`, and its name as `tls.server_name`: who takes any \
                    certificate sends to anybody";
        findings.changed(look::place(skip), format!("exporters.{id}: the certificate is verified all the same"), help);
    }
    let mut known: Vec<&str> = keys.iter().map(|(theirs, _)| *theirs).collect();
    known.extend(["insecure", "insecure_skip_verify", "include_system_ca_certs_pool"]);
    findings.rest(&format!("exporters.{id}.tls"), &tls.value, &known);
    let read = |(theirs, ours): (&str, &str)| Some((ours.to_owned(), Value::text(look::word(&tls.value, &[theirs])?)));
    keys.into_iter().filter_map(read).collect()
}

fn headers(settings: &Node, root: &Node, findings: &mut Findings) -> Option<Value> {
    let mut headers: Vec<(String, Value)> = Vec::new();
    if let Some(written) = look::at(settings, &["headers"]) {
        for entry in written.value.entries() {
            headers.extend(look::text(&entry.value).map(|text| (entry.key.to_ascii_lowercase(), Value::text(text))));
        }
        // A list in newer versions.
        for item in look::items(&written.value) {
            if let (Some(name), Some(value)) = (look::word(item, &["name"]), look::word(item, &["value"])) {
                headers.push((name.to_ascii_lowercase(), Value::text(value)));
            }
        }
    }
    if let Some(auth) = look::at(settings, &["auth"])
        && let Some(bearer) = extensions::bearer(&auth.value, auth, root, findings)
        && let Some(token) = bearer.tokens.first()
    {
        let value = format!("{} {token}", bearer.scheme).trim_start().to_owned();
        headers.retain(|(name, _)| *name != bearer.header);
        headers.push((bearer.header, Value::text(value)));
    }
    headers.retain(|(name, value)| {
        let is_sent = is_sent(name, value);
        if let Some(written) = look::at(settings, &["headers"]).filter(|_| !is_sent) {
            let help = "HTTP, gRPC and logboom set some headers themselves, and others hold printable ASCII";
            findings.dropped(written.key_span.clone(), format!("the header {name} cannot be set"), help);
        }
        is_sent
    });
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    headers.dedup_by(|a, b| a.0 == b.0);
    headers.truncate(HEADERS_MAX);
    (!headers.is_empty()).then_some(Value::Map(headers))
}

/// Most headers of a sink.
const HEADERS_MAX: usize = 64;

/// True for a header that a sink may be given.
fn is_sent(name: &str, value: &Value) -> bool {
    const OWN: &[&str] = &[
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let printable = matches!(value, Value::Text(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let own = OWN.contains(&name) || name.starts_with("grpc-") || name.ends_with("-bin");
    printable && letters && !name.is_empty() && !own
}

/// The queue in front of the upstream: an inbox, and with a storage the journal.
fn queue(settings: &Node, root: &Node, part: &mut Part, findings: &mut Findings) -> Option<Value> {
    let queue = look::at(settings, &["sending_queue"])?;
    if let Some(size) = look::at(&queue.value, &["queue_size"]) {
        let sizer = look::word(&queue.value, &["sizer"]).unwrap_or("requests");
        match look::text(&size.value).and_then(|it| it.parse::<u64>().ok()).filter(|_| sizer == "bytes") {
            Some(bytes) => {
                // Whole KiB, as other sizes of ours.
                let inbox = ByteSize((bytes & !0x3ff).clamp(1 << 20, 16 << 20));
                part.set("inbox", Value::word(inbox), "sending_queue.queue_size");
                if inbox.0 != bytes {
                    let message = format!("the queue in memory is {inbox}");
                    findings.changed(
                        look::place(size),
                        message,
                        "a larger `inbox` wants a larger `memory`; a journal keeps more",
                    );
                }
            }
            None => {
                let message =
                    format!("a queue of {sizer} becomes an inbox, counted in bytes: 16MiB unless `inbox` is written");
                findings.changed(look::place(size), message, "with a journal the disk is the queue");
            }
        }
    }
    let storage = look::at(&queue.value, &["storage"])?;
    extensions::journal(look::text(&storage.value)?, storage, root, findings)
}
