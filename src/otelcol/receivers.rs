//! Receivers become sources.

use crate::config::listen::Listen;
use crate::config::tree::{Entry, Node};
use crate::config::units::ByteSize;

use super::findings::Findings;
use super::look;
use super::otlp_receiver;
use super::write::{Part, Value};

/// Largest `message_max`, and largest `line_max`.
const BYTES_MAX: ByteSize = ByteSize::mib(64);

/// What a receiver is: a source, or several, each with the name that it asks for; none where it has no counterpart.
pub fn read(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Vec<Part> {
    match look::kind(id) {
        "otlp" => otlp_receiver::read(id, entry, root, findings),
        "tcplog" | "tcp_log" => tcp(id, entry, findings).into_iter().collect(),
        kind => {
            findings.dropped(entry.key_span.clone(), format!("the receiver {id} has no counterpart"), instead(kind));
            Vec::new()
        }
    }
}

/// Where its logs could come from.
fn instead(kind: &str) -> &'static str {
    match kind {
        "filelog" | "file_log" | "otlpjsonfile" => {
            "logboom reads no files: let the program that writes the file send lines over TCP, or keep a Collector or an \
             agent for the file that sends OTLP to logboom"
        }
        "syslog" | "udplog" | "udp_log" => {
            "logboom takes newline-delimited lines over TCP or a unix socket: let the syslog daemon forward as lines, or \
             keep a Collector for this that sends OTLP to logboom"
        }
        "journald" | "windowseventlog" | "k8s_events" | "k8sobjects" | "k8s_cluster" => {
            "keep a Collector for this that sends OTLP to logboom"
        }
        "fluentforward" | "loki" | "splunk_hec" | "kafka" | "webhookevent" => {
            "logboom takes OTLP and lines: send one of them, or keep a Collector for this that sends OTLP to logboom"
        }
        _ => "logboom takes OTLP over gRPC and newline-delimited lines; what brings other data must send one of them",
    }
}

fn tcp(id: &str, entry: &Entry, findings: &mut Findings) -> Option<Part> {
    let mut part = Part::named(id);
    part.set("type", Value::word("lines"), "");
    let Some(listen) = look::at(&entry.value, &["listen_address"]) else {
        let help = "write `listen_address: 127.0.0.1:5000`";
        findings.dropped(entry.key_span.clone(), format!("the receiver {id} has no listen_address"), help);
        return None;
    };
    let listen = address(look::text(&listen.value).unwrap_or_default(), 0, listen, findings)?;
    part.set("listen", Value::text(&listen), "listen_address");
    open(&format!("receivers.{id}"), &listen, entry, &mut part, findings);
    if let Some(size) = look::at(&entry.value, &["max_log_size"])
        && let Some(bytes) = look::text(&size.value).and_then(look::size)
    {
        limited("line_max", bytes, "max_log_size", size, &mut part, findings);
    }
    findings.rest(
        &format!("receivers.{id}"),
        &entry.value,
        &["listen_address", "max_log_size", "tls", "one_log_per_packet", "encoding"],
    );
    if let Some(encoding) = look::at(&entry.value, &["encoding"])
        && !matches!(look::text(&encoding.value), Some("utf-8" | "utf8" | "nop" | "ascii"))
    {
        let help = "send UTF-8; what is not becomes U+FFFD where it is written";
        findings.dropped(look::place(encoding), "no other encoding than UTF-8 is read", help);
    }
    let what = format!("receivers.{id} is a source of type lines: what its lines say is read as well, by `format`");
    findings.kept(entry.key_span.clone(), what);
    Some(part)
}

/// `host:port` as it is written here; the default of the Collector's version 0.104 and newer is loopback.
pub(super) fn address(written: &str, port: u16, entry: &Entry, findings: &mut Findings) -> Option<String> {
    let listen = match written {
        "" => format!("127.0.0.1:{port}"),
        all if all.starts_with(':') => format!("0.0.0.0{all}"),
        host if !host.contains(':') && !host.contains('$') && port > 0 => format!("{host}:{port}"),
        other => other.to_owned(),
    };
    if let Some(error) = look::mistake(&listen) {
        findings.dropped(look::place(entry), error, "write host:port");
        return None;
    }
    Some(listen)
}

/// What a listener that others reach needs.
pub(super) fn open(what: &str, listen: &str, one: &Entry, part: &mut Part, findings: &mut Findings) {
    let tls = look::at(&one.value, &["tls"]);
    if let Some(tls) = tls {
        let files = ["cert_file", "key_file"].iter().all(|key| look::word(&tls.value, &[key]).is_some());
        if files {
            part.set("tls", Value::Map(server_tls(what, &tls.value, findings)), "tls");
            return;
        }
        let message = format!("{what}: there is no TLS without cert_file and key_file");
        let help = "bind it to loopback, or let the mesh encrypt: the listener is plaintext now";
        findings.dropped(look::place(tls), message, help);
    }
    let is_local = listen.parse::<Listen>().is_ok_and(|it| it.is_local());
    if is_local {
        return;
    }
    part.set("allow_plaintext", Value::word("true"), "there is no tls");
    let verb = if listen.contains("${") { "may be" } else { "is" };
    let place =
        look::at(&one.value, &["endpoint"]).or_else(|| look::at(&one.value, &["listen_address"])).unwrap_or(one);
    let help =
        "write 127.0.0.1 where senders run on this host or in this pod; else give it TLS, or let the mesh encrypt";
    findings.changed(
        look::place(place),
        format!("{what} {verb} reached from other machines in plaintext, and logboom says so at start"),
        help,
    );
}

fn server_tls(what: &str, tls: &Node, findings: &mut Findings) -> Vec<(String, Value)> {
    let keys = [("cert_file", "cert"), ("key_file", "key"), ("client_ca_file", "client_ca")];
    let known: Vec<&str> = keys.iter().map(|(theirs, _)| *theirs).collect();
    findings.rest(&format!("{what}.tls"), tls, &known);
    let read = |(theirs, ours): (&str, &str)| Some((ours.to_owned(), Value::text(look::word(tls, &[theirs])?)));
    keys.into_iter().filter_map(read).collect()
}

/// A limit that may be larger than ours.
pub(super) fn limited(
    key: &'static str,
    bytes: ByteSize,
    from: &str,
    entry: &Entry,
    part: &mut Part,
    findings: &mut Findings,
) {
    if bytes > BYTES_MAX {
        let message = format!("{from} is more than logboom takes: {key} is {BYTES_MAX}");
        findings.changed(look::place(entry), message, "let senders make smaller batches");
    }
    part.set(key, Value::word(bytes.clamp(ByteSize(1 << 10), BYTES_MAX)), from);
}
