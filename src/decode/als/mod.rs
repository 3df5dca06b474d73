//! Envoy's access-log service: what it streams, made into OTLP.
//!
//! An entry becomes a record as Envoy's own OTLP access logger would have sent it, attributes under
//! keys that are known and the same attributes of the resource. So everything behind the source (the
//! walk, the journal, `semantics`) knows one kind of payload.
//!
//! A message can grow when it is written again, at worst thirty times: an empty entry has two bytes.
//! So it is written in parts.

use crate::decode::otlp::schema::{request, resource, resource_logs, scope_logs};
use crate::decode::wire::{Malformed, put_tag_bytes, put_varint};

mod attributes;
mod common;
mod entry;
mod read;
mod schema;
mod structs;
#[cfg(test)]
mod tests;

use attributes::{Attributes, Put, bytes_len, put_bytes, put_pair};
use read::{Is, Message};
use schema::{LOG_ENTRY, identifier, message, node};

/// A part ends with the record that makes it so large.
const PART_BYTES: usize = 128 << 10;
/// What making a part takes at most: records, and the request of them.
pub const WORK_BYTES: usize = 2 * (PART_BYTES + attributes::RECORD_BYTES_MAX + (16 << 10));
/// So many times its length a message grows at most, and only if it says nearly nothing.
pub const GROWTH_MAX: usize = 64;
/// Most bytes of node and log name that are kept; of longer texts nothing is.
const NODE_TEXT_MAX: usize = 4 << 10;

/// What a stream has said about itself: Envoy does once, in its first message.
#[derive(Debug)]
pub struct Stream {
    /// The fields of a `Resource`.
    resource: Vec<u8>,
    record: Attributes,
}

/// The entries of a message that are not in a part yet.
pub struct Entries<'a> {
    rest: Box<dyn Iterator<Item = Result<(Kind, Message<'a>), Malformed>> + Send + 'a>,
    broken: Option<Malformed>,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Http,
    Tcp,
}

impl Default for Stream {
    fn default() -> Self {
        Stream { resource: resource_of(b"", b"", b"", b""), record: Attributes::default() }
    }
}

impl Stream {
    /// Begins a `StreamAccessLogsMessage`. Its identifier, if it has one, counts from now on.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub fn begin<'a>(&mut self, bytes: &'a [u8]) -> Result<Entries<'a>, Malformed> {
        let message = Message::new(bytes);
        for field in message.fields() {
            if let (message::IDENTIFIER, Is::Bytes(it)) = field? {
                self.resource = identify(it)?;
            }
        }
        Ok(Entries { rest: Box::new(entries(message)), broken: None })
    }

    /// The next part of the entries as an `ExportLogsServiceRequest` of at least one record; `None` when nothing is
    /// left. Text is as it came, UTF-8 or not.
    ///
    /// # Errors
    /// An entry is malformed, and with it all that would follow.
    pub fn part(&mut self, entries: &mut Entries<'_>) -> Result<Option<Vec<u8>>, Malformed> {
        if let Some(error) = entries.broken.take() {
            return Err(error);
        }
        let mut scope = Vec::new();
        while scope.len() < PART_BYTES {
            let Some(next) = entries.rest.next() else { break };
            let read = next.and_then(|(kind, message)| match kind {
                Kind::Http => entry::http(message, &mut self.record),
                Kind::Tcp => entry::tcp(message, &mut self.record),
            });
            if let Err(error) = read {
                self.record = Attributes::default();
                entries.rest = Box::new(std::iter::empty());
                if scope.is_empty() {
                    return Err(error);
                }
                entries.broken = Some(error);
                break;
            }
            self.record.finish(&mut scope, scope_logs::LOG_RECORDS);
        }
        Ok((!scope.is_empty()).then(|| self.request(&scope)))
    }

    /// Records with the resource of the stream.
    fn request(&self, scope: &[u8]) -> Vec<u8> {
        let (resource, scope_logs) = (bytes_len(self.resource.len()), bytes_len(scope.len()));
        let mut whole = Vec::with_capacity(bytes_len(resource + scope_logs));
        put_tag_bytes(&mut whole, request::RESOURCE_LOGS);
        put_varint(&mut whole, (resource + scope_logs) as u64);
        put_bytes(&mut whole, resource_logs::RESOURCE, &self.resource);
        put_bytes(&mut whole, resource_logs::SCOPE_LOGS, scope);
        whole
    }
}

/// HTTP and TCP entries in their order.
fn entries<'a>(message: Message<'a>) -> impl Iterator<Item = Result<(Kind, Message<'a>), Malformed>> {
    message.fields().flat_map(|field| {
        let (kind, group, error) = match field {
            Ok((message::HTTP_LOGS, Is::Bytes(group))) => (Kind::Http, Some(group), None),
            Ok((message::TCP_LOGS, Is::Bytes(group))) => (Kind::Tcp, Some(group), None),
            Ok(_) => (Kind::Tcp, None, None),
            Err(error) => (Kind::Tcp, None, Some(Err(error))),
        };
        let of_group = group.into_iter().flat_map(Message::fields).filter_map(move |field| match field {
            Ok((LOG_ENTRY, Is::Bytes(entry))) => Some(Ok((kind, entry))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        });
        error.into_iter().chain(of_group)
    })
}

/// An `Identifier`.
fn identify(message: Message<'_>) -> Result<Vec<u8>, Malformed> {
    let (mut log_name, mut id, mut cluster, mut zone) = (&[][..], &[][..], &[][..], &[][..]);
    for field in message.fields() {
        match field? {
            (identifier::LOG_NAME, Is::Bytes(it)) => log_name = it.bytes(),
            (identifier::NODE, Is::Bytes(node)) => {
                for field in node.fields() {
                    match field? {
                        (node::ID, Is::Bytes(it)) => id = it.bytes(),
                        (node::CLUSTER, Is::Bytes(it)) => cluster = it.bytes(),
                        (node::LOCALITY, Is::Bytes(it)) => zone = it.zone()?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(resource_of(log_name, zone, cluster, id))
}

/// The attributes that Envoy's OTLP access logger gives its resource
/// (envoy.extensions.access_loggers.open_telemetry.v3), empty ones included: by `log_name` the
/// records are known to be Envoy's.
fn resource_of(log_name: &[u8], zone: &[u8], cluster: &[u8], node: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, text) in [("log_name", log_name), ("zone_name", zone), ("cluster_name", cluster), ("node_name", node)] {
        let text = if text.len() > NODE_TEXT_MAX { b"" } else { text };
        put_pair(&mut out, resource::ATTRIBUTES, key.as_bytes(), Put::Text(text));
    }
    out
}
