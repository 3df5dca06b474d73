//! The receiver `otlp`.
//!
//! There each protocol has TLS, authentication and limits of its own; here the two listeners of a source share them.
//! So protocols that let in others, or in another way, become two sources.

use crate::config::tree::{Entry, Node};
use crate::config::units::ByteSize;

use super::extensions::{self, Bearer};
use super::findings::Findings;
use super::look;
use super::receivers::{address, limited, open};
use super::write::{Part, Value};

/// How the size of a request is limited over gRPC; over HTTP it is bytes.
const GRPC_MIB: &str = "max_recv_msg_size_mib";
/// The protocols with the ports they have where none is written. Each is called the same on both sides.
const PROTOCOLS: [(&str, u16); 2] = [("grpc", 4317), ("http", 4318)];
/// What decides who is let in.
const ADMISSION: [&str; 2] = ["tls", "auth"];
/// The order of the keys of a source.
const ORDER: [&str; 7] = ["type", "grpc", "http", "tls", "allow_plaintext", "message_max", "auth"];

/// What to do where an authenticator is not known.
const WITHOUT_TOKEN: &str = "whoever reaches the listener is let in now: bearertokenauth has a counterpart, `auth: {bearer: […]}`; or \
     let in those with a certificate, `tls.client_ca`, or those of some networks, `allow`: docs/security.md";

/// A source of type otlp, or one for each protocol; none when there is nothing to listen on.
pub fn read(id: &str, entry: &Entry, root: &Node, findings: &mut Findings) -> Vec<Part> {
    findings.rest(&format!("receivers.{id}"), &entry.value, &["protocols"]);
    let protocols = entry.value.entry("protocols").map(|it| &it.value);
    let listeners = PROTOCOLS.into_iter().filter_map(|(protocol, port)| {
        let one = protocols.and_then(|it| it.entry(protocol))?;
        listener(id, protocol, port, one, root, findings)
    });
    let mut parts: Vec<Part> = listeners.collect();
    if let [grpc, http] = parts.as_slice()
        && ADMISSION.iter().all(|key| grpc.get(key) == http.get(key))
    {
        parts = vec![joined(grpc, http)];
    }
    let place = entry.key_span.clone();
    match parts.as_mut_slice() {
        [] => {
            let help = "write `protocols: {grpc: {endpoint: 127.0.0.1:4317}}` below it";
            findings.dropped(place, format!("nothing is left to listen on for the receiver {id}"), help);
        }
        [one] => {
            id.clone_into(&mut one.name);
            findings.kept(place, format!("receivers.{id} is a source of type otlp"));
        }
        _ => {
            let message = format!(
                "receivers.{id} is two sources of type otlp, for grpc and for http: they differ in `tls` or `auth`, which a \
                 source has for both"
            );
            findings.kept(place, message);
        }
    }
    parts
}

/// One protocol as a source of its own; `None` where there is nothing to listen on.
fn listener(
    id: &str,
    protocol: &'static str,
    port: u16,
    one: &Entry,
    root: &Node,
    findings: &mut Findings,
) -> Option<Part> {
    let mut part = Part::named(format!("{id}/{protocol}"));
    part.set("type", Value::word("otlp"), "");
    let what = format!("receivers.{id}.protocols.{protocol}");
    let written = look::word(&one.value, &["endpoint"]);
    if written.is_some_and(|it| it.starts_with("unix:") || it.starts_with('/'))
        || look::word(&one.value, &["transport"]).is_some_and(|it| it.starts_with("unix"))
    {
        let help = "give it a TCP address, such as 127.0.0.1:4317";
        findings.dropped(look::place(one), format!("{what}: OTLP over a unix socket has no counterpart"), help);
        return None;
    }
    let from = if written.is_some() { format!("protocols.{protocol}.endpoint") } else { "its default".to_owned() };
    let listen = address(written.unwrap_or_default(), port, one, findings)?;
    part.set(protocol, Value::text(&listen), from);
    open(&what, &listen, one, &mut part, findings);
    if let Some(size) = [GRPC_MIB, "max_request_body_size"].iter().find_map(|key| look::at(&one.value, &[key]))
        && let Some(number) = look::text(&size.value).and_then(|it| it.parse::<u64>().ok()).filter(|it| *it > 0)
    {
        let bytes = ByteSize(if size.key == GRPC_MIB { number.saturating_mul(1 << 20) } else { number });
        limited("message_max", bytes, &format!("protocols.{protocol}.{}", size.key), size, &mut part, findings);
    }
    if let Some(auth) = look::at(&one.value, &["auth"])
        && let Some(bearer) = extensions::bearer(&auth.value, auth, root, WITHOUT_TOKEN, findings)
    {
        authenticate(&what, bearer, auth, &mut part, findings);
    }
    findings.rest(
        &what,
        &one.value,
        &[
            "endpoint",
            "transport",
            "tls",
            "auth",
            GRPC_MIB,
            "max_request_body_size",
            "traces_url_path",
            "metrics_url_path",
            "profiles_url_path",
        ],
    );
    Some(part)
}

/// Two listeners that let in the same, as one source: what is larger than one of them wants is no harm.
fn joined(grpc: &Part, http: &Part) -> Part {
    let mut part = grpc.clone();
    for item in &http.items {
        if item.key != "message_max" || http.bytes(item.key) > grpc.bytes(item.key) {
            part.set(item.key, item.value.clone(), item.from.as_str());
        }
    }
    part.items.sort_by_key(|item| ORDER.iter().position(|key| *key == item.key));
    part
}

fn authenticate(what: &str, bearer: Bearer, auth: &Entry, part: &mut Part, findings: &mut Findings) {
    if !bearer.scheme.eq_ignore_ascii_case("bearer") || bearer.header != "authorization" {
        let message = format!("{what} takes tokens in the header authorization alone, behind the word Bearer");
        findings.changed(look::place(auth), message, "let senders write `authorization: Bearer TOKEN`");
    }
    let list = bearer.tokens.into_iter().map(Value::Text).collect();
    part.set("auth", Value::Map(vec![("bearer".to_owned(), Value::List(list))]), bearer.from);
}
