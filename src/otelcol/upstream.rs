//! How an exporter of OTLP sends: headers, TLS, retries, the queue.

use crate::config::tree::{Entry, Node};
use crate::config::units::{ByteSize, Period};
use crate::header;

use super::exporters::{Kind, Sink};
use super::extensions;
use super::findings::Findings;
use super::look;
use super::write::{Part, Value};

/// What to do where an authenticator is not known.
const WITHOUT_TOKEN: &str = "bearertokenauth has a counterpart; another header is written below `headers:` of a sink";

/// A sink whose address is in `part`, with all that both protocols have in common.
pub fn read(id: &str, entry: &Entry, is_https: bool, mut part: Part, root: &Node, findings: &mut Findings) -> Sink {
    let settings = &entry.value;
    if let Some(headers) = headers(settings, &part, root, findings) {
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

fn headers(settings: &Node, part: &Part, root: &Node, findings: &mut Findings) -> Option<Value> {
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
        && let Some(bearer) = extensions::bearer(&auth.value, auth, root, WITHOUT_TOKEN, findings)
        && let Some(token) = bearer.tokens.first()
    {
        let value = format!("{} {token}", bearer.scheme).trim_start().to_owned();
        headers.retain(|(name, _)| *name != bearer.header);
        headers.push((bearer.header, Value::text(value)));
    }
    let name_of = match part.get("protocol") {
        Some(_) => header::over_http,
        None => header::over_grpc,
    };
    headers.retain(|(name, value)| {
        let is_text = matches!(value, Value::Text(text) if header::value(text).is_some());
        let is_sent = is_text && name_of(name).is_ok();
        if let Some(written) = look::at(settings, &["headers"]).filter(|_| !is_sent) {
            let help = "HTTP, gRPC and logboom set some headers themselves, and others hold printable ASCII";
            findings.dropped(written.key_span.clone(), format!("the header {name} cannot be set"), help);
        }
        is_sent
    });
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    headers.dedup_by(|a, b| a.0 == b.0);
    headers.truncate(header::COUNT_MAX);
    (!headers.is_empty()).then_some(Value::Map(headers))
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
