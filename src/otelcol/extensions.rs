//! Extensions and the Collector's own telemetry: health, storage, tokens.

use crate::config::listen::Listen;
use crate::config::tree::{Entry, Node};

use super::findings::Findings;
use super::look;
use super::write::{Part, Value};

/// Where file_storage writes unless it is told otherwise.
const STORAGE: &str = "/var/lib/otelcol/file_storage";

/// Tokens of a bearertokenauth.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// As a configuration of ours writes them.
    pub tokens: Vec<String>,
    pub scheme: String,
    /// The header they travel in.
    pub header: String,
    pub from: String,
}

/// The tokens that `auth: {authenticator: …}` refers to; `help` is what to do where there are none.
pub fn bearer(auth: &Node, entry: &Entry, root: &Node, help: &str, findings: &mut Findings) -> Option<Bearer> {
    let id = look::word(auth, &["authenticator"])?;
    if look::kind(id) != "bearertokenauth" {
        findings.dropped(look::place(entry), format!("the authenticator {id} has no counterpart"), help);
        return None;
    }
    let Some(extension) = look::at(root, &["extensions", id]) else {
        findings.dropped(look::place(entry), format!("there is no extension {id}"), "write it below `extensions:`");
        return None;
    };
    let settings = &extension.value;
    let mut tokens: Vec<String> =
        look::word(settings, &["filename"]).iter().map(|it| format!("${{file:{it}}}")).collect();
    if tokens.is_empty() {
        let several = look::at(settings, &["tokens"]).map(|it| look::items(&it.value)).unwrap_or_default();
        tokens = several.iter().filter_map(look::text).map(str::to_owned).collect();
        tokens.extend(look::word(settings, &["token"]).map(str::to_owned));
    }
    if tokens.is_empty() {
        findings.dropped(extension.key_span.clone(), format!("{id} has no token"), "write `token: ${env:TOKEN}`");
        return None;
    }
    Some(Bearer {
        tokens,
        scheme: look::word(settings, &["scheme"]).unwrap_or("Bearer").to_owned(),
        header: look::word(settings, &["header"]).unwrap_or("authorization").to_ascii_lowercase(),
        from: format!("extensions.{id}"),
    })
}

/// The journal that a queue in a storage extension asks for.
pub fn journal(id: &str, queue: &Entry, root: &Node, findings: &mut Findings) -> Option<Value> {
    if look::kind(id) != "file_storage" {
        let help = "file_storage has a counterpart: the journal";
        findings.dropped(look::place(queue), format!("the storage {id} has no counterpart"), help);
        return None;
    }
    let settings = look::at(root, &["extensions", id]).map(|it| &it.value);
    let directory = settings.and_then(|it| look::word(it, &["directory"])).unwrap_or(STORAGE);
    let durable = settings.and_then(|it| look::truth(it, &["fsync"])) == Some(true);
    let help = "what the Collector still has in its queue is not read: let it send that first";
    findings.changed(
        look::place(queue),
        "the queue on disk is the journal: one for all sinks, written before a request is answered",
        help,
    );
    Some(Value::Map(vec![
        ("dir".to_owned(), Value::text(format!("{}/logboom", directory.trim_end_matches('/')))),
        ("mode".to_owned(), Value::word(if durable { "durable" } else { "buffered" })),
    ]))
}

/// What the extensions of the service, and its own metrics, come to.
pub fn service(root: &Node, rest: &mut Part, findings: &mut Findings) {
    let metrics = metrics_address(root, findings);
    if let Some((address, from)) = &metrics {
        rest.set("admin", admin(address), from.as_str());
    }
    let used = look::at(root, &["service", "extensions"]).map(|it| look::items(&it.value)).unwrap_or_default();
    for node in used {
        let Some(id) = look::text(node) else { continue };
        let settings = look::at(root, &["extensions", id]).map(|it| &it.value);
        let span = node.span.clone();
        match look::kind(id) {
            "health_check" | "healthcheckv2" => {
                let address = settings.and_then(|it| look::word(it, &["endpoint"])).unwrap_or("127.0.0.1:13133");
                let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
                if let Some(error) = look::mistake(&address) {
                    findings.dropped(span.clone(), error, "write host:port");
                } else if metrics.is_none() {
                    rest.set("admin", admin(&address), format!("extensions.{id}.endpoint"));
                }
                let port = metrics.as_ref().map_or(address.as_str(), |(address, _)| address).rsplit(':').next();
                let port = port.unwrap_or_default().to_owned();
                let help = "logboom has health and metrics on one address, with paths of their own; a probe from outside of the pod \
                            needs an address that is not loopback";
                let message = format!(
                    "probes must ask for other paths: /livez for liveness and /readyz for readiness, on port {port}"
                );
                findings.changed(span, message, help);
            }
            "file_storage" | "bearertokenauth" => {}
            "pprof" | "zpages" => {
                let help = "/status and /metrics of `admin` say what goes on; `logboom check` prints the memory bound";
                findings.dropped(span, format!("the extension {id} has no counterpart"), help);
            }
            "memory_ballast" | "memory_limiter" => {
                let help = "`memory` bounds what is in flight, and there is no garbage collector to be helped";
                findings.dropped(span, format!("the extension {id} has no counterpart, and none is needed"), help);
            }
            _ => {
                let help = "logboom has none; docs/migrating.md says what it does instead where it does";
                findings.dropped(span, format!("the extension {id} has no counterpart"), help);
            }
        }
    }
    if let Some(logs) = look::at(root, &["service", "telemetry", "logs"]) {
        let help = "logboom logs to standard error; its level is `--log-level`, or LOGBOOM_LOG in the environment";
        findings.dropped(logs.key_span.clone(), "service.telemetry.logs is no key of a configuration", help);
    }
}

fn admin(address: &str) -> Value {
    let mut entries = vec![("listen".to_owned(), Value::text(address))];
    let is_local = address.parse::<Listen>().is_ok_and(|it| it.is_local());
    if !is_local {
        entries.push(("allow_plaintext".to_owned(), Value::word("true")));
    }
    Value::Map(entries)
}

/// `metrics.address`, or the Prometheus reader of newer versions.
fn metrics_address(root: &Node, findings: &mut Findings) -> Option<(String, String)> {
    let metrics = look::at(root, &["service", "telemetry", "metrics"])?;
    let what = "service.telemetry.metrics";
    let found = match look::at(&metrics.value, &["address"]) {
        Some(address) => {
            let text = look::text(&address.value)?;
            let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
            Some((text, format!("{what}.address"), address))
        }
        None => look::at(&metrics.value, &["readers"]).and_then(|readers| {
            let prometheus = look::items(&readers.value)
                .iter()
                .find_map(|reader| look::at(reader, &["pull", "exporter", "prometheus"]))?;
            let host = look::word(&prometheus.value, &["host"]).unwrap_or("127.0.0.1");
            let port = look::word(&prometheus.value, &["port"]).unwrap_or("8888");
            Some((format!("{host}:{port}"), format!("{what}.readers"), prometheus))
        }),
    };
    let found = found.filter(|(address, _, _)| look::mistake(address).is_none());
    let Some((address, from, entry)) = found else {
        if look::word(&metrics.value, &["level"]) != Some("none") {
            let help = "logboom's own metrics are at /metrics of `admin`, to be scraped";
            findings.dropped(metrics.key_span.clone(), format!("{what} asks for no address to be scraped"), help);
        }
        return None;
    };
    let help = "docs/operations.md has the names; dashboards and alerts for otelcol_* have to be written anew";
    findings.changed(look::place(entry), "metrics are at the same address, and have other names", help);
    Some((address, from))
}
